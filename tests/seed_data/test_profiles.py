"""The elements each CARIN Blue Button profile makes mandatory or must-support, looked for in the seeded records.

Driven by the machine-readable requirements beside the repository (env SHARED, else ../shared)."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Record = dict[str, Any]

PROFILES = {
    "eob": "C4BB-ExplanationOfBenefit-",
    "eob_inpatient_institutional": "C4BB-ExplanationOfBenefit-Inpatient-Institutional|2.0.0",
    "eob_outpatient_institutional": "C4BB-ExplanationOfBenefit-Outpatient-Institutional|2.0.0",
    "eob_professional_non_clinician": "C4BB-ExplanationOfBenefit-Professional-NonClinician|2.0.0",
    "eob_oral": "C4BB-ExplanationOfBenefit-Oral|2.0.0",
    "eob_pharmacy": "C4BB-ExplanationOfBenefit-Pharmacy|2.0.0",
    "coverage": "C4BB-Coverage|2.0.0",
    "patient": "C4BB-Patient|2.0.0",
    "organization": "C4BB-Organization|2.0.0",
    "practitioner": "C4BB-Practitioner|2.0.0",
    "related_person": "C4BB-RelatedPerson|2.0.0",
    "prior_authorization": "pdex-priorauthorization|2.0.0",
}


@pytest.fixture(scope="module")
def groups() -> dict[str, Any]:
    shared = Path(os.environ.get("SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "requirements" / "ig_requirements.json"
    if not path.exists():
        pytest.skip(f"no {path.name}: set SHARED to the directory that has requirements/{path.name}")
    kits: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = dict(kits["carin-bb"]["v2.0.0"])
    found["prior_authorization"] = kits["pdex"]["pdex_payer_server"]["explanation_of_benefit"]
    return found


def children(node: Any, name: str) -> Iterator[Any]:
    """The values of an element, choice types (`value[x]`) under any of their names."""
    stem = name.removesuffix("[x]")
    for key, value in node.items():
        if key == name or (name.endswith("[x]") and key.startswith(stem) and key[len(stem) :][:1].isupper()):
            yield from value if isinstance(value, list) else [value]


def values(nodes: list[Any], path: str) -> list[Any]:
    for name in path.split("."):
        nodes = [child for node in nodes if isinstance(node, dict) for child in children(node, name)]
    return nodes


def of_profile(records: list[Record], fragment: str) -> list[Record]:
    return [r for r in records if any(fragment in profile for profile in r["meta"].get("profile", []))]


@pytest.mark.parametrize("group", PROFILES)
def test_mandatory_elements_are_present_wherever_their_parent_is(
    group: str, groups: dict[str, Any], records: list[Record]
) -> None:
    found = of_profile(records, PROFILES[group])
    assert found
    for path in (element.split(".", 1)[1] for element in groups[group]["mandatory_elements"]):
        parent, _, name = path.rpartition(".")
        if is_slice_only(group, path):
            continue
        for record in found:
            for node in values([record], parent) if parent else [record]:
                assert list(children(node, name)), f"{record['id']}: {path}"


def is_slice_only(group: str, path: str) -> bool:
    """Elements that the requirements list without saying that only one slice of their parent makes them mandatory."""
    sliced = {"supportingInfo", "supportingInfo.value[x]", "item.adjudication", "adjudication"}
    parent, _, name = path.rpartition(".")
    return group.startswith(("eob", "prior")) and parent in sliced and name not in {"category", "sequence"}


def in_slice(node: Any, discriminator: dict[str, Any]) -> bool:
    match discriminator["type"]:
        case "type":
            return isinstance(node, str)
        case "requiredBinding":
            codings = values([node], f"{discriminator['path']}.coding")
            return any({"system": c["system"], "code": c["code"]} in discriminator["values"] for c in codings)
        case "patternIdentifier":
            return discriminator.get("system") in {None, node.get("system")}
        case _:
            codings = values([node], f"{discriminator['path']}.coding")
            return any((c["system"], c["code"]) == (discriminator["system"], discriminator["code"]) for c in codings)


def of_slice(records: list[Record], slices: dict[str, Any], prefix: str) -> list[Any]:
    row = slices[prefix]
    path = row["path"].removeprefix("[x]")
    return [node for node in values(list(records), path) if in_slice(node, row["discriminator"])]


def missing_must_supports(group: dict[str, Any], records: list[Record]) -> list[str]:
    supported = group["must_support"]
    slices = {row["slice"].split(".", 1)[1]: row for row in supported["slices"]}
    missing = [name for name in slices if not of_slice(records, slices, name)]
    for element in supported["elements"]:
        path, _, fixed = element.split(" -> ")[0].partition(" = ")
        start, colon, rest = path.partition(":")
        if colon:
            name, _, inner = rest.partition(".")
            nodes = of_slice(records, slices, f"{start}:{name}") if f"{start}:{name}" in slices else []
            found = values(nodes, inner)
        else:
            found = values(list(records), path)
        if not found or (fixed and fixed not in found):
            missing.append(element)
    for row in supported.get("extensions", []):
        if not any(row["url"] == node["url"] for node in values(list(records), row["path"])):
            missing.append(row["id"])
    return missing


@pytest.mark.parametrize("group", [group for group in PROFILES if group != "eob"])
def test_every_must_support_element_appears_for_somebody(
    group: str, groups: dict[str, Any], records: list[Record]
) -> None:
    missing = missing_must_supports(groups[group], of_profile(records, PROFILES[group]))
    supported = groups[group]["must_support"]
    count = sum(len(supported.get(kind, [])) for kind in ("elements", "slices", "extensions"))
    print(f"{group}: {count - len(missing)} of {count} must-support elements, slices and extensions")
    assert missing == []
