"""The database and its two thin executors: one synchronous (authorization, ingest, reports), one asynchronous (the FHIR API).

SQLite is asked where the request stands, in the event loop; PostgreSQL through asyncpg. https://www.sqlite.org/wal.html
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
from sqlalchemy import Connection, Engine, Executable, Row, create_engine, event
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.sql.compiler import SQLCompiler

from server.settings import Settings
from server.storage.connections import LIFETIME_SECONDS, Connections, ConnectionsBusyError
from server.storage.shared_lookup import SharedLookup

Values = Mapping[str, Any]
Record = Sequence[Any]
BUSY_SECONDS = 10.0
_CONNECTION_LOST = (
    *(OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    ConnectionsBusyError,
)
"""What asyncpg raises when the connection is gone; InternalClientError when it goes in the middle of a command."""


class DatabaseUnavailableError(Exception):
    """The database cannot answer or store now (down, locked, or full); nothing was stored."""


class Transaction:
    """One synchronous transaction, opened and closed at the edge by ``Database.transaction`` or ``Database.reading``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def execute(self, statement: Executable, values: Values | Sequence[Values] | None = None) -> int:
        """Run a statement, once or for each of many values; answer the number of rows it touched."""
        return self.connection.execute(statement, values).rowcount

    def first(self, statement: Executable, values: Values | None = None) -> Row[Any] | None:
        """The first row, or None."""
        return self.connection.execute(statement, values).first()

    def all(self, statement: Executable, values: Values | None = None) -> Sequence[Row[Any]]:
        """All rows."""
        return self.connection.execute(statement, values).all()

    def scalar(self, statement: Executable, values: Values | None = None) -> Any:
        """The first column of the first row, or None."""
        return self.connection.execute(statement, values).scalar()

    def stream(self, statement: Executable, values: Values | None = None) -> Iterator[Row[Any]]:
        """Rows one by one, for answers too large to hold."""
        yield from self.connection.execute(statement, values, execution_options={"yield_per": 2000})

    def stream_computed(self, statement: Executable, values: Values | None = None) -> Iterator[Row[Any]]:
        """Rows one by one of an answer that is costly to compute: the driver holds it, so that PostgreSQL may work on it in parallel,
        which it never does for a cursor. https://www.postgresql.org/docs/current/when-can-parallel-query-be-used.html"""
        for rows in self.connection.execute(statement, values).partitions(2000):
            yield from rows


class Compiled:
    """A statement compiled once for a dialect: its text, and its values in the driver's order."""

    __slots__ = ("_ordered", "defaults", "names", "text")

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        if not isinstance(compiled, SQLCompiler) or compiled.post_compile_params:
            raise TypeError("a statement of the asynchronous executor lists its IN values as bind parameters")
        self.text = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self.defaults = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
        self._ordered = itemgetter(*self.names, *self.names[:1]) if self.names and not self.defaults else None

    def arguments(self, values: Values) -> tuple[Any, ...]:
        """The values in positional order."""
        if self._ordered is not None:
            ordered: tuple[Any, ...] = self._ordered(values)[:-1]
            return ordered
        defaults = self.defaults
        return tuple([values[name] if name in values else defaults.get(name) for name in self.names])


