"""Prior authorizations of a year as a report counts them: every event of theirs, with the reporting unit and the member's mark.

42 CFR 422.122(c) and its parallels: the measures are of requests, so that an event is read with all others of its request.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select

from server.storage.authorization_events import EVENT, VISIBLE_SINCE
from server.storage.database import Transaction
from server.storage.schema import Enrolment, Member

ENROLMENT: Any = Enrolment.__table__  # type: ignore[attr-defined]
MEMBER: Any = Member.__table__  # type: ignore[attr-defined]
_COLUMNS = (
    *("id", "event_type", "at", "authorization", "authorization_number", "patient", "priority", "drug", "decision"),
    *("items", "corrects", "hash"),
)


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """An event of a request. ``at`` and ``visible_at`` (None: not yet) in microseconds since 1970 UTC; ``unit`` is the key of the
    reporting unit that the event names, or else of the member's enrolment by its Coverage, as recorded last (None: neither);
    ``environment`` is the member's mark."""

    id: str
    event_type: str
    at: int
    authorization: str
    authorization_number: str
    patient: str
    priority: str
    drug: bool
    decision: str
    items: str
    corrects: str
    hash: bytes
    unit: int | None
    environment: str
    visible_at: int | None


_ENROLLED: Any = (
    select(ENROLMENT.c.unit)
    .where(ENROLMENT.c.patient == EVENT.c.patient, ENROLMENT.c.coverage_id == EVENT.c.coverage_id)
    .order_by(ENROLMENT.c.recorded_at.desc(), ENROLMENT.c.key.desc())
    .limit(1)
    .correlate(EVENT)
    .scalar_subquery()
)
_OF_THE_PERIOD: Any = EVENT.alias("of_the_period")
_EVENTS = (
    select(
        *[EVENT.c[name] for name in _COLUMNS],
        func.coalesce(EVENT.c.unit, _ENROLLED).label("unit"),
        func.coalesce(MEMBER.c.environment, bindparam("unmarked", "production")).label("environment"),
        VISIBLE_SINCE.label("visible_at"),
    )
    .join_from(EVENT, MEMBER, MEMBER.c.patient == EVENT.c.patient, isouter=True)
    .where(
        EVENT.c.authorization.in_(
            select(_OF_THE_PERIOD.c.authorization).where(
                _OF_THE_PERIOD.c.at >= bindparam("since"), _OF_THE_PERIOD.c.at < bindparam("until")
            )
        ),
        EVENT.c.recorded_at <= bindparam("known"),
    )
    .order_by(EVENT.c.authorization, EVENT.c.patient, EVENT.c.key)
)


def events(transaction: Transaction, type: str, since: int, until: int, known: int) -> Iterator[RequestEvent]:
    """All events recorded up to ``known`` of the requests of which anything happened from ``since`` to before ``until``.

    Those of one request stand together, in the order in which they were recorded. ``type``: of the resources that show requests.
    """
    span = {"type": type, "since": since, "until": until, "known": known}
    for row in transaction.stream(_EVENTS, span):
        yield RequestEvent(**{**row._asdict(), "hash": bytes(row.hash)})
