"""What the conformance kits demand, and the published search parameters it is about: (guide, version, resource, search) and includes.

https://hl7.org/fhir/R4/searchparameter.html - read from the folder that SHARED names; nothing of it is part of this repository.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from server.specification.standards import GUIDES
from tests.conformance.packages import CORE_PACKAGE, Package, packages

SHARED = Path(os.environ.get("SHARED") or Path(__file__).parents[3] / "shared")
REQUIREMENTS = SHARED / "requirements" / "ig_requirements.json"
PACKAGES = SHARED / "implementation-guides"
KITS = (
    ("carin-bb", "v2.0.0", "hl7.fhir.us.carin-bb", "2.0.0"),
    ("us-core", "v3.1.1", "hl7.fhir.us.core", "3.1.1"),
    ("us-core", "v6.1.0", "hl7.fhir.us.core", "6.1.0"),
    ("us-core", "v7.0.0", "hl7.fhir.us.core", "7.0.0"),
    ("pdex", "pdex_payer_server", "hl7.fhir.us.davinci-pdex", "2.0.0"),
)
"""Kit, its version, and the guide's package and version that it tests."""
STATEMENTS = ("c4bb", "us-core-server", "pdex-server")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A published search parameter: FHIRPath expression and type, as its newest version among those served says."""

    code: str
    type: str
    expression: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a kit asks of a resource type: a search by ``parameters`` together, or what is added by ``added`` (its value)."""

    kit: str
    version: str
    package: str
    guide_version: str
    resource: str
    parameters: tuple[str, ...]
    added: str = ""
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Codes that the kit sends, by parameter."""

    @property
    def guide(self) -> str:
        """The kit and its version."""
        return f"{self.kit} {self.version}"

    def __str__(self) -> str:
        what = "+".join(self.parameters) if not self.added else self.added
        return f"{self.kit}-{self.version}-{self.resource}-{what}"


def requirements() -> tuple[list[Requirement], list[Requirement]]:
    """The searches and the includes of every kit, each once; none without the folder."""
    if not REQUIREMENTS.is_file():
        return [], []
    kits: Any = orjson.loads(REQUIREMENTS.read_bytes())
    searches: dict[str, Requirement] = {}
    added: dict[str, Requirement] = {}
    for kit, version, package, guide_version in KITS:
        groups = [group for group in kits[kit][version].values() if "resource" in group]
        for group in groups:
            resource = group["resource"]
            place = (kit, version, package, guide_version, resource)
            for search in group.get("searches", []):
                codes = tuple(sorted(search["params"]))
                asked = Requirement(*place, codes, values=_values(groups, resource, codes))
                searches.setdefault(str(asked), asked)
            for value in (*group.get("includes", []), *group.get("revincludes", [])):
                asked = Requirement(*place, (), value)
                added.setdefault(str(asked), asked)
    return list(searches.values()), list(added.values())


def _values(groups: Sequence[Any], resource: str, codes: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The codes that the kit sends for each parameter, over all groups of a resource type."""
    found: dict[str, dict[str, None]] = {code: {} for code in codes}
    for group in groups:
        if group["resource"] == resource:
            for code in codes:
                found[code] |= dict.fromkeys(group.get("search_params", {}).get(code, {}).get("values") or [])
    return tuple((code, tuple(values)) for code, values in found.items() if values)


@lru_cache(maxsize=1)
def _published() -> Sequence[Package]:
    served = {(guide.package, version) for guide in GUIDES for version in guide.versions}
    return [p for p in packages(PACKAGES) if (p.id, p.version) in served or p.id == CORE_PACKAGE]


@lru_cache(maxsize=1024)
def parameter(asked_package: str, guide_version: str, resource: str, code: str) -> Parameter:
    """The search parameter that a guide's CapabilityStatement names by this code; or else the guide's, another's, or the core's."""
    package = next(p for p in _published() if (p.id, p.version) == (asked_package, guide_version))
    canonical = next(
        (
            asked["definition"]
            for url, statement in package.resources.items()
            if url.rpartition("/")[2] in STATEMENTS and statement["resourceType"] == "CapabilityStatement"
            for each in statement["rest"][0]["resource"]
            if each["type"] == resource
            for asked in each.get("searchParam", [])
            if asked["name"] == code and "definition" in asked
        ),
        None,
    )
    if canonical is None:
        everywhere = [
            (p.id == asked_package, p.id != CORE_PACKAGE, url)
            for p in _published()
            for url in _by_code(p, resource, code)
        ]
        canonical = max(everywhere)[-1]
    newest = [p.resources[canonical] for p in _published() if canonical in p.resources][-1]
    assert newest["code"] == code
    return Parameter(code, newest["type"], _of_type(newest["expression"], resource))


def _by_code(package: Package, resource: str, code: str) -> list[str]:
    """The canonicals of a package's search parameters of this code for a resource type."""
    return [
        url
        for url, each in package.resources.items()
        if each["resourceType"] == "SearchParameter"
        and each["code"] == code
        and {resource, "Resource", "DomainResource"} & set(each["base"])
    ]


def _of_type(expression: str, resource: str) -> str:
    """The branches of a union that start at a resource type; those at any type start there then."""
    named = [branch.strip().replace("Resource.", f"{resource}.", 1) for branch in expression.split("|")]
    branches = [branch for branch in named if branch.lstrip("(").startswith(f"{resource}.")]
    assert branches, expression
    return " | ".join(branches)


@lru_cache(maxsize=64)
def listed_includes(resource: str) -> tuple[str, ...]:
    """The parameters that ``_include=Type:*`` follows: all that some CapabilityStatement of the guides served lists for the type."""
    return tuple(
        dict.fromkeys(
            value.split(":")[1]
            for package in _published()
            for statement in package.resources.values()
            if statement["resourceType"] == "CapabilityStatement" and package.id != CORE_PACKAGE
            for each in statement["rest"][0]["resource"]
            if each["type"] == resource
            for value in each.get("searchInclude", [])
            if not value.endswith(":*")
        )
    )
