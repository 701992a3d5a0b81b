"""The PostgreSQL connections of one event loop: each serves one command at a time, a lost one is replaced.

https://magicstack.github.io/asyncpg/current/api/index.html#connection - asyncpg's own pool costs more than a look-up by key does.
"""

import asyncio
from collections import deque
from typing import Any

import asyncpg

MAXIMUM_CONNECTIONS = 16
IDLE_SECONDS = 300.0
"""A connection that was not used for so long may have been cut by something on its way; another one is made."""


class Connections:
    """Take one, give it back; who comes when all are taken waits in turn."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._open = 0
        self._idle: list[tuple[Any, float]] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def take(self) -> Any:
        """A connection, the one last used first. Raises what asyncpg raises when there is none and none can be made."""
        while True:
            while self._idle:
                connection, used_at = self._idle.pop()
                if self._loop.time() - used_at < IDLE_SECONDS and not connection.is_closed():
                    return connection
                connection.terminate()
                self._open -= 1
            if self._open < MAXIMUM_CONNECTIONS:
                return await self._connect()
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            try:
                connection = await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():
                    self._next(waiter.result())
                raise
            if connection is not None:
                return connection

    async def _connect(self) -> Any:
        self._open += 1
        try:
            return await asyncpg.connect(self._url, **self._options)
        except BaseException:
            self._open -= 1
            self._next(None)
            raise

    def give_back(self, connection: Any) -> None:
        """The connection is free for the next one."""
        if connection.is_closed():
            self._open -= 1
            self._next(None)
        else:
            self._next(connection)

    def _next(self, connection: Any | None) -> None:
        """To who waits longest; None: there is room for one to be made."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._idle.append((connection, self._loop.time()))

    async def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            connection, _ = self._idle.pop()
            self._open -= 1
            try:
                await connection.close(timeout=5)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()
