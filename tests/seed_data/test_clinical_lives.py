"""Clinical records of drawn lives: valid, closed under reference, within the life, and the same story as the claims."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from seed_data.clinical.visits import visits
from seed_data.conditions import CONDITIONS, SENSITIVE
from seed_data.generate import AS_OF, shared_records
from seed_data.lives.life import life
from seed_data.members import Diagnosed, Member
from seed_data.ndjson import json_text
from seed_data.records import records

Record = dict[str, Any]
NDC = "http://hl7.org/fhir/sid/ndc"
SEED = 11
DATES = ("effectiveDateTime", "authoredOn", "date", "recordedDate", "issued", "occurrenceDateTime", "whenHandedOver")


def told(member: Member, as_of: date = AS_OF) -> list[Record]:
    return [json.loads(json_text(record)) for record in records(member, SEED, as_of)]


@pytest.fixture(scope="module")
def lives() -> list[tuple[Member, list[Record]]]:
    members = [life(SEED, number, AS_OF) for number in range(1, 41)]
    return [(member, told(member)) for member in members]


def walk(value: Any) -> Iterator[Record]:
    if isinstance(value, dict):
        yield value
        for found in value.values():
            yield from walk(found)
    elif isinstance(value, list):
        for found in value:
            yield from walk(found)


def of(found: list[Record], resource_type: str) -> list[Record]:
    return [record for record in found if record["resourceType"] == resource_type]


def codes(concept: Record) -> set[str]:
    return {row["code"] for row in concept.get("coding", ())}


def test_every_record_of_a_drawn_life_is_valid_r4(lives: list[tuple[Member, list[Record]]]) -> None:
    for _, found in lives[:12]:
        for record in found:
            get_fhir_model_class(record["resourceType"]).model_validate(record)


def test_ids_are_unique_and_references_stay_within_the_life_or_the_directory(
    lives: list[tuple[Member, list[Record]]],
) -> None:
    shared = {f"{record['resourceType']}/{record['id']}" for record in shared_records()}
    for member, found in lives:
        counted = Counter(f"{record['resourceType']}/{record['id']}" for record in found)
        assert max(counted.values()) == 1, member.key
        seen = set(shared)
        for record in found:
            seen.add(f"{record['resourceType']}/{record['id']}")
            named = {node["reference"] for node in walk(record) if isinstance(node.get("reference"), str)}
            assert named <= seen, record["id"]


def test_ids_are_fhir_ids_even_of_long_seeds() -> None:
    member = life(2_147_483_647, 999_999, AS_OF)
    for record in records(member, 2_147_483_647, AS_OF):
        assert len(record["id"]) <= 64, record["id"]


def test_a_life_is_told_between_birth_and_as_of(lives: list[tuple[Member, list[Record]]]) -> None:
    for member, found in lives:
        for record in found:
            assert datetime.fromisoformat(record["meta"]["lastUpdated"]).date() < AS_OF
            for element in DATES:
                if element in record and record["resourceType"] != "Encounter":
                    assert member.birth_date.isoformat() <= record[element][:10] <= AS_OF.isoformat(), record["id"]


def test_every_record_but_medications_and_binaries_has_a_provenance(lives: list[tuple[Member, list[Record]]]) -> None:
    for _, found in lives:
        targets = {target["reference"] for record in of(found, "Provenance") for target in record["target"]}
        own = {f"{r['resourceType']}/{r['id']}" for r in found if r["resourceType"] not in ("Provenance", "Binary")}
        assert targets == own


def test_every_visit_and_stay_that_was_billed_is_an_encounter_of_the_same_days_place_and_reason(
    lives: list[tuple[Member, list[Record]]],
) -> None:
    compared = 0
    for member, found in lives:
        encounters = {record["id"]: record for record in of(found, "Encounter")}
        claims = {record["id"]: record for record in of(found, "ExplanationOfBenefit")}
        for number, row in enumerate(member.claims, 1):
            claim = claims[f"eob-{member.key}-{number:03d}"]
            encounter = encounters.get(f"encounter-{member.key}-{number:03d}")
            billed = row.kind in ("inpatient", "outpatient", "professional") and not (row.replaced_by or row.primary)
            assert (encounter is not None) == billed
            if encounter is None:
                continue
            compared += 1
            assert encounter["period"]["start"][:10] == claim["billablePeriod"]["start"]
            assert encounter["period"]["end"][:10] == claim["billablePeriod"]["end"]
            reasons = {code for reason in encounter.get("reasonCode", ()) for code in codes(reason)}
            diagnosed = {code for row in claim["diagnosis"] for code in codes(row["diagnosisCodeableConcept"])}
            assert reasons & diagnosed or encounter["reasonReference"]
            conditions = [
                record for record in of(found, "Condition") if record.get("encounter", {}).get("reference", "")
                == f"Encounter/{encounter['id']}" and "visit" in record["id"]
            ]  # fmt: skip
            assert {code for record in conditions for code in codes(record["code"])} >= diagnosed
    assert compared > 300


def test_every_medicine_that_was_paid_for_was_handed_over_that_day(lives: list[tuple[Member, list[Record]]]) -> None:
    compared = 0
    for member, found in lives:
        dispensed = {record["id"]: record for record in of(found, "MedicationDispense")}
        requests = {record["id"] for record in of(found, "MedicationRequest")}
        claims = {record["id"]: record for record in of(found, "ExplanationOfBenefit")}
        for number, row in enumerate(member.claims, 1):
            record = dispensed.get(f"medicationdispense-{member.key}-{number:03d}")
            if record is None:
                continue
            compared += 1
            line = claims[f"eob-{member.key}-{number:03d}"]["item"][0]
            assert row.kind == "pharmacy"
            prescription = record["authorizingPrescription"][0]["reference"]
            assert prescription.removeprefix("MedicationRequest/") in requests
            if "medicationCodeableConcept" in record:
                assert codes(line["productOrService"]) & codes(record["medicationCodeableConcept"])
            if record["status"] == "completed":
                assert record["whenHandedOver"][:10] == line["servicedDate"]
    assert compared > 300


def test_laboratory_results_of_a_visit_are_those_its_diagnoses_call_for(
    lives: list[tuple[Member, list[Record]]],
) -> None:
    met = 0
    for member, found in lives:
        for visit in visits(member, AS_OF):
            if visit.scenario == "laboratory" and any(code == "E11.9" for code, _ in visit.diagnoses):
                met += 1
                assert f"observation-{member.key}-a1c-{visit.name}" in {r["id"] for r in of(found, "Observation")}
    assert met > 2


def test_what_stays_with_a_member_is_on_the_problem_list(lives: list[tuple[Member, list[Record]]]) -> None:
    for member, found in lives:
        listed = {
            code for r in of(found, "Condition") if "-problem-" in r["id"] for code in codes(r["code"])
        }  # fmt: skip
        chronic = {CONDITIONS[row.condition].code for row in member.conditions if is_chronic(row)}
        assert chronic <= listed


def is_chronic(row: Diagnosed) -> bool:
    return CONDITIONS[row.condition].course == "chronic"


def test_what_tells_of_a_sensitive_matter_is_labelled(lives: list[tuple[Member, list[Record]]]) -> None:
    labelled = Counter[str]()
    for _, found in lives:
        restricted = {f"{r['resourceType']}/{r['id']}" for r in found if "security" in r["meta"]}
        for record in found:
            name = f"{record['resourceType']}/{record['id']}"
            diagnosed = [row["diagnosisCodeableConcept"] for row in record.get("diagnosis", ())]
            reasons = [record.get("code", {}), *record.get("reasonCode", ()), *diagnosed]
            own = any(code in SENSITIVE for reason in reasons for code in codes(reason))
            because = [record.get("encounter", {}), *record.get("reasonReference", ()), *record.get("addresses", ())]
            indirect = record["resourceType"] != "MedicationRequest" and any(
                row.get("reference") in restricted for row in because
            )
            if own or indirect:
                assert name in restricted
            if name in restricted:
                assert [row["code"] for row in record["meta"]["security"]] in (["R", "BH"], ["R", "ETH"])
                labelled[record["resourceType"]] += 1
    assert min(labelled[kind] for kind in ("Condition", "Encounter", "DocumentReference", "MedicationRequest")) > 2
    assert labelled["Observation"] > 10
    assert sum(labelled.values()) < sum(len(found) for _, found in lives) / 5


def test_a_life_does_not_depend_on_who_came_before() -> None:
    alone = told(life(SEED, 7, AS_OF))
    [told(life(SEED, number, AS_OF)) for number in range(1, 7)]
    assert told(life(SEED, 7, AS_OF)) == alone


@pytest.mark.parametrize("as_of", [date(2024, 2, 29), date(2027, 1, 1)])
def test_lives_can_be_told_on_any_day(as_of: date) -> None:
    for number in range(1, 9):
        for record in told(life(SEED, number, as_of), as_of):
            assert datetime.fromisoformat(record["meta"]["lastUpdated"]).date() < as_of


def test_full_detail_is_some_two_to_three_hundred_records_a_member(lives: list[tuple[Member, list[Record]]]) -> None:
    counted = [len(found) for _, found in lives]
    assert 220 <= sum(counted) / len(counted) <= 380
