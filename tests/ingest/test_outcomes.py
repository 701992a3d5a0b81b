"""How a record ends: created, updated, unchanged, retracted, unsupported or rejected; and what is stored then.

https://hl7.org/fhir/R4/http.html#update
"""

import json
from datetime import UTC, datetime

import pytest

from server import clock
from server.clock import to_microseconds
from tests.factories import coverage, explanation_of_benefit, organization, patient, practitioner, reference
from tests.ingest.store import Store, outcomes, reasons, without

ANNA, BERT = patient("anna"), patient("bert")


def test_a_new_record_is_created_with_the_payers_id_version_time_and_profile(store: Store) -> None:
    claim = explanation_of_benefit(
        "c1",
        ANNA,
        meta={"versionId": "7", "lastUpdated": "2026-01-02T03:04:05.678-05:00", "profile": ["http://p.example/x"]},
    )
    assert outcomes(store.load(ANNA, claim)) == {"created": 2}
    row = store.row("ExplanationOfBenefit/c1")
    assert (row.patient, row.version, row.deleted) == ("anna", "7", False)
    assert row.last_updated == to_microseconds(datetime(2026, 1, 2, 8, 4, 5, 678000, UTC))
    assert store.body("ExplanationOfBenefit/c1") == claim


def test_loading_the_same_again_changes_nothing(store: Store) -> None:
    records = (ANNA, organization("payer"), coverage("v1", ANNA), explanation_of_benefit("c1", ANNA), practitioner())
    store.load(*records)
    before = store.snapshot()
    assert outcomes(store.load(*records)) == {"unchanged": len(records)}
    assert store.snapshot() == before


def test_a_record_that_differs_only_in_what_servers_assign_or_in_order_is_unchanged(store: Store) -> None:
    store.load(ANNA)
    again = dict(reversed((ANNA | {"meta": {"versionId": "9", "lastUpdated": "2026-10-02T00:00:00Z"}}).items()))
    assert outcomes(store.load(again)) == {"unchanged": 1}
    assert store.body("Patient/anna")["meta"]["lastUpdated"] == ANNA["meta"]["lastUpdated"]


def test_a_changed_record_supersedes_the_version_before(store: Store) -> None:
    store.load(ANNA, explanation_of_benefit("c1", ANNA))
    first = store.row("ExplanationOfBenefit/c1")
    report = store.load(explanation_of_benefit("c1", ANNA, outcome="partial"))
    assert outcomes(report) == {"updated": 1}
    second = store.row("ExplanationOfBenefit/c1")
    assert (first.version, second.version, second.key) == ("1", "2", first.key)
    assert second.loaded_at > first.loaded_at
    (kept,) = store.history("ExplanationOfBenefit/c1")
    assert (kept.version, kept.patient, bytes(kept.body), kept.deleted) == ("1", "anna", bytes(first.body), False)


def test_index_rows_are_those_of_the_current_version(store: Store) -> None:
    store.load(ANNA, explanation_of_benefit("c1", ANNA))
    store.load(
        explanation_of_benefit("c1", ANNA, identifier=[{"value": "other"}], provider=reference("Practitioner/p"))
    )
    key = store.row("ExplanationOfBenefit/c1").key
    tokens = {(row.parameter, row.code) for row in store.rows("token_index", resource=key)}
    assert tokens == {("identifier", "other"), ("type", "professional"), ("use", "claim")}
    providers = store.rows("reference_index", resource=key, parameter="provider")
    assert [(row.target_type, row.target_id, row.patient) for row in providers] == [("Practitioner", "p", "anna")]


@pytest.mark.parametrize(
    ("sent", "given", "assigned", "renumbered"),
    [
        ([None, None], ["1", "2"], 2, 0),
        (["1", "1"], ["1", "2"], 0, 1),
        (["5", "3"], ["5", "3"], 0, 0),
        (["5", None], ["5", "6"], 1, 0),
        (["a", "a"], ["a", "1"], 0, 1),
        (["1", "2", "1"], ["1", "2", "3"], 0, 1),
    ],
)
def test_the_payers_version_id_is_kept_where_it_is_new(
    store: Store, sent: list[str | None], given: list[str], assigned: int, renumbered: int
) -> None:
    counted = [0, 0]
    for number, version in enumerate(sent):
        meta = {"versionId": version} if version else {}
        report = store.load(ANNA | {"birthDate": f"199{number}-01-01", "meta": ANNA["meta"] | meta})
        counted = [counted[0] + report.versions_assigned, counted[1] + report.versions_renumbered]
    versions = [row.version for row in store.history("Patient/anna")] + [store.row("Patient/anna").version]
    assert versions == given
    assert counted == [assigned, renumbered]
    assert store.body("Patient/anna")["meta"]["versionId"] == given[-1]


