"""Read and vread: the stored bytes, their version, and 404, 410 and 304 where they are due.

https://hl7.org/fhir/R4/http.html#read and https://hl7.org/fhir/R4/http.html#vread
"""

from email.utils import parsedate_to_datetime

import pytest

from tests.lasting import World

JANUARY = "ExplanationOfBenefit/january"


def test_a_read_answers_the_resource_with_its_version(world: World) -> None:
    reply = world.get("anna", JANUARY)
    assert reply.status == 200
    assert reply.header("content-type") == "application/fhir+json; charset=utf-8"
    resource = reply.json
    assert (resource["resourceType"], resource["id"]) == ("ExplanationOfBenefit", "january")
    assert resource["disposition"] == "corrected"
    assert reply.header("etag") == f'W/"{resource["meta"]["versionId"]}"' == 'W/"2"'
    assert resource["meta"]["lastUpdated"] == "2026-01-25T10:00:00.000+00:00"
    assert parsedate_to_datetime(reply.header("last-modified")).isoformat() == "2026-01-25T10:00:00+00:00"


def test_decimals_keep_their_text(world: World) -> None:
    assert b'"value":0.00,' in world.get("anna", JANUARY).body.replace(b" ", b"")
    assert b'"value":120.50' in world.get("anna", "ExplanationOfBenefit?_id=january").body.replace(b" ", b"")


def test_letters_keep_their_accents(world: World) -> None:
    assert "Müller" in world.get("anna", "Patient/anna").body.decode()


def test_a_version_read_answers_that_version(world: World) -> None:
    first = world.get("anna", f"{JANUARY}/_history/1")
    assert first.status == 200
    assert "disposition" not in first.json
    assert first.header("etag") == 'W/"1"'
    assert first.json["meta"]["versionId"] == "1"
    assert world.get("anna", f"{JANUARY}/_history/2").body == world.get("anna", JANUARY).body


@pytest.mark.parametrize("version", ["3", "0", "x", "01"])
def test_a_version_that_never_was_is_not_found(world: World, version: str) -> None:
    assert world.get("anna", f"{JANUARY}/_history/{version}").status == 404


def test_an_etag_that_is_known_needs_no_body(world: World) -> None:
    for known in ('W/"2"', 'W/"1", W/"2"', ' W/"2" '):
        reply = world.get("anna", JANUARY, if_none_match=known)
        assert (reply.status, reply.raw, reply.header("etag")) == (304, b"", 'W/"2"')
    for other in ('W/"1"', '"', "nonsense"):
        assert world.get("anna", JANUARY, if_none_match=other).status == 200


def test_a_retracted_resource_is_gone_with_every_version(world: World) -> None:
    reply = world.get("anna", "ExplanationOfBenefit/mistake")
    assert reply.status == 410
    assert reply.json["issue"][0]["code"] == "deleted"
    assert world.get("anna", "ExplanationOfBenefit/mistake/_history/1").status == 410
    assert world.get("anna", "ExplanationOfBenefit/mistake/_history/2").status == 410
    assert world.get("ben", "ExplanationOfBenefit/mistake").status == 404
    assert world.get("ben", "ExplanationOfBenefit/mistake/_history/1").status == 404
    assert world.get("ben", "ExplanationOfBenefit/mistake/_history/2").status == 404


def test_a_foreign_and_an_unknown_id_get_the_same_answer(world: World) -> None:
    foreign = world.get("ben", JANUARY)
    unknown = world.get("ben", "ExplanationOfBenefit/juneary")
    assert foreign.status == unknown.status == 404
    assert foreign.body.replace(b"january", b"juneary") == unknown.body
    assert [name for name, _ in foreign.headers] == [name for name, _ in unknown.headers]


def test_the_directory_is_everybodys(world: World) -> None:
    for member in ("anna", "ben", "carla"):
        assert world.get(member, "Organization/payer").status == 200


def test_a_head_has_the_headers_and_no_body(world: World) -> None:
    get = world.get("anna", JANUARY)
    head = world.served.send("HEAD", JANUARY, world.token("anna"))
    assert (head.status, head.raw) == (200, b"")
    assert head.header("etag") == get.header("etag")
    assert head.header("content-length") == str(len(get.raw))
    assert world.served.send("HEAD", "ExplanationOfBenefit", world.token("anna")).raw == b""


def test_nothing_about_a_member_is_kept_by_caches(world: World) -> None:
    for target in ("Patient/anna", "Patient", "Patient/unknown"):
        assert world.get("anna", target).header("cache-control") == "no-store"
