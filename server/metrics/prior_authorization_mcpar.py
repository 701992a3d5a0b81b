"""Topic XIII of the Managed Care Program Annual Report (MCPAR): the items D1.XIII.1 to .15, per plan within a program.

42 CFR 438.66(e) and 438.210(f); the items' words: https://github.com/Enterprise-CMCS/macpro-mdct-mcr (the application in which States type
them). Numbers have two decimals, as there; of no requests, the value is N/A.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from server.metrics.forms import spreadsheets
from server.metrics.forms.spreadsheets import Sheet
from server.metrics.prior_authorization_document import PriorAuthorizationReport

LINES_OF_BUSINESS = ("medicaid-managed-care",)
COLUMNS = ("Year", "State", "Program", "Plan", "Contract", "Item", "Label", "Value", "Count", "Out of", "Comment")
_PRIOR = "prior authorization"
ADDRESSES = (
    ("D1.XIII.1", f"URL for {_PRIOR} data on plan's website"),
    ("D1.XIII.2", f"URL for list of all items and services subject to {_PRIOR}"),
)
RECEIVED = (
    ("D1.XIII.3", f"Total standard {_PRIOR} requests received", ("standard",)),
    ("D1.XIII.4", f"Total expedited {_PRIOR} requests received", ("expedited",)),
    ("D1.XIII.5", f"Total standard and expedited {_PRIOR} requests received", ("standard", "expedited")),
)
MEASURED = (
    ("D1.XIII.6", f"Percentage of standard {_PRIOR} requests that were approved", "standard-approved", "percent"),
    ("D1.XIII.7", f"Percentage of standard {_PRIOR} requests that were denied", "standard-denied", "percent"),
    ("D1.XIII.8", f"Percentage of standard {_PRIOR} requests approved after appeal", "standard-approved-after-appeal", "percent"),
    ("D1.XIII.9", f"Average time to decision for standard {_PRIOR}s", "standard-time", "mean"),
    ("D1.XIII.10", f"Median time to decision on standard {_PRIOR}s", "standard-time", "median"),
    ("D1.XIII.11", f"Percentage of expedited {_PRIOR} requests that were approved", "expedited-approved", "percent"),
    ("D1.XIII.12", f"Percentage of expedited {_PRIOR} requests that were denied", "expedited-denied", "percent"),
    ("D1.XIII.13", f"Average time to decision for expedited {_PRIOR}s", "expedited-time", "mean"),
    ("D1.XIII.14", f"Median time to decision for expedited {_PRIOR}s", "expedited-time", "median"),
    ("D1.XIII.15", f"Percentage of total {_PRIOR} requests approved with extended timeframe", "extended-approved", "percent"),
)  # fmt: skip
"""(item, label, measure, which of its figures)."""


def as_csv(report: PriorAuthorizationReport, address: str) -> str:
    """A row for each item of each plan in each program; ``address`` is that of the public page of the year."""
    return spreadsheets.as_csv(Sheet("MCPAR D1.XIII", COLUMNS, tuple(_rows(report, address))))


def _rows(report: PriorAuthorizationReport, address: str) -> Iterator[tuple[Any, ...]]:
    comment = f"Definition {report.content['definition']['slug']}, version {report.content['definition']['version']}"
    if report.environment != "production":
        comment = f"Test data. {comment}"
    if not report.is_of_a_complete_year:
        comment = f"The year is not over. {comment}"
    for unit in report.content["reporting_units"]:
        if unit["line_of_business"] in LINES_OF_BUSINESS:
            place = [unit[name] for name in ("state", "program", "plan", "contract")]
            for item, label, *figures in _items(unit, address):
                yield (report.year, *place, item, label, *figures, comment)


def _items(unit: Mapping[str, Any], address: str) -> Iterator[tuple[Any, ...]]:
    for item, label in ADDRESSES:
        yield item, label, address, None, None
    for item, label, priorities in RECEIVED:
        yield item, label, sum(unit["requests"][name] for name in priorities), None, None
    for item, label, slug, name in MEASURED:
        found = unit["measures"][slug]
        value = "N/A" if found[name] is None else f"{found[name]:.2f}"
        yield item, label, value, found.get("count"), found["out_of"]
