"""Whether one version of a resource is within a token's scope, judged by that version's own body.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html - current versions are judged by the index, in SQL;
superseded ones have no index entries, so that they are made again here.
"""

from collections.abc import Callable, Sequence

import orjson

from server.fhir.indexing import index_entries
from server.specification.registry import RESOURCES
from server.storage.patient_compartment import PatientCompartment, StoredResource
from server.storage.query import (
    AnyOfCriterion,
    Criterion,
    IndexEntries,
    NamedInSightCriterion,
    Reference,
    ReferredInSightCriterion,
    Sight,
    TokenCriterion,
)


async def is_in_scope(
    compartment: PatientCompartment, version: StoredResource, criteria: Sequence[Criterion], base: str
) -> bool:
    """Whether a version meets all criteria. ``base`` is this server's FHIR base. A body that cannot be judged meets none."""
    try:
        entries = index_entries(RESOURCES[version.type], orjson.loads(version.body), base)
    except ValueError:
        return False
    for criterion in criteria:
        if isinstance(criterion, TokenCriterion | AnyOfCriterion):
            met = is_met(criterion, entries)
        elif isinstance(criterion, ReferredInSightCriterion):
            named = [entry for entry in entries.references if entry.parameter == criterion.parameter]
            met = all([await _is_seen(compartment, entry, criterion.sight) for entry in named])
        else:  # who names a resource is not said by its versions: by whom it is named now decides
            named_now = isinstance(criterion, NamedInSightCriterion)
            met = named_now and await compartment.read_seen(version.type, version.id, (criterion,)) is not None
        if not met:
            return False
    return True


def is_met(criterion: TokenCriterion | AnyOfCriterion, entries: IndexEntries) -> bool:
    """Whether a resource with these index entries meets a criterion: what ``storage.criteria`` says in SQL."""
    if isinstance(criterion, AnyOfCriterion):
        return any(all(is_met(one, entries) for one in conditions) for conditions in criterion.alternatives)
    found = any(
        token.parameter == criterion.parameter and one.system in (None, token.system) and one.code in (None, token.code)
        for token in entries.tokens
        for one in criterion.alternatives
    )
    return found != criterion.negated


async def _is_seen(compartment: PatientCompartment, target: Reference, sight: Sight) -> bool:
    if target.type in sight.whole:
        return True
    for types, criteria in sight.partly:
        if target.type in types and await compartment.read_seen(target.type, target.id, criteria) is not None:
            return True
    return False


class SupersededVersions:
    """What superseded versions refer to and whether they are within a token's scope, each by its own body.

    ``labels``: what the current version must meet besides, or no version of it is seen (sensitivity policies).
    """

    def __init__(
        self,
        compartment: PatientCompartment,
        base: str,
        labels: Callable[[str], Sequence[Criterion]] = lambda _type: (),
    ) -> None:
        self._compartment = compartment
        self._base = base
        self._labels = labels

    def references(self, version: StoredResource) -> frozenset[Reference]:
        """What the version refers to, by search parameter; of a body that cannot be read nothing."""
        try:
            return index_entries(RESOURCES[version.type], orjson.loads(version.body), self._base).references
        except ValueError:
            return frozenset()

    async def is_seen(self, version: StoredResource, asked: Sequence[Criterion]) -> bool:
        """Whether the version meets all criteria, and the current one what is asked of it."""
        if not await is_in_scope(self._compartment, version, asked, self._base):
            return False
        labels = tuple(self._labels(version.type))
        return not labels or await self._compartment.read_seen(version.type, version.id, labels) is not None
