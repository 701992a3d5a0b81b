"""Records that belong to whom their targets belong to, whenever those arrive.

https://hl7.org/fhir/R4/provenance.html
"""

import pytest

from server.storage.schema import DIRECTORY, UNASSIGNED
from tests.factories import explanation_of_benefit, organization, patient, practitioner, provenance
from tests.ingest.store import Store, outcomes, reasons

ANNA, BERT = patient("anna"), patient("bert")
CLAIM = explanation_of_benefit("c1", ANNA)
HIS_CLAIM = explanation_of_benefit("c2", BERT)


def members(store: Store, reference: str = "Provenance/w1") -> set[str]:
    """The member of a resource, in its own row and in its index rows."""
    row = store.row(reference)
    return {row.patient} | {entry.patient for entry in store.rows("reference_index", resource=row.key)}


@pytest.mark.parametrize("together", [True, False])
def test_it_belongs_to_the_member_of_its_target(store: Store, together: bool) -> None:
    records = (ANNA, CLAIM, provenance("w1", CLAIM))
    for load in [records] if together else [(record,) for record in records]:
        assert "rejected" not in outcomes(store.load(*load))
    assert members(store) == {"anna"}


def test_it_is_assigned_when_its_target_arrives(store: Store) -> None:
    report = store.load(provenance("w1", CLAIM))
    assert report.resources_waiting == 1
    assert "1 resources are not served yet" in str(report)
    assert members(store) == {UNASSIGNED}
    before = store.row("Provenance/w1")
    report = store.load(ANNA, CLAIM)
    after = store.row("Provenance/w1")
    assert members(store) == {"anna"}
    assert (after.version, after.body, after.last_updated) == (before.version, before.body, before.last_updated)
    assert after.loaded_at == store.row("ExplanationOfBenefit/c1").loaded_at > before.loaded_at
    assert store.rows("awaited_reference") == []


def test_it_is_assigned_when_it_comes_first_in_the_same_batch(store: Store) -> None:
    report = store.load(provenance("w1", CLAIM), CLAIM, ANNA)
    assert (members(store), report.resources_waiting) == ({"anna"}, 0)


def test_one_of_shared_resources_is_shared(store: Store) -> None:
    store.load(organization(), practitioner(), provenance("w1", organization(), practitioner()))
    assert members(store) == {DIRECTORY}


def test_one_of_a_shared_resource_and_of_something_unknown_waits(store: Store) -> None:
    store.load(organization(), provenance("w1", organization(), CLAIM))
    assert members(store) == {UNASSIGNED}
    store.load(ANNA, CLAIM)
    assert members(store) == {"anna"}


def test_targets_of_types_that_are_not_served_do_not_matter(store: Store) -> None:
    store.load(ANNA, provenance("w1", "Encounter/1", ANNA, "https://other.example/fhir/Patient/9", "#here"))
    assert members(store) == {"anna"}


def test_one_of_two_members_is_rejected(store: Store) -> None:
    report = store.load(ANNA, BERT, CLAIM, HIS_CLAIM, provenance("w1", CLAIM, HIS_CLAIM))
    assert outcomes(report) == {"created": 4, "rejected": 1}
    assert "Provenance/w1: Provenance.target refers to the records of two members" in reasons(report)[0]


def test_one_that_turns_out_to_be_of_two_members_is_taken_from_both(store: Store) -> None:
    store.load(ANNA, CLAIM, provenance("w1", CLAIM, HIS_CLAIM))
    assert members(store) == {"anna"}
    report = store.load(BERT, HIS_CLAIM)
    assert members(store) == {UNASSIGNED}
    assert any("Provenance/w1 is not served any more" in warning for warning in report.warnings)
    assert [(row.patient, row.deleted) for row in store.history("Provenance/w1")] == [("anna", False), ("anna", True)]


def test_it_moves_with_its_target(store: Store) -> None:
    store.load(ANNA, BERT, CLAIM, provenance("w1", CLAIM))
    store.load(explanation_of_benefit("c1", BERT))
    assert members(store) == {"bert"}
    assert [(row.patient, row.deleted) for row in store.history("Provenance/w1")] == [("anna", False), ("anna", True)]


def test_a_chain_is_assigned_to_its_end(store: Store) -> None:
    store.load(provenance("w2", provenance("w1")), provenance("w1", CLAIM))
    assert members(store, "Provenance/w2") == {UNASSIGNED}
    store.load(CLAIM)
    assert members(store, "Provenance/w1") == members(store, "Provenance/w2") == {"anna"}


def test_a_retracted_target_is_not_known(store: Store) -> None:
    store.load(ANNA, CLAIM)
    store.retract("ExplanationOfBenefit/c1")
    store.load(provenance("w1", CLAIM))
    assert members(store) == {UNASSIGNED}
    store.load(CLAIM)
    assert members(store) == {"anna"}