@pytest.mark.parametrize("last_updated", [None, "9999-12-31T00:00:00Z", "2026-11-02T00:00:01Z"])
def test_a_last_updated_that_is_missing_or_in_the_future_becomes_the_time_of_the_load(
    store: Store, last_updated: str | None
) -> None:
    with clock.set_to(datetime(2026, 11, 2, tzinfo=UTC)):
        report = store.load(ANNA | {"meta": {"lastUpdated": last_updated} if last_updated else {"source": "x"}})
    assert report.last_updated_replaced == 1
    assert store.body("Patient/anna")["meta"]["lastUpdated"] == "2026-11-02T00:00:00.000Z"
    assert store.row("Patient/anna").last_updated == to_microseconds(datetime(2026, 11, 2, tzinfo=UTC))


def test_loads_are_numbered_in_order_also_when_the_clock_stands_still_or_goes_back(store: Store) -> None:
    moments = []
    for day in (3, 3, 2):
        with clock.set_to(datetime(2026, 11, day, tzinfo=UTC)):
            store.load(patient("anna", birthDate=f"198{len(moments)}-01-01"))
        moments.append(store.row("Patient/anna").loaded_at)
    assert moments == sorted(set(moments))


def test_decimals_letters_and_order_stay_as_they_came(store: Store) -> None:
    text = (
        '{"resourceType":"ExplanationOfBenefit","id":"c1","meta":{"lastUpdated":"2026-01-01T00:00:00Z","versionId":"4"},'
        '"status":"active","type":{"text":"Ünïcode ☂ \\u00e9 \\/ \\"quoted\\""},"use":"claim","patient":{"reference":"Patient/anna"},'
        '"created":"2026-01-01","insurer":{"display":"x"},"provider":{"display":"y"},"outcome":"complete",'
        '"insurance":[{"focal":true,"coverage":{"display":"z"}}],'
        '"total":[{"category":{"text":"a"},"amount":{"value":0.00,"currency":"USD"}},'
        '{"category":{"text":"b"},"amount":{"value":1.50}},{"category":{"text":"c"},"amount":{"value":100}},'
        '{"category":{"text":"d"},"amount":{"value":-0.0}},{"category":{"text":"e"},"amount":{"value":1E2}},'
        '{"category":{"text":"f"},"amount":{"value":12345678901234.5678901234}}]}'
    )
    assert outcomes(store.load_text(text)) == {"created": 1}
    stored = bytes(store.row("ExplanationOfBenefit/c1").body).decode()
    assert stored == text.replace("\\u00e9", "é").replace("\\/", "/")


def test_a_record_without_meta_gets_it_after_its_id(store: Store) -> None:
    store.load(without(ANNA, "meta"))
    assert list(store.body("Patient/anna"))[:3] == ["resourceType", "id", "meta"]


def test_a_record_without_an_id_gets_the_same_one_every_time(store: Store) -> None:
    nameless = without(organization(), "id")
    report = store.load(nameless)
    assert (outcomes(report), report.ids_assigned) == ({"created": 1}, 1)
    (row,) = store.rows("resource", type="Organization")
    assert list(json.loads(row.body))[:2] == ["resourceType", "id"]
    assert json.loads(row.body)["id"] == row.id
    assert outcomes(store.load(nameless)) == {"unchanged": 1}


def test_a_type_without_a_row_is_counted_and_not_stored(store: Store) -> None:
    report = store.load(ANNA, {"resourceType": "Claim", "id": "1", "anything": "goes"})
    assert outcomes(report) == {"created": 1, "unsupported": 1}
    assert report.exit_code == 0
    assert store.rows("resource", type="Claim") == []


