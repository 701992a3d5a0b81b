"""The order in which records arrive, and how they are split into loads, does not matter to what is stored in the end.

https://hl7.org/fhir/R4/references.html
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.storage.database import Database
from tests.conftest import NewDatabase
from tests.factories import coverage, explanation_of_benefit, identifier, organization, patient, provenance
from tests.ingest.store import NPI, Store, conditional

ANNA, BERT = patient("anna"), patient("bert")
PAYER = organization("payer", identifier=[identifier("11111", "p")])
HOSPITAL = organization("hospital", identifier=[identifier("123", NPI)])
CLAIM = explanation_of_benefit(
    "c1", ANNA, provider=conditional("Organization", "123"), insurer=conditional("Organization", "11111", "p")
)
BY_IDENTIFIER = explanation_of_benefit("c2", BERT) | {
    "patient": conditional("Patient", "member-bert", "https://payer.example/identifiers"),
    "related": [{"claim": conditional("Coverage", "k", "k")}],
}
RECORDS = (
    ANNA,
    BERT,
    PAYER,
    HOSPITAL,
    CLAIM,
    BY_IDENTIFIER,
    coverage("v1", ANNA, identifier=[identifier("k", "k")]),
    coverage("v2", BERT, identifier=[identifier("k", "k")]),
    provenance("w1", CLAIM, HOSPITAL),
    provenance("w2", provenance("w1")),
    provenance("w3", HOSPITAL, PAYER),
    provenance("w4", BY_IDENTIFIER),
)


def final_state(store: Store) -> dict[str, Any]:
    """Everything but keys, versions and the times of loads."""
    names = {row.key: f"{row.type}/{row.id}" for row in store.rows("resource")}
    state: dict[str, Any] = {
        names[row.key]: (row.patient, {**json.loads(row.body), "meta": None}) for row in store.rows("resource")
    }
    for table in ("token_index", "reference_index", "date_index", "string_index", "awaited_reference"):
        state[table] = sorted(
            (names[row.resource], *row._asdict().values())[:1] + tuple(row)[1:] for row in store.rows(table)
        )
    state["enrolment"] = {(row.patient, row.coverage_id): row.unit is not None for row in store.rows("enrolment")}
    state["person_link"] = sorted((row.patient, row.system, row.value) for row in store.rows("person_link"))
    return state


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_any_order_and_any_split_ends_in_the_same_state(store: Store, new_database_url: NewDatabase) -> None:
    units = store.folder / "units.toml"
    units.write_text('[[unit]]\npayor = "p|11111"\nline_of_business = "qhp"\n')

    def loaded(order: list[dict[str, Any]], cuts: set[int]) -> dict[str, Any]:
        fresh = store.set(database_url=new_database_url(), reporting_units_file=units)
        fresh = replace(fresh, database=Database(fresh.settings))
        start = 0
        for end in sorted({*cuts, len(order)}):
            assert fresh.load(*order[start:end]).exit_code in (0, 2)
            start = end
        state = final_state(fresh)
        fresh.database.engine.dispose()
        return state

    expected = loaded(list(RECORDS), set())
    assert expected["ExplanationOfBenefit/c2"][0] == "bert"
    assert expected["ExplanationOfBenefit/c2"][1]["related"] == [{"claim": {"reference": "Coverage/v2"}}]
    assert expected["Provenance/w3"][0] == ""
    assert {expected[f"Provenance/{name}"][0] for name in ("w1", "w2")} == {"anna"}
    assert set(expected["enrolment"].values()) == {True}

    @given(st.permutations(RECORDS), st.sets(st.integers(0, len(RECORDS)), max_size=len(RECORDS)))
    @hypothesis_settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
    def same(order: list[dict[str, Any]], cuts: set[int]) -> None:
        assert loaded(order, cuts) == expected

    same()


def test_the_clock_stands_before_the_first_load(store: Store) -> None:
    assert [(row.id, row.loaded_at) for row in store.rows("load_clock")] == [(1, 0)]
