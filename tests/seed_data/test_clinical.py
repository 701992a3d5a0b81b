"""The seeded clinical records: valid, closed, always the same, and enough to answer every search of US Core.

Driven by the machine-readable requirements beside the repository (env SHARED, else ../shared)."""

import json
import os
import re
import tarfile
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from seed_data.clinical.chart import UNKNOWN_EXTENSION
from seed_data.clinical.endpoints import endpoint, with_endpoint
from seed_data.clinical.generate import TYPES, clinical, medications
from seed_data.directory import ORGANIZATION, ORGANIZATIONS
from seed_data.generate import AS_OF, SEED, resources
from seed_data.ndjson import json_text
from seed_data.personas import MEMBERS

Record = dict[str, Any]
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
SHARED = Path(os.environ.get("SHARED", Path(__file__).parents[3] / "shared"))
REQUIREMENTS = SHARED / "requirements" / "ig_requirements.json"
LEVEL = {"v3.1.1", "v6.1.0", "v7.0.0"}
WITHOUT_A_ROW = {"media", "media.link"}  # Media is not a type of the Patient Access API
ELSEWHERE = {"patient", "organization", "practitioner", "practitioner_role", "related_person", "coverage", "location"}
LICENSED = ("ama-assn.org", "ada.org", "nubc.org", "x12.org", "NCPDP", "nucc.org")


def written(seed: int = SEED, as_of: date = AS_OF) -> list[Record]:
    """The clinical records as a loader reads them."""
    endpoints = [endpoint(ORGANIZATION[row.key]) for row in ORGANIZATIONS if not row.payer]
    found = [*endpoints, *medications(), *(record for member in MEMBERS for record in clinical(member, seed, as_of))]
    return [json.loads(json_text(record)) for record in found]


@pytest.fixture(scope="module")
def clinical_records() -> list[Record]:
    return written()


@pytest.fixture(scope="module")
def everything(clinical_records: list[Record]) -> dict[str, Record]:
    """All seeded records by reference, roles with their endpoints."""
    endpoints = {f"Organization/{found['id']}": endpoint(found) for found in ORGANIZATION.values()}
    known: dict[str, Record] = {}
    for record in [*(json.loads(json_text(found)) for found in resources()), *clinical_records]:
        role = record["resourceType"] == "PractitionerRole"
        found = with_endpoint(record, endpoints[record["organization"]["reference"]]) if role else record
        known[f"{record['resourceType']}/{record['id']}"] = found
    return known


def walk(value: Any) -> Iterator[Record]:
    if isinstance(value, dict):
        yield value
        for found in value.values():
            yield from walk(found)
    elif isinstance(value, list):
        for found in value:
            yield from walk(found)


def references(record: Record) -> list[str]:
    return [node["reference"] for node in walk(record) if isinstance(node.get("reference"), str)]


def member_of(record: Record) -> str:
    subject: str = (record.get("subject") or record.get("patient") or {}).get("reference", "")
    return subject


def test_every_clinical_type_is_there_and_valid_r4(clinical_records: list[Record]) -> None:
    counted = Counter(record["resourceType"] for record in clinical_records)
    assert counted.keys() == {*TYPES, "Endpoint", "Provenance"}
    for record in clinical_records:
        get_fhir_model_class(record["resourceType"]).model_validate(record)


def test_the_same_seed_and_date_give_the_same_records(clinical_records: list[Record]) -> None:
    assert written() == clinical_records
    other = written(seed=1)
    assert other != clinical_records
    assert [record["id"] for record in other] == [record["id"] for record in clinical_records]


@pytest.mark.parametrize("as_of", [date(2024, 2, 29), date(2026, 1, 1), date(2026, 12, 31)])
def test_every_as_of_date_can_be_generated_and_lies_after_every_record(as_of: date) -> None:
    for record in written(as_of=as_of):
        assert datetime.fromisoformat(record["meta"]["lastUpdated"]).date() < as_of
        get_fhir_model_class(record["resourceType"]).model_validate(record)


def test_ids_are_unique_and_references_resolve(clinical_records: list[Record], everything: dict[str, Record]) -> None:
    counted = Counter((record["resourceType"], record["id"]) for record in clinical_records)
    assert max(counted.values()) == 1
    for record in clinical_records:
        assert set(references(record)) <= everything.keys(), record["id"]


def test_what_is_referred_to_comes_first(clinical_records: list[Record]) -> None:
    seen = {f"{record['resourceType']}/{record['id']}" for record in resources()}
    for record in clinical_records:
        seen.add(f"{record['resourceType']}/{record['id']}")
        assert set(references(record)) <= seen, record["id"]


