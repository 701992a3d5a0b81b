"""Under load: the database goes away, a worker is killed, the disk is full, the clock is stepped, a backup is taken; what apps receive.

https://hl7.org/fhir/R4/http.html#Status-Codes - for each fault: only 503 with Retry-After, or successes perhaps after another try; never
another member's records; every answer in the ledger once; all well again within ten seconds.
"""

import os
import resource
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import insert, make_url

from loadtests.processes import PostgreSQL, postgresql_server
from server import clock
from server.authorization.accounts import add_account
from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage import migrate
from server.storage.backup import back_up, restore
from server.storage.database import Database
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify
from server.storage.schema import METADATA
from tests.asgi import served
from tests.factories import (
    DAY,
    EVERYTHING,
    coverage,
    explanation_of_benefit,
    ledger_rows,
    organization,
    patient,
    record,
    store,
    token,
)
from tests.journeys.steady_load import RECOVERY, Member, SteadyLoad, resources
from tests.lasting import settings_of
from tests.postgresql_programs import path_with_programs
from tests.serving import Server, serving
from tests.stepped_clock import FACTORY, SteppedClock

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers"),
]
MEMBERS = ("anna", "bela", "carla", "daniel")
CLAIMS = 6
HOUR = 3_600_000_000
"""Microseconds."""
NO_SPACE_FROM = 4096
"""Bytes of a file, beyond which nothing can be written while the disk is full."""


@dataclass(frozen=True, slots=True)
class Payer:
    """A server with two workers whose clock can be stepped, and its database; ``postgres`` is None on SQLite."""

    server: Server
    database: Database
    clock: SteppedClock
    postgres: PostgreSQL | None

    def load(self) -> SteadyLoad:
        """Two apps for each member, each with a token of its own, and two that refresh."""
        apps = [member(self.database, self.server, id) for id in MEMBERS for _ in range(2)]
        return SteadyLoad(self.server, apps, [refresh_token(self.database, id) for id in MEMBERS[:2]])


def records(id: str) -> list[dict[str, Any]]:
    """All records of a member."""
    claims = [explanation_of_benefit(f"{id}-{number}", f"Patient/{id}") for number in range(CLAIMS)]
    return [patient(id), coverage(f"{id}-coverage", record("Patient", id)), *claims]


def fill(database: Database, settings: Settings) -> None:
    """Load the members' records."""
    store(database, settings, [organization("payer"), organization("hospital")])
    store(database, settings, [one for id in MEMBERS for one in records(id)])


def member(database: Database, server: Server, id: str) -> Member:
    """A member's app. What it must get is what was loaded, but for the ``meta`` that the server adds: that comes from a quiet server."""
    access = token(database, id).text
    own = {f"{one['resourceType']}/{one['id']}" for one in records(id)}
    claims = {name for name in own if name.startswith("ExplanationOfBenefit/")}
    other = MEMBERS[MEMBERS.index(id) - 1]
    wanted = {
        f"Patient/{id}": {f"Patient/{id}"},
        "ExplanationOfBenefit": claims,
        f"ExplanationOfBenefit/{id}-3": {f"ExplanationOfBenefit/{id}-3"},
        "Coverage": {f"Coverage/{id}-coverage"},
        f"Patient/{id}/$everything": own,
        f"ExplanationOfBenefit/{other}-3": None,
        f"Patient/{other}": None,
    }
    headers = {"authorization": f"Bearer {access}"}
    with httpx2.Client(base_url=f"{server.fhir_base}/", headers=headers, timeout=30) as http:
        expected: dict[str, dict[str, Any] | None] = {}
        for target, names in wanted.items():
            answer = http.get(target)
            expected[target] = resources(answer.json()) if names else None
            assert answer.status_code == (200 if names else 404), answer.text
            assert {name for name in expected[target] or () if not name.startswith("Organization/")} == (names or set())
    return Member(id, access, expected)


