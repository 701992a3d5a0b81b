"""A member learns nothing of another: every request the registry makes possible is answered as if the other were not there.

Two servers hold the same directory and the same member; one holds a second member too. Whatever the first member asks, by the
second one's ids and values, both answer the same, byte for byte. https://hl7.org/fhir/R4/security.html
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from server.ingest.load import retract
from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.conformance.clinical_records import SHARED_MEDICATION
from tests.conformance.household import ANNA, BORIS, Household
from tests.conformance.two_members import (
    DIRECTORY,
    RETRACTED,
    Probe,
    identities,
    probes,
    search_values,
    versions,
)
from tests.factories import Record, concept, explanation_of_benefit, patient, record, reference, store
from tests.lasting import World, lasting_world

OWN = [each for load in versions(ANNA, BORIS) for each in load]
OTHERS = [each for load in versions(BORIS, ANNA) for each in load]
ROWS = list(RESOURCES.values())
MEMBER_ROWS = [row for row in ROWS if not row.is_directory]
NAMED_ROWS = [row for row in ROWS if row.membership.kind is MembershipKind.NAMED]
SHARED = set(identities(DIRECTORY))
SEEN = {*identities(OWN), *SHARED}
"""All that the first member may be served."""
CURSOR = re.compile(rb"(_cursor=)[\w-]+")
VARYING = (b"x-request-id",)


def load_household(world: World, own: Household, other: Household) -> None:
    """Load a member's records, their second versions, and retract the mistaken ones."""
    for records in versions(own, other):
        store(world.database, world.settings, records)
    report = retract(world.database, world.settings, [f"{type}/{own.named('mistaken')}" for type in RETRACTED])
    assert report.exit_code == 0, str(report)


@dataclass(frozen=True, slots=True)
class Worlds:
    """The same member alone, and together with another."""

    alone: World
    together: World

    def ask(self, probe: Probe, member: str = ANNA.member) -> tuple[list[Reply], list[Reply]]:
        """The answers to a probe in both worlds, following ``next`` to the end."""
        return self._chain(self.alone, probe, member), self._chain(self.together, probe, member)

    @staticmethod
    def _chain(world: World, probe: Probe, member: str) -> list[Reply]:
        token = world.token(member)
        if probe.form is not None:
            replies = [world.served.post(probe.target, token, probe.form)]
        else:
            replies = [world.served.get(probe.target, token)]
        while replies[-1].status == 200 and replies[-1].json["resourceType"] == "Bundle" and len(replies) < 40:
            if "next" not in replies[-1].links:
                break
            replies.append(world.served.get(replies[-1].links["next"], token))
        return replies


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def worlds(request: pytest.FixtureRequest) -> Iterator[Worlds]:
    """Both worlds. The other member's first records were loaded before, the rest after the member's own."""
    with ExitStack() as stack:
        alone = stack.enter_context(lasting_world(request.param, request, DIRECTORY))
        together = stack.enter_context(lasting_world(request.param, request, DIRECTORY))
        store(together.database, together.settings, next(versions(BORIS, ANNA)))
        for world in (alone, together):
            load_household(world, ANNA, BORIS)
        load_household(together, BORIS, ANNA)
        yield Worlds(alone, together)


def comparable(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], Any]:
    """An answer without what differs from request to request: its id, its cursors, and when the payer last loaded anything."""
    headers = [(name, value) for name, value in reply.headers if name not in VARYING]
    body: Any = CURSOR.sub(rb"\1", reply.body)
    if b'"resourceType":"Bundle"' in body[:60]:
        parsed = reply.json
        body = body.replace(parsed["id"].encode(), b"").replace(parsed["meta"]["lastUpdated"].encode(), b"")
    return reply.status, headers, body


def told(reply: Reply) -> bytes:
    """What an answer tells beyond what it was asked: without links and diagnostics, which repeat the question."""
    if reply.json["resourceType"] == "OperationOutcome":
        return b""
    if reply.json["resourceType"] == "Bundle":
        return str(reply.entries("match") + reply.entries("include")).encode()
    return reply.body


