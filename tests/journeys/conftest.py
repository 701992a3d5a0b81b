"""The synthetic payer's members in a production deployment, who can sign in, and an app.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from seed_data.generate import LOGINS, resources
from server.authorization.accounts import add_account
from server.authorization.clients import register
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.factories import store
from tests.lasting import lasting_database, settings_of
from tests.serving import Server, serving


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, and its database."""

    server: Server
    database: Database


CALLBACK = "http://127.0.0.1:9/callback"
PASSWORD = {login.username: login.password for login in LOGINS}
USERNAMES = ("mbeki-larsen", "castellanos", "vantongeren")


def open_payer(database: Database, settings: Settings) -> None:
    """Fill a database: the synthetic payer's records, accounts for three people, two apps."""
    store(database, settings, resources())
    for login in LOGINS:
        if login.username in USERNAMES:
            members = [(patient, relationship, "") for patient, relationship in login.members]
            add_account(database, login.username, login.password, login.display_name, members)
    for client_id, name in (("health-notes", "Health Notes"), ("budget-book", "Budget Book")):
        register(EventLedger(database), settings, name, [CALLBACK], client_id=client_id)


@pytest.fixture
def payer(database: Database, settings: Settings) -> Database:
    """A payer's database of one's own."""
    open_payer(database, settings)
    return database


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a server writes."""
    return tmp_path / "server.log"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A payer's server with two workers, for all tests of a module."""
    with lasting_database(request.param, request) as url:
        settings = settings_of(url)
        database = Database(settings)
        open_payer(database, settings)
        with serving(url, tmp_path_factory.mktemp("running") / "server.log", workers=2) as server:
            yield Running(server, database)
        database.engine.dispose()
