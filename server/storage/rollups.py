"""Daily roll-ups of the ledger: built from its rows, rebuilt from them at any time. ``usage`` reads them in place of the rows.

What they serve: 42 CFR 422.119 and its parallels; the tables: ``report_schema.LedgerDay`` and ``LedgerDayBuilt``. A local day comes as
its ISO date and the half-open spans of UTC microseconds that a clock on the payer's wall showed it (nearly always one span).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
)

from server import clock
from server.storage.database import Transaction
from server.storage.ledger import LEDGER
from server.storage.report_schema import LedgerDay, LedgerDayBuilt, LedgerPeriod

DAY = LedgerDay.__table__  # type: ignore[attr-defined]
BUILT = LedgerDayBuilt.__table__  # type: ignore[attr-defined]
PERIOD = LedgerPeriod.__table__  # type: ignore[attr-defined]

Spans = Sequence[tuple[int, int]]
SAFETY = 3_600_000_000
"""A day is rolled up, and a period anchored, when it is over by an hour: a row is dated when its request is answered and committed within
seconds, and one that comes later still makes the day stale."""


class RowsDroppedError(Exception):
    """The rows asked for were older than the ledger is kept, and have been deleted."""


@dataclass(frozen=True, slots=True)
class DayOfLedger:
    """What the ledger holds of a local day: its rows of every kind, the answers among them, and the digest of where chains stood."""

    day: str
    rows: int
    answers: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """A day that is rolled up: what of the ledger it was made of, in which time zone, and when (microseconds since 1970 UTC)."""

    of: DayOfLedger
    time_zone: str
    built_at: int


def build(transaction: Transaction, day: str, spans: Spans, time_zone: str) -> BuiltDay:
    """Roll up a local day from its rows, in place of what was built before: one day in a transaction, and nothing before it.

    Raises RowsDroppedError when some of its rows were dropped.
    """
    if transaction.connection.dialect.name == "postgresql":
        # One snapshot for the rows and for what is said of them, and one builder at a time; a lock takes no snapshot yet.
        transaction.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        transaction.execute(text("LOCK TABLE ledger_day_built IN SHARE ROW EXCLUSIVE MODE"))
    starts, ends = spans[0][0], spans[-1][1]
    if starts < dropped_before(transaction):
        raise RowsDroppedError(
            f"the rows of {day} have been dropped from the ledger; its roll-up cannot be built again"
        )
    built = BuiltDay(day_of_ledger(transaction, day, spans), time_zone, clock.now_microseconds())
    transaction.execute(delete(DAY).where(DAY.c.day == day))
    transaction.execute(_filling(len(spans)), {"day": day, **_bounds(spans)})
    transaction.execute(delete(BUILT).where(BUILT.c.day == day))
    row = {
        "day": day,
        "time_zone": time_zone,
        "starts": starts,
        "ends": ends,
        "rows": built.of.rows,
        "answers": built.of.answers,
        "digest": built.of.digest,
        "built_at": built.built_at,
    }
    transaction.execute(insert(BUILT), row)
    return built


# Statements are made once for days of one span, and once for those of two: making one takes longer than a small day's rows.


@lru_cache
def _counted(count: int) -> Any:
    """The answers of the ledger in so many spans, counted by what a roll-up tells apart."""
    zero: ColumnElement[int] = literal_column("0")
    one: ColumnElement[int] = literal_column("1")
    dimensions = (
        LEDGER.c.environment,
        LEDGER.c.client_id,
        LEDGER.c.client_kind,
        (LEDGER.c.grant_id != literal_column("''")).label("granted"),
        LEDGER.c.patient,
        LEDGER.c.status,
        case((LEDGER.c.resources > zero, one), else_=zero).label("resources"),
    )
    answer = select(*dimensions).where(LEDGER.c.kind == "answer", _within(count)).subquery()
    return select(*answer.columns, func.count().label("answers")).group_by(*answer.columns)


@lru_cache
def _filling(count: int) -> Any:
    counted = _counted(count).subquery()
    names = ["day", "number", *counted.columns.keys()]
    return insert(DAY).from_select(
        names, select(bindparam("day", type_=String), func.row_number().over(), *counted.columns)
    )


@lru_cache
def _differing(count: int) -> Any:
    """One row: how many lines the roll-up of ``:of`` lacks of those its rows give, how many they give, and how many it has."""
    counted = _counted(count)
    kept = select(*[DAY.columns[column.name] for column in counted.selected_columns]).where(
        DAY.c.day == bindparam("of")
    )
    lacking = select(func.count()).select_from(counted.except_(kept).subquery())
    given = select(func.count()).select_from(counted.subquery())
    has = select(func.count()).where(DAY.c.day == bindparam("of"))
    return select(
        lacking.scalar_subquery().label("lacking"),
        given.scalar_subquery().label("given"),
        has.scalar_subquery().label("has"),
    )


def is_as_built(transaction: Transaction, built: BuiltDay, spans: Spans) -> bool:
    """Whether building the day now would give the same: its rows are those it was built from, and nobody changed the roll-up since."""
    if day_of_ledger(transaction, built.of.day, spans) != built.of:
        return False
    found = transaction.first(_differing(len(spans)), {"of": built.of.day, **_bounds(spans)})
    return found is not None and found.lacking == 0 and found.given == found.has


def _within(count: int) -> ColumnElement[bool]:
    """The rows of so many spans, whose bounds are those of ``_bounds``."""
    return or_(
        false(),
        *[and_(LEDGER.c.at >= bindparam(f"low_{n}"), LEDGER.c.at < bindparam(f"high_{n}")) for n in range(count)],
    )


def _bounds(spans: Spans) -> dict[str, int]:
    return {name: at for n, (low, high) in enumerate(spans) for name, at in ((f"low_{n}", low), (f"high_{n}", high))}


@lru_cache
def heads(count: int) -> Select[Any]:
    """Where each writer's chain stood at the end of so many spans: rows (writer, first, last, rows, answers, hash), by writer; ``first``
    and ``last`` are the sequences there, ``hash`` that of the last."""
    own = (
        select(
            LEDGER.c.writer,
            func.min(LEDGER.c.sequence).label("first"),
            func.max(LEDGER.c.sequence).label("last"),
            func.count().label("rows"),
            func.count(case((LEDGER.c.kind == "answer", 1))).label("answers"),
        )
        .where(_within(count))
        .group_by(LEDGER.c.writer)
        .subquery()
    )
    last = and_(LEDGER.c.writer == own.c.writer, LEDGER.c.sequence == own.c.last, _within(count))
    return select(*own.columns, LEDGER.c.hash).join(LEDGER, last).order_by(own.c.writer)


def day_of_ledger(transaction: Transaction, day: str, spans: Spans) -> DayOfLedger:
    """What the ledger holds now of a local day, from its rows."""
    digest, rows, answers = sha256(), 0, 0
    for head in transaction.stream(heads(len(spans)), _bounds(spans)):
        digest.update(f"{head.writer} {head.first} {head.last} {head.rows} {head.hash.hex()}\n".encode())
        rows, answers = rows + head.rows, answers + head.answers
    return DayOfLedger(day, rows, answers, digest.digest())


def digest_of(days: Iterable[DayOfLedger]) -> str:
    """One digest (hex) of several days in order: the same whether they were read from roll-ups (``BuiltDay.of``) or from rows."""
    digest = sha256()
    for day in days:
        digest.update(f"{day.day} {day.rows} {day.digest.hex()}\n".encode())
    return digest.hexdigest()


def built_days(transaction: Transaction, time_zone: str, first: str, last: str) -> dict[str, BuiltDay]:
    """The days from ``first`` to ``last`` (ISO dates, both included) that are rolled up in this time zone, by date. One that was
    built in another time zone is as good as not built."""
    query = select(BUILT).where(BUILT.c.day.between(first, last), BUILT.c.time_zone == time_zone).order_by(BUILT.c.day)
    return {
        row.day: BuiltDay(DayOfLedger(row.day, row.rows, row.answers, row.digest), row.time_zone, row.built_at)
        for row in transaction.all(query)
    }


def has_other_rows(transaction: Transaction, built: BuiltDay, spans: Spans) -> bool:
    """Whether the ledger holds another number of rows of the day than it was rolled up from: then its rows must be read, or it be built
    anew. False where the rows were dropped: then nothing but the roll-up is left. A count over an index; ``day_of_ledger`` sees more."""
    if spans[0][0] < dropped_before(transaction):
        return False
    return bool(transaction.scalar(_number(len(spans)), _bounds(spans)) != built.of.rows)


@lru_cache
def _number(count: int) -> Select[Any]:
    return select(func.count()).select_from(LEDGER).where(_within(count))


def dropped_before(transaction: Transaction) -> int:
    """The moment (microseconds since 1970 UTC) before which the ledger's rows were dropped; 0 if none were."""
    return int(transaction.scalar(select(func.max(PERIOD.c.ends)).where(PERIOD.c.dropped_at.is_not(None))) or 0)


def anchored_until(transaction: Transaction) -> int:
    """The end of the last period that is anchored; 0 if none is."""
    return int(transaction.scalar(select(func.max(PERIOD.c.ends))) or 0)
