"""Reduced and readable answers: ``_summary``, ``_elements``, ``_pretty`` and ``_format``, on reads and searches alike.

https://hl7.org/fhir/R4/search.html#summary, #elements and https://hl7.org/fhir/R4/http.html#general
"""

import orjson
import pytest

from tests.lasting import World

JANUARY = "ExplanationOfBenefit/january"
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
MANDATORY = {"status", "type", "use", "patient", "created", "insurer", "provider", "outcome", "insurance"}


def test_a_summary_has_the_elements_that_the_specification_marks(world: World) -> None:
    resource = world.get("anna", f"{JANUARY}?_summary=true").json
    assert (
        {"resourceType", "id", "meta", "total", "billablePeriod"} | MANDATORY >= set(resource) >= MANDATORY | {"total"}
    )
    assert "item" not in resource
    assert SUBSETTED in resource["meta"]["tag"]


def test_a_summary_keeps_the_text_of_decimals(world: World) -> None:
    assert b'"value":120.50' in world.get("anna", f"{JANUARY}?_summary=true").body


def test_of_a_summary_every_match_is_reduced(world: World) -> None:
    reply = world.get("anna", "ExplanationOfBenefit?_summary=true&_count=2&_include=ExplanationOfBenefit:patient")
    for entry in reply.json["entry"]:
        assert SUBSETTED in entry["resource"]["meta"]["tag"]
        assert "item" not in entry["resource"]
    assert reply.json["total"] == 4
    assert "_summary=true" in reply.links["next"]


def test_text_alone_keeps_what_must_be_there(world: World) -> None:
    resource = world.get("anna", f"{JANUARY}?_summary=text").json
    assert set(resource) - {"text"} == {"resourceType", "id", "meta"} | MANDATORY


def test_data_leaves_out_the_text_alone(world: World) -> None:
    whole, data = world.get("anna", JANUARY).json, world.get("anna", f"{JANUARY}?_summary=data").json
    assert set(whole) - {"text"} == set(data)
    assert data["item"] == whole["item"]


def test_a_summary_of_false_is_the_stored_bytes(world: World) -> None:
    assert world.get("anna", f"{JANUARY}?_summary=false").body == world.get("anna", JANUARY).body


def test_a_summary_that_counts_has_no_entries(world: World) -> None:
    reply = world.get("anna", "ExplanationOfBenefit?_summary=count")
    assert reply.json["total"] == 4
    assert "entry" not in reply.json


def test_the_elements_named_come_with_those_that_must_be_there(world: World) -> None:
    resource = world.get("anna", f"{JANUARY}?_elements=total,identifier").json
    assert set(resource) == {"resourceType", "id", "meta", "total", "identifier"} | MANDATORY
    assert resource["total"] == world.get("anna", JANUARY).json["total"]
    assert SUBSETTED in resource["meta"]["tag"]


def test_elements_are_of_matches_unless_they_name_another_type(world: World) -> None:
    search = "ExplanationOfBenefit?_id=january&_include=ExplanationOfBenefit:patient"
    whole = world.get("anna", "Patient/anna").json
    untouched = world.get("anna", f"{search}&_elements=total").json["entry"][1]["resource"]
    assert untouched == whole
    reduced = world.get("anna", f"{search}&_elements=total,Patient.name").json["entry"][1]["resource"]
    assert set(reduced) == {"resourceType", "id", "meta", "name"}


def test_an_element_of_a_choice_is_named_without_its_type(world: World) -> None:
    item = world.get("anna", f"{JANUARY}?_elements=item.serviced").json["item"]
    assert item == world.get("anna", JANUARY).json["item"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("_summary=some", "_summary"),
        ("_elements=9lives", "_elements"),
        ("_elements=,", "_elements"),
        ("_pretty=1", "_pretty"),
    ],
)
def test_a_value_that_cannot_be_used_is_a_bad_request(world: World, query: str, parameter: str) -> None:
    for address in (JANUARY, "ExplanationOfBenefit"):
        reply = world.get("anna", f"{address}?{query}")
        assert reply.status == 400
        assert reply.json["issue"][0]["expression"] == [f"http.{parameter}"]


def test_pretty_answers_say_the_same_with_line_breaks(world: World) -> None:
    for address in (f"{JANUARY}?", "ExplanationOfBenefit?", "metadata?"):
        plain, pretty = world.get("anna", address), world.get("anna", f"{address}_pretty=true")
        assert b"\n  " in pretty.body and b"\n  " not in plain.body
        ours, theirs = orjson.loads(pretty.body), orjson.loads(plain.body)
        for one in (ours, theirs):
            if one["resourceType"] == "Bundle":
                one.pop("id"), one.pop("link")
        assert ours == theirs
    assert b'"value": 0.00' in world.get("anna", f"{JANUARY}?_pretty=true").body


@pytest.mark.parametrize("address", [JANUARY, "ExplanationOfBenefit", "metadata", f"{JANUARY}/_history/1"])
def test_xml_is_refused_wherever_it_is_asked_for(world: World, address: str) -> None:
    for reply in (
        world.get("anna", f"{address}?_format=xml"),
        world.get("anna", address, accept="application/fhir+xml"),
    ):
        assert reply.status == 406
        assert reply.json["resourceType"] == "OperationOutcome"
    for form in ("json", "application/json", "application/fhir%2Bjson", "application/json%2Bfhir"):
        assert world.get("anna", f"{address}?_format={form}").status == 200


def test_the_capability_statement_has_a_summary(world: World) -> None:
    summary = world.get("anna", "metadata?_summary=true").json
    assert summary["resourceType"] == "CapabilityStatement"
    assert summary["fhirVersion"] == "4.0.1"
