"""Append-only events of prior authorizations, and the moment from which members could see each of them.

42 CFR 422.122(c): the measures of prior authorization; 422.119(b)(1)(iv): visible one business day after a change.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import and_, bindparam, false, func, insert, select, union_all

from server.storage.criteria import RESOURCE
from server.storage.database import Transaction
from server.storage.enrolment import UNIT, Unit, unit_key
from server.storage.schema import AuthorizationEvent, ResourceVersion

EVENT: Any = AuthorizationEvent.__table__  # type: ignore[attr-defined]
VERSION: Any = ResourceVersion.__table__  # type: ignore[attr-defined]
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event. ``at`` in microseconds since 1970 UTC; ``items`` a JSON list; ``unit`` None: that of the Coverage."""

    id: str
    event_type: str
    at: int
    authorization: str
    authorization_number: str
    patient: str
    coverage_id: str
    unit: Unit | None
    priority: str
    drug: bool
    decision: str
    reason_system: str
    reason_code: str
    reason_text: str
    items: str
    corrects: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a stored event when another line comes under its id, or to correct it."""

    hash: bytes
    authorization: str
    patient: str


@dataclass(frozen=True, slots=True)
class VisibleEvent:
    """An event, when it was recorded, and from when the API showed it (None: not yet), in microseconds since 1970 UTC."""

    event: StoredEvent
    recorded_at: int
    visible_at: int | None


_KNOWN = select(EVENT.c.id, EVENT.c.hash, EVENT.c.authorization, EVENT.c.patient).where(
    EVENT.c.id.in_(bindparam("ids", expanding=True))
)
_SHOWN = union_all(
    *[
        select(func.min(table.c.loaded_at).label("loaded_at"))
        .where(
            table.c.type == bindparam("type"),
            table.c.id == EVENT.c.authorization,
            table.c.patient == EVENT.c.patient,
            table.c.last_updated >= EVENT.c.at,
            table.c.deleted == false(),
        )
        .correlate(EVENT)
        for table in (RESOURCE, VERSION)
    ]
).subquery()
VISIBLE_SINCE: Any = select(func.min(_SHOWN.c.loaded_at)).correlate(EVENT).scalar_subquery()
"""From when the API showed what an event tells of (needs ``:type``); NULL: not yet."""
_OWN = [EVENT.c[item.name] for item in fields(StoredEvent) if item.name != "unit"]
_EVENTS = (
    select(*_OWN, EVENT.c.recorded_at, *[UNIT.c[name] for name in Unit.__slots__], VISIBLE_SINCE.label("visible_at"))
    .join_from(EVENT, UNIT, UNIT.c.key == EVENT.c.unit, isouter=True)
    .where(and_(EVENT.c.at >= bindparam("since"), EVENT.c.at < bindparam("until")))
    .order_by(EVENT.c.authorization, EVENT.c.at, EVENT.c.key)
)


def known(transaction: Transaction, ids: Collection[str]) -> dict[str, Known]:
    """The stored events among these ids."""
    listed = sorted(ids)
    portions = (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))
    rows = [row for portion in portions for row in transaction.all(_KNOWN, {"ids": portion})]
    return {row.id: Known(bytes(row.hash), row.authorization, row.patient) for row in rows}


def append(transaction: Transaction, events: Sequence[StoredEvent], recorded_at: int) -> None:
    """Append events, recorded now; units are made when they are new."""
    keys = {unit: unit_key(transaction, unit) for unit in {found.unit for found in events} if unit is not None}
    rows = [
        {**asdict(found), "unit": None if found.unit is None else keys[found.unit], "recorded_at": recorded_at}
        for found in events
    ]
    if rows:
        transaction.execute(insert(EVENT), rows)


def events(transaction: Transaction, type: str, since: int, until: int) -> Iterator[VisibleEvent]:
    """Everybody's events from ``since`` to before ``until``, those of one authorization together and in order.

    An event is visible from the first load of a resource of ``type`` under the authorization's id that is not older than it."""
    for row in transaction.stream(_EVENTS, {"type": type, "since": since, "until": until}):
        values = {item.name: getattr(row, item.name) for item in fields(StoredEvent) if item.name != "unit"}
        unit = None if row.line_of_business is None else Unit(*[getattr(row, name) for name in Unit.__slots__])
        found = StoredEvent(**{**values, "hash": bytes(row.hash)}, unit=unit)
        yield VisibleEvent(found, row.recorded_at, row.visible_at)
