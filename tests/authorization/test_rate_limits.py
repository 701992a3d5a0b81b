"""RFC 6585 section 4: requests of an app in a minute, counted for all workers together; 429 says when to come back."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Table, select
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.settings import Settings
from server.storage.authorization_schema import Permits as PermitsTable
from server.storage.database import Database
from server.storage.permits import WINDOW, Permits
from tests import factories
from tests.authorization.smart_app import SmartApp, add_people, events, new_app
from tests.serving import serving

START = 1_800_000_000_000_000 // WINDOW * WINDOW
"""The first microsecond of a minute."""


@pytest.fixture
def limited(database: Database, settings: Settings) -> Iterator[SmartApp]:
    """An app on a server that lets each app make five requests a minute."""
    add_people(database)
    settings = settings.model_copy(update={"rate_limit_per_minute": 5})
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as web:
        yield new_app(web, database, settings)


def test_the_request_above_the_limit_is_throttled_until_the_next_minute(limited: SmartApp, database: Database) -> None:
    with clock.set_to(clock.from_microseconds(START + 20_000_000)):
        token = limited.connect()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert [limited.web.get("/fhir/Patient/p1", headers=headers).status_code for _ in range(5)] == [200] * 5
        refused = limited.web.get("/fhir/Patient/p1", headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
        issue = refused.json()["issue"][0]
        assert (issue["code"], issue["details"]["coding"][0]["code"]) == ("throttled", "throttled")
    row = events(database, "answer")[-1]
    assert (row.status, row.request_id, row.resources) == (429, refused.headers["x-request-id"], 0)
    with clock.set_to(clock.from_microseconds(START + WINDOW)):
        assert limited.web.get("/fhir/Patient/p1", headers=headers).status_code == 200


def test_apps_do_not_share_their_limits(limited: SmartApp, database: Database) -> None:
    other = new_app(limited.web, database, limited.settings, name="Other")
    with clock.set_to(clock.from_microseconds(START)):
        tokens = [app.connect()["access_token"] for app in (limited, other)]
        assert [limited.read(tokens[0]) for _ in range(6)][-1] == 429
        assert limited.read(tokens[1]) == 200


def test_the_token_endpoint_has_the_same_limit_of_its_own(limited: SmartApp) -> None:
    with clock.set_to(clock.from_microseconds(START + 30_000_000)):
        token = limited.connect()
        for _ in range(4):
            token = limited.refresh(token["refresh_token"]).json()
        refused = limited.refresh(token["refresh_token"])
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert (refused.json()["error"], refused.json()["error_code"]) == ("temporarily_unavailable", "throttled")
        assert limited.read(token["access_token"]) == 200
    with clock.set_to(clock.from_microseconds(START + WINDOW)):
        assert limited.refresh(token["refresh_token"]).status_code == 200


def test_without_a_limit_nothing_is_counted(database: Database, settings: Settings) -> None:
    add_people(database)
    settings = settings.model_copy(update={"rate_limit_per_minute": 0})
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as web:
        app = new_app(web, database, settings)
        token = app.connect()["access_token"]
        assert {app.read(token) for _ in range(30)} == {200}
    assert leases(database) == []


def leases(database: Database) -> list[tuple[str, int, int]]:
    """The table of permits."""
    table: Table = PermitsTable.__table__  # type: ignore[attr-defined]
    with database.reading() as transaction:
        return [tuple(row) for row in transaction.all(select(table).order_by(table.c.client_id, table.c.window))]


def test_workers_together_give_the_limit_exactly_and_seldom_ask_the_database(database: Database) -> None:
    async def story() -> tuple[int, int]:
        await database.open()
        workers = [Permits(1000), Permits(1000), Permits(1000)]
        with clock.set_to(clock.from_microseconds(START)):
            waits = await asyncio.gather(
                *(workers[n % 3].take(database, "app") for n in range(3000)),
            )
        await database.close()
        return Counter(waits)[0], len({*waits})

    given, kinds = asyncio.run(story())
    assert (given, kinds) == (1000, 2)
    ((_, _, leased),) = leases(database)
    assert 1000 <= leased <= 1010


def test_what_one_worker_leaves_unused_is_little(database: Database) -> None:
    async def story() -> int:
        await database.open()
        idle, busy = Permits(1000), Permits(1000)
        with clock.set_to(clock.from_microseconds(START)):
            assert await idle.take(database, "app") == 0
            given = [await busy.take(database, "app") for _ in range(1500)]
        await database.close()
        return given.count(0)

    assert 940 <= asyncio.run(story()) < 1000


def test_old_windows_are_forgotten(database: Database) -> None:
    async def story() -> None:
        await database.open()
        permits = Permits(10)
        for minute in range(30):
            with clock.set_to(clock.from_microseconds(START + minute * WINDOW)):
                assert await permits.take(database, "app") == 0
        await database.close()

    asyncio.run(story())
    assert len(leases(database)) <= 11


def test_two_worker_processes_never_give_more_than_the_limit_and_nearly_all_of_it(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = {"RATE_LIMIT_PER_MINUTE": "200"}
    factories.client(database, "app")
    token = factories.token(database, "anna", client_id="app").text
    with serving(database_url, tmp_path / "server.log", workers=2, settings=settings) as server:
        before = leases(database)
        assert before == []
        answers: Counter[tuple[int, int]] = Counter()

        def ask(_number: int) -> tuple[int, int]:
            headers = {"Authorization": f"Bearer {token}"}
            sent = clock.now_microseconds() // WINDOW
            status = web.get(f"{server.fhir_base}/Patient", headers=headers).status_code
            return (sent if sent == clock.now_microseconds() // WINDOW else -1), status

        one_request_each = httpx2.Limits(max_keepalive_connections=0)  # so that both workers are asked
        with httpx2.Client(timeout=30, limits=one_request_each) as web, ThreadPoolExecutor(8) as pool:
            answers.update(pool.map(ask, range(300)))
    assert {status for _, status in answers} <= {200, 429}
    windows = leases(database)
    for _, window, leased in windows:
        given = answers[(window, 200)]
        assert given <= 200
        if answers[(window, 429)]:
            assert given >= 175
            assert leased >= 200
    if len(windows) == 1:
        assert answers[(windows[0][1], 429)] >= 100
