"""Anchors of the ledger: where every chain stood at the end of a period, and the digest that chains the periods themselves.

Architecture, "One ledger": anchors can be copied outside the database, so that old periods can be dropped and a cut tail is noticed.
The tables: ``report_schema.LedgerPeriod`` and ``LedgerAnchor``.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, func, insert, select
from sqlalchemy.exc import IntegrityError

from server import clock
from server.storage.database import Transaction
from server.storage.ledger import DAY, GENESIS, LEDGER, hash_behind
from server.storage.ledger_partitions import Month
from server.storage.report_schema import LedgerAnchor, LedgerPeriod

PERIOD = LedgerPeriod.__table__  # type: ignore[attr-defined]
ANCHOR = LedgerAnchor.__table__  # type: ignore[attr-defined]


class BrokenChainError(Exception):
    """Rows that are to be anchored are not as they were written."""


class AnchoredMeanwhileError(Exception):
    """Somebody else has anchored the same period since it was found unanchored."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a writer's chain stood: its rows ``first`` to ``last`` lie in the period, ``hash`` is that of the last."""

    writer: str
    first: int
    last: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Period:
    """An anchored period [starts, ends), microseconds since 1970 UTC, with the anchors of its writers in the order of their names."""

    starts: int
    ends: int
    digest: bytes
    anchored_at: int
    dropped_at: int | None
    anchors: tuple[Anchor, ...]

    def __str__(self) -> str:
        return f"{date(self.starts)} to before {date(self.ends)}"

    @property
    def rows(self) -> int:
        """How many rows it has, or had before it was dropped."""
        return sum(anchor.last - anchor.first + 1 for anchor in self.anchors)

    def digest_behind(self, previous: bytes) -> bytes:
        """SHA-256 over the digest of the period before it (32 zero bytes before the first) and a line for itself and each anchor."""
        digest = sha256(previous + f"{self.starts} {self.ends}\n".encode())
        for anchor in self.anchors:
            digest.update(f"{anchor.writer} {anchor.first} {anchor.last} {anchor.hash.hex()}\n".encode())
        return digest.digest()


class Anchored:
    """The anchored periods, in order, as what rows are compared with. Held in memory: an entry per period and writer."""

    def __init__(self, periods: Iterable[Period] = ()) -> None:
        self.periods = list(periods)
        self.starts = [period.starts for period in self.periods]
        self.of_writer: dict[str, dict[int, Anchor]] = {}
        for period in self.periods:
            for anchor in period.anchors:
                self.of_writer.setdefault(anchor.writer, {})[period.starts] = anchor
        self.until = self.periods[-1].ends if self.periods else 0
        self.dropped_before = max((period.ends for period in self.periods if period.dropped_at is not None), default=0)

    def period(self, at: int) -> Period | None:
        """The period of a moment; None before the first and after the last."""
        place = bisect_right(self.starts, at) - 1
        return self.periods[place] if place >= 0 and at < self.periods[place].ends else None


def date(at: int) -> str:
    """The UTC date of a moment."""
    return clock.from_microseconds(at).date().isoformat()


def periods(transaction: Transaction) -> Iterator[Period]:
    """The anchored periods of the database, the oldest first."""
    anchors = select(PERIOD, ANCHOR.c.writer, ANCHOR.c.first, ANCHOR.c.last, ANCHOR.c.hash)
    joined = anchors.outerjoin(ANCHOR, ANCHOR.c.starts == PERIOD.c.starts).order_by(PERIOD.c.starts, ANCHOR.c.writer)
    for _, rows in groupby(transaction.stream(joined), key=lambda row: row.starts):
        found = list(rows)
        own = found[0]
        held = tuple(Anchor(row.writer, row.first, row.last, row.hash) for row in found if row.writer is not None)
        yield Period(own.starts, own.ends, own.digest, own.anchored_at, own.dropped_at, held)


def rows_in_chain_order(low: int = 0, high: int | None = None) -> Select[Any]:
    """Every ledger row of [low, high) in the order of chains: writer, sequence, time."""
    rows = select(LEDGER).order_by(LEDGER.c.writer, LEDGER.c.sequence, LEDGER.c.at)
    if low:
        rows = rows.where(LEDGER.c.at >= low)
    return rows if high is None else rows.where(LEDGER.c.at < high)


