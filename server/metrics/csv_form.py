"""The usage report as CSV: one row per place and measure, then how they spread, then what was left out.

CSV (https://www.rfc-editor.org/rfc/rfc4180). Columns: ``year``, ``month``, ``environment``, ``level`` (of the place: contract, plan,
plan-in-program, program, issuer, state, unit; none: transfers on a day without enrolment; organisation: distinct over all, not a sum;
internal: by app, for the payer's own use), ``reporting_unit`` (as people read it), ``line_of_business``, ``contract``, ``plan``,
``program``, ``issuer``, ``state``, ``breakdown`` (empty: the measure itself; occasions: patients by number of transfer occasions; month;
app; excluded: answers left out), ``class`` (of the breakdown, e.g. ``3-5``, ``2026-05``), ``measure``, ``value``, ``citation``,
``definition``, ``definition_version``, ``definition_text``, ``time_zone``, ``starts``, ``ends_before``, ``known_at``, ``ledger_rows``,
``ledger_digest``, ``answers``, ``transfers`` (answers that counted), ``generated_at``, ``sha256`` (of the JSON report without ``known_at``,
``generated_at`` and ``sha256``, keys sorted, no spaces, UTF-8).
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

from server import clock
from server.metrics.forms.spreadsheets import neutral
from server.metrics.levels import UNIT_COLUMNS
from server.metrics.usage_document import Figures, Share, UsageReport, bucket_names

CSV_COLUMNS = (
    *("year", "month", "environment", "level", "reporting_unit", *UNIT_COLUMNS, "breakdown", "class", "measure"),
    *("value", "citation", "definition", "definition_version", "definition_text", "time_zone", "starts"),
    *("ends_before", "known_at", "ledger_rows", "ledger_digest", "answers", "transfers", "generated_at", "sha256"),
)


def as_csv(report: UsageReport) -> str:
    """The rows described at the top of this module."""
    shared = {
        "year": report.year,
        "month": report.month or "",
        "environment": report.environment,
        "definition": report.definition.slug,
        "definition_version": report.definition.version,
        "definition_text": report.definition.text,
        "time_zone": report.time_zone,
        "starts": clock.instant(report.starts),
        "ends_before": clock.instant(report.ends),
        "known_at": clock.instant(report.known_at),
        "ledger_rows": report.ledger_rows,
        "ledger_digest": report.ledger_digest,
        "answers": report.answers,
        "transfers": report.transfers,
        "generated_at": clock.instant(report.generated_at),
        "sha256": report.sha256,
    }
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="")
    writer.writeheader()
    for row in _rows(report):
        cells = {**shared, **row}
        writer.writerow({name: neutral(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    return text.getvalue()


def _rows(report: UsageReport) -> Iterator[dict[str, Any]]:
    places = (*report.units, report.total)
    for figures in places:
        for measure, value in zip(report.measures, figures.values, strict=True):
            yield {**_place(figures), "measure": measure.slug, "value": value, "citation": measure.citation}
    for figures in places:
        for name, patients in zip(bucket_names(), figures.distribution, strict=True):
            yield {
                **_place(figures),
                "breakdown": "occasions",
                "class": name,
                "measure": "unique-patients",
                "value": patients,
            }
    for month in report.by_month:
        yield from _shares(report, "organisation", "month", month)
    for app in report.by_app:
        yield from _shares(report, "internal", "app", app)
    for removed in report.removed:
        yield {
            "level": "organisation",
            "reporting_unit": report.total.label,
            "breakdown": "excluded",
            "class": removed.slug,
            "measure": "answers",
            "value": removed.answers,
        }


def _place(figures: Figures) -> dict[str, Any]:
    unit = dict(zip(UNIT_COLUMNS, figures.unit, strict=True))
    return {"level": figures.level, "reporting_unit": figures.label, **unit}


def _shares(report: UsageReport, level: str, breakdown: str, share: Share) -> Iterator[dict[str, Any]]:
    place = {"level": level, "reporting_unit": report.total.label, "breakdown": breakdown, "class": share.name}
    for measure, value in zip(report.measures, share.values, strict=True):
        yield {**place, "measure": measure.slug, "value": value, "citation": measure.citation}
    yield {**place, "measure": "occasions", "value": share.occasions}
