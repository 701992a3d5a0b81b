"""``patient-access backup`` and ``restore``: a whole database in one file and back, and everything that is refused in one line.

https://www.sqlite.org/backup.html and https://www.postgresql.org/docs/current/app-pgdump.html
"""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select, text

from server import clock
from server.authorization.keys import SigningKeys
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database
from server.storage.schema import METADATA
from tests import factories
from tests.asgi import served
from tests.cli.command import Outcome, PatientAccess
from tests.conftest import NewDatabase
from tests.factories import explanation_of_benefit, ledger_rows, patient, store
from tests.postgresql_programs import path_with_programs
from tests.storage.ledgers import HOUR, chain, write

START = clock.to_microseconds(datetime(2026, 10, 30, tzinfo=UTC))
NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
NO_DATABASE = "sqlite:///nowhere.db"


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path_with_programs())


@pytest.fixture
def elsewhere(new_database_url: NewDatabase) -> str:
    """The URL of a database that is absent or empty."""
    return new_database_url(migrated=False)


def backed_up(patient_access: PatientAccess, file: Path) -> Path:
    """A backup of the test's database."""
    outcome = patient_access("backup", str(file))
    assert outcome.code == 0, outcome.err
    return file


def refused(outcome: Outcome, message: str) -> bool:
    """One line on standard error that says so, and exit code 2."""
    bar, _, error = outcome.err.rpartition("error: ")
    assert (outcome.code, outcome.out, error.count("\n"), "Traceback" in bar) == (2, "", 1, False), outcome
    assert message in error, outcome
    return True


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with database.reading() as transaction:
        return {
            name: sorted((tuple(row) for row in transaction.all(select(table))), key=repr)
            for name, table in METADATA.tables.items()
        }


def test_a_backup_is_one_private_file_and_its_restoration_has_every_row(
    patient_access: PatientAccess, database: Database, settings: Settings, elsewhere: str, tmp_path: Path
) -> None:
    store(database, settings, [patient("anna"), explanation_of_benefit("one", patient("anna"))])
    token = factories.token(database, "anna").text
    write(database, chain([START, START + HOUR]))
    with database.transaction() as transaction:
        SigningKeys(settings).current(transaction)
    folder = tmp_path / "backups"
    folder.mkdir()
    file = folder / "today.backup"
    outcome = patient_access("backup", str(file))
    assert outcome.out.startswith(f"Backed up revision {migrate.head()} to {file}: {file.stat().st_size:,} bytes, ")
    assert [one.name for one in folder.iterdir()] == ["today.backup"]
    assert file.stat().st_mode & 0o777 == 0o600
    before = contents(database)
    restored = patient_access("restore", str(file), DATABASE_URL=elsewhere)
    assert restored.code == 0, restored.err
    assert restored.out.splitlines() == [
        f"Restored revision {migrate.head()} from {file}.",
        "The ledger has 2 rows, the newest of 2026-10-30T01:00:00.000Z. What was anchored later is named by: ledger verify"
        " --anchors FILE",
    ]
    copied = settings.model_copy(update={"database_url": elsewhere})
    other = Database(copied)
    assert contents(other) == before
    assert len(before["resource"]) == 2
    if copied.sqlite_path is not None:
        assert copied.sqlite_path.stat().st_mode & 0o777 == 0o600
    other.engine.dispose()
    with served(copied) as application:
        assert application.get("Patient/anna", token).json["id"] == "anna"


def test_what_was_anchored_after_the_backup_is_noticed_after_a_restoration(
    patient_access: PatientAccess, database: Database, elsewhere: str, tmp_path: Path
) -> None:
    begun, later = chain([START + hour * HOUR for hour in range(40)]), chain([START + 60 * HOUR])
    write(database, begun[:30])
    file, anchors = backed_up(patient_access, tmp_path / "backup"), str(tmp_path / "anchors.jsonl")
    write(database, begun[30:], later)
    with clock.set_to(NOON):
        assert patient_access("ledger", "anchor", "--output", anchors).code == 0
        assert patient_access("ledger", "verify", "--anchors", anchors).code == 0
        assert patient_access("restore", str(file), DATABASE_URL=elsewhere).code == 0
        alone = patient_access("ledger", "verify", DATABASE_URL=elsewhere)
        verified = patient_access("ledger", "verify", "--anchors", anchors, DATABASE_URL=elsewhere)
    assert alone.code == 0, "the chains of a restored database are whole in themselves"
    assert verified.code == 1
    lines = verified.out.splitlines()
    assert any("row 40, anchored as the last of" in line and "the last row there is 30" in line for line in lines)
    assert any(later[0]["writer"] in line and "is missing; the last row there is none" in line for line in lines)


