"""The connections of an event loop: who waits is not left waiting, what is old goes, and all of it is counted.

https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4 - a request that could not be served now is told so, and when to come again.
"""

import asyncio
from typing import Any

import pytest
from sqlalchemy import literal, select

from server.settings import Settings
from server.storage import connections as pool
from server.storage.connections import Connections, ConnectionsBusyError
from server.storage.database import Database, DatabaseUnavailableError
from tests.conftest import PostgreSQL

PREPARED = select(literal(1).label("one"))


def test_who_waits_too_long_is_sent_away_and_the_others_are_served(postgresql: PostgreSQL) -> None:
    async def crowd() -> tuple[Any, ...]:
        connections = Connections(postgresql.url, 1, wait_seconds=0.2)
        taken = await connections.take()
        waits = asyncio.create_task(connections.take())
        await asyncio.sleep(0.05)
        during = (connections.open, connections.idle, connections.waiting)
        with pytest.raises(ConnectionsBusyError, match=r"none of 1 .* for 0.2 seconds"):
            await waits
        late = asyncio.create_task(connections.take())
        await asyncio.sleep(0)
        connections.give_back(taken)
        assert await late is taken
        connections.give_back(taken)
        after = (connections.open, connections.idle, connections.waiting)
        await connections.close()
        return during, after, connections.given_up, connections.seconds_waited, connections.open

    during, after, given_up, seconds, left = asyncio.run(crowd())
    assert during == (1, 0, 1)
    assert after == (1, 1, 0)
    assert given_up == 1
    assert 0.15 < seconds < 5
    assert left == 0


def test_a_connection_has_its_time(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    async def grow_old() -> tuple[bool, int]:
        connections = Connections(postgresql.url, 1)
        first = await connections.take()
        connections.give_back(first)
        assert await connections.take() is first
        monkeypatch.setattr(pool, "LIFETIME_SECONDS", 0.0)
        connections.give_back(first)
        second = await connections.take()
        assert second is not first
        connections.give_back(second)
        return first.is_closed(), connections.open

    assert asyncio.run(grow_old()) == (True, 0)


def test_a_full_house_is_a_database_that_is_not_available(postgresql: PostgreSQL) -> None:
    settings = Settings(database_url=postgresql.url, database_connections=2, database_wait_seconds=0.1)
    database = Database(settings)

    async def crowd() -> None:
        await database.open()
        connections = database.connections
        assert connections is not None
        taken = [await connections.take() for _ in range(2)]
        with pytest.raises(DatabaseUnavailableError, match="none of 2"):
            await database.fetch(PREPARED, {})
        for connection in taken:
            connections.give_back(connection)
        assert [tuple(row) for row in await database.fetch(PREPARED, {})] == [(1,)]
        await database.close()

    asyncio.run(crowd())
    several = [database.engine.connect() for _ in range(3)]
    with pytest.raises(DatabaseUnavailableError), database.reading():
        raise AssertionError("a fourth connection of three")
    for connection in several:
        connection.close()
    database.engine.dispose()


@pytest.mark.parametrize(("pooler", "prepared"), [("none", True), ("transaction", False)])
def test_behind_a_pooler_of_transactions_nothing_is_prepared(
    postgresql: PostgreSQL, pooler: str, prepared: bool
) -> None:
    settings = Settings.model_validate({"database_url": postgresql.url, "database_pooler": pooler})
    database = Database(settings)

    async def ask() -> tuple[int, str]:
        await database.open()
        for _ in range(3):
            await database.fetch(PREPARED, {})
        connections = database.connections
        assert connections is not None
        connection = await connections.take()
        names = await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%one%'")
        commit = await connection.fetchval("SELECT source FROM pg_settings WHERE name = 'synchronous_commit'")
        connections.give_back(connection)
        await database.close()
        return names, commit

    names, set_by = asyncio.run(ask())
    assert (names > 0) is prepared
    assert (set_by == "client") is prepared
    with database.reading() as transaction:
        for _ in range(12):
            transaction.scalar(PREPARED)
        raw = transaction.connection.connection.driver_connection
        assert raw is not None
        assert (raw.prepare_threshold is not None) is prepared
    database.engine.dispose()