def check(worlds: Worlds, probe: Probe, seen: set[str] = SEEN) -> None:
    """Both worlds answer alike, nothing that is marked as the other member's is told, and nothing but ``seen`` is served."""
    alone, together = worlds.ask(probe)
    assert [comparable(reply) for reply in alone] == [comparable(reply) for reply in together], probe
    for reply in together:
        assert reply.status in (200, 404), (probe, reply.body)
        assert BORIS.mark.encode() not in told(reply).upper(), probe
        for _, value in reply.headers:
            assert BORIS.mark.encode() not in value.upper(), probe
        if reply.json["resourceType"] == "Bundle":
            served = {*reply.ids("match"), *reply.ids("include")}
            assert served <= seen, probe


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_nothing_of_another_member_is_told(worlds: Worlds, row: Any) -> None:
    others = OTHERS if not row.is_directory else [*OTHERS, *DIRECTORY]
    tried = set()
    for probe in probes(row, [*OWN, *DIRECTORY], others):
        check(worlds, probe)
        tried.add(probe.part)
    expected = {(row.type, "read"), (row.type, "_include:iterate", "*")}
    expected |= {
        (row.type, "search", parameter.code) for parameter in row.search_parameters if parameter.code != "_lastUpdated"
    }
    expected |= {(row.type, "_include", include.split(":")[1]) for include in row.includes}
    expected |= {(row.type, "_revinclude", reverse) for reverse in row.revincludes}
    assert expected <= tried


@pytest.mark.parametrize("row", MEMBER_ROWS, ids=[row.type for row in MEMBER_ROWS])
def test_every_read_of_anothers_is_as_of_an_unknown_id(worlds: Worlds, row: Any) -> None:
    unknown = worlds.together.get(ANNA.member, f"{row.type}/unknown")
    for name in identities(OTHERS):
        if name.startswith(f"{row.type}/"):
            for target in (name, *(f"{name}/_history/{version}" for version in range(1, 5))):
                reply = worlds.together.get(ANNA.member, target)
                assert reply.status == 404
                assert reply.body == unknown.body.replace(b"unknown", name.partition("/")[2].encode())


@pytest.mark.parametrize("row", MEMBER_ROWS, ids=[row.type for row in MEMBER_ROWS])
def test_the_probes_are_no_blanks(worlds: Worlds, row: Any) -> None:
    """Each value tried finds something for the member it was taken from, and each id is readable for them."""
    for parameter in row.search_parameters:
        for household, records in ((ANNA, OWN), (BORIS, OTHERS)):
            forms = search_values(row, parameter, records)
            assert forms or parameter.code.startswith("_"), parameter.code
            found = [
                worlds.together.get(household.member, probe.target).json["total"]
                for probe in _plain(row, parameter, records)
            ]
            assert any(found) or not forms, parameter.code
    for name in identities(OTHERS):
        if name.startswith(f"{row.type}/"):
            assert worlds.together.get(BORIS.member, name).status == (410 if "mistaken" in name else 200)
            assert worlds.together.get(BORIS.member, f"{name}/_history/1").status == (
                410 if "mistaken" in name else 200
            )


def _plain(row: Any, parameter: Any, records: list[Record]) -> list[Probe]:
    part = (row.type, "search", parameter.code)
    return [
        probe
        for probe in probes(row, [], records)
        if probe.part == part and probe.form is None and "_count" not in probe.target
    ]


def test_the_other_member_sees_their_own_includes(worlds: Worlds) -> None:
    """What stays hidden from one member is there for the other: nothing is missing by mistake."""
    everything = "ExplanationOfBenefit?_include=ExplanationOfBenefit:*&_revinclude=Provenance:target"
    reply = worlds.together.get(BORIS.member, everything)
    included = set(reply.ids("include"))
    assert {
        f"Patient/{BORIS.member}",
        f"Coverage/{BORIS.named('gold')}",
        f"RelatedPerson/{BORIS.named('kin')}",
    } <= included
    assert f"Provenance/{BORIS.named('of-everything')}" in included
    assert not [name for name in included if ANNA.member in name]


