"""A member learns nothing of another by history, operations, orders and reduced answers either: the two worlds of test_isolation.

https://hl7.org/fhir/R4/http.html#history, https://hl7.org/fhir/R4/operations.html and https://hl7.org/fhir/R4/search.html#sort
"""

import re
from collections.abc import Iterator

import orjson
import pytest

from tests.asgi import Reply
from tests.conformance.household import ANNA, BORIS
from tests.conformance.test_isolation import CURSOR, MEMBER_ROWS, OTHERS, OWN, ROWS, SEEN, Worlds, identities, worlds
from tests.lasting import World

__all__ = ["worlds"]

LOADED = re.compile(rb'("lastModified":)"[^"]*"')
SYSTEM_WIDE = [
    "_history",
    "_history?_count=3",
    "_history?_since=2020-01-01",
    "Patient/$everything",
    "Patient/$everything?_count=4",
    "Patient/$everything?_since=2020-01-01T00:00:00Z",
    f"Patient/{ANNA.member}/$everything?_elements=id",
    f"DocumentReference/$docref?patient={ANNA.member}",
    f"DocumentReference/$docref?patient={ANNA.member}&start=1900",
    f"DocumentReference/$docref?patient={BORIS.member}&start=1900",
    f"DocumentReference/$docref?patient={BORIS.member}",
]


def addresses(row) -> Iterator[str]:
    """Requests about a type beyond those of test_isolation, by every parameter and every id there is, of either member."""
    yield f"{row.type}/_history"
    yield f"{row.type}/_history?_count=2"
    yield f"{row.type}?_summary=count"
    yield f"{row.type}?_summary=true&_total=none&_count=2"
    yield f"{row.type}?_elements=id&_count=2"
    for parameter in row.search_parameters:
        for sign in ("", "-"):
            yield f"{row.type}?_sort={sign}{parameter.code}&_count=3"
    for name in identities([*OWN, *OTHERS]):
        if name.startswith(f"{row.type}/"):
            yield f"{name}/_history"
            yield f"{name}/_history?_since=2020-01-01"
            yield f"{name}?_summary=true"
            yield f"{name}?_pretty=true"


def chain(world: World, address: str) -> list[Reply]:
    """The answer and those behind its links ``next`` and then ``previous``."""
    token = world.token(ANNA.member)
    replies = [world.served.get(address, token)]
    for relation in ("next", "previous"):
        while replies[-1].status == 200 and len(replies) < 60 and relation in _links(replies[-1]):
            replies.append(world.served.get(_links(replies[-1])[relation], token))
    return replies


def _links(reply: Reply) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in reply.json.get("link", []) if "url" in link}


def comparable(reply: Reply) -> tuple[int, bytes]:
    """An answer without what differs from request to request or from load to load."""
    body = LOADED.sub(rb"\1", CURSOR.sub(rb"\1", reply.body))
    parsed = reply.json
    if parsed["resourceType"] == "Bundle":
        body = body.replace(parsed["id"].encode(), b"").replace(parsed["meta"]["lastUpdated"].encode(), b"")
    return reply.status, body


def check(worlds: Worlds, address: str) -> int:
    """Both worlds answer alike, and nothing of the other member is served; the number of resources told."""
    alone, together = chain(worlds.alone, address), chain(worlds.together, address)
    assert [comparable(reply) for reply in alone] == [comparable(reply) for reply in together], address
    told = 0
    for reply in together:
        assert reply.status in (200, 404, 410), (address, reply.body)
        content = reply.json
        if content["resourceType"] == "OperationOutcome":
            continue
        listed = [entry["resource"] for entry in content.get("entry", []) if "resource" in entry]
        resources = listed if content["resourceType"] == "Bundle" else [content]
        told += len(resources)
        assert BORIS.mark.encode() not in orjson.dumps(resources).upper(), address
        assert {f"{one['resourceType']}/{one['id']}" for one in resources} <= SEEN, address
        deleted = {entry["fullUrl"].split("/fhir/")[1] for entry in content.get("entry", []) if "resource" not in entry}
        assert deleted <= SEEN, address
    return told


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_nothing_of_another_member_is_told_by_history_orders_or_views(worlds: Worlds, row) -> None:
    assert sum(check(worlds, address) for address in addresses(row)) > 0


@pytest.mark.parametrize("address", SYSTEM_WIDE)
def test_nothing_of_another_member_is_told_by_what_is_of_all_types(worlds: Worlds, address: str) -> None:
    told = check(worlds, address)
    assert (told > 0) == (BORIS.member not in address)


@pytest.mark.parametrize("row", MEMBER_ROWS, ids=[row.type for row in MEMBER_ROWS])
def test_the_history_of_anothers_is_that_of_an_unknown_id(worlds: Worlds, row) -> None:
    unknown = worlds.together.get(ANNA.member, f"{row.type}/unknown/_history")
    tried = 0
    for name in identities(OTHERS):
        if name.startswith(f"{row.type}/"):
            reply = worlds.together.get(ANNA.member, f"{name}/_history")
            assert reply.status == unknown.status == 404
            assert reply.body == unknown.body.replace(b"unknown", name.partition("/")[2].encode())
            tried += 1
    assert tried


def test_everything_of_another_member_is_that_of_an_unknown_one(worlds: Worlds) -> None:
    unknown = worlds.together.get(ANNA.member, "Patient/unknown/$everything")
    reply = worlds.together.get(ANNA.member, f"Patient/{BORIS.member}/$everything")
    assert reply.status == unknown.status == 404
    assert reply.body == unknown.body.replace(b"unknown", BORIS.member.encode())


def test_all_that_is_ones_own_is_there(worlds: Worlds) -> None:
    told = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for reply in chain(worlds.together, "Patient/$everything?_count=10")
        for entry in reply.json.get("entry", [])
    }
    own = {name for name in identities(OWN) if "mistaken" not in name}
    assert own <= told


@pytest.mark.parametrize("scope", ["patient/*.r", "patient/Observation.r patient/Patient.r", "launch/patient openid"])
def test_a_token_that_may_search_nothing_has_no_history_of_everything(worlds: Worlds, scope: str) -> None:
    """Without a single type the query must find nothing: it was everybody's once."""
    reply = worlds.together.served.get("_history", worlds.together.token(ANNA.member, scope))
    assert reply.status == 403
    assert BORIS.mark.encode() not in reply.body.upper()
