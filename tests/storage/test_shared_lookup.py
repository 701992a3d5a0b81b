"""Look-ups that share a round trip, and the connections they travel on: each gets its own answer, whatever happens to another.

https://www.postgresql.org/docs/current/functions-comparisons.html#FUNCTIONS-COMPARISONS-ANY-SOME
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from server.storage.connections import Connections
from server.storage.shared_lookup import SharedLookup
from tests.conftest import PostgreSQL

MAXIMUM_CONNECTIONS = 6


class Rows:
    """Answers keys with rows, and notes what was asked together."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[list[str]] = []
        self.error = error

    async def ask(self, keys: list[Any]) -> Sequence[Sequence[Any]]:
        self.asked.append(sorted(keys))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return [(f"row of {key}", key) for key in reversed(keys) if key != "nobody"]


def test_those_that_arrive_together_are_asked_together_and_each_gets_its_own() -> None:
    rows = Rows()

    async def several() -> list[Any]:
        lookup = SharedLookup(rows.ask)
        found = await asyncio.gather(*[lookup.find(key) for key in ("a", "b", "a", "nobody")])
        return [*found, await lookup.find("a")]

    found = asyncio.run(several())
    assert [row and row[0] for row in found] == ["row of a", "row of b", "row of a", None, "row of a"]
    assert rows.asked == [["a", "b", "nobody"], ["a"]], "an answer was kept for a later question"


def test_a_failure_reaches_everybody_and_the_next_question_is_asked_again() -> None:
    rows = Rows(OSError("gone"))

    async def several() -> list[Any]:
        lookup = SharedLookup(rows.ask)
        failed = await asyncio.gather(lookup.find("a"), lookup.find("b"), return_exceptions=True)
        rows.error = None
        return [*failed, await lookup.find("a")]

    first, second, third = asyncio.run(several())
    assert isinstance(first, OSError)
    assert isinstance(second, OSError)
    assert third[0] == "row of a"


def test_who_gives_up_leaves_the_others_alone() -> None:
    async def several() -> Any:
        lookup = SharedLookup(Rows().ask)
        given_up, stays = (asyncio.create_task(lookup.find("a")) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        return await stays

    assert asyncio.run(several())[0] == "row of a"


def test_more_commands_than_connections_wait_in_turn(postgresql: PostgreSQL) -> None:
    async def many() -> tuple[list[int], int]:
        connections = Connections(postgresql.url, MAXIMUM_CONNECTIONS)

        async def one(number: int) -> tuple[int, int]:
            connection = await connections.take()
            try:
                return await connection.fetchval("SELECT $1::int FROM pg_sleep(0.01)", number), id(connection)
            finally:
                connections.give_back(connection)

        done = await asyncio.gather(*[one(number) for number in range(3 * MAXIMUM_CONNECTIONS)])
        await connections.close()
        return [number for number, _ in done], len({connection for _, connection in done})

    numbers, used = asyncio.run(many())
    assert numbers == list(range(3 * MAXIMUM_CONNECTIONS))
    assert used == MAXIMUM_CONNECTIONS


def test_a_lost_connection_makes_room_for_who_waits(postgresql: PostgreSQL) -> None:
    async def lose() -> list[int]:
        connections = Connections(postgresql.url, MAXIMUM_CONNECTIONS)
        taken = [await connections.take() for _ in range(MAXIMUM_CONNECTIONS)]
        given_up, waits = (asyncio.create_task(connections.take()) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncpg.PostgresError):
            await taken[0].fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        connections.give_back(taken[0])
        another = await waits
        assert another not in taken
        for connection in taken[1:]:
            connections.give_back(connection)
        answers = [await another.fetchval("SELECT 1"), await (await connections.take()).fetchval("SELECT 2")]
        another.terminate()
        await connections.close()
        return answers

    assert asyncio.run(lose()) == [1, 2]


def test_a_connection_that_cannot_be_made_takes_no_room(postgresql: PostgreSQL) -> None:
    async def refused() -> None:
        connections = Connections(postgresql.named("no_such_database"), MAXIMUM_CONNECTIONS)
        for _ in range(2 * MAXIMUM_CONNECTIONS):
            with pytest.raises(asyncpg.InvalidCatalogNameError):
                await connections.take()

    asyncio.run(asyncio.wait_for(refused(), 30))
