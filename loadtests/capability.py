"""What a server offers an app: the searches of its CapabilityStatement that the granted scopes allow.

https://hl7.org/fhir/R4/capabilitystatement.html - nothing is asked for that a server does not declare, so that any can be loaded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OF_MEMBER = ("patient", "beneficiary", "subject")
"""The search parameters by which records of one member are asked for, the most usual first."""
FIRST = ("ExplanationOfBenefit", "Coverage", "Condition", "Observation", "Encounter")
"""What an app looks at first, where it is offered."""
NO_RECORDS = frozenset({"AuditEvent", "Group"})
"""Types that have a parameter for the member, and are not the member's records: no scope of an app of theirs reaches them."""
INCLUDED = ("provider", "care-team", "coverage", "insurer")


@dataclass(frozen=True, slots=True)
class Search:
    """How one type is searched for a member: the parameter that names them, and the includes and parameters it has."""

    type: str
    member: str
    includes: tuple[str, ...]
    parameters: frozenset[str]

    def query(self, patient: str, *more: str) -> str:
        """The search, relative to the FHIR base."""
        return f"{self.type}?" + "&".join([f"{self.member}={patient}", *more])

    def with_includes(self, patient: str) -> str:
        """The same with what the records refer to."""
        return self.query(patient, *(f"_include={include}" for include in self.includes))


@dataclass(frozen=True, slots=True)
class Capability:
    """What a server offers."""

    searches: tuple[Search, ...]
    has_everything: bool

    @classmethod
    def of(cls, statement: Mapping[str, Any]) -> "Capability":
        """Of a CapabilityStatement; types that no parameter connects with a member are left out."""
        resources = [one for rest in statement.get("rest", ()) for one in rest.get("resource", ())]
        searches = [found for resource in resources if (found := _search(resource)) is not None]
        order = {name: rank for rank, name in enumerate(FIRST)}
        searches.sort(key=lambda search: (order.get(search.type, len(order)), search.type))
        operations = [
            one for resource in resources if resource.get("type") == "Patient" for one in _operations(resource)
        ]
        return cls(tuple(searches), "everything" in operations)

    def granted(self, scope: str) -> tuple[Search, ...]:
        """The searches that a granted scope allows: ``patient/*.rs``, ``patient/Coverage.s``, ``patient/*.read`` and the like."""
        types = set(_searchable(scope.split()))
        return tuple(search for search in self.searches if "*" in types or search.type in types)


def _searchable(scopes: Iterable[str]) -> Iterable[str]:
    for scope in scopes:
        level, _, rest = scope.partition("?")[0].partition("/")
        name, _, allowed = rest.partition(".")
        if level in ("patient", "user") and (allowed in ("read", "*") or "s" in allowed):
            yield name


def _search(resource: Mapping[str, Any]) -> Search | None:
    if not any(one.get("code") == "search-type" for one in resource.get("interaction", ())):
        return None
    parameters = frozenset(str(one.get("name")) for one in resource.get("searchParam", ()))
    name = str(resource.get("type"))
    member = "_id" if name == "Patient" else next((one for one in OF_MEMBER if one in parameters), "")
    includes = [str(one) for one in resource.get("searchInclude", ())]
    wanted = [include for part in INCLUDED for include in includes if include == f"{name}:{part}"]
    return Search(name, member, tuple(wanted), parameters) if member and name not in NO_RECORDS else None


def _operations(resource: Mapping[str, Any]) -> Iterable[str]:
    for operation in resource.get("operation", ()):
        yield str(operation.get("name", "")).lstrip("$")
        yield str(operation.get("definition", "")).rpartition("-")[2]
