"""What each command does to the database, and what it says, on SQLite and on PostgreSQL."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from server import launcher
from server.authorization import clients, identity
from server.authorization.authority import members as members_of
from server.authorization.brand_bundle import brand_bundle
from server.fhir.validation import validate
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.cli.command import PatientAccess

DECISION = ("--criterion", "credentials-exposed", "--evidence", "a public repository", "--decided-by", "Sam")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Two members' Patients, and one resource that no FHIR parser accepts."""
    path = tmp_path / "records" / "members.ndjson"
    path.parent.mkdir()
    path.write_text('{"resourceType":"Patient","id":"1"}\n{"resourceType":"Patient","id":"2"}\n')
    return path


def test_migrate_makes_the_tables_and_says_so_once(call: PatientAccess, empty_database_url: str) -> None:
    first = call("migrate", DATABASE_URL=empty_database_url)
    assert (first.code, first.out) == (0, f"Migrated to {migrate.head()}.\n")
    again = call("migrate", DATABASE_URL=empty_database_url)
    assert (again.code, again.out) == (0, f"Up to date at {migrate.head()}.\n")


def test_a_database_without_tables_is_refused(call: PatientAccess, empty_database_url: str) -> None:
    outcome = call("report", "usage", "--year", "2026", DATABASE_URL=empty_database_url)
    assert outcome.code == 2
    assert "patient-access migrate" in outcome.err


def test_load_reports_what_became_of_every_record(patient_access: PatientAccess, examples: Path) -> None:
    first = patient_access("load", str(examples))
    assert first.code == 0
    assert re.search(r"Patient.*2", first.out)
    assert "created" in first.out
    again = patient_access("load", str(examples.parent))
    assert again.code == 0
    assert "unchanged" in again.out


