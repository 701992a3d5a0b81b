"""The PostgreSQL connections of one event loop: each serves one command at a time, a lost one is replaced.

https://magicstack.github.io/asyncpg/current/api/index.html#connection - asyncpg's own pool costs more than a look-up by key does.
"""

import asyncio
from collections import deque
from typing import Any

import asyncpg

from server.settings import Settings

IDLE_SECONDS = 300.0
"""A connection that was not used for so long may have been cut by something on its way; another one is made."""
LIFETIME_SECONDS = 3600.0
"""A connection is used no longer: what a server process has gathered for it goes, and after a switch-over all come to the new server."""


COMMAND_SECONDS = 10.0
"""How long a command may take."""


class ConnectionsBusyError(Exception):
    """Every connection was in use for as long as a request may wait for one."""


class Connections:
    """Take one, give it back; who comes when all are taken waits in turn, and not for ever."""

    def __init__(self, url: str, most: int = 16, wait_seconds: float = 10.0, **options: Any) -> None:
        self._url = url
        self._most = most
        self._wait_seconds = wait_seconds
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._open = 0
        self._idle: list[tuple[Any, float]] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._given_up = 0
        self._made_at: dict[Any, float] = {}
        self._seconds_waited = 0.0

    @property
    def most(self) -> int:
        """How many there may be."""
        return self._most

    @property
    def open(self) -> int:
        """How many there are, in use or not."""
        return self._open

    @property
    def idle(self) -> int:
        """How many of them nobody uses."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many commands wait for one."""
        return sum(not waiter.done() for waiter in self._waiting)

    @property
    def seconds_waited(self) -> float:
        """How long commands have waited for one, all together, since the start."""
        return self._seconds_waited

    @property
    def given_up(self) -> int:
        """How many commands have waited in vain since the start."""
        return self._given_up

    async def take(self) -> Any:
        """A connection, the one last used first. Raises ConnectionsBusyError, and what asyncpg raises when none can be made."""
        while True:
            while self._idle:
                connection, used_at = self._idle.pop()
                if self._loop.time() - used_at < IDLE_SECONDS and not connection.is_closed():
                    return connection
                self._drop(connection)
            if self._open < self._most:
                return await self._connect()
            connection = await self._wait()
            if connection is not None:
                return connection

    async def _wait(self) -> Any | None:
        """The connection of somebody who has done with it; None: there is room for one to be made."""
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        since = self._loop.time()
        bell = self._loop.call_at(since + self._wait_seconds, self._give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._next(waiter.result())
            raise
        finally:
            bell.cancel()
            self._seconds_waited += self._loop.time() - since

    def _give_up(self, waiter: "asyncio.Future[Any]") -> None:
        if not waiter.done():
            self._given_up += 1
            told = f"none of {self._most} database connections was free for {self._wait_seconds:g} seconds"
            waiter.set_exception(ConnectionsBusyError(told))

    async def _connect(self) -> Any:
        self._open += 1
        try:
            connection = await asyncpg.connect(self._url, **self._options)
        except BaseException:
            self._open -= 1
            self._next(None)
            raise
        self._made_at[connection] = self._loop.time()
        return connection

    def give_back(self, connection: Any) -> None:
        """The connection is free for the next one."""
        if connection.is_closed() or self._loop.time() - self._made_at[connection] > LIFETIME_SECONDS:
            self._drop(connection)
            self._next(None)
        else:
            self._next(connection)

    def _drop(self, connection: Any) -> None:
        connection.terminate()
        del self._made_at[connection]
        self._open -= 1

    def _next(self, connection: Any | None) -> None:
        """To who waits longest; None: there is room for one to be made."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._idle.append((connection, self._loop.time()))

    def drop_idle(self) -> None:
        """Those that nobody uses are of no use either; others are made."""
        while self._idle:
            self._drop(self._idle.pop()[0])
            self._next(None)

    async def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            connection, _ = self._idle.pop()
            del self._made_at[connection]
            self._open -= 1
            try:
                await connection.close(timeout=5)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()


def options_of(settings: Settings) -> dict[str, Any]:
    """How connections for the asynchronous executor are made. A pooler of transactions passes on no settings of a connection."""
    if settings.database_pooler == "transaction":
        return {"statement_cache_size": 0, "command_timeout": COMMAND_SECONDS}
    # Durability 'process': PostgreSQL acknowledges a ledger commit before its flush to disk.
    commit = "on" if settings.ledger_durability == "power" else "off"
    return {
        "statement_cache_size": 1024,
        "command_timeout": COMMAND_SECONDS,
        "server_settings": {"synchronous_commit": commit},
    }
