"""Conditional references: resolved when the target is there, logical until then.

https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/R4/references.html#logical
"""

import json

import pytest

from tests.factories import coverage, explanation_of_benefit, identifier, organization, patient, reference
from tests.ingest.store import NPI, Store, conditional, outcomes, reasons

ANNA, BERT = patient("anna"), patient("bert")
HOSPITAL = organization("hospital", identifier=[identifier("123", NPI)])
OTHER = organization("other", identifier=[identifier("123", NPI)])
LOGICAL = {"type": "Organization", "identifier": {"system": NPI, "value": "123"}, "display": "The hospital"}
LITERAL = {"reference": "Organization/hospital", "display": "The hospital"}


def claim(**provider: str) -> dict[str, object]:
    return explanation_of_benefit(
        "c1", ANNA, provider=conditional("Organization", "123", display="The hospital") | provider
    )


@pytest.mark.parametrize(
    "search",
    [
        f"identifier={NPI}|123",
        f"identifier={NPI}%7C123",
        "identifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C123",
        "identifier=123",
    ],
)
def test_it_resolves_when_the_target_is_stored(store: Store, search: str) -> None:
    store.load(HOSPITAL)
    report = store.load(ANNA, claim(reference=f"Organization?{search}"))
    assert report.references_resolved == 1
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LITERAL
    assert store.rows("awaited_reference", system=NPI) == []
    assert len(store.rows("reference_index", parameter="provider", target_id="hospital")) == 1


def test_it_resolves_when_the_target_comes_in_the_same_batch_in_any_order(store: Store) -> None:
    store.load(ANNA, claim(), HOSPITAL)
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LITERAL
    assert store.history("ExplanationOfBenefit/c1") == []


def test_it_is_a_logical_reference_until_the_target_arrives(store: Store) -> None:
    report = store.load(ANNA, claim())
    assert report.references_awaited == 1
    first = store.row("ExplanationOfBenefit/c1")
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LOGICAL
    assert len(store.rows("token_index", parameter="provider:identifier", code="123")) == 1
    report = store.load(HOSPITAL)
    assert report.references_resolved == 1
    second = store.row("ExplanationOfBenefit/c1")
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LITERAL
    assert (first.version, second.version) == ("1", "2")
    assert (second.last_updated, second.hash) == (first.last_updated, first.hash)
    assert second.loaded_at > first.loaded_at
    assert [json.loads(row.body)["provider"] for row in store.history("ExplanationOfBenefit/c1")] == [LOGICAL]
    assert store.rows("token_index", parameter="provider:identifier") == []
    assert len(store.rows("reference_index", parameter="provider", target_id="hospital")) == 1


def test_the_input_is_compared_before_references_are_resolved(store: Store) -> None:
    records = (ANNA, claim(), HOSPITAL)
    for record in records:
        store.load(record)
    before = store.snapshot()
    assert outcomes(store.load(*records)) == {"unchanged": 3}
    assert store.snapshot() == before


def test_the_order_of_files_does_not_matter_to_the_final_references(store: Store) -> None:
    (store.folder / "a.ndjson").write_text("\n".join(json.dumps(record) for record in (claim(), ANNA)))
    (store.folder / "b.ndjson").write_text("\n".join(json.dumps(patient(f"p{n}")) for n in range(600)))
    (store.folder / "c.ndjson").write_text(json.dumps(HOSPITAL))
    store.load_paths(store.folder)
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LITERAL


def test_an_identifier_of_two_resources_resolves_to_neither(store: Store) -> None:
    store.load(HOSPITAL, OTHER, ANNA, claim())
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LOGICAL
    store.load(organization("other"))
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LOGICAL
    store.load(organization("hospital", name="New", identifier=[identifier("123", NPI)]))
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LITERAL


def test_a_system_must_be_the_same(store: Store) -> None:
    store.load(organization("hospital", identifier=[identifier("123", "http://other.example")]), ANNA, claim())
    assert store.body("ExplanationOfBenefit/c1")["provider"] == LOGICAL
    none = claim(reference="Organization?identifier=|123")
    store.load(none)
    assert store.body("ExplanationOfBenefit/c1")["provider"]["identifier"] == {"value": "123"}


