"""``$everything`` and ``$docref``: all of a member that the token may see, page by page, and nothing of anybody else.

https://hl7.org/fhir/R4/patient-operation-everything.html and https://hl7.org/fhir/us/core/STU6.1/OperationDefinition-docref.html
"""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from seed_data.generate import resources
from server.ingest.load import retract
from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.factories import explanation_of_benefit, store
from tests.lasting import World, lasting_world

RECORDS = [dict(one) for one in resources()]
MEMBER = "member-vantongeren"
OTHER = "member-holloway"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


def pages(world: World, address: str, token: str | None = None) -> list[Reply]:
    found, seen = [], set()
    links = {"next": address}
    while "next" in links:
        assert links["next"] not in seen
        seen.add(links["next"])
        reply = world.served.get(links["next"], token or world.token(MEMBER))
        assert reply.status == 200, reply.body
        found.append(reply)
        links = reply.links
    return found


def entries(replies: list[Reply], mode: str = "") -> list[str]:
    return [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for reply in replies
        for entry in reply.json.get("entry", [])
        if mode in ("", entry["search"]["mode"])
    ]


def own(world: World, member: str) -> set[str]:
    """What single searches of every type find for a member, but for the shared types."""
    rest = world.get(member, "metadata").json["rest"][0]["resource"]
    shared = {"Organization", "Practitioner", "PractitionerRole", "Location", "Endpoint", "Medication", "Binary"}
    found: set[str] = set()
    for type in [one["type"] for one in rest if one["type"] in RESOURCES and one["type"] not in shared]:
        found.update(name for reply in pages(world, f"{type}?_count=500", world.token(member)) for name in reply.ids())
    return found


@pytest.mark.parametrize("count", [20, 500])
def test_it_is_what_searches_of_every_type_find(world: World, count: int) -> None:
    replies = pages(world, f"Patient/{MEMBER}/$everything?_count={count}")
    matches = entries(replies, "match")
    assert len(matches) == len(set(matches))
    assert set(matches) == own(world, MEMBER)
    assert len(matches) > 100


def test_every_literal_reference_of_a_page_to_the_directory_is_resolved_there(world: World) -> None:
    for reply in pages(world, f"Patient/{MEMBER}/$everything?_count=50"):
        present = set(entries([reply]))
        text = orjson.dumps([entry["resource"] for entry in reply.json["entry"]]).decode()
        for type in ("Organization", "Practitioner", "PractitionerRole", "Location", "Medication"):
            for part in text.split(f'"reference":"{type}/')[1:]:
                assert f"{type}/{part.partition(chr(34))[0]}" in present


def test_nothing_of_it_belongs_to_another_member(world: World) -> None:
    mine = set(entries(pages(world, f"Patient/{MEMBER}/$everything"), "match"))
    assert mine.isdisjoint(own(world, OTHER) - {f"Patient/{MEMBER}"})


@pytest.mark.parametrize("id", [OTHER, "never-was", "not%20an%20id"])
def test_another_member_is_not_found(world: World, id: str) -> None:
    assert world.get(MEMBER, f"Patient/{id}/$everything").status == 404


def test_without_an_id_it_is_the_member_of_the_token(world: World) -> None:
    short, long = pages(world, "Patient/$everything"), pages(world, f"Patient/{MEMBER}/$everything")
    assert entries(short) == entries(long)


def test_only_the_types_asked_for_come(world: World) -> None:
    found = entries(pages(world, "Patient/$everything?_type=Coverage,Patient"))
    assert {name.partition("/")[0] for name in found} == {"Coverage", "Patient"}
    assert world.get(MEMBER, "Patient/$everything?_type=Unicorn").status == 400


