"""Chains and ``_has`` find what single searches one after the other find, and tell nothing of another member or an unseen type.

Expected results come from plain searches: those that the chain is made of. https://hl7.org/fhir/R4/search.html#chaining
"""

from collections.abc import Iterator
from random import Random
from urllib.parse import quote

import pytest

from server.specification.definition import ResourceDefinition, SearchParameter
from server.specification.registry import RESOURCES
from tests.conformance.household import ANNA, BORIS
from tests.conformance.test_isolation import CURSOR, OTHERS, OWN, ROWS, Worlds, search_values, worlds
from tests.conformance.two_members import DIRECTORY, references
from tests.lasting import World

__all__ = ["worlds"]

RECORDS = [*OWN, *DIRECTORY]
LINKS = [
    (row, reference, RESOURCES[type])
    for row in ROWS
    for reference in references(row)
    for type in (RESOURCES if "Resource" in reference.targets else reference.targets)
    if type in RESOURCES
]
"""(row, reference parameter, a row it may refer to): every link a chain can have."""


def some_values(row: ResourceDefinition, parameter: SearchParameter, records: list, count: int = 2) -> list[str]:
    values = search_values(row, parameter, records)
    return Random(f"{row.type} {parameter.code}").sample(values, min(count, len(values)))


def found(world: World, address: str) -> list[str]:
    reply = world.get(ANNA.member, f"{address}&_count=500")
    assert reply.status == 200, (address, reply.body)
    return sorted(reply.ids())


def steps(target: ResourceDefinition, records: list) -> Iterator[tuple[SearchParameter, str]]:
    for parameter in target.search_parameters:
        for value in some_values(target, parameter, records):
            yield parameter, quote(value, safe="")


@pytest.mark.parametrize("link", LINKS, ids=[f"{row.type}.{code.code}-{target.type}" for row, code, target in LINKS])
def test_a_chain_and_its_reverse_find_what_single_searches_find(worlds: Worlds, link) -> None:
    row, reference, target = link
    world = worlds.together
    for parameter, value in steps(target, RECORDS):
        matching = found(world, f"{target.type}?{parameter.code}={value}")
        expected: set[str] = set()
        if matching:
            expected.update(found(world, f"{row.type}?{reference.code}={','.join(matching)}"))
        chain = f"{row.type}?{reference.code}:{target.type}.{parameter.code}={value}"
        assert found(world, chain) == sorted(expected), chain
    for parameter, value in steps(row, RECORDS):
        pointing = found(world, f"{row.type}?{parameter.code}={value}")
        named = [
            found(world, f"{target.type}?_has:{row.type}:{reference.code}:_id={one.partition('/')[2]}")
            for one in pointing
        ]
        has = f"{target.type}?_has:{row.type}:{reference.code}:{parameter.code}={value}"
        assert found(world, has) == sorted({name for names in named for name in names}), has


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_a_chain_tells_nothing_of_another_member(worlds: Worlds, row: ResourceDefinition) -> None:
    for source, reference, target in LINKS:
        if source is not row:
            continue
        for parameter, value in steps(target, OTHERS):
            _alike(worlds, f"{row.type}?{reference.code}:{target.type}.{parameter.code}={value}")
        for parameter, value in steps(row, OTHERS):
            _alike(worlds, f"{target.type}?_has:{row.type}:{reference.code}:{parameter.code}={value}")


def _alike(worlds: Worlds, address: str) -> None:
    answers = []
    for world in (worlds.alone, worlds.together):
        reply = world.get(ANNA.member, address)
        assert reply.status == 200, (address, reply.body)
        body = CURSOR.sub(rb"\1", reply.body).replace(reply.json["id"].encode(), b"")
        answers.append(body.replace(reply.json["meta"]["lastUpdated"].encode(), b""))
        assert BORIS.mark not in str(reply.entries()).upper()
    assert answers[0] == answers[1], address


def test_most_links_find_something(worlds: Worlds) -> None:
    """So that what the others compare is not nothing with nothing."""
    world, telling = worlds.together, set()
    for row, reference, target in LINKS:
        for parameter, value in steps(target, RECORDS):
            if found(world, f"{row.type}?{reference.code}:{target.type}.{parameter.code}={value}"):
                telling.add((row.type, reference.code))
    assert len(telling) > len({(row.type, reference.code) for row, reference, _ in LINKS}) / 2


def test_a_chain_goes_only_through_what_the_token_may_see(worlds: Worlds) -> None:
    token = worlds.together.token(ANNA.member, "patient/ExplanationOfBenefit.rs patient/Patient.rs")
    ask = worlds.together.served.get
    assert ask("ExplanationOfBenefit?coverage._id=1", token).status == 403
    assert ask("ExplanationOfBenefit?coverage:Coverage._id=1", token).status == 403
    assert ask("Patient?_has:Coverage:beneficiary:_id=1", token).status == 403
    assert ask("ExplanationOfBenefit?patient.gender=female", token).status == 200


def test_of_a_type_seen_in_part_a_chain_goes_through_that_part(worlds: Worlds) -> None:
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    every = set(found(worlds.together, "Patient?_has:Observation:patient:status=final"))
    assert every
    token = worlds.together.token(ANNA.member, f"patient/Patient.rs patient/Observation.rs?category={category}|never")
    reply = worlds.together.served.get("Patient?_has:Observation:patient:status=final", token)
    assert (reply.status, reply.ids()) == (200, [])


@pytest.mark.parametrize(
    "query",
    [
        "status.code=1",
        "colour.code=1",
        "patient.colour=1",
        "patient:Coverage.status=active",
        "_has:Coverage:beneficiary=1",
        "_has:Unicorn:patient:status=1",
        "_has:ExplanationOfBenefit:coverage:status=active",
        "patient._has:ExplanationOfBenefit:patient:coverage.payor.name=1",
        "coverage.payor.status:missing=perhaps",
    ],
)
def test_what_is_no_chain_is_a_bad_request(worlds: Worlds, query: str) -> None:
    reply = worlds.together.get(ANNA.member, f"ExplanationOfBenefit?{query}")
    assert reply.status == 400
    assert reply.json["issue"][0]["diagnostics"]


def test_a_chain_may_have_three_links(worlds: Worlds) -> None:
    reply = worlds.together.get(ANNA.member, "ExplanationOfBenefit?coverage.payor.name=a")
    assert reply.status == 200