def test_nobody_is_referred_to_from_another_members_record(
    clinical_records: list[Record], everything: dict[str, Record]
) -> None:
    for record in clinical_records:
        found = {member_of(everything[reference]) for reference in references(record)} - {""}
        named = {reference for reference in references(record) if reference.startswith("Patient/")}
        assert len(found | named) <= 1, record["id"]


def test_medications_are_shared_by_members_and_each_has_somebody(clinical_records: list[Record]) -> None:
    owners = defaultdict(set)
    for record in clinical_records:
        if "medicationReference" in record:
            owners[record["medicationReference"]["reference"]].add(member_of(record))
    medications = {f"Medication/{r['id']}" for r in clinical_records if r["resourceType"] == "Medication"}
    assert owners.keys() == medications
    assert max(len(members) for members in owners.values()) >= 2


def test_every_attachment_has_its_words_or_a_binary_that_has_them(clinical_records: list[Record]) -> None:
    binaries = {f"Binary/{r['id']}": r for r in clinical_records if r["resourceType"] == "Binary"}
    documents, reports, inline = Counter[str](), Counter[str](), 0
    for record in clinical_records:
        for node in walk(record):
            if "contentType" not in node or record["resourceType"] == "Binary":
                continue
            if "url" in node:
                counter = documents if record["resourceType"] == "DocumentReference" else reports
                counter[node["url"]] += 1
                data = binaries[node["url"]]["data"]
            else:
                inline += 1
                data = node["data"]
            assert len(b64decode(data)) == node["size"]
    assert documents.keys() == binaries.keys()  # a Binary belongs to the member of its DocumentReference
    assert max(documents.values()) == 1
    assert reports.keys() < documents.keys()
    assert inline > 10


def test_every_members_record_has_a_provenance_with_the_payer_as_transmitter(
    clinical_records: list[Record], everything: dict[str, Record]
) -> None:
    told = Counter[str]()
    for record in clinical_records:
        if record["resourceType"] != "Provenance":
            continue
        author, transmitter = record["agent"]
        assert author["type"]["coding"][0]["code"] == "author"
        assert transmitter["type"]["coding"][0]["code"] == "transmitter"
        payer = everything[transmitter["who"]["reference"]]
        assert payer["type"][0]["coding"][0]["code"] == "pay"
        told.update(row["reference"] for row in record["target"])
    own = {r for r in everything if r.split("/")[0] in set(TYPES) - {"Medication", "Binary"}}
    own = {r for r in own if "-authorization-" not in r or r.startswith("ServiceRequest")}
    assert told.keys() == own
    assert max(told.values()) == 1


def test_a_care_team_has_participants_of_all_four_kinds(clinical_records: list[Record]) -> None:
    kinds = [
        {row["member"]["reference"].split("/")[0] for row in record["participant"]}
        for record in clinical_records
        if record["resourceType"] == "CareTeam"
    ]
    assert {"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"} in kinds


def test_diagnoses_of_a_visit_are_those_of_its_claim(everything: dict[str, Record]) -> None:
    claims: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in everything.values():
        if record["resourceType"] == "ExplanationOfBenefit" and record["use"] == "claim":
            claims[record["patient"]["reference"], record["billablePeriod"]["start"]].update(
                row["diagnosisCodeableConcept"]["coding"][0]["code"] for row in record.get("diagnosis", [])
            )
    agreed = 0
    for record in everything.values():
        if record["resourceType"] == "Condition" and "-visit-" in record["id"]:
            visit = everything[record["encounter"]["reference"]]
            key = member_of(record), visit["period"]["start"][:10]
            if key in claims:
                assert record["code"]["coding"][0]["code"] in claims[key], record["id"]
                agreed += 1
    assert agreed > 50


def test_effective_times_and_missing_data_come_in_every_form(clinical_records: list[Record]) -> None:
    keys = {key for r in clinical_records if r["resourceType"] == "Observation" for key in r}
    assert {"effectiveDateTime", "effectivePeriod", "effectiveTiming", "effectiveInstant", "dataAbsentReason"} <= keys
    assert any(record.get("_authored") == UNKNOWN_EXTENSION for record in clinical_records)
    codes = {(str(node.get("system")), str(node.get("code"))) for record in clinical_records for node in walk(record)}
    assert ("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown") in codes
    onsets = {len(r["onsetDateTime"]) for r in clinical_records if "onsetDateTime" in r}
    assert onsets >= {4, 7, 10, 25}


