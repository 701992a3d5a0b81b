"""The rows say what the guides say: every search parameter, include, reverse include and profile, against the packages.

https://hl7.org/fhir/R4/searchparameter.html and https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.specification.audit import AUDIT_TYPES
from server.specification.definition import ResourceDefinition, SearchParameter
from server.specification.registry import RESOURCES
from server.specification.standards import CARIN, GUIDES, PDEX, US_CORE
from tests.conformance.packages import CORE_PACKAGE, Package, packages

ROWS = (*RESOURCES.values(), *AUDIT_TYPES.values())
PARAMETERS = [(row, parameter) for row in ROWS for parameter in row.search_parameters]
OLDER_EXPRESSIONS = {
    "us-core-organization-name": {"Organization.name"},
    "us-core-location-name": {"Location.name"},
    "explanationofbenefit-service-start-date": {
        "ExplanationOfBenefit.billablePeriod.start|ExplanationOfBenefit.item.servicedDate"
        "|ExplanationOfBenefit.item.servicedPeriod.start"
    },
    "us-core-condition-onset-date": {"Condition.onset.as(dateTime)"},
    "us-core-condition-asserted-date": {
        "Condition.extension.where(url='http://hl7.org/fhir/StructureDefinition/condition-assertedDate').valueDateTime"
    },
}
"""SearchParameter id: what older versions of the guide said. The row follows the newest, which finds all that they find."""
OTHER_TARGETS = {
    "Group": "a subject may be a Group, whose records are no member's; the newest US Core has dropped it too"
}
"""Target types that some publication names besides the row's, and why the row, like the newest of its own canonical, does not."""
OLDER_PROFILES = {"us-core-condition": "3.1.1"}
"""Profile to the last version that publishes it: what claims one of its successors conforms to it too."""
SERVED_STATEMENTS = {
    CARIN: ("c4bb",),
    US_CORE: ("us-core-server",),
    PDEX: ("pdex-server", "pdex-server-6-1"),
}


@pytest.fixture(scope="module")
def published(shared_data: Path) -> Sequence[Package]:
    """The published packages, beside the example data."""
    directory = shared_data.parent / "implementation-guides"
    if not directory.is_dir():
        pytest.skip(f"no packages at {directory}")
    return packages(directory)


def named(parameter: SearchParameter | ResourceDefinition) -> str:
    """A readable test name."""
    return parameter.code if isinstance(parameter, SearchParameter) else parameter.type


def branches(expression: str, type: str) -> set[str]:
    """The branches of a union that start at the type, without white space."""
    found = {"".join(branch.split()) for branch in expression.split("|")}
    return {branch for branch in found if branch.lstrip("(").startswith((f"{type}.", "Resource."))}


def publications(published: Sequence[Package], canonical: str) -> list[tuple[Package, Mapping[str, Any]]]:
    """The packages that publish a canonical, the oldest first."""
    return [(package, package.resources[canonical]) for package in published if canonical in package.resources]


@pytest.mark.parametrize(("row", "parameter"), PARAMETERS, ids=named)
def test_a_search_parameter_is_the_published_one(
    row: ResourceDefinition, parameter: SearchParameter, published: Sequence[Package]
) -> None:
    for canonical in (parameter.canonical, *parameter.also):
        found = publications(published, canonical)
        assert found, f"no package publishes {canonical}"
        for package, resource in found:
            assert (resource["code"], resource["type"]) == (parameter.code, str(parameter.type)), package.name
            assert {row.type, "Resource"} & set(resource["base"]), package.name
            own = branches(parameter.expression, row.type)
            if branches(resource["expression"], row.type) != own:
                older = OLDER_EXPRESSIONS[canonical.rpartition("/")[2].removeprefix("SearchParameter-")]
                assert "|".join("".join(part.split()) for part in resource["expression"].split("|")) in older
                assert package is not found[-1][0], f"{package.name} is the newest and says otherwise"
            if parameter.targets and parameter.targets != ("Resource",):
                if canonical == parameter.canonical:
                    assert set(parameter.targets) == set(found[-1][1]["target"]), package.name
                more = set(resource["target"]) - set(parameter.targets)
                assert set(parameter.targets) <= set(resource["target"]), package.name
                assert more <= set(OTHER_TARGETS), package.name


def test_older_expressions_are_still_published(published: Sequence[Package]) -> None:
    used = {parameter.canonical.rpartition("/")[2] for _, parameter in PARAMETERS}
    assert set(OLDER_EXPRESSIONS) <= used


