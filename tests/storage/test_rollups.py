"""Daily roll-ups hold what the rows hold, can be built again, and tell when the rows have become others.

42 CFR 422.119 and its parallels are what is counted with them.
"""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Executable, delete, select, text, update

from server import clock
from server.metrics.local_days import local_days
from server.storage import rollups
from server.storage.database import Database
from server.storage.ledger import DAY as A_DAY
from server.storage.ledger import EventLedger, LedgerEvent
from server.storage.rollups import DAY, BuiltDay
from tests.storage.ledgers import HOUR, all_rows, chain, write

ZONE = "America/New_York"
SUNDAY = "2026-11-01"
"""25 hours long there."""
SPANS = next(day.spans for day in local_days(ZoneInfo(ZONE), 2026) if day.date == date.fromisoformat(SUNDAY))
MIDNIGHT = clock.to_microseconds(datetime(2026, 11, 1, 4, tzinfo=UTC))
COLUMNS = ("environment", "client_id", "client_kind", "granted", "patient", "status", "resources")


def build(database: Database, time_zone: str = ZONE) -> BuiltDay:
    with database.transaction() as transaction:
        return rollups.build(transaction, SUNDAY, SPANS, time_zone)


def held(database: Database) -> Counter[tuple[Any, ...]]:
    """What the roll-up holds: answers by its dimensions."""
    with database.reading() as transaction:
        rows = transaction.all(select(DAY).where(DAY.c.day == SUNDAY))
    found = {tuple(getattr(row, name) for name in COLUMNS): row.answers for row in rows}
    assert len(found) == len(rows)
    return Counter(found)


def is_as_built(database: Database, built: BuiltDay) -> bool:
    with database.reading() as transaction:
        return rollups.is_as_built(transaction, built, SPANS)


@pytest.fixture
def filled(database: Database) -> Database:
    """A ledger with answers of every sort on the day, others around it, and what is no answer."""
    moments = [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + HOUR, MIDNIGHT + 25 * HOUR - 1, MIDNIGHT + 25 * HOUR]
    write(
        database,
        chain(moments),
        chain(moments, resources=0),
        chain(moments, resources=50),
        chain(moments, grant_id="another"),
        chain(moments, grant_id="", patient=""),
        chain(moments, status=404, resources=0),
        chain(moments, client_kind="probe"),
        chain(moments, environment="test", client_id="app-2", patient="ben"),
    )
    with clock.set_to(datetime(2026, 11, 1, 12, tzinfo=UTC)), EventLedger(database).transaction() as transaction:
        transaction.record(LedgerEvent("grant", patient="anna"))
    return database


def test_a_roll_up_counts_the_answers_of_the_local_day(filled: Database) -> None:
    built = build(filled)
    expected: Counter[tuple[Any, ...]] = Counter()
    for row in all_rows(filled):
        if row.kind == "answer" and MIDNIGHT <= row.at < MIDNIGHT + 25 * HOUR:
            dimensions = {**row._mapping, "granted": bool(row.grant_id), "resources": min(row.resources, 1)}
            expected[tuple(dimensions[name] for name in COLUMNS)] += 1
    assert held(filled) == expected
    assert max(expected.values()) == 9, "several answers are one line"
    assert (built.of.rows, built.of.answers) == (25, 24)
    with filled.reading() as transaction:
        assert rollups.built_days(transaction, ZONE, SUNDAY, SUNDAY) == {SUNDAY: built}
        assert rollups.day_of_ledger(transaction, SUNDAY, SPANS) == built.of


def test_building_again_gives_the_same(filled: Database) -> None:
    first, before = build(filled), held(filled)
    again = build(filled)
    assert (again.of, held(filled)) == (first.of, before)
    assert is_as_built(filled, first)


def test_a_day_built_in_another_time_zone_is_not_built(filled: Database) -> None:
    build(filled, "Europe/Berlin")
    with filled.reading() as transaction:
        assert rollups.built_days(transaction, ZONE, SUNDAY, SUNDAY) == {}


def test_a_row_that_comes_late_makes_the_day_stale_until_it_is_built_again(filled: Database) -> None:
    built = build(filled)
    with filled.reading() as transaction:
        assert not rollups.has_other_rows(transaction, built, SPANS)
    write(filled, chain([MIDNIGHT + 2 * HOUR], patient="carla"))
    assert not is_as_built(filled, built)
    with filled.reading() as transaction:
        assert rollups.has_other_rows(transaction, built, SPANS)
    again = build(filled)
    assert again.of.rows == built.of.rows + 1
    assert any("carla" in key for key in held(filled))
    assert is_as_built(filled, again)


@pytest.mark.parametrize("tampering", ["more answers", "a line gone", "a line twice", "another patient"])
def test_a_roll_up_that_was_changed_is_not_as_built(filled: Database, tampering: str) -> None:
    built = build(filled)
    with filled.transaction() as transaction:
        one = DAY.c.number == 1
        copied = (
            f"INSERT INTO ledger_day (day, number, {', '.join(COLUMNS)}, answers)"
            f" SELECT day, 99, {', '.join(COLUMNS)}, answers FROM ledger_day WHERE number = 1"
        )
        statements: dict[str, Executable] = {
            "more answers": update(DAY).where(one).values(answers=DAY.c.answers + 1),
            "a line gone": delete(DAY).where(one),
            "a line twice": text(copied),
            "another patient": update(DAY).where(one).values(patient="dora"),
        }
        transaction.execute(statements[tampering])
    assert not is_as_built(filled, built)
    assert is_as_built(filled, build(filled))


def test_a_row_that_was_replaced_is_seen_though_the_number_is_the_same(filled: Database) -> None:
    built = build(filled)
    last = next(row for row in reversed(all_rows(filled)) if MIDNIGHT <= row.at < MIDNIGHT + A_DAY)
    with filled.transaction() as transaction:
        transaction.execute(
            text("DELETE FROM ledger WHERE writer = :writer AND sequence = :sequence"), dict(last._mapping)
        )
    write(filled, chain([MIDNIGHT + 2 * HOUR]))
    with filled.reading() as transaction:
        assert not rollups.has_other_rows(transaction, built, SPANS)
    assert not is_as_built(filled, built)


def test_the_digest_of_days_tells_their_rows(filled: Database) -> None:
    built = build(filled).of
    with filled.reading() as transaction:
        from_rows = rollups.day_of_ledger(transaction, SUNDAY, SPANS)
        empty = rollups.day_of_ledger(transaction, "2026-11-03", [(SPANS[0][1] + A_DAY, SPANS[0][1] + 2 * A_DAY)])
    assert (empty.rows, empty.answers) == (0, 0)
    assert rollups.digest_of([built, empty]) == rollups.digest_of([from_rows, empty])
    assert len({rollups.digest_of(days) for days in ([built], [empty], [built, empty], [empty, built])}) == 4
