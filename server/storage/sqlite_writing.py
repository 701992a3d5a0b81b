"""Writing to SQLite from the event loop: it waits for the writers of other processes without holding up what else goes on.

https://www.sqlite.org/lang_transaction.html#deferred_immediate_and_exclusive_transactions
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

from server.storage.engines import BUSY_SECONDS


async def write(
    connection: sqlite3.Connection, sql: str, arguments: Sequence[tuple[Any, ...]], *, returning: bool = False
) -> Sequence[Sequence[Any]]:
    """Run one statement for each of the arguments in a transaction, all or nothing; ``returning``: for the first alone, and what it
    returns. Raises sqlite3.Error after BUSY_SECONDS of waiting, or when it cannot be stored; then nothing is."""
    await _begin(connection)
    rows: Sequence[Sequence[Any]] = ()
    try:
        if returning:
            rows = connection.execute(sql, arguments[0]).fetchall()
        else:
            connection.executemany(sql, arguments)
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return rows


async def _begin(connection: sqlite3.Connection) -> None:
    waited = 0.0
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or waited > BUSY_SECONDS:
                raise
            pause = 0.0002 if waited < 0.01 else 0.005
            waited += pause
            await asyncio.sleep(pause)
