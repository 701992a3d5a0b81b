"""Migrations, run by program: a user of the command line needs no Alembic file. Forward only.

https://alembic.sqlalchemy.org/en/latest/api/commands.html
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from server import clock
from server.settings import Settings
from server.storage import ledger_partitions
from server.storage.database import Database
from server.storage.labels import LABELLED_SINCE, index_labels

MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x70617469656E74


class SchemaError(Exception):
    """The database's schema is not the one this version of the server knows."""


def upgrade(database: Database) -> list[str]:
    """Bring the schema up to date in one transaction, and make the ledger's partitions of the coming months on PostgreSQL; the
    revisions applied, oldest first (none: it was up to date).

    Two processes that start together are safe: SQLite's write lock, or an advisory lock on PostgreSQL, makes one wait.
    Raises SchemaError when the database was migrated by a newer version of the server.
    """
    with database.transaction() as transaction:
        connection = transaction.connection
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        before = _revision(connection)
        pending = _pending(before)
        if pending:
            configuration = _configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
            if before is not None and LABELLED_SINCE in pending:
                index_labels(connection)
        ledger_partitions.ensure(transaction, clock.now_microseconds())
        return pending


def current(database: Database) -> str | None:
    """The revision of the database, or None when it has no schema yet."""
    with database.reading() as transaction:
        return _revision(transaction.connection)


def head() -> str:
    """The newest revision this version of the server knows."""
    revision = _scripts().get_current_head()
    assert revision is not None
    return revision


def is_current(database: Database) -> bool:
    """Whether the schema is the one this version of the server was written for."""
    return current(database) == head()


def is_served(database: Database) -> bool:
    """Whether a process of this version that runs can go on: the schema is this version's, or a newer one that it does not know.

    While a new version is rolled out the database is migrated first, and processes of the version before go on until each is replaced:
    a migration adds, and what it makes superfluous is removed by a later version's (docs/deployment.md).
    """
    revision = current(database)
    return revision is not None and revision not in {script.revision for script in _scripts().walk_revisions()} - {
        head()
    }


def knows(revision: str) -> bool:
    """Whether a revision is one of this version of the server, so that its schema can be brought up to date."""
    return any(script.revision == revision for script in _scripts().walk_revisions())


def draft(message: str) -> None:
    """Write the next revision: what is missing from the end of the history to ``schema.py``. For a developer to read and mend."""
    with TemporaryDirectory() as directory:
        database = Database(Settings(database_url=f"sqlite:///{directory}/draft.db"))
        upgrade(database)
        with database.reading() as transaction:
            configuration = _configuration()
            configuration.attributes["connection"] = transaction.connection
            command.revision(configuration, message, autogenerate=True, rev_id=f"{int(head()) + 1:04d}")
        database.engine.dispose()


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _pending(revision: str | None) -> list[str]:
    """The revisions after one, oldest first."""
    known = [script.revision for script in _scripts().walk_revisions()][::-1]
    if revision is None:
        return known
    if revision not in known:
        raise SchemaError(f"the database is at revision {revision}, which this version of the server does not know")
    return known[known.index(revision) + 1 :]


if __name__ == "__main__":
    draft(sys.argv[1])
