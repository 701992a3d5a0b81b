"""Retention: whole months of the ledger are deleted when they are old enough, anchored and rolled up, and never otherwise.

45 CFR 164.316 keeps documentation for six years, the default here; on PostgreSQL a month is a partition that is dropped.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update

from server import clock
from server.storage import ledger_partitions, rollups
from server.storage.database import Database, Transaction
from server.storage.ledger import LEDGER, EventLedger, LedgerEvent, new_request_id
from server.storage.ledger_anchors import PERIOD, Period
from server.storage.ledger_partitions import Month

_AT_A_TIME = 3_600_000_000
"""SQLite deletes an hour's rows in a transaction, so that answers need not wait long for it."""
Days = Sequence[tuple[str, rollups.Spans]]
"""Local days: ISO date and spans."""


def kept_from(now: int, years: int) -> Month:
    """The first month that is still kept: the current month, so many years ago."""
    return Month.of(now).plus(-12 * years)


def months_to_drop(transaction: Transaction, before: Month) -> list[Month]:
    """The months before one that hold rows of the ledger or of dropped periods not deleted yet, the oldest first."""
    first = transaction.scalar(select(func.min(LEDGER.c.at)))
    months: list[Month] = []
    if first is not None:
        month = Month.of(first)
        while month < before:
            months.append(month)
            month = month.plus(1)
    return months


def hindrances(transaction: Transaction, month: Month, days: Days, time_zone: str) -> list[str]:
    """Why a month may not be dropped, in words. ``days``: the local days that have a part in it."""
    if transaction.scalar(select(func.max(PERIOD.c.ends))) is None or not _is_anchored(transaction, month):
        return [f"{month} is not anchored to its end; anchor it with: patient-access ledger anchor --month {month}"]
    dropped_before = rollups.dropped_before(transaction)
    if month.ends <= dropped_before:
        return []  # begun before, and to be finished
    found = []
    built = rollups.built_days(transaction, time_zone, days[0][0], days[-1][0])
    for day, spans in days:
        if day not in built:
            found.append(f"{day} is not rolled up; do so with: patient-access ledger roll-up --month {day[:7]}")
        elif spans[0][0] >= dropped_before and not rollups.is_as_built(transaction, built[day], spans):
            found.append(
                f"{day} has other rows than were rolled up; do so with: patient-access ledger roll-up --day {day}"
            )
    return found


def _is_anchored(transaction: Transaction, month: Month) -> bool:
    ends = transaction.scalar(select(func.max(PERIOD.c.ends)))
    starts = transaction.scalar(select(func.min(PERIOD.c.starts)))
    first = transaction.scalar(select(func.min(LEDGER.c.at)).where(LEDGER.c.at < month.ends))
    return bool(ends >= month.ends and (first is None or starts <= first))


def drop(database: Database, ledger: EventLedger, month: Month, environment: str) -> int:
    """Delete a month's rows, for which ``hindrances`` found nothing; how many they were. The ledger records it. Raises
    DatabaseUnavailableError when somebody else uses the ledger for longer than a moment."""
    rows = 0
    with ledger.transaction() as transaction:
        now = clock.now_microseconds()
        waiting = PERIOD.c.starts >= month.starts, PERIOD.c.ends <= month.ends, PERIOD.c.dropped_at.is_(None)
        rows = int(transaction.scalar(select(func.coalesce(func.sum(PERIOD.c.rows), 0)).where(*waiting)))
        marked = transaction.execute(update(PERIOD).where(*waiting).values(dropped_at=now))
        if marked:
            transaction.record(
                LedgerEvent(
                    kind="ledger",
                    request_id=new_request_id(),
                    environment=environment,
                    interaction="drop",
                    detail=f"{month}, {rows} rows",
                )
            )
        if not database.is_sqlite:
            ledger_partitions.drop(transaction, month)
    if database.is_sqlite:
        _delete_by_the_hour(database, month)
    return rows


def _delete_by_the_hour(database: Database, month: Month) -> None:
    for low in range(month.starts, month.ends, _AT_A_TIME):
        with database.transaction() as transaction:
            transaction.execute(delete(LEDGER).where(LEDGER.c.at >= low, LEDGER.c.at < low + _AT_A_TIME))


def dropped_too_early(periods: Sequence[Period], years: int) -> list[str]:
    """A sentence for each period that was dropped before it was as old as the ledger is kept."""
    return [
        f"the rows of {period} were dropped at {clock.instant(period.dropped_at)}, before they were {years} years old"
        for period in periods
        if period.dropped_at is not None and Month.of(period.starts) >= kept_from(period.dropped_at, years)
    ]
