"""One member's door to what was: every version of their own resources, and what was loaded since a moment.

https://hl7.org/fhir/R4/http.html#history - in the order of ``loaded_at``, which never goes back, the newest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    and_,
    bindparam,
    case,
    desc,
    exists,
    false,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from server.storage.criteria import MEMBER, REFERENCE, RESOURCE
from server.storage.patient_compartment import StoredResource
from server.storage.replicas import Records
from server.storage.schema import DIRECTORY, NAMED, NAMES, ResourceVersion

VERSION: Any = ResourceVersion.__table__  # type: ignore[attr-defined]
_COLUMNS = ("key", "patient", "type", "id", "version", "last_updated", "deleted", "body", "loaded_at")
_ORDER = ("loaded_at", "type", "id", "remains", "version")
Place = tuple[int | str, ...]
"""Where an entry stands: loaded_at, type, id, 0 for a tombstone or 1, and version.

A load gives a resource one version at a moment. What moves between the directory and a member has a tombstone of that moment
too, behind the version: who reads the newest first learns that it is still there.
"""


class StoredVersion(NamedTuple):
    """A version of a resource, current or superseded; ``deleted``: a tombstone. Times are microseconds since 1970 UTC."""

    key: int
    patient: str
    type: str
    id: str
    version: str
    last_updated: int
    deleted: bool
    body: bytes
    loaded_at: int

    @property
    def place(self) -> Place:
        """Where it stands in a history."""
        return self.loaded_at, self.type, self.id, 0 if self.deleted else 1, self.version

    @property
    def resource(self) -> StoredResource:
        """The same as any stored resource."""
        return StoredResource(*self[:-1])


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """A page of history: of one resource (``type`` and ``id``), of a type, or of the ``types`` together.

    Loaded after ``since`` and not after ``until`` (microseconds), at most ``count`` entries behind the place ``after``. ``shared``
    are types of the directory of which the deletions are told too, and nothing else.
    """

    until: int
    since: int = 0
    type: str = ""
    id: str = ""
    types: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    count: int = 50
    after: Place = ()


class CompartmentHistory:
    """What one member may see of the past. What was retracted, or has left the member, is a tombstone and nothing else."""

    def __init__(self, records: Records, patient: str) -> None:
        self._records = records
        self.patient = patient

    async def page(self, query: HistoryQuery) -> tuple[Sequence[StoredVersion], bool]:
        """The entries of a page, the newest load first, and whether more follow."""
        types = (query.type,) if query.type else query.types
        statement = _page(types, query.shared, one=bool(query.id), after=bool(query.after))
        values: dict[str, Any] = {"patient": self.patient, "since": query.since, "until": query.until}
        values |= {"limit": query.count + 1}
        values |= {f"t{number}": type for number, type in enumerate(types)}
        values |= {f"d{number}": type for number, type in enumerate(query.shared)}
        if query.id:
            values["id"] = query.id
        if query.after:
            values |= dict(zip((f"after_{name}" for name in _ORDER), query.after, strict=True))
        rows = await self._records.fetch(statement, values)
        return [StoredVersion._make(row) for row in rows[: query.count]], len(rows) > query.count

    async def last_body(self, type: str, id: str) -> StoredResource | None:
        """The last version of this member's that had a body, of a resource that is a tombstone now."""
        row = await self._records.fetch_one(_LAST_BODY, {"patient": self.patient, "type": type, "id": id})
        return None if row is None else StoredResource._make(row)


_LAST_BODY = (
    select(*[VERSION.c[name] for name in StoredResource._fields])
    .where(
        VERSION.c.type == bindparam("type"),
        VERSION.c.id == bindparam("id"),
        VERSION.c.patient.in_((MEMBER, DIRECTORY)),
        VERSION.c.deleted.is_(False),
    )
    .order_by(VERSION.c.loaded_at.desc(), VERSION.c.key.desc())
    .limit(1)
)


