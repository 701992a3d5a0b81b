"""The ledger's months on PostgreSQL: made ahead of time, made up for when they are late, dropped whole. SQLite has one table.

https://www.postgresql.org/docs/current/ddl-partitioning.html
"""

import asyncio
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import insert, text

from server import clock
from server.settings import Settings
from server.storage import ledger_partitions, migrate
from server.storage.database import Database
from server.storage.ledger import INSERT, LEDGER
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_partitions import Month, ensure, keep_ahead, partitions
from server.storage.ledger_verification import verify
from tests.storage.ledgers import all_rows, chain, write

AT = clock.to_microseconds(datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC))
SECOND = 1_000_000


def stand_in(database: Database) -> Counter[str]:
    """How many rows each partition has; on SQLite all are in ``ledger``."""
    query = (
        "SELECT 'ledger' AS name FROM ledger"
        if database.is_sqlite
        else "SELECT tableoid::regclass::text AS name FROM ledger"
    )
    with database.reading() as transaction:
        return Counter(row.name for row in transaction.all(text(query)))


def made(database: Database, now: int) -> list[str]:
    with database.transaction() as transaction:
        return ensure(transaction, now)


def test_a_month_knows_its_bounds_and_its_neighbours() -> None:
    december = Month.of(AT)
    assert (str(december), december.partition) == ("2031-12", "ledger_2031_12")
    assert december.ends == AT + SECOND == december.plus(1).starts
    assert [str(december.plus(months)) for months in (1, 2, -11, -12)] == ["2032-01", "2032-02", "2031-01", "2030-12"]
    assert Month.parse("2031-12") == december


@pytest.mark.parametrize("written", ["2031-13", "2031-1", "2031", "31-01", "2031-01-01", "0000-01", "2031-O1"])
def test_what_is_no_month_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="a month is written YYYY-MM"):
        Month.parse(written)


def test_a_migrated_database_has_the_partitions_of_this_and_the_next_months(database: Database) -> None:
    now = clock.now_microseconds()
    with database.reading() as transaction:
        expected = {"ledger_rest", *(Month.of(now).plus(ahead).partition for ahead in range(3))}
        assert partitions(transaction) == (set() if database.is_sqlite else expected)


def test_a_row_of_a_month_without_a_partition_is_kept_and_moves_when_there_is_one(database: Database) -> None:
    write(database, chain([AT, AT + 2 * SECOND]), chain([AT + SECOND]))
    if database.is_sqlite:
        assert made(database, AT) == []
        return
    assert stand_in(database) == {"ledger_rest": 3}
    assert made(database, AT) == ["ledger_2031_12", "ledger_2032_01", "ledger_2032_02"]
    assert stand_in(database) == {"ledger_2031_12": 1, "ledger_2032_01": 2}
    assert made(database, AT) == []
    assert verify(all_rows(database)) == []
    with database.reading() as transaction:
        parents = transaction.all(text("SELECT inhparent::regclass::text AS name FROM pg_inherits"))
        assert Counter(row.name for row in parents)["ledger_by_time"] == len(partitions(transaction))


def test_a_dropped_month_is_gone_and_no_other(database: Database) -> None:
    write(database, chain([AT, AT + 2 * SECOND]))
    if database.is_sqlite:
        return  # see test_ledger_commands: there rows are deleted
    made(database, AT)
    write(database, chain([AT - 40 * 86_400 * SECOND]))
    for month in (Month(2031, 11), Month(2031, 12), Month(2031, 10)):  # in the rest, in a partition, nowhere
        with database.transaction() as transaction:
            ledger_partitions.drop(transaction, month)
    assert stand_in(database) == {"ledger_2032_01": 1}


def test_a_server_makes_them_itself(database: Database) -> None:
    if database.is_sqlite:
        return  # the application starts this on PostgreSQL only

    async def a_moment() -> None:
        with clock.set_to(clock.from_microseconds(AT)):
            task = asyncio.create_task(keep_ahead(database))
            async with asyncio.timeout(20):
                while True:
                    with database.reading() as transaction:
                        if "ledger_2032_02" in partitions(transaction):
                            break
                    await asyncio.sleep(0.05)
            task.cancel()

    asyncio.run(a_moment())


def test_a_row_written_while_its_partition_is_made_finds_its_place(database: Database) -> None:
    if database.is_sqlite:
        return
    made_meanwhile = threading.Event()

    def make() -> None:
        with database.transaction() as transaction:
            ensure(transaction, AT)
            made_meanwhile.set()
            time.sleep(0.5)  # the writer has chosen the partition of the rest by now, and waits for it

    async def write_one() -> None:
        await database.open()
        making = asyncio.create_task(asyncio.to_thread(make))
        await asyncio.to_thread(made_meanwhile.wait, 20)
        await database.write(INSERT, chain([AT]))
        await making
        await database.close()

    asyncio.run(write_one())
    assert stand_in(database) == {"ledger_2031_12": 1}


def test_a_server_that_may_not_make_them_goes_on(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    if database.is_sqlite:
        return
    with database.transaction() as transaction:
        transaction.execute(text("ALTER TABLE ledger RENAME TO ledger_elsewhere"))

    async def a_moment() -> None:
        task = asyncio.create_task(keep_ahead(database))
        async with asyncio.timeout(20):
            while not caplog.records:
                await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()

    asyncio.run(a_moment())
    assert "the ledger's partitions cannot be made" in caplog.text


def test_migration_moves_the_rows_of_a_ledger_that_was_not_partitioned(empty_database_url: str) -> None:
    database = Database(Settings(database_url=empty_database_url))
    rows = [*chain([AT - 400 * 86_400 * SECOND, AT]), *chain([AT + SECOND])]
    with database.transaction() as transaction:
        configuration = migrate._configuration()
        configuration.attributes["connection"] = transaction.connection
        command.upgrade(configuration, "0004")
        transaction.execute(insert(LEDGER), rows)
        before = [tuple(row) for row in transaction.all(rows_in_chain_order())]
    assert migrate.upgrade(database)[0] == "0005"
    assert [tuple(row) for row in all_rows(database)] == before
    assert len(before) == 3
    assert verify(all_rows(database)) == []
    if not database.is_sqlite:
        assert stand_in(database) == {"ledger_2030_11": 1, "ledger_2031_12": 1, "ledger_2032_01": 1}
    database.engine.dispose()