def test_only_what_the_scopes_permit_comes(world: World) -> None:
    category = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    token = world.token(MEMBER, f"patient/Coverage.rs patient/Observation.rs?category={category}")
    replies = pages(world, "Patient/$everything?_count=7", token)
    found = entries(replies)
    assert {name.partition("/")[0] for name in found} == {"Coverage", "Observation"}
    for reply in replies:
        for entry in reply.json.get("entry", []):
            if entry["resource"]["resourceType"] == "Observation":
                assert "laboratory" in str(entry["resource"]["category"])
    assert world.served.get("Patient/$everything", world.token(MEMBER, "openid launch/patient")).status == 403


def test_since_the_watermark_it_is_what_was_loaded_after(world: World) -> None:
    first = world.get(MEMBER, "Patient/$everything?_count=5").json
    watermark = first["meta"]["lastUpdated"]
    claim = explanation_of_benefit("backdated", f"Patient/{MEMBER}", meta={"lastUpdated": "2018-01-01T00:00:00Z"})
    store(world.database, world.settings, [claim])
    try:
        assert entries(pages(world, f"Patient/$everything?_since={watermark}"), "match") == [
            "ExplanationOfBenefit/backdated"
        ]
        following = world.get(MEMBER, next(one["url"] for one in first["link"] if one["relation"] == "next"))
        assert following.json["meta"]["lastUpdated"] == watermark
    finally:
        assert retract(world.database, world.settings, ["ExplanationOfBenefit/backdated"]).exit_code == 0
    assert entries(pages(world, f"Patient/$everything?_since={watermark}")) == []


def test_it_can_be_asked_with_a_parameters_resource(world: World) -> None:
    body: dict[str, Any] = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueCode": "Coverage"}, {"name": "_count", "valueInteger": 1}],
    }
    reply = world.served.send(
        "POST", "Patient/$everything", world.token(MEMBER), orjson.dumps(body), content_type="application/fhir+json"
    )
    assert reply.status == 200
    assert {name.partition("/")[0] for name in reply.ids()} == {"Coverage"}
    for wrong in (b"{", b"[]", b'{"resourceType":"Patient"}', b'{"resourceType":"Parameters","parameter":[1]}'):
        reply = world.served.send(
            "POST", "Patient/$everything", world.token(MEMBER), wrong, content_type="application/fhir+json"
        )
        assert reply.status == 400


def test_a_body_of_another_form_is_told_which_there_are(world: World) -> None:
    asked = {
        path: world.served.send("POST", path, world.token(MEMBER), b"<x/>", content_type="application/fhir+xml")
        for path in ("Patient/$everything", "Patient/_search")
    }
    told = {path: (reply.status, reply.json["issue"][0]["diagnostics"]) for path, reply in asked.items()}
    form = "as application/x-www-form-urlencoded."
    assert told == {
        "Patient/$everything": (415, f"Send the parameters as a Parameters resource in JSON, or {form}"),
        "Patient/_search": (415, f"Send the parameters {form}"),
    }


def test_documents_of_a_time_are_found(world: World) -> None:
    documents = [one for one in RECORDS if one["resourceType"] == "DocumentReference" and MEMBER in str(one["subject"])]
    assert documents
    every = world.get(MEMBER, f"DocumentReference/$docref?patient={MEMBER}&start=2000-01-01&_count=100")
    assert len(every.ids()) == len(documents)
    assert world.get(MEMBER, f"DocumentReference/$docref?patient={MEMBER}&end=2000-01-01").ids() == []


def test_without_a_time_it_is_the_last_document(world: World) -> None:
    (found,) = world.get(MEMBER, f"DocumentReference/$docref?patient={MEMBER}").json["entry"]
    documents = [
        one
        for one in RECORDS
        if one["resourceType"] == "DocumentReference" and MEMBER in str(one["subject"]) and one["status"] == "current"
    ]
    assert found["resource"]["date"] == max(str(one["date"]) for one in documents)


def test_the_last_document_leads_to_no_other(world: World) -> None:
    reply = world.get(MEMBER, f"DocumentReference/$docref?patient={MEMBER}")
    assert set(reply.links) == {"self", "first"}


