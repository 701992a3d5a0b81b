"""Checks of this machine's database, ledger, keys, disk and libraries.

https://www.sqlite.org/wal.html, https://www.postgresql.org/docs/current/ddl-partitioning.html and docs/ledger.md
"""

import importlib.util
import resource
import shutil
import sys

from server import clock
from server.authorization.keys import SigningKeys, all_keys
from server.doctor.findings import Finding, failed, listed, passed, skipped, warned
from server.doctor.machine import Machine
from server.metrics.ledger_health import health
from server.production import leftovers
from server.storage import ledger_partitions, migrate
from server.storage.database import Database
from server.tracing import TelemetryMissingError, check_installed

DAY = 86_400 * 1_000_000
"""Microseconds."""
OLDEST_KEY_DAYS = 400
LATEST_ANCHOR_DAYS = 3
MOST_DAYS_BEHIND = 2
LEAST_FREE_BYTES = 500 * 1024 * 1024
FEWEST_FILES = 4096
REQUIRED, FASTER = ("uvloop", "httptools"), ("isal", "brotli", "zstandard", "orjson")


def database(machine: Machine) -> Finding:
    """The database answers."""
    path = machine.settings.sqlite_path
    if path is not None and not path.exists():
        return failed(f"there is no database at {path}", "patient-access migrate makes one")
    try:
        migrate.current(machine.open())
    except Exception as error:  # whatever a driver says
        words = " ".join(str(error).split())[:200]
        return failed(f"the database of DATABASE_URL does not answer: {words}", "see host, name, user and password")
    if path is not None:
        if machine.is_production and path.stat().st_mode & 0o077:
            return warned(f"{path} can be read by others of this machine", f"chmod 600 {path}")
        return passed("SQLite, for one machine")
    return passed("PostgreSQL")


def migrations(machine: Machine) -> Finding:
    """The database has the tables of this version."""
    path = machine.settings.sqlite_path
    if path is not None and not path.exists():
        return skipped("see database")
    try:
        found = migrate.current(machine.open())
    except Exception:  # database says it
        return skipped("see database")
    if found != migrate.head():
        return failed(f"at {found or 'nothing'}, this version needs {migrate.head()}", "patient-access migrate")
    return passed(f"at {found}")


def replicas(machine: Machine) -> Finding:
    """Every read replica answers, and has the tables of this version."""
    settings = machine.settings
    if not settings.database_replica_url:
        return skipped("DATABASE_REPLICA_URL is unset")
    if settings.sqlite_path is not None:
        return warned("DATABASE_URL is SQLite: no replica is read", "unset DATABASE_REPLICA_URL, or move to PostgreSQL")
    silent, behind = [], []
    for number, url in enumerate(settings.database_replica_url, start=1):
        replica = Database(settings.model_copy(update={"database_url": url, "database_replica_url": ()}))
        try:
            if not migrate.is_current(replica):
                behind.append(f"replica {number}")
        except Exception:  # whatever a driver says
            silent.append(f"replica {number}")
        finally:
            replica.engine.dispose()
    if behind:
        return failed(
            f"{listed(behind)} of DATABASE_REPLICA_URL: another schema", "see whether it replicates DATABASE_URL"
        )
    if silent:
        return warned(
            f"{listed(silent)} of DATABASE_REPLICA_URL: no answer", "the server does without it; see host and network"
        )
    return passed(f"{len(settings.database_replica_url)} answer")


def signing_keys(machine: Machine) -> Finding:
    """There is a key to sign id_tokens with, that SECRET_KEY decrypts, and that is not about to go or very old."""
    now, settings = clock.now_microseconds(), machine.settings
    if settings.secret_key is None and (machine.is_production or not settings.secret_key_file.exists()):
        return skipped("see secret-key")  # to look would make one
    with machine.database().reading() as transaction:
        dates = [key for key in all_keys(transaction) if key.state(now) == "in use"]
        usable = SigningKeys(machine.settings).usable(transaction)
    if not dates:
        return passed("none yet: the first is made when it is needed")
    if not usable:
        mend = "set the SECRET_KEY they were made under as SECRET_KEY_PREVIOUS, then: patient-access keys rotate"
        return failed("SECRET_KEY decrypts none of the signing keys", mend)
    lasting = [key for key in dates if key.retired_at is None or key.retired_at > now + DAY]
    if not lasting:
        return warned("the last signing key is retired within a day", "patient-access keys rotate")
    days = (now - max(key.active_at for key in lasting)) // DAY
    if days > OLDEST_KEY_DAYS:
        return warned(f"the signing key is {days} days old", "patient-access keys rotate, once a year (docs/keys.md)")
    return passed(f"{usable} published, the newest signs since {days} days")