def test_no_licensed_words_and_no_telephone_of_anybody(clinical_records: list[Record]) -> None:
    for record in clinical_records:
        for node in walk(record):
            if any(owner in str(node.get("system", "")) for owner in LICENSED):
                assert "display" not in node
            if node.get("system") == "phone":
                assert re.fullmatch(r"\d{3}-555-\d{4}", node["value"])


def test_last_updated_is_in_the_past(clinical_records: list[Record]) -> None:
    end = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
    assert all(datetime.fromisoformat(record["meta"]["lastUpdated"]) < end for record in clinical_records)


# US Core: searches, mandatory elements and must-support elements


def _groups() -> list[tuple[str, str]]:
    if not REQUIREMENTS.exists():
        return []
    kits = json.loads(REQUIREMENTS.read_text(encoding="utf-8"))["us-core"]
    return [(version, group) for version in sorted(LEVEL) for group in kits[version]]


GROUPS = _groups()


@pytest.fixture(scope="module")
def kits() -> Record:
    if not REQUIREMENTS.exists():
        pytest.skip(f"no {REQUIREMENTS.name}: set SHARED to the directory that has requirements/{REQUIREMENTS.name}")
    found: Record = json.loads(REQUIREMENTS.read_text(encoding="utf-8"))["us-core"]
    return found


def children(node: Any, name: str) -> Iterator[Any]:
    """The values of an element; `effective` and `value[x]` stand for the choice types under any of their names."""
    stem = name.removesuffix("[x]")
    for key, value in node.items():
        choice = key.startswith(stem) and key[len(stem) :][:1].isupper() and (name != stem or stem in CHOICES)
        if key == name or choice:
            yield from value if isinstance(value, list) else [value]


CHOICES = {"effective", "performed", "occurrence"}


def values(nodes: list[Any], path: str) -> list[Any]:
    if path.startswith("extension.where("):
        url = path.split("'")[1]
        found = [row for node in nodes for row in node.get("extension", []) if row["url"] == url]
        return values(found, "value[x]")
    for name in path.split("."):
        nodes = [child for node in nodes if isinstance(node, dict) for child in children(node, name)]
    return nodes


def of_group(version: str, group: Record, everything: dict[str, Record]) -> list[Record]:
    """The records that claim the group's profile in its version; 3.1.1 is claimed by none, so by resource type."""
    kind = group["resource"]
    records = [record for record in everything.values() if record["resourceType"] == kind]
    if version == "v3.1.1" or kind not in {*TYPES}:
        return records
    profile = f"{group['profile'].split('|')[0]}|{version[1:]}"
    return [record for record in records if profile in record["meta"].get("profile", [])]


@pytest.mark.parametrize(("version", "name"), GROUPS)
def test_every_search_finds_somebody(version: str, name: str, kits: Record, everything: dict[str, Record]) -> None:
    group = kits[version][name]
    found = of_group(version, group, everything)
    assert found
    parameters = group["search_params"]
    for parameter, row in parameters.items():
        assert any(values(found, path) for path in row["paths"]), parameter
    by_type = [record for record in everything.values() if record["resourceType"] == group["resource"]]
    for search in group["searches"]:
        paths = [parameters[parameter]["paths"] for parameter in search["params"] if parameter in parameters]
        assert any(all(any(values([record], path) for path in options) for options in paths) for record in by_type), (
            search["params"]
        )


@pytest.mark.parametrize(("version", "name"), [row for row in GROUPS if row[0] != "v3.1.1"])
def test_mandatory_elements_are_present_wherever_their_parent_is(
    version: str, name: str, kits: Record, everything: dict[str, Record]
) -> None:
    group = kits[version][name]
    for record in of_group(version, group, everything):
        for path in (element.split(".", 1)[1] for element in group["mandatory_elements"]):
            parent, _, last = path.rpartition(".")
            for node in values([record], parent) if parent else [record]:
                present = list(children(node, last)) or f"_{last}" in node
                assert present or not isinstance(node, dict), f"{record['id']}: {path}"


def in_slice(node: Any, row: Record) -> bool:
    match row["type"]:
        case "value":
            return all(rule["value"] in values([node], rule["path"]) for rule in row["values"])
        case "patternCodeableConcept":
            codings = values([node], ".".join(filter(None, [row.get("path", ""), "coding"])))
            return any((c.get("system"), c["code"]) == (row["system"], row["code"]) for c in codings)
        case "requiredBinding":
            codings = values([node], ".".join(filter(None, [row.get("path", ""), "coding"])))
            return any({"system": c.get("system"), "code": c["code"]} in row["values"] for c in codings)
        case "patternCoding":
            return bool((node.get("system"), node.get("code")) == (row["system"], row["code"]))
        case _:
            return bool(row["system"] == node.get("system"))


