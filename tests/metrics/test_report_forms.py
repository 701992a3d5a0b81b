"""Each form of the usage report is, to the letter, what was looked at; ``UPDATE_GOLDEN=1`` writes the golden files anew.

docs/report-forms.md
"""

import csv
import io
import json
import os
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from server.metrics.forms.due import FormError
from server.metrics.forms.operational_report import operational_reports
from server.metrics.forms.spreadsheets import Sheet, as_csv, as_xlsx, neutral
from server.metrics.forms.written import FORMS, WrittenFile, written
from server.metrics.usage_document import UsageReport
from server.metrics.usage_reading import read_report
from server.report_forms import Format
from tests.metrics.finished_report import ADDRESSES, MONTH, REPORT, UNITS, moment, place, with_program

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = {"table": "txt", "json": "json", "mcpar-json": "json", "html": "html"}
COLUMNS = [
    "Reporting Date",
    "Metric ID",
    "Measure Count",
    "Measure Count Description",
    "Metric Value",
    "Numerator",
    "Denominator",
    "Program Type",
    "Internal State Benchmark",
    "Comment",
]


def cells(content: str | bytes) -> dict[str, list[list[Any]]]:
    """The values of a workbook, by sheet."""
    assert isinstance(content, bytes)
    book = load_workbook(io.BytesIO(content))
    return {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}


