"""The whole server over HTTP, three people who can sign in, and a public app."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, add_people, new_app


@pytest.fixture
def web(database: Database, settings: Settings) -> Iterator[TestClient]:
    """A browser that keeps cookies and does not follow redirects."""
    add_people(database)
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as client:
        yield client


@pytest.fixture
def app(web: TestClient, database: Database, settings: Settings) -> SmartApp:
    """A public app."""
    return new_app(web, database, settings)
