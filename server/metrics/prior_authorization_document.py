"""A prior-authorization report as it is kept: JSON whose hash is taken, stored, found again, published.

42 CFR 422.122(c) and its parallels: what was posted in March can be shown again years later, and is what was counted then.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server import clock
from server.metrics.report_archive import UnknownReportError
from server.metrics.usage_document import InconsistentReportError, canonical, content_hash, precisely
from server.storage import stored_reports
from server.storage.database import Transaction

KIND = "prior-authorization"
LEVEL = "required"


@dataclass(frozen=True, slots=True)
class PriorAuthorizationReport:
    """``content``: everything that was counted (its names: docs/prior-authorization-report.md). ``starts``, ``ends``, ``known_at``
    and ``generated_at`` in microseconds since 1970 UTC; ``events`` were read, and ``event_digest`` names them."""

    content: Mapping[str, Any]
    starts: int
    ends: int
    known_at: int
    generated_at: int

    @property
    def year(self) -> int:
        """The calendar year in which the requests were received."""
        return int(self.content["year"])

    @property
    def environment(self) -> str:
        """``production`` or ``test``."""
        return str(self.content["environment"])

    @property
    def sha256(self) -> str:
        """SHA-256 of the content as JSON with sorted keys, no spaces, UTF-8."""
        return content_hash(dict(self.content))

    @property
    def is_of_a_complete_year(self) -> bool:
        """Whether the year was over when it was made."""
        return self.known_at >= self.ends

    def document(self) -> dict[str, Any]:
        """The whole report as JSON."""
        return {
            **self.content,
            "known_at": precisely(self.known_at),
            "generated_at": precisely(self.generated_at),
            "sha256": self.sha256,
        }


def store(transaction: Transaction, report: PriorAuthorizationReport, *, generated_by: str) -> str:
    """Keep a report; its id, e.g. ``prior-authorization-2026-20270301T120000Z-1a2b3c4d``."""
    made = clock.from_microseconds(report.generated_at).strftime("%Y%m%dT%H%M%SZ")
    id = f"{KIND}-{report.year}-{made}-{report.sha256[:8]}"
    if transaction.first(stored_reports.REPORT_BY_ID, {"report": id}) is not None:
        return id  # the same report, made twice in a second
    content = report.content
    parameters = {name: content[name] for name in ("year", "environment", "time_zone")}
    row = {
        "id": id,
        "kind": KIND,
        "year": report.year,
        "month": 0,
        "environment": report.environment,
        "level": LEVEL,
        "parameters": json.dumps(parameters, sort_keys=True),
        "definition": content["definition"]["slug"],
        "definition_version": content["definition"]["version"],
        "known_at": report.known_at,
        "generated_at": report.generated_at,
        "generated_by": generated_by,
        "ledger_starts": report.starts,
        "ledger_ends": report.ends,
        "ledger_rows": content["events"],
        "ledger_digest": content["event_digest"],
        "sha256": report.sha256,
        "content": canonical(dict(content)),
    }
    transaction.execute(stored_reports.INSERT_REPORT, row)
    return id


def read(row: Any) -> PriorAuthorizationReport:
    """A row of ``stored_report`` as the report it holds. Raises InconsistentReportError when it is not what was stored."""
    report = PriorAuthorizationReport(
        content=json.loads(row.content),
        starts=row.ledger_starts,
        ends=row.ledger_ends,
        known_at=row.known_at,
        generated_at=row.generated_at,
    )
    if report.sha256 != row.sha256:
        raise InconsistentReportError(
            f"{row.id} is not what was stored: its SHA-256 is {report.sha256}, not {row.sha256}"
        )
    return report


def publish(transaction: Transaction, row: Any, *, environment: str, published_by: str) -> PriorAuthorizationReport:
    """Publish a stored report on the public page of its year, from now on; ``environment`` is the deployment's.

    Raises ValueError for one that must not be public; InconsistentReportError when it is not what was stored.
    """
    if row.kind != KIND:
        raise UnknownReportError(f"{row.id} is a {row.kind} report; only prior-authorization reports are published")
    report = read(row)
    if not report.is_of_a_complete_year:
        raise ValueError(f"{row.id} was made before {report.year} was over; make it again, and publish that")
    if environment == "production" and report.environment != "production":
        raise ValueError(f"{row.id} counts test data; a production deployment publishes production reports only")
    lists = [unit["reporting_unit"] for unit in public_units(report.content) if not unit["items"]]
    if lists or not public_units(report.content):
        which = f"the list of {lists[0]} is empty" if lists else "there is no reporting unit to publish"
        raise ValueError(
            f"{row.id} cannot be published: {which}; the items and services that need prior authorization come from "
            "PRIOR_AUTHORIZATION_ITEMS_FILE, the units from REPORTING_UNITS_FILE. Then make the report again"
        )
    published = {"report": row.id, "published_at": clock.now_microseconds(), "published_by": published_by}
    transaction.execute(stored_reports.INSERT_PUBLICATION, published)
    return report


def public_units(content: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The reporting units whose measures must be posted: those of a line of business to which the rule applies."""
    return [unit for unit in content["reporting_units"] if unit["is_public"]]
