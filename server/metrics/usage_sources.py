"""What a usage report is made of: the answers of its period, read from daily roll-ups and from rows.

42 CFR 431.60(f) and its parallels. Exact: a day is read from its roll-up only while the ledger holds as many rows of it as it was
rolled up from (or the rows were dropped, and the roll-up is what is left); every other day is read by row.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from server.metrics.local_days import LocalDay
from server.metrics.periods import Period, in_order, merged, until
from server.metrics.transfer import TransferDefinition
from server.metrics.usage_tally import Person, Tally
from server.storage import period_answers, rollups, usage
from server.storage.database import Transaction
from server.storage.usage import COUNTED, Predicate

ALL = 2**62
"""A moment after everything that was recorded (microseconds since 1970 UTC)."""
_HOUR = 3_600_000_000
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Up to which moments (microseconds since 1970 UTC, that one included) a report uses what was recorded: answers, which person is
    behind a Patient id, and who was enrolled where."""

    answers: int = ALL
    persons: int = ALL
    enrolments: int = ALL

    @classmethod
    def at(cls, moment: int | None) -> "Knowledge":
        """Everything as known at one moment; None: as known now."""
        return cls() if moment is None else cls(moment, moment, moment)


@dataclass(frozen=True, slots=True)
class Source:
    """What the ledger holds of the period: rows of every kind, the answers among them, a digest that names them, the days that were
    read from roll-ups, and those whose roll-up is stale (the ledger has other rows of them; they were read by row). ``contradicted``: what
    was wrong with figures made of roll-ups, which is why there are none; '' when nothing was."""

    rows: int
    answers: int
    digest: str
    rolled_up: tuple[str, ...]
    stale: tuple[str, ...]
    contradicted: str = ""


def gather(
    transaction: Transaction,
    zone: ZoneInfo,
    period: Period,
    definition: TransferDefinition,
    predicates: Sequence[Predicate],
    knowledge: Knowledge,
    tally: Tally,
    *,
    use_rollups: bool = True,
) -> Source:
    """Add all answers of a period to a tally.

    Raises RowsDroppedError when the definition needs rows that were dropped.
    """
    days = until(period.days, knowledge.answers)
    # A roll-up is of a whole day: not of one that is cut by what was known.
    whole = set(period.days)
    complete = [day for day in days if day in whole]
    usable, stale = _rolled_up(transaction, zone, complete) if use_rollups else ({}, ())
    is_read = {day.date.isoformat(): definition.from_rollups and day.date.isoformat() in usable for day in days}
    by_row = [day for day in days if not is_read[day.date.isoformat()]]
    _refuse_dropped(transaction, definition, by_row)
    by_row = _with_rows(transaction, by_row)
    has_rows = {day.date for day in by_row}
    with period_answers.working_table(transaction):
        insertion = period_answers.fill_from_rows(predicates, definition.told_apart_by)
        for low, high, date in in_order(by_row):
            transaction.execute(insertion, {"low": low, "high": high, "day": date})
        if definition.window_hours:
            _roll(transaction, by_row, predicates, definition.window_hours * _HOUR, tally.merged)
        from_rollups = [date for date, is_rolled_up in is_read.items() if is_rolled_up]
        answers = period_answers.by_patient(
            predicates, rows=bool(by_row), rolled=bool(from_rollups), detailed=not definition.is_app_day
        )
        tally.add_all(transaction.stream_computed(answers, {"days": from_rollups} if from_rollups else {}))
    held = [
        usable[date].of if date in usable else rollups.day_of_ledger(transaction, date, day.spans)
        for date, day in ((day.date.isoformat(), day) for day in days)
        if date in usable or day.date in has_rows
    ]
    return Source(
        rows=sum(day.rows for day in held),
        answers=sum(day.answers for day in held),
        digest=rollups.digest_of(day for day in held if day.rows),
        rolled_up=tuple(from_rollups),
        stale=stale,
    )


def _rolled_up(
    transaction: Transaction, zone: ZoneInfo, days: Sequence[LocalDay]
) -> tuple[dict[str, rollups.BuiltDay], tuple[str, ...]]:
    """The days that may be read from their roll-ups, and those whose roll-up is stale."""
    if not days:
        return {}, ()
    first, last = days[0].date.isoformat(), days[-1].date.isoformat()
    built = rollups.built_days(transaction, zone.key, first, last)
    dropped = rollups.dropped_before(transaction)
    there = [day for day in days if day.date.isoformat() in built and day.spans[0][0] >= dropped]
    counted = sum(transaction.scalar(usage.ledger_rows(), {"low": low, "high": high}) for low, high in merged(there))
    stale: list[str] = []
    if counted != sum(built[day.date.isoformat()].of.rows for day in there):
        stale = [
            day.date.isoformat()
            for day in there
            if rollups.has_other_rows(transaction, built[day.date.isoformat()], day.spans)
        ]
    return {date: day for date, day in built.items() if date not in stale}, tuple(stale)


def _refuse_dropped(transaction: Transaction, definition: TransferDefinition, by_row: Sequence[LocalDay]) -> None:
    dropped = rollups.dropped_before(transaction)
    missing = [day.date.isoformat() for day in by_row if day.spans[0][0] < dropped]
    if missing:
        raise rollups.RowsDroppedError(
            f"the ledger's rows of {missing[0]} to {missing[-1]} were dropped, being older than it is kept"
            + ("" if definition.from_rollups else f"; {definition.slug} needs rows, app-day and request do not")
        )


def _with_rows(transaction: Transaction, days: Sequence[LocalDay]) -> list[LocalDay]:
    """Those of the days of which the ledger holds a row: the others need not be asked for anything."""
    there: set[str] = set()
    spans = in_order(days)
    place = 0
    while place < len(spans):
        found = transaction.scalar(usage.FIRST_ROW, {"low": spans[place][0], "high": spans[-1][1]})
        if found is None:
            break
        while place < len(spans) and spans[place][1] <= found:
            place += 1
        if place < len(spans) and spans[place][0] <= found:
            there.add(spans[place][2])
            place += 1
    return [day for day in days if day.date.isoformat() in there]


def _roll(
    transaction: Transaction,
    days: Sequence[LocalDay],
    predicates: Sequence[Predicate],
    window: int,
    merged: Mapping[str, Person],
) -> None:
    """Put the answers that count in place again, each with the beginning of its occasion: row by row, in the order of time."""
    began: dict[tuple[str | Person, str], int] = {}
    statement = usage.counted_in_order(predicates)
    transaction.execute(period_answers.DELETE_COUNTED)
    for low, high, date in in_order(days):
        found: Counter[tuple[str, str, int]] = Counter()
        for row in transaction.stream(statement, {"low": low, "high": high}):
            pair = merged.get(row.patient, row.patient), row.client_id
            if pair not in began or row.at - began[pair] > window:
                began[pair] = row.at
            found[row.patient, row.client_id, began[pair]] += 1
        for rows in _portions(date, found):
            transaction.execute(period_answers.INSERT_ANSWERS, rows)


def _portions(date: str, found: Counter[tuple[str, str, int]]) -> Iterator[list[dict[str, object]]]:
    rows: list[dict[str, object]] = [
        {
            "outcome": COUNTED,
            "day": date,
            "patient": patient,
            "client_id": client_id,
            "occasion": str(start),
            "answers": answers,
        }
        for (patient, client_id, start), answers in found.items()
    ]
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
