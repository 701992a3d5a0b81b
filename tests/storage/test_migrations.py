"""The migrated schema is the one of ``schema.py``; migrating is safe to repeat and to do twice at a time."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database
from server.storage.schema import METADATA

TABLES = """
SELECT table_name, column_name, data_type, is_nullable, is_identity, collation_name
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, column_name
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef"


PARTITION = re.compile(r"\bledger_(rest|[0-9]{4}_[0-9]{2})")
"""The ledger's months are made as time goes by: no part of what the code declares."""
DEFAULT = re.compile(r" DEFAULT '[^']*'")


def schema(database: Database) -> list[Any]:
    """What the database says its schema is, without Alembic's own table, without the order of columns and constraints, and
    without the defaults that a column needs when it is added to rows that are there."""
    with database.reading() as transaction:
        if not database.is_sqlite:
            rows = [*transaction.all(text(TABLES)), *transaction.all(text(INDEXES))]
            return [tuple(row) for row in rows if "alembic_version" not in str(row) and not PARTITION.search(str(row))]
        rows = list(transaction.all(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")))
        return [
            (name, sorted(re.split(r"[\s,]+", DEFAULT.sub("", sql))))
            for name, sql in rows
            if not name.startswith(("alembic", "sqlite"))
        ]


def test_migrations_lead_to_the_schema_the_code_declares(database: Database, empty_database_url: str) -> None:
    declared = Database(Settings(database_url=empty_database_url))
    METADATA.create_all(declared.engine)
    try:
        assert schema(database) == schema(declared)
        assert len(schema(database)) > 20
    finally:
        declared.engine.dispose()


def test_alembic_finds_nothing_to_add(database: Database) -> None:
    with database.reading() as transaction:
        known = {"compare_type": True, "include_name": lambda name, *_: PARTITION.match(name or "") is None}
        context = MigrationContext.configure(transaction.connection, opts=known)
        assert compare_metadata(context, METADATA) == []


def test_index_tables_are_clustered_on_sqlite(sqlite_template: Path) -> None:
    database = Database(Settings(database_url=f"sqlite:///{sqlite_template}"))
    with database.reading() as transaction:
        clustered = transaction.all(text("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'"))
    database.engine.dispose()
    expected = {
        name for name, table in METADATA.tables.items() if table.dialect_kwargs.get("sqlite_with_rowid") is False
    }
    assert {row.name for row in clustered} == expected
    assert "token_index" in expected


def test_an_empty_database_is_migrated_once(empty_database_url: str) -> None:
    database = Database(Settings(database_url=empty_database_url))
    assert migrate.current(database) is None
    assert not migrate.is_current(database)
    assert migrate.upgrade(database)[-1] == migrate.head()
    assert migrate.is_current(database)
    assert migrate.upgrade(database) == []
    database.engine.dispose()


def test_two_processes_may_migrate_at_the_same_time(empty_database_url: str) -> None:
    databases = [Database(Settings(database_url=empty_database_url)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(migrate.upgrade, databases))
    assert sorted(map(len, applied)) == [0, len(max(applied, key=len))]
    for database in databases:
        database.engine.dispose()


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrate.SchemaError, match="9999"):
        migrate.upgrade(database)
    assert not migrate.is_current(database)


def test_the_sqlite_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    database = Database(Settings(database_url=f"sqlite:///{path}"))
    migrate.upgrade(database)
    with database.reading():
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    database.engine.dispose()
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}
    path.chmod(0o640)
    again = Database(Settings(database_url=f"sqlite:///{path}"))
    again.engine.dispose()
    assert path.stat().st_mode & 0o777 == 0o640