def refresh_token(database: Database, id: str) -> tuple[str, str]:
    """The client and a refresh token of an app that a member allowed."""
    account = add_account(database, id, "a password of the tests", id.title(), [(id,)]).id
    made, text = token(database, id, grant_account=account), secrets.token_urlsafe(32)
    now = clock.now_microseconds()
    row = {
        "hash": sha256(text.encode()).digest(),
        "grant_id": made.grant_id,
        "client_id": made.client_id,
        "scope": EVERYTHING,
        "issued_at": now,
        "expires_at": now + 400 * DAY,
        "rotated_at": None,
    }
    with database.transaction() as transaction:
        transaction.execute(insert(METADATA.tables["refresh_token"]), row)
    return made.client_id, text


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def payer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payer]:
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        postgres = None
        if request.param == "postgresql":  # not below pytest's own folder, into which the user it runs as may not look
            apart = stack.enter_context(TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True))
            postgres = stack.enter_context(postgresql_server(Path(apart)))
        url = postgres.url if postgres is not None else f"sqlite:///{folder / 'faults.db'}"
        settings = settings_of(url)
        database = Database(settings)
        migrate.upgrade(database)
        fill(database, settings)
        stepped = SteppedClock(folder / "offset")
        more = stepped.settings | {"RATE_LIMIT_PER_MINUTE": "0"}
        with serving(url, folder / "server.log", 2, more, FACTORY) as server:
            yield Payer(server, database, stepped, postgres)
        database.engine.dispose()


def test_while_the_database_is_gone_apps_wait_or_are_told_to(payer: Payer) -> None:
    load = payer.load()
    load.during(gone(payer))
    load.check(payer.database)
    assert load.recovered_in < RECOVERY
    during = load.answers_between(load.begun + 1, load.ended - 1)
    if payer.postgres is None:  # locked by another writer: apps wait for it
        assert (load.statuses[503], load.broken, during) == (0, 0, 0)
    else:
        assert load.statuses[503] > 0
        assert load.refreshes_put_off > 0
        assert during == 0
    assert load.refreshed > 2


def gone(payer: Payer) -> Callable[[], None]:
    """The database stopped for some seconds; SQLite's file locked by another writer."""

    def stop() -> None:
        assert payer.postgres is not None
        payer.postgres.server.stop()
        time.sleep(2.5)
        payer.postgres.server.ensure_postgres_running()

    def lock() -> None:
        path = payer.database.settings.sqlite_path
        assert path is not None
        other = sqlite3.connect(path, isolation_level=None, timeout=10)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(3.5)
        other.execute("ROLLBACK")
        other.close()

    return lock if payer.postgres is None else stop


def test_when_workers_are_killed_apps_ask_again_and_lose_nothing(payer: Payer) -> None:
    load = payer.load()

    def kill() -> None:
        for _ in range(8):
            for pid in payer.server.workers()[:1]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(1)
            if load.broken:
                return

    load.during(kill)
    load.check(payer.database)
    assert load.broken > 0
    assert load.statuses[503] == 0
    assert load.recovered_in < RECOVERY
    until = time.monotonic() + RECOVERY
    while len(payer.server.workers()) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(payer.server.workers()) == 2


def test_while_the_disk_is_full_nothing_is_told_and_nothing_lost(payer: Payer) -> None:
    load = payer.load()

    def fill() -> None:
        with full_disk(payer):
            time.sleep(2.5)

    load.during(fill)
    load.check(payer.database)
    assert load.statuses[503] > 0
    assert load.answers_between(load.begun + 0.5, load.ended - 0.5) == 0
    assert load.recovered_in < RECOVERY


