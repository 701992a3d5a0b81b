"""Reads of one turn of the event loop share a snapshot, and none is older than the request that asks.

https://www.sqlite.org/isolation.html
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, select

from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import LoadClock

CLOCK = LoadClock.__table__  # type: ignore[attr-defined]
READ = select(CLOCK.c.loaded_at)
WRITE = insert(CLOCK)


def run(template: Path, folder: Path, scenario: Callable[[Database, sqlite3.Connection], Awaitable[Any]]) -> Any:
    """The scenario with an open database, and another process's connection to it."""
    path = folder / "snapshot.db"
    path.write_bytes(template.read_bytes())
    database = Database(Settings(database_url=f"sqlite:///{path}"))
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    other.execute("DELETE FROM load_clock")
    other.execute("INSERT INTO load_clock (id, loaded_at) VALUES (1, 1)")

    async def opened() -> Any:
        await database.open()
        try:
            return await scenario(database, other)
        finally:
            await database.close()

    try:
        return asyncio.run(opened())
    finally:
        other.close()
        database.engine.dispose()


async def read(database: Database) -> int:
    row = await database.fetch_one(READ, {})
    assert row is not None
    return int(row[0])


def test_reads_of_one_turn_see_the_same(sqlite_template: Path, tmp_path: Path) -> None:
    async def scenario(database: Database, other: sqlite3.Connection) -> list[int]:
        first = await read(database)
        other.execute("UPDATE load_clock SET loaded_at = 2")
        return [first, await read(database)]

    assert run(sqlite_template, tmp_path, scenario) == [1, 1]


def test_the_next_turn_sees_what_was_committed_meanwhile(sqlite_template: Path, tmp_path: Path) -> None:
    async def scenario(database: Database, other: sqlite3.Connection) -> int:
        await read(database)
        other.execute("UPDATE load_clock SET loaded_at = 2")
        await asyncio.sleep(0)
        return await read(database)

    assert run(sqlite_template, tmp_path, scenario) == 2


def test_a_task_that_begins_later_sees_what_was_committed_before_it_began(
    sqlite_template: Path, tmp_path: Path
) -> None:
    async def scenario(database: Database, other: sqlite3.Connection) -> list[int]:
        seen: list[int] = []
        for number in range(2, 30):
            await read(database)
            other.execute("UPDATE load_clock SET loaded_at = ?", (number,))
            seen.append(await asyncio.create_task(read(database)) - number)
        return seen

    assert set(run(sqlite_template, tmp_path, scenario)) == {0}


def test_a_transaction_in_the_same_turn_is_seen(sqlite_template: Path, tmp_path: Path) -> None:
    async def scenario(database: Database, _other: sqlite3.Connection) -> int:
        await read(database)
        with database.transaction() as transaction:
            transaction.execute(CLOCK.update().values(loaded_at=3))
        return await read(database)

    assert run(sqlite_template, tmp_path, scenario) == 3


def test_who_waits_to_write_is_not_stopped_by_reads_meanwhile(sqlite_template: Path, tmp_path: Path) -> None:
    async def scenario(database: Database, other: sqlite3.Connection) -> int:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM load_clock")
        writing = asyncio.create_task(database.write(WRITE, lambda: [{"id": 1, "loaded_at": 7}]))
        for _ in range(5):
            assert await read(database) == 1
            await asyncio.sleep(0.001)
        other.execute("COMMIT")
        while not writing.done():
            await database.fetch(READ, {})
            await asyncio.sleep(0)
        await writing
        return await read(database)

    assert run(sqlite_template, tmp_path, scenario) == 7


def test_rows_are_asked_for_when_they_can_be_written(sqlite_template: Path, tmp_path: Path) -> None:
    async def scenario(database: Database, other: sqlite3.Connection) -> list[str]:
        told: list[str] = []

        def rows() -> list[dict[str, int]]:
            told.append("asked")
            return [{"id": 1, "loaded_at": 8}]

        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM load_clock")
        writing = asyncio.create_task(database.write(WRITE, rows))
        await asyncio.sleep(0.01)
        told.append("free")
        other.execute("COMMIT")
        await writing
        return told

    assert run(sqlite_template, tmp_path, scenario) == ["free", "asked"]


def test_a_row_looked_up_by_key_is_not_kept_beyond_the_turn(sqlite_template: Path, tmp_path: Path) -> None:
    by_key = select(CLOCK.c.loaded_at).where(CLOCK.c.id == bindparam("key"))

    async def scenario(database: Database, other: sqlite3.Connection) -> list[int]:
        seen = []
        for number in range(2, 5):
            for _ in range(2):
                row = await database.fetch_by_key(by_key, by_key, 1)
                assert row is not None
                seen.append(row[0])
            other.execute("UPDATE load_clock SET loaded_at = ?", (number,))
            await asyncio.sleep(0)
        with database.transaction() as transaction:
            transaction.execute(CLOCK.delete())
        assert await database.fetch_by_key(by_key, by_key, 1) is None
        await database.write(WRITE, [{"id": 1, "loaded_at": 9}])
        row = await database.fetch_by_key(by_key, by_key, 1)
        assert row is not None
        return [*seen, row[0]]

    assert run(sqlite_template, tmp_path, scenario) == [1, 1, 2, 2, 3, 3, 9]
