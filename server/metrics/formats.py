"""The usage report as a table for the eye (100 columns), and as JSON. As CSV: ``csv_form``.

JSON: https://www.rfc-editor.org/rfc/rfc8259 - the same members as ``UsageReport.document()``.
"""

import json
from collections.abc import Iterator, Sequence
from textwrap import wrap

from server import clock
from server.metrics.csv_form import as_csv
from server.metrics.usage_document import Figures, Share, UsageReport, bucket_names

__all__ = ["as_csv", "as_json", "as_table"]
WIDTH = 100
_LABEL = 60


def as_json(report: UsageReport) -> str:
    """The whole report. ``sha256`` is of the rest without ``known_at`` and ``generated_at``: JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n"


def as_table(report: UsageReport) -> str:
    """The report as plain text, at most 100 columns wide."""
    return "\n".join(line.rstrip() for line in _lines(report)) + "\n"


def _lines(report: UsageReport) -> Iterator[str]:
    yield from _head(report)
    yield ""
    yield row("Reporting unit", "Unique patients", "More than once")
    yield _rule(2)
    for figures in report.units:
        yield from _figures(figures)
    yield _rule(2)
    yield from _figures(report.total)
    yield "The organisation counts each person once over all units; it is not the sum of the rows."
    yield ""
    yield from _spread(report)
    yield ""
    yield row("Left out", "Answers", "Patients", "Not counted")
    yield _rule(3)
    for removed in report.removed:
        numbers = f"{removed.answers:,}", f"{removed.patients:,}", f"{removed.patients_not_counted:,}"
        title, *rest = wrap(removed.title, _LABEL)
        yield row(title, *numbers)
        yield from rest
        if removed.answers:
            yield from wrap(removed.reason, WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield from wrap("Not counted: patients among them for whom nothing else counted either.", WIDTH)
    yield ""
    yield from _foot(report)


def _head(report: UsageReport) -> Iterator[str]:
    yield from wrap(f"Patient Access API usage report {report.period} · {report.payer}", WIDTH)
    yield "=" * WIDTH
    word = "Year " if report.month is None else "Month"
    made, known = clock.instant(report.generated_at), clock.instant(report.known_at)
    yield f"Environment   {report.environment}"
    yield f"{word}         {clock.instant(report.starts)} to before {clock.instant(report.ends)} ({report.time_zone})"
    yield f"Level         {report.level}"
    over = f" (the {word.strip().lower()} is not over: figures to date)" if report.in_progress else ""
    yield f"Known at      {known}{over}"
    yield f"Generated     {made}"
    yield f"Ledger rows   {report.ledger_rows:,} considered; {report.answers:,} are answers, {report.transfers:,} of them count"
    for note in report.notes:
        yield ""
        yield from wrap(note, WIDTH)


def _spread(report: UsageReport) -> Iterator[str]:
    yield row("Transfer occasions of a patient, in the organisation", "Patients")
    yield _rule(1)
    for name, patients in zip(bucket_names(), report.total.distribution, strict=True):
        yield row(name, f"{patients:,}")
    yield ""
    yield from _shares("Month", report.by_month)
    yield "A patient of several months is in each of them: the months do not add up to the period."
    if report.by_app:
        yield ""
        yield from _shares("App (internal: the rule does not ask for it)", report.by_app)


def _shares(title: str, shares: Sequence[Share]) -> Iterator[str]:
    yield row(title, "Patients", "Repeatedly", "Occasions")
    yield _rule(3)
    for share in shares:
        name, *rest = wrap(share.name, _LABEL) or [""]
        yield row(name, *[f"{value:,}" for value in share.values], f"{share.occasions:,}")
        yield from (f"  {line}" for line in rest)


def _foot(report: UsageReport) -> Iterator[str]:
    for measure in report.measures:
        yield from wrap(f"{measure.title}: “{measure.wording}”.", WIDTH, subsequent_indent="    ")
    yield from wrap("; ".join(dict.fromkeys(measure.citation for measure in report.measures)) + ".", WIDTH)
    yield ""
    definition = report.definition
    yield f"Definition {definition.slug}, version {definition.version}: {definition.title}"
    for text in (definition.text, definition.citation):
        yield from wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"Ledger digest           {report.ledger_digest}"
    yield f"SHA-256 of the content  {report.sha256}"


def _figures(figures: Figures) -> Iterator[str]:
    label, *rest = wrap(figures.label, _LABEL) or [""]
    yield row(label, *[f"{value:,}" for value in figures.values])
    for line in rest:
        yield f"  {line}"


def _rule(columns: int) -> str:
    width = (WIDTH - _LABEL) // columns - 1
    return row("-" * _LABEL, *["-" * width] * columns)


def row(label: str, *numbers: str) -> str:
    """A line of a table: a label of 60 columns, and numbers to the right in the other 40."""
    width = (WIDTH - _LABEL) // len(numbers) - 1
    return f"{label:<{_LABEL}}" + "".join(f" {number:>{width}}" for number in numbers)