def test_what_members_allowed_can_be_ended_with_the_restoration(
    patient_access: PatientAccess, database: Database, settings: Settings, elsewhere: str, tmp_path: Path
) -> None:
    store(database, settings, [patient("anna"), patient("bela")])
    tokens = [factories.token(database, id).text for id in ("anna", "bela", "anna")]
    file = backed_up(patient_access, tmp_path / "backup")
    restored = patient_access("restore", str(file), "--end-grants", DATABASE_URL=elsewhere)
    assert "Ended 3 grants." in restored.out
    copied = settings.model_copy(update={"database_url": elsewhere})
    with served(copied) as application:
        assert [application.get("Patient", token).status for token in tokens] == [401, 401, 401]
    other = Database(copied)
    assert [row.detail for row in ledger_rows(other, kind="revocation")] == ["restored from a backup"] * 3
    other.engine.dispose()


def test_another_secret_key_is_told(
    patient_access: PatientAccess, database: Database, settings: Settings, elsewhere: str, tmp_path: Path
) -> None:
    with database.transaction() as transaction:
        SigningKeys(settings).current(transaction)
    file = backed_up(patient_access, tmp_path / "backup")
    restored = patient_access(
        "restore", str(file), DATABASE_URL=elsewhere, SECRET_KEY="another secret key, long enough to be one"
    )
    assert "SECRET_KEY is not the one this database was used with" in restored.out


def test_a_backup_of_an_older_version_is_migrated_when_it_is_restored(
    patient_access: PatientAccess, empty_database_url: str, elsewhere: str, tmp_path: Path
) -> None:
    at_revision(empty_database_url, "0003")
    file = tmp_path / "backup"
    outcome = patient_access("backup", str(file), DATABASE_URL=empty_database_url)
    assert outcome.out.startswith("Backed up revision 0003 ")
    restored = patient_access("restore", str(file), DATABASE_URL=elsewhere)
    assert f"Restored revision 0003 from {file}, migrated to {migrate.head()}." in restored.out
    other = Database(Settings(database_url=elsewhere))
    assert migrate.is_current(other)
    other.engine.dispose()


def at_revision(url: str, revision: str) -> None:
    """Migrate a new database so far."""
    from alembic import command

    database = Database(Settings(database_url=url))
    with database.transaction() as transaction:
        configuration = migrate._configuration()
        configuration.attributes["connection"] = transaction.connection
        command.upgrade(configuration, revision)
    database.engine.dispose()


# -- what is refused -------------------------------------------------------------------------------------------------


def test_a_backup_replaces_nothing_and_leaves_nothing_behind(patient_access: PatientAccess, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "there").write_text("precious")
    assert refused(patient_access("backup", str(folder / "there")), "a backup never replaces one")
    assert (folder / "there").read_text() == "precious"
    assert refused(patient_access("backup", str(folder / "no" / "folder")), "No such file or directory")
    assert [one.name for one in folder.iterdir()] == ["there"]


def test_there_must_be_something_to_back_up(call: PatientAccess, empty_database_url: str, tmp_path: Path) -> None:
    message = "there is no database at" if empty_database_url.startswith("sqlite") else "migrate has not run"
    assert refused(call("backup", str(tmp_path / "backup"), DATABASE_URL=empty_database_url), message)
    assert not (tmp_path / "backup").exists()


def test_a_database_that_is_there_is_never_restored_over(
    patient_access: PatientAccess, database: Database, settings: Settings, tmp_path: Path
) -> None:
    file = backed_up(patient_access, tmp_path / "backup")
    store(database, settings, [patient("anna")])
    message = "is there already" if database.is_sqlite else "is not empty"
    assert refused(patient_access("restore", str(file)), message)
    with database.reading() as transaction:
        assert transaction.scalar(select(func.count()).select_from(METADATA.tables["resource"])) == 1


