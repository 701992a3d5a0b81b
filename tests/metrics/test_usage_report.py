"""The usage report as a document: what it leaves out and says so, its hash, and its three forms."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from sqlalchemy import delete, insert

from server import clock
from server.metrics.csv_form import CSV_COLUMNS
from server.metrics.formats import as_csv, as_json, as_table
from server.metrics.local_days import local_days
from server.metrics.measures import MEASURES
from server.metrics.transfer import GRANT
from server.metrics.usage_document import Figures, InconsistentReportError, UsageReport
from server.metrics.usage_reading import read_report
from server.metrics.usage_report import Knowledge, usage_report, usage_report_with_source
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger, LedgerEvent
from server.storage.report_schema import LedgerPeriod
from server.storage.rollups import RowsDroppedError
from server.storage.schema import LedgerRow
from server.storage.usage import Predicate
from tests.metrics.worlds import Answer, Spell, World, build, local, record, roll_up, same

NOON = Answer(local("2026-05-04T12:00:00"))
TEST = same(NOON, environment="test", times=40)
SPELLS = (Spell("anna", "H1234"), Spell("ben", "H1234"))


def report_of(
    database: Database, settings: Settings, *answers: Answer, environment: str = "production", at: str = "2027-02-01"
) -> UsageReport:
    """The report of a world of two members, made at a given day."""
    build(database, World("", "", answers, (0, 0), {}, SPELLS))
    with clock.set_to(datetime.fromisoformat(at).replace(tzinfo=UTC)):
        return usage_report(database, settings, year=2026, environment=environment)


def test_a_sandbox_says_what_it_left_out_and_which_flag_shows_it(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, TEST)
    assert report.notes == (
        "No production transfers in 2026: 40 test answers were left out. --environment test shows them.",
    )
    assert report.notes[0] in " ".join(as_table(report).split())
    shown = usage_report(database, settings, year=2026, environment="test")
    assert (shown.total.values, shown.notes) == ((1, 0), ())


def test_an_empty_ledger_is_reported_as_zero(database: Database, settings: Settings) -> None:
    report = report_of(database, settings)
    assert {row.values for row in report.units} == {(0, 0)}
    assert report.notes == ("No production transfers in 2026.",)
    assert (report.ledger_rows, report.answers, report.transfers) == (0, 0, 0)


def test_every_exclusion_says_how_many_answers_and_patients_it_removed(database: Database, settings: Settings) -> None:
    ben = same(NOON, patient="ben")
    report = report_of(
        database,
        settings,
        NOON,
        same(NOON, status=404, times=3),
        same(ben, status=500, times=2),
        same(ben, resources=0),
        same(ben, kind="payer"),
        same(ben, kind="probe"),
        same(ben, kind="system"),
        same(ben, kind=""),
        same(ben, grant=""),
        same(ben, patient=""),
        TEST,
    )
    removed = {row.slug: (row.answers, row.patients, row.patients_not_counted) for row in report.removed}
    assert removed == {
        "other-environment": (40, 1, 0),  # Anna's production answer counts
        "own-portal": (1, 1, 1),
        "probe": (1, 1, 1),
        "sibling-api": (1, 1, 1),
        "not-third-party": (1, 1, 1),
        "no-grant": (1, 1, 1),
        "no-patient": (1, 0, 0),
        "failed": (5, 2, 1),  # Anna counts, Ben does not
        "empty": (1, 1, 1),
    }
    assert (report.answers, report.transfers) == (53, 1)


def test_an_answer_is_left_out_for_one_reason_only(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, same(TEST, kind="payer", status=500, resources=0))
    assert sum(row.answers for row in report.removed) == 40
    assert report.removed[0].answers == 40


def test_grants_and_refusals_are_ledger_rows_but_no_answers(database: Database, settings: Settings) -> None:
    with clock.set_to(NOON.at), EventLedger(database).transaction() as transaction:
        transaction.record(LedgerEvent("grant", environment="production", patient="anna", status=200, resources=1))
        transaction.record(LedgerEvent("refusal", environment="production", patient="anna"))
    report = report_of(database, settings, NOON)
    assert (report.ledger_rows, report.answers, report.total.values) == (3, 1, (1, 0))


def test_the_hash_is_of_the_json_without_hash_and_time(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON)
    document = json.loads(as_json(report))
    assert document.pop("generated_at") == document.pop("known_at") == "2027-02-01T00:00:00.000000Z"
    printed = document.pop("sha256")
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert printed == sha256(content).hexdigest()


def test_the_same_ledger_gives_the_same_hash_at_another_time(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON, at="2026-06-01")
    again = usage_report(database, settings, year=2026)
    assert again.generated_at != report.generated_at
    assert again.sha256 == report.sha256
    assert usage_report(database, settings, year=2025).sha256 != report.sha256


def test_every_form_prints_definition_zone_bounds_time_rows_environment_and_hash(
    database: Database, settings: Settings
) -> None:
    report = report_of(database, settings, NOON)
    for form in (as_table(report), as_csv(report), as_json(report)):
        text = " ".join(form.split())
        for expected in (
            report.definition.text,
            report.definition.slug,
            "America/New_York",
            "2026-01-01T05:00:00.000Z",
            "2027-01-01T05:00:00.000Z",
            "2027-02-01T00:00:00.000",
            "production",
            report.sha256,
            MEASURES[0].citation,
        ):
            assert expected in text


def test_the_table_is_at_most_100_columns_wide_and_shows_the_figures(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON, same(NOON, patient="carla", app="app-2"))
    table = as_table(report)
    assert max(map(len, table.splitlines())) <= 100
    rows = [line.split("  ")[0] + line[60:] for line in table.splitlines()]
    shown = ("medicare-advantage, contract", "(", "1 ", "2 ", "2026-05", "app-2")
    assert [" ".join(row.split()) for row in rows if row.startswith(shown)] == [
        "medicare-advantage, contract H1234 1 0",
        "medicare-advantage, contract H5678 0 0",
        "(no reporting unit) 1 0",
        "(organisation total) 2 0",
        "1 2",
        "2 0",
        "2026-05 2 0 2",
        "app-2 1 0 1",
    ]


def test_a_long_reporting_unit_is_wrapped(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON)
    unit = ("medicaid-managed-care", "C1", "P1", "A program with quite a long name for low-income adults", "", "OH")
    table = as_table(replace(report, units=(Figures("unit", unit, (1, 0), (1, 0, 0, 0, 0, 0, 0), 1), *report.units)))
    assert max(map(len, table.splitlines())) <= 100
    assert "low-income adults" in table


def test_a_report_before_the_end_of_the_year_says_so(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON, at="2026-06-01")
    assert "the year is not over" in as_table(report)
    assert "the year is not over" not in as_table(replace(report, known_at=report.ends))


def test_the_csv_has_a_row_for_each_place_and_measure(database: Database, settings: Settings) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(report_of(database, settings, NOON)), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [
        (row["level"], row["contract"] or row["issuer"], row["measure"], row["value"])
        for row in rows
        if not row["breakdown"] and row["line_of_business"] in ("medicare-advantage", "qhp", "")
    ] == [
        ("contract", "H1234", "unique-patients", "1"),
        ("contract", "H1234", "unique-patients-more-than-once", "0"),
        ("contract", "H5678", "unique-patients", "0"),
        ("contract", "H5678", "unique-patients-more-than-once", "0"),
        ("issuer", "48213", "unique-patients", "0"),
        ("issuer", "48213", "unique-patients-more-than-once", "0"),
        ("none", "", "unique-patients", "0"),
        ("none", "", "unique-patients-more-than-once", "0"),
        ("organisation", "", "unique-patients", "1"),
        ("organisation", "", "unique-patients-more-than-once", "0"),
    ]


def test_the_csv_says_how_figures_spread_and_what_was_left_out(database: Database, settings: Settings) -> None:
    rows = list(
        csv.DictReader(io.StringIO(as_csv(report_of(database, settings, NOON, same(NOON, status=500))), newline=""))
    )
    spread = [row for row in rows if row["breakdown"] and row["value"] != "0"]
    assert [(row["level"], row["contract"], row["breakdown"], row["class"], row["measure"], row["value"]) for row in spread] == [
        ("contract", "H1234", "occasions", "1", "unique-patients", "1"),
        ("organisation", "", "occasions", "1", "unique-patients", "1"),
        ("organisation", "", "month", "2026-05", "unique-patients", "1"),
        ("organisation", "", "month", "2026-05", "occasions", "1"),
        ("internal", "", "app", "app-1", "unique-patients", "1"),
        ("internal", "", "app", "app-1", "occasions", "1"),
        ("organisation", "", "excluded", "failed", "answers", "1"),
    ]  # fmt: skip


def test_a_report_is_read_back_from_its_json_as_it_was(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON, same(NOON, status=500), TEST)
    assert read_report(json.loads(as_json(report))) == report


@pytest.mark.parametrize("name", ["payer", "answers", "sha256"])
def test_a_report_that_was_changed_is_not_read(database: Database, settings: Settings, name: str) -> None:
    document = report_of(database, settings, NOON).document()
    with pytest.raises(InconsistentReportError, match="not what was written"):
        read_report({**document, name: "changed"})


def test_the_hash_does_not_tell_when_figures_were_known(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON)
    later = Knowledge.at(report.ends + 1)
    assert usage_report(database, settings, year=2026, knowledge=later).sha256 == report.sha256


def test_rows_that_were_dropped_are_counted_from_roll_ups_and_missed_by_who_needs_rows(
    database: Database, settings: Settings
) -> None:
    report_of(database, settings, NOON, same(NOON, times=3))
    days = [day.date for day in local_days(settings.time_zone, 2026) if day.date.month == 5]
    roll_up(database, *days)
    kept = usage_report(database, settings, year=2026, month=5)
    with database.transaction() as transaction:
        ends = clock.to_microseconds(datetime(2026, 7, 1, tzinfo=UTC))
        period = {"starts": 0, "ends": ends, "rows": 4, "writers": 1, "digest": b"", "anchored_at": ends}
        transaction.execute(insert(LedgerPeriod), {**period, "dropped_at": ends})
        transaction.execute(delete(LedgerRow))
    assert usage_report(database, settings, year=2026, month=5).content() == kept.content()
    with pytest.raises(RowsDroppedError, match=r"2026-05-01 to 2026-05-31 were dropped.*grant needs rows"):
        usage_report(database, settings, year=2026, month=5, definition=GRANT)
    with pytest.raises(RowsDroppedError, match="2026-01-01 to 2026-06-30 were dropped"):
        usage_report(database, settings, year=2026)


def test_a_roll_up_that_lags_behind_the_ledger_is_not_believed(database: Database, settings: Settings) -> None:
    report_of(database, settings, NOON)
    roll_up(database, NOON.at.date())
    record(database, [same(NOON, app="app-2")])
    report, source = usage_report_with_source(database, settings, year=2026)
    assert (report.total.values, source.stale, source.rolled_up) == ((1, 1), ("2026-05-04",), ())
    roll_up(database, NOON.at.date())
    again, source = usage_report_with_source(database, settings, year=2026)
    assert (again.sha256, source.stale, source.rolled_up) == (report.sha256, (), ("2026-05-04",))


def test_figures_that_contradict_each_other_make_no_report(database: Database, settings: Settings) -> None:
    report = report_of(database, settings, NOON)
    with pytest.raises(InconsistentReportError, match="exceeds an earlier"):
        replace(report, total=replace(report.total, values=(1, 2)))
    with pytest.raises(InconsistentReportError, match="not all but those with one"):
        replace(report, total=replace(report.total, values=(1, 1)))
    with pytest.raises(InconsistentReportError, match="not of all persons"):
        replace(report, total=replace(report.total, distribution=(1, 1, 0, 0, 0, 0, 0)))
    with pytest.raises(InconsistentReportError, match="exceeds the organisation"):
        replace(report, units=(replace(report.units[0], values=(2, 0)),))
    with pytest.raises(InconsistentReportError, match="not all the answers"):
        replace(report, answers=7)


def test_an_unknown_environment_is_refused(database: Database, settings: Settings) -> None:
    with pytest.raises(ValueError, match="production, test"):
        usage_report(database, settings, year=2026, environment="staging")


def test_a_predicate_names_a_ledger_column_and_a_known_operator_and_reads_as_english() -> None:
    assert str(Predicate("status", "is outside", (200, 299))) == "status is outside 200 to 299"
    assert str(Predicate("patient", "is", "")) == "patient is empty"
    with pytest.raises(ValueError, match="no column"):
        Predicate("colour", "is", "red")
    with pytest.raises(ValueError, match="no operator"):
        Predicate("status", "resembles", 200)
