"""Two who anchor the ledger at the same time: the second is told so, and nothing is anchored twice.

Architecture, "One ledger": a period is anchored once.
"""

from datetime import UTC, datetime

import pytest

from server import clock
from server.storage.database import Database
from server.storage.ledger import DAY
from server.storage.ledger_anchors import AnchoredMeanwhileError, keep, periods, unanchored
from tests.storage.ledgers import HOUR, chain, write

START = clock.to_microseconds(datetime(2026, 10, 5, tzinfo=UTC))


def test_who_comes_second_is_told_and_changes_nothing(database: Database) -> None:
    write(database, chain([START + HOUR, START + 2 * HOUR]))
    with database.reading() as transaction:
        found_by_both = list(unanchored(transaction, START + DAY))
    with database.transaction() as transaction:
        keep(transaction, found_by_both)
    with pytest.raises(AnchoredMeanwhileError, match="nothing is lost"), database.transaction() as transaction:
        keep(transaction, found_by_both)
    with database.reading() as transaction:
        assert len(list(periods(transaction))) == len(found_by_both) == 1
