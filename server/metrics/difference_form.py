"""The difference of two reports as text for the eye (100 columns) and as JSON (https://www.rfc-editor.org/rfc/rfc8259)."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from server import clock
from server.metrics.formats import WIDTH, row
from server.metrics.report_difference import Change, Difference
from server.metrics.usage_document import UsageReport, precisely


def as_text(difference: Difference) -> str:
    """What changed, then why: each reason with what it changed; the changes of all reasons add up."""
    return "\n".join(line.rstrip() for line in _lines(difference)) + "\n"


def as_json(difference: Difference) -> str:
    """``before`` and ``after`` (period, definition, known_at, sha256), ``changes``, and ``steps`` with theirs."""
    document = {
        "before": _named(difference.before),
        "after": _named(difference.after),
        "explained": difference.is_explained,
        "changes": [_change(change) for change in difference.changes],
        "steps": [
            {
                "reason": step.slug,
                "text": step.reason,
                "explained": step.explained,
                "changes": [_change(change) for change in step.changes],
            }
            for step in difference.steps
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _named(report: UsageReport) -> dict[str, Any]:
    return {
        "period": report.period,
        "environment": report.environment,
        "level": report.level,
        "definition": report.definition.slug,
        "definition_version": report.definition.version,
        "known_at": precisely(report.known_at),
        "generated_at": precisely(report.generated_at),
        "sha256": report.sha256,
    }


def _change(change: Change) -> dict[str, Any]:
    return {**asdict(change), "delta": change.delta}


def _lines(difference: Difference) -> Iterator[str]:
    for word, report in (("From", difference.before), ("To", difference.after)):
        definition = f"{report.definition.slug} version {report.definition.version}"
        known = clock.instant(report.known_at)
        yield f"{word:5} {report.period}, {report.environment}, {definition}, level {report.level}, known at {known}"
    yield ""
    if not difference.changes:
        yield "Nothing changed."
    else:
        yield row("What changed", "From", "To", "Change")
        yield from _changes(difference.changes)
    for step in difference.steps:
        yield ""
        mark = "" if step.explained else "NOT EXPLAINED: "
        yield from wrap(f"{mark}{step.reason}", WIDTH)
        yield from _changes(step.changes)


def _changes(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        label, *rest = wrap(f"{change.place}: {change.number}", 58) or [""]
        yield row(f"  {label}", f"{change.before:,}", f"{change.after:,}", f"{change.delta:+,}")
        yield from (f"    {line}" for line in rest)
