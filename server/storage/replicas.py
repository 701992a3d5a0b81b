"""Where records are read: at a replica that has every load the request must see, or else at the primary.

https://www.postgresql.org/docs/current/hot-standby.html - records change by loads alone, and the load clock is written with them: a replica
whose clock has come to where the primary's stood when the token was checked answers what the primary would have answered then, however
far behind it is in anything else. Tokens, grants, permits and the ledger are never asked of a replica.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol
from zlib import crc32

import asyncpg
from sqlalchemy import Executable

from server.storage.compiled import Compiler, Values
from server.storage.connections import Connections, ConnectionsBusyError

Record = Sequence[Any]
ANSWER_SECONDS = 3.0
"""How long a replica may take to answer, and to accept a connection; then the primary is asked."""
REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 30.0
"""How long a replica that failed is left alone, twice as long each time."""
BEHIND_SECONDS = 0.05
"""How long a replica that was behind is not asked again, on the same connection, whether it has caught up."""
_STANDING = "SELECT (SELECT loaded_at FROM load_clock), pg_postmaster_start_time()"
_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionsBusyError)
_LOG = logging.getLogger(__name__)


class Records(Protocol):
    """What records are read from: the primary, or what one request reads of replicas."""

    async def fetch(self, statement: Executable, values: Values) -> Sequence[Record]:
        """All rows."""

    async def fetch_one(self, statement: Executable, values: Values) -> Record | None:
        """The first row, or None."""

    def needs(self, loaded: int) -> None:
        """Whatever is read from now on has every load up to this watermark, because the answer will tell it."""

    def begin(self, loaded: int) -> None:
        """The same, and what was read so far binds no longer: another step of work that takes many."""


class ReplicaConnection(asyncpg.Connection):  # type: ignore[misc, unused-ignore]
    """A connection that knows how far its server has come: an address may stand for several of them."""

    __slots__ = ("asked_at", "reached", "server")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reached = -1
        self.asked_at = 0.0
        self.server: object = None


class Replica:
    """One address of DATABASE_REPLICA_URL, with connections of one event loop; counts what it was asked, since the start."""

    def __init__(self, name: str, url: str, most: int, wait_seconds: float, options: dict[str, Any]) -> None:
        self.name = name
        self.connections = Connections(url, most, wait_seconds, **options | _reading(options))
        self.is_resting = False
        self.answered = 0
        """Questions answered."""
        self.behind = 0
        """Questions not asked because a load was missing."""
        self.failed = 0
        """Questions that were not answered, or that nobody could be asked."""
        self._recovering: asyncio.Task[None] | None = None

    async def fetch(
        self, text: str, arguments: Sequence[Any], needed: int, server: object
    ) -> tuple[Sequence[Record], object] | None:
        """The rows and the server that answered; None: it is away, fails, lacks a load up to ``needed``, or is another ``server`` than
        the one named. The primary can be asked the same."""
        if self.is_resting:
            return None
        connection: Any = None
        try:
            connection = await self.connections.take()
            if connection.reached < needed and not await self._reaches(connection, needed):
                self.behind += 1
                return None
            if server is not None and connection.server != server:
                return None
            rows = await connection.fetch(text, *arguments)
        except _FAILURES as error:
            self.failed += 1
            if isinstance(error, OSError) and connection is not None:
                connection.terminate()  # it did not answer in time
            if connection is None or connection.is_closed():
                self._rest(error)
            return None
        finally:
            if connection is not None:
                self.connections.give_back(connection)
        self.answered += 1
        return rows, connection.server

    async def _reaches(self, connection: Any, needed: int) -> bool:
        now = asyncio.get_running_loop().time()
        if now - connection.asked_at < BEHIND_SECONDS:
            return False
        reached, connection.server = await connection.fetchrow(_STANDING)
        connection.reached = reached or 0
        if connection.reached < needed:
            connection.asked_at = now
            return False
        return True

    def _rest(self, error: Exception) -> None:
        """Ask nothing of it until it answers again."""
        if self.is_resting or isinstance(error, ConnectionsBusyError):
            return
        _LOG.warning("%s is not read until it answers again: %s", self.name, error or type(error).__name__)
        self.is_resting = True
        self.connections.drop_idle()
        self._recovering = asyncio.get_running_loop().create_task(self._recover())

    async def _recover(self) -> None:
        pause = REST_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_REST_SECONDS)
            try:
                connection = await self.connections.take()
                try:
                    await connection.fetchrow(_STANDING)
                finally:
                    self.connections.give_back(connection)
            except _FAILURES:
                self.connections.drop_idle()
                continue
            self.is_resting = False
            _LOG.warning("%s answers again", self.name)
            return

    async def close(self) -> None:
        """Close the connections."""
        if self._recovering is not None:
            self._recovering.cancel()
        await self.connections.close()


class ReplicatedRecords:
    """What one request reads: of one server, and from the first refusal on of the primary, which is ahead of every replica."""

    __slots__ = ("_compiler", "_is_replicated", "_needed", "_order", "_primary", "_replicas", "_server")

    def __init__(
        self, primary: Records, compiler: Compiler, replicas: Sequence[Replica], patient: str, loaded: int
    ) -> None:
        self._primary = primary
        self._compiler = compiler
        # A member's records are asked of the same replica as a rule: each keeps its share of the members in memory.
        first = crc32(patient.encode()) % len(replicas)
        self._order = (*replicas[first:], *replicas[:first])
        self.begin(loaded)

    def begin(self, loaded: int) -> None:
        """See Records."""
        self._needed = loaded
        self._replicas = self._order
        self._is_replicated = True
        self._server: object = None

    def needs(self, loaded: int) -> None:
        """See Records."""
        self._needed = max(self._needed, loaded)

    async def fetch(self, statement: Executable, values: Values) -> Sequence[Record]:
        """All rows."""
        if self._is_replicated:
            compiled = self._compiler.compiled(statement)
            arguments = compiled.arguments(values)
            for replica in self._replicas:
                answer = await replica.fetch(compiled.text, arguments, self._needed, self._server)
                if answer is not None:
                    rows, self._server = answer
                    self._replicas = (replica,)
                    return rows
            self._is_replicated = False
        return await self._primary.fetch(statement, values)

    async def fetch_one(self, statement: Executable, values: Values) -> Record | None:
        """The first row, or None."""
        rows = await self.fetch(statement, values)
        return rows[0] if rows else None


def _reading(options: dict[str, Any]) -> dict[str, Any]:
    """What connections to replicas have of their own: they answer soon or not at all, and cannot write."""
    read_only = {"server_settings": {"default_transaction_read_only": "on"}} if "server_settings" in options else {}
    return read_only | {
        "connection_class": ReplicaConnection,
        "timeout": ANSWER_SECONDS,
        "command_timeout": ANSWER_SECONDS,
    }