def documents_asked_by_post(world: World, **kind: Any) -> Reply:
    asked = [{"name": "patient", "valueId": MEMBER}, {"name": "start", "valueDateTime": "2000-01-01"}]
    body = orjson.dumps({"resourceType": "Parameters", "parameter": [*asked, {"name": "type", **kind}]})
    token, content_type = world.token(MEMBER), "application/fhir+json"
    return world.served.send("POST", "DocumentReference/$docref", token, body, content_type=content_type)


LETTER = {"system": "http://loinc.org", "code": "11506-3"}
SUMMARY = {"system": "http://loinc.org", "code": "18842-5", "display": "a|b"}


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ({"valueCodeableConcept": {"coding": [LETTER]}}, {"11506-3"}),
        ({"valueCodeableConcept": {"coding": [LETTER, SUMMARY], "text": "Notes"}}, {"11506-3", "18842-5"}),
        ({"valueCoding": {"code": "11506-3"}}, {"11506-3"}),
        ({"valueCoding": {"system": "http://loinc.org", "code": "11506-3,18842-5"}}, set()),
        ({"valueString": "http://loinc.org|11506-3"}, {"11506-3"}),
    ],
)
def test_documents_of_a_kind_are_asked_for_as_the_definition_says(
    world: World, kind: dict[str, Any], codes: set[str]
) -> None:
    reply = documents_asked_by_post(world, **kind)
    found = [entry["resource"]["type"]["coding"] for entry in reply.json.get("entry", [])]
    assert {coding["code"] for codings in found for coding in codings} == codes


@pytest.mark.parametrize(
    "kind",
    [
        {"valueCodeableConcept": {"text": "Letters"}},
        {"valueCodeableConcept": {"coding": []}},
        {"valueCodeableConcept": {"coding": [{"system": "http://loinc.org"}]}},
        {"valueCoding": {"code": 1}},
        {"valuePeriod": {"start": "2020"}},
        {"valueReference": {"display": "Me"}},
        {"valueString": None},
    ],
)
def test_a_value_that_cannot_be_read_is_refused_rather_than_left_out(world: World, kind: dict[str, Any]) -> None:
    reply = documents_asked_by_post(world, **kind)
    assert reply.status == 400
    assert "codings with a code" in reply.json["issue"][0]["diagnostics"]


def test_a_member_may_be_named_by_a_reference(world: World) -> None:
    asked = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{MEMBER}"}},
        {"name": "start", "valueDate": "2000"},
    ]
    body = orjson.dumps({"resourceType": "Parameters", "parameter": asked})
    token, content_type = world.token(MEMBER), "application/fhir+json"
    reply = world.served.send("POST", "DocumentReference/$docref", token, body, content_type=content_type)
    assert reply.ids() == world.get(MEMBER, f"DocumentReference/$docref?patient={MEMBER}&start=2000").ids() != []


def test_documents_of_another_member_are_not_found(world: World) -> None:
    assert world.get(MEMBER, f"DocumentReference/$docref?patient={OTHER}&start=2000-01-01").ids() == []
    assert world.get(MEMBER, "DocumentReference/$docref").status == 400
    assert world.get(MEMBER, f"DocumentReference/$docref?patient={MEMBER}&start=soon").status == 400


@pytest.mark.parametrize("path", ["Patient/$unknown", "Coverage/$everything", f"Patient/{MEMBER}/$docref"])
def test_an_operation_that_is_not_there_is_not_found(world: World, path: str) -> None:
    assert world.get(MEMBER, path).status == 404


def test_operations_are_in_the_capability_statement(world: World) -> None:
    told = {
        (one["type"], operation["name"]): operation["definition"]
        for one in world.get(MEMBER, "metadata").json["rest"][0]["resource"]
        for operation in one.get("operation", [])
    }
    assert told["Patient", "everything"] == "http://hl7.org/fhir/OperationDefinition/Patient-everything"
    assert told["DocumentReference", "docref"].endswith("/us/core/OperationDefinition/docref")
