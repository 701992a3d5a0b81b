"""History: every version of a resource, a type or a compartment, the newest load first, and what was loaded since a moment.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Iterator

import pytest

from server.ingest.load import retract
from server.specification.registry import RESOURCES
from tests.factories import Record, explanation_of_benefit, organization, patient, record, reference, store
from tests.lasting import FHIR_BASE, World, lasting_world

EVA, FINN = patient("eva"), patient("finn")
CLAIM = explanation_of_benefit("first", EVA)
MOVED = explanation_of_benefit("moved", EVA, disposition="when it was Eva's")
GONE = explanation_of_benefit("gone", EVA)
OTHERS = explanation_of_benefit("finns", FINN)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Four loads: everything; a claim changed; a claim moved to somebody else; a claim retracted."""
    with lasting_world(request.param, request, [organization("payer"), EVA, FINN, CLAIM, MOVED, GONE, OTHERS]) as world:
        store(world.database, world.settings, [CLAIM | {"disposition": "second thoughts"}])
        store(world.database, world.settings, [MOVED | {"patient": reference(FINN), "disposition": "now Finn's"}])
        assert retract(world.database, world.settings, ["ExplanationOfBenefit/gone"]).exit_code == 0
        yield world


def told(world: World, member: str, address: str) -> list[tuple[str, str, str]]:
    """(method, url, etag) of every entry, over all pages; bodies are where they must be."""
    found = []
    links = {"next": address}
    while "next" in links:
        reply = world.get(member, links["next"])
        assert reply.status == 200, reply.body
        assert reply.json["type"] == "history"
        for entry in reply.json.get("entry", []):
            request, response = entry["request"], entry["response"]
            assert entry["fullUrl"] == f"{FHIR_BASE}/{request['url']}"
            assert ("resource" in entry) == (request["method"] == "PUT")
            if "resource" in entry:
                assert response["etag"] == f'W/"{entry["resource"]["meta"]["versionId"]}"'
                assert response["lastModified"]
            found.append((request["method"], request["url"], response["etag"]))
        links = reply.links
    return found


def test_of_one_resource_it_is_every_version_the_newest_first(world: World) -> None:
    assert told(world, "eva", "ExplanationOfBenefit/first/_history") == [
        ("PUT", "ExplanationOfBenefit/first", 'W/"2"'),
        ("PUT", "ExplanationOfBenefit/first", 'W/"1"'),
    ]
    entries = world.get("eva", "ExplanationOfBenefit/first/_history").json["entry"]
    assert [entry["resource"].get("disposition") for entry in entries] == ["second thoughts", None]


@pytest.mark.parametrize("id", ["gone", "moved"])
def test_of_what_was_retracted_or_left_the_member_it_is_a_deletion_alone(world: World, id: str) -> None:
    (entry,) = told(world, "eva", f"ExplanationOfBenefit/{id}/_history")
    assert entry[:2] == ("DELETE", f"ExplanationOfBenefit/{id}")


def test_what_came_to_a_member_has_no_past_with_another(world: World) -> None:
    reply = world.get("finn", "ExplanationOfBenefit/moved/_history")
    assert [entry["resource"]["disposition"] for entry in reply.json["entry"]] == ["now Finn's"]
    assert b"Eva" not in reply.body


@pytest.mark.parametrize("id", ["finns", "never-was", "not%20an%20id"])
def test_a_foreign_and_an_unknown_id_are_not_found_alike(world: World, id: str) -> None:
    reply = world.get("eva", f"ExplanationOfBenefit/{id}/_history")
    assert reply.status == 404
    assert "finn" not in reply.body.decode().replace("finns", "")


def test_of_a_type_it_is_all_of_the_members_versions(world: World) -> None:
    assert sorted(url for _, url, _ in told(world, "eva", "ExplanationOfBenefit/_history")) == [
        "ExplanationOfBenefit/first",
        "ExplanationOfBenefit/first",
        "ExplanationOfBenefit/gone",
        "ExplanationOfBenefit/moved",
    ]
    assert {url for _, url, _ in told(world, "finn", "ExplanationOfBenefit/_history")} == {
        "ExplanationOfBenefit/finns",
        "ExplanationOfBenefit/moved",
    }
    assert told(world, "eva", "Organization/_history") == [("PUT", "Organization/payer", 'W/"1"')]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_of_the_compartment_it_is_everything_of_the_member_page_by_page(world: World, count: int) -> None:
    found = told(world, "eva", f"_history?_count={count}")
    assert len(found) == len(set(found)) == 5
    assert ("PUT", "Patient/eva", 'W/"1"') in found
    assert found[0][:2] == ("DELETE", "ExplanationOfBenefit/gone")
    assert not any("finn" in url for _, url, _ in found)


