"""Reading SQLite from the event loop: what is asked in one turn of the loop shares one read transaction, so one look at the log of changes.

https://www.sqlite.org/isolation.html - the bytes of a request are read before its turn begins, and a snapshot ends with the turn in which it
began: so a request never sees less than what was committed when it arrived, a revocation included.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any


class Snapshot:
    """The read transaction of a connection that only the event loop's thread uses."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._thread = threading.get_ident()
        self._begun = False
        self.kept: dict[Any, Any] = {}
        """What was found in it and may be asked again: it would be the same."""

    def fetch(self, sql: str, arguments: Sequence[Any]) -> list[Any]:
        """All rows. Raises sqlite3.OperationalError."""
        if not self._begun:
            self.connection.execute("BEGIN")
            self._begun = True
            # Behind this turn's requests, and in front of those that the next one brings.
            asyncio.get_running_loop().call_soon(self.end)
        return self.connection.execute(sql, arguments).fetchall()

    def end(self) -> None:
        """What is asked from now on sees what was committed until then."""
        if self._begun:
            self._begun = False
            self.kept.clear()
            if self.connection.in_transaction:  # an error of the disk may have ended it
                self.connection.execute("COMMIT")

    def end_here(self) -> None:
        """The same after another connection has written, if that was in the event loop's thread: it sees what it wrote."""
        if self._begun and threading.get_ident() == self._thread:
            self.end()