@pytest.mark.parametrize("row", RESOURCES.values(), ids=named)
def test_a_profile_is_published_in_every_version_served_or_the_newest(
    row: ResourceDefinition, published: Sequence[Package]
) -> None:
    for profile in row.profiles:
        versions = {package.version for package, _ in publications(published, profile.canonical)}
        assert OLDER_PROFILES.get(profile.id, profile.guide.versions[-1]) in versions, profile.canonical
        definition = publications(published, profile.canonical)[-1][1]
        assert definition["type"] == row.type


@pytest.mark.parametrize(("row", "parameter"), PARAMETERS, ids=named)
def test_a_parameter_on_an_instant_says_so(
    row: ResourceDefinition, parameter: SearchParameter, published: Sequence[Package]
) -> None:
    """An instant is a point in time, a dateTime of the same text is not; what an element is, the profiles say."""
    types = {
        kind["code"]
        for profile in row.profiles
        for _, definition in publications(published, profile.canonical)
        for element in definition["snapshot"]["element"]
        if element["path"] == parameter.expression.replace("Resource.", f"{row.type}.")
        for kind in element.get("type", [])
    }
    assert parameter.instant == (types == {"instant"}) or not types, types


def test_the_guides_served_are_those_of_the_packages(published: Sequence[Package]) -> None:
    there = {(package.id, package.version) for package in published}
    assert {(guide.package, version) for guide in GUIDES for version in guide.versions} <= there


def statements(published: Sequence[Package]) -> list[tuple[str, Mapping[str, Any]]]:
    """The CapabilityStatements that this server lives up to, in every version served, with a name each."""
    found = []
    for guide, ids in SERVED_STATEMENTS.items():
        for package in published:
            for id in ids:
                statement = package.resources.get(f"{guide.canonical}/CapabilityStatement/{id}")
                if package.id == guide.package and package.version in guide.versions and statement is not None:
                    found.append((f"{package.name} {id}", statement))
    return found


def test_all_statements_are_found(published: Sequence[Package]) -> None:
    names = [name for name, _ in statements(published)]
    assert names == [
        "hl7.fhir.us.carin-bb#2.0.0 c4bb",
        "hl7.fhir.us.carin-bb#2.1.0 c4bb",
        "hl7.fhir.us.core#3.1.1 us-core-server",
        "hl7.fhir.us.core#6.1.0 us-core-server",
        "hl7.fhir.us.core#7.0.0 us-core-server",
        "hl7.fhir.us.davinci-pdex#2.0.0 pdex-server",
        "hl7.fhir.us.davinci-pdex#2.2.0 pdex-server",
        "hl7.fhir.us.davinci-pdex#2.2.0 pdex-server-6-1",
    ]


@pytest.mark.parametrize("row", RESOURCES.values(), ids=named)
def test_what_the_guides_oblige_a_server_to_is_in_the_row(
    row: ResourceDefinition, published: Sequence[Package]
) -> None:
    for name, statement in statements(published):
        for resource in statement["rest"][0]["resource"]:
            if resource["type"] != row.type:
                continue
            for interaction in resource.get("interaction", []):
                if interaction["code"] in ("read", "vread", "search-type"):
                    assert interaction["code"] in row.interactions, name
            for asked in resource.get("searchParam", []):
                parameter = row.parameter(asked["name"])
                assert parameter is not None, f"{name}: {asked['name']}"
                assert asked["name"] == "_id" or str(parameter.type) == asked["type"], name
                if "definition" in asked and asked["definition"] not in (parameter.canonical, *parameter.also):
                    assert _finds_the_same(published, asked["definition"], parameter, row), f"{name}: {asked}"
            for include in resource.get("searchInclude", []):
                assert include in row.includes, f"{name}: {include}"
            for reverse in resource.get("searchRevInclude", []):
                assert reverse in row.revincludes, f"{name}: {reverse}"


def _finds_the_same(
    published: Sequence[Package], canonical: str, parameter: SearchParameter, row: ResourceDefinition
) -> bool:
    """Whether another guide's search parameter searches the same elements, e.g. ``Patient.id`` for ``Resource.id``."""
    found = [resource["expression"] for _, resource in publications(published, canonical)]
    elements = [
        branches(text.replace("Resource.", f"{row.type}."), row.type) for text in (parameter.expression, *found)
    ]
    return bool(found) and all(element == elements[0] for element in elements)


def test_the_core_specification_is_there(published: Sequence[Package]) -> None:
    core = next(package for package in published if package.id == CORE_PACKAGE)
    assert sum(1 for resource in core.resources.values() if resource["resourceType"] == "SearchParameter") > 1000
