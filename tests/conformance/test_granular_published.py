"""The finer-grained scopes of the rows against the packages: each names a category that US Core 6.1 or 7.0 has for the type.

https://hl7.org/fhir/us/core/STU7/scopes.html - the pages that list them are not in the packages; the codes they list are.
"""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.authorization import scope_criteria
from server.specification.registry import RESOURCES
from server.specification.standards import US_CORE

RESOURCE = re.compile(r"package/(CodeSystem|ValueSet|StructureDefinition)-.*\.json")
NAMED = [(row.type, query) for row in RESOURCES.values() for query in row.granular]
SINCE_7 = ("treatment-intervention-preference", "care-experience-preference")
"""Categories that US Core 6.1 did not have yet."""
PROCEDURE = "387713003"
"""The SNOMED CT concept by which ServiceRequests for operations are told; the packages name its value set's system only."""
ASKED_BY_CERTIFICATION = {
    "Condition": {"encounter-diagnosis", "problem-list-item", "health-concern"},
    "DiagnosticReport": {"LP29684-5", "LP29708-2", "LP7839-6", "LAB"},
    "DocumentReference": {"clinical-note"},
    "Observation": {
        "laboratory", "social-history", "vital-signs", "survey", "imaging", "procedure", "sdoh", *SINCE_7,
    },
    "ServiceRequest": {"sdoh", "functional-status", PROCEDURE},
}  # fmt: skip
"""By resource type: the codes that the scopes of either version name."""


@pytest.fixture(scope="module")
def us_core(shared_data: Path) -> dict[str, set[tuple[str, str]]]:
    """Every coding of the terminology and profiles of both versions, by version."""
    found: dict[str, set[tuple[str, str]]] = {}
    for version in US_CORE.versions[-2:]:
        path = shared_data.parent / "implementation-guides" / f"{US_CORE.package}-{version}.tgz"
        if not path.is_file():
            pytest.skip(f"no package {path.name}")
        with tarfile.open(path) as archive:
            members = [m for m in archive.getmembers() if RESOURCE.fullmatch(m.name)]
            contents = [file.read() for m in members if (file := archive.extractfile(m)) is not None]
        found[version] = {coding for content in contents for coding in codings(orjson.loads(content))}
    return found


def codings(resource: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of everything in a CodeSystem, a value set or a profile's patterns."""
    if isinstance(resource, list):
        for each in resource:
            yield from codings(each)
    elif isinstance(resource, dict):
        if resource.get("resourceType") == "CodeSystem":
            yield from ((resource["url"], concept["code"]) for concept in resource.get("concept", []))
        if isinstance(resource.get("system"), str):
            yield from ((resource["system"], each["code"]) for each in resource.get("concept", []) if "code" in each)
            if isinstance(resource.get("code"), str):
                yield resource["system"], resource["code"]
        for value in resource.values():
            yield from codings(value)


def test_the_rows_name_what_both_versions_name() -> None:
    found: dict[str, set[str]] = {}
    for type, query in NAMED:
        found.setdefault(type, set()).add(query.rpartition("|")[2])
    assert found == ASKED_BY_CERTIFICATION


@pytest.mark.parametrize(("type", "query"), NAMED, ids=lambda value: value.rpartition("|")[2])
def test_a_named_category_is_one_of_us_core(type: str, query: str, us_core: dict[str, set[tuple[str, str]]]) -> None:
    (condition,) = scope_criteria.read(type, query) or ()
    (alternative,) = condition.alternatives
    assert condition.parameter == "category"
    having = [version for version, known in us_core.items() if (alternative.system, alternative.code) in known]
    assert list(us_core) == ["6.1.0", "7.0.0"]
    expected = {PROCEDURE: 0, **dict.fromkeys(SINCE_7, 1)}.get(alternative.code or "", 2)
    assert len(having) == expected, having