def test_a_logical_reference_of_the_payer_stays(store: Store) -> None:
    own = {"identifier": {"system": NPI, "value": "123"}, "display": "as the payer wrote it"}
    store.load(ANNA, explanation_of_benefit("c1", ANNA, provider=own), HOSPITAL)
    assert store.body("ExplanationOfBenefit/c1")["provider"] == own


def test_a_members_resource_is_a_target_for_the_same_member_only(store: Store) -> None:
    for member in (ANNA, BERT):
        store.load(member)
    store.load(coverage("v1", ANNA, identifier=[identifier("k-1")]))
    insurance = [{"focal": True, "coverage": conditional("Coverage", "k-1", "https://payer.example/identifiers")}]
    store.load(
        explanation_of_benefit("c1", ANNA, insurance=insurance), explanation_of_benefit("c2", BERT, insurance=insurance)
    )
    assert store.body("ExplanationOfBenefit/c1")["insurance"][0]["coverage"] == {"reference": "Coverage/v1"}
    assert "reference" not in store.body("ExplanationOfBenefit/c2")["insurance"][0]["coverage"]


def test_a_member_may_be_named_by_an_identifier(store: Store) -> None:
    named = conditional("Patient", "member-anna", "https://payer.example/identifiers")
    report = store.load(explanation_of_benefit("c1", ANNA) | {"patient": named})
    assert (outcomes(report), report.resources_waiting) == ({"created": 1}, 1)
    assert store.row("ExplanationOfBenefit/c1").patient == "?"
    store.load(ANNA)
    row = store.row("ExplanationOfBenefit/c1")
    assert (row.patient, store.body("ExplanationOfBenefit/c1")["patient"]) == ("anna", {"reference": "Patient/anna"})
    assert {entry.patient for entry in store.rows("token_index", resource=row.key)} == {"anna"}
    store.load(coverage("v1", ANNA) | {"beneficiary": named})
    assert store.row("Coverage/v1").patient == "anna"


@pytest.mark.parametrize(
    "search",
    [
        "name=x",
        "identifier=a|1&name=x",
        "identifier=a|1,a|2",
        "identifier=",
        "identifier=a|",
        "identifier:of-type=x",
        "",
    ],
)
def test_another_conditional_reference_is_rejected(store: Store, search: str) -> None:
    report = store.load(ANNA, claim(reference=f"Organization?{search}"))
    assert outcomes(report) == {"created": 1, "rejected": 1}
    assert "Write Type?identifier=system|value" in reasons(report)[0]


def test_a_location_without_an_identifier_parameter_is_found_all_the_same(store: Store) -> None:
    where = {"resourceType": "Location", "id": "l1", "name": "Ward", "identifier": [identifier("w", "s")]}
    store.load(where)
    store.load(ANNA, explanation_of_benefit("c1", ANNA, facility=conditional("Location", "w", "s")))
    assert store.body("ExplanationOfBenefit/c1")["facility"] == {"reference": "Location/l1"}


def test_several_references_to_one_target_resolve_together(store: Store) -> None:
    team = [{"sequence": n, "provider": conditional("Organization", str(n))} for n in (123, 456)]
    store.load(ANNA, claim() | {"careTeam": team})
    store.load(HOSPITAL)
    body = store.body("ExplanationOfBenefit/c1")
    assert body["careTeam"][0]["provider"] == reference(HOSPITAL)
    assert "reference" not in body["careTeam"][1]["provider"]
    assert [row.value for row in store.rows("awaited_reference", target_type="Organization", system=NPI)] == ["456"]
    store.load(organization("lab", identifier=[identifier("456", NPI)]))
    assert store.body("ExplanationOfBenefit/c1")["careTeam"][1]["provider"] == {"reference": "Organization/lab"}
    assert store.row("ExplanationOfBenefit/c1").version == "3"
