"""The two executors: all or nothing, one snapshot, and the same error when the database cannot answer.

https://www.sqlite.org/isolation.html and https://www.postgresql.org/docs/current/transaction-iso.html
"""

import asyncio
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from server.settings import Settings
from server.storage.database import Database, DatabaseUnavailableError
from server.storage.schema import METADATA

MEMBER = METADATA.tables["member"]
INSERT = insert(MEMBER)
ALL = select(MEMBER.c.patient).order_by(MEMBER.c.patient)
ONE = select(MEMBER.c.patient, MEMBER.c.environment).where(MEMBER.c.patient == bindparam("id"))


def members(*names: str) -> list[dict[str, Any]]:
    """Rows to insert."""
    return [{"patient": name, "environment": "test", "enrolled": ""} for name in names]


def stored(database: Database) -> list[str]:
    """The members there are, asked synchronously."""
    with database.reading() as transaction:
        return [row.patient for row in transaction.all(ALL)]


def test_both_executors_see_what_the_other_wrote(database: Database) -> None:
    async def ask() -> None:
        await database.open()
        with database.transaction() as transaction:
            transaction.execute(INSERT, members("anna", "zoe"))
            assert transaction.execute(delete(MEMBER).where(MEMBER.c.patient == "zoe")) == 1
        assert [tuple(row) for row in await database.fetch(ONE, {"id": "anna"})] == [("anna", "test")]
        await database.write(INSERT, members("ben", "carla"))
        assert await database.fetch_one(ONE, {"id": "nobody"}) is None
        await database.close()

    asyncio.run(ask())
    assert stored(database) == ["anna", "ben", "carla"]


def test_a_write_is_all_or_nothing(database: Database) -> None:
    async def ask() -> None:
        await database.open()
        await database.write(INSERT, members("anna"))
        with pytest.raises(DatabaseUnavailableError):
            await database.write(INSERT, members("ben", "anna", "carla"))
        await database.write(INSERT, members("dora"))
        await database.close()

    asyncio.run(ask())
    assert stored(database) == ["anna", "dora"]


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as transaction:
        transaction.execute(INSERT, members("anna"))
        raise RuntimeError
    assert stored(database) == []


def test_reading_is_one_snapshot(database: Database) -> None:
    with database.reading() as reading:
        assert reading.all(ALL) == []
        with database.transaction() as transaction:
            transaction.execute(INSERT, members("anna"))
        assert reading.all(ALL) == []
    assert stored(database) == ["anna"]


def test_writers_of_both_kinds_wait_for_each_other(database: Database) -> None:
    def synchronously(start: int) -> None:
        for number in range(start, start + 25):
            with database.transaction() as transaction:
                transaction.execute(INSERT, members(f"s{number:03d}"))

    async def ask() -> None:
        await database.open()
        others = [asyncio.to_thread(synchronously, start) for start in (0, 25)]
        own = [database.write(INSERT, members(f"a{number:03d}")) for number in range(50)]
        await asyncio.gather(*others, *own)
        await database.close()

    asyncio.run(ask())
    assert len(stored(database)) == 100


def test_a_statement_with_a_list_of_unknown_length_is_refused(database: Database) -> None:
    async def ask() -> None:
        await database.open()
        with pytest.raises(TypeError, match="IN values"):
            await database.fetch(select(MEMBER).where(MEMBER.c.patient.in_(["anna", "ben"])), {})
        await database.close()

    asyncio.run(ask())


def test_a_database_without_its_tables_cannot_answer(empty_database_url: str) -> None:
    database = Database(Settings(database_url=empty_database_url))

    async def ask() -> None:
        await database.open()
        with pytest.raises(DatabaseUnavailableError):
            await database.write(INSERT, members("anna"))
        await database.close()

    asyncio.run(ask())
    database.engine.dispose()


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    database = Database(Settings(database_url="postgresql://nobody@127.0.0.1:9/nothing"))
    with pytest.raises(DatabaseUnavailableError), database.reading() as transaction:
        transaction.all(ALL)
    database.engine.dispose()


def test_an_error_says_nothing_of_what_was_to_be_stored(database: Database) -> None:
    with pytest.raises(IntegrityError) as told, database.transaction() as transaction:
        transaction.execute(INSERT, [*members("somebody-secret"), *members("somebody-secret")])
    assert "parameters hidden" in str(told.value)
    assert "'patient': 'somebody-secret'" not in str(told.value)