def test_a_file_that_is_missing_or_no_backup_makes_no_database(
    patient_access: PatientAccess, elsewhere: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("CREATE TABLE resource ();")
    (tmp_path / "empty").touch()
    for name, message in (
        ("missing", "No such file or directory"),
        ("text", "is not a backup; patient-access backup writes one"),
        ("empty", "is not a backup; patient-access backup writes one"),
        (".", "Is a directory"),
    ):
        assert refused(patient_access("restore", str(tmp_path / name), DATABASE_URL=elsewhere), message)
    assert is_empty(elsewhere)


def is_empty(url: str) -> bool:
    if url.startswith("sqlite"):
        return not Path(url.removeprefix("sqlite:///")).exists()
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    return row == (0,)


def test_a_backup_of_another_program_is_refused(
    patient_access: PatientAccess, database_kind: str, elsewhere: str, new_database_url: NewDatabase, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    if database_kind == "sqlite":
        other = sqlite3.connect(file)
        other.execute("CREATE TABLE invoices (number INTEGER)")
        other.close()
    else:
        foreign = new_database_url(migrated=False)
        with psycopg.connect(foreign) as connection:
            connection.execute("CREATE TABLE invoices (number INTEGER)")
        os.system(f"pg_dump --format=custom --file={file} '{foreign}'")
    assert refused(
        patient_access("restore", str(file), DATABASE_URL=elsewhere), "is not a backup of this server's database"
    )
    assert is_empty(elsewhere)


def test_a_backup_of_a_newer_version_is_refused(
    patient_access: PatientAccess, database: Database, elsewhere: str, tmp_path: Path
) -> None:
    with database.transaction() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    file = backed_up(patient_access, tmp_path / "backup")
    outcome = patient_access("restore", str(file), DATABASE_URL=elsewhere)
    assert refused(outcome, "is of revision 9999, which this version of the server does not know")
    assert is_empty(elsewhere)


def test_a_backup_that_was_cut_off_leaves_nothing(
    patient_access: PatientAccess, database: Database, settings: Settings, elsewhere: str, tmp_path: Path
) -> None:
    store(database, settings, [patient(f"p{number}") for number in range(60)])
    file = backed_up(patient_access, tmp_path / "backup")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    outcome = patient_access("restore", str(file), DATABASE_URL=elsewhere)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1].startswith("error: ")
    assert is_empty(elsewhere)
    assert not list(tmp_path.glob("*.partial"))


def test_the_other_kind_of_database_is_refused(call: PatientAccess, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"PGDMP and more")
    message = "is a backup of PostgreSQL, and the database of DATABASE_URL is SQLite"
    assert refused(call("restore", str(tmp_path / "dump"), DATABASE_URL=f"sqlite:///{tmp_path}/new.db"), message)
    (tmp_path / "file").write_bytes(b"SQLite format 3\0 and more")
    message = "is a backup of SQLite, and the database of DATABASE_URL is PostgreSQL"
    assert refused(call("restore", str(tmp_path / "file"), DATABASE_URL="postgresql://127.0.0.1:1/none"), message)


def test_a_database_in_use_is_no_backup(call: PatientAccess, sqlite_template: Path, tmp_path: Path) -> None:
    live = tmp_path / "live.db"
    live.write_bytes(sqlite_template.read_bytes())
    connection = sqlite3.connect(live)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("UPDATE load_clock SET loaded_at = 1")
    connection.commit()
    outcome = call("restore", str(live), DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert refused(outcome, "is a database in use, of which live.db-wal is a part; make a backup of it")
    connection.close()


def test_without_the_programs_of_postgresql_it_says_what_to_install(
    call: PatientAccess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql")
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = call("backup", str(tmp_path / "backup"), DATABASE_URL=url.named(url.template))
    assert refused(outcome, "pg_dump is not on PATH; install PostgreSQL's client programs")
    assert not list(tmp_path.iterdir())
