"""Bundles: their entries are records, their fullUrls lead to real ids, DELETE retracts.

https://hl7.org/fhir/R4/bundle.html and https://hl7.org/fhir/R4/http.html#transaction
"""

import json
from uuid import UUID

import pytest

from tests.factories import coverage, explanation_of_benefit, organization, patient, provenance, reference
from tests.ingest.store import Store, bundle, delete, outcomes, post, reasons, without

PATIENT_URN = "urn:uuid:5b1e2c1e-6f8a-4f6e-9b6e-0d1f7a3a9f10"
CLAIM_URN = "urn:uuid:0c9a5e52-8d2c-4b53-8a4f-6fd9c7b0a001"
PAYER_URN = "urn:uuid:0c9a5e52-8d2c-4b53-8a4f-6fd9c7b0a002"


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection", "searchset", "document"])
def test_each_entry_is_a_record(store: Store, kind: str) -> None:
    report = store.load_text(bundle({"resource": patient()}, {"resource": organization()}, type=kind))
    assert outcomes(report) == {"created": 2}


@pytest.mark.parametrize("kind", ["history", "transaction-response", "message", None, 5])
def test_a_bundle_of_another_type_is_rejected_as_one_record(store: Store, kind: str) -> None:
    report = store.load_text(bundle({"resource": patient()}, {"resource": organization()}, type=kind))
    assert outcomes(report) == {"rejected": 1}
    assert "Bundle.type is not one of transaction, batch, collection, searchset, document" in reasons(report)[0]


