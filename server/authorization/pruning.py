"""Forgetting what is over: expired tokens, used assertions, pushed requests; a little at a time, apart from the requests.

https://www.rfc-editor.org/rfc/rfc9700#section-4.14 - what a rotated refresh token was is remembered for a while
"""

import logging
import threading
import time

from server import clock
from server.storage.credential_store import BATCH, PRUNING
from server.storage.database import Database, DatabaseUnavailableError

EVERY_SECONDS = 300
LONGEST_SECONDS = 2.0
KEPT_AFTER = 86_400 * 1_000_000
"""Microseconds for which a row that is over stays, so that who asks is told that it expired."""
_LOG = logging.getLogger(__name__)


def prune(database: Database, most_seconds: float = LONGEST_SECONDS) -> int:
    """Delete rows that have been over for a day, in small transactions, until none is left or the time is; answer how many."""
    until = time.monotonic() + most_seconds
    deleted = 0
    for statement in PRUNING:
        while True:
            with database.transaction() as transaction:
                gone = transaction.execute(statement, {"moment": clock.now_microseconds() - KEPT_AFTER})
            deleted += gone
            if gone < BATCH or time.monotonic() > until:
                break
    return deleted


class Pruning:
    """Prunes now and then; one per worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = time.monotonic() + EVERY_SECONDS
        self._lock = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether it is time again."""
        return time.monotonic() >= self._next

    def run(self) -> None:
        """Prune, if it is time and nobody else does."""
        if not self.is_due or not self._lock.acquire(blocking=False):
            return
        try:
            self._next = time.monotonic() + EVERY_SECONDS
            prune(self._database)
        except DatabaseUnavailableError as error:
            _LOG.warning("old tokens were not deleted: %s", error)
        finally:
            self._lock.release()
