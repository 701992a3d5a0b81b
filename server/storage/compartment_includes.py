"""What a page of matches brings along: what the matches refer to, and what refers to them, for one member.

https://hl7.org/fhir/R4/search.html#include and #revinclude - each resource once, none that is a match, nothing out of view.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from sqlalchemy import Select, bindparam, false, or_, select

from server.storage.criteria import REFERENCE, RESOURCE, visible
from server.storage.patient_compartment import (
    OWN_OR_SHARED,
    PatientCompartment,
    StoredResource,
    View,
    in_sight,
    padded,
)
from server.storage.query import Criterion, Include, Reference, ReverseInclude, SearchQuery

MAXIMUM_ITERATIONS = 5
"""How deep ``:iterate`` follows: what is found in one round is where the next one starts."""
_AT_ONCE = 256
"""Resources that one question asks about: SQLite's limit on the depth of an expression is 1000."""
_COLUMNS = [RESOURCE.c[name] for name in StoredResource._fields]
_Each = TypeVar("_Each")


class PastVersions(Protocol):
    """Judges superseded versions by their bodies: no index has them."""

    def references(self, version: StoredResource) -> Iterable[Reference]:
        """What the version refers to, by search parameter."""

    async def is_seen(self, version: StoredResource, asked: Sequence[Criterion]) -> bool:
        """Whether the version itself meets all criteria."""


@lru_cache(maxsize=512)
def _included(include: Include, size: int) -> Select[Any]:
    """Current resources that the references of ``size`` resources name by the include's parameters, each with the version that
    is named ('' : whichever is current)."""
    named = (
        select(REFERENCE.c.target_type, REFERENCE.c.target_id, REFERENCE.c.target_version)
        .where(
            REFERENCE.c.resource.in_([bindparam(f"k{n}") for n in range(size)]),
            in_sight(REFERENCE),
            REFERENCE.c.parameter.in_([bindparam(f"p{n}", value) for n, value in enumerate(include.parameters)]),
            *([REFERENCE.c.target_type == bindparam("target", include.target_type)] if include.target_type else []),
        )
        .distinct()
        .subquery()
    )
    return (
        select(*_COLUMNS, named.c.target_version)
        .join(named, (RESOURCE.c.type == named.c.target_type) & (RESOURCE.c.id == named.c.target_id))
        .where(visible(RESOURCE), RESOURCE.c.deleted.is_(False))
        .order_by(RESOURCE.c.key)
    )


@lru_cache(maxsize=64)
def _reverse_included(size: int) -> Select[Any]:
    """Current resources of a type whose reference parameter names one of ``size`` resources."""
    pointing = select(REFERENCE.c.resource).where(
        REFERENCE.c.patient.in_(OWN_OR_SHARED),
        REFERENCE.c.target_type == bindparam("target"),
        REFERENCE.c.parameter == bindparam("parameter"),
        or_(false(), *[REFERENCE.c.target_id == bindparam(f"k{n}") for n in range(size)]),
    )
    return (
        select(*_COLUMNS)
        .where(
            RESOURCE.c.key.in_(pointing),
            RESOURCE.c.type == bindparam("type"),
            RESOURCE.c.patient.in_(OWN_OR_SHARED),
            RESOURCE.c.deleted.is_(False),
        )
        .order_by(RESOURCE.c.key)
    )


class CompartmentIncludes:
    """Follows references from and to a page of one member's matches, through what ``view`` shows."""

    def __init__(self, compartment: PatientCompartment, view: View, past: PastVersions) -> None:
        self._compartment = compartment
        self._view = view
        self._past = past

    async def of(self, query: SearchQuery, matches: Sequence[StoredResource]) -> list[StoredResource]:
        """What ``_include`` and ``_revinclude`` add to a page: each version once, and none that is a match.

        What a round adds is looked at by the ones that iterate in the next, so that the order of the parameters does not matter.
        """
        found: dict[int, StoredResource] = {}
        seen = {match.key for match in matches}
        fresh = list(matches)
        for iteration in range(MAXIMUM_ITERATIONS):
            if not fresh:
                break
            added: list[StoredResource] = []
            for reverse in query.reverse_includes:
                if (reverse.iterate or iteration == 0) and self._view(reverse.source_type) is not None:
                    added += await self._unseen(await self._pointing_at(reverse, fresh), seen)
            for include in query.includes:
                if include.iterate or iteration == 0:
                    added += await self._unseen(await self._named_by(include, fresh), seen)
            found.update((one.key, one) for one in added)
            fresh = added
        return list(found.values())

    async def _named_by(self, include: Include, fresh: Sequence[StoredResource]) -> list[StoredResource]:
        """What the sources among these name, in the version they name: claims are about the coverage as it was."""
        sources = [source for source in fresh if source.type == include.source_type]
        found: dict[int, StoredResource] = {}
        for some in _parts([source for source in sources if not _is_past(source)]):
            values = padded([source.key for source in some])
            rows = await self._compartment.records.fetch(
                _included(include, len(values)), values | {"patient": self._compartment.patient}
            )
            for *columns, version in rows:
                named = await self._in_version(StoredResource._make(columns), version)
                if named is not None:
                    found[named.key] = named
        for source in filter(_is_past, sources):
            for reference in self._past.references(source):
                if reference.parameter in include.parameters and include.target_type in ("", reference.type):
                    current = await self._compartment.read(reference.type, reference.id)
                    if current is None or current.deleted:
                        continue
                    named = await self._in_version(current, reference.version)
                    if named is not None:
                        found[named.key] = named
        return list(found.values())

    async def _in_version(self, current: StoredResource, version: str) -> StoredResource | None:
        """The version that a reference names, or the current one where it names none or one that is not kept; None: out of view."""
        asked = self._view(current.type)
        if version in ("", current.version) or asked is None:
            return current
        named = await self._compartment.vread(current.type, current.id, version)
        if named is None or named.deleted:
            return current
        if asked and not await self._past.is_seen(named, asked):
            return None
        return named._replace(key=-named.key)  # keys of the two tables are apart

    async def _pointing_at(self, reverse: ReverseInclude, fresh: Sequence[StoredResource]) -> list[StoredResource]:
        found: list[StoredResource] = []
        for target in reverse.target_types:
            ids = list(dict.fromkeys(one.id for one in fresh if one.type == target))
            for some in _parts(ids):
                values: dict[str, Any] = padded(some)
                size = len(values)
                values |= {"type": reverse.source_type, "target": target, "parameter": reverse.parameter}
                values["patient"] = self._compartment.patient
                rows = await self._compartment.records.fetch(_reverse_included(size), values)
                found += map(StoredResource._make, rows)
        return found

    async def _unseen(self, rows: Sequence[StoredResource], seen: set[int]) -> list[StoredResource]:
        """The rows that were not seen before and may be seen, each once."""
        added: list[StoredResource] = []
        for some in _parts(list({row.key: row for row in rows if row.key not in seen}.values())):
            current = await self._compartment.in_view([row for row in some if not _is_past(row)], self._view)
            kept = {row.key for row in current}
            added += [row for row in some if _is_past(row) or row.key in kept]
        seen.update(row.key for row in added)
        return added


def _is_past(version: StoredResource) -> bool:
    return version.key < 0


def _parts(rows: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
