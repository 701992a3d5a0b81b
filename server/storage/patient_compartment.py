"""One member's door to the data: read, vread and search for one member and the shared directory.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html - no function here can name another member.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, literal_column, select

from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from server.storage import criteria, sorting
from server.storage.criteria import MEMBER, REFERENCE, RESOURCE, visible
from server.storage.query import Criterion, NothingCriterion, SearchQuery, SortKey
from server.storage.replicas import Records
from server.storage.schema import DIRECTORY, NAMED, NAMES, LoadClock, ResourceVersion
from server.storage.sorting import Place

VERSION = ResourceVersion.__table__  # type: ignore[attr-defined]
CLOCK = LoadClock.__table__  # type: ignore[attr-defined]
OWN_OR_SHARED = (MEMBER, DIRECTORY)
ANY_IN_SIGHT = (MEMBER, DIRECTORY, NAMED)
"""``patient`` of whatever a statement that named the member has found before."""


def in_sight(table: Any) -> Any:
    """Rows of those. By their keys they are few: no index by ``patient`` is to be chosen for this (a text with nothing added)."""
    return table.c.patient.concat(literal_column("''")).in_(ANY_IN_SIGHT)


View = Callable[[str], tuple[Criterion, ...] | None]
"""What resources of a type must meet to be seen at all: nothing (), criteria, or None: none of them is."""


class StoredResource(NamedTuple):
    """A stored version: ``patient`` is '' for the shared directory, ``last_updated`` microseconds since 1970 UTC."""

    key: int
    patient: str
    type: str
    id: str
    version: str
    last_updated: int
    deleted: bool
    body: bytes


_STORED = StoredResource._make


@dataclass(frozen=True, slots=True)
class Page:
    """A page of matches, and the places in the order of the first and the last; ``more`` tells whether another follows, in the
    direction in which it was asked for. Only a first page counts: the total over all pages (-1: not counted), and the load watermark it was read at."""

    matches: Sequence[StoredResource]
    more: bool
    total: int = 0
    watermark: int = 0
    first: Place = ()
    last: Place = ()


def _columns(table: Any) -> list[Any]:
    return [getattr(table.c, name) for name in StoredResource._fields]


_CURRENT = _columns(RESOURCE)
_WIDTH = len(_CURRENT)
_READ = select(*_CURRENT).where(
    RESOURCE.c.type == bindparam("type"), RESOURCE.c.id == bindparam("id"), visible(RESOURCE)
)
_VREAD = select(*_columns(VERSION)).where(
    VERSION.c.type == bindparam("type"),
    VERSION.c.id == bindparam("id"),
    VERSION.c.version == bindparam("version"),
    visible(VERSION),
)
_TOMBSTONE = select(*_columns(VERSION)).where(
    VERSION.c.type == bindparam("type"),
    VERSION.c.id == bindparam("id"),
    VERSION.c.patient == MEMBER,
    VERSION.c.deleted.is_(True),
)
_WATERMARK = select(CLOCK.c.loaded_at)


@lru_cache(maxsize=512)
def _read_seen(type: str, shapes: tuple[criteria.Shape, ...]) -> Select[Any]:
    """The current version of one resource, if it is not deleted and meets criteria."""
    return _READ.where(RESOURCE.c.deleted.is_(False), *criteria.conditions(shapes, shared=RESOURCES[type].is_directory))


@lru_cache(maxsize=512)
def _seen(type: str, shapes: tuple[criteria.Shape, ...], size: int) -> Select[Any]:
    """Those of ``size`` keys whose resources meet criteria."""
    return select(RESOURCE.c.key).where(
        RESOURCE.c.key.in_([bindparam(f"k{n}") for n in range(size)]),
        in_sight(RESOURCE),
        *criteria.conditions(shapes, shared=RESOURCES[type].is_directory),
    )


_NAMED_BY_MEMBER = select(REFERENCE.c.target_id).where(
    REFERENCE.c.patient == MEMBER, REFERENCE.c.target_type == bindparam("type"), REFERENCE.c.parameter == NAMES
)
"""Ids of the resources of a type that this member's own name: the search begins there, not at everybody's."""


@lru_cache(maxsize=64)
def _belongs(type: str) -> Any:
    """Where resources of a type stand: with the member, in the directory, or (via another resource) in either."""
    kind = RESOURCES[type].membership.kind
    if kind is MembershipKind.DIRECTORY:
        return RESOURCE.c.patient == criteria.SHARED
    if kind is MembershipKind.VIA:
        return RESOURCE.c.patient.in_(OWN_OR_SHARED)
    if kind is MembershipKind.NAMED:
        return RESOURCE.c.id.in_(_NAMED_BY_MEMBER)
    return RESOURCE.c.patient == MEMBER


@lru_cache(maxsize=2048)
def _search(
    type: str,
    shapes: tuple[criteria.Shape, ...],
    sort: tuple[SortKey, ...],
    *,
    after: bool,
    backwards: bool,
    counted: bool,
) -> Select[Any]:
    """A page; one that counts carries the total and the load watermark in every row: one question instead of three."""
    totals = [_count(type, shapes).correlate(None).scalar_subquery(), _WATERMARK.scalar_subquery()] if counted else []
    page = select(*_CURRENT, *totals).where(*_matching(type, shapes))
    return sorting.ordered(page, sort, after=after, backwards=backwards).limit(bindparam("limit"))


@lru_cache(maxsize=2048)
def _count(type: str, shapes: tuple[criteria.Shape, ...]) -> Select[Any]:
    return select(func.count()).select_from(RESOURCE).where(*_matching(type, shapes))


def _matching(type: str, shapes: tuple[criteria.Shape, ...]) -> list[Any]:
    own = [_belongs(type), RESOURCE.c.type == bindparam("type"), RESOURCE.c.deleted.is_(False)]
    return own + criteria.conditions(shapes, shared=RESOURCES[type].is_directory)


def padded(values: Sequence[Any]) -> dict[str, Any]:
    """Values as bind parameters k0, k1, … padded to a power of two by repetition, so that few statements are compiled."""
    size = 1 << max(0, len(values) - 1).bit_length()
    return {f"k{n}": values[min(n, len(values) - 1)] for n in range(size)}


def _places(rows: Sequence[Any], width: int) -> tuple[Place, Place]:
    """Where the first and the last row stand in the order: their sort values, which follow ``width`` columns, and their keys."""
    if not rows:
        return (), ()
    return (*rows[0][width:], rows[0][0]), (*rows[-1][width:], rows[-1][0])


class PatientCompartment:
    """What one member may see: their own resources and the shared directory. A foreign id and an unknown id look the same."""

    def __init__(self, records: Records, patient: str) -> None:
        self.records = records
        self.patient = patient

    async def _fetch(self, statement: Any, **values: Any) -> list[StoredResource]:
        values["patient"] = self.patient
        return list(map(_STORED, await self.records.fetch(statement, values)))

    async def watermark(self) -> int:
        """The load watermark: ``loaded_at`` of the last load, 0 before the first."""
        row = await self.records.fetch_one(_WATERMARK, {})
        watermark = int(row[0]) if row is not None else 0
        self.records.needs(watermark)
        return watermark

    async def read(self, type: str, id: str) -> StoredResource | None:
        """The current version, a tombstone (``deleted``) if it was retracted or has left this member, or None."""
        found = await self._fetch(_READ, type=type, id=id)
        if not found:
            found = await self._fetch(_TOMBSTONE, type=type, id=id)
        return found[0] if found else None

    async def read_seen(self, type: str, id: str, seen: tuple[Criterion, ...]) -> StoredResource | None:
        """The current version if it meets criteria, else None: a tombstone meets none, since it has nothing to be judged by."""
        shapes, values = criteria.shapes_and_values(seen)
        found = await self._fetch(_read_seen(type, shapes), type=type, id=id, **values)
        return found[0] if found else None

    async def vread(self, type: str, id: str, version: str) -> StoredResource | None:
        """That version, if it belonged to this member or the directory; a tombstone for every version of a resource that was
        retracted or has left this member; or None."""
        current = await self.read(type, id)
        if current is None or current.deleted or current.version == version:
            return current
        found = await self._fetch(_VREAD, type=type, id=id, version=version)
        return found[0] if found else None

    async def search(self, query: SearchQuery) -> Page:
        """One page of matches in load order."""
        if any(isinstance(criterion, NothingCriterion) for criterion in query.criteria):
            return Page((), more=False, watermark=await self.watermark())
        shapes, values = criteria.shapes_and_values(query.criteria)
        values["patient"], values["type"] = self.patient, query.type
        if query.after:
            values |= sorting.values(query.after)
        counted = query.counted and not query.after
        values["limit"] = query.count if counted else query.count + 1
        statement = _search(
            query.type, shapes, query.sort, after=bool(query.after), backwards=query.backwards, counted=counted
        )
        # A watermark read after the page would name a load that the page has not seen, and no later sync would bring it.
        watermark = 0 if counted or query.after else await self.watermark()
        rows = await self.records.fetch(statement, values)
        if counted and not rows:
            watermark = await self.watermark()
            rows = await self.records.fetch(statement, values)
        if counted:
            page = self._counted_page(rows, query, watermark)
            self.records.needs(page.watermark)
            return page
        some, more = rows[: query.count], len(rows) > query.count
        if query.backwards:
            some = some[::-1]
        return Page([_STORED(row[:_WIDTH]) for row in some], more, -1, watermark, *_places(some, _WIDTH))

    @staticmethod
    def _counted_page(rows: Sequence[Any], query: SearchQuery, watermark: int) -> Page:
        if not rows:
            return Page((), more=False, watermark=watermark)
        total, watermark = rows[0][_WIDTH : _WIDTH + 2]
        stored = [_STORED(row[:_WIDTH]) for row in rows]
        return Page(stored, total > len(rows), total, watermark or 0, *_places(rows, _WIDTH + 2))

    async def total(self, query: SearchQuery) -> int:
        """How many resources match, over all pages."""
        if any(isinstance(criterion, NothingCriterion) for criterion in query.criteria):
            return 0
        shapes, values = criteria.shapes_and_values(query.criteria)
        values |= {"patient": self.patient, "type": query.type}
        row = await self.records.fetch_one(_count(query.type, shapes), values)
        return int(row[0]) if row is not None else 0

    async def in_view(self, rows: list[StoredResource], view: View) -> list[StoredResource]:
        """The rows that may be seen, in the same order; asks the database only about types seen in part."""
        hidden: set[int] = set()
        for type in {row.type for row in rows}:
            asked = view(type)
            if asked == ():
                continue
            keys = [row.key for row in rows if row.type == type]
            hidden.update(keys)
            if asked is not None:
                shapes, values = criteria.shapes_and_values(asked)
                named = padded(keys)
                values |= {"patient": self.patient, **named}
                kept = await self.records.fetch(_seen(type, shapes, len(named)), values)
                hidden.difference_update(row[0] for row in kept)
        return [row for row in rows if row.key not in hidden] if hidden else rows
