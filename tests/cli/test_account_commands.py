"""``patient-access account``: a representative's authority and its last day, and the reset of one-time codes."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from server import launcher
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.cli.conftest import PatientAccess
from tests.factories import patient, store
from tests.serving import free_port

ADD = ("account", "add", "--username", "rosa", "--password", "correct horse", "--name", "Rosa Doe")


def represented(database: Database) -> list[tuple[str, ...]]:
    """(patient, relationship, authority, until) as stored."""
    table = METADATA.tables["account_member"]
    columns = [table.c[name] for name in ("patient", "relationship", "authority", "until")]
    with database.reading() as reading:
        return [tuple(row) for row in reading.all(select(*columns).order_by(table.c.patient))]


def test_authority_goes_with_the_relationship_or_is_named(
    patient_access: PatientAccess, database: Database, settings: Settings
) -> None:
    store(database, settings, [patient("kid", birthDate="2018-01-01"), patient("mother"), patient("own")])
    outcome = patient_access(
        *ADD,
        *("--patient", "own", "--relationship", "self", "--authority", "", "--until", ""),
        *("--patient", "kid", "--relationship", "parent", "--authority", "minor", "--until", "2027-01-31"),
        *("--patient", "mother", "--relationship", "guardian", "--authority", "adult", "--until", ""),
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert represented(database) == [
        ("kid", "parent", "minor", "2027-01-31"),
        ("mother", "guardian", "adult", ""),
        ("own", "self", "self", ""),
    ]


def test_authority_that_is_not_in_force_is_a_warning(
    patient_access: PatientAccess, database: Database, settings: Settings
) -> None:
    store(database, settings, [patient("grown", birthDate="1990-01-01")])
    outcome = patient_access(*ADD, "--patient", "grown", "--relationship", "parent")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: the authority for grown is not in force")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--authority", "royal"), "the authority 'royal' is none of self, minor, adult, consent"),
        (("--until", "31.01.2027"), "'31.01.2027' is no day; until is the last day of the authority, e.g. 2027-01-31"),
        (("--authority", "self"), "the authority self goes with the relationship self, and no other with it"),
        (("--until", "2027-01-31", "--until", "2027-01-31"), "1 --patient need as many --until, or none; there are 2"),
    ],
)
def test_what_cannot_be_is_one_line(patient_access: PatientAccess, options: tuple[str, ...], words: str) -> None:
    outcome = patient_access(*ADD, "--patient", "kid", "--relationship", "parent", *options)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_one_time_codes_are_reset(patient_access: PatientAccess, database: Database) -> None:
    patient_access(*ADD, "--patient", "own")
    account = METADATA.tables["account"]
    with database.transaction() as transaction:
        transaction.execute(update(account).values(totp_secret=b"encrypted"))
    missing = patient_access("account", "totp", "--username", "rosa")
    assert (missing.code, "--reset" in missing.err) == (2, True)
    outcome = patient_access("account", "totp", "--username", "rosa", "--reset")
    assert outcome.out == "rosa signs in without one-time codes now. Ended 0 sign-in sessions.\n"
    again = patient_access("account", "totp", "--username", "rosa", "--reset")
    assert (again.code, again.err) == (2, "error: the account rosa uses no one-time codes\n")


def test_lines_of_business_that_get_no_access_are_told_at_the_start(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = tmp_path / "units.toml"
    units.write_text('[[unit]]\nclass = "group|E"\nline_of_business = "commercial"\n')
    launcher.check(settings.model_copy(update={"reporting_units_file": units}), "127.0.0.1", free_port())
    assert "members of commercial get no access" in capsys.readouterr().err
    served = settings.model_copy(update={"reporting_units_file": units, "served_lines_of_business": ("commercial",)})
    launcher.check(served, "127.0.0.1", free_port())
    assert "commercial" not in capsys.readouterr().err


def test_staff_need_no_member_and_get_a_role_that_can_be_taken_away(
    patient_access: PatientAccess, database: Database
) -> None:
    added = patient_access(*ADD)
    assert (added.code, added.out) == (0, "rosa may sign in and act for nobody.\n")
    assert represented(database) == []
    given = patient_access("account", "role", "Rosa", "compliance")
    assert (given.code, "/compliance" in given.out) == (0, True)
    table = METADATA.tables["account_role"]
    with database.reading() as reading:
        assert [row.role for row in reading.all(select(table))] == ["compliance"]
    taken = patient_access("account", "role", "rosa", "none")
    assert (taken.code, taken.out) == (0, "rosa has no role now.\n")
    with database.reading() as reading:
        assert list(reading.all(select(table))) == []


def test_a_role_for_nobody_is_an_error_of_one_line(patient_access: PatientAccess) -> None:
    outcome = patient_access("account", "role", "nobody", "compliance")
    assert outcome.code == 2
    assert outcome.err == "error: no account has the username nobody; patient-access account add makes one\n"


def test_the_refusal_register_is_written_in_every_form(patient_access: PatientAccess, tmp_path: Path) -> None:
    table = patient_access("report", "refusals", "--year", "2026")
    assert table.code == 0
    assert "Decisions on apps: none" in table.out
    path = tmp_path / "refusals.csv"
    written = patient_access("report", "refusals", "--year", "2026", "--format", "csv", "--output", str(path))
    assert (written.code, written.out) == (0, f"Wrote {path}.\n")
    assert path.read_text("utf-8").startswith("section,what,app,")
    assert '"refusals": []' in patient_access("report", "refusals", "--year", "2026", "--format", "json").out