def unanchored(transaction: Transaction, until: int) -> list[Period]:
    """What is not anchored yet, up to a moment at which a UTC day begins, as periods, none of which crosses a month's end: to be kept
    with ``keep``. Only reads, because that may take long.

    Checks the chains of those rows on the way: raises BrokenChainError rather than to anchor what is not what was written.
    """
    last = transaction.first(select(PERIOD.c.ends, PERIOD.c.digest).order_by(PERIOD.c.starts.desc()).limit(1))
    if last is None:
        first_row = transaction.scalar(select(func.min(LEDGER.c.at)))
        starts, digest = (until if first_row is None else first_row // DAY * DAY), GENESIS
    else:
        starts, digest = last.ends, last.digest
    heads = {row.writer: (row.last, row.hash) for row in transaction.stream(_heads())}
    made: list[Period] = []
    while starts < until:
        ends = min(until, Month.of(starts).ends)
        rows = transaction.stream(rows_in_chain_order(starts, ends))
        anchors = tuple(_anchor(writer, own, heads) for writer, own in groupby(rows, key=lambda row: str(row.writer)))
        unsealed = Period(starts, ends, b"", clock.now_microseconds(), None, anchors)
        starts, digest = ends, unsealed.digest_behind(digest)
        made.append(replace(unsealed, digest=digest))
    return made


def _heads() -> Select[Any]:
    """The last anchor of every writer: (writer, last, hash)."""
    latest = select(ANCHOR.c.writer, func.max(ANCHOR.c.last).label("last")).group_by(ANCHOR.c.writer).subquery()
    same = (ANCHOR.c.writer == latest.c.writer) & (ANCHOR.c.last == latest.c.last)
    return select(ANCHOR.c.writer, ANCHOR.c.last, ANCHOR.c.hash).join(latest, same)


def _anchor(writer: str, rows: Iterable[Row[Any]], heads: dict[str, tuple[int, bytes]]) -> Anchor:
    """The anchor of a writer's rows of a period, behind the writer's head, which moves on; raises BrokenChainError."""
    sequence, hash = heads.get(writer, (0, GENESIS))
    first = sequence + 1
    for row in rows:
        sequence += 1
        if row.sequence != sequence or row.hash != hash_behind(hash, tuple(row)[:-1]):
            raise BrokenChainError(
                f"writer {writer}: row {row.sequence} is not what follows row {sequence - 1}; nothing was anchored;"
                " see what is wrong with: patient-access ledger verify"
            )
        hash = row.hash
    heads[writer] = sequence, hash
    return Anchor(writer, first, sequence, hash)


def keep(transaction: Transaction, made: Iterable[Period]) -> None:
    """Store periods that ``unanchored`` found. Raises AnchoredMeanwhileError; then the transaction must not be committed."""
    try:
        _insert(transaction, made)
    except IntegrityError as error:
        raise AnchoredMeanwhileError(
            "somebody else has anchored the ledger in this very moment; nothing is lost"
        ) from error


def _insert(transaction: Transaction, made: Iterable[Period]) -> None:
    for period in made:
        row = {
            "starts": period.starts,
            "ends": period.ends,
            "rows": period.rows,
            "writers": len(period.anchors),
            "digest": period.digest,
            "anchored_at": period.anchored_at,
            "dropped_at": None,
        }
        transaction.execute(insert(PERIOD), row)
        if period.anchors:
            one_by_one = [{"starts": period.starts, **asdict(anchor)} for anchor in period.anchors]
            transaction.execute(insert(ANCHOR), one_by_one)


def first_and_last_row(transaction: Transaction) -> tuple[int, int] | None:
    """When the ledger's first and last rows were written; None without any."""
    first = transaction.scalar(select(func.min(LEDGER.c.at)))
    return None if first is None else (first, transaction.scalar(select(func.max(LEDGER.c.at))))


def extent(transaction: Transaction) -> tuple[int, int]:
    """How many rows the ledger has, and by how many writers."""
    writers = func.count(LEDGER.c.writer.distinct())
    row = transaction.first(select(func.count().label("rows"), writers.label("writers")).select_from(LEDGER))
    assert row is not None
    return row.rows, row.writers
