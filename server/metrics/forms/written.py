"""Every form of a usage report by its name, as files to write.

What each is for, and what is published of its layout: docs/report-forms.md
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from server import clock
from server.metrics import formats
from server.metrics.forms import operational_report, program_annual_report, worksheet
from server.metrics.forms.due import Addresses
from server.metrics.forms.printed_page import as_html
from server.metrics.forms.spreadsheets import Sheet, as_csv, as_xlsx
from server.metrics.usage_document import UsageReport


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file: the name its form gives it ('' when the form gives none), and its content (bytes: not for the screen)."""

    name: str
    content: str | bytes


def written(form: str, report: UsageReport, addresses: Addresses) -> tuple[WrittenFile, ...]:
    """The report in a form of FORMS. Raises FormError when it cannot be written in it."""
    return FORMS[form](report, addresses)


def _text(write: Callable[[UsageReport], str]) -> "Form":
    return lambda report, _: (WrittenFile("", write(report)),)


def _workbook(report: UsageReport, sheet: Sheet) -> bytes:
    return as_xlsx([sheet], created=clock.from_microseconds(report.generated_at))


def _operational_reports(report: UsageReport, _: Addresses) -> tuple[WrittenFile, ...]:
    return tuple(
        WrittenFile(operational_report.file_name(report, state, "csv"), as_csv(sheet))
        for state, sheet in operational_report.operational_reports(report).items()
    )


def _operational_workbooks(report: UsageReport, _: Addresses) -> tuple[WrittenFile, ...]:
    return tuple(
        WrittenFile(operational_report.file_name(report, state, "xlsx"), _workbook(report, sheet))
        for state, sheet in operational_report.operational_reports(report).items()
    )


Form = Callable[[UsageReport, Addresses], tuple[WrittenFile, ...]]
FORMS: Mapping[str, Form] = {
    "table": _text(formats.as_table),
    "csv": _text(formats.as_csv),
    "json": _text(formats.as_json),
    "html": _text(as_html),
    "orw": _operational_reports,
    "orw-xlsx": _operational_workbooks,
    "mcpar": lambda report, addresses: (WrittenFile("", as_csv(program_annual_report.as_sheet(report, addresses))),),
    "mcpar-json": lambda report, addresses: (WrittenFile("", program_annual_report.as_json(report, addresses)),),
    "worksheet": _text(lambda report: as_csv(worksheet.as_sheet(report))),
    "worksheet-xlsx": lambda report, _: (WrittenFile("", _workbook(report, worksheet.as_sheet(report))),),
}
