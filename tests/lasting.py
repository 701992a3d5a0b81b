"""A served database that lasts for many tests: migrated, loaded once, of either kind.

https://docs.pytest.org/en/stable/how-to/fixtures.html#scope-sharing-fixtures-across-classes-modules-packages-or-session
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from server.settings import Settings
from server.storage.database import Database
from tests import factories
from tests.asgi import Reply, Served, served

BASE_URL = "http://127.0.0.1:8000"
FHIR_BASE = f"{BASE_URL}/fhir"
REPORTING_UNITS = Path(__file__).parents[1] / "seed_data" / "reporting_units.toml"


@contextmanager
def lasting_database(kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh migrated database, gone after the block. For fixtures wider than one test."""
    name = f"lasting_{secrets.token_hex(6)}"
    if kind == "sqlite":
        directory = request.getfixturevalue("tmp_path_factory").mktemp(name)
        path = directory / "lasting.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        shutil.rmtree(directory)
        return
    server = request.getfixturevalue("postgresql")
    server.execute(f"CREATE DATABASE {name} TEMPLATE {server.template}")
    yield server.named(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def settings_of(database_url: str, **more: Any) -> Settings:
    """Settings of a production deployment on a database."""
    defaults: dict[str, Any] = {
        "base_url": BASE_URL,
        "environment": "production",
        "secret_key": SecretStr("a secret key of the tests, long enough"),
        "reporting_units_file": REPORTING_UNITS,
        "log_requests": False,
    }
    return Settings(database_url=database_url, **defaults | more)


@dataclass(frozen=True, slots=True)
class World:
    """A served database, and a token that sees everything for each member asked for."""

    settings: Settings
    database: Database
    served: Served
    tokens: dict[str, str]

    def token(self, patient: str, scope: str = factories.EVERYTHING) -> str:
        """A token of a member; the same again for the same scope."""
        name = f"{patient} {scope}"
        if name not in self.tokens:
            self.tokens[name] = factories.token(self.database, patient, scope).text
        return self.tokens[name]

    def get(self, patient: str, target: str, **headers: str) -> Reply:
        """A GET as a member."""
        return self.served.get(target, self.token(patient), **headers)

    def found(self, patient: str, target: str) -> list[str]:
        """The ids that a search finds for a member, in order."""
        reply = self.get(patient, target)
        assert reply.status == 200, reply.body
        return sorted(name.partition("/")[2] for name in reply.ids())


@contextmanager
def lasting_world(
    kind: str, request: pytest.FixtureRequest, records: list[factories.Record], **more: Any
) -> Iterator[World]:
    """A world of these records; ``more`` are settings."""
    with lasting_database(kind, request) as url:
        settings = settings_of(url, **more)
        database = Database(settings)
        factories.store(database, settings, records)
        with served(settings) as application:
            yield World(settings, database, application, {})
        database.engine.dispose()
