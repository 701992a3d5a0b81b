"""A token learns nothing of what its scopes leave out: every request the registry makes possible is answered as if it were not there.

Two servers hold the same member; one lacks what the scope leaves out. Whatever is asked, by the ids and values of what is
left out, both answer the same, byte for byte. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from seed_data.generate import resources
from server.authorization.scopes import WILDCARD, served_letters
from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.conformance.test_isolation import comparable, told
from tests.conformance.two_members import Probe, identities, probes
from tests.factories import Record, provenance
from tests.lasting import World, lasting_world

MEMBER = "member-gallagher-ruiz"
LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
ONLY_LABORATORY = f"patient/Observation.rs?category={LABORATORY}"
EVERYTHING_ELSE = " ".join(f"patient/{type}.{served_letters(type)}" for type in RESOURCES if type != "Observation")
SCOPES = {"alone": ONLY_LABORATORY, "among-all-others": f"{ONLY_LABORATORY} {EVERYTHING_ELSE}"}
WIDE = f"patient/{WILDCARD}.rs"
ROWS = list(RESOURCES.values())


def of_member() -> Iterator[Record]:
    """The seed data of one member, with the directory and the medicines that everybody's records name."""
    part = ""
    for each in resources():
        if each["resourceType"] == "Patient":
            part = str(each["id"])
        if part in ("", MEMBER):
            yield dict(each)


def is_laboratory(each: Record) -> bool:
    """Whether an Observation has the category laboratory, told from its JSON alone."""
    system, _, code = LABORATORY.partition("|")
    codings = [coding for category in each["category"] for coding in category["coding"]]
    return any((coding["system"], coding["code"]) == (system, code) for coding in codings)


SEEDED = list(of_member())
OBSERVATIONS = [each for each in SEEDED if each["resourceType"] == "Observation"]
LABORATORIES = [each for each in OBSERVATIONS if is_laboratory(each)]
OTHERS = [each for each in OBSERVATIONS if not is_laboratory(each)]
CRAFTED = [
    provenance("of-laboratory", LABORATORIES[0], LABORATORIES[1]),
    provenance("of-vital-sign", OTHERS[0]),
    provenance("of-both", LABORATORIES[0], OTHERS[0]),
]
RECORDS = [*SEEDED, *CRAFTED]


def tells_of(each: Record, hidden: set[str]) -> bool:
    """Whether a Provenance says where something hidden came from."""
    return each["resourceType"] == "Provenance" and bool({t["reference"] for t in each["target"]} & hidden)


HIDDEN = [*OTHERS, *(each for each in RECORDS if tells_of(each, set(identities(OTHERS))))]
LEFT = [each for each in RECORDS if each not in HIDDEN]


@dataclass(frozen=True, slots=True)
class Worlds:
    """The member without what the scope leaves out, and with it."""

    without: World
    complete: World

    def ask(self, probe: Probe, scope: str) -> tuple[list[Reply], list[Reply]]:
        """The answers to a probe in both worlds, following ``next`` to the end."""
        return self._chain(self.without, probe, scope), self._chain(self.complete, probe, scope)

    @staticmethod
    def _chain(world: World, probe: Probe, scope: str) -> list[Reply]:
        token = world.token(MEMBER, scope)
        if probe.form is not None:
            replies = [world.served.post(probe.target, token, probe.form)]
        else:
            replies = [world.served.get(probe.target, token)]
        while replies[-1].status == 200 and replies[-1].json["resourceType"] == "Bundle" and len(replies) < 3:
            if "next" not in replies[-1].links:
                break
            replies.append(world.served.get(replies[-1].links["next"], token))
        return replies


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def worlds(request: pytest.FixtureRequest) -> Iterator[Worlds]:
    """Both worlds."""
    with ExitStack() as stack:
        without = stack.enter_context(lasting_world(request.param, request, LEFT))
        yield Worlds(without, stack.enter_context(lasting_world(request.param, request, RECORDS)))


def few(each: list[Record], count: int = 3) -> list[Record]:
    """A few of each resource type: as many values to try."""
    kept: dict[str, list[Record]] = {}
    for one in each:
        kept.setdefault(one["resourceType"], []).append(one)
    return [one for of_type in kept.values() for one in of_type[:count]]


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_what_a_scope_leaves_out_is_as_if_it_were_not_there(worlds: Worlds, row, scope: str) -> None:
    hidden = identities(HIDDEN)
    tried = 0
    for probe in probes(row, few(LEFT), [*few(HIDDEN), *few([e for e in LEFT if e["resourceType"] == row.type], 1)]):
        without, complete = worlds.ask(probe, scope)
        assert [comparable(reply) for reply in without] == [comparable(reply) for reply in complete], probe
        for reply in complete:
            body = told(reply).decode()
            assert not [name for name in hidden if f"'{name.partition('/')[2]}'" in body], probe
        tried += 1
    assert tried > 20


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_every_door_to_what_is_left_out_is_that_of_an_unknown_id(worlds: Worlds, scope: str) -> None:
    token = worlds.complete.token(MEMBER, scope)
    served = worlds.complete.served
    for name in identities(HIDDEN):
        type, _, id = name.partition("/")
        for target in (name, f"{name}/_history/1"):
            for method in ("GET", "HEAD"):
                for headers in ({}, {"if_none_match": "*"}, {"if_none_match": 'W/"1"'}):
                    unknown = served.send(method, target.replace(id, "unknown"), token, **headers)
                    reply = served.send(method, target, token, **headers)
                    expected = 404 if "Provenance" in scope or type == "Observation" else 403
                    assert reply.status == unknown.status == expected, (method, target)
                    assert reply.body == unknown.body.replace(b"unknown", id.encode())
                    assert {n for n, _ in reply.headers} == {n for n, _ in unknown.headers}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_what_the_scope_is_about_is_all_there(worlds: Worlds, scope: str) -> None:
    token = worlds.complete.token(MEMBER, scope)
    reply = worlds.complete.served.get("Observation?_count=200", token)
    assert sorted(reply.ids()) == sorted(identities(LABORATORIES))
    assert reply.json["total"] == len(LABORATORIES)
    assert len(OTHERS) > 5 and len(LABORATORIES) > 5
    for name in identities(LABORATORIES):
        assert worlds.complete.served.get(name, token).status == 200
        assert worlds.complete.served.get(f"{name}/_history/1", token).status == 200


def test_a_provenance_is_seen_with_all_its_targets_only(worlds: Worlds) -> None:
    scope = SCOPES["among-all-others"]
    found = worlds.complete.served.get(
        f"Observation?_id={LABORATORIES[0]['id']}&_revinclude=Provenance:target", worlds.complete.token(MEMBER, scope)
    )
    assert "Provenance/of-laboratory" in found.ids("include")
    assert "Provenance/of-both" not in found.ids("include")
    wide = worlds.complete.served.get("Provenance/of-both", worlds.complete.token(MEMBER, WIDE))
    assert wide.status == 200


def test_a_cursor_of_a_wider_token_does_not_open(worlds: Worlds) -> None:
    served = worlds.complete.served
    wide = served.get("Observation?_count=1", worlds.complete.token(MEMBER, WIDE))
    assert wide.json["total"] == len(OBSERVATIONS)
    narrow = worlds.complete.token(MEMBER, ONLY_LABORATORY)
    assert served.get(wide.links["next"], narrow).status == 400
    own = served.get("Observation?_count=1", narrow)
    assert served.get(own.links["next"], narrow).json["total"] == len(LABORATORIES)
    assert served.get(own.links["next"], worlds.complete.token(MEMBER, WIDE)).status == 400