def sandbox_leftovers(machine: Machine) -> Finding:
    """No app and no sign-in of the sandbox is in the database."""
    found = leftovers(machine.database())
    if found:
        return (failed if machine.is_production else warned)(listed(found, 2), "give production a database of its own")
    return passed("none")


def ledger_anchors(machine: Machine) -> Finding:
    """The ledger is anchored: what was written cannot be cut off unnoticed."""
    with machine.database().reading() as transaction:
        found = health(transaction, machine.settings)
    if not found.days:
        return skipped("no day of the ledger is over yet")
    behind = (clock.now_microseconds() - found.anchored_until) // DAY
    if not found.anchored_until or behind > LATEST_ANCHOR_DAYS:
        since = f"{behind} days ago" if found.anchored_until else "never"
        return warned(
            f"last anchored {since}", "every night: patient-access ledger anchor --output FILE (docs/ledger.md)"
        )
    return passed(f"until {clock.instant(found.anchored_until)}")


def ledger_roll_ups(machine: Machine) -> Finding:
    """The ledger's days are rolled up, so that reports are quick."""
    with machine.database().reading() as transaction:
        found = health(transaction, machine.settings)
    if not found.days:
        return skipped("no day of the ledger is over yet")
    if found.days_not_rolled_up > MOST_DAYS_BEHIND:
        told = f"{found.days_not_rolled_up} of {found.days} days are not rolled up"
        return warned(told, "every night: patient-access ledger roll-up")
    return passed(f"{found.days - found.days_not_rolled_up} of {found.days} days")


def ledger_partitions_ahead(machine: Machine) -> Finding:
    """The ledger's partitions of the coming months are there."""
    if machine.settings.sqlite_path is not None:
        return skipped("SQLite has one table")
    month = ledger_partitions.Month.of(clock.now_microseconds())
    with machine.database().reading() as transaction:
        known = ledger_partitions.partitions(transaction)
    missing = [str(one) for one in (month, month.plus(1)) if one.partition not in known]
    if missing:
        return warned(f"none for {listed(missing)}", "patient-access migrate; a running server makes them too")
    return passed(f"until {month.plus(1)} at least")


def disk(machine: Machine) -> Finding:
    """There is room for the SQLite file to grow."""
    path = machine.settings.sqlite_path
    if path is None:
        return skipped("PostgreSQL keeps its own")
    if not path.exists():
        return skipped("see database")
    free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
    told = f"{free // 1_000_000:,} MB free, the database has {size // 1_000_000:,} MB"
    if free < LEAST_FREE_BYTES:
        return failed(told, "make room: without it no answer can be recorded, and none is given")
    if free < size:
        return warned(told, "a backup or a migration may need as much again")
    return passed(told)


def libraries(machine: Machine) -> Finding:
    """What makes the server quick is installed."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        return failed(f"missing: {listed(missing)}", f"pip install {' '.join(missing)}; without it requests stall")
    if machine.settings.otel_exporter_otlp_endpoint:
        try:
            check_installed()
        except TelemetryMissingError as error:
            return failed(str(error), "pip install 'patient-access[telemetry]', or unset OTEL_EXPORTER_OTLP_ENDPOINT")
    slower = [name for name in FASTER if importlib.util.find_spec(name) is None]
    if slower:
        return warned(f"missing: {listed(slower)}", f"pip install {' '.join(slower)}")
    return passed(f"all, on Python {sys.version.split()[0]}")


def open_files(machine: Machine) -> Finding:
    """The process may hold enough connections."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= limit < FEWEST_FILES:
        return warned(f"{limit} open files per process", f"ulimit -n {FEWEST_FILES}, or more")
    return passed(f"{'unlimited' if limit < 0 else limit} open files per process")