def test_a_record_of_a_member_who_is_not_loaded_is_stored_with_one_warning(store: Store) -> None:
    report = store.load(explanation_of_benefit("c1", ANNA), explanation_of_benefit("c2", ANNA))
    assert (outcomes(report), report.exit_code) == ({"created": 2}, 0)
    (warning,) = report.warnings
    assert warning.startswith("Patient/anna is not loaded")


def test_the_order_of_member_and_record_does_not_matter_to_the_warning(store: Store) -> None:
    assert not store.load(explanation_of_benefit("c1", ANNA), ANNA).warnings


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"id": "1"}, "input.json, line 2: resourceType is missing or not a string -> Add the resourceType."),
        ({"resourceType": 5}, "line 2: resourceType is missing"),
        (["Patient"], "line 2: is not a JSON object"),
        ("Patient", "line 2: is not a JSON object"),
        (patient("a_b"), "Patient: Patient.id is not a FHIR id"),
        (patient("x" * 65), "Patient.id is not a FHIR id"),
        (patient() | {"id": 5}, "Patient.id is not a FHIR id"),
        (
            without(coverage("v", ANNA), "beneficiary"),
            "Coverage/v: Coverage.beneficiary is required and missing -> Add it.",
        ),
        (without(coverage("v", ANNA), "status"), "Coverage/v: Coverage.status is required and missing"),
        (patient(birthDate="2026-02-30"), "Patient/anna: Patient.birthDate is not valid R4"),
        (patient(active="true"), "Patient.active must not be a string -> Remove the quotation marks."),
        (patient(multipleBirthInteger=1.5), "Patient.multipleBirthInteger must be a whole number"),
        (patient(name={"family": "x"}), "Patient.name must be a list"),
        (patient(name=[{"family": ["x"]}]), "Patient.name[0].family must be a string"),
        (patient(nickname="x"), "Patient.nickname is not an element of R4 here"),
        (patient(gender=None), "Patient.gender is null or empty"),
        (patient(contact=[]), "Patient.contact is null or empty"),
        (
            patient(deceasedBoolean=True, deceasedDateTime="2026"),
            "Patient may have only one of deceasedBoolean, deceasedDateTime",
        ),
        (patient(contained=[{"resourceType": "Spell"}]), "Patient.contained[0] is not a resource of R4"),
        (patient(name=[{"family": "a\u0000b"}]), "Patient.name[0].family has a control character"),
        (patient(name=[{"family": "a\ud800b"}]), "cannot be written as JSON"),
        (patient(multipleBirthInteger=10**30), "cannot be written as JSON"),
        (coverage("v", "Group/1"), "Coverage/v: Coverage.beneficiary does not refer to a Patient of this server"),
        (coverage("v", "https://other.example/fhir/Patient/1"), "Coverage.beneficiary does not refer to a Patient"),
        (coverage("v", ANNA) | {"beneficiary": {"display": "Anna"}}, "Refer to the member as Patient/<id>."),
        (
            explanation_of_benefit("c", ANNA, billablePeriod={"start": "2026-02", "end": "2026-01"}),
            "ExplanationOfBenefit.billablePeriod | ExplanationOfBenefit.item.serviced ends before it starts",
        ),
    ],
)
def test_a_record_that_cannot_be_used_is_rejected_with_place_path_reason_and_fix(
    store: Store, resource: object, expected: str
) -> None:
    report = store.load(BERT, resource, organization())
    assert (outcomes(report), report.exit_code) == ({"created": 2, "rejected": 1}, 1)
    (reason,) = reasons(report)
    assert expected in reason
    assert len(store.rows("resource")) == 2


def test_every_issue_of_a_record_is_in_its_rejection(store: Store) -> None:
    (reason,) = reasons(store.load(without(coverage("v", ANNA), "beneficiary", "payor")))
    assert "Coverage.beneficiary is required and missing" in reason
    assert "Coverage.payor is required and missing" in reason


def test_a_rejection_does_not_quote_the_record(store: Store) -> None:
    (reason,) = reasons(store.load(patient(birthDate="17th of May", telecom=[{"value": 5551234}])))
    assert "17th" not in reason
    assert "5551234" not in reason


def test_a_rejected_new_version_leaves_the_stored_one(store: Store) -> None:
    store.load(ANNA)
    before = store.row("Patient/anna")
    assert outcomes(store.load(patient(birthDate="never"))) == {"rejected": 1}
    assert store.row("Patient/anna") == before