def test_generated_members_load_without_a_rejection(patient_access: PatientAccess, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    made = patient_access(
        "generate", "--members", "12", "--seed", "8", "--as-of", "2026-11-01", "--output", str(folder)
    )
    assert made.code == 0
    assert re.fullmatch(r"Wrote [\d,]+ resources of 12 members into .*made, as of 2026-11-01\.\n", made.out)
    loaded = patient_access("load", str(folder), REPORTING_UNITS_FILE=str(folder / "reporting_units.toml"))
    assert loaded.code == 0, loaded.out
    assert re.search(r"^Patient +12\b", loaded.out, re.MULTILINE)


def test_load_answers_1_when_a_record_is_rejected(patient_access: PatientAccess, examples: Path) -> None:
    with examples.open("a") as file:
        file.write('{"resourceType":"Patient","id":"3","birthDate":"yesterday"}\n')
    outcome = patient_access("load", str(examples))
    assert outcome.code == 1
    assert "members.ndjson" in outcome.out
    assert "birthDate" in outcome.out


def test_load_answers_2_when_nothing_could_be_read(patient_access: PatientAccess, tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    assert patient_access("load", str(empty)).code == 2


def test_retract_withdraws_a_resource(patient_access: PatientAccess, examples: Path) -> None:
    patient_access("load", str(examples))
    outcome = patient_access("retract", "Patient/1")
    assert outcome.code == 0
    assert "retracted" in outcome.out


def test_an_account_may_act_for_several_members(
    patient_access: PatientAccess, database: Database, settings: Settings, examples: Path
) -> None:
    patient_access("load", str(examples))
    outcome = patient_access(
        *("account", "add", "--username", "jane", "--password", "correct horse", "--name", "Jane Doe"),
        *("--patient", "Patient/1", "--relationship", "self"),
        *("--patient", "2", "--relationship", "spouse", "--related-person", "", "--related-person", "r2"),
    )
    assert (outcome.code, outcome.err) == (0, "warning: no RelatedPerson r2 is loaded yet\n")
    assert outcome.out == "jane may sign in and act for 1, 2.\n"
    account = identity.sign_in(database, EventLedger(database), settings, "jane", "correct horse")
    assert account is not None
    with database.reading() as transaction:
        members = members_of(transaction, settings, account)
    found = [(member.patient, member.relationship, member.related_person) for member in members]
    assert found == [("1", "self", ""), ("2", "spouse", "RelatedPerson/r2")]


def test_an_account_for_a_member_who_is_not_loaded_is_made_with_a_warning(patient_access: PatientAccess) -> None:
    outcome = patient_access(
        *("account", "add", "--username", "jane", "--password", "correct horse", "--name", "Jane", "--patient", "404")
    )
    assert outcome.code == 0
    assert outcome.err == "warning: no Patient 404 is loaded yet\n"


def test_each_patient_needs_its_relationship(patient_access: PatientAccess) -> None:
    outcome = patient_access(
        *("account", "add", "--username", "jane", "--password", "correct horse", "--name", "Jane"),
        *("--patient", "1", "--patient", "2", "--relationship", "parent"),
    )
    assert outcome.code == 2
    assert outcome.err == "error: 2 --patient need as many --relationship, or none; there are 1\n"


def test_a_short_password_is_refused_in_one_line(patient_access: PatientAccess) -> None:
    outcome = patient_access(
        *("account", "add", "--username", "jane", "--password", "short", "--name", "Jane", "--patient", "1")
    )
    assert (outcome.code, outcome.err) == (2, "error: a password has 8 to 256 characters\n")


def test_a_public_app_is_registered_and_suspended(patient_access: PatientAccess, database: Database) -> None:
    added = patient_access("client", "add", "--name", "My app", "--redirect-uri", "https://app.example/callback")
    assert added.code == 0
    client_id = re.fullmatch(r"client_id +(\S+)\n", added.out)
    assert client_id is not None
    suspended = patient_access("client", "suspend", client_id[1], *DECISION)
    assert suspended.code == 0
    assert suspended.out.startswith(f"{client_id[1]} is suspended. It is told: ")
    with database.reading() as transaction:
        client = clients.find_client(transaction, client_id[1])
    assert client is not None
    assert (client.status, client.environment) == ("suspended", "production")
    assert "(credentials-exposed)" in client.suspended_reason


def test_a_job_of_another_kind_is_told_what_it_lacks(patient_access: PatientAccess) -> None:
    outcome = patient_access("client", "add", "--name", "Job", "--confidential", "--scope", "system/*.rs")
    told = "error: of clients with system scopes only those of the kind payer need no redirect URI\n"
    assert (outcome.code, outcome.err) == (2, told)


def test_a_confidential_app_gets_its_secret_once(patient_access: PatientAccess, database: Database) -> None:
    arguments = (
        *("client", "add", "--name", "Server app", "--confidential", "--id", "server-app", "--environment", "test"),
        *("--redirect-uri", "https://app.example/a", "--redirect-uri", "https://app.example/b", "--kind", "probe"),
        *("--scope", "patient/Patient.rs", "--scope", "launch/patient"),
    )
    first = patient_access(*arguments)
    secret = re.search(r"client_secret +(\S+)", first.out)
    assert secret is not None
    assert "client_secret" not in patient_access(*arguments).out
    with database.reading() as transaction:
        client = clients.find_client(transaction, "server-app")
    assert client is not None
    assert client.check_client_secret(secret[1])
    assert client.redirect_uris == ("https://app.example/a", "https://app.example/b")
    assert (client.kind, client.environment, client.scope) == ("probe", "test", "patient/Patient.rs launch/patient")


def test_suspending_nobody_is_refused(patient_access: PatientAccess) -> None:
    outcome = patient_access("client", "suspend", "nobody", *DECISION)
    assert (outcome.code, outcome.err) == (2, "error: no client has the id nobody\n")


def test_the_report_is_written_as_table_csv_and_json(patient_access: PatientAccess, tmp_path: Path) -> None:
    arguments = ("report", "usage", "--year", "2025")
    assert "usage report 2025" in patient_access(*arguments).out
    assert json.loads(patient_access(*arguments, "--format", "json").out)["year"] == 2025
    file = tmp_path / "usage.csv"
    outcome = patient_access(*arguments, "--format", "csv", "--environment", "test", "--output", str(file))
    assert (outcome.code, outcome.out) == (0, f"Wrote {file}.\n")
    rows = list(csv.DictReader(file.open(newline="")))
    assert {row["environment"] for row in rows} == {"test"}


@pytest.mark.parametrize("command", [[], ["account"], ["client"], ["report"]])
def test_help_needs_no_database(call: PatientAccess, command: list[str]) -> None:
    outcome = call(*command, "--help")
    assert outcome.code == 0
    assert "patient-access" in outcome.out
    assert "migrate" in outcome.out or command


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("payer.local", "http://payer.local:8000"),
    ],
)
def test_a_server_on_this_machine_knows_its_address(host: str, base_url: str) -> None:
    assert launcher.local_base_url(host, 8000) == base_url