def test_since_a_moment_it_is_what_was_loaded_after(world: World) -> None:
    everything = world.get("eva", "_history").json
    watermark = everything["meta"]["lastUpdated"]
    nothing = world.get("eva", f"_history?_since={watermark}")
    assert "entry" not in nothing.json
    assert nothing.json["meta"]["lastUpdated"] == watermark
    store(
        world.database,
        world.settings,
        [explanation_of_benefit("late", EVA, meta={"lastUpdated": "2019-01-01T00:00:00Z"})],
    )
    assert told(world, "eva", f"_history?_since={watermark}") == [("PUT", "ExplanationOfBenefit/late", 'W/"1"')]
    assert told(world, "eva", f"ExplanationOfBenefit/late/_history?_since={watermark}")
    assert told(world, "eva", f"ExplanationOfBenefit/first/_history?_since={watermark}") == []
    assert retract(world.database, world.settings, ["ExplanationOfBenefit/late"]).exit_code == 0
    assert [method for method, _, _ in told(world, "eva", f"_history?_since={watermark}")] == ["DELETE"]


def test_later_loads_do_not_move_the_pages_of_an_answer(world: World) -> None:
    first = world.get("eva", "_history?_count=2")
    store(world.database, world.settings, [explanation_of_benefit("between", EVA)])
    try:
        rest = told(world, "eva", first.links["next"])
        assert not any(url.endswith("between") for _, url, _ in rest)
        following = world.get("eva", first.links["next"])
        assert following.json["meta"] == first.json["meta"]
    finally:
        retract(world.database, world.settings, ["ExplanationOfBenefit/between"])


def test_a_version_is_judged_by_its_own_body(world: World) -> None:
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    scope = f"patient/Observation.rs?category={category}|laboratory"

    def of(code: str) -> Record:
        categories = [{"coding": [{"system": category, "code": code}]}]
        return record(
            "Observation",
            "judged",
            status="final",
            category=categories,
            code={"text": "something"},
            subject=reference(EVA),
        )

    for code in ("laboratory", "vital-signs"):
        store(world.database, world.settings, [of(code)])
    token = world.token("eva", scope)
    for address in ("Observation/judged/_history", "Observation/_history", "_history"):
        entries = world.served.get(address, token).json.get("entry", [])
        codes = [entry["resource"]["category"][0]["coding"][0]["code"] for entry in entries]
        assert codes == ["laboratory"], address


def test_without_a_scope_on_the_type_its_history_is_refused(world: World) -> None:
    token = world.token("eva", "patient/Coverage.rs")
    assert world.served.get("ExplanationOfBenefit/_history", token).status == 403
    assert world.served.get("ExplanationOfBenefit/first/_history", token).status == 403
    assert "entry" not in world.served.get("_history", token).json


@pytest.mark.parametrize("query", ["_since=yesterday", "_count=-1", "_cursor=x"])
def test_a_value_that_cannot_be_used_is_a_bad_request(world: World, query: str) -> None:
    assert world.get("eva", f"_history?{query}").status == 400


def test_an_unknown_parameter_is_named(world: World) -> None:
    entries = world.get("eva", "Organization/_history?colour=red").json["entry"]
    assert "colour" in entries[-1]["resource"]["issue"][0]["diagnostics"]
    assert world.get("eva", "_history?colour=red", prefer="handling=strict").status == 400


def test_history_is_in_the_capability_statement(world: World) -> None:
    rest = world.get("eva", "metadata").json["rest"][0]
    assert {"code": "history-system"} in rest["interaction"]
    for resource in rest["resource"]:
        if resource["type"] in RESOURCES:
            assert {"history-instance", "history-type"} <= {one["code"] for one in resource["interaction"]}
