"""``patient-access report usage --format`` and ``report show --format``: each form to the screen or to files, from a real ledger."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook

from server import clock
from server.report_forms import Format
from server.storage.database import Database
from tests.cli.command import Outcome, PatientAccess
from tests.metrics.worlds import Answer, Spell, World, build, local, same

USAGE = ("report", "usage", "--year", "2026", "--format")
SEEN = Answer(local("2026-05-04T12:00:00"), patient="dora")
SPELLS = (Spell("dora", "medicaid"), Spell("emil", "adults"))


@pytest.fixture(autouse=True)
def world(database: Database) -> None:
    """A person of Medicaid in Ohio on two days, a person of a managed care plan there on one; a State without any."""
    answers = (SEEN, same(SEEN, at=local("2026-05-05T12:00:00")), same(SEEN, patient="emil"))
    build(database, World("", "", answers, (0, 0), {}, SPELLS))


def run(patient_access: PatientAccess, *arguments: str) -> Outcome:
    """The command on 1 February 2027."""
    with clock.set_to(datetime(2027, 2, 1, 12, tzinfo=UTC)):
        return patient_access(*arguments)


def test_a_directory_gets_a_workbook_for_each_state(patient_access: PatientAccess, tmp_path: Path) -> None:
    directory = tmp_path / "to-cms"
    outcome = run(patient_access, *USAGE, "orw-xlsx", "--output", str(directory))
    names = ["Operational_Report_KY_IOPAA_2027-02-01.xlsx", "Operational_Report_OH_IOPAA_2027-02-01.xlsx"]
    assert sorted(file.name for file in directory.iterdir()) == names
    assert all(f"Wrote {directory / name}." in outcome.out for name in names)
    values = {}
    for name in names:
        sheet = load_workbook(directory / name)["Metric Data"]
        values |= {row[1]: row[4] for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert values == {
        "KY-CR-IOPAA-01.1": 0,
        "KY-CR-IOPAA-01.2": 0,
        "OH-CR-IOPAA-01.1": 1,
        "OH-CR-IOPAA-01.2": 1,
    }


def test_several_files_do_not_go_to_the_screen_and_nothing_is_kept(patient_access: PatientAccess) -> None:
    outcome = run(patient_access, *USAGE, "orw")
    assert (outcome.code, outcome.out) == (2, "")
    assert "makes 2 files" in outcome.err
    assert "--output DIRECTORY" in outcome.err
    assert run(patient_access, "report", "list").out == "No report is stored.\n"


@pytest.mark.parametrize("form", [form for form in Format if form.is_workbook])
def test_a_workbook_does_not_go_to_the_screen(patient_access: PatientAccess, form: Format) -> None:
    outcome = run(patient_access, *USAGE, form.value)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--output" in outcome.err


def test_output_is_a_directory_or_a_file_as_the_form_needs(patient_access: PatientAccess, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("mine")
    refused = run(patient_access, *USAGE, "orw", "--output", str(file))
    assert (refused.code, file.read_text()) == (2, "mine")
    assert run(patient_access, *USAGE, "mcpar", "--output", str(tmp_path)).code == 2


def test_a_form_of_a_year_refuses_a_month_and_nothing_is_kept(patient_access: PatientAccess) -> None:
    outcome = run(patient_access, *USAGE, "mcpar", "--month", "5")
    assert (outcome.code, outcome.out) == (2, "")
    assert "without --month" in outcome.err
    assert run(patient_access, "report", "list").out == "No report is stored.\n"


def test_the_urls_of_a_plan_come_from_the_settings(patient_access: PatientAccess) -> None:
    outcome = patient_access(
        *USAGE,
        "mcpar",
        BASE_URL="https://api.payer.example",
        SIBLING_API_EDUCATION_URL="https://payer.example/sharing",
    )
    rows = [
        row for row in csv.DictReader(io.StringIO(outcome.out)) if (row["Program"], row["Plan"]) == ("Adults", "P7")
    ]
    assert [(row["Item"], row["Value"]) for row in rows] == [
        ("D1.XIV.1", "1"),
        ("D1.XIV.2", "0"),
        ("D1.XIV.3", "https://api.payer.example/fhir"),
        ("D1.XIV.4", "https://api.payer.example/docs/members"),
        ("D1.XIV.5", "https://payer.example/sharing"),
    ]


def test_a_stored_report_is_shown_in_every_form(patient_access: PatientAccess, tmp_path: Path) -> None:
    id = run(patient_access, "report", "usage", "--year", "2026", "--snapshot").out.partition(":")[0]
    for form in Format:
        place = tmp_path / form.value
        outcome = run(patient_access, "report", "show", id, "--format", form.value, "--output", str(place))
        assert (outcome.code, outcome.err) == (0, "")
        assert place.is_dir() == form.names_its_files
    hashes = {
        json.loads((tmp_path / name).read_text())[key]
        for name, key in (("json", "sha256"), ("mcpar-json", "report_sha256"))
    }
    (sha256,) = hashes
    assert sha256 in (tmp_path / "html").read_text("utf-8")
