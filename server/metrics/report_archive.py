"""Reports that were made and kept: each with what it was asked, what it was made of, and its hash.

42 CFR 431.60(f) and its parallels: what was sent to CMS in March can be shown again, and compared with what would be sent today.
"""

import json
from collections.abc import Sequence
from typing import Any

from server import clock
from server.metrics.usage_document import UsageReport, canonical, precisely
from server.metrics.usage_reading import read_report
from server.storage import stored_reports
from server.storage.database import Transaction

USAGE = "usage"


class UnknownReportError(ValueError):
    """No stored report has that id, or several begin with it."""


def store(transaction: Transaction, report: UsageReport, *, generated_by: str) -> str:
    """Keep a usage report; its id, e.g. ``usage-2026-20270301T120000Z-1a2b3c4d``."""
    made = clock.from_microseconds(report.generated_at).strftime("%Y%m%dT%H%M%SZ")
    id = f"{USAGE}-{report.period}-{made}-{report.sha256[:8]}"
    if transaction.first(stored_reports.REPORT_BY_ID, {"report": id}) is not None:
        return id  # the same report, made twice in a second
    parameters = {
        "year": report.year,
        "month": report.month,
        "environment": report.environment,
        "level": report.level,
        "definition": report.definition.slug,
        "time_zone": report.time_zone,
    }
    row = {
        "id": id,
        "kind": USAGE,
        "year": report.year,
        "month": report.month or 0,
        "environment": report.environment,
        "level": report.level,
        "parameters": json.dumps(parameters, sort_keys=True),
        "definition": report.definition.slug,
        "definition_version": report.definition.version,
        "known_at": report.known_at,
        "generated_at": report.generated_at,
        "generated_by": generated_by,
        "ledger_starts": report.starts,
        "ledger_ends": report.ends,
        "ledger_rows": report.ledger_rows,
        "ledger_digest": report.ledger_digest,
        "sha256": report.sha256,
        "content": canonical(report.content()),
    }
    transaction.execute(stored_reports.INSERT_REPORT, row)
    return id


def find(transaction: Transaction, id: str) -> UsageReport:
    """The stored usage report of an id, or of the beginning of one.

    Raises UnknownReportError; InconsistentReportError when it is not what was stored.
    """
    row = row_of(transaction, id)
    if row.kind != USAGE:
        raise UnknownReportError(f"{row.id} is no usage report but one of {row.kind}")
    document = {
        **json.loads(row.content),
        "known_at": precisely(row.known_at),
        "generated_at": precisely(row.generated_at),
        "sha256": row.sha256,
    }
    return read_report(document)


def row_of(transaction: Transaction, id: str) -> Any:
    """The row of ``stored_report``, of any kind, of an id or of the beginning of one. Raises UnknownReportError."""
    return transaction.first(stored_reports.REPORT_BY_ID, {"report": id}) or _only_one(transaction, id)


def _only_one(transaction: Transaction, id: str) -> Any:
    found = [row.id for row in transaction.all(stored_reports.named_like(id))] if id else []
    if len(found) != 1:
        what = f"more than one stored report begins with {id!r}" if found else f"no stored report has the id {id!r}"
        raise UnknownReportError(f"{what}; patient-access report list shows them")
    return transaction.first(stored_reports.REPORT_BY_ID, {"report": found[0]})


def listed(transaction: Transaction) -> Sequence[Any]:
    """The stored reports of every kind, the newest first: rows of ``report_schema.StoredReport`` without their content."""
    return transaction.all(stored_reports.listed())
