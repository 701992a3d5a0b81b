"""The guides' CapabilityStatements are a subset of ours: whatever they name, SHALL, SHOULD or MAY, is served or is an exception with a reason.

https://hl7.org/fhir/R4/capabilitystatement.html - the exceptions are the rows of ``server/specification/exceptions.py``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.documentation import README
from server.fhir.capability_statement import capability_statement
from server.settings import Settings
from server.specification.exceptions import EXCEPTIONS, GuideException, Named
from server.specification.standards import CARIN, GUIDES, INSTANTIATES, PDEX, US_CORE
from tests.conformance.packages import packages

Statement = Mapping[str, Any]
Item = tuple[str, str, str]
"""What part, of which type ('' of none), and its name."""
COMBINATION = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-search-parameter-combination"
STATEMENTS = {
    CARIN.package: ("c4bb",),
    US_CORE.package: ("us-core-server",),
    PDEX.package: ("pdex-server", "pdex-server-6-1"),
}
OTHER_SERVERS = {
    "us-core-client": "what a client does",
    "pdex-payer-access-server": "payer-to-payer exchange for many members",
    "pdex-provider-access-server": "the Provider Access API for a provider's patients",
}
"""CapabilityStatements in the packages that are of another kind of system."""
TOLD = "told"
"""The part of an item that has no row of exceptions: it must be served."""


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[tuple[str, str, str], Statement]:
    """The statements of the served guides: (package, version, id) to CapabilityStatement."""
    directory = shared_data.parent / "implementation-guides"
    if not directory.is_dir():
        pytest.skip(f"no packages at {directory}")
    served = {(guide.package, version) for guide in GUIDES for version in guide.versions}
    return {
        (package.id, package.version, url.rpartition("/")[2]): resource
        for package in packages(directory)
        if (package.id, package.version) in served
        for url, resource in package.resources.items()
        if resource["resourceType"] == "CapabilityStatement"
    }


@pytest.fixture(scope="module")
def ours() -> set[Item]:
    """What this server tells."""
    statement = orjson.loads(capability_statement(Settings(), {"authorize": "https://payer.example/authorize"}))
    return set(items(statement))


@pytest.fixture(scope="module")
def missing(published: Mapping[tuple[str, str, str], Statement], ours: set[Item]) -> dict[Item, set[str]]:
    """What they name and we do not: the packages that name it."""
    found: dict[Item, set[str]] = {}
    for (package, _, id), statement in published.items():
        if id in STATEMENTS[package]:
            types = {name for part, _, name in ours if part == Named.TYPE}
            for item in items(statement):
                if item not in ours and (item[0] == Named.TYPE or not item[1] or item[1] in types):
                    found.setdefault(item, set()).add(package)
    return found


def items(statement: Statement) -> Iterator[Item]:
    """Everything a CapabilityStatement says that a server does, without the versions of profiles."""
    (rest,) = statement["rest"]
    yield from ((Named.FORMAT, "", name) for name in statement.get("format", []))
    yield from ((Named.PATCH_FORMAT, "", name) for name in statement.get("patchFormat", []))
    yield from ((Named.SYSTEM_INTERACTION, "", each["code"]) for each in rest.get("interaction", []))
    yield from ((Named.OPERATION, "", each["name"]) for each in rest.get("operation", []))
    for service in rest.get("security", {}).get("service", []):
        yield from ((TOLD, "", f"security {coding['code']}") for coding in service.get("coding", []))
    for resource in rest["resource"]:
        yield from _of_type(resource)


def _of_type(resource: Mapping[str, Any]) -> Iterator[Item]:
    type = resource["type"]
    yield Named.TYPE, "", type
    yield from ((Named.INTERACTION, type, each["code"]) for each in resource.get("interaction", []))
    for each in resource.get("operation", []):
        yield Named.OPERATION, type, each["name"]
        yield TOLD, type, f"definition {each['definition']}"
    for each in resource.get("searchParam", []):
        yield TOLD, type, f"parameter {each['name']}"
        yield Named.PARAMETER_TYPE, type, f"{each['name']} {each['type']}"
    for name in ("supportedProfile", "searchInclude", "searchRevInclude", "referencePolicy"):
        yield from ((TOLD, type, f"{name} {value.partition('|')[0]}") for value in resource.get(name, []))
    if "profile" in resource:
        yield TOLD, type, f"supportedProfile {resource['profile'].partition('|')[0]}"
    for name in ("versioning", "readHistory"):
        if name in resource:
            yield TOLD, type, f"{name} {resource[name]}"
    for extension in resource.get("extension", []):
        if extension["url"] == COMBINATION:
            codes = sorted(part["valueString"] for part in extension["extension"] if part["url"] == "required")
            yield Named.COMBINATION, type, "+".join(codes)


def excepts(row: GuideException, item: Item) -> bool:
    """Whether a row is about an item."""
    part, type, name = item
    if part != row.part or (row.types and type not in row.types):
        return False
    return name in {"+".join(sorted(one.split("+"))) for one in row.names}


def without_operation(item: Item, missing: Mapping[Item, set[str]]) -> bool:
    """Whether an item is only the definition of an operation that is missing itself."""
    part, type, name = item
    operation = name.rpartition("/")[2]
    return part == TOLD and name.startswith("definition ") and (Named.OPERATION, type, operation) in missing


def test_the_statements_compared_are_all_there_are(published: Mapping[tuple[str, str, str], Statement]) -> None:
    ids = {id for ids in STATEMENTS.values() for id in ids}
    assert {id for _, _, id in published} == ids | set(OTHER_SERVERS)
    versions = {(package, version) for package, version, id in published if id in ids}
    assert versions == {(guide.package, version) for guide in (CARIN, US_CORE, PDEX) for version in guide.versions}


def test_it_instantiates_their_canonicals(published: Mapping[tuple[str, str, str], Statement]) -> None:
    served = {statement["url"] for (package, _, id), statement in published.items() if id in STATEMENTS[package]}
    assert set(INSTANTIATES) == served


def test_whatever_a_guide_names_is_served_or_has_a_reason(missing: Mapping[Item, set[str]]) -> None:
    unexplained = {
        item: guides
        for item, guides in missing.items()
        if not any(excepts(row, item) for row in EXCEPTIONS) and not without_operation(item, missing)
    }
    assert unexplained == {}


@pytest.mark.parametrize("row", EXCEPTIONS, ids=lambda row: f"{row.part}-{row.names[0]}")
def test_an_exception_is_needed_by_the_guides_it_names_and_by_no_other(
    row: GuideException, missing: Mapping[Item, set[str]]
) -> None:
    needed = {item: guides for item, guides in missing.items() if excepts(row, item)}
    assert {name for _, _, name in needed} == {"+".join(sorted(one.split("+"))) for one in row.names}
    assert set().union(*needed.values()) == set(row.guides)
    if row.types:
        assert {type for _, type, _ in needed} == set(row.types)


def test_no_two_exceptions_are_about_the_same(missing: Mapping[Item, set[str]]) -> None:
    for item in missing:
        assert sum(excepts(row, item) for row in EXCEPTIONS) <= 1, item


def test_every_exception_stands_in_the_readme_with_its_reason() -> None:
    text = README.read_text("utf-8")
    for row in EXCEPTIONS:
        (line,) = [line for line in text.splitlines() if line.startswith("|") and _stands_in(row, line)]
        assert row.reason in line


def _stands_in(row: GuideException, line: str) -> bool:
    told: Sequence[str] = [*(f"`{name}`" for name in row.names), *row.guides, *row.types]
    return line.startswith(f"| {row.part}") and all(word in line for word in told)
