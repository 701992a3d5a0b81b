"""``patient-access backup`` and ``restore``: the whole database in one file, and back. What else to keep, and what to do after: docs/backup.md.

https://www.sqlite.org/backup.html and https://www.postgresql.org/docs/current/app-pgdump.html
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError, event_ledger

if TYPE_CHECKING:
    from server.settings import Settings
    from server.storage.database import Database


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.", metavar="FILE")],
) -> None:
    """Write the whole database, as it is at this moment, to a file; the server goes on serving meanwhile.

    The file holds members' health data and is readable by its owner alone. SECRET_KEY is not in it: keep that apart.
    """
    from server import clock
    from server.progress import progress_bar
    from server.settings import Settings
    from server.storage import migrate
    from server.storage.backup import BackupError, back_up
    from server.storage.database import Database

    settings, begun = Settings(), clock.now_microseconds()
    path = settings.sqlite_path
    if path is not None and not path.exists():
        raise CommandError(f"there is no database at {path}; make one with: patient-access migrate")
    database = Database(settings)
    try:
        revision = migrate.current(database)  # that of an older version too: this is what one does before migrating
    finally:
        database.engine.dispose()
    if revision is None:
        raise CommandError(
            "there is nothing to back up in the database of DATABASE_URL: patient-access migrate has not run"
        )
    try:
        with progress_bar("Backing up") as advance:
            back_up(settings, file, advance)
    except BackupError as error:
        raise CommandError(str(error)) from error
    size = file.stat().st_size
    print(f"Backed up revision {revision} to {file}: {size:,} bytes, not older than {clock.instant(begun)}.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file of patient-access backup.", metavar="FILE")],
    end_grants: Annotated[
        bool,
        typer.Option(
            "--end-grants", help="End what members allowed apps: what they withdrew after the backup is not known."
        ),
    ] = False,
) -> None:
    """Make the database of DATABASE_URL, which must be absent or empty, from a backup: all of it, or nothing."""
    from server.progress import progress_bar
    from server.settings import Settings
    from server.storage import migrate
    from server.storage.backup import BackupError
    from server.storage.backup import restore as restore_file
    from server.storage.database import Database

    settings = Settings()
    try:
        with progress_bar("Restoring") as advance:
            revision = restore_file(settings, file, advance)
    except BackupError as error:
        raise CommandError(str(error)) from error
    database = Database(settings)
    try:
        migrated = "" if migrate.is_current(database) else f", migrated to {migrate.upgrade(database)[-1]}"
        print(f"Restored revision {revision} from {file}{migrated}.")
        if end_grants:
            print(f"Ended {_end_grants(database, settings):,} grants.")
        _tell(database, settings)
    finally:
        database.engine.dispose()


def _end_grants(database: "Database", settings: "Settings") -> int:
    from server.authorization.tokens import end_some_grants

    writer, ended = event_ledger(database), 0
    while True:
        with writer.transaction() as recording:
            some = end_some_grants(recording, settings, "restored from a backup")
        ended += some
        if not some:
            return ended


def _tell(database: "Database", settings: "Settings") -> None:
    """How old the restored database is, and what is to be done about it."""
    from server import clock
    from server.authorization.keys import SigningKeys
    from server.storage.ledger_anchors import extent, first_and_last_row

    with database.reading() as transaction:
        rows, _ = extent(transaction)
        bounds = first_and_last_row(transaction)
        readable = settings.secret_key is None or SigningKeys(settings).can_read(transaction)
    newest = f", the newest of {clock.instant(bounds[1])}" if bounds else ""
    print(f"The ledger has {rows:,} rows{newest}. What was anchored later is named by: ledger verify --anchors FILE")
    if not readable:
        print("SECRET_KEY is not the one this database was used with: new signing keys are made, one-time codes fail.")
