"""How far the ledger is anchored and rolled up, as a page or a gauge tells it.

Architecture, "One ledger"; what is broken in it: tests/storage/test_ledger_tampering.py.
"""

from datetime import UTC, datetime

from server import clock
from server.metrics.ledger_health import LedgerHealth, health, ledger_days
from server.settings import Settings
from server.storage import rollups
from server.storage.database import Database
from server.storage.ledger import DAY
from server.storage.ledger_anchors import keep, unanchored
from tests.storage.ledgers import HOUR, chain, write

START = clock.to_microseconds(datetime(2026, 10, 30, 4, tzinfo=UTC))
"""Midnight of the payer, in New York."""


def of(database: Database, settings: Settings, now: int) -> LedgerHealth:
    with clock.set_to(clock.from_microseconds(now)), database.reading() as transaction:
        return health(transaction, settings)


def test_an_empty_ledger_has_nothing_to_do(database: Database, settings: Settings) -> None:
    assert of(database, settings, START) == LedgerHealth(0, 0, 0, 0, "")


def test_days_are_those_from_the_first_row_to_the_last_that_are_over(database: Database, settings: Settings) -> None:
    write(database, chain([START + 5 * HOUR, START + 3 * DAY + 5 * HOUR]))
    after_three_days = START + 3 * DAY + HOUR  # the third is 25 hours long: clocks go back
    assert of(database, settings, START + 23 * HOUR).days == 0
    assert of(database, settings, START + DAY + HOUR - 1).days == 0
    assert of(database, settings, START + DAY + HOUR).days == 1
    assert of(database, settings, after_three_days).days == 2
    assert of(database, settings, after_three_days + HOUR).days == 3
    assert of(database, settings, START + 30 * DAY).days == 4, "days without rows behind the last row wait for one"


def test_what_is_rolled_up_and_anchored_is_told(database: Database, settings: Settings) -> None:
    write(database, chain([START + 2 * HOUR + day * DAY for day in range(4)]))
    now = START + 10 * DAY
    assert of(database, settings, now) == LedgerHealth(0, 0, 4, 4, "2026-10-30")
    with clock.set_to(clock.from_microseconds(now)):
        with database.reading() as transaction:
            days = list(ledger_days(transaction, settings))
        for day in (days[0], days[2]):
            with database.transaction() as transaction:
                rollups.build(transaction, day.date.isoformat(), day.spans, settings.payer_time_zone)
        until = START // DAY * DAY + 2 * DAY  # of whole UTC days
        with database.transaction() as transaction:
            keep(transaction, unanchored(transaction, until))
    assert of(database, settings, now) == LedgerHealth(until, 0, 4, 2, "2026-10-31")
    elsewhere = settings.model_copy(update={"payer_time_zone": "UTC"})
    assert of(database, elsewhere, now).days_not_rolled_up == 4
