"""From events to requests: what became of each prior authorization, with every correction applied.

docs/authorization-events.md is the contract: events are never changed; a later one that ``corrects`` an earlier one stands instead of
it, and one of type entered-in-error takes it back. 42 CFR 422.122(c) says what is counted of them.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from server.storage.prior_authorizations import RequestEvent


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its events in force, in the order of time. Moments are microseconds since 1970 UTC, None: it did not happen.

    ``extended``: the first extension before the decision. ``withdrawn``: taken back or dismissed, and never decided. ``unit``: the
    key of its reporting unit. ``items``: (system, code) of what was asked for.
    """

    authorization: str
    number: str
    patient: str
    priority: str
    drug: bool
    environment: str
    unit: int | None
    received: int | None
    extended: int | None
    decided: int | None
    decision: str
    withdrawn: int | None
    is_approved_after_appeal: bool
    items: frozenset[tuple[str, str]]
    events: tuple[RequestEvent, ...]

    @property
    def is_approved(self) -> bool:
        """Fully approved."""
        return self.decision == "approved"

    @property
    def is_denied(self) -> bool:
        """Denied, in full or in part."""
        return self.decision in ("denied", "partially-approved")

    @property
    def is_extended(self) -> bool:
        """Whether the payer took more time before it decided."""
        return self.extended is not None

    @property
    def took(self) -> int | None:
        """Microseconds from receipt to decision; None without both, or when they are in the wrong order."""
        if self.received is None or self.decided is None or self.decided < self.received:
            return None
        return self.decided - self.received


def requests(events: Iterable[RequestEvent], known_at: int) -> Iterator[Request]:
    """The requests of events that stand together by request, in the order in which they were recorded.

    What happens after ``known_at`` has not happened; a request of which nothing is in force is none.
    """
    for _, together in groupby(events, key=lambda event: (event.authorization, event.patient)):
        past = [event for event in in_force(list(together)) if event.at <= known_at]
        if past:
            yield _request(past)


def in_force(recorded: Sequence[RequestEvent]) -> list[RequestEvent]:
    """Of the events of a request, in the order of recording: those that stand, in the order of time.

    What corrects the same event, directly or by way of other corrections, is one event; the last recorded says what it is.
    """
    origin: dict[str, str] = {}
    last: dict[str, RequestEvent] = {}
    for event in recorded:
        root = origin.get(event.corrects, event.corrects) or event.id
        origin[event.id] = root
        last[root] = event
    standing = [event for event in last.values() if event.event_type != "entered-in-error"]
    return sorted(standing, key=lambda event: event.at)


def _request(events: Sequence[RequestEvent]) -> Request:
    received, decided = _first(events, "received"), _first(events, "decided")
    extended, withdrawn = _first(events, "extended"), _first(events, "cancelled")
    says = decided or events[-1]
    if decided is not None and extended is not None and extended.at > decided.at:
        extended = None
    appeal = decided is not None and any(
        event.event_type == "appeal-decided" and event.decision == "approved" and event.at >= decided.at
        for event in events
    )
    decision = "" if decided is None else decided.decision
    return Request(
        authorization=says.authorization,
        number=next((event.authorization_number for event in events if event.authorization_number), ""),
        patient=says.patient,
        priority=says.priority,
        drug=any(event.drug for event in events),
        environment=says.environment,
        unit=says.unit,
        received=_at(received),
        extended=_at(extended),
        decided=_at(decided),
        decision=decision,
        withdrawn=withdrawn.at if withdrawn is not None and decided is None else None,
        is_approved_after_appeal=appeal and decision != "approved",
        items=frozenset(_items(received)),
        events=tuple(events),
    )


def _first(events: Sequence[RequestEvent], event_type: str) -> RequestEvent | None:
    return next((event for event in events if event.event_type == event_type), None)


def _at(event: RequestEvent | None) -> int | None:
    return None if event is None else event.at


def _items(received: RequestEvent | None) -> Iterator[tuple[str, str]]:
    for item in json.loads(received.items) if received is not None else ():
        yield item.get("system", ""), item["code"]