class Database:
    """The database named by the settings. ``open`` and ``close`` the asynchronous side inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_sqlite = settings.sqlite_path is not None
        self.engine = _sqlite_engine(settings) if self.is_sqlite else _postgresql_engine(settings)
        # SQLite reads one snapshot per transaction anyhow.
        self._reading = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._dialect: Dialect = SQLiteDialect_pysqlite() if self.is_sqlite else _postgresql_dialect()
        self._compiled: dict[Executable, Compiled] = {}
        self._sqlite: sqlite3.Connection | None = None
        self._connections: Connections | None = None
        self._shared: dict[Executable, SharedLookup] = {}

    # -- synchronous -------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A synchronous transaction that may write; commits at the end, rolls back on an exception.

        Raises DatabaseUnavailableError when the database is down, locked for long, or full.
        """
        with self._transaction(self.engine.execution_options(writes=True)) as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A synchronous transaction that only reads: one snapshot, no write lock."""
        with self._transaction(self._reading) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Transaction]:
        try:
            with engine.begin() as connection:
                yield Transaction(connection)
        except PoolTimeoutError as error:
            raise DatabaseUnavailableError(str(error)) from error
        except (OperationalError, DBAPIError) as error:
            if (
                isinstance(error, OperationalError)
                or getattr(error, "connection_invalidated", False)
                or _partition_made_meanwhile(error.orig)
            ):
                raise DatabaseUnavailableError(str(error.orig)) from error
            raise

    # -- asynchronous ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the asynchronous side: one connection on SQLite, several on PostgreSQL."""
        path = self.settings.sqlite_path
        if path is not None:
            self._sqlite = sqlite3.connect(path, isolation_level=None, cached_statements=1024, timeout=0)
            _sqlite_pragmas(self._sqlite, self.settings, busy_milliseconds=0)
            return
        self._connections = Connections(
            self.settings.database_url,
            self.settings.database_connections,
            self.settings.database_wait_seconds,
            **_options(self.settings, self.settings.ledger_durability),
        )
        self._connections.give_back(await self._connections.take())  # a wrong URL is noticed now

    @property
    def connections(self) -> Connections | None:
        """The asynchronous side's connections while it is open, on PostgreSQL: for whoever counts them."""
        return self._connections

    async def close(self) -> None:
        """Close the asynchronous side."""
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None
        if self._connections is not None:
            await self._connections.close()
            self._connections = None

    def _compile(self, statement: Executable) -> Compiled:
        compiled = self._compiled.get(statement)
        if compiled is None:
            if len(self._compiled) > 4096:
                self._compiled.clear()  # statements of shapes long out of use are kept no longer
            compiled = self._compiled[statement] = Compiled(statement, self._dialect)
        return compiled

    async def fetch(self, statement: Executable, values: Values) -> Sequence[Record]:
        """All rows as plain sequences. Keep the statement (a constant, or cached by shape): it is compiled once."""
        compiled = self._compile(statement)
        if self._sqlite is not None:
            try:
                return self._sqlite.execute(compiled.text, compiled.arguments(values)).fetchall()
            except sqlite3.OperationalError as error:
                raise DatabaseUnavailableError(str(error)) from error
        connections = self._connections
        assert connections is not None
        try:
            connection = await connections.take()
            try:
                return await connection.fetch(compiled.text, *compiled.arguments(values))  # type: ignore[no-any-return]
            finally:
                connections.give_back(connection)
        except (*_CONNECTION_LOST, asyncpg.OperatorInterventionError) as error:
            raise DatabaseUnavailableError(str(error)) from error

    async def fetch_one(self, statement: Executable, values: Values) -> Record | None:
        """The first row, or None."""
        rows = await self.fetch(statement, values)
        return rows[0] if rows else None

    async def fetch_by_key(self, one: Executable, many: Executable, key: Hashable) -> Record | None:
        """The row of a key, or None. ``one`` has the value ``key``; on PostgreSQL look-ups that arrive together share a round trip
        of ``many``, whose value is ``keys`` and whose last column is the key."""
        if self.is_sqlite:
            return await self.fetch_one(one, {"key": key})
        shared = self._shared.get(many)
        if shared is None:
            shared = self._shared[many] = SharedLookup(lambda keys: self.fetch(many, {"keys": keys}))
        return await shared.find(key)

    async def write(self, statement: Executable, rows: Sequence[Values]) -> None:
        """Run one statement for each of the rows in a transaction of its own; all or nothing.

        asyncpg sends all of executemany before one Sync, and what stands before a Sync is one transaction:
        https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
        """
        compiled = self._compile(statement)
        arguments = [compiled.arguments(row) for row in rows]
        if self._sqlite is not None:
            await self._write_sqlite(compiled.text, arguments)
            return
        connections = self._connections
        assert connections is not None
        try:
            connection = await connections.take()
            try:
                try:
                    await connection.executemany(compiled.text, arguments)
                except asyncpg.CheckViolationError:  # its partition was made at this moment; the row has a place now
                    await connection.executemany(compiled.text, arguments)
            finally:
                connections.give_back(connection)
        except (*_CONNECTION_LOST, asyncpg.PostgresError) as error:
            raise DatabaseUnavailableError(str(error)) from error

    async def write_returning(self, statement: Executable, values: Values) -> Record:
        """Run one statement that writes and answers a row (RETURNING), in a transaction of its own: that row."""
        compiled = self._compile(statement)
        rows = (
            await self._write_sqlite(compiled.text, [compiled.arguments(values)], returning=True)
            if self._sqlite is not None
            else await self.fetch(statement, values)
        )
        return rows[0]

    async def _write_sqlite(
        self, sql: str, arguments: list[tuple[Any, ...]], *, returning: bool = False
    ) -> Sequence[Record]:
        connection = self._sqlite
        assert connection is not None
        waited = 0.0
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or waited > BUSY_SECONDS:
                    raise DatabaseUnavailableError(str(error)) from error
                pause = 0.0002 if waited < 0.01 else 0.005
                waited += pause
                await asyncio.sleep(pause)
        rows: Sequence[Record] = ()
        try:
            if returning:
                rows = connection.execute(sql, arguments[0]).fetchall()
            else:
                connection.executemany(sql, arguments)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise DatabaseUnavailableError(str(error)) from error
        return rows


def _options(settings: Settings, durability: str) -> dict[str, Any]:
    """How connections for the asynchronous executor are made. A pooler of transactions passes on no settings of a connection."""
    if settings.database_pooler == "transaction":
        return {"statement_cache_size": 0, "command_timeout": BUSY_SECONDS}
    # Durability 'process': PostgreSQL acknowledges a ledger commit before its flush to disk.
    commit = "on" if durability == "power" else "off"
    return {
        "statement_cache_size": 1024,
        "command_timeout": BUSY_SECONDS,
        "server_settings": {"synchronous_commit": commit},
    }


def _partition_made_meanwhile(error: BaseException | None) -> bool:
    """Whether a row was refused by the table that had been its place until this moment: written again, it has one.

    PostgreSQL names the table of a partition's constraint and no constraint; it names both, or neither, for a CHECK or a trigger.
    """
    told = error.diag if isinstance(error, psycopg.errors.CheckViolation) else None
    return told is not None and bool(told.table_name) and not told.constraint_name


@lru_cache(maxsize=1)
def _postgresql_dialect() -> Dialect:
    return PGDialect_asyncpg()  # type: ignore[no-untyped-call, no-any-return, unused-ignore]


def _sqlite_pragmas(connection: sqlite3.Connection, settings: Settings, busy_milliseconds: int) -> None:
    synchronous = "FULL" if settings.ledger_durability == "power" else "NORMAL"
    for pragma in (
        f"busy_timeout={busy_milliseconds}",
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "temp_store=MEMORY",
        "cache_size=-65536",
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


def _sqlite_engine(settings: Settings) -> Engine:
    path = settings.sqlite_path
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    _create_private(path)
    engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA page_size=8192")
        _sqlite_pragmas(connection, settings, busy_milliseconds=int(BUSY_SECONDS * 1000))

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


def _postgresql_engine(settings: Settings) -> Engine:
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