@lru_cache(maxsize=256)
def _page(types: tuple[str, ...], shared: tuple[str, ...] = (), *, one: bool, after: bool) -> Select[Any]:
    gone = [_gone(len(shared))] if shared else []
    current = select(*[RESOURCE.c[name] for name in _COLUMNS], _remains(RESOURCE)).where(
        or_(false(), *_belongs(RESOURCE, types), *gone),
        RESOURCE.c.loaded_at <= bindparam("until"),
        *_of(RESOURCE, one=one),
    )
    now = RESOURCE.alias()
    still_here = exists().where(
        now.c.type == VERSION.c.type,
        now.c.id == VERSION.c.id,
        now.c.patient == VERSION.c.patient,
        now.c.deleted.is_(False),
    )
    superseded = select(*[VERSION.c[name] for name in _COLUMNS], _remains(VERSION)).where(
        or_(false(), *_belongs(VERSION, types)),
        VERSION.c.loaded_at <= bindparam("until"),
        or_(VERSION.c.deleted.is_(True), still_here),
        *_of(VERSION, one=one),
    )
    both = union_all(current, superseded).subquery()
    page = select(*[both.c[name] for name in _COLUMNS]).order_by(*[desc(both.c[name]) for name in _ORDER])
    if after:
        page = page.where(_behind(both))
    return page.limit(bindparam("limit"))


def _remains(table: Any) -> Any:
    return case((table.c.deleted, literal_column("0")), else_=literal_column("1")).label("remains")


def _gone(types: int) -> Any:
    """What was retracted from the directory since, and has not come back."""
    return and_(
        RESOURCE.c.patient == literal(DIRECTORY),
        RESOURCE.c.type.in_([bindparam(f"d{number}") for number in range(types)]),
        RESOURCE.c.deleted.is_(True),
        RESOURCE.c.loaded_at > bindparam("since"),
    )


def _of(table: Any, *, one: bool) -> list[Any]:
    return [table.c.id == bindparam("id")] if one else []


def _behind(both: Any) -> Any:
    ways = []
    for length, name in enumerate(_ORDER):
        same = [both.c[other] == bindparam(f"after_{other}") for other in _ORDER[:length]]
        ways.append(and_(*same, both.c[name] < bindparam(f"after_{name}")))
    return or_(false(), *ways)


def _belongs(table: Any, types: tuple[str, ...]) -> list[Any]:
    """The rows of the types that were loaded since, by how their resources come to belong to a member; none for no types."""
    by_kind: dict[MembershipKind, list[Any]] = {}
    for number, type in enumerate(types):
        by_kind.setdefault(RESOURCES[type].membership.kind, []).append(bindparam(f"t{number}"))
    recent = table.c.loaded_at > bindparam("since")
    ways = []
    for kind, names in by_kind.items():
        of_type = table.c.type.in_(names)
        if kind is MembershipKind.DIRECTORY:
            ways.append(and_(table.c.patient == literal(DIRECTORY), of_type, recent))
        elif kind is MembershipKind.VIA and len(types) == 1:
            ways.append(and_(table.c.patient.in_((MEMBER, DIRECTORY)), of_type, recent))
        elif kind is MembershipKind.NAMED:
            ways.append(and_(table.c.patient == literal(NAMED), of_type, _named(table, recent)))
        else:
            ways.append(and_(table.c.patient == MEMBER, of_type, recent))
    return ways


def _named(table: Any, recent: Any) -> Any:
    """Named by a resource of this member; one named only since counts as loaded since, because it was not seen before."""
    naming = RESOURCE.alias()
    return exists().where(
        REFERENCE.c.patient == MEMBER,
        REFERENCE.c.target_id == table.c.id,
        REFERENCE.c.target_type == table.c.type,
        REFERENCE.c.parameter == NAMES,
        naming.c.key == REFERENCE.c.resource,
        or_(recent, naming.c.loaded_at > bindparam("since")),
    )
