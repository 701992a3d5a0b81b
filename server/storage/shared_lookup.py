"""Look-ups by one key that share a round trip: those that arrive in the same turns of the event loop are asked together.

https://www.postgresql.org/docs/current/functions-comparisons.html#FUNCTIONS-COMPARISONS-ANY-SOME - nothing is kept: each is asked
of the database after it was called.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any

Record = Sequence[Any]


class SharedLookup:
    """Finds rows by key; ``ask`` answers the rows of several keys, the key last in each."""

    def __init__(self, ask: Callable[[list[Any]], Awaitable[Sequence[Record]]]) -> None:
        self._ask = ask
        self._waiting: dict[Hashable, list[asyncio.Future[Record | None]]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def find(self, key: Hashable) -> Record | None:
        """The row of a key, or None. Raises what ``ask`` raises."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Record | None] = loop.create_future()
        if not self._waiting:
            task = loop.create_task(self._together())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        self._waiting.setdefault(key, []).append(found)
        return await found

    async def _together(self) -> None:
        joined = 0
        while joined < len(self._waiting):
            joined = len(self._waiting)
            await asyncio.sleep(0)
        waiting, self._waiting = self._waiting, {}
        try:
            rows = {row[-1]: row for row in await self._ask(list(waiting))}
        except BaseException as error:
            for found in _unanswered(waiting.values()):
                found.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for key, askers in waiting.items():
            for found in _unanswered([askers]):
                found.set_result(rows.get(key))


def _unanswered(askers: Any) -> list[asyncio.Future[Record | None]]:
    """Those whose request was not given up meanwhile."""
    return [found for several in askers for found in several if not found.done()]
