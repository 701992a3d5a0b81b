"""The synthetic payer as a whole: always the same, valid, closed under reference, and free of licensed words."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

import seed_data
from seed_data.clinical.generate import TYPES
from seed_data.directory import national_provider_identifier
from seed_data.generate import AS_OF, EVERYONE, LOGINS, SEED, resources, write_ndjson
from seed_data.personas import FIVE_THOUSAND, MEMBER, MEMBERS
from seed_data.records import records as records_of

Record = dict[str, Any]
OTHER_PAYERS = {"organization-brightwater", "organization-oldfield"}
SAME_NAME_STORY = MEMBER["santos-first"].story

LICENSED = ("ama-assn.org", "ada.org", "nubc.org", "x12.org", "ADATooth", "ADAUniversal", "NCPDP", "nucc.org")


def walk(value: Any) -> Iterator[Record]:
    if isinstance(value, dict):
        yield value
        for found in value.values():
            yield from walk(found)
    elif isinstance(value, list):
        for found in value:
            yield from walk(found)


def bytes_of(paths: list[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


def test_the_same_seed_and_date_give_the_same_bytes(tmp_path: Path) -> None:
    first = bytes_of(write_ndjson(tmp_path / "first", 7, date(2025, 5, 20)))
    assert first == bytes_of(write_ndjson(tmp_path / "second", 7, date(2025, 5, 20)))


def test_another_seed_gives_other_claims_for_the_same_members(tmp_path: Path) -> None:
    first, second = bytes_of(write_ndjson(tmp_path / "first", 1)), bytes_of(write_ndjson(tmp_path / "second", 2))
    assert first["ExplanationOfBenefit.ndjson"] != second["ExplanationOfBenefit.ndjson"]
    assert {r["id"] for r in resources(1)} == {r["id"] for r in resources(2)}


@pytest.mark.parametrize("as_of", [date(2024, 2, 29), date(2026, 1, 1), date(2026, 12, 31)])
def test_every_as_of_date_can_be_generated(as_of: date) -> None:
    for record in resources(as_of=as_of):
        assert datetime.fromisoformat(record["meta"]["lastUpdated"]).date() < as_of  # type: ignore[index]


def test_every_record_is_valid_r4(records: list[Record]) -> None:
    for record in records:
        get_fhir_model_class(record["resourceType"]).model_validate(record)


def test_ids_are_unique(records: list[Record]) -> None:
    counted = Counter((r["resourceType"], r["id"]) for r in records)
    assert max(counted.values()) == 1


def test_every_reference_resolves_within_the_data_set(records: list[Record]) -> None:
    known = {f"{r['resourceType']}/{r['id']}" for r in records}
    referred = {node["reference"] for r in records for node in walk(r) if isinstance(node.get("reference"), str)}
    assert referred <= known


def test_what_is_referred_to_comes_first() -> None:
    seen: set[str] = set()
    for record in resources():
        seen.add(f"{record['resourceType']}/{record['id']}")
        referred = {node["reference"] for node in walk(record) if isinstance(node.get("reference"), str)}
        assert referred <= seen, record["id"]


def test_last_updated_is_in_the_past_with_an_offset_and_differs_in_form(records: list[Record]) -> None:
    moments = [r["meta"]["lastUpdated"] for r in records]
    end = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
    assert all(datetime.fromisoformat(moment) < end for moment in moments)
    assert any("." in moment for moment in moments)
    assert {moment[-6:] for moment in moments} >= {"-05:00", "-04:00", "+00:00"}


def test_npis_have_valid_check_digits(records: list[Record]) -> None:
    npis = [
        node["value"] for r in records for node in walk(r) if node.get("system") == "http://hl7.org/fhir/sid/us-npi"
    ]
    assert len(set(npis)) == len(npis) == 98
    for npi in npis:
        digits = [int(digit) for digit in "80840" + npi]
        doubled = [sum(divmod(2 * d, 10)) if n % 2 else d for n, d in enumerate(reversed(digits))]
        assert len(npi) == 10
        assert sum(doubled) % 10 == 0
    assert national_provider_identifier("123456789") == "1234567893"


def test_no_licensed_descriptive_text(records: list[Record]) -> None:
    for record in records:
        for node in walk(record):
            if any(owner in str(node.get("system", "")) for owner in LICENSED):
                assert "display" not in node, (record["id"], node)


def test_telephones_are_fictitious_and_mail_goes_nowhere(records: list[Record]) -> None:
    for record in records:
        for node in walk(record):
            if node.get("system") == "phone":
                assert re.fullmatch(r"\d{3}-555-\d{4}", node["value"])
            if node.get("system") == "email":
                assert node["value"].endswith("@example.com")


def test_every_member_has_a_coverage_and_every_coverage_a_reporting_unit(records: list[Record]) -> None:
    units = tomllib.loads((Path(seed_data.__file__).parent / "reporting_units.toml").read_text(encoding="utf-8"))[
        "unit"
    ]
    by_reference = {f"{r['resourceType']}/{r['id']}": r for r in records}
    covered, used = set(), set()
    for coverage in (r for r in records if r["resourceType"] == "Coverage"):
        covered.add(coverage["beneficiary"]["reference"])
        payor = by_reference[coverage["payor"][0]["reference"]]
        if payor["id"] in OTHER_PAYERS:
            continue  # what another insurer covers is not this payer's to report
        identifiers = {f"{row.get('system', '')}|{row['value']}" for row in payor["identifier"]}
        classes = {f"{row['type']['coding'][0]['code']}|{row['value']}" for row in coverage["class"]}
        matching = [
            number
            for number, unit in enumerate(units)
            if unit.get("payor", next(iter(identifiers))) in identifiers and unit["class"] in classes
        ]
        assert matching, coverage["id"]
        used.add(matching[0])
    assert covered == {f"Patient/{member.id}" for member in MEMBERS}
    assert used == set(range(len(units)))


def test_every_reporting_line_of_business_is_known() -> None:
    units = tomllib.loads((Path(seed_data.__file__).parent / "reporting_units.toml").read_text(encoding="utf-8"))[
        "unit"
    ]
    known = {"line_of_business", "payor", "class", "extension", "contract", "plan", "program", "issuer", "state"}
    assert all(set(unit) <= known for unit in units)
    assert {unit["line_of_business"] for unit in units} == {
        "medicare-advantage",
        "medicaid-managed-care",
        "chip-managed-care",
        "qhp",
    }


def test_every_record_of_a_member_has_a_provenance_within_that_member(records: list[Record]) -> None:
    def member_of(record: Record) -> str:
        if record["resourceType"] == "Patient":
            return f"Patient/{record['id']}"
        subject: str = (record.get("patient") or record.get("subject") or record.get("beneficiary") or {}).get(
            "reference", ""
        )
        return subject

    by_reference = {f"{r['resourceType']}/{r['id']}": r for r in records}
    targets: set[str] = set()
    for provenance in (r for r in records if r["resourceType"] == "Provenance"):
        found = [row["reference"] for row in provenance["target"]]
        assert len({member_of(by_reference[reference]) for reference in found}) == 1
        types = {row["type"]["coding"][0]["code"] for row in provenance["agent"]}
        assert types == {"author", "transmitter"}
        targets.update(found)
    own = {"Patient", "RelatedPerson", "Coverage", "ExplanationOfBenefit", *TYPES} - {"Medication", "Binary"}
    assert targets == {reference for reference in by_reference if reference.split("/")[0] in own}


def test_sign_ins_name_seeded_patients_and_those_who_act_for_others_are_related_persons(records: list[Record]) -> None:
    patients = {r["id"] for r in records if r["resourceType"] == "Patient"} | {FIVE_THOUSAND.id}
    assert {row.patient for login in LOGINS for row in login.acts_for} == patients
    assert len({login.username for login in LOGINS}) == len(LOGINS)
    by_name = {login.username: [row.relationship for row in login.acts_for] for login in LOGINS}
    assert by_name["castellanos"] == ["self", "parent", "parent"]
    assert by_name["okonjo-hale"] == ["parent"] * 3
    assert by_name["whitlock-dara"] == ["daughter"]
    related = {(r["id"], r["patient"]["reference"]) for r in records if r["resourceType"] == "RelatedPerson"}
    rows = [row for login in LOGINS for row in login.acts_for if row.relationship != "self"]
    assert related == {(row.related_person, f"Patient/{row.patient}") for row in rows}


def test_there_are_at_least_forty_personas_each_with_a_story_number_and_key_of_its_own() -> None:
    assert len(EVERYONE) >= 40
    for attribute in ("number", "key", "story", "card_number"):
        told = Counter(getattr(member, attribute) for member in EVERYONE)
        assert {text for text, times in told.items() if times > 1} <= {SAME_NAME_STORY}


def test_five_thousand_claims_are_one_member_and_no_provenance_is_of_more_than_five_hundred() -> None:
    found = Counter(r["resourceType"] for r in records_of(FIVE_THOUSAND, SEED, AS_OF))
    assert found["ExplanationOfBenefit"] == 5000
    assert set(found) == {"Patient", "Coverage", "ExplanationOfBenefit", "Provenance"}
    assert found["Provenance"] == 1 + 3 + 8
