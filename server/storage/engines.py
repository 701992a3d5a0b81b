"""The engines of the synchronous executor, and how a connection to SQLite is set up for both.

https://www.sqlite.org/pragma.html and https://www.postgresql.org/docs/current/libpq-connect.html
"""

import os
import sqlite3
import time
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event

from server.settings import Settings
from server.storage.connections import LIFETIME_SECONDS

BUSY_SECONDS = 10.0
"""How long a writer waits for others, and a command of PostgreSQL may take."""


def sqlite_pragmas(connection: sqlite3.Connection, settings: Settings, busy_milliseconds: int) -> None:
    synchronous = "FULL" if settings.ledger_durability == "power" else "NORMAL"
    for pragma in (
        f"busy_timeout={busy_milliseconds}",
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "temp_store=MEMORY",
        "cache_size=-32768",  # of each connection; the mapping holds what is asked for beyond it
        "mmap_size=1073741824",
        "wal_autocheckpoint=8000",  # a checkpoint waits for the disk: one for 64 MB, not one for 8
    ):
        connection.execute(f"PRAGMA {pragma}")


def _create_private(path: Path) -> None:
    """Make the file for its owner alone, if it is not there; SQLite gives the same mode to those beside it (-wal, -shm)."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def sqlite_engine(settings: Settings) -> Engine:
    path = settings.sqlite_path
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    _create_private(path)
    engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA page_size=8192")
        sqlite_pragmas(connection, settings, busy_milliseconds=int(BUSY_SECONDS * 1000))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql("BEGIN")
        elif not _begins_soon(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _begins_soon(connection: Connection) -> bool:
    """Begin to write as soon as the writers of other processes let us: SQLite's own waiting doubles its pauses, up to a tenth of a
    second, so that who asks often overtakes who waits. False after BUSY_SECONDS."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    waited = 0.0
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while waited < BUSY_SECONDS:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    return False
            pause = 0.0002 if waited < 0.01 else 0.002
            waited += pause
            time.sleep(pause)
        return False
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")


def postgresql_engine(settings: Settings) -> Engine:
    url = settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    # A pooler that shares connections by transaction does not know what was prepared on which.
    arguments = {"prepare_threshold": None} if settings.database_pooler == "transaction" else {}
    # hide_parameters, here and above: an error that is logged names the statement, and never a member's data or a token's hash.
    return create_engine(
        url,
        pool_size=settings.database_connections // 2,
        max_overflow=settings.database_connections,
        pool_timeout=settings.database_wait_seconds,
        pool_recycle=int(LIFETIME_SECONDS),
        pool_pre_ping=True,
        connect_args=arguments,
        hide_parameters=True,
    )


def partition_made_meanwhile(error: BaseException | None) -> bool:
    """Whether a row was refused by the table that had been its place until this moment: written again, it has one.

    PostgreSQL names the table of a partition's constraint and no constraint; it names both, or neither, for a CHECK or a trigger.
    """
    told = error.diag if isinstance(error, psycopg.errors.CheckViolation) else None
    return told is not None and bool(told.table_name) and not told.constraint_name
