"""A usage report of a payer with every line of business, made up number by number: what the forms are written from in tests.

42 CFR 431.60(f) and its parallels.
"""

from dataclasses import replace
from datetime import UTC, datetime

from server import clock
from server.metrics.exclusions import ENVIRONMENTS
from server.metrics.forms.due import Addresses
from server.metrics.measures import MEASURES
from server.metrics.transfer import APP_DAY
from server.metrics.usage_document import DefinitionText, Figures, Removed, Share, UsageReport

ADDRESSES = Addresses(
    api="https://api.payer.example/fhir",
    for_members="https://api.payer.example/docs/members",
    for_members_on_siblings="https://payer.example/members/sharing",
)


def moment(text: str) -> int:
    """An instant as the reports keep it."""
    return clock.to_microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def place(level: str, spread: tuple[int, ...], *unit: str) -> Figures:
    """Figures with this distribution; ``unit`` is line of business, contract, plan, program, issuer, state."""
    spread = (*spread, *(0,) * (7 - len(spread)))
    occasions = sum(count * low for count, low in zip(spread, (1, 2, 3, 6, 11, 21, 51), strict=True))
    return Figures(level, unit or ("",) * 6, (sum(spread), sum(spread[1:])), spread, occasions)


UNITS = (
    place("contract", (420, 310, 95, 40, 12, 3, 1), "medicare-advantage", "H1234", "", "", "", ""),
    place("contract", (), "medicare-advantage", "H5678", "", "", "", ""),
    place("plan-in-program", (60, 22, 8), "medicaid-managed-care", "C7", "P7", "Adults", "", "OH"),
    place("plan-in-program", (0, 1), "medicaid-managed-care", "C7", "P7", "Children", "", "OH"),
    place("plan-in-program", (), "medicaid-managed-care", "C9", "P9", "Adults", "", "OH"),
    place("plan-in-program", (5,), "chip-managed-care", "C7", "P7", "Children's Health", "", "KY"),
    place("state", (30, 12), "medicaid-ffs", "", "", "", "", "OH"),
    place("state", (3,), "chip-ffs", "", "", "", "", "OH"),
    place("state", (), "chip-ffs", "", "", "", "", "KY"),
    place("issuer", (8, 4, 1), "qhp", "", "", "", "48213", "OH"),
    place("unit", (2, 1), "commercial", "", "E1", "", "", ""),
    place("none", (1,)),
)
REPORT = UsageReport(
    payer="Example Health Plan",
    year=2026,
    month=None,
    environment=ENVIRONMENTS[0],
    level="required",
    time_zone="America/New_York",
    starts=moment("2026-01-01T05:00:00"),
    ends=moment("2027-01-01T05:00:00"),
    definition=DefinitionText(APP_DAY.slug, APP_DAY.title, APP_DAY.version, APP_DAY.text, APP_DAY.citation),
    measures=MEASURES,
    ledger_rows=184_231,
    ledger_digest="5d0c" * 16,
    answers=152_007,
    transfers=140_900,
    total=place("organisation", (520, 340, 100, 40, 12, 3, 1)),
    units=UNITS,
    by_month=tuple(Share(f"2026-{month:02d}", (month * 40, month * 15), month * 61) for month in range(1, 13)),
    by_app=(Share("https://budget-health.example/client", (700, 320), 1_800), Share("app-2", (420, 200), 1_100)),
    removed=(
        Removed("other-environment", "Not production", "A test deployment, app or member.", "environment is not production", 11_000, 40, 39),
        Removed("failed", "Not successful", "An error transfers no data.", "status is outside 200 to 299", 107, 12, 0),
        Removed("empty", "Empty", "No resource of the patient.", "resources is below 1", 0, 0, 0),
    ),
    notes=(),
    known_at=moment("2027-02-01T15:30:00"),
    generated_at=moment("2027-02-01T15:30:00"),
)  # fmt: skip
MONTH = replace(
    REPORT,
    month=5,
    starts=moment("2026-05-01T04:00:00"),
    ends=moment("2026-06-01T04:00:00"),
    by_month=REPORT.by_month[4:5],
    known_at=moment("2026-06-03T13:00:00"),
    generated_at=moment("2026-06-03T13:00:00"),
)
"""The same figures, as if they were of May 2026."""


def with_program(program: str, **changes: object) -> UsageReport:
    """The report with another name for the first program."""
    units = tuple(
        replace(row, unit=(*row.unit[:3], program, *row.unit[4:])) if row.unit[3] == "Adults" else row for row in UNITS
    )
    return replace(REPORT, units=units, **changes)  # type: ignore[arg-type]
