"""Rows of the State Operational Report Workbook, sheet *Metric Data*: what a State with enhanced funding reports each month.

OMB 0938-1148, https://github.com/CMSgov/CMCS-DSG-DSS-Certification-Staging (Ongoing Reporting, Interoperability): module IOPAA, outcome
IOPAA01, type Numerical. The other sheets of the workbook (definitions, attestations) are the State's own.
"""

import re
from collections.abc import Iterable

from server.metrics.forms.due import FormError, made_of, made_on, places_due, remarks, reporting_date
from server.metrics.forms.spreadsheets import Cell, Sheet
from server.metrics.usage_document import Figures, UsageReport

MODULE = "IOPAA"
SHEET = "Metric Data"
COLUMNS = (
    *("Reporting Date", "Metric ID", "Measure Count", "Measure Count Description", "Metric Value", "Numerator"),
    *("Denominator", "Program Type", "Internal State Benchmark", "Comment"),
)
PROGRAM_TYPES = {"medicaid-ffs": "Medicaid", "chip-ffs": "CHIP"}
"""Both is never used: a person of both programs is one, and the rows cannot be added up."""
_NAME = "the Operational Report Workbook"
_STATE = re.compile(r"[A-Z]{2}")


def operational_reports(report: UsageReport) -> dict[str, Sheet]:
    """A sheet for each State, by its code. Measures come in the regulation's order, a program after another.

    Raises FormError when nothing is due on this form, or a State is not given by its two-letter code.
    """
    by_state: dict[str, list[Figures]] = {}
    for figures in places_due(report, PROGRAM_TYPES, _NAME):
        state = figures.unit[-1]
        if not _STATE.fullmatch(state):
            raise FormError(
                f"{_NAME} names a State by its two capital letters: the reporting unit {figures.label} does not; "
                "mend REPORTING_UNITS_FILE and load the records again"
            )
        by_state.setdefault(state, []).append(figures)
    return {state: Sheet(SHEET, COLUMNS, tuple(_rows(report, state, found))) for state, found in by_state.items()}


def _rows(report: UsageReport, state: str, programs: Iterable[Figures]) -> Iterable[tuple[Cell, ...]]:
    comment = " ".join((*remarks(report), f"Period {report.period}.", made_of(report)))
    for count, figures in enumerate(programs, start=1):
        program = PROGRAM_TYPES[figures.unit[0]]
        for number, value in enumerate(figures.values, start=1):
            # of type Numerical: neither numerator nor denominator; the benchmark is the State's own
            yield (
                *(reporting_date(report), f"{state}-CR-{MODULE}-01.{number}", count, f"{program} fee-for-service"),
                *(value, None, None, program, None, comment),
            )


def file_name(report: UsageReport, state: str, suffix: str) -> str:
    """``Operational_Report_OH_IOPAA_2027-02-01.xlsx``: the day is the one on which the report was made."""
    return f"Operational_Report_{state}_{MODULE}_{made_on(report).isoformat()}.{suffix}"
