"""Everything of one member, type by type, and what a page of it refers to: for ``$everything`` and exports.

https://hl7.org/fhir/R4/patient-operation-everything.html - a page costs the same wherever it stands.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, false, literal, literal_column, or_, select, tuple_

from server.storage.criteria import MEMBER, RESOURCE, visible
from server.storage.patient_compartment import PatientCompartment, StoredResource, View, in_sight
from server.storage.replicas import Records
from server.storage.schema import DIRECTORY, NAMED

_COLUMNS = [RESOURCE.c[name] for name in StoredResource._fields]
_AT_ONCE = 200
Place = tuple[str, int]
"""Where a resource stands: its type and key."""


class CompartmentContent:
    """The member's own current resources in the order of type and load, and the shared ones they name."""

    def __init__(self, records: Records, patient: str) -> None:
        self._records = records
        self._compartment = PatientCompartment(records, patient)
        self.patient = patient

    async def page(
        self, types: Sequence[str], view: View, *, since: int, until: int, after: Place, count: int
    ) -> tuple[list[StoredResource], Place | None]:
        """Resources of the types loaded after ``since`` and not after ``until``, behind a place (('', 0): from the start), and the
        place behind which more follow (None: no more). What is out of view is as if it were not there."""
        found, _, last = await self.scan(types, view, since=since, until=until, after=after, count=count)
        return found, last

    async def scan(
        self, types: Sequence[str], view: View, *, since: int, until: int, after: Place, count: int
    ) -> tuple[list[StoredResource], list[StoredResource], Place | None]:
        """The same, and between the two what stands out of view before the last resource of the page, or before the end."""
        values: dict[str, Any] = {"patient": self.patient, "since": since, "until": until, "limit": count + 1}
        values |= {f"t{n}": type for n, type in enumerate(types)}
        found: list[StoredResource] = []
        hidden: list[StoredResource] = []
        behind: list[StoredResource] = []
        place: Place | None = after
        while place is not None:
            rows = await self._rows(len(types), values | {"after_type": place[0], "after_key": place[1]})
            some = [StoredResource._make(row) for row in rows[:count]]
            place = (some[-1].type, some[-1].key) if len(rows) > count else None
            if all(view(type) == () for type in types):
                return some, [], place
            seen = {one.key for one in await self._compartment.in_view(some, view)}
            for one in some:
                if one.key not in seen:
                    (hidden if len(found) < count else behind).append(one)
                elif len(found) < count:
                    found.append(one)
                else:
                    return found, hidden, (found[-1].type, found[-1].key)
        return found, hidden + behind, None

    async def stored(
        self, types: Sequence[str], *, since: int, until: int, after: Place, count: int
    ) -> tuple[list[StoredResource], Place | None]:
        """The same before any view, so that it costs no more than a page of rows: for who looks at each page with ``in_view``."""
        values: dict[str, Any] = {"patient": self.patient, "since": since, "until": until, "limit": count + 1}
        values |= {"after_type": after[0], "after_key": after[1]} | {f"t{n}": type for n, type in enumerate(types)}
        rows = await self._rows(len(types), values)
        found = [StoredResource._make(row) for row in rows[:count]]
        return found, (found[-1].type, found[-1].key) if len(rows) > count else None

    async def _rows(self, types: int, values: dict[str, Any]) -> Sequence[Any]:
        """A page's rows: of the few that a sync asks for by when they were loaded, of many by where they stand."""
        is_little = bool(values["since"]) and await self._records.fetch_one(_MUCH, values) is None
        return await self._records.fetch(_page(types, by_load=is_little), values)

    async def named(self, references: Collection[tuple[str, str]], view: View) -> list[StoredResource]:
        """Of (type, id) references those to current resources of the directory, or that belong to whoever names them."""
        wanted = sorted(references)
        found: list[StoredResource] = []
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            some += some[-1:] * _padding(len(some))
            values: dict[str, Any] = {"patient": self.patient}
            for number, (type, id) in enumerate(some):
                values |= {f"t{number}": type, f"i{number}": id}
            rows = await self._records.fetch(_named(len(some)), values)
            found += await self._compartment.in_view([StoredResource._make(row) for row in rows], view)
        return found

    async def is_shared_loaded(self, *, since: int, until: int) -> bool:
        """Whether anything that is shared between members, anybody's, was loaded after ``since`` and not after ``until``."""
        return await self._records.fetch_one(_SHARED_LOADED, {"since": since, "until": until}) is not None

    async def loaded_since(self, resources: Sequence[StoredResource], *, since: int) -> list[StoredResource]:
        """Those of the resources whose current version was loaded after ``since``, in the same order."""
        keys = [one.key for one in resources]
        recent: set[int] = set()
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            some += some[-1:] * _padding(len(some))
            values: dict[str, Any] = {f"k{number}": key for number, key in enumerate(some)}
            values |= {"patient": self.patient, "since": since}
            recent.update(row[0] for row in await self._records.fetch(_recent(len(some)), values))
        return [one for one in resources if one.key in recent]


