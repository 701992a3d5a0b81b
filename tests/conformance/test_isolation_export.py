"""A member's export has nothing of another, byte for byte, and others' exports are not there: the two worlds of test_isolation.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#security-considerations
"""

from typing import Any

import orjson
import pytest

from server.specification.registry import RESOURCES
from tests.conformance.household import ANNA, BORIS
from tests.conformance.test_isolation import OWN, SEEN, Worlds, worlds
from tests.conformance.two_members import RETRACTED, identities
from tests.factories import EVERYTHING, token
from tests.fhir.exporting import export, kick_off, wait
from tests.lasting import World

__all__ = ["worlds"]

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SCOPES = {
    "everything": EVERYTHING,
    "claims": "patient/ExplanationOfBenefit.rs patient/Coverage.rs patient/Provenance.rs",
    "laboratory": f"patient/Observation.rs?category={CATEGORY}|laboratory patient/Patient.rs",
    "directory": "patient/Organization.rs patient/Practitioner.rs patient/PractitionerRole.rs patient/Location.rs",
    "medicines": "patient/MedicationRequest.rs patient/Medication.rs patient/Binary.rs patient/DocumentReference.rs",
}
QUERIES = {
    "": "",
    "since": "?_since=2020-01-01T00:00:00Z",
    "types": "?_type=ExplanationOfBenefit,Coverage,Practitioner,Patient,Medication",
    "every-type": f"?_type={','.join(RESOURCES)}&_since=2020-01-01",
}


def exported(world: World, scope: str, query: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest without what differs from job to job and from load to load, and the files as they are sent."""
    text = world.token(ANNA.member, scope)
    address = kick_off(world.served, text, ANNA.member, query).header("content-location")
    reply = wait(world.served, address, text)
    assert reply.status == 200, reply.body
    listed = [*reply.json["output"], *reply.json["deleted"]]
    files = {one["url"].removeprefix(address): world.served.get(one["url"], text).body for one in listed}
    manifest = orjson.loads(reply.body.replace(address.encode(), b"")) | {"transactionTime": ""}
    assert world.served.send("DELETE", address, text).status == 202
    return manifest, files


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("query", QUERIES)
def test_an_export_is_that_of_a_world_without_the_other_member(worlds: Worlds, scope: str, query: str) -> None:
    alone = exported(worlds.alone, SCOPES[scope], QUERIES[query])
    together = exported(worlds.together, SCOPES[scope], QUERIES[query])
    assert together == alone
    for content in together[1].values():
        assert BORIS.mark.encode() not in content.upper()


def test_all_that_is_ones_own_is_there_once_and_nothing_else(worlds: Worlds) -> None:
    done = export(worlds.together.served, worlds.together.token(ANNA.member), ANNA.member)
    own = {name for name in identities(OWN) if "mistaken" not in name}
    assert len(done.names) == len(set(done.names))
    assert own <= set(done.names) <= SEEN


def test_the_deleted_are_ones_own(worlds: Worlds) -> None:
    _, files = exported(worlds.together, EVERYTHING, QUERIES["since"])
    (bundle,) = [orjson.loads(line) for line in files["/deleted.ndjson"].splitlines()]
    gone = {entry["request"]["url"] for entry in bundle["entry"]}
    assert gone == {f"{type}/{ANNA.named('mistaken')}" for type in RETRACTED}


def test_a_kick_off_for_another_member_is_that_for_an_unknown_one(worlds: Worlds) -> None:
    text = worlds.together.token(ANNA.member)
    other = kick_off(worlds.together.served, text, BORIS.member)
    unknown = kick_off(worlds.together.served, text, "unknown")
    assert other.status == unknown.status == 404
    assert other.body == unknown.body.replace(b"unknown", BORIS.member.encode())


@pytest.mark.parametrize(
    ("client_id", "member"), [("another-app", ANNA.member), ("app", BORIS.member), ("another-app", BORIS.member)]
)
def test_an_export_of_another_member_or_app_is_one_that_never_was(worlds: Worlds, client_id: str, member: str) -> None:
    world = worlds.together
    theirs = export(world.served, world.token(ANNA.member), ANNA.member)
    job = theirs.address.rpartition("/")[2]
    text = token(world.database, member, client_id=client_id).text
    never = "f" * len(job)
    targets = ["", "/Patient.ndjson", "/deleted.ndjson", *(f"/{type}.ndjson" for type in RESOURCES)]
    for method, target in [*(("GET", target) for target in targets), ("HEAD", ""), ("DELETE", "")]:
        reply = world.served.send(method, f"_export/{job}{target}", text)
        unknown = world.served.send(method, f"_export/{never}{target}", text)
        assert reply.status == unknown.status == 404
        assert reply.body == unknown.body.replace(never.encode(), job.encode())
        headers = [[pair for pair in one.headers if pair[0] != b"x-request-id"] for one in (reply, unknown)]
        assert headers[0] == headers[1]
    assert world.served.get(theirs.address, world.token(ANNA.member)).status == 200


def test_an_export_being_written_for_one_does_not_hinder_another(worlds: Worlds) -> None:
    served = worlds.together.served
    texts = {member: worlds.together.token(member) for member in (ANNA.member, BORIS.member)}
    begun = {member: kick_off(served, text, member) for member, text in texts.items()}
    assert [reply.status for reply in begun.values()] == [202, 202]
    for member, reply in begun.items():
        assert wait(served, reply.header("content-location"), texts[member]).status == 200
