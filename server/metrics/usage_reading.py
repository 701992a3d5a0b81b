"""A usage report read back from its JSON, as it was stored or exported.

https://www.rfc-editor.org/rfc/rfc8259 - what is read is checked: figures that contradict each other, or a hash that is another, are refused.
"""

from datetime import datetime
from typing import Any

from server import clock
from server.metrics.levels import UNIT_COLUMNS
from server.metrics.measures import Measure
from server.metrics.usage_document import (
    DefinitionText,
    Figures,
    InconsistentReportError,
    Removed,
    Share,
    UsageReport,
    bucket_names,
    content_hash,
)


def read_report(document: dict[str, Any]) -> UsageReport:
    """The report of ``UsageReport.document()``. Raises InconsistentReportError when it is not what was written."""
    if content_hash(document) != document.get("sha256"):
        raise InconsistentReportError("the report is not what was written: its content has another SHA-256")
    measures = tuple(Measure(**row) for row in document["measures"])
    nowhere = dict.fromkeys(UNIT_COLUMNS, "")
    return UsageReport(
        payer=document["payer"],
        year=document["year"],
        month=document["month"],
        environment=document["environment"],
        level=document["level"],
        time_zone=document["time_zone"],
        starts=_moment(document["starts"]),
        ends=_moment(document["ends_before"]),
        definition=DefinitionText(**document["definition"]),
        measures=measures,
        ledger_rows=document["ledger_rows"],
        ledger_digest=document["ledger_digest"],
        answers=document["answers"],
        transfers=document["transfers"],
        total=_figures(measures, {**nowhere, "level": "organisation", **document["organisation"]}),
        units=tuple(_figures(measures, row) for row in document["reporting_units"]),
        by_month=tuple(_share(measures, row["month"], row) for row in document["by_month"]),
        by_app=tuple(_share(measures, row["client_id"], row) for row in document["internal"]["by_app"]),
        removed=tuple(Removed(**row) for row in document["excluded"]),
        notes=tuple(document["notes"]),
        known_at=_moment(document["known_at"]),
        generated_at=_moment(document["generated_at"]),
    )


def _moment(text: str) -> int:
    return clock.to_microseconds(datetime.fromisoformat(text))


def _figures(measures: tuple[Measure, ...], row: dict[str, Any]) -> Figures:
    return Figures(
        level=row["level"],
        unit=tuple(row[name] for name in UNIT_COLUMNS),
        values=_values(measures, row),
        distribution=tuple(row["distribution"][name] for name in bucket_names()),
        occasions=row["occasions"],
    )


def _share(measures: tuple[Measure, ...], name: str, row: dict[str, Any]) -> Share:
    return Share(name, _values(measures, row), row["occasions"])


def _values(measures: tuple[Measure, ...], row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row["measures"][measure.slug] for measure in measures)
