"""A year of prior authorizations of a payer with several lines of business, and its list of items: what forms and pages are made of.

docs/prior-authorization-report.md
"""

from datetime import UTC, datetime
from pathlib import Path

from server import clock
from server.metrics.prior_authorization_document import PriorAuthorizationReport
from server.metrics.prior_authorization_report import prior_authorization_report
from server.settings import Settings
from server.storage.database import Database
from tests.metrics.authorization_worlds import Event, World, build
from tests.metrics.worlds import Spell

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
ITEMS = """
[[item]]
system = "https://payer.example/codes"
code = "K1"
text = "A new knee"

[[item]]
system = "https://payer.example/codes"
code = "P7"
text = "Physical therapy, more than 20 visits"

[[item]]
system = "https://payer.example/codes"
code = "H3"
text = "Care at home for adults"
line_of_business = "medicaid-managed-care"
program = "Adults"
"""


def course(
    request: str, unit: str, received: str, decided: str, decision: str, *more: Event, priority: str = "standard"
) -> tuple[Event, ...]:
    """A request of a unit with its first decision ('' none) and what else happened."""
    first = Event("received", received, request=request, unit=unit, priority=priority, codes=("K1", "Q9"))
    then = (Event("decided", decided, decision, request, priority, unit=unit),) if decision else ()
    return (first, *then, *more)


A_YEAR = World(
    "a year",
    "every measure of H1234 is told from every other",
    (
        *course("1", "H1234", "2026-01-05T09:00", "2026-01-07T21:00", "approved"),
        *course("2", "H1234", "2026-02-05T09:00", "2026-02-15T09:00", "approved",
                Event("extended", "2026-02-10T09:00", request="2", unit="H1234")),
        *course("3", "H1234-2", "2026-05-05T09:00", "2026-05-09T09:00", "denied",
                Event("appealed", "2026-05-20T09:00", request="3", unit="H1234"),
                Event("appeal-decided", "2026-06-01T09:00", "approved", "3", unit="H1234")),
        *course("4", "H1234", "2026-06-05T09:00", "2026-06-15T09:00", "partially-approved"),
        *course("5", "H1234", "2026-12-30T09:00", "", ""),
        *course("6", "H1234", "2026-07-05T09:00", "", "", Event("cancelled", "2026-07-06T09:00", request="6", unit="H1234")),
        *course("7", "H1234", "2026-08-05T09:00", "2026-08-06T12:30", "approved", priority="expedited"),
        *course("8", "H1234", "2026-08-05T09:00", "2026-08-09T09:00", "denied", priority="expedited"),
        *course("9", "adults", "2026-09-01T09:00", "2026-09-04T09:00", "approved"),
        *course("10", "adults", "2026-09-01T09:00", "2026-09-03T09:00", "denied", priority="expedited"),
        *course("11", "issuer", "2026-09-01T09:00", "2026-11-01T09:00", "approved"),
        *course("12", "employer", "2026-09-01T09:00", "2026-09-02T09:00", "approved"),
        Event("received", "2026-10-01T09:00", request="13", coverage="unknown"),
    ),
    (9, 3),
    spells=(Spell("anna", "H1234"),),
)  # fmt: skip


def with_items(settings: Settings, folder: Path, text: str = ITEMS) -> Settings:
    """The settings with a list of items."""
    path = folder / "items.toml"
    path.write_text(text, "utf-8")
    return settings.model_copy(update={"prior_authorization_items_file": path})


def finished(database: Database, settings: Settings, environment: str = "production") -> PriorAuthorizationReport:
    """The report of that year, made in March of the next."""
    build(database, A_YEAR)
    with clock.set_to(NOW):
        return prior_authorization_report(database, settings, year=2026, environment=environment)
