"""Which member a record belongs to, by its registry row.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html - a reference names the member, or the resources it is about do.
"""

from collections.abc import Mapping
from typing import Any

from server.fhir.fhir_path import compile_expression
from server.fhir.indexing import literal_reference
from server.specification.definition import MembershipKind, ResourceDefinition
from server.specification.registry import MEMBER_TYPE
from server.storage.resource_lookup import Identity
from server.storage.schema import DIRECTORY, NAMED, UNASSIGNED

_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


class NoMemberError(ValueError):
    """A record that belongs to nobody, or to two; ``path`` is the element, the message the reason, ``fix`` the way out."""

    def __init__(self, path: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.path = path
        self.fix = fix


def naming_path(definition: ResourceDefinition) -> str:
    """The element that names the member, e.g. ``Coverage.beneficiary``; '' where none does."""
    path = definition.membership.path
    return f"{definition.type}.{path}" if path else ""


def naming_references(definition: ResourceDefinition, resource: Mapping[str, Any]) -> list[Any]:
    """The references that name the member."""
    path = naming_path(definition)
    return compile_expression(path)(resource) if path else []


def named(reference: Any, base: str) -> Identity | None:
    """The resource that a literal reference of this server names, or None."""
    text = reference.get("reference") if isinstance(reference, Mapping) else None
    literal = literal_reference(text) if isinstance(text, str) else None
    return (literal.type, literal.id) if literal is not None and literal.base in ("", base) else None


def member(
    definition: ResourceDefinition,
    id: str,
    resource: Mapping[str, Any],
    base: str,
    known: Mapping[Identity, str],
    *,
    waits: bool,
) -> str:
    """The record's member: a Patient id, ``DIRECTORY``, ``NAMED`` or ``UNASSIGNED``.

    ``known`` tells whose each resource is that has arrived; ``waits``: a reference that names the member waits for its target.
    Raises NoMemberError.
    """
    kind = definition.membership.kind
    if kind is MembershipKind.SELF:
        return id
    if kind is MembershipKind.DIRECTORY:
        return DIRECTORY
    if kind is MembershipKind.NAMED:
        return NAMED
    path, found = naming_path(definition), naming_references(definition, resource)
    identities = [named(reference, base) for reference in found]
    for reference, identity in zip(found, identities, strict=True):
        if identity is not None and reference.get("type", identity[0]) not in (identity[0], _STRUCTURE + identity[0]):
            raise NoMemberError(path, "has a type that contradicts its reference", "Make them agree.")
    if kind is MembershipKind.PATH:
        members = {identity[1] for identity in identities if identity is not None and identity[0] == MEMBER_TYPE}
        if len(members) > 1:
            raise NoMemberError(path, "names more than one member", f"Refer to one {MEMBER_TYPE}.")
        if not members and not waits:
            reason = f"does not refer to a {MEMBER_TYPE} of this server"
            raise NoMemberError(path, reason, f"Refer to the member as {MEMBER_TYPE}/<id>.")
        return members.pop() if members else UNASSIGNED
    return _shared_by(path, [known.get(identity, UNASSIGNED) if identity else UNASSIGNED for identity in identities])


def _shared_by(path: str, owners: list[str]) -> str:
    """The one member that resources belong to; the directory only if all of them are known to be in it."""
    members = set(owners) - {DIRECTORY, UNASSIGNED, NAMED}
    if len(members) > 1:
        raise NoMemberError(path, "refers to the records of two members", "Send one record for each member.")
    if members:
        return members.pop()
    return DIRECTORY if owners and set(owners) == {DIRECTORY} else UNASSIGNED
