"""Events of prior authorizations: a line of ``authorization_events.ndjson`` becomes a row, once; a mistake is put right by a later line.

42 CFR 422.122, 431.80, 438.210, 457.732 and 45 CFR 156.223; the columns are explained in docs/authorization-events.md
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from server.fhir import dates
from server.fhir.canonical_json import content_hash, serialise
from server.ingest.report import LoadReport, Outcome, Place, RecordOutcome
from server.storage import authorization_events as store
from server.storage.authorization_events import StoredEvent
from server.storage.database import Transaction
from server.storage.enrolment import Unit

EVENT_TYPE = "eventType"
TYPE = "AuthorizationEvent"
"""How events are called in the report of a load."""
EVENT_TYPES = (
    "received",
    "information-requested",
    "extended",
    "decided",
    "appealed",
    "appeal-decided",
    "cancelled",
    "entered-in-error",
)
DECISIONS = ("approved", "partially-approved", "denied")
PRIORITIES = ("standard", "expedited")
DECIDED = ("decided", "appeal-decided")
COLUMNS = (
    EVENT_TYPE,
    "id",
    "at",
    "authorization",
    "authorizationNumber",
    "member",
    "coverage",
    "unit",
    "priority",
    "drug",
    "decision",
    "reason",
    "items",
    "corrects",
)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_ITEM = ("system", "code", "text", "unitsRequested", "unitsApproved")


class _WrongError(ValueError):
    """What is wrong with an event: the column, the reason, and how to put it right."""

    def __init__(self, column: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.column, self.fix = column, fix


@dataclass(slots=True, eq=False)
class AuthorizationEvent:
    """One line, checked; ``hash`` tells whether the same line came before."""

    place: Place
    id: str
    event: StoredEvent
    type: str = field(default=TYPE, init=False)


def is_event(value: Any) -> bool:
    """Whether a JSON value is an event and no FHIR resource: it has an ``eventType`` and no ``resourceType``."""
    return isinstance(value, dict) and EVENT_TYPE in value and "resourceType" not in value


def event(place: Place, value: Mapping[str, Any]) -> AuthorizationEvent | RecordOutcome:
    """A JSON object as an event, or why it cannot be used."""
    id = value.get("id")
    shown = id if isinstance(id, str) and _ID.fullmatch(id) else ""
    try:
        return AuthorizationEvent(place, shown, _event(value))
    except _WrongError as wrong:
        return RecordOutcome(Outcome.REJECTED, place, TYPE, shown, wrong.column, str(wrong), wrong.fix)
    except ValueError as error:
        return RecordOutcome(
            Outcome.REJECTED,
            place,
            TYPE,
            shown,
            "",
            f"cannot be written as JSON: {error}",
            "Correct the text or number.",
        )


def _event(value: Mapping[str, Any]) -> StoredEvent:
    for name in value:
        if name not in COLUMNS:
            raise _WrongError("", "has a column that is not known", f"Use only {', '.join(COLUMNS)}.")
    event_type = _one_of(value, EVENT_TYPE, EVENT_TYPES)
    reason = _reason(value.get("reason"))
    decision = _one_of(value, "decision", DECISIONS) if event_type in DECIDED or "decision" in value else ""
    if decision and event_type not in DECIDED:
        raise _WrongError("decision", "belongs to no such event", f"Only {' and '.join(DECIDED)} have a decision.")
    if decision in ("partially-approved", "denied") and not reason["text"]:
        raise _WrongError("reason", "is missing", "A denial, also in part, has a specific reason: add reason.text.")
    corrects = _id(value, "corrects") if "corrects" in value else ""
    if event_type == "entered-in-error" and not corrects:
        raise _WrongError("corrects", "is missing", "Name the id of the event that never happened.")
    coverage = _id(value, "coverage") if "coverage" in value else ""
    unit = _unit(value.get("unit"))
    if not coverage and unit is None:
        raise _WrongError("coverage", "is missing", "Name the Coverage, or give the reporting unit as unit.")
    drug = value.get("drug", False)
    if not isinstance(drug, bool):
        raise _WrongError("drug", "is not true or false", "Say true for a medicine.")
    return StoredEvent(
        id=_id(value, "id"),
        event_type=event_type,
        at=_at(value),
        authorization=_id(value, "authorization"),
        authorization_number=_text(value, "authorizationNumber"),
        patient=_id(value, "member"),
        coverage_id=coverage,
        unit=unit,
        priority=_one_of(value, "priority", PRIORITIES),
        drug=drug,
        decision=decision,
        reason_system=reason["system"],
        reason_code=reason["code"],
        reason_text=reason["text"],
        items=_items(value.get("items", [])),
        corrects=corrects,
        hash=content_hash(serialise(value, sort_keys=True)),
    )


def _one_of(value: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    found = value.get(name)
    if not isinstance(found, str) or found not in allowed:
        raise _WrongError(name, "is missing" if found is None else "is not known", f"Use one of {', '.join(allowed)}.")
    return found


def _id(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not _ID.fullmatch(found):
        reason = "is missing" if found is None else "is not an id"
        raise _WrongError(name, reason, "An id has 1 to 64 letters, digits, '-' and '.'.")
    return found


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name, "")
    if not isinstance(found, str):
        raise _WrongError(name, "is not text", "Write it in quotation marks.")
    return found


def _at(value: Mapping[str, Any]) -> int:
    found = value.get("at")
    fix = "Write date, time and zone, as in 2026-03-02T14:05:00-05:00."
    if not isinstance(found, str) or not _INSTANT.fullmatch(found):
        raise _WrongError("at", "is missing" if found is None else "is not an instant with its zone", fix)
    try:
        return dates.interval(found)[0]
    except ValueError as error:
        raise _WrongError("at", "is no such moment", fix) from error


def _reason(value: Any) -> dict[str, str]:
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(isinstance(found, str) for found in value.values()):
        raise _WrongError("reason", "is not an object of texts", "Write {system, code, text}.")
    if value.keys() - {"system", "code", "text"}:
        raise _WrongError("reason", "has a name that is not known", "Write {system, code, text}.")
    return {name: value.get(name, "").strip() for name in ("system", "code", "text")}


def _unit(value: Any) -> Unit | None:
    if value is None:
        return None
    names = Unit.__slots__
    fix = f"Write line_of_business and what applies of {', '.join(names[1:])}, as texts."
    if not isinstance(value, dict) or value.keys() - set(names) or not value.get("line_of_business"):
        raise _WrongError("unit", "is not a reporting unit", fix)
    if not all(isinstance(found, str) for found in value.values()):
        raise _WrongError("unit", "is not a reporting unit", fix)
    return Unit(**value)


def _items(value: Any) -> str:
    if not isinstance(value, list):
        raise _WrongError("items", "is not a list", "Put the items in [ ].")
    for position, item in enumerate(value):
        _check_item(f"items[{position}]", item)
    return serialise(value).decode()


def _check_item(where: str, item: Any) -> None:
    if not isinstance(item, dict) or item.keys() - set(_ITEM):
        raise _WrongError(where, "is not an item", f"An item has {', '.join(_ITEM)}.")
    if not isinstance(item.get("code"), str) or not item["code"]:
        raise _WrongError(f"{where}.code", "is missing", "Name the code of the item or service.")
    for name in ("system", "text"):
        _text(item, name)
    units = [_units(where, item, name) for name in ("unitsRequested", "unitsApproved")]
    if units[0] is not None and units[1] is not None and units[1] > units[0]:
        raise _WrongError(f"{where}.unitsApproved", "is more than was requested", "Approve at most what was requested.")


def _units(where: str, item: Mapping[str, Any], name: str) -> Decimal | None:
    found = item.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | Decimal) or found < 0:
        raise _WrongError(f"{where}.{name}", "is not a count", "Write a number that is not negative.")
    return Decimal(found)


def record(
    transaction: Transaction, events: Sequence[AuthorizationEvent], report: LoadReport, recorded_at: int
) -> None:
    """Append the events that are new; the same line again is unchanged, another under its id is rejected."""
    wanted = {found.id for found in events} | {found.event.corrects for found in events if found.event.corrects}
    known = store.known(transaction, wanted)
    fresh: list[StoredEvent] = []
    for found in events:
        before = known.get(found.id)
        if before is not None and before.hash == found.event.hash:
            report.add(RecordOutcome(Outcome.UNCHANGED, found.place, TYPE, found.id))
            continue
        wrong = _conflict(found.event, before, known.get(found.event.corrects))
        if wrong is not None:
            report.add(RecordOutcome(Outcome.REJECTED, found.place, TYPE, found.id, *wrong))
            continue
        known[found.id] = store.Known(found.event.hash, found.event.authorization, found.event.patient)
        fresh.append(found.event)
        report.add(RecordOutcome(Outcome.CREATED, found.place, TYPE, found.id))
    store.append(transaction, fresh, recorded_at)


def _conflict(
    event: StoredEvent, before: store.Known | None, corrected: store.Known | None
) -> tuple[str, str, str] | None:
    if before is not None:
        fix = f"An event never changes: send a new one with corrects {event.id}."
        return "id", "is stored with other content", fix
    if not event.corrects:
        return None
    if corrected is None:
        return "corrects", "names no event that is stored", "Load the event that it corrects first."
    if (corrected.authorization, corrected.patient) != (event.authorization, event.patient):
        fix = "Correct an event of the same authorization and member."
        return "corrects", "names an event of another authorization", fix
    return None