def test_a_reference_that_ones_own_record_holds_is_told_and_never_resolved(worlds: Worlds) -> None:
    target = f"ExplanationOfBenefit?coverage=Coverage/{BORIS.named('gold')}&_include=ExplanationOfBenefit:coverage"
    reply = worlds.together.get(ANNA.member, target)
    assert reply.ids() == [f"ExplanationOfBenefit/{ANNA.named('of-others-coverage')}"]
    assert reply.ids("include") == []
    assert BORIS.named("gold") in str(reply.entries())


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_totals_count_ones_own_only(worlds: Worlds, row: Any) -> None:
    records = [*OWN, *DIRECTORY]
    expected = [n for n in identities(records) if n.startswith(f"{row.type}/") and "mistaken" not in n]
    for target in (row.type, f"{row.type}?_count=0", f"{row.type}?_count=1"):
        assert worlds.together.get(ANNA.member, target).json["total"] == len(expected)
    assert sorted(worlds.together.get(ANNA.member, row.type).ids()) == sorted(expected)


@pytest.mark.parametrize("target", ["ExplanationOfBenefit?patient=", "Coverage?beneficiary=", "RelatedPerson?patient="])
def test_a_search_that_names_another_member_finds_nothing(worlds: Worlds, target: str) -> None:
    for name in (
        BORIS.member,
        f"Patient/{BORIS.member}",
        f"{worlds.together.settings.fhir_base}/Patient/{BORIS.member}",
    ):
        assert worlds.together.get(ANNA.member, f"{target}{name}").json["total"] == 0
    assert worlds.together.get(ANNA.member, f"{target}{ANNA.member}").json["total"] > 0


@pytest.mark.parametrize(("former", "now"), [(ANNA, BORIS), (BORIS, ANNA)])
def test_of_a_record_that_moved_its_member_sees_the_versions_that_are_theirs_the_former_none(
    worlds: Worlds, former: Household, now: Household
) -> None:
    world, id = worlds.together, f"moved-to-{now.member}"
    store(world.database, world.settings, [explanation_of_benefit(id, patient(former.member), disposition=former.mark)])
    assert world.get(former.member, f"ExplanationOfBenefit/{id}").status == 200
    moved = explanation_of_benefit(id, patient(now.member), disposition=now.mark)
    store(world.database, world.settings, [moved])
    assert world.get(former.member, f"ExplanationOfBenefit/{id}").status == 410
    assert world.get(now.member, f"ExplanationOfBenefit/{id}").status == 200
    for household, foreign in ((former, now), (now, former)):
        replies = [world.get(household.member, f"ExplanationOfBenefit/{id}/_history/{n}") for n in range(1, 5)]
        statuses = [reply.status for reply in replies]
        assert statuses.count(200) == (1 if household is now else 0)
        assert set(statuses) <= {200, 404, 410}
        assert not [reply for reply in replies if foreign.mark.encode() in reply.body]
    for target in (id, *(f"{id}/_history/{n}" for n in range(1, 5))):  # for a third one it never was
        assert world.get("nobody", f"ExplanationOfBenefit/{target}").status == 404
    assert id not in str(world.get(former.member, "ExplanationOfBenefit").ids())
    assert id in str(world.get(now.member, "ExplanationOfBenefit").ids())


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_a_token_without_the_scope_of_a_type_learns_nothing_of_it(worlds: Worlds, row: Any) -> None:
    others = " ".join(f"patient/{other.type}.rs" for other in ROWS if other is not row)
    token = worlds.together.token(ANNA.member, others)
    for name in [*identities(OWN), *SHARED]:
        if name.startswith(f"{row.type}/"):
            for target in (name, f"{name}/_history/1"):
                assert worlds.together.served.get(target, token).status == 403
    assert worlds.together.served.get(row.type, token).status == 403
    assert worlds.together.served.post(f"{row.type}/_search", token, []).status == 403
    for source in ROWS:
        if source is not row:
            onward = "&".join(f"_include:iterate={any.type}:*" for any in ROWS if any.includes)
            back = "&".join(f"_revinclude:iterate={reverse}" for any in ROWS for reverse in any.revincludes)
            reply = worlds.together.served.get(f"{source.type}?{onward}&{back}", token)
            assert reply.status == 200
            assert not [name for name in reply.ids("include") if name.startswith(f"{row.type}/")]


