"""``patient-access report prior-authorization`` and ``report publish``: made, kept, shown again, published, or refused in one line."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from server import clock
from server.storage.database import Database
from server.storage.stored_reports import STORED_REPORT
from tests.cli.command import PatientAccess
from tests.metrics.authorization_worlds import build
from tests.metrics.authorization_year import A_YEAR, ITEMS, NOW

MAKE = ("report", "prior-authorization", "--year", "2026")


@pytest.fixture
def year(
    patient_access: PatientAccess, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PatientAccess]:
    """The command in March of the next year, on a database with a year of events and with a list of items."""
    items = tmp_path / "items.toml"
    items.write_text(ITEMS, "utf-8")
    monkeypatch.setenv("PRIOR_AUTHORIZATION_ITEMS_FILE", str(items))
    monkeypatch.setenv("BASE_URL", "https://api.payer.example")
    build(database, A_YEAR)
    with clock.set_to(NOW):
        yield patient_access


def stored(year: PatientAccess, *arguments: str) -> str:
    made = year(*MAKE, *arguments, "--format", "json")
    assert made.code == 0, made.err
    assert made.err.startswith("Stored as prior-authorization-2026-20270301T120000Z-")
    return made.err.split()[2].rstrip(".")


def test_a_report_is_made_kept_listed_and_shown_again(year: PatientAccess) -> None:
    made = year(*MAKE, "--format", "json")
    id = made.err.split()[2].rstrip(".")
    assert json.loads(made.out)["organisation"]["requests"] == {"expedited": 3, "standard": 10}
    assert id in year("report", "list").out
    assert year("report", "show", "prior-authorization", "--format", "json").out == made.out
    for form, first in {
        "table": "Prior-authorization report 2026",
        "csv": "year,",
        "html": "<!DOCTYPE html>",
        "mcpar": "Year,State",
    }.items():
        assert year("report", "show", id, "--format", form).out.startswith(first)
        assert year(*MAKE, "--no-store", "--format", form).out == year("report", "show", id, "--format", form).out


def test_a_report_that_is_not_to_be_kept_is_not(year: PatientAccess) -> None:
    assert year(*MAKE, "--no-store").err == ""
    assert year("report", "list").out == "No report is stored.\n"


def test_a_report_goes_into_a_file(year: PatientAccess, tmp_path: Path) -> None:
    made = year(*MAKE, "--format", "mcpar", "--output", str(tmp_path / "xiii.csv"))
    assert made.out == f"Wrote {tmp_path / 'xiii.csv'}.\n"
    assert "https://api.payer.example/prior-authorization-metrics/2026" in (tmp_path / "xiii.csv").read_text()


def test_publishing_tells_the_address_and_what_is_left_out(year: PatientAccess) -> None:
    published = year("report", "publish", stored(year))
    assert (published.code, published.err) == (
        0,
        "warning: 1 requests without a reporting unit are in no published figure\n",
    )
    assert published.out.endswith(": https://api.payer.example/prior-authorization-metrics/2026\n")


def test_what_must_not_be_public_is_refused_in_one_line(year: PatientAccess, tmp_path: Path) -> None:
    test = stored(year, "--environment", "test")
    refused = year("report", "publish", test)
    assert (refused.code, refused.out) == (2, "")
    assert "counts test data" in refused.err
    (tmp_path / "items.toml").write_text("", "utf-8")
    assert "PRIOR_AUTHORIZATION_ITEMS_FILE" in year("report", "publish", stored(year)).err
    with clock.set_to(datetime(2026, 12, 31, 12, tzinfo=UTC)):
        early = year(*MAKE).err.split()[2].rstrip(".")
        assert "before 2026 was over" in year("report", "publish", early).err
    year("report", "usage", "--year", "2026")
    assert "only prior-authorization reports are published" in year("report", "publish", "usage").err
    assert "no stored report has the id" in year("report", "publish", "nothing").err


def test_a_stored_report_that_was_changed_is_neither_shown_nor_published(
    year: PatientAccess, database: Database
) -> None:
    id = stored(year)
    with database.transaction() as transaction:
        transaction.execute(update(STORED_REPORT).values(content='{"year": 2026}'))
    for command in (("show", id), ("publish", id)):
        outcome = year("report", *command)
        assert (outcome.code, outcome.out) == (1, "")
        assert "is not what was stored" in outcome.err


def test_a_form_of_another_report_and_a_list_that_cannot_be_read_are_one_line(
    year: PatientAccess, tmp_path: Path
) -> None:
    id = stored(year)
    assert year("report", "show", id, "--format", "orw").err.startswith(
        "error: a prior-authorization report is not written as orw"
    )
    (tmp_path / "items.toml").write_text("nonsense", "utf-8")
    refused = year(*MAKE)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "items.toml" in refused.err
