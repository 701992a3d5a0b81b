"""``patient-access report``: kept, listed, shown again and compared; exit codes a scheduled job can use."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, func, update

from server import clock
from server.storage.database import Database
from server.storage.report_schema import LedgerDay, StoredReport
from server.storage.schema import LedgerRow
from tests.cli.command import PatientAccess
from tests.metrics.worlds import Answer, Spell, World, build, learn, local, record, roll_up, same

NOON = Answer(local("2026-05-04T12:00:00"))
USAGE = ("report", "usage", "--year", "2026")


@pytest.fixture(autouse=True)
def world(database: Database) -> None:
    """One patient of one contract, one day."""
    build(database, World("", "", (NOON,), (0, 0), {}, (Spell("anna", "H1234"),)))


def stored(patient_access: PatientAccess, *arguments: str, at: str = "2026-08-01") -> str:
    """Make a snapshot at a day; its id."""
    with clock.set_to(datetime.fromisoformat(at).replace(tzinfo=UTC)):
        outcome = patient_access(*USAGE, "--snapshot", *arguments)
    assert outcome.code == 0, outcome.err
    return outcome.out.partition(":")[0]


def test_a_report_is_kept_and_shown_again_in_any_form(patient_access: PatientAccess) -> None:
    made = patient_access(*USAGE, "--format", "json")
    (id,) = re.findall(r"^Stored as (usage-2026-\d{8}T\d{6}Z-[0-9a-f]{8})\.$", made.err, re.MULTILINE)
    assert patient_access("report", "show", id, "--format", "json").out == made.out
    assert "usage report 2026" in patient_access("report", "show", id[:14]).out
    assert patient_access("report", "show", id, "--format", "csv").out.startswith("year,")


def test_a_report_that_is_not_kept_is_only_printed(patient_access: PatientAccess) -> None:
    outcome = patient_access(*USAGE, "--no-store")
    assert (outcome.code, outcome.err) == (0, "")
    assert patient_access("report", "list").out == "No report is stored.\n"


def test_reports_are_listed_the_newest_first(patient_access: PatientAccess) -> None:
    first, second = stored(patient_access), stored(patient_access, "--month", "5", "--level", "plan", at="2026-08-02")
    lines = patient_access("report", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == [second, first]
    assert "app-day version 1, level plan, known at 2026-08-02T00:00:00.000Z" in lines[0]
    assert [row["id"] for row in json.loads(patient_access("report", "list", "--format", "json").out)] == [
        second,
        first,
    ]


def test_a_snapshot_is_one_line(patient_access: PatientAccess) -> None:
    outcome = patient_access(*USAGE, "--snapshot")
    assert re.fullmatch(r"usage-2026-\S+: 1 patients, 0 more than once, SHA-256 [0-9a-f]{64}\n", outcome.out)
    assert (outcome.code, outcome.err) == (0, "")


def test_a_snapshot_cannot_be_told_not_to_be_kept(patient_access: PatientAccess) -> None:
    assert patient_access(*USAGE, "--snapshot", "--no-store").code == 2


def test_the_past_is_reported_as_it_was_known(database: Database, patient_access: PatientAccess) -> None:
    learn(database, (Spell("anna", "H5678", recorded=local("2026-09-01T00:00:00")),), ())
    with clock.set_to(datetime(2026, 12, 1, tzinfo=UTC)):
        then = json.loads(patient_access(*USAGE, "--no-store", "--format", "json", "--known-at", "2026-08-31").out)
        now = json.loads(patient_access(*USAGE, "--no-store", "--format", "json").out)

    def contracts(report: dict) -> list[str]:
        return [row["contract"] for row in report["reporting_units"] if row["measures"]["unique-patients"]]

    assert (contracts(then), contracts(now)) == (["H1234"], ["H5678"])
    assert then["known_at"] == "2026-09-01T03:59:59.999999Z"


def test_a_moment_to_come_is_not_known(patient_access: PatientAccess) -> None:
    outcome = patient_access(*USAGE, "--known-at", "2999-01-01")
    assert (outcome.code, outcome.out) == (2, "")
    assert "in the future" in outcome.err


def test_the_same_question_has_the_same_hash(patient_access: PatientAccess) -> None:
    assert stored(patient_access)[-8:] == stored(patient_access, at="2026-08-02")[-8:]
    assert stored(patient_access, "--definition", "request")[-8:] != stored(patient_access)[-8:]


def test_a_difference_to_now_names_its_reason(database: Database, patient_access: PatientAccess) -> None:
    before = stored(patient_access)
    record(database, [same(NOON, at=local("2026-09-01T12:00:00"))])
    outcome = patient_access("report", "diff", before)
    assert outcome.code == 0
    assert "+1 answers recorded in between, +1 of them count" in outcome.out
    after = stored(patient_access, at="2026-10-01")
    document = json.loads(patient_access("report", "diff", before, after, "--format", "json").out)
    assert [step["reason"] for step in document["steps"]] == ["answers"]


def test_a_difference_without_explanation_has_exit_code_1(database: Database, patient_access: PatientAccess) -> None:
    before = stored(patient_access)
    with database.transaction() as transaction:
        transaction.execute(delete(LedgerRow))
    outcome = patient_access("report", "diff", before)
    assert outcome.code == 1
    assert "NOT EXPLAINED: 1 rows that the report was made of are gone from the ledger" in outcome.out


def test_a_stored_report_that_was_changed_is_refused_with_exit_code_1(
    database: Database, patient_access: PatientAccess
) -> None:
    id = stored(patient_access)
    with database.transaction() as transaction:
        changed = func.replace(StoredReport.content, '"answers":1', '"answers":2')
        transaction.execute(update(StoredReport).values(content=changed))
    for command in (("report", "show", id), ("report", "diff", id)):
        outcome = patient_access(*command)
        assert (outcome.code, outcome.out) == (1, "")
        assert "not what was written" in outcome.err


def test_a_roll_up_that_contradicts_the_ledger_has_exit_code_1(
    database: Database, patient_access: PatientAccess
) -> None:
    roll_up(database, NOON.at.date())
    record(database, [same(NOON, app="app-2")])
    outcome = patient_access(*USAGE, "--snapshot")
    assert outcome.code == 1
    assert ": 1 patients, 1 more than once" in outcome.out
    assert "2026-05-04" in outcome.err
    assert "ledger roll-up" in outcome.err


def test_a_roll_up_that_was_changed_has_exit_code_1_and_the_figures_of_the_rows(
    database: Database, patient_access: PatientAccess
) -> None:
    roll_up(database, NOON.at.date())
    with database.transaction() as transaction:
        transaction.execute(update(LedgerDay).values(answers=7))
    outcome = patient_access(*USAGE, "--snapshot")
    assert outcome.code == 1
    assert ": 1 patients, 0 more than once" in outcome.out
    assert outcome.err.count("\n") == 1
    assert "ledger verify" in outcome.err


@pytest.mark.parametrize("report", [USAGE, ("report", "prior-authorization", "--year", "2026")])
def test_a_report_for_a_directory_that_is_not_there_is_not_kept(
    patient_access: PatientAccess, tmp_path: Path, report: tuple[str, ...]
) -> None:
    outcome = patient_access(*report, "--output", str(tmp_path / "missing" / "report.txt"))
    assert outcome.code == 2
    assert "there is no directory" in outcome.err
    assert patient_access("report", "list").out == "No report is stored.\n"


@pytest.mark.parametrize("id", ["usage-1999", ""])
def test_an_id_that_no_report_has_is_refused(patient_access: PatientAccess, id: str) -> None:
    outcome = patient_access("report", "show", id)
    assert (outcome.code, outcome.out) == (2, "")
    assert "report list" in outcome.err


def test_the_beginning_of_two_ids_is_refused(patient_access: PatientAccess) -> None:
    stored(patient_access)
    stored(patient_access, "--month", "5")
    outcome = patient_access("report", "show", "usage-2026")
    assert outcome.code == 2
    assert "more than one" in outcome.err
