"""Backup and restore: one file that is a whole database at one moment, taken while it is in use, and put back where nothing is.

SQLite by its online backup (https://www.sqlite.org/backup.html), PostgreSQL by pg_dump's custom format
(https://www.postgresql.org/docs/current/app-pgdump.html). A file appears under its name only when it is whole; so does a database.
"""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import conninfo, pq

from server.settings import Settings
from server.storage import migrate

PAGES_AT_ONCE = 8192
"""Pages of the SQLite file that are copied before progress is told."""
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
_MAGIC = {b"SQLite format 3\0": SQLITE, b"PGDMP": POSTGRESQL}
_TABLES = "SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace = 'public'::regnamespace"
Progress = Callable[[int, int], None]


class BackupError(Exception):
    """What cannot be backed up or restored; the message is one line that says what to do."""


def back_up(settings: Settings, target: Path, on_progress: Progress) -> None:
    """Write the database of the settings, as it is at this moment, to a file for its owner alone. Raises BackupError, OSError."""
    if target.exists():
        raise BackupError(f"{target} is there already; a backup never replaces one: choose another name")
    with _appearing(target) as partial:
        if settings.sqlite_path is not None:
            _copy(settings.sqlite_path, partial, on_progress)
            _check(partial, target)
        else:
            options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"]
            _run("pg_dump", options, _environment(settings.database_url))


def restore(settings: Settings, source: Path, on_progress: Progress) -> str:
    """Make the database of the settings, which must not be there or be empty, from a backup: the revision of its schema.

    All or nothing. Raises BackupError, OSError.
    """
    wanted = POSTGRESQL if settings.sqlite_path is None else SQLITE
    kind = _kind(source)
    if kind != wanted:
        raise BackupError(f"{source} is a backup of {kind}, and the database of DATABASE_URL is {wanted}")
    revision = _sqlite_revision(source) if kind == SQLITE else _dumped_revision(source)
    if not migrate.knows(revision):
        raise BackupError(
            f"{source} is of revision {revision}, which this version of the server does not know; restore it with the version"
            " that made it, or a newer one"
        )
    if settings.sqlite_path is not None:
        _restore_sqlite(settings.sqlite_path, source, on_progress)
    else:
        _restore_postgresql(settings.database_url, source)
    return revision


def _kind(source: Path) -> str:
    with source.open("rb") as file:
        start = file.read(16)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    raise BackupError(f"{source} is not a backup; patient-access backup writes one")


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A file beside its place, readable by its owner alone, which takes its name when the block ends well, and is gone otherwise."""
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        _flush(partial)
        partial.replace(target)
        _flush(target.parent)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _flush(path: Path) -> None:
    """Wait until the disk has it: a file, or a directory with the names in it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- SQLite ----------------------------------------------------------------------------------------------------------


def _copy(source: Path, target: Path, on_progress: Progress, mode: str = "rw") -> None:
    """Copy a database page by page, as it is when this begins: the transaction holds that moment, while others go on writing."""
    try:
        with closing(_connect(source, mode)) as read, closing(sqlite3.connect(target, isolation_level=None)) as written:
            read.execute("BEGIN")
            read.execute("SELECT count(*) FROM sqlite_master").fetchone()
            written.execute("PRAGMA journal_mode=OFF")
            written.execute("PRAGMA synchronous=OFF")  # it is flushed as a whole, before it has its name
            read.backup(written, pages=PAGES_AT_ONCE, progress=lambda _, left, all: on_progress(all - left, all))
            written.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal beside it
    except sqlite3.Error as error:
        raise BackupError(f"{source} could not be copied to {target.parent}: {error}") from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{_MODES[mode]}", uri=True, isolation_level=None, timeout=10)


_MODES = {"rw": "mode=rw", "immutable": "mode=ro&immutable=1"}
"""A database that may be in use; a file that nobody writes, opened without making anything beside it."""


def _check(copied: Path, source: Path) -> None:
    with closing(_connect(copied, "immutable")) as connection:
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            found = str(error)
    if found != "ok":
        raise BackupError(f"{source} is damaged: {' '.join(str(found).split())}")


def _sqlite_revision(source: Path) -> str:
    beside = source.with_name(source.name + "-wal")
    if beside.exists() and beside.stat().st_size:
        raise BackupError(f"{source} is a database in use, of which {beside.name} is a part; make a backup of it")
    with closing(_connect(source, "immutable")) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            row = None
        except sqlite3.Error as error:
            raise BackupError(f"{source} is damaged: {error}") from error
    if row is None:
        raise BackupError(f"{source} is not a backup of this server's database")
    return str(row[0])


def _restore_sqlite(path: Path, source: Path, on_progress: Progress) -> None:
    for there in (path, path.with_name(path.name + "-wal")):
        if there.exists() and there.stat().st_size:
            raise BackupError(f"{there} is there already; restore to another place, or move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _appearing(path) as partial:
        _copy(source, partial, on_progress, "immutable")
        _check(partial, source)


# -- PostgreSQL ------------------------------------------------------------------------------------------------------


def _environment(url: str) -> dict[str, str]:
    """The connection of a URL as libpq's environment variables: a password on a command line could be read by anybody."""
    found = {option.keyword: option for option in pq.Conninfo.parse(url.encode())}
    return {
        option.envvar.decode(): option.val.decode()
        for option in found.values()
        if option.envvar is not None and option.val is not None
    }


def _run(program: str, options: list[str], environment: Mapping[str, str]) -> str:
    """What a program of PostgreSQL printed. Raises BackupError when it is not there or fails."""
    path = shutil.which(program)
    if path is None:
        raise BackupError(
            f"{program} is not on PATH; install PostgreSQL's client programs, of the server's version or a newer one"
        )
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program; no word of the options is a user's but the file's name
        [path, *options], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.splitlines() or [f"{program} ended with {done.returncode}"]
        told = [line for line in lines if "error:" in line or "detail:" in line] or lines
        raise BackupError(" ".join(" ".join(told[:2]).split()))
    return done.stdout


def _dumped_revision(source: Path) -> str:
    """The revision in a dump, of which nothing else is read."""
    table = _run("pg_restore", ["--data-only", "--table=alembic_version", "--file=-", str(source)], {})
    lines = iter(table.splitlines())
    for line in lines:
        if line.startswith("COPY public.alembic_version "):
            return next(lines, "").strip()
    raise BackupError(f"{source} is not a backup of this server's database")


def _restore_postgresql(url: str, source: Path) -> None:
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute(_TABLES).fetchone()
            name = connection.info.dbname
    except psycopg.OperationalError as error:
        raise BackupError(f"the database of DATABASE_URL does not answer: {error}") from error
    if row is None or row[0]:
        raise BackupError("the database of DATABASE_URL is not empty; restore into a new one (createdb)")
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    options += ["--no-publications", "--no-subscriptions", f"--dbname={conninfo.make_conninfo(dbname=name)}"]
    _run("pg_restore", [*options, str(source)], _environment(url))
