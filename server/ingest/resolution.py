"""Drafts get their references and their members: what has arrived is referred to by id, what has not is awaited.

https://hl7.org/fhir/R4/http.html#transaction (conditional references) and https://hl7.org/fhir/R4/references.html#logical
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from server.fhir.indexing import IDENTIFIER, index_entries
from server.ingest.enrolment import COVERAGE, payors
from server.ingest.membership import NoMemberError, member, named, naming_references
from server.ingest.records import Draft
from server.ingest.references import Targets, make_literal, make_logical
from server.ingest.report import LoadReport
from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from server.storage import resource_lookup as lookup
from server.storage.database import Transaction
from server.storage.resource_lookup import BY_ID, Awaited, Identity
from server.storage.schema import DIRECTORY, UNASSIGNED

Open = tuple[dict[str, Any], Awaited]
"""A reference that is not resolved yet, and what it asks for."""


def identifiers_of(draft: Draft) -> Iterator[tuple[str, str]]:
    """The identifiers (system, value) of a draft."""
    return ((token.system, token.code) for token in draft.entries.tokens if token.parameter == IDENTIFIER)


class Resolution:
    """Resolves drafts against the store and against each other; ``gone`` are the resources this batch retracts."""

    def __init__(
        self,
        transaction: Transaction,
        base: str,
        report: LoadReport,
        drafts: Sequence[Draft],
        gone: Collection[Identity] = (),
    ) -> None:
        self._transaction = transaction
        self._base = base
        self._report = report
        self._drafts = list(drafts)
        self._replaced = {draft.identity for draft in drafts if draft.record is not None} | set(gone)
        self._gone = gone
        self._targets = Targets()
        self.homeless: list[tuple[Draft, NoMemberError]] = []

    def run(self) -> list[Draft]:
        """The drafts, with patient, references, awaited targets and entries; those without a member are in ``homeless``."""
        asking = {draft: nodes for draft in self._drafts if (nodes := _open_naming(draft))}
        self._decide(draft for draft in self._drafts if draft not in asking and not _is_via(draft))
        self._look_up((awaited for nodes in asking.values() for _, awaited in nodes), None)
        for draft, nodes in asking.items():
            self._close(draft, nodes, None)
        self._decide(draft for draft in asking if not _is_via(draft))
        arrived = self._owners()
        self._decide((draft for draft in self._drafts if _is_via(draft)), arrived)
        self._look_up((awaited for draft in self._drafts for _, awaited in draft.open), self._members())
        for draft in self._drafts:
            self._close(draft, draft.open, (DIRECTORY, draft.patient))
            self._await(draft, arrived)
            if draft.changed:
                draft.entries = index_entries(draft.definition, draft.resource, self._base)
        return self._drafts

    def _decide(self, drafts: Iterable[Draft], owners: Mapping[Identity, str] | None = None) -> None:
        """Give drafts their members, and offer them as targets to the others."""
        for draft in list(drafts):
            waits = bool(_open_naming(draft))
            try:
                draft.patient = member(
                    draft.definition, draft.id, draft.resource, self._base, owners or {}, waits=waits
                )
            except NoMemberError as error:
                self.homeless.append((draft, error))
                self._drafts.remove(draft)
                continue
            if draft.record is not None:
                for system, value in identifiers_of(draft):
                    self._targets.add(draft.definition.type, system, value, draft.id, draft.patient)

    def _members(self) -> set[str]:
        return {draft.patient for draft in self._drafts if draft.open and draft.patient not in (DIRECTORY, UNASSIGNED)}

    def _look_up(self, wanted: Iterable[Awaited], patients: Collection[str] | None) -> None:
        """Offer the stored resources that have one of the wanted identifiers."""
        values: dict[str, set[str]] = defaultdict(set)
        for awaited in wanted:
            values[awaited.type].add(awaited.value)
        for type_name, of_type in values.items():
            row = RESOURCES.get(type_name)
            if row is None:
                continue
            if row.is_directory:
                found = lookup.identified_in_directory(self._transaction, type_name, of_type)
            elif patients is None or patients:
                found = lookup.identified_of_members(self._transaction, type_name, of_type, patients)
            else:
                continue
            for system, value, target, patient in found:
                if (type_name, target) not in self._replaced:
                    self._targets.add(type_name, system, value, target, patient)

    def _close(self, draft: Draft, nodes: Sequence[Open], patients: Collection[str] | None) -> None:
        """Turn those of the open references that have one target into literal ones."""
        closed = set()
        for node, awaited in nodes:
            target = self._targets.find(awaited, patients)
            if target is not None:
                make_literal(node, f"{awaited.type}/{target}")
                closed.add(id(node))
                draft.changed = True
                self._report.references_resolved += 1
        draft.open = [(node, awaited) for node, awaited in draft.open if id(node) not in closed]

    def _owners(self) -> dict[Identity, str]:
        """Whose the resources are that drafts are about (by way of which they find their member) or that pay for them."""
        about = {identity for draft in self._drafts for identity in self._related(draft)}
        stored = lookup.current_versions(self._transaction, about)
        owners = {identity: version.patient for identity, version in stored.items() if not version.deleted}
        owners |= {draft.identity: draft.patient for draft in self._drafts if not _is_via(draft)}
        return {identity: patient for identity, patient in owners.items() if identity not in self._gone}

    def _related(self, draft: Draft) -> set[Identity]:
        """The resources whose arrival matters to a draft beyond its references."""
        if draft.definition.type == COVERAGE:
            return payors(draft.resource, self._base)
        if not _is_via(draft):
            return set()
        found = (named(reference, self._base) for reference in naming_references(draft.definition, draft.resource))
        return {identity for identity in found if identity is not None}

    def _await(self, draft: Draft, arrived: Mapping[Identity, str]) -> None:
        for node, awaited in draft.open:
            if "reference" in node:
                make_logical(node, awaited)
                draft.changed = True
                self._report.references_awaited += 1
        missing = (identity for identity in self._related(draft) if arrived.get(identity, UNASSIGNED) == UNASSIGNED)
        draft.awaited = {awaited for _, awaited in draft.open} | {
            Awaited(type_name, BY_ID, id) for type_name, id in missing
        }


def _is_via(draft: Draft) -> bool:
    return draft.definition.membership.kind is MembershipKind.VIA


def _open_naming(draft: Draft) -> list[Open]:
    """The open references that name the draft's member."""
    if not draft.open:
        return []
    naming = {id(node) for node in naming_references(draft.definition, draft.resource)}
    return [(node, awaited) for node, awaited in draft.open if id(node) in naming]