@contextmanager
def full_disk(payer: Payer) -> Iterator[None]:
    """SQLite: the workers cannot make any file larger. PostgreSQL: the ledger takes no row, as when its tablespace is full."""
    if payer.postgres is None:
        workers = payer.server.workers()
        for pid in workers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (NO_SPACE_FROM, resource.RLIM_INFINITY))
        yield
        for pid in workers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return
    with psycopg.connect(payer.postgres.url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute("CREATE TRIGGER full_disk BEFORE INSERT ON ledger EXECUTE FUNCTION full_disk()")
        yield
        connection.execute("DROP TRIGGER full_disk ON ledger")
        connection.execute("DROP FUNCTION full_disk")


def test_a_backup_taken_meanwhile_gives_the_same_answers_elsewhere(payer: Payer, tmp_path: Path) -> None:
    load, file = payer.load(), tmp_path / "backup"
    settings = payer.database.settings

    def back_up_now() -> None:
        back_up(settings, file, lambda *_: None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path_with_programs())
        load.during(back_up_now)
        load.check(payer.database)
        assert set(load.statuses) == {200, 404}
        assert (load.broken, load.refreshes_put_off) == (0, 0)
        later = token(payer.database, "anna").text
        elsewhere = settings.model_copy(update={"database_url": another_database(payer, tmp_path)})
        assert restore(elsewhere, file, lambda *_: None) == migrate.head()
    with served(elsewhere) as application:
        for app in load.members:
            for target, expected in app.expected.items():
                reply = application.get(target, app.token)
                assert reply.status == (404 if expected is None else 200)
                assert expected is None or resources(reply.json) == expected
        assert application.get("Patient/anna", later).status == 401, "a token of after the backup is not there"
    other = Database(elsewhere)
    kept = {row.request_id for row in ledger_rows(other)}
    with other.reading() as transaction:
        assert verify(transaction.all(rows_in_chain_order())) == []
    assert {id for id, status, at, _ in load.received if at < load.begun and status != 503} <= kept
    assert any(id not in kept for id, *_ in load.received), "apps were served after the backup too"
    assert report(other) == report(payer.database)
    other.engine.dispose()


def another_database(payer: Payer, folder: Path) -> str:
    """The URL of a database that is empty or absent."""
    if payer.postgres is None:
        return f"sqlite:///{folder / 'elsewhere.db'}"
    with psycopg.connect(payer.postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE elsewhere")
    return make_url(payer.postgres.url).set(database="elsewhere").render_as_string(hide_password=False)


def report(database: Database) -> list[object]:
    """The usage report's figures: whose data went to an app, and how often; not how many answers it took."""
    content = usage_report(database, database.settings, year=clock.now().year).content()
    assert content["organisation"]["measures"]["unique-patients"] == len(MEMBERS)
    return [content["organisation"], content["reporting_units"], content["by_month"]]


def test_when_the_clock_is_stepped_tokens_are_what_its_time_says(payer: Payer) -> None:
    now = clock.now_microseconds()
    an_hour = token(payer.database, "anna", token_expires_at=now + HOUR).text
    over = token(payer.database, "anna", token_expires_at=now - HOUR).text
    revoked = token(payer.database, "anna", token_revoked_at=now).text
    ended = token(payer.database, "anna", grant_ended_at=now, grant_ended_reason="the member stopped it").text
    load, seen = payer.load(), []

    def step() -> None:
        for hours in (3, -3, 0):
            payer.clock.step(timedelta(hours=hours))
            time.sleep(0.8)
            seen.append([status(payer.server, one) for one in (an_hour, over, revoked, ended)])

    assert [status(payer.server, one) for one in (an_hour, over, revoked, ended)] == [200, 401, 401, 401]
    load.during(step)
    load.check(payer.database)
    assert seen == [[401, 401, 401, 401], [200, 200, 401, 401], [200, 401, 401, 401]]
    assert set(load.statuses) == {200, 404}
    assert (load.broken, load.refreshes_put_off) == (0, 0)
    assert load.refreshed > 10
    assert load.recovered_in < 1


def status(server: Server, access: str) -> int:
    """The status of a read of the member."""
    headers = {"authorization": f"Bearer {access}"}
    return httpx2.get(f"{server.fhir_base}/Patient/anna", headers=headers, timeout=30).status_code
