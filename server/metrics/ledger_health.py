"""The ledger's health: what is broken in its chains, anchors and roll-ups, and how far it is anchored and rolled up.

Architecture, "One ledger". ``breaks`` reads every row; ``health`` is quick enough for a page or a gauge.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from server import clock
from server.metrics.local_days import LocalDay, local_days
from server.settings import Settings
from server.storage import anchors_file, rollups
from server.storage.database import Transaction
from server.storage.ledger_anchors import Anchored, Period, first_and_last_row, periods, rows_in_chain_order
from server.storage.ledger_retention import dropped_too_early
from server.storage.ledger_verification import breaks as breaks_of_rows
from server.storage.ledger_verification import breaks_of_periods, differences
from server.storage.rollups import SAFETY


@dataclass(frozen=True, slots=True)
class LedgerHealth:
    """Moments are microseconds since 1970 UTC, 0 where there is none; days are ISO dates.

    ``anchored_until``: the end of the last period that is anchored; ``dropped_before``: rows older than this were dropped by retention.
    ``days`` are over and have rows; ``days_not_rolled_up`` of them await ``ledger roll-up``, the oldest is ``oldest_not_rolled_up`` or ''.
    """

    anchored_until: int
    dropped_before: int
    days: int
    days_not_rolled_up: int
    oldest_not_rolled_up: str


def health(transaction: Transaction, settings: Settings) -> LedgerHealth:
    """How far the ledger is anchored and rolled up; says nothing of whether its chains are whole."""
    days = [day.date.isoformat() for day in ledger_days(transaction, settings)]
    built = rollups.built_days(transaction, settings.payer_time_zone, days[0], days[-1]) if days else {}
    missing = [day for day in days if day not in built]
    return LedgerHealth(
        anchored_until=rollups.anchored_until(transaction),
        dropped_before=rollups.dropped_before(transaction),
        days=len(days),
        days_not_rolled_up=len(missing),
        oldest_not_rolled_up=missing[0] if missing else "",
    )


def ledger_days(transaction: Transaction, settings: Settings) -> Iterator[LocalDay]:
    """The local days from that of the ledger's first row to that of its last, as far as they have been over for an hour."""
    bounds, over = first_and_last_row(transaction), clock.now_microseconds() - SAFETY
    if bounds is None:
        return
    first, last = bounds
    zone = settings.time_zone
    first_year, last_year = (clock.from_microseconds(at).astimezone(zone).year for at in bounds)
    for year in range(first_year, last_year + 1):
        for day in local_days(zone, year):
            if day.spans[-1][1] > first and day.spans[0][0] <= last and day.spans[-1][1] <= over:
                yield day


def breaks(transaction: Transaction, settings: Settings, anchors: Path | None = None) -> Iterator[str]:
    """Everything that is wrong with the ledger, its anchors and its roll-ups: a sentence each, one by one. ``anchors``: a file that was
    kept outside of the database, which then goes before what the database says of itself. Raises OSError if it cannot be read."""
    found = list(periods(transaction))
    yield from breaks_of_periods(found)
    yield from dropped_too_early(found, settings.ledger_retention_years)
    kept: list[Period] = []
    if anchors is not None:
        try:
            kept = anchors_file.read(anchors)
        except anchors_file.AnchorsFileError as error:
            yield str(error)
        yield from breaks_of_periods(kept)
        yield from differences(kept, found)
    anchored = Anchored(_joined(kept, found))
    yield from breaks_of_rows(transaction.stream(rows_in_chain_order(anchored.dropped_before)), anchored)
    yield from _breaks_of_rollups(transaction, settings, anchored.dropped_before)


def _joined(kept: list[Period], found: list[Period]) -> list[Period]:
    """What was kept outside goes before what the database says; only that rows were dropped is told by the database alone."""
    own = {period.starts: period.dropped_at for period in found}
    until = kept[-1].ends if kept else 0
    known = [replace(period, dropped_at=own.get(period.starts)) for period in kept]
    return [*known, *(period for period in found if period.starts >= until)]


def _breaks_of_rollups(transaction: Transaction, settings: Settings, dropped_before: int) -> Iterator[str]:
    days = [day for day in ledger_days(transaction, settings) if day.spans[0][0] >= dropped_before]
    if not days:
        return
    first, last = days[0].date.isoformat(), days[-1].date.isoformat()
    built = rollups.built_days(transaction, settings.payer_time_zone, first, last)
    for day in days:
        one = built.get(day.date.isoformat())
        if one is not None and not rollups.is_as_built(transaction, one, day.spans):
            yield f"roll-up of {day.date}: the rows give another; build it anew with: ledger roll-up --rebuild --day {day.date}"
