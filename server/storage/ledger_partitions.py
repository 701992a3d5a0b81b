"""The ledger's months: calendar months in UTC, each a partition on PostgreSQL; SQLite keeps one table.

https://www.postgresql.org/docs/current/ddl-partitioning.html - a DEFAULT partition (``ledger_rest``) takes what no month takes, so that
no row is ever refused for want of a partition.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.clock import from_microseconds, now_microseconds, to_microseconds
from server.storage.database import Database, DatabaseUnavailableError, Transaction

logger = logging.getLogger(__name__)

AHEAD = 2
"""Months after the current one whose partitions are made in advance."""
HOURS = 6
"""After how many hours a server looks again whether partitions are missing."""
_LOCK = 0x6C656467657270


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, at: int) -> "Month":
        """The month of a moment (microseconds since 1970 UTC)."""
        moment = from_microseconds(at)
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, written: str) -> "Month":
        """``YYYY-MM``. Raises ValueError for anything else."""
        if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", written) is None or not 1971 <= int(written[:4]) <= 9998:
            raise ValueError(f"a month is written YYYY-MM, not {written!r}")
        return cls(int(written[:4]), int(written[5:]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def starts(self) -> int:
        """Its first microsecond."""
        return to_microseconds(datetime(self.year, self.month, 1, tzinfo=UTC))

    @property
    def ends(self) -> int:
        """The first microsecond after it."""
        return self.plus(1).starts

    @property
    def partition(self) -> str:
        """The name of its partition."""
        return f"ledger_{self.year:04d}_{self.month:02d}"

    def plus(self, months: int) -> "Month":
        """The month so many later (earlier, if negative)."""
        number = self.year * 12 + self.month - 1 + months
        return Month(number // 12, number % 12 + 1)


def partitions(transaction: Transaction) -> set[str]:
    """The names of the ledger's partitions; none on SQLite."""
    if transaction.connection.dialect.name == "sqlite":
        return set()
    rows = transaction.all(
        text(
            "SELECT part.relname FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid"
            " WHERE inhparent = 'ledger'::regclass"
        )
    )
    return {row.relname for row in rows}


def ensure(transaction: Transaction, now: int) -> list[str]:
    """Make the partitions that are missing: of the month of ``now`` and of AHEAD months after it; the names of those made.

    Rows that the DEFAULT partition took in for want of them move there. Who writes meanwhile waits for this transaction, and
    only while a partition is attached: a table is made beside the ledger and then attached, which locks less than making it inside.
    """
    months = [Month.of(now).plus(ahead) for ahead in range(AHEAD + 1)]
    if transaction.connection.dialect.name == "sqlite" or not _missing(transaction, months):
        return []
    transaction.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    missing = _missing(transaction, months)  # another process may have been quicker
    for month in missing:
        _make(transaction, month)
    return [month.partition for month in missing]


async def keep_ahead(database: Database) -> None:
    """Make missing partitions now and every HOURS hours, until cancelled: a server's own task on PostgreSQL. What cannot be made is
    logged, and no more: the DEFAULT partition takes the rows meanwhile."""
    while True:
        try:
            await asyncio.to_thread(_ensure_now, database)
        except (DatabaseUnavailableError, DBAPIError) as error:
            logger.warning("the ledger's partitions cannot be made, patient-access migrate may: %s", error)
        await asyncio.sleep(HOURS * 3600)


def _ensure_now(database: Database) -> None:
    with database.transaction() as transaction:
        for name in ensure(transaction, now_microseconds()):
            logger.info("made the partition %s", name)


def _missing(transaction: Transaction, months: list[Month]) -> list[Month]:
    known = partitions(transaction)
    return [month for month in months if month.partition not in known]


def _make(transaction: Transaction, month: Month) -> None:
    bounds = {"low": month.starts, "high": month.ends}
    name = month.partition
    transaction.execute(text(f"CREATE TABLE {name} (LIKE ledger INCLUDING ALL)"))
    # From here to the commit no row may come into the DEFAULT partition, or one of this month could be left there.
    transaction.execute(text("LOCK TABLE ledger_rest IN ACCESS EXCLUSIVE MODE"))
    move = (  # the name is made of two numbers
        "WITH moved AS (DELETE FROM ledger_rest WHERE at >= :low AND at < :high RETURNING *)"  # noqa: S608
        f" INSERT INTO {name} SELECT * FROM moved"
    )
    transaction.execute(text(move), bounds)
    transaction.execute(
        text(f"ALTER TABLE ledger ATTACH PARTITION {name} FOR VALUES FROM ({bounds['low']}) TO ({bounds['high']})")
    )


def drop(transaction: Transaction, month: Month) -> None:
    """Delete a month's rows on PostgreSQL by dropping its partition, and those that the DEFAULT partition holds of it. Raises
    DatabaseUnavailableError when somebody reads the ledger for long: answers wait behind us, so we do not wait long."""
    transaction.execute(text("SET LOCAL lock_timeout = '2s'"))
    transaction.execute(text(f"DROP TABLE IF EXISTS {month.partition}"))
    transaction.execute(
        text("DELETE FROM ledger_rest WHERE at >= :low AND at < :high"), {"low": month.starts, "high": month.ends}
    )