def _padding(size: int) -> int:
    """How many values more make it a power of two: few sizes, few statements."""
    return (1 << (size - 1).bit_length()) - size


_SHARED_LOADED = (
    select(RESOURCE.c.key)
    .where(
        RESOURCE.c.patient.in_((literal(DIRECTORY), literal(NAMED))),
        RESOURCE.c.loaded_at > bindparam("since"),
        RESOURCE.c.loaded_at <= bindparam("until"),
    )
    .limit(1)
)


@lru_cache(maxsize=16)
def _recent(size: int) -> Select[Any]:
    return select(RESOURCE.c.key).where(
        RESOURCE.c.key.in_([bindparam(f"k{number}") for number in range(size)]),
        in_sight(RESOURCE),
        RESOURCE.c.loaded_at > bindparam("since"),
    )


_MUCH = (
    select(RESOURCE.c.key)
    .where(
        RESOURCE.c.patient == MEMBER,
        RESOURCE.c.loaded_at > bindparam("since"),
        RESOURCE.c.loaded_at <= bindparam("until"),
    )
    .offset(2_000)
    .limit(1)
)
"""Whether so much of the member was loaded since that to sort it for every page costs more than to pass over what was not."""


@lru_cache(maxsize=64)
def _page(types: int, *, by_load: bool = False) -> Select[Any]:
    """In the order of the index by member, from the place on: nothing is sorted, and nothing before the place is looked at.

    The types are no column of the index to the planner (a text with nothing added), or it would look each of them up and sort.
    ``by_load``: what was loaded since is looked up instead, and sorted, which is cheap if it is little.
    """
    type = RESOURCE.c.type.concat(literal_column("''"))
    key = RESOURCE.c.key + literal_column("0") if by_load else RESOURCE.c.key
    place = tuple_(type if by_load else RESOURCE.c.type, key)
    of_types = type.in_([bindparam(f"t{number}") for number in range(types)])
    return (
        select(*_COLUMNS)
        .where(
            RESOURCE.c.patient == MEMBER,
            place > tuple_(bindparam("after_type"), bindparam("after_key")),
            of_types,
            RESOURCE.c.deleted.is_(False),
            RESOURCE.c.loaded_at > bindparam("since"),
            RESOURCE.c.loaded_at <= bindparam("until"),
        )
        .order_by(*place.clauses)
        .limit(bindparam("limit"))
    )


def _is(number: int) -> Any:
    return and_(RESOURCE.c.type == bindparam(f"t{number}"), RESOURCE.c.id == bindparam(f"i{number}"))


@lru_cache(maxsize=16)
def _named(size: int) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .where(
            or_(false(), *[_is(number) for number in range(size)]),
            RESOURCE.c.patient != MEMBER,
            visible(RESOURCE),
            RESOURCE.c.deleted.is_(False),
        )
        .order_by(RESOURCE.c.type, RESOURCE.c.key)
    )
