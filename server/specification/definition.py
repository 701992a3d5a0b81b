"""The shapes of the registry's rows; a row checks itself when it is made.

https://hl7.org/fhir/R4/searchparameter.html and https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from dataclasses import dataclass
from enum import StrEnum

READ, VREAD, SEARCH_TYPE = "read", "vread", "search-type"
HISTORY_INSTANCE, HISTORY_TYPE, HISTORY_SYSTEM = "history-instance", "history-type", "history-system"
"""https://hl7.org/fhir/R4/valueset-type-restful-interaction.html and #system-restful-interaction"""
EXPORT_STATUS, EXPORT_FILE, EXPORT_CANCEL = "export-status", "export-file", "export-cancel"
"""What follows the kick-off of an export: https://hl7.org/fhir/uv/bulkdata/STU2/export.html"""

DATE_COMPARATORS = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
"""Prefixes of https://hl7.org/fhir/R4/search.html#prefix."""

CORE = "http://hl7.org/fhir/SearchParameter/"
ANY_TYPE = "Resource"
"""A target type of a reference that may be to any type."""


class SearchType(StrEnum):
    """The search parameter types served: https://hl7.org/fhir/R4/search.html#ptypes"""

    TOKEN = "token"  # noqa: S105 - a FHIR word
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    ``expression`` is the guide's literal FHIRPath (of a core parameter shared by many types: this type's branches);
    ``canonical`` names the published SearchParameter; ``also`` names those of other guides with the same meaning.
    ``instant``: the element is of type instant, a point in time, where a dateTime of the same text has a width.
    ``is_canonical``: the element names a definition by its canonical URL, which is nothing of this server's to include.
    """

    code: str
    type: SearchType
    expression: str
    canonical: str
    targets: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    instant: bool = False
    is_canonical: bool = False

    def __post_init__(self) -> None:
        if (self.type is SearchType.REFERENCE) != bool(self.targets):
            raise ValueError(
                f"search parameter {self.code}: a reference parameter, and only that, names its target types"
            )


class MembershipKind(StrEnum):
    """How a resource comes to belong to a member."""

    SELF = "self"
    PATH = "path"
    DIRECTORY = "directory"
    VIA = "via"
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class Membership:
    """Which member a resource belongs to.

    SELF: it is the member (Patient). PATH: the reference at ``path`` names the member. DIRECTORY: shared, belongs to nobody.
    VIA: belongs to whoever the resource related to it belongs to: its own reference at ``path`` (Provenance.target), and it is
    not served before that resource has arrived. NAMED: it belongs to every member a resource of whose names it by one of the
    expressions ``named_by`` (Medication by MedicationRequest.medication), and is not served before one does.
    """

    kind: MembershipKind
    path: str = ""
    named_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.path) != (self.kind in (MembershipKind.PATH, MembershipKind.VIA)):
            raise ValueError(f"membership {self.kind}: a path belongs to 'path' and 'via' only")
        if bool(self.named_by) != (self.kind is MembershipKind.NAMED):
            raise ValueError(f"membership {self.kind}: expressions that name the resource belong to 'named' only")


SELF = Membership(MembershipKind.SELF)
DIRECTORY = Membership(MembershipKind.DIRECTORY)


def path(reference: str) -> Membership:
    """The member is named by the reference at this element path."""
    return Membership(MembershipKind.PATH, reference)


def via(reference: str) -> Membership:
    """The member is that of the resource referenced at this element path."""
    return Membership(MembershipKind.VIA, reference)


def named_by(*expressions: str) -> Membership:
    """The members are those whose resources name this one at these expressions (a reference, or an attachment's url)."""
    return Membership(MembershipKind.NAMED, named_by=expressions)


@dataclass(frozen=True, slots=True)
class ImplementationGuide:
    """A published guide: package id, canonical prefix, and the versions served, newest last."""

    package: str
    canonical: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that served resources may claim: its guide and StructureDefinition id."""

    guide: ImplementationGuide
    id: str

    @property
    def canonical(self) -> str:
        """The profile's canonical URL without a version."""
        return f"{self.guide.canonical}/StructureDefinition/{self.id}"


@dataclass(frozen=True, slots=True)
class CategoryPart:
    """The resources of a type that belong to a consent category: all, or those of one ``parameter=code`` of a token parameter."""

    category: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """An input parameter of an operation: its FHIR type, and in plain words what it does."""

    name: str
    type: str
    documentation: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on a type: its code (without ``$``), the published definition, and whether it is asked of an instance, of the type, or both.

    ``returns``: the type of what is answered, '' where that is no resource.
    """

    code: str
    canonical: str
    title: str
    parameters: tuple[OperationParameter, ...]
    on_instance: bool = False
    on_type: bool = False
    returns: str = "Bundle"

    def __post_init__(self) -> None:
        if not (self.on_instance or self.on_type):
            raise ValueError(f"operation {self.code}: it is asked of nothing")


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """A resource type this server serves: everything about it, in one row.

    ``narrowed_includes``: values of ``_include`` that a guide names with a type of target, beside those of every reference.
    ``revincludes``: what refers to it and may be brought along. Only what a resource has few of: a page stays a page.
    ``categories``: what of it a member can withhold, and as part of what; none: it is never withheld. ``granular``: the queries of
    the finer-grained scopes that guides name for the type.
    """

    type: str
    title: str
    membership: Membership
    profiles: tuple[Profile, ...]
    search_parameters: tuple[SearchParameter, ...]
    narrowed_includes: tuple[str, ...] = ()
    revincludes: tuple[str, ...] = ()
    interactions: tuple[str, ...] = (READ, VREAD, HISTORY_INSTANCE, HISTORY_TYPE, SEARCH_TYPE)
    operations: tuple[Operation, ...] = ()
    categories: tuple[CategoryPart, ...] = ()
    granular: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        codes = [parameter.code for parameter in self.search_parameters]
        if len(codes) != len(set(codes)):
            raise ValueError(f"{self.type}: a search parameter code stands twice")
        for include in self.narrowed_includes:
            source, code, target = include.split(":")
            if source != self.type or not any(each.code == code and target in each.targets for each in self.references):
                raise ValueError(f"{self.type}: _include={include} names no reference search parameter of the row")
        for query in (*(part.query for part in self.categories if part.query), *self.granular):
            parameter = self.parameter(query.partition("=")[0])
            if parameter is None or parameter.type is not SearchType.TOKEN:
                raise ValueError(f"{self.type}: {query} names no token search parameter of the row")

    def parameter(self, code: str) -> SearchParameter | None:
        """The search parameter of this code, or None."""
        return next((parameter for parameter in self.search_parameters if parameter.code == code), None)

    @property
    def references(self) -> tuple[SearchParameter, ...]:
        """The parameters that an include follows, and ``_include=Type:*`` all together."""
        return tuple(p for p in self.search_parameters if p.type is SearchType.REFERENCE and not p.is_canonical)

    @property
    def includes(self) -> tuple[str, ...]:
        """What ``_include`` offers: each reference, those that guides narrow to one type of target, and all together."""
        each = tuple(f"{self.type}:{parameter.code}" for parameter in self.references)
        return (*each, *self.narrowed_includes, f"{self.type}:*") if each else ()

    @property
    def is_directory(self) -> bool:
        """Whether the resources of this type are shared by all members."""
        return self.membership.kind is MembershipKind.DIRECTORY
