"""A member learns nothing of another by any request that can be drawn from the registry: the two worlds of test_isolation.

https://hl7.org/fhir/R4/security.html - ``ISOLATION_EXAMPLES=20000`` draws so many, others each time; without it the same few hundred.
"""

import os
import re
from collections import Counter
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings

from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.conformance.generated_requests import INTERACTIONS, PLAIN, SERVED, WORDS, Drawn, requests
from tests.conformance.household import ANNA, BORIS
from tests.conformance.test_isolation import CURSOR, Worlds, worlds
from tests.lasting import World

__all__ = ["worlds"]

EXAMPLES = int(os.environ.get("ISOLATION_EXAMPLES", "0"))
BOUNDED = settings(
    max_examples=EXAMPLES or 300,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
LOADED = re.compile(rb'("lastModified": ?)"[^"]*"')
PAGES = 6
VARYING = (b"x-request-id",)
LENGTH = (b"content-length",)


def answers(world: World, asked: Drawn) -> list[Reply]:
    """The answer, and those behind its links ``next`` and then ``previous``."""
    token = world.token(ANNA.member, asked.scope)
    if asked.form is not None:
        replies = [world.served.post(asked.target, token, asked.form)]
    else:
        replies = [world.served.send(asked.method, asked.target, token, b"", **asked.headers)]
    for relation in ("next", "previous"):
        while len(replies) < PAGES and relation in _links(replies[-1]):
            replies.append(world.served.get(_links(replies[-1])[relation], token))
    return replies


def _links(reply: Reply) -> dict[str, str]:
    content = reply.json if reply.raw else {}
    return {link["relation"]: link["url"] for link in content.get("link", []) if "url" in link}


def comparable(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """An answer without what differs from request to request: its id, its cursors, and when the payer last loaded anything."""
    body = LOADED.sub(rb"\1", CURSOR.sub(rb"\1", reply.body))
    left_out = VARYING
    if body.startswith(b"{") and reply.json["resourceType"] == "Bundle":
        parsed = reply.json
        body = body.replace(parsed["id"].encode(), b"").replace(parsed["meta"]["lastUpdated"].encode(), b"")
        left_out += LENGTH
    if reply.header("content-encoding") or not reply.raw:
        left_out += LENGTH  # of what was compressed, or would have been sent: with ids and cursors in it
    return reply.status, [(name, value) for name, value in reply.headers if name not in left_out], body


def resources(reply: Reply) -> tuple[list[Any], set[str]]:
    """The resources in an answer, and the names of those that are only told to be gone."""
    content = reply.json if reply.raw else {"resourceType": "OperationOutcome"}
    if content["resourceType"] != "Bundle":
        return [content] if content["resourceType"] != "OperationOutcome" else [], set()
    entries = content.get("entry", [])
    found = [each["resource"] for each in entries if "resource" in each]
    gone = {each["fullUrl"].split("/fhir/")[1] for each in entries if "resource" not in each}
    return [each for each in found if each["resourceType"] != "OperationOutcome"], gone


def check(worlds: Worlds, asked: Drawn) -> tuple[int, int]:
    """Both worlds answer alike and nothing of the other member is told; the first status, and how many resources were told."""
    alone, together = answers(worlds.alone, asked), answers(worlds.together, asked)
    assert [comparable(reply) for reply in alone] == [comparable(reply) for reply in together], asked
    told = 0
    for reply in together:
        assert reply.status < 500, (asked, reply.body)
        found, gone = resources(reply)
        told += len(found)
        assert BORIS.mark.encode() not in orjson.dumps(found).upper(), asked
        assert {f"{each['resourceType']}/{each['id']}" for each in found} | gone <= SERVED, asked
        for name, value in reply.headers:
            assert BORIS.mark.encode() not in value.upper(), (asked, name)
            assert BORIS.member.encode() not in value, (asked, name)
    return together[0].status, told


def test_nothing_of_another_member_is_told_by_any_request(worlds: Worlds) -> None:
    statuses: Counter[int] = Counter()
    telling: Counter[str] = Counter()
    types: set[str] = set()
    words: set[str] = set()

    @BOUNDED
    @given(asked=requests())
    def ask(asked: Drawn) -> None:
        status, told = check(worlds, asked)
        statuses[status] += 1
        telling[asked.kind] += told
        types.add(asked.type)
        words.update(asked.words)

    for plain in PLAIN:
        ask = example(plain)(ask)
    ask()
    # So that what is compared is not errors with errors, and always the same. What is drawn changes with every row.
    assert statuses[200] > sum(statuses.values()) / 3, statuses
    assert len([kind for kind in INTERACTIONS if telling[kind]]) > len(INTERACTIONS) / 2, telling
    assert len(types) > len(RESOURCES) * 3 / 4
    assert len(words & WORDS) > len(WORDS) * 3 / 4, words
