"""Small worlds of prior authorizations: what happened when, what members could see, and what must be reported.

docs/authorization-events.md explains the events; moments are of the payer's wall clock, America/New_York.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import insert

from server import clock
from server.fhir.canonical_json import serialise
from server.storage import authorization_events
from server.storage.authorization_events import StoredEvent
from server.storage.database import Database
from server.storage.enrolment import Unit
from server.storage.schema import Member, Resource, ResourceVersion
from tests.metrics.worlds import UNITS, Spell, learn, local


@dataclass(frozen=True, slots=True)
class Event:
    """An event at a moment (``2026-03-02T14:05`` of the payer, or a datetime). Without an id it has that of its place in the world."""

    type: str
    at: str | datetime
    decision: str = ""
    request: str = "r1"
    priority: str = "standard"
    drug: bool = False
    unit: str | None = None
    coverage: str = "coverage"
    patient: str = "anna"
    id: str = ""
    corrects: str = ""
    codes: tuple[str, ...] = ()

    @property
    def moment(self) -> int:
        """Microseconds since 1970 UTC."""
        return clock.to_microseconds(self.at if isinstance(self.at, datetime) else local(self.at))


@dataclass(frozen=True, slots=True)
class Shown:
    """A version of the resource of a request: its ``lastUpdated``, and when it was loaded."""

    updated: str | datetime
    loaded: str | datetime
    request: str = "r1"
    patient: str = "anna"


@dataclass(frozen=True, slots=True)
class World:
    """What happened, and what has to be reported.

    ``received``: standard and expedited requests of the organisation; ``counts``: what is counted of them, by measure, where it is not
    zero; ``times``: mean and median by measure, where there is any; ``clocks``: by ``clock:outcome``, where it matters; ``units``: the
    requests of each place, if they are not all of H1234; ``asked``: how the report was asked for.
    """

    name: str
    reason: str
    events: tuple[Event, ...]
    received: tuple[int, int]
    counts: Mapping[str, int] = field(default_factory=dict)
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    clocks: Mapping[str, int] | None = None
    units: Mapping[str, tuple[int, int]] | None = None
    spells: tuple[Spell, ...] = (Spell("anna", "H1234"), Spell("ben", "H1234"))
    shown: tuple[Shown, ...] = ()
    test_members: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def as_stored(event: Event, number: int) -> StoredEvent:
    """An event as the load keeps it."""
    unit = None if event.unit is None else Unit(**asdict(UNITS[event.unit]))
    id = event.id or f"e{number}"
    items = serialise([{"system": "https://payer.example/codes", "code": code} for code in event.codes]).decode()
    return StoredEvent(
        id=id,
        event_type=event.type,
        at=event.moment,
        authorization=event.request,
        authorization_number=f"AUTH-{event.request}",
        patient=event.patient,
        coverage_id=event.coverage,
        unit=unit,
        priority=event.priority,
        drug=event.drug,
        decision=event.decision,
        reason_system="",
        reason_code="",
        reason_text="",
        items=items,
        corrects=event.corrects,
        hash=sha256(f"{id} {event}".encode()).digest(),
    )


def build(database: Database, world: World) -> None:
    """Make a world: its units, enrolments, marks of members, events in the order given, and what was shown."""
    learn(database, world.spells, (), with_units=True)
    with database.transaction() as transaction:
        if world.test_members:
            marks = [{"patient": name, "environment": "test", "enrolled": ""} for name in world.test_members]
            transaction.execute(insert(Member), marks)
        stored = [as_stored(event, number) for number, event in enumerate(world.events, 1)]
        authorization_events.append(transaction, stored, recorded_at=1)
        _show(transaction, world.shown)


def _show(transaction: Any, shown: Iterable[Shown]) -> None:
    """The last version of each resource is the current one."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for version in shown:
        own = rows.setdefault(version.request, [])
        updated, loaded = (
            clock.to_microseconds(moment if isinstance(moment, datetime) else local(moment))
            for moment in (version.updated, version.loaded)
        )
        own.append(
            {
                "patient": version.patient,
                "type": "ExplanationOfBenefit",
                "id": version.request,
                "version": str(len(own) + 1),
                "last_updated": updated,
                "loaded_at": loaded,
                "deleted": False,
                "hash": b"",
                "body": b"",
            }
        )
    for own in rows.values():
        transaction.execute(insert(Resource), own[-1:])
        if own[:-1]:
            transaction.execute(insert(ResourceVersion), own[:-1])
