"""Ledgers to test with: chains of several writers over several days, with the clock standing where each row says."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert

from server.storage.database import Database
from server.storage.ledger import DAY, LEDGER, LedgerEvent, _Chain
from server.storage.ledger_anchors import rows_in_chain_order

HOUR = DAY // 24


def chain(moments: Sequence[int], **columns: Any) -> list[dict[str, Any]]:
    """One writer's rows at these moments: answers, whose columns can be replaced."""
    writer = _Chain()
    answer: dict[str, Any] = {
        "client_id": "app",
        "client_kind": "third-party",
        "grant_id": "g",
        "patient": "anna",
        "status": 200,
    }
    answer |= {"environment": "production", "resources": 1, "interaction": "read"} | columns
    return [
        writer.extend(LedgerEvent("answer", request_id=f"{writer.writer[:6]}-{number}", **answer), at)
        for number, at in enumerate(moments, start=1)
    ]


def write(database: Database, *chains: Sequence[dict[str, Any]]) -> None:
    """Put rows into the ledger."""
    with database.transaction() as transaction:
        transaction.execute(insert(LEDGER), [row for rows in chains for row in rows])


def all_rows(database: Database) -> Sequence[Row[Any]]:
    """The ledger in chain order."""
    with database.reading() as transaction:
        return transaction.all(rows_in_chain_order())