def test_an_absolute_reference_to_this_server_names_the_member(store: Store) -> None:
    store.load(ANNA, coverage("v", f"{store.settings.fhir_base}/Patient/anna"))
    assert store.row("Coverage/v").patient == "anna"


def test_a_resource_that_moves_leaves_a_tombstone_with_its_former_member(store: Store) -> None:
    store.load(ANNA, BERT, explanation_of_benefit("c1", ANNA))
    report = store.load(explanation_of_benefit("c1", BERT))
    assert outcomes(report) == {"updated": 1}
    current = store.row("ExplanationOfBenefit/c1")
    history = [
        (row.patient, row.version, row.deleted, bool(row.body)) for row in store.history("ExplanationOfBenefit/c1")
    ]
    assert (current.patient, current.version) == ("bert", "2")
    assert history == [("anna", "1", False, True), ("anna", "3", True, False)]
    assert {row.patient for row in store.rows("token_index", resource=current.key)} == {"bert"}
    assert store.history("ExplanationOfBenefit/c1")[1].loaded_at == current.loaded_at


def test_a_resource_may_come_twice_in_one_load(store: Store) -> None:
    report = store.load(ANNA, patient(gender="other"), patient(gender="other"))
    assert outcomes(report) == {"created": 1, "updated": 1, "unchanged": 1}
    assert [store.row("Patient/anna").version, len(store.history("Patient/anna"))] == ["2", 1]


def test_a_retracted_resource_leaves_a_tombstone_and_can_come_back(store: Store) -> None:
    claim = explanation_of_benefit("c1", ANNA)
    store.load(ANNA, claim)
    report = store.retract("ExplanationOfBenefit/c1")
    assert (outcomes(report), report.exit_code) == ({"retracted": 1}, 0)
    row = store.row("ExplanationOfBenefit/c1")
    assert (row.deleted, row.version, bytes(row.body)) == (True, "2", b"")
    assert store.rows("token_index", resource=row.key) == []
    assert [bool(version.body) for version in store.history("ExplanationOfBenefit/c1")] == [True]
    assert outcomes(store.retract("ExplanationOfBenefit/c1")) == {"unchanged": 1}
    assert outcomes(store.load(claim)) == {"created": 1}
    row = store.row("ExplanationOfBenefit/c1")
    assert (row.deleted, row.version) == (False, "3")
    assert [version.version for version in store.history("ExplanationOfBenefit/c1")] == ["1", "2"]


@pytest.mark.parametrize("named", ["Patient/nobody", "Patient", "Patient/a_b", ""])
def test_what_is_not_stored_cannot_be_retracted(store: Store, named: str) -> None:
    report = store.retract(named)
    assert (outcomes(report), report.exit_code) == ({"rejected": 1}, 1)


def test_the_report_says_it_in_words_and_as_json(store: Store) -> None:
    report = store.load(ANNA, coverage("v", "Group/1"), {"resourceType": "Claim", "id": "1"})
    text = str(report)
    assert "3 records in 1 file" in text
    assert "Rejected: input.json, line 2: Coverage/v: Coverage.beneficiary does not refer" in text
    document = json.loads(json.dumps(report.as_json()))
    assert document["outcomes"] == {"Claim": {"unsupported": 1}, "Coverage": {"rejected": 1}, "Patient": {"created": 1}}
    assert document["rejected"][0]["place"] == "input.json, line 2"
    assert (document["exit_code"], document["versions_assigned"]) == (1, 1)


@pytest.mark.parametrize(
    ("depth", "ended"), [(20, "created"), (120, None), (300, "rejected"), (900, "rejected"), (50_000, "rejected")]
)
def test_depth_is_no_way_to_stop_a_load(store: Store, depth: int, ended: str | None) -> None:
    extension = '{"url":"http://e.example","extension":[' * depth + '{"url":"x","valueString":"x"}' + "]}" * depth
    deep = f'{{"resourceType":"Patient","id":"deep","extension":[{extension}]}}'
    report = store.load_text(f"{deep}\n{json.dumps(BERT)}")
    assert outcomes(report) in (
        [{"created": 2}] if ended == "created" else [{"created": 2}, {"created": 1, "rejected": 1}]
    )
    assert "cannot be stored" not in str(report)
    assert ended != "rejected" or report.exit_code == 1
