"""Writing to SQLite from the event loop: it waits for the writers of other processes without holding up what else goes on.

https://www.sqlite.org/lang_transaction.html#deferred_immediate_and_exclusive_transactions
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from server.storage.engines import BUSY_SECONDS
from server.storage.sqlite_snapshot import Snapshot

FIRST_PAUSE, PAUSE = 0.001, 0.005
"""Seconds. uvloop's timers count milliseconds: a shorter pause is none, and its loop would turn all the while the other worker, which
needs the core, writes."""
PATIENT_FOR = 0.01


async def write(
    snapshot: Snapshot, sql: str, arguments: Callable[[], Sequence[tuple[Any, ...]]], *, returning: bool = False
) -> Sequence[Sequence[Any]]:
    """Run one statement for each of the arguments in a transaction, all or nothing; ``returning``: for the first alone, and what it
    returns. ``arguments`` is asked when nobody else can write any more: what came while this one waited goes along.

    Raises sqlite3.Error after BUSY_SECONDS of waiting, or when it cannot be stored; then nothing is."""
    await _begin(snapshot)
    connection = snapshot.connection
    rows: Sequence[Sequence[Any]] = ()
    try:
        if returning:
            rows = connection.execute(sql, arguments()[0]).fetchall()
        else:
            connection.executemany(sql, arguments())
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return rows


async def _begin(snapshot: Snapshot) -> None:
    waited = 0.0
    while True:
        snapshot.end()  # others may have begun one while this one waited
        try:
            snapshot.connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or waited > BUSY_SECONDS:
                raise
            pause = FIRST_PAUSE if waited < PATIENT_FOR else PAUSE
            waited += pause
            await asyncio.sleep(pause)
