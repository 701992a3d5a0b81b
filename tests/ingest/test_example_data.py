"""Other people's data through the same command: what becomes of it, that it stays valid, and that a second load changes nothing.

The data is not part of this repository; see ``shared_data``.
"""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from server.fhir.validation import validate
from server.ingest.report import LoadReport
from server.storage.database import Database
from server.storage.schema import UNASSIGNED
from tests.conftest import NewDatabase
from tests.ingest.store import Store

SNAPSHOT = {
    "AllergyIntolerance": {"created": 16},
    "CarePlan": {"created": 69},
    "CareTeam": {"created": 14},
    "Claim": {"unsupported": 850},
    "Condition": {"created": 259},
    "Coverage": {"created": 18, "rejected": 8},
    "Device": {"created": 2},
    "DiagnosticReport": {"created": 487},
    "DocumentReference": {"created": 106},
    "Encounter": {"created": 635},
    "ExplanationOfBenefit": {"created": 709, "unchanged": 1},
    "Goal": {"created": 28},
    "ImagingStudy": {"unsupported": 15},
    "Immunization": {"created": 258},
    "Medication": {"created": 9},
    "MedicationAdministration": {"unsupported": 9},
    "MedicationRequest": {"created": 215},
    "Observation": {"created": 3893},
    "Organization": {"created": 32, "unchanged": 8},
    "Patient": {"created": 30, "unchanged": 1},
    "Practitioner": {"created": 27, "unchanged": 8},
    "Procedure": {"created": 918},
    "Provenance": {"created": 4},
    "RelatedPerson": {"created": 1},
    "SupplyDelivery": {"unsupported": 87},
}
AGAIN = {
    type_name: {
        outcome: count
        for outcome, count in {
            "unchanged": counts.get("created", 0) + counts.get("unchanged", 0),
            "unsupported": counts.get("unsupported", 0),
            "rejected": counts.get("rejected", 0),
        }.items()
        if count
    }
    for type_name, counts in SNAPSHOT.items()
}


def counts(report: LoadReport) -> dict[str, dict[str, int]]:
    """Records by type and outcome."""
    by_type: dict[str, dict[str, int]] = {}
    for (type_name, outcome), count in sorted(report.counts.items()):
        by_type.setdefault(type_name, {})[outcome.value] = count
    return by_type


def literal_references(value: Any) -> set[str]:
    """Every reference in a resource."""
    if isinstance(value, dict):
        own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return own.union(*map(literal_references, value.values()))
    return set().union(*map(literal_references, value)) if isinstance(value, list) else set()


def test_all_of_it_loads_and_loading_it_again_changes_nothing(store: Store, shared_data: Path) -> None:
    report = store.load_paths(shared_data)
    assert counts(report) == SNAPSHOT
    assert (report.files, report.records, report.exit_code) == (100, 8717, 1)
    assert {(outcome.path, outcome.reason) for outcome in report.rejected} == {
        ("Coverage.beneficiary", "is required and missing; Coverage.payor is required and missing")
    }
    assert len(report.warnings) == 10
    assert all("is not loaded" in warning for warning in report.warnings)
    assert (report.references_dangling, report.references_resolved, report.not_loaded) == (0, 8, [])
    assert (report.references_awaited, report.last_updated_replaced) == (2013, 7688)
    before = store.snapshot()
    assert counts(store.load_paths(shared_data)) == AGAIN
    assert store.snapshot() == before


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_served_of_it_is_valid_and_refers_to_nothing_conditional(store: Store, shared_data: Path) -> None:
    store.load_paths(shared_data)
    for row in store.rows("resource"):
        resource = json.loads(row.body, parse_float=Decimal)
        assert validate(resource, bytes(row.body)) == []
        assert resource["meta"]["versionId"] == row.version
        assert not {text for text in literal_references(resource) if "?" in text or text.startswith("urn:")}
        assert row.patient != UNASSIGNED
        assert not resource["meta"]["lastUpdated"].startswith("9999")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_order_of_the_files_does_not_matter(store: Store, shared_data: Path, new_database_url: NewDatabase) -> None:
    other = store.set(database_url=new_database_url())
    other = replace(other, database=Database(other.settings))
    paths = sorted(path for path in shared_data.rglob("*.json*") if path.parent.name != "synthea-2019")
    store.load_paths(*paths)
    other.load_paths(*reversed(paths))
    assert len(content(store)) > 200
    assert content(other) == content(store)
    other.database.engine.dispose()


def content(store: Store) -> dict[tuple[str, str], Any]:
    """What is stored but for what depends on the time of the load: the member and the body by type and id."""
    return {(row.type, row.id): (row.patient, {**json.loads(row.body), "meta": None}) for row in store.rows("resource")}