def text(file: WrittenFile) -> str:
    """A file as text that can be compared line by line."""
    if isinstance(file.content, str):
        return file.content
    return json.dumps(cells(file.content), indent=1, default=str, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_what_was_looked_at(form: str) -> None:
    for number, file in enumerate(written(form, REPORT, ADDRESSES)):
        suffix = "cells.json" if form.endswith("-xlsx") else SUFFIX.get(form, "csv")
        golden = GOLDEN / f"{form}{f'-{number}' if number else ''}.{suffix}"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.write_bytes(text(file).encode())
        assert text(file).encode() == golden.read_bytes(), f"{golden.name}: UPDATE_GOLDEN=1 writes it anew"


def test_the_command_offers_every_form() -> None:
    assert [form.value for form in Format] == list(FORMS)


@pytest.mark.parametrize("form", FORMS)
def test_a_report_read_back_has_the_same_forms(form: str) -> None:
    again = read_report(REPORT.document())
    assert [text(file) for file in written(form, again, ADDRESSES)] == [
        text(file) for file in written(form, REPORT, ADDRESSES)
    ]


def workbooks(report: UsageReport) -> dict[str, list[list[Any]]]:
    """The rows of each State's workbook, by file name."""
    found = {file.name: cells(file.content) for file in written("orw-xlsx", report, ADDRESSES)}
    assert all(list(sheets) == ["Metric Data"] for sheets in found.values())
    return {name: sheets["Metric Data"] for name, sheets in found.items()}


def test_the_workbook_has_the_published_columns_and_the_values() -> None:
    ohio = workbooks(MONTH)["Operational_Report_OH_IOPAA_2026-06-03.xlsx"]
    assert ohio[0] == COLUMNS
    may = datetime(2026, 5, 31)  # noqa: DTZ001 - a spreadsheet's date has no zone
    comment = (
        "Period 2026-05. Definition of a transfer: app-day version 1. Known at 2026-06-03T13:00:00.000Z. "
        f"Report SHA-256 {MONTH.sha256}."
    )
    assert ohio[1:] == [
        [may, "OH-CR-IOPAA-01.1", 1, "Medicaid fee-for-service", 42, None, None, "Medicaid", None, comment],
        [may, "OH-CR-IOPAA-01.2", 1, "Medicaid fee-for-service", 12, None, None, "Medicaid", None, comment],
        [may, "OH-CR-IOPAA-01.1", 2, "CHIP fee-for-service", 3, None, None, "CHIP", None, comment],
        [may, "OH-CR-IOPAA-01.2", 2, "CHIP fee-for-service", 0, None, None, "CHIP", None, comment],
    ]


def test_each_state_has_a_file_of_its_own_and_zero_is_0() -> None:
    found = workbooks(REPORT)
    assert list(found) == [
        "Operational_Report_OH_IOPAA_2027-02-01.xlsx",
        "Operational_Report_KY_IOPAA_2027-02-01.xlsx",
    ]
    kentucky = found["Operational_Report_KY_IOPAA_2027-02-01.xlsx"]
    assert [row[1:2] + row[4:5] for row in kentucky[1:]] == [["KY-CR-IOPAA-01.1", 0], ["KY-CR-IOPAA-01.2", 0]]
    assert kentucky[1][0] == datetime(2026, 12, 31)  # noqa: DTZ001


def test_the_csv_of_a_state_has_the_same_rows_as_its_workbook() -> None:
    files = written("orw", MONTH, ADDRESSES)
    assert [file.name for file in files] == [name.replace(".xlsx", ".csv") for name in workbooks(MONTH)]
    for file, rows in zip(files, workbooks(MONTH).values(), strict=True):
        shown = [["" if cell is None else str(cell).removesuffix(" 00:00:00") for cell in row] for row in rows]
        assert list(csv.reader(io.StringIO(str(file.content)))) == shown


def test_the_reporting_date_of_a_period_that_is_not_over_is_the_day_it_was_looked_at() -> None:
    early = replace(MONTH, known_at=moment("2026-05-20T02:00:00"))
    (row, *_) = operational_reports(early)["OH"].rows
    assert row[0] == date(2026, 5, 19)  # still the day before, in New York
    assert str(row[-1]).startswith("The month is not over: figures to date, known on 2026-05-19. ")


@pytest.mark.parametrize("form", FORMS)
def test_test_data_and_an_unfinished_year_are_marked_in_every_form(form: str) -> None:
    report = replace(REPORT, environment="test", known_at=moment("2026-11-22T12:00:00"))
    for file in written(form, report, ADDRESSES):
        shown = text(file)
        if form in ("table", "csv", "json"):  # these say it in a field of their own
            assert "2026-11-22T12:00:00" in shown
            assert "test" in shown
        else:
            assert "TEST DATA, not for submission." in shown
            assert "The year is not over: figures to date, known on 2026-11-22." in shown


def test_a_month_that_has_not_begun_says_so() -> None:
    early = replace(MONTH, known_at=moment("2026-04-20T02:00:00"))
    (row, *_) = operational_reports(early)["OH"].rows
    assert str(row[-1]).startswith("The month has not begun: figures to date, known on 2026-04-19. ")


def test_a_definition_for_comparison_says_so() -> None:
    definition = replace(REPORT.definition, slug="request")
    (file, *_) = written("mcpar", replace(REPORT, definition=definition), ADDRESSES)
    assert "Definition request is for comparison; what is submitted uses app-day." in text(file)


def test_a_plan_has_its_five_items_in_each_program() -> None:
    (file,) = written("mcpar-json", REPORT, ADDRESSES)
    programs = json.loads(text(file))["programs"]
    plans = {(row["program"], plan["plan"]): plan["items"] for row in programs for plan in row["plans"]}
    assert {name: (items["D1.XIV.1"]["value"], items["D1.XIV.2"]["value"]) for name, items in plans.items()} == {
        ("Adults", "P7"): (90, 30),
        ("Children", "P7"): (1, 1),
        ("Adults", "P9"): (0, 0),
    }
    assert [item["value"] for item in plans["Adults", "P9"].values()][2:] == [
        ADDRESSES.api,
        ADDRESSES.for_members,
        ADDRESSES.for_members_on_siblings,
    ]


def test_the_worksheet_says_that_it_is_no_official_layout_and_has_who_else_owes() -> None:
    ((name, rows),) = cells(written("worksheet-xlsx", REPORT, ADDRESSES)[0].content).items()
    assert name == "No official layout found"
    assert {row[0] for row in rows[1:]} == {"No official layout found"}
    shown = {(row[4], row[11]): row[13] for row in rows[1:]}
    assert shown["medicare-advantage, contract H1234", "Unique patients"] == 881
    assert shown["medicare-advantage, contract H5678", "Unique patients, more than once"] == 0
    assert shown["qhp, issuer 48213, state OH", "Unique patients"] == 13
    assert not [label for label, _ in shown if label.startswith(("medicaid-managed-care", "commercial"))]


@pytest.mark.parametrize("form", ["mcpar", "mcpar-json", "worksheet", "worksheet-xlsx"])
def test_an_annual_form_refuses_a_month(form: str) -> None:
    with pytest.raises(FormError, match="without --month"):
        written(form, MONTH, ADDRESSES)


@pytest.mark.parametrize("form", ["orw", "mcpar", "worksheet"])
def test_a_form_refuses_a_payer_for_whom_it_is_not(form: str) -> None:
    with pytest.raises(FormError, match="no such reporting unit"):
        written(form, replace(REPORT, units=UNITS[-2:]), ADDRESSES)


@pytest.mark.parametrize("form", ["orw", "mcpar", "worksheet"])
def test_a_form_refuses_a_report_at_another_level(form: str) -> None:
    units = tuple(replace(row, level="program") for row in UNITS)
    with pytest.raises(FormError, match=r"with --level required or .*; this one has level program"):
        written(form, replace(REPORT, level="program", units=units), ADDRESSES)


def test_a_unit_that_lacks_its_state_is_named() -> None:
    units = (*UNITS, place("unit", (1,), "medicaid-ffs", "", "FFS", "", "", ""))
    with pytest.raises(FormError, match="needs the state of the reporting unit medicaid-ffs, plan FFS"):
        written("orw", replace(REPORT, units=units), ADDRESSES)


@pytest.mark.parametrize("state", ["Ohio", "oh", "../OH"])
def test_a_state_is_two_capital_letters(state: str) -> None:
    units = (place("state", (1,), "medicaid-ffs", "", "", "", "", state),)
    with pytest.raises(FormError, match="two capital letters"):
        written("orw", replace(REPORT, units=units), ADDRESSES)


HOSTILE = ['=HYPERLINK("https://evil.example")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "\r=1"]


@pytest.mark.parametrize("program", HOSTILE)
@pytest.mark.parametrize("form", ["csv", "mcpar"])
def test_no_csv_cell_is_a_formula(form: str, program: str) -> None:
    (file,) = written(form, with_program(program), ADDRESSES)
    found = [cell for row in csv.reader(io.StringIO(str(file.content))) for cell in row]
    assert not [cell for cell in found if cell.lstrip().startswith(("=", "+", "-", "@"))]
    assert neutral(program) in found


@pytest.mark.parametrize("program", HOSTILE)
def test_no_workbook_cell_is_a_formula(program: str) -> None:
    sheet = Sheet("Sheet", ("Program", "=Column"), ((program, 0),))
    page = load_workbook(io.BytesIO(as_xlsx([sheet], created=datetime(2027, 2, 1)))).active  # noqa: DTZ001
    assert {cell.data_type for row in page.iter_rows() for cell in row} == {"s", "n"}
    assert str(page["A2"].value).startswith("'")


def test_what_is_no_formula_stays_as_it_is_and_control_characters_are_spaces() -> None:
    assert [neutral(name) for name in ("Adults", "A = B", "2-1", "")] == ["Adults", "A = B", "2-1", ""]
    assert as_csv(Sheet("Sheet", ("a",), (("bell\x07",), (None,), (date(2027, 2, 1),)))) == (
        'a\r\nbell \r\n""\r\n2027-02-01\r\n'
    )


def test_names_are_text_on_the_page_and_it_runs_no_script() -> None:
    (file,) = written("html", with_program("<script>alert(1)</script>"), ADDRESSES)
    page = str(file.content)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace(REPORT.by_app[0].name, "")
