"""The usage report as a table for the eye (100 columns), as CSV and as JSON.

CSV (https://www.rfc-editor.org/rfc/rfc4180): one row per reporting unit and measure, then the organisation's rows; columns:
``year``, ``environment``, ``level`` (unit, none: transfers on a day without enrolment, organisation: distinct over all, not a sum),
``reporting_unit`` (as people read it), ``line_of_business``, ``contract``, ``plan``, ``program``, ``issuer``, ``state``, ``measure``,
``value``, ``citation``, ``definition``, ``definition_version``, ``definition_text``, ``time_zone``, ``starts``, ``ends_before``,
``ledger_rows``, ``answers``, ``transfers`` (answers that counted), ``generated_at``, ``sha256`` (of the JSON report without
``generated_at`` and ``sha256``, keys sorted, no spaces, UTF-8).
"""

import csv
import io
import json
from collections.abc import Iterator
from textwrap import wrap

from server import clock
from server.metrics.measures import MEASURES
from server.metrics.usage_report import UNIT_COLUMNS, Figures, UsageReport

WIDTH = 100
CSV_COLUMNS = (
    *("year", "environment", "level", "reporting_unit", *UNIT_COLUMNS, "measure", "value", "citation"),
    *("definition", "definition_version", "definition_text", "time_zone", "starts", "ends_before"),
    *("ledger_rows", "answers", "transfers", "generated_at", "sha256"),
)
_LABEL = 60


def as_json(report: UsageReport) -> str:
    """The whole report. ``sha256`` is of the rest without ``generated_at``, as JSON with sorted keys, no spaces, UTF-8."""
    document = {**report.content(), "generated_at": clock.instant(report.generated_at), "sha256": report.sha256}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_csv(report: UsageReport) -> str:
    """One row per reporting unit and measure; the columns are described at the top of this module."""
    shared = {
        "year": report.year,
        "environment": report.environment,
        "definition": report.definition.slug,
        "definition_version": report.definition.version,
        "definition_text": report.definition.text,
        "time_zone": report.time_zone,
        "starts": clock.instant(report.starts),
        "ends_before": clock.instant(report.ends),
        "ledger_rows": report.ledger_rows,
        "answers": report.answers,
        "transfers": report.transfers,
        "generated_at": clock.instant(report.generated_at),
        "sha256": report.sha256,
    }
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, CSV_COLUMNS)
    writer.writeheader()
    for figures in (*report.units, report.total):
        unit = dict(zip(UNIT_COLUMNS, figures.unit, strict=True))
        for measure, value in zip(MEASURES, figures.values, strict=True):
            row = {"level": figures.level, "reporting_unit": figures.label, **unit}
            writer.writerow({**shared, **row, "measure": measure.slug, "value": value, "citation": measure.citation})
    return text.getvalue()


def as_table(report: UsageReport) -> str:
    """The report as plain text, at most 100 columns wide."""
    return "\n".join(line.rstrip() for line in _lines(report)) + "\n"


def _lines(report: UsageReport) -> Iterator[str]:
    yield from wrap(f"Patient Access API usage report {report.year} · {report.payer}", WIDTH)
    yield "=" * WIDTH
    yield f"Environment   {report.environment}"
    yield f"Year          {clock.instant(report.starts)} to before {clock.instant(report.ends)} ({report.time_zone})"
    made = clock.instant(report.generated_at)
    yield f"Generated     {made}{' (the year is not over: figures to date)' if report.in_progress else ''}"
    yield f"Ledger rows   {report.ledger_rows:,} considered; {report.answers:,} are answers, {report.transfers:,} of them count"
    for note in report.notes:
        yield ""
        yield from wrap(note, WIDTH)

    yield ""
    yield _row("Reporting unit", "Unique patients", "More than once")
    yield _row("-" * _LABEL, "-" * 19, "-" * 19)
    for figures in report.units:
        yield from _figures(figures)
    yield _row("-" * _LABEL, "-" * 19, "-" * 19)
    yield from _figures(report.total)
    yield "The organisation counts each person once over all units; it is not the sum of the rows."

    yield ""
    yield _row("Left out", "Answers", "Patients", "Not counted")
    yield _row("-" * _LABEL, "-" * 12, "-" * 12, "-" * 12)
    for removed in report.removed:
        numbers = f"{removed.answers:,}", f"{removed.patients:,}", f"{removed.patients_not_counted:,}"
        title, *rest = wrap(removed.exclusion.title, _LABEL)
        yield _row(title, *numbers)
        yield from rest
        if removed.answers:
            yield from wrap(removed.exclusion.reason, WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield from wrap("Not counted: patients among them for whom nothing else counted either.", WIDTH)

    yield ""
    for measure in MEASURES:
        yield from wrap(f"{measure.title}: “{measure.wording}”.", WIDTH, subsequent_indent="    ")
    yield from wrap("; ".join(dict.fromkeys(measure.citation for measure in MEASURES)) + ".", WIDTH)
    yield ""
    definition = report.definition
    yield f"Definition {definition.slug}, version {definition.version}: {definition.title}"
    yield from wrap(definition.text, WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"SHA-256 of the content  {report.sha256}"


def _figures(figures: Figures) -> Iterator[str]:
    label, *rest = wrap(figures.label, _LABEL) or [""]
    yield _row(label, *[f"{value:,}" for value in figures.values])
    for line in rest:
        yield f"  {line}"


def _row(label: str, *numbers: str) -> str:
    width = (WIDTH - _LABEL) // len(numbers) - 1
    return f"{label:<{_LABEL}}" + "".join(f" {number:>{width}}" for number in numbers)