def test_an_outcome_among_search_results_is_no_record(store: Store) -> None:
    warning = {"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}}
    assert outcomes(store.load_text(bundle({"resource": patient()}, warning, type="searchset"))) == {"created": 1}


def test_urn_references_become_real_ones_everywhere_in_the_bundle(store: Store) -> None:
    claim = explanation_of_benefit(
        "c1",
        PATIENT_URN,
        insurer=reference(PAYER_URN) | {"display": "Payer"},
        contained=[
            {
                "resourceType": "Coverage",
                "id": "k",
                "status": "active",
                "beneficiary": reference(PATIENT_URN),
                "payor": [reference(PAYER_URN)],
            }
        ],
        extension=[{"url": "http://e.example", "valueReference": reference(PATIENT_URN)}],
    )
    report = store.load_text(
        bundle(
            post(provenance("w1", CLAIM_URN, PATIENT_URN), "urn:uuid:0c9a5e52-8d2c-4b53-8a4f-6fd9c7b0a003"),
            post(claim, CLAIM_URN),
            post(patient("anna"), PATIENT_URN),
            post(organization("payer"), PAYER_URN),
        )
    )
    assert outcomes(report) == {"created": 4}
    body = store.body("ExplanationOfBenefit/c1")
    assert "urn:uuid" not in json.dumps(body)
    assert body["insurer"] == {"reference": "Organization/payer", "display": "Payer"}
    assert (
        body["contained"][0]["beneficiary"] == body["extension"][0]["valueReference"] == {"reference": "Patient/anna"}
    )
    assert [target["reference"] for target in store.body("Provenance/w1")["target"]] == [
        "ExplanationOfBenefit/c1",
        "Patient/anna",
    ]
    assert store.row("Provenance/w1").patient == store.row("ExplanationOfBenefit/c1").patient == "anna"


def test_a_full_url_of_another_server_leads_to_the_entry_too(store: Store) -> None:
    base = "https://old.example/fhir"
    claim = explanation_of_benefit("c1", f"{base}/Patient/anna", insurer=reference(f"{base}/Organization/elsewhere"))
    store.load_text(
        bundle(
            {"fullUrl": f"{base}/Patient/anna", "resource": patient("anna")},
            {"fullUrl": f"{base}/ExplanationOfBenefit/c1", "resource": claim},
            type="searchset",
        )
    )
    body = store.body("ExplanationOfBenefit/c1")
    assert body["patient"] == {"reference": "Patient/anna"}
    assert body["insurer"] == {"reference": f"{base}/Organization/elsewhere"}


def test_entries_without_an_id_get_that_of_their_full_url_or_one_of_their_content(store: Store) -> None:
    content = bundle(
        post(without(patient("x"), "id"), PATIENT_URN),
        post(without(coverage("x", PATIENT_URN), "id")),
    )
    report = store.load_text(content)
    assert (outcomes(report), report.ids_assigned) == ({"created": 2}, 2)
    (row,) = store.rows("resource", type="Coverage")
    assert (row.patient, str(UUID(row.id))) == (PATIENT_URN.removeprefix("urn:uuid:"), row.id)
    before = store.snapshot()
    assert outcomes(store.load_text(content)) == {"unchanged": 2}
    assert store.snapshot() == before


def test_a_urn_that_is_in_no_entry_is_counted(store: Store) -> None:
    claim = explanation_of_benefit("c1", patient(), provider=reference(PAYER_URN))
    report = store.load_text(bundle(post(patient()), post(claim)))
    assert (outcomes(report), report.references_dangling) == ({"created": 2}, 1)


def test_a_member_named_by_a_urn_that_is_in_no_entry_is_rejected(store: Store) -> None:
    report = store.load_text(bundle(post(explanation_of_benefit("c1", PATIENT_URN))))
    assert (
        "entry 0: ExplanationOfBenefit/c1: ExplanationOfBenefit.patient does not refer to a Patient"
        in reasons(report)[0]
    )


def test_delete_retracts(store: Store) -> None:
    store.load(patient(), explanation_of_benefit("c1", patient()))
    content = bundle(delete("ExplanationOfBenefit/c1"), delete("ExplanationOfBenefit/never"), delete("Claim/1"))
    report = store.load_text(content)
    assert outcomes(report) == {"retracted": 1, "unchanged": 1, "unsupported": 1}
    assert any("ExplanationOfBenefit/never is not stored" in warning for warning in report.warnings)
    assert store.row("ExplanationOfBenefit/c1").deleted
    before = store.snapshot()
    assert outcomes(store.load_text(content)) == {"unchanged": 2, "unsupported": 1}
    assert store.snapshot() == before


def test_put_names_the_resource(store: Store) -> None:
    def put(resource: dict[str, object], url: str) -> dict[str, object]:
        return {"resource": resource, "request": {"method": "PUT", "url": url}}

    report = store.load_text(
        bundle(
            put(patient("anna"), "Patient/anna"),
            put(without(patient("x"), "id"), "Patient/bert"),
            put(patient("carl"), "Patient/dora"),
            put(without(organization("x"), "id"), "Organization?identifier=s|1"),
        )
    )
    assert outcomes(report) == {"created": 3, "rejected": 1}
    assert "entry 2: Patient: request.url names another resource" in reasons(report)[0]
    assert {row.id for row in store.rows("resource", type="Patient")} == {"anna", "bert"}
    (made,) = store.rows("resource", type="Organization")
    changed = without(organization("x", name="New name"), "id")
    assert outcomes(store.load_text(bundle(put(changed, "Organization?identifier=s|1")))) == {"updated": 1}
    assert store.row(f"Organization/{made.id}").version == "2"


@pytest.mark.parametrize("method", ["PATCH", "put", 5])
def test_another_method_is_rejected(store: Store, method: object) -> None:
    entry = {"resource": patient(), "request": {"method": method, "url": "Patient/anna"}}
    assert "request.method is not POST, PUT or DELETE" in reasons(store.load_text(bundle(entry)))[0]


def test_a_request_to_read_is_no_record(store: Store) -> None:
    reading = {"request": {"method": "GET", "url": "Patient/anna"}}
    assert outcomes(store.load_text(bundle(reading, post(patient())))) == {"created": 1}


def test_a_bad_entry_does_not_take_the_others_with_it(store: Store) -> None:
    report = store.load_text(
        bundle(post(patient("a")), {"fullUrl": "x"}, 5, post(patient("b", birthDate="x")), post(patient("c")))
    )  # type: ignore[arg-type]
    assert outcomes(report) == {"created": 2, "rejected": 3}
    assert [outcome.place.position for outcome in report.rejected] == ["entry 1", "entry 2", "entry 3"]


def test_a_bundle_is_loaded_in_one_transaction(store: Store) -> None:
    store.load_text(bundle(*[post(patient(f"p{number}")) for number in range(700)]))
    assert len({row.loaded_at for row in store.rows("resource")}) == 1
