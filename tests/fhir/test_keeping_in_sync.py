"""What an app that synchronises by ``_since`` relies on, rule by rule.

https://hl7.org/fhir/R4/patient-operation-everything.html and https://hl7.org/fhir/R4/http.html#history
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from server.ingest.load import retract
from server.settings import Settings
from server.storage.database import Database
from server.storage.patient_compartment import Page, PatientCompartment
from server.storage.query import IdCriterion, SearchQuery
from tests.factories import Record, explanation_of_benefit, organization, patient, provenance, record, reference, store
from tests.fhir.exporting import export, lines_of
from tests.lasting import World, lasting_world

EVA = patient("eva")
PARENT, HOSPITAL = organization("parent"), organization("hospital", partOf={"reference": "Organization/parent"})
ELSEWHERE, SECOND_PARENT = organization("elsewhere"), organization("second-parent")
CLAIM = explanation_of_benefit("claim", EVA)
REQUEST = record(
    "MedicationRequest",
    "request",
    status="active",
    intent="order",
    subject=reference(EVA),
    medicationReference={"reference": "Medication/drug"},
)
DRUG = record("Medication", "drug", status="active")
RECORDS = [EVA, PARENT, HOSPITAL, ELSEWHERE, SECOND_PARENT, organization("payer"), CLAIM, REQUEST]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


def watermark(world: World) -> str:
    return str(world.get("eva", "Patient/$everything").json["meta"]["lastUpdated"])


def since(world: World, address: str, mark: str) -> list[Any]:
    reply = world.get("eva", f"{address}{'&' if '?' in address else '?'}_since={mark}")
    assert reply.status == 200, reply.body
    return list(reply.json.get("entry", []))


def named(entries: list[Any]) -> list[str]:
    return sorted(entry["fullUrl"].split("/fhir/")[1] for entry in entries)


def load(world: World, *records: Record) -> None:
    store(world.database, world.settings, records)


def test_a_changed_organization_that_an_unchanged_claim_names_comes_since(world: World) -> None:
    mark = watermark(world)
    load(world, HOSPITAL | {"name": "Under a new name"}, ELSEWHERE | {"name": "Named by nobody"})
    entries = since(world, "Patient/$everything", mark)
    assert named(entries) == [
        "Organization/hospital",
        "Organization/parent",
    ]  # what the changed one names comes with it
    assert {entry["search"]["mode"] for entry in entries} == {"include"}
    assert "Under a new name" in [entry["resource"]["name"] for entry in entries]
    assert named(since(world, "Patient/$everything?_type=ExplanationOfBenefit", mark)) == []
    assert named(since(world, "Patient/$everything?_type=Organization", mark)) == [
        "Organization/hospital",
        "Organization/parent",
    ]


def test_what_a_changed_organization_names_from_now_on_comes_with_it(world: World) -> None:
    mark = watermark(world)
    load(world, HOSPITAL | {"partOf": {"reference": "Organization/second-parent"}})
    assert named(since(world, "Patient/$everything", mark)) == ["Organization/hospital", "Organization/second-parent"]
    load(world, HOSPITAL)


def test_a_medication_that_arrives_after_the_request_that_names_it_comes_since(world: World) -> None:
    mark = watermark(world)
    load(world, DRUG)
    assert named(since(world, "Patient/$everything", mark)) == ["Medication/drug"]
    assert named(since(world, "_history", mark)) == ["Medication/drug"]


def test_only_shared_types_can_be_asked_for(world: World) -> None:
    found = named(world.get("eva", "Patient/$everything?_type=Organization").json["entry"])
    assert found == ["Organization/hospital", "Organization/parent", "Organization/payer"]


def test_a_retraction_in_the_directory_is_told_since_and_not_to_who_begins(world: World) -> None:
    mark = watermark(world)
    assert retract(world.database, world.settings, ["Organization/elsewhere"]).exit_code == 0
    (entry,) = since(world, "_history", mark)
    assert (entry["request"]["method"], entry["request"]["url"]) == ("DELETE", "Organization/elsewhere")
    assert "Organization/elsewhere" not in named(world.get("eva", "_history").json["entry"])
    narrow = world.token("eva", "patient/ExplanationOfBenefit.rs")
    assert "entry" not in world.served.get(f"_history?_since={mark}", narrow).json
    load(world, ELSEWHERE)


def test_versions_of_one_load_are_in_the_order_in_which_they_came(world: World) -> None:
    mark = watermark(world)
    said = [f"number {number}" for number in range(12)]
    load(world, *[CLAIM | {"disposition": words} for words in said])
    entries = since(world, "ExplanationOfBenefit/claim/_history", mark)
    assert [entry["resource"]["disposition"] for entry in entries] == said[::-1]


def test_what_moves_into_the_directory_is_still_there_in_the_newest_entry(world: World) -> None:
    load(world, provenance("moves", CLAIM))
    for target in (HOSPITAL, CLAIM):
        mark = watermark(world)
        load(world, provenance("moves", target))
        entries = since(world, "Provenance/_history", mark)
        assert [entry["request"]["method"] for entry in entries] == ["PUT", "DELETE"]
        assert entries[0]["resource"]["target"] == [reference(target)]


def test_an_export_since_lists_what_left_the_directory_and_what_moved_into_it(world: World) -> None:
    load(world, provenance("exported", CLAIM), organization("closing"))
    mark = watermark(world)
    load(world, provenance("exported", HOSPITAL))
    assert retract(world.database, world.settings, ["Organization/closing"]).exit_code == 0
    done = export(world.served, world.token("eva"), "eva", f"?_since={mark}")
    (file,) = done.manifest["deleted"]
    told = [one for bundle in lines_of(world.served.get(file["url"], world.token("eva"))) for one in bundle["entry"]]
    assert sorted(one["request"]["url"] for one in told) == ["Organization/closing", "Provenance/exported"]
    assert done.names == []


def test_a_reference_to_another_server_names_nothing_here(world: World) -> None:
    mark = watermark(world)
    foreign = {"reference": "https://other.example/fhir/Organization/elsewhere"}
    load(world, explanation_of_benefit("foreign", EVA, facility=foreign))
    assert "Organization/elsewhere" not in named(since(world, "Patient/$everything", mark))


def test_every_bundle_has_the_watermark_also_an_empty_one(world: World) -> None:
    mark = watermark(world)
    addresses = [
        "Coverage",
        "Coverage?_total=none",
        "Coverage?_summary=count",
        "Coverage/_history",
        f"_history?_since={mark}",
    ]
    for address in addresses:
        bundle = world.get("eva", address).json
        assert ("entry" in bundle, bundle["meta"]["lastUpdated"]) == (False, mark), address


@pytest.mark.parametrize("counted", [True, False])
def test_the_watermark_of_a_page_names_no_load_that_the_page_has_not_seen(
    database: Database, settings: Settings, counted: bool
) -> None:
    """A load commits right after the page is read, before the watermark could be."""
    store(database, settings, RECORDS)
    read = database.fetch

    async def read_then_load(statement: Any, values: Any) -> Any:
        rows = await read(statement, values)
        database.fetch = read  # type: ignore[method-assign]
        store(database, settings, [explanation_of_benefit("late", EVA)])
        return rows

    async def ask() -> tuple[Page, int]:
        await database.open()
        try:
            compartment = PatientCompartment(database, "eva")
            database.fetch = read_then_load  # type: ignore[method-assign]
            page = await compartment.search(
                SearchQuery("ExplanationOfBenefit", (IdCriterion(("late",)),), counted=counted)
            )
            return page, await compartment.watermark()
        finally:
            await database.close()

    page, after = asyncio.run(ask())
    assert page.matches or page.watermark < after
