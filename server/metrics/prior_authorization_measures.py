"""What the prior-authorization report measures, as data: nine public measures, and the definition they are counted by.

42 CFR 422.122(c), 431.80, 438.210(f), 457.732 and 45 CFR 156.223, added by CMS-0057-F; the nine measures: 89 FR 8889. The Managed Care
Program Annual Report (topic XIII) says what is counted of what: approved is fully approved, denied is fully or partially denied,
each of all requests received in the calendar year.
"""

from collections.abc import Callable
from dataclasses import dataclass

from server.metrics.prior_authorization_requests import Request

CITATION = (
    "CMS-0057-F, 89 FR 8889; 42 CFR 422.122 (Medicare Advantage), 440.230 (Medicaid fee for service), 438.210 (managed care), "
    "457.732 (CHIP), 45 CFR 156.223 (issuers on a federally facilitated exchange)"
)
STANDARD, EXPEDITED = "standard", "expedited"
DAY, HOUR = 86_400_000_000, 3_600_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Definition:
    """By what the requests of a year are chosen and counted. A change of meaning is a new ``version``."""

    slug: str
    version: str
    title: str
    text: tuple[str, ...]


REQUESTS_RECEIVED = Definition(
    slug="requests-received",
    version="1",
    title="Requests received in the calendar year, as decided since",
    text=(
        "A request belongs to the calendar year in which it was received, by the clock of the payer's time zone, whenever it was "
        "decided. It counts as what the payer's records say of it on the day of the report.",
        "Requests for drugs do not count.",
        "A request is standard or expedited as it was when it was decided; while it is not decided, as it is.",
        "Approved is fully approved. Denied is fully or partially denied. Both are what was decided first, before any appeal.",
        "Approved after appeal: not fully approved at first, and fully approved by a decision on an appeal, at any level.",
        "Every percentage is of all requests received, decided or not: those withdrawn or dismissed before a decision, and those "
        "still open, are in the number that it is out of and in neither of the others. Percentages are rounded to two decimals.",
        "Time runs from the receipt of a request to the first decision, as elapsed time: a day is 24 hours. Of an even number of "
        "times the median is the mean of the two in the middle. Requests without a decision have no time.",
        "A mistake that the payer has corrected counts as corrected. A request counts for the contract, State, plan or issuer of the "
        "coverage under which it was asked for.",
    ),
)


@dataclass(frozen=True, slots=True)
class Share:
    """A percentage: of the requests with one of the ``priorities``, those that ``counts``."""

    number: int
    slug: str
    title: str
    definition: str
    priorities: tuple[str, ...]
    counts: Callable[[Request], bool]


@dataclass(frozen=True, slots=True)
class Duration:
    """Mean and median time from receipt to first decision of the requests with a priority, in a ``unit`` of microseconds."""

    number: int
    slug: str
    title: str
    definition: str
    priority: str
    unit_name: str
    unit: int


ITEMS_NUMBER, ITEMS_SLUG = 1, "items"
ITEMS_TITLE = "Items and services that require prior authorization"
MEASURES: tuple[Share | Duration, ...] = (
    Share(2, "standard-approved", "Standard requests approved", "Of all standard requests, those fully approved.",
          (STANDARD,), lambda request: request.is_approved),
    Share(3, "standard-denied", "Standard requests denied", "Of all standard requests, those denied, in full or in part.",
          (STANDARD,), lambda request: request.is_denied),
    Share(4, "standard-approved-after-appeal", "Standard requests approved after appeal",
          "Of all standard requests, those not fully approved at first and fully approved after an appeal.",
          (STANDARD,), lambda request: request.is_approved_after_appeal),
    Share(5, "extended-approved", "Requests approved after the time for review was extended",
          "Of all requests, standard and expedited, those whose time for review was extended and that were then fully approved.",
          (STANDARD, EXPEDITED), lambda request: request.is_extended and request.is_approved),
    Share(6, "expedited-approved", "Expedited requests approved", "Of all expedited requests, those fully approved.",
          (EXPEDITED,), lambda request: request.is_approved),
    Share(7, "expedited-denied", "Expedited requests denied", "Of all expedited requests, those denied, in full or in part.",
          (EXPEDITED,), lambda request: request.is_denied),
    Duration(8, "standard-time", "Time to a decision, standard requests",
             "Mean and median time from receipt to decision, in days.", STANDARD, "days", DAY),
    Duration(9, "expedited-time", "Time to a decision, expedited requests",
             "Mean and median time from receipt to decision, in hours.", EXPEDITED, "hours", HOUR),
)  # fmt: skip
"""In the regulation's order; the first of the nine is the list of items and services."""
