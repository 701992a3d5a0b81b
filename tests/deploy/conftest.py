"""A server in this process, for what deployment files say of its addresses.

https://asgi.readthedocs.io/
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings

METRICS_TOKEN = "a token for the tests of deployment"


@pytest.fixture(scope="module")
def web(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Somebody who asks a server with METRICS_TOKEN, on a migrated database without members."""
    folder = tmp_path_factory.mktemp("deployed")
    shutil.copyfile(sqlite_template, folder / "deployed.db")
    settings = Settings(
        database_url=f"sqlite:///{folder}/deployed.db",
        secret_key=SecretStr("a secret key of the tests, long enough"),
        metrics_token=SecretStr(METRICS_TOKEN),
        log_requests=False,
    )
    with TestClient(create_app(settings), base_url=settings.base_url) as client:
        yield client
