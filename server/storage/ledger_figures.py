"""Figures of the ledger that are quick to ask for: its rows since a moment, and when it was anchored last.

Architecture, "One ledger"; over the index ``ledger_by_time``.
"""

from sqlalchemy import bindparam, func, select

from server.storage.database import Transaction
from server.storage.ledger import LEDGER
from server.storage.ledger_anchors import PERIOD

MOST_COUNTED = 1_000_000
_ROWS = select(func.count()).select_from(LEDGER).where(LEDGER.c.at >= bindparam("since"))
_BEHIND = select(LEDGER.c.at).where(LEDGER.c.at >= bindparam("since"))
_ROWS_BEHIND = select(func.count()).select_from(_BEHIND.limit(MOST_COUNTED).subquery())
_FIRST_BEHIND = _BEHIND.order_by(LEDGER.c.at).limit(1)
_ANCHORED_AT = select(func.max(PERIOD.c.anchored_at))


def rows_since(transaction: Transaction, moment: int) -> int:
    """How many rows of every kind were written since a moment (microseconds since 1970 UTC)."""
    return int(transaction.scalar(_ROWS, {"since": moment}) or 0)


def last_anchored_at(transaction: Transaction) -> int:
    """When the last period was anchored, which looks at every row of it; 0 if none was."""
    return int(transaction.scalar(_ANCHORED_AT) or 0)


def rows_behind(transaction: Transaction, moment: int) -> tuple[int, int]:
    """How many rows were written since a moment, counted up to a million, and when the first of them was (0: there is none)."""
    values = {"since": moment}
    return int(transaction.scalar(_ROWS_BEHIND, values) or 0), int(transaction.scalar(_FIRST_BEHIND, values) or 0)
