"""The ledger: one append-only row for every answer, grant, revocation, app decision and refusal, hash-chained per writer.

What it feeds: 42 CFR 422.119 usage metrics; how rows chain: each hash is SHA-256 over the previous hash and the row.
"""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from operator import itemgetter
from random import getrandbits
from time import perf_counter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import insert

from server import clock
from server.figures import LEDGER_FAILURES, Figures
from server.storage.database import Database, Transaction
from server.storage.schema import LedgerRow

LEDGER = LedgerRow.__table__  # type: ignore[attr-defined]
INSERT = insert(LEDGER)
COLUMNS = tuple(column.name for column in LEDGER.columns)
HASHED = itemgetter(*[name for name in COLUMNS if name != "hash"])
GENESIS = bytes(32)
DAY = 86_400_000_000
"""Microseconds."""


class LedgerEvent(NamedTuple):
    """One row to be. ``kind``: answer | grant | revocation | app | refusal | ledger; see ``schema.LedgerRow`` for the columns."""

    kind: str
    request_id: str = ""
    environment: str = "test"
    client_id: str = ""
    client_kind: str = ""
    grant_id: str = ""
    patient: str = ""
    actor: str = ""
    interaction: str = ""
    resource_type: str = ""
    status: int = 0
    resources: int = 0
    detail: str = ""


def new_request_id() -> str:
    """A request id: 12 hex digits of the millisecond, then 20 random ones, so that a row can be found by its time."""
    return f"{clock.now_microseconds() // 1000:012x}{getrandbits(80):020x}"


def chain_hash(previous: bytes, row: dict[str, Any]) -> bytes:
    """The hash of a ledger row (all columns but ``hash``) behind the previous row's hash."""
    return hash_behind(previous, HASHED(row))


def hash_behind(previous: bytes, values: tuple[Any, ...]) -> bytes:
    """The same, of the row's values in the order of the columns, without ``hash``."""
    return sha256(previous + orjson.dumps(values)).digest()


def _storable(text: str) -> str:
    """What a client sent, without what UTF-8 or PostgreSQL cannot hold: one request must not fail the others of its commit."""
    return text if text.isprintable() else text.encode(errors="replace").decode().replace("\0", "\ufffd")


class _Chain:
    """The state of one writer: nobody else writes under its name."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.writer = secrets.token_hex(8)
        self.sequence = 0
        self.hash = GENESIS
        self._day = 0

    def extend(self, event: LedgerEvent, at: int) -> dict[str, Any]:
        """The row for an event, as the next of the chain; where the clock was set back to an earlier UTC day, of a new chain: so the
        rows of a period that is anchored or dropped are always a piece of their chain without a gap."""
        day = at // DAY
        if day < self._day:
            self._begin()
        self._day = day
        row: dict[str, Any] = event._asdict()
        row["resource_type"], row["detail"] = _storable(event.resource_type), _storable(event.detail)
        row["writer"], row["sequence"], row["at"] = self.writer, self.sequence + 1, at
        row["hash"] = chain_hash(self.hash, row)
        self.sequence += 1
        self.hash = row["hash"]
        return row


class AnswerLedger:
    """The FHIR API's writer: requests running at the same time share a commit. One per process, used in its event loop."""

    def __init__(self, database: Database, figures: Figures | None = None) -> None:
        self._database = database
        self._figures = figures
        self._chain = _Chain()
        self._flushing: asyncio.Task[None] | None = None
        self._events: list[tuple[LedgerEvent, int, asyncio.Future[None]]] = []

    async def record(self, event: LedgerEvent) -> None:
        """Return when the row is committed. Raises DatabaseUnavailableError when it could not be; then it is not there."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._events.append((event, clock.now_microseconds(), done))
        if self._flushing is None:
            self._flushing = loop.create_task(self._flush())
        await done

    async def flushed(self) -> None:
        """Return when nothing waits for a commit."""
        if self._flushing is not None:
            await asyncio.wait((self._flushing,))

    async def _flush(self) -> None:
        try:
            while self._events:
                # As long as a turn of the event loop brings more requests, they join this commit.
                joined = 0
                while joined < len(self._events) < 64:
                    joined = len(self._events)
                    await asyncio.sleep(0)
                await self._commit()
        finally:
            self._flushing = None

    async def _commit(self) -> None:
        began = perf_counter()
        events: list[tuple[LedgerEvent, int, asyncio.Future[None]]] = []

        def rows() -> list[dict[str, Any]]:
            """Those of all events so far: what came while the commit waited for another worker's goes along."""
            events.extend(self._events)
            self._events.clear()
            return [self._chain.extend(event, at) for event, at, _ in events]

        try:
            await self._database.write(INSERT, rows)
        except BaseException as error:
            if not events:  # the commit did not come to its rows
                events, self._events = self._events, []
            if self._figures is not None:
                self._figures.add(LEDGER_FAILURES, amount=len(events))
            # Whether an interrupted commit took place is unknown: nothing may be chained behind it.
            self._chain = _Chain()
            for _, _, done in events:
                if not done.done():
                    done.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for _, _, done in events:
            if not done.done():
                done.set_result(None)
        if self._figures is not None:
            self._figures.committed(len(events), perf_counter() - began)


class EventLedger:
    """The authorization server's and the commands' writer: rows commit in the same transaction as what they record.

    Transactions run side by side, but for the moment in which one that recorded something writes its rows and commits: so the chain has
    one order, and a transaction that holds the chain waits for nothing else. SQLite has one writer at a time anyhow; there the
    threads of a process wait for each other here, where it costs nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chain = _Chain()
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator["RecordingTransaction"]:
        """A transaction that can also ``record`` events; the chain moves only if it commits."""
        with ExitStack() as held:  # until the commit
            if self._database.is_sqlite:
                held.enter_context(self._lock)
            extended = False
            try:
                with self._database.transaction() as transaction:
                    recording = RecordingTransaction(transaction)
                    yield recording
                    if recording.events:
                        held.enter_context(self._lock)
                        now = clock.now_microseconds()
                        extended = True
                        transaction.execute(INSERT, [self._chain.extend(event, now) for event in recording.events])
            except BaseException:
                if extended:
                    # Whether an interrupted commit took place is unknown: nothing may be chained behind it.
                    self._chain = _Chain()
                raise


class RecordingTransaction(Transaction):
    """A transaction with a ``record`` beside its statements."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction.connection)
        self.events: list[LedgerEvent] = []

    def record(self, event: LedgerEvent) -> None:
        """Write one ledger row as part of this transaction: as its last statement, in the order in which events are recorded."""
        self.events.append(event)
