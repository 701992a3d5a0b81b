"""The ledger: one row for every event, committed or not there at all, chained so that tampering shows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, Row, delete, event, text, update

from server import clock
from server.settings import Settings
from server.storage.database import Database, DatabaseUnavailableError, Values
from server.storage.ledger import LEDGER, AnswerLedger, EventLedger, LedgerEvent
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify

ANSWER = LedgerEvent("answer", request_id="r", patient="anna", status=200, resources=1, detail="_count=50")


class CountingDatabase(Database):
    """A database that counts the commits of the asynchronous side."""

    commits = 0

    async def write(self, statement: Executable, rows: Sequence[Values]) -> None:
        await super().write(statement, rows)
        self.commits += 1


@pytest.fixture
def database(settings: Settings) -> Iterator[CountingDatabase]:
    """The database of the settings, with its commits counted."""
    database = CountingDatabase(settings)
    yield database
    database.engine.dispose()


def in_loop(database: Database, story: Callable[[AnswerLedger], Awaitable[None]]) -> None:
    """Tell a story in an event loop, with a ledger on the open database."""

    async def run() -> None:
        await database.open()
        try:
            await story(AnswerLedger(database))
        finally:
            await database.close()

    asyncio.run(run())


def rows(database: Database) -> Sequence[Row[Any]]:
    """The ledger in chain order."""
    with database.reading() as transaction:
        return transaction.all(rows_in_chain_order())


def write_chain(database: Database, length: int) -> str:
    """One writer's chain, through the event ledger; the writer's name."""
    ledger = EventLedger(database)
    for number in range(length):
        with ledger.transaction() as transaction:
            transaction.record(LedgerEvent("grant", request_id=f"r{number + 1}", patient="anna", detail="scope"))
    return str(rows(database)[0].writer)


@contextmanager
def ledger_out_of_reach(database: Database) -> Iterator[None]:
    """While inside, the ledger table cannot be written."""
    with database.transaction() as transaction:
        transaction.execute(text("ALTER TABLE ledger RENAME TO ledger_elsewhere"))
    yield
    with database.transaction() as transaction:
        transaction.execute(text("ALTER TABLE ledger_elsewhere RENAME TO ledger"))


def test_the_chains_of_both_writers_verify(database: Database) -> None:
    async def story(ledger: AnswerLedger) -> None:
        await asyncio.gather(*[ledger.record(ANSWER) for _ in range(5)])
        await ledger.record(ANSWER)

    in_loop(database, story)
    write_chain(database, 3)
    found = rows(database)
    assert len(found) == 9
    assert len({row.writer for row in found}) == 2
    assert verify(found) == []


def test_answers_recorded_at_the_same_time_share_a_commit(database: CountingDatabase) -> None:
    async def story(ledger: AnswerLedger) -> None:
        await asyncio.gather(*[ledger.record(ANSWER) for _ in range(20)])

    in_loop(database, story)
    assert len(rows(database)) == 20
    assert database.commits == 1


def test_an_answer_recorded_while_another_commits_is_not_forgotten(database: Database) -> None:
    async def story(ledger: AnswerLedger) -> None:
        async def later(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await ledger.record(ANSWER)

        await asyncio.gather(*[later(turns) for turns in range(30)])

    in_loop(database, story)
    assert [row.sequence for row in rows(database)] == list(range(1, 31))
    assert verify(rows(database)) == []


def test_an_answer_whose_client_went_away_is_recorded_and_harms_no_other(database: Database) -> None:
    async def story(ledger: AnswerLedger) -> None:
        gone, staying = asyncio.create_task(ledger.record(ANSWER)), asyncio.create_task(ledger.record(ANSWER))
        await asyncio.sleep(0)
        gone.cancel()
        await staying

    in_loop(database, story)
    assert len(rows(database)) == 2


def test_a_failed_commit_leaves_no_row_and_starts_a_new_chain(database: Database) -> None:
    async def story(ledger: AnswerLedger) -> None:
        await ledger.record(ANSWER)
        with ledger_out_of_reach(database):
            failed = await asyncio.gather(*[ledger.record(ANSWER) for _ in range(3)], return_exceptions=True)
            assert [type(error) for error in failed] == [DatabaseUnavailableError] * 3
        await ledger.record(ANSWER)
        await ledger.record(ANSWER)

    in_loop(database, story)
    chains: dict[str, list[int]] = {}
    for row in rows(database):
        chains.setdefault(row.writer, []).append(row.sequence)
    assert sorted(chains.values()) == [[1], [1, 2]]
    assert verify(rows(database)) == []


def test_an_event_is_recorded_only_if_its_transaction_commits(database: Database) -> None:
    ledger = EventLedger(database)
    with ledger.transaction() as transaction:
        transaction.record(ANSWER)
    with pytest.raises(RuntimeError, match="changed my mind"), ledger.transaction() as transaction:
        transaction.record(ANSWER)
        raise RuntimeError("changed my mind")
    with ledger.transaction() as transaction:
        transaction.record(ANSWER)
    assert [row.sequence for row in rows(database)] == [1, 2]
    assert verify(rows(database)) == []


def test_a_clock_that_goes_back_over_midnight_begins_a_new_chain(database: Database) -> None:
    ledger = EventLedger(database)
    for hour in (22, 26, 25, 23, 27):  # of the first of November
        with (
            clock.set_to(datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour)),
            ledger.transaction() as transaction,
        ):
            transaction.record(ANSWER)
    days: dict[str, list[int]] = {}
    for row in rows(database):
        days.setdefault(row.writer, []).append(clock.from_microseconds(row.at).day)
    assert sorted(days.values()) == [[1, 2], [1, 2, 2]]
    assert verify(rows(database)) == []


@pytest.mark.parametrize("took_place", [True, False])
def test_after_a_commit_of_unknown_outcome_a_new_chain_begins(database: Database, took_place: bool) -> None:
    def interrupt(connection: Connection) -> None:
        if took_place:
            connection.connection.commit()
        raise ConnectionError("the answer to COMMIT was lost")

    ledger = EventLedger(database)
    event.listen(database.engine, "commit", interrupt)
    with pytest.raises(ConnectionError), ledger.transaction() as transaction:
        transaction.record(ANSWER)
    event.remove(database.engine, "commit", interrupt)
    with ledger.transaction() as transaction:
        transaction.record(ANSWER)
    found = rows(database)
    assert [row.sequence for row in found] == [1, 1] if took_place else [1]
    assert verify(found) == []


def test_what_a_client_sent_cannot_keep_others_from_being_recorded(database: Database) -> None:
    async def story(ledger: AnswerLedger) -> None:
        strange = LedgerEvent("answer", detail="name=\0\udc80é", resource_type="\0")
        await asyncio.gather(ledger.record(strange), ledger.record(ANSWER))

    in_loop(database, story)
    assert [row.detail for row in rows(database)] == ["name=\ufffd?é", "_count=50"]
    assert verify(rows(database)) == []


@pytest.mark.parametrize(
    "column", [column.name for column in LEDGER.columns if column.name not in ("writer", "sequence")]
)
def test_a_changed_row_is_named(database: Database, column: str) -> None:
    writer = write_chain(database, 4)
    old = getattr(rows(database)[1], column)
    new = bytes(32) if column == "hash" else old + 1 if isinstance(old, int) else old + "x"
    with database.transaction() as transaction:
        transaction.execute(update(LEDGER).where(LEDGER.c.sequence == 2).values({column: new}))
    (found,) = verify(rows(database))
    assert found.startswith(f"writer {writer}: row 2 (grant")
    assert found.endswith("is not what was written")


def test_a_deleted_row_is_named(database: Database) -> None:
    writer = write_chain(database, 4)
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.sequence == 2))
    (found,) = verify(rows(database))
    assert found.startswith(f"writer {writer}: row 2 is missing; row 3 (grant r3 at ")
    assert found.endswith(" stands there instead")


def test_the_head_of_a_chain_cannot_be_cut_off(database: Database) -> None:
    writer = write_chain(database, 3)
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.sequence == 1))
    (found,) = verify(rows(database))
    assert found.startswith(f"writer {writer}: row 1 is missing; row 2 (grant r2 at ")


def test_rows_that_changed_places_are_named_at_the_first(database: Database) -> None:
    write_chain(database, 4)
    with database.transaction() as transaction:
        for old, new in ((2, 9), (3, 2), (9, 3)):
            transaction.execute(update(LEDGER).where(LEDGER.c.sequence == old).values(sequence=new))
    found = verify(rows(database))
    assert "row 2 (grant r3" in found[0]


def test_every_changed_row_is_named_and_whole_chains_are_not(database: Database) -> None:
    for _ in range(3):
        write_chain(database, 3)
    writers = sorted({row.writer for row in rows(database)})
    with database.transaction() as transaction:
        transaction.execute(update(LEDGER).where(LEDGER.c.writer != writers[1]).values(status=999))
    found = verify(rows(database))
    assert [line.split(" (")[0] for line in found] == [
        f"writer {writer}: row {sequence}" for writer in (writers[0], writers[2]) for sequence in (1, 2, 3)
    ]
