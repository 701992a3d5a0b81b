"""What sensitivity policies withhold from one answer, counted by policy for the answer's ledger row; and versions that are in sight.

https://hl7.org/fhir/R4/security-labels.html - nothing here is asked unless a policy applies to who asks, or scopes narrow what they see.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson

from server.authorization.permissions import Permissions
from server.fhir.scope_check import is_in_scope
from server.storage.compartment_history import CompartmentHistory
from server.storage.patient_compartment import PatientCompartment, StoredResource

Withheld = Mapping[str, int]
"""How many resources each policy, by its slug, withheld from an answer; a resource that two policies withhold counts for both."""


async def withheld(permissions: Permissions, count: Callable[[Permissions], Awaitable[int]]) -> Withheld:
    """How many fewer there are under each policy alone than under none; policies that withhold nothing are left out."""
    whole = await count(permissions.plain) if permissions.plain is not None else 0
    if not whole:
        return {}
    found = {slug: whole - await count(alone) for slug, alone in permissions.under}
    return {slug: number for slug, number in found.items() if number > 0}


async def withheld_of(
    compartment: PatientCompartment, permissions: Permissions, hidden: Sequence[StoredResource]
) -> Withheld:
    """Of current resources that an answer leaves out, those that a policy withholds and the scopes alone would not."""
    if permissions.plain is None or not hidden:
        return {}
    permitted = await compartment.in_view(list(hidden), permissions.plain.view)

    async def seen(under: Permissions) -> int:
        return len(await compartment.in_view(permitted, under.view))

    return await withheld(permissions, seen)


def together(*counts: Withheld) -> Withheld:
    """The sums, by policy."""
    found: dict[str, int] = {}
    for each in counts:
        for slug, number in each.items():
            found[slug] = found.get(slug, 0) + number
    return found


def detail(counts: Withheld) -> str:
    """``detail`` of the ledger row: compact JSON, '' when nothing was withheld."""
    return orjson.dumps({"withheld": counts}, option=orjson.OPT_SORT_KEYS).decode() if counts else ""


class VersionSight:
    """Whether versions of one member's resources are in sight. ``base`` is this server's FHIR base."""

    def __init__(self, compartment: PatientCompartment, history: CompartmentHistory, base: str) -> None:
        self._compartment = compartment
        self._history = history
        self._base = base

    async def is_seen(self, one: StoredResource, permissions: Permissions, letter: str) -> bool:
        """Whether a version is within the scopes, by its own body, and not withheld, by its own labels and those of the current one.

        A tombstone is judged by what was there before it.
        """
        criteria = permissions.criteria(one.type, letter)
        if not criteria:
            return True
        judged = await self._history.last_body(one.type, one.id) if one.deleted else one
        if judged is None or not await is_in_scope(self._compartment, judged, criteria, self._base):
            return False
        labels = permissions.withholding(one.type)
        if not labels or one.deleted:
            return True
        return await self._compartment.read_seen(one.type, one.id, labels) is not None

    async def is_told(self, one: StoredResource, permissions: Permissions) -> bool:
        """The same of a version asked for by its address: a tombstone says nothing to finer-grained scopes."""
        scopes_alone = permissions.plain or permissions
        if one.deleted and scopes_alone.criteria(one.type, "r"):
            return False
        return await self.is_seen(one, permissions, "r")

    async def withheld(self, versions: Sequence[StoredResource], permissions: Permissions, letter: str) -> Withheld:
        """Of versions that an answer leaves out, those that a policy withholds and the scopes alone would not; no tombstones."""
        counts: Withheld = {}
        for one in versions if permissions.plain is not None else ():
            if not one.deleted:

                async def seen(under: Permissions, one: StoredResource = one) -> int:
                    return int(await self.is_seen(one, under, letter))

                counts = together(counts, await withheld(permissions, seen))
        return counts