def test_the_generator_covers_the_registry() -> None:
    tried = {probe.part for row in ROWS for probe in probes(row, [*OWN, *DIRECTORY], [*OTHERS, *DIRECTORY])}
    for row in ROWS:
        assert (row.type, "read") in tried
        for parameter in row.search_parameters:
            assert (row.type, "search", parameter.code) in tried, (row.type, parameter.code)
        for include in row.includes:
            assert (row.type, "_include", include.split(":")[1]) in tried, include
        for reverse in row.revincludes:
            assert (row.type, "_revinclude", reverse) in tried, reverse
    assert len([parameter for row in ROWS for parameter in row.search_parameters]) > 40
    assert {probe.form is None for row in ROWS for probe in probes(row, OWN, OTHERS)} == {True, False}


def test_what_both_name_is_served_to_both_and_tells_neither_of_the_other(worlds: Worlds) -> None:
    world, shared = worlds.together, identities([SHARED_MEDICATION])[0]
    for household, other in ((ANNA, BORIS), (BORIS, ANNA)):
        assert world.get(household.member, shared).body == world.get(other.member, shared).body
        asked = "MedicationRequest?_include=MedicationRequest:medication"
        assert shared in world.get(household.member, asked).ids("include")
        found = world.get(household.member, f"Medication?_id={SHARED_MEDICATION['id']}&_revinclude=Provenance:target")
        assert found.ids() == [shared]
        assert found.ids("include") == [f"Provenance/{household.named('of-everything')}"]
        assert world.get("nobody", shared).status == 404


@pytest.mark.parametrize("row", NAMED_ROWS, ids=[row.type for row in NAMED_ROWS])
def test_what_only_one_names_is_not_there_for_another(worlds: Worlds, row: Any) -> None:
    """By read, vread, search, include and as the target of a Provenance."""
    world = worlds.together
    for household, other in ((ANNA, BORIS), (BORIS, ANNA)):
        own = [n for n in identities([*OWN, *OTHERS]) if n.startswith(f"{row.type}/{household.member}-")]
        assert own
        for name in own:
            gone = 410 if "mistaken" in name else 200
            assert world.get(household.member, name).status == gone
            assert world.get(other.member, name).status == 404
            assert world.get(other.member, f"{name}/_history/1").status == 404
            id = name.partition("/")[2]
            assert world.get(other.member, f"{row.type}?_id={id}").json["total"] == 0
            assert world.get(other.member, f"Provenance?target={name}").json["total"] == 0
        assert not set(own) & set(world.get(other.member, row.type).ids())


def test_a_medication_is_there_for_as_long_as_a_prescription_names_it(worlds: Worlds) -> None:
    world, id = worlds.together, "for-a-while"
    medication = record("Medication", id, code=concept(ANNA.system, "for-a-while"))
    asked = {"status": "active", "intent": "order", "medicationReference": reference(medication)}
    request = record("MedicationRequest", id, subject=BORIS.reference, **asked)
    store(world.database, world.settings, [medication])
    assert world.get(BORIS.member, f"Medication/{id}").status == 404
    store(world.database, world.settings, [request])
    assert world.get(BORIS.member, f"Medication/{id}").status == 200
    assert world.get(ANNA.member, f"Medication/{id}").status == 404
    store(world.database, world.settings, [request | {"subject": ANNA.reference}])
    assert world.get(BORIS.member, f"Medication/{id}").status == 404
    assert world.get(ANNA.member, f"Medication/{id}").status == 200
    retract(world.database, world.settings, [f"MedicationRequest/{id}"])
    assert world.get(ANNA.member, f"Medication/{id}").status == 404
