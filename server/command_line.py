"""What the commands share: the database they work on, choices, and the error that is one line on the screen.

https://typer.tiangolo.com/tutorial/subcommands/ - nothing here is imported before a command needs it, so that starting stays quick.
"""

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.settings import Settings
    from server.storage.database import Database
    from server.storage.ledger import EventLedger


class CommandError(Exception):
    """What a command cannot do; the message is the one line the user sees."""


class Environment(StrEnum):
    """Whether something counts in the CMS report."""

    PRODUCTION = "production"
    TEST = "test"


@contextmanager
def migrated_database() -> "Iterator[tuple[Database, Settings]]":
    """The database of the settings, refused when its schema is not the one this version knows."""
    from server.settings import Settings
    from server.storage import migrate
    from server.storage.database import Database

    settings = Settings()
    path = settings.sqlite_path
    if path is not None and not path.exists():
        raise CommandError(f"there is no database at {path}; make one with: patient-access migrate")
    database = Database(settings)
    try:
        if not migrate.is_current(database):
            raise CommandError(
                "the database's schema is not this version's; bring it up to date: patient-access migrate"
            )
        yield database, settings
    finally:
        database.engine.dispose()


def event_ledger(database: "Database") -> "EventLedger":
    """The ledger in which a command records what it does."""
    from server.storage.ledger import EventLedger

    return EventLedger(database)


def user() -> str:
    """Who runs the command, by the name the operating system has for them; '' in a container without one."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return ""
