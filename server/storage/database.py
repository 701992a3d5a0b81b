"""The database and its two thin executors: one synchronous (authorization, ingest, reports), one asynchronous (the FHIR API).

SQLite is asked where the request stands, in the event loop; PostgreSQL through asyncpg. https://www.sqlite.org/wal.html
"""

import sqlite3
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import Connection, Engine, Executable, Row
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from server.settings import Settings
from server.storage import sqlite_writing
from server.storage.compiled import Compiler, Values
from server.storage.connections import Connections, ConnectionsBusyError, options_of
from server.storage.engines import partition_made_meanwhile, postgresql_engine, sqlite_engine, sqlite_pragmas
from server.storage.replicas import Record, Records, Replica, ReplicatedRecords
from server.storage.shared_lookup import SharedLookup
from server.storage.sqlite_snapshot import Snapshot

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


class Database:
    """The database named by the settings. ``open`` and ``close`` the asynchronous side inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_sqlite = settings.sqlite_path is not None
        self.engine = sqlite_engine(settings) if self.is_sqlite else postgresql_engine(settings)
        # SQLite reads one snapshot per transaction anyhow.
        self._reading = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._compiler = Compiler(SQLiteDialect_pysqlite() if self.is_sqlite else _postgresql_dialect())
        self._sqlite: sqlite3.Connection | None = None
        self._snapshot: Snapshot | None = None
        self._connections: Connections | None = None
        self.replicas: tuple[Replica, ...] = ()
        """Those that records are read from, while the asynchronous side is open."""
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
            if self._snapshot is not None:
                self._snapshot.end_here()
        except PoolTimeoutError as error:
            raise DatabaseUnavailableError(str(error)) from error
        except (OperationalError, DBAPIError) as error:
            if (
                isinstance(error, OperationalError)
                or getattr(error, "connection_invalidated", False)
                or partition_made_meanwhile(error.orig)
            ):
                raise DatabaseUnavailableError(str(error.orig)) from error
            raise

    # -- asynchronous ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the asynchronous side: one connection on SQLite, several on PostgreSQL."""
        path = self.settings.sqlite_path
        if path is not None:
            self._sqlite = sqlite3.connect(path, isolation_level=None, cached_statements=1024, timeout=0)
            sqlite_pragmas(self._sqlite, self.settings, busy_milliseconds=0)
            self._snapshot = Snapshot(self._sqlite)
            return
        most, wait_seconds = self.settings.database_connections, self.settings.database_wait_seconds
        options = options_of(self.settings)
        self._connections = Connections(self.settings.database_url, most, wait_seconds, **options)
        self._connections.give_back(await self._connections.take())  # a wrong URL is noticed now
        # A replica that is away is noticed when it is asked; the server does without it.
        self.replicas = tuple(
            Replica(f"replica {number}", url, most, wait_seconds, options)
            for number, url in enumerate(self.settings.database_replica_url if not self.is_sqlite else (), start=1)
        )

    @property
    def connections(self) -> Connections | None:
        """The asynchronous side's connections while it is open, on PostgreSQL: for whoever counts them."""
        return self._connections

    async def close(self) -> None:
        """Close the asynchronous side."""
        if self._sqlite is not None and self._snapshot is not None:
            self._snapshot.end()
            self._sqlite.close()
            self._sqlite = self._snapshot = None
        if self._connections is not None:
            await self._connections.close()
            self._connections = None
        for replica in self.replicas:
            await replica.close()
        self.replicas = ()

    def records(self, patient: str, loaded: int) -> Records:
        """Where one request reads a member's records: at a replica that has every load up to the watermark ``loaded``, or here."""
        if not self.replicas:
            return self
        return ReplicatedRecords(self, self._compiler, self.replicas, patient, loaded)

    def needs(self, loaded: int) -> None:
        """Nothing: here is every load."""

    def begin(self, loaded: int) -> None:
        """Nothing either."""

    async def fetch(self, statement: Executable, values: Values) -> Sequence[Record]:
        """All rows as plain sequences. Keep the statement (a constant, or cached by shape): it is compiled once."""
        compiled = self._compiler.compiled(statement)
        if self._snapshot is not None:
            try:
                return self._snapshot.fetch(compiled.text, compiled.arguments(values))
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
        """The row of a key, or None. ``one`` has the value ``key``; a snapshot of SQLite is asked once; on PostgreSQL look-ups that
        arrive together share a round trip of ``many``, whose value is ``keys`` and whose last column is the key."""
        if self._snapshot is not None:
            kept = self._snapshot.kept
            if (one, key) not in kept:
                row = await self.fetch_one(one, {"key": key})
                kept[one, key] = row
            found: Record | None = kept[one, key]
            return found
        shared = self._shared.get(many)
        if shared is None:
            shared = self._shared[many] = SharedLookup(lambda keys: self.fetch(many, {"keys": keys}))
        return await shared.find(key)

    async def write(self, statement: Executable, rows: Sequence[Values] | Callable[[], Sequence[Values]]) -> None:
        """Run one statement for each of the rows in a transaction of its own; all or nothing. Rows that are asked for by a call are asked
        for when they can be written: what comes while this waits for the database goes along.

        asyncpg sends all of executemany before one Sync, and what stands before a Sync is one transaction:
        https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
        """
        compiled = self._compiler.compiled(statement)

        def arguments() -> list[tuple[Any, ...]]:
            return [compiled.arguments(row) for row in (rows() if callable(rows) else rows)]

        if self._sqlite is not None:
            await self._write_sqlite(compiled.text, arguments)
            return
        connections = self._connections
        assert connections is not None
        try:
            connection = await connections.take()
            try:
                many = arguments()
                try:
                    await connection.executemany(compiled.text, many)
                except asyncpg.CheckViolationError:  # its partition was made at this moment; the row has a place now
                    await connection.executemany(compiled.text, many)
            finally:
                connections.give_back(connection)
        except (*_CONNECTION_LOST, asyncpg.PostgresError) as error:
            raise DatabaseUnavailableError(str(error)) from error

    async def write_returning(self, statement: Executable, values: Values) -> Record:
        """Run one statement that writes and answers a row (RETURNING), in a transaction of its own: that row."""
        compiled = self._compiler.compiled(statement)
        rows = (
            await self._write_sqlite(compiled.text, lambda: [compiled.arguments(values)], returning=True)
            if self._sqlite is not None
            else await self.fetch(statement, values)
        )
        return rows[0]

    async def _write_sqlite(
        self, sql: str, arguments: Callable[[], list[tuple[Any, ...]]], *, returning: bool = False
    ) -> Sequence[Record]:
        assert self._snapshot is not None
        try:
            return await sqlite_writing.write(self._snapshot, sql, arguments, returning=returning)
        except sqlite3.Error as error:
            raise DatabaseUnavailableError(str(error)) from error


@lru_cache(maxsize=1)
def _postgresql_dialect() -> Dialect:
    return PGDialect_asyncpg()  # type: ignore[no-untyped-call, no-any-return, unused-ignore]