def test_an_app_that_is_updated_keeps_what_is_not_given(patient_access: PatientAccess, database: Database) -> None:
    update = ("client", "add", "--id", "one", "--name", "One", "--redirect-uri", "https://app.example/a")
    limits = ("--confidential", "--environment", "test", "--kind", "payer", "--scope", "patient/Patient.rs")
    patient_access(*update, *limits)
    patient_access("client", "suspend", "one", *DECISION)
    outcome = patient_access(*update)
    assert (outcome.code, "It stays suspended: The app's credentials" in outcome.out) == (0, True)
    with database.reading() as transaction:
        client = clients.find_client(transaction, "one")
    assert client is not None
    kept = (client.environment, client.kind, client.authentication, client.scope)
    assert kept == ("test", "payer", "client_secret_basic", "patient/Patient.rs")
    assert patient_access("client", "resume", "one", "--decided-by", "Sam").out == "one is active again.\n"
    assert "suspended" not in patient_access(*update, "--public").out
    again = patient_access("client", "resume", "one", "--decided-by", "Sam")
    assert (again.code, again.err) == (2, "error: client one is not suspended\n")


def test_a_password_comes_from_standard_input(
    patient_access: PatientAccess, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\nmore\n"))
    outcome = patient_access("account", "add", "--username", "jane", "--name", "Jane", "--patient", "1")
    assert (outcome.code, "Warning" in outcome.err) == (0, False)
    assert identity.sign_in(database, EventLedger(database), settings, "jane", "correct horse") is not None


def test_the_endpoint_record_is_the_endpoint_of_the_brands_bundle(patient_access: PatientAccess) -> None:
    outcome = patient_access("endpoint", BASE_URL="https://api.summit.example", PAYER_NAME="Summit Health Plan")
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    assert validate(record) == []
    assert (record["resourceType"], record["address"]) == ("Endpoint", "https://api.summit.example/fhir")
    (published,) = [
        json.loads(body)
        for path, body in brand_bundle(Settings()).bodies.items()
        if path.startswith("/brands/Endpoint/")
    ]
    assert published == record


def test_the_endpoint_record_is_a_line_of_the_directory_too(patient_access: PatientAccess, tmp_path: Path) -> None:
    output = tmp_path / "endpoint.csv"
    outcome = patient_access(
        *("endpoint", "--format", "csv", "--output", str(output)),
        BASE_URL="https://api.summit.example",
        PAYER_NAME="Summit, Inc.",
        REFRESH_FREQUENCY="every night",
        SANDBOX_URL="https://sandbox.summit.example",
        SUPPORT_CONTACT="help@summit.example",
    )
    assert (outcome.code, outcome.out) == (0, "")
    (row,) = csv.DictReader(output.read_text("utf-8").splitlines())
    assert row["Organization"] == "Summit, Inc."
    assert row["CapabilityStatement"] == "https://api.summit.example/fhir/metadata"
    assert "hl7.fhir.us.carin-bb 2.1.0" in row["Implementation guides"]
    assert (row["Refresh frequency"], row["Sandbox"]) == ("every night", "https://sandbox.summit.example")
    assert row["Support contact"] == "help@summit.example"
    assert row["Formulary base URL"] == ""
    assert "https://api.summit.example/account" in row["Members see with whom their data was shared"]


def test_an_endpoint_record_that_cannot_be_made_or_written_is_one_line(
    patient_access: PatientAccess, tmp_path: Path
) -> None:
    outcome = patient_access("endpoint", "--output", str(tmp_path / "missing" / "endpoint.json"))
    assert outcome.code == 2
    assert outcome.err.startswith("error: cannot write ")
    outcome = patient_access("endpoint", BRAND_CATEGORIES="doctor")
    assert outcome.code == 2
    assert outcome.err == (
        "error: the BRAND settings: doctor is no category; choose of prov, ins, laboratory, imaging, pharmacy,"
        " health-information-network, health-data-aggregator\n"
    )
