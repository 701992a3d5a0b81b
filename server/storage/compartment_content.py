"""Everything of one member, type by type, and what a page of it refers to: for ``$everything`` and exports.

https://hl7.org/fhir/R4/patient-operation-everything.html - a page costs the same wherever it stands.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, or_, select

from server.storage.criteria import MEMBER, RESOURCE, visible
from server.storage.database import Database
from server.storage.patient_compartment import PatientCompartment, StoredResource, View

_COLUMNS = [RESOURCE.c[name] for name in StoredResource._fields]
_AT_ONCE = 200
Place = tuple[str, int]
"""Where a resource stands: its type and key."""


class CompartmentContent:
    """The member's own current resources in the order of type and load, and the shared ones they name."""

    def __init__(self, database: Database, patient: str) -> None:
        self._database = database
        self._compartment = PatientCompartment(database, patient)
        self.patient = patient

    async def page(
        self, types: Sequence[str], view: View, *, since: int, until: int, after: Place, count: int
    ) -> tuple[list[StoredResource], Place | None]:
        """Resources of the types loaded after ``since`` and not after ``until``, behind a place (('', 0): from the start), and the
        place behind which more follow (None: no more). What is out of view is left out, so that a page may be short."""
        values: dict[str, Any] = {"patient": self.patient, "since": since, "until": until, "limit": count + 1}
        values |= {"after_type": after[0], "after_key": after[1]} | {f"t{n}": type for n, type in enumerate(types)}
        rows = await self._database.fetch(_page(len(types)), values)
        found = [StoredResource._make(row) for row in rows[:count]]
        last = (found[-1].type, found[-1].key) if len(rows) > count else None
        return await self._compartment.in_view(found, view), last

    async def named(self, references: Collection[tuple[str, str]], view: View) -> list[StoredResource]:
        """Of (type, id) references those to current resources of the directory, or that belong to whoever names them."""
        wanted = sorted(references)
        found: list[StoredResource] = []
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))  # few sizes, few statements
            values: dict[str, Any] = {"patient": self.patient}
            for number, (type, id) in enumerate(some):
                values |= {f"t{number}": type, f"i{number}": id}
            rows = await self._database.fetch(_named(len(some)), values)
            found += await self._compartment.in_view([StoredResource._make(row) for row in rows], view)
        return found


@lru_cache(maxsize=64)
def _page(types: int) -> Select[Any]:
    behind = or_(
        RESOURCE.c.type > bindparam("after_type"),
        and_(RESOURCE.c.type == bindparam("after_type"), RESOURCE.c.key > bindparam("after_key")),
    )
    return (
        select(*_COLUMNS)
        .where(
            RESOURCE.c.patient == MEMBER,
            RESOURCE.c.type.in_([bindparam(f"t{number}") for number in range(types)]),
            RESOURCE.c.deleted.is_(False),
            RESOURCE.c.loaded_at > bindparam("since"),
            RESOURCE.c.loaded_at <= bindparam("until"),
            behind,
        )
        .order_by(RESOURCE.c.type, RESOURCE.c.key)
        .limit(bindparam("limit"))
    )


def _is(number: int) -> Any:
    return and_(RESOURCE.c.type == bindparam(f"t{number}"), RESOURCE.c.id == bindparam(f"i{number}"))


@lru_cache(maxsize=16)
def _named(size: int) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .where(
            or_(*[_is(number) for number in range(size)]),
            RESOURCE.c.patient != MEMBER,
            visible(RESOURCE),
            RESOURCE.c.deleted.is_(False),
        )
        .order_by(RESOURCE.c.type, RESOURCE.c.key)
    )
