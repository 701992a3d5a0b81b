"""A rate limit held across workers: each leases permits of a client in blocks from the database, and counts them down by itself.

https://www.rfc-editor.org/rfc/rfc6585#section-4 - a window is a minute of the clock; a lease is one atomic upsert, so that all workers together
never give more than the limit. The blocks shrink as the window's permits run out, so that little is left unused in one worker's hands.
"""

import asyncio
import threading
from dataclasses import dataclass, field

from server import clock
from server.storage.database import Database, Transaction
from server.storage.limits import DELETE_OLD_PERMITS, LEASE_PERMITS

WINDOW = 60_000_000
"""Microseconds."""
KEPT_WINDOWS = 10
BLOCKS_IN_A_WINDOW, SHARE_OF_THE_REST = 20, 8
MOST_CLIENTS = 10_000


@dataclass(slots=True)
class _Share:
    """What this worker holds of a client's permits in a window. ``leased``: as last heard, by all workers together."""

    window: int
    left: int = 0
    leased: int = 0
    is_used_up: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Permits:
    """The permits of one kind of request (``kind`` is in front of the client id in the table). ``limit`` 0: there is none."""

    def __init__(self, limit: int, kind: str = "") -> None:
        self.limit = limit
        self._kind = kind
        self._shares: dict[str, _Share] = {}
        self._lock = threading.Lock()

    async def take(self, database: Database, client_id: str) -> int:
        """Take one, in the event loop: 0, or how many seconds to wait. Raises DatabaseUnavailableError."""
        if not self.limit:
            return 0
        while True:
            now = clock.now_microseconds()
            share = self._share(client_id, now)
            if share.left:
                share.left -= 1
                return 0
            if share.is_used_up:
                return _seconds_left(now)
            async with share.lock:
                if share.left or share.is_used_up:
                    continue  # another request leased meanwhile
                block = self._block(share)
                values = {"client": self._kind + client_id, "window": share.window, "block": block}
                row = await database.write_returning(LEASE_PERMITS, values)
                self._leased(share, block, int(row[0]))
                if row[0] == block:
                    old = {"client": values["client"], "window": share.window - KEPT_WINDOWS}
                    await database.write(DELETE_OLD_PERMITS, [old])

    def take_within(self, transaction: Transaction, client_id: str) -> int:
        """The same as part of a synchronous transaction, from any thread; call ``forget`` when it is not committed."""
        if not self.limit:
            return 0
        with self._lock:
            now = clock.now_microseconds()
            share = self._share(client_id, now)
            if not share.left and not share.is_used_up:
                block = self._block(share)
                values = {"client": self._kind + client_id, "window": share.window, "block": block}
                leased: int = transaction.scalar(LEASE_PERMITS, values)
                self._leased(share, block, leased)
                if leased == block:
                    old = {"client": values["client"], "window": share.window - KEPT_WINDOWS}
                    transaction.execute(DELETE_OLD_PERMITS, old)
            if not share.left:
                return _seconds_left(now)
            share.left -= 1
            return 0

    def forget(self) -> None:
        """Forget what is held: the transaction that leased it may not have been committed."""
        with self._lock:
            self._shares.clear()

    def _share(self, client_id: str, now: int) -> _Share:
        window = now // WINDOW
        share = self._shares.get(client_id)
        if share is None or share.window != window:
            if len(self._shares) >= MOST_CLIENTS:
                self._shares = {id: kept for id, kept in self._shares.items() if kept.window == window}
            share = self._shares[client_id] = _Share(window)
        return share

    def _block(self, share: _Share) -> int:
        rest = self.limit - share.leased
        return max(1, min(self.limit // BLOCKS_IN_A_WINDOW, rest // SHARE_OF_THE_REST))

    def _leased(self, share: _Share, block: int, leased: int) -> None:
        """What a lease brought: of the last blocks perhaps a part, or nothing."""
        share.leased = leased
        share.left = max(0, min(block, block - (leased - self.limit)))
        share.is_used_up = not share.left


def _seconds_left(now: int) -> int:
    return max(1, -(-(WINDOW - now % WINDOW) // 1_000_000))