def of_slice(records: list[Record], row: Record) -> list[Any]:
    rule = row["discriminator"]
    rules = rule if isinstance(rule, list) else [rule]
    if rules[0]["type"] == "type":
        path = row["path"].removesuffix("[x]")
        code = rules[0]["code"]
        return values(records, path + code[:1].upper() + code[1:])
    return [node for node in values(records, row["path"]) if any(in_slice(node, found) for found in rules)]


def targets(nodes: list[Any], profile_names: str, everything: dict[str, Record]) -> list[str]:
    """Those of the profiles, separated by |, that no reference among the nodes leads to."""
    known = [everything[node["reference"]] for node in nodes if node.get("reference") in everything]
    profiles = {p.split("|")[0].removeprefix(US_CORE) for found in known for p in found["meta"].get("profile", [])}
    return [name for name in profile_names.split("|") if name not in profiles]


def missing_must_supports(group: Record, records: list[Record], everything: dict[str, Record]) -> list[str]:
    supported = group["must_support"]
    slices = {row["slice"].split(".", 1)[1]: row for row in supported["slices"]}
    missing = [name for name, row in slices.items() if not of_slice(records, row)]
    for element in supported["elements"]:
        plain, _, profile_names = element.partition(" -> ")
        path, _, fixed = plain.partition(" = ")
        start, colon, rest = path.partition(":")
        if colon:
            name, _, inner = rest.partition(".")
            nodes = (
                of_slice(records, slices[f"{start}:{name}"]) if f"{start}:{name}" in slices else values(records, name)
            )
            found = values(nodes, inner)
        else:
            found = values(list(records), path)
        if not found or (fixed and fixed not in found):
            missing.append(element)
        elif profile_names:
            missing += [f"{path} -> {name}" for name in targets(found, profile_names, everything)]
    for row in supported.get("extensions", []):
        parent, _, _ = row["path"].rpartition("extension")
        places = (
            [*values(records, parent.rstrip(".")), *values(records, f"_{parent}".rstrip("."))] if parent else records
        )
        if not any(
            row["url"] == node["url"]
            for place in places
            if isinstance(place, dict)
            for node in values([place], "extension")
        ):
            missing.append(row["id"])
    return missing


@pytest.mark.parametrize(("version", "name"), [row for row in GROUPS if row[0] != "v3.1.1"])
def test_at_least_nine_tenths_of_must_supports_appear(
    version: str, name: str, kits: Record, everything: dict[str, Record]
) -> None:
    group = kits[version][name]
    missing = missing_must_supports(group, of_group(version, group, everything), everything)
    count = sum(len(group["must_support"].get(kind, [])) for kind in ("elements", "slices", "extensions"))
    print(f"US Core {version} {name}: {count - len(missing)} of {count}; missing: {', '.join(missing) or 'nothing'}")
    assert name in ELSEWHERE or len(set(missing) - WITHOUT_A_ROW) <= count / 10, missing


@pytest.mark.parametrize("version", ["6.1.0", "7.0.0"])
def test_every_us_core_profile_is_claimed_by_somebodys_record(version: str, everything: dict[str, Record]) -> None:
    path = SHARED / "implementation-guides" / f"hl7.fhir.us.core-{version}.tgz"
    if not path.exists():
        pytest.skip(f"no {path.name}: set SHARED to the directory that has implementation-guides/{path.name}")
    published = set()
    with tarfile.open(path) as archive:
        for entry in archive:
            if re.fullmatch(r"package/StructureDefinition-.*\.json", entry.name):
                file = archive.extractfile(entry)
                assert file is not None
                definition = json.load(file)
                if definition["kind"] == "resource" and definition["derivation"] == "constraint":
                    published.add(f"{definition['url']}|{version}")
    claimed = {profile for record in everything.values() for profile in record["meta"].get("profile", ())}
    assert len(published) > 40
    assert published <= claimed


def test_an_advance_directive_is_among_the_documents(clinical_records: list[Record]) -> None:
    kinds = [record["type"] for record in clinical_records if record["resourceType"] == "DocumentReference"]
    assert "42348-3" in {row["code"] for kind in kinds for row in kind["coding"]}
