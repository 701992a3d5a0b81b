"""The tables of summary and mandatory elements are what the core package says of every served type.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.isSummary
"""

import re
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.specification.definitional import CAPABILITY_STATEMENT, DEFINITION_TYPES
from server.specification.registry import RESOURCES
from server.specification.summaries import MANDATORY, SUMMARY

Elements = dict[str, dict[str, Any]]
KEPT_ANYWAY = ("id", "meta", "implicitRules", "modifierExtension")


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, Elements]:
    """Type to its elements by path."""
    package = shared_data.parent / "implementation-guides" / "hl7.fhir.r4.core-4.0.1.tgz"
    if not package.exists():
        pytest.skip(f"no package at {package}")
    wanted = {
        f"package/StructureDefinition-{type}.json": type
        for type in (*RESOURCES, CAPABILITY_STATEMENT, *DEFINITION_TYPES)
    }
    found = {}
    with tarfile.open(package) as archive:
        for member in archive:
            if member.name in wanted:
                file = archive.extractfile(member)
                assert file is not None
                elements = orjson.loads(file.read())["snapshot"]["element"]
                found[wanted[member.name]] = {element["path"]: element for element in elements}
    return found


def children(elements: Elements, path: str) -> list[str]:
    return [child for child in elements if child.rpartition(".")[0] == path]


def name(path: str) -> str:
    return path.rpartition(".")[2]


def test_every_served_type_has_a_row() -> None:
    assert set(SUMMARY) == set(MANDATORY) == {*RESOURCES, CAPABILITY_STATEMENT, *DEFINITION_TYPES}


def test_rows_are_what_the_package_says(published: dict[str, Elements]) -> None:
    assert set(published) == set(SUMMARY)
    for type, elements in published.items():
        expected = {}
        for path in children(elements, type):
            if elements[path].get("isSummary") and name(path) not in KEPT_ANYWAY:
                inner = [
                    name(child)
                    for child in children(elements, path)
                    if name(child) not in KEPT_ANYWAY and (elements[child].get("isSummary") or elements[child]["min"])
                ]
                expected[name(path)] = set(inner)
        rows = re.findall(r"([A-Za-z]+(?:\[x\])?)(?:\(([^)]*)\))?", SUMMARY[type])
        assert {row: set(inner.split()) for row, inner in rows} == expected, type
        assert set(MANDATORY[type].split()) == {
            name(path) for path in children(elements, type) if elements[path]["min"] > 0
        }, type
