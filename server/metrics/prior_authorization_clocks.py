"""The clocks of prior authorizations: how soon a request must be decided, and how soon the member must see what happened.

Decisions: 72 hours expedited, 7 calendar days standard (42 CFR 422.568, 422.572, 438.210(d), 440.230(e), from 2026; not for issuers on an
exchange), and at most 14 days more where the time was extended. Visibility: one business day after receipt, and after each change of
status (42 CFR 422.119(b)(1)(iv) and its parallels). Where the rules leave a choice, the stricter reading is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from server.metrics.business_days import end_of_day, local_date, next_business_day
from server.metrics.levels import REQUIRED
from server.metrics.prior_authorization_measures import EXPEDITED, HOUR
from server.metrics.prior_authorization_requests import Request
from server.storage.prior_authorizations import RequestEvent

EXPEDITED_HOURS, STANDARD_DAYS, EXTENSION_DAYS = 72, 7, 14
WITH_DECISION_CLOCK = frozenset(REQUIRED) - {"qhp"}
"""Lines of business to which the times for decisions apply."""
IN_TIME, LATE, OVERDUE, RUNNING = "in-time", "late", "overdue", "running"
OUTCOMES = (IN_TIME, LATE, OVERDUE, RUNNING)
"""Of a clock: stopped in time; stopped too late; not stopped and the time is over; not stopped and there is time left."""
BREACHES = (LATE, OVERDUE)
DECISION, REQUEST, STATUS = "decision", "request-visible", "status-visible"
CLOCKS = {
    DECISION: "Decided in time",
    REQUEST: "Request visible to the member in one business day",
    STATUS: "Change of status visible to the member in one business day",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clock says: started by ``event_type`` at ``started``, ``due`` before a moment, ``stopped`` (None: it runs)."""

    clock: str
    event_type: str
    started: int
    due: int
    stopped: int | None
    outcome: str


def readings(request: Request, zone: ZoneInfo, known_at: int, *, decides: bool) -> Iterator[Reading]:
    """The clocks of a request; ``decides``: the times for decisions apply to its payer."""
    if decides and request.received is not None and request.withdrawn is None:
        due = decision_due(request, zone)
        yield _reading(DECISION, "received", request.received, due, request.decided, known_at)
    for event in request.events:
        name = REQUEST if event.event_type == "received" else STATUS
        seen = event.visible_at if event.visible_at is not None and event.visible_at <= known_at else None
        yield _reading(name, event.event_type, event.at, visible_due(event, zone), seen, known_at)


def decision_due(request: Request, zone: ZoneInfo) -> int:
    """The first moment that is too late for a decision on a request that was received.

    Standard: the end of the seventh local day after that of receipt. Expedited: more than 72 hours after receipt. An extension that was
    taken in time adds fourteen local days, to their end.
    """
    received = request.received or 0
    if request.priority == EXPEDITED:
        due = received + EXPEDITED_HOURS * HOUR + 1
        last = local_date(zone, due - 1)
    else:
        last = local_date(zone, received) + timedelta(days=STANDARD_DAYS)
        due = end_of_day(zone, last)
    if request.extended is not None and request.extended < due:
        return end_of_day(zone, last + timedelta(days=EXTENSION_DAYS))
    return due


def visible_due(event: RequestEvent, zone: ZoneInfo) -> int:
    """The first moment that is too late to show an event: the end of the first business day after its local date."""
    return end_of_day(zone, next_business_day(local_date(zone, event.at)))


def _reading(name: str, event_type: str, started: int, due: int, stopped: int | None, known_at: int) -> Reading:
    in_time, too_late = (RUNNING, OVERDUE) if stopped is None else (IN_TIME, LATE)
    until = known_at if stopped is None else stopped
    return Reading(name, event_type, started, due, stopped, in_time if until < due else too_late)
