"""Verification of the ledger: its chains recomputed from its rows, and compared with anchors.

What a chain alone shows: a row that was changed, deleted, moved or put in. What only an anchor shows: a tail that was cut off, a
writer that is gone or was made up, a chain written anew from its first row. https://www.rfc-editor.org/rfc/rfc6962 is the idea's best known use.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row

from server import clock
from server.storage.ledger import GENESIS, hash_behind
from server.storage.ledger_anchors import Anchor, Anchored, Period

NOTHING = Anchored()


def breaks(rows: Iterable[Row[Any]], anchored: Anchored = NOTHING) -> Iterator[str]:
    """Recompute the chains of rows that come in chain order (``ledger_anchors.rows_in_chain_order``): a sentence for each break,
    naming its place. Behind a break the chain is followed on, so that one break hides no other. Rows are never held.

    Rows of dropped periods are left out; there the chains begin at their anchors.
    """
    seen: set[str] = set()
    for writer, chain in groupby(rows, key=attrgetter("writer")):
        seen.add(writer)
        yield from _of_writer(writer, chain, anchored)
    for writer in sorted(anchored.of_writer.keys() - seen):
        yield from _Chain(writer, anchored).end()


def verify(rows: Iterable[Row[Any]], anchored: Anchored = NOTHING) -> list[str]:
    """All ``breaks``; none: every row is what was written."""
    return list(breaks(rows, anchored))


def _of_writer(writer: str, rows: Iterable[Row[Any]], anchored: Anchored) -> Iterator[str]:
    chain = _Chain(writer, anchored)
    for row in rows:
        if row.at >= anchored.dropped_before:
            yield from chain.follow(row)
    yield from chain.end()


class _Chain:
    """One writer's chain, followed row by row."""

    def __init__(self, writer: str, anchored: Anchored) -> None:
        self._writer = writer
        self._anchored = anchored
        self._own = anchored.of_writer.get(writer, {})
        self._period: Period | None = None
        self._anchor: Anchor | None = None
        self._met: set[int] = set()
        """The periods whose last row of this writer came by."""
        self._sequence = 0
        self._hashes: tuple[bytes, ...] = (GENESIS,)
        for starts, anchor in self._own.items():
            if starts < anchored.dropped_before:
                self._sequence, self._hashes = anchor.last, (anchor.hash,)
                self._met.add(starts)

    def follow(self, row: Row[Any]) -> Iterator[str]:
        """What is wrong with the next row."""
        yield from self._link(row)
        if row.at < self._anchored.until:
            yield from self._compare(row)

    def _link(self, row: Row[Any]) -> Iterator[str]:
        """Whether it follows the row before it; only where it does not is its place put into words."""
        expected = self._sequence + 1
        if row.sequence > expected:
            missing = (
                f"row {expected} is" if row.sequence == expected + 1 else f"rows {expected} to {row.sequence - 1} are"
            )
            yield f"writer {self._writer}: {missing} missing; {self._place(row)} stands there instead"
        elif row.sequence < expected:
            yield f"writer {self._writer}: {self._place(row)} comes after row {self._sequence}"
        elif row.hash not in (followed := [hash_behind(hash, tuple(row)[:-1]) for hash in self._hashes]):
            yield f"writer {self._writer}: {self._place(row)} is not what was written"
            # Whether the row was changed or its hash is told by the row behind it.
            self._hashes = row.hash, followed[0]
            self._sequence = row.sequence
            return
        self._hashes = (row.hash,)
        self._sequence = row.sequence

    def _compare(self, row: Row[Any]) -> Iterator[str]:
        period = self._period
        if period is None or not period.starts <= row.at < period.ends:
            period = self._period = self._anchored.period(row.at)
            self._anchor = self._own.get(period.starts) if period is not None else None
        anchor = self._anchor
        if period is None:
            yield f"writer {self._writer}: {self._place(row)} is older than the first period that was anchored"
        elif anchor is None or not anchor.first <= row.sequence <= anchor.last:
            yield f"writer {self._writer}: {self._place(row)} is not among the rows anchored for {period}"
        elif row.sequence == anchor.last:
            self._met.add(period.starts)
            if row.hash != anchor.hash:
                yield f"writer {self._writer}: {self._place(row)} is not the row anchored as the last of {period}"

    def end(self) -> Iterator[str]:
        """What is missing behind the last row."""
        for starts, anchor in self._own.items():
            if starts not in self._met:
                period = self._anchored.period(starts)
                yield (
                    f"writer {self._writer}: row {anchor.last}, anchored as the last of {period}, is missing;"
                    f" the last row there is {self._sequence or 'none'}"
                )

    @staticmethod
    def _place(row: Row[Any]) -> str:
        return f"row {row.sequence} ({row.kind} {row.request_id} at {clock.instant(row.at)})"


def breaks_of_periods(periods: Iterable[Period]) -> Iterator[str]:
    """What is wrong with anchors themselves: periods that do not follow each other, or whose digest is not that of their anchors."""
    previous, ends = GENESIS, None
    for period in periods:
        if ends is not None and period.starts != ends:
            yield f"anchors of {period}: a period before it is missing"
        elif period.digest_behind(previous) != period.digest:
            yield f"anchors of {period}: they are not what was anchored"
        previous, ends = period.digest, period.ends


def differences(kept: Iterable[Period], found: Iterable[Period]) -> Iterator[str]:
    """How the anchors of the database (``found``) differ from those that were ``kept`` outside of it."""
    there = {period.starts: period for period in found}
    for period in kept:
        own = there.get(period.starts)
        if own is None or own.ends != period.ends:
            yield f"anchors of {period}: the database does not have this period"
        elif (own.digest, own.anchors) != (period.digest, period.anchors):
            yield f"anchors of {period}: those of the database are not those kept outside"
