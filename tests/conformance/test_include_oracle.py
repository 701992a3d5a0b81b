"""Includes and reverse includes bring what a brute-force walk over the member's records reaches: no more, no less, the right versions.

https://hl7.org/fhir/R4/search.html#include - every declared include, every pair of one and an iteration, and drawn combinations.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from server.specification.definition import ResourceDefinition
from server.specification.registry import RESOURCES
from server.storage.schema import Resource, ResourceVersion
from tests.conformance.household import ANNA, BORIS, Household
from tests.conformance.oracle import Compartment, Json, compartments, compiled
from tests.conformance.test_isolation import load_household
from tests.conformance.two_members import DIRECTORY
from tests.factories import coverage, explanation_of_benefit, patient, provenance, record, reference, store
from tests.lasting import FHIR_BASE, World, lasting_world

RESOURCE: Any = Resource.__table__  # type: ignore[attr-defined]
VERSION: Any = ResourceVersion.__table__  # type: ignore[attr-defined]
ROWS = list(RESOURCES.values())
ROUNDS = 5
"""How deep iteration goes."""
DRAWN = 12
"""Combinations of up to six parameters drawn for a type."""
SAMPLE = 6
"""On PostgreSQL every sixth of the pairs is asked; on SQLite all are."""
OF_THE_REST = provenance("of-the-rest", "Practitioner/doctor", "Location/place", "Endpoint/exchange")
Node = tuple[str, str]
"""``Type/id`` and version."""


@dataclass(frozen=True, slots=True)
class Step:
    """A parameter taken apart: the reference of a type that it follows, forwards or back, to what, and whether it goes on."""

    name: str
    value: str

    @property
    def iterates(self) -> bool:
        return self.name.endswith(":iterate")

    @property
    def is_reverse(self) -> bool:
        return self.name.startswith("_revinclude")

    @property
    def parts(self) -> tuple[str, str, str]:
        """Source type, parameter code or ``*``, target type or ''."""
        source, _, rest = self.value.partition(":")
        code, _, target = rest.partition(":")
        return source, code, target

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(slots=True)
class Records:
    """What one member may see, in every version, as parsed JSON: nothing here asks the server or its index."""

    compartment: Compartment
    past: dict[Node, Json]
    _named: dict[tuple[Node, str], list[Node]] = field(default_factory=dict)

    def current(self, type: str) -> list[Node]:
        return [self._now(f"{type}/{id}") for id in self.compartment.resources.get(type, {})]

    def _now(self, name: str) -> Node:
        type, _, id = name.partition("/")
        version: str = self.compartment.resources[type][id]["meta"]["versionId"]
        return name, version

    def _resource(self, node: Node) -> Json:
        type, _, id = node[0].partition("/")
        return self.past[node] if node in self.past else self.compartment.resources[type][id]

    def named(self, node: Node, code: str) -> list[Node]:
        """What a version refers to by a search parameter: the version it names if that is kept, else the current one."""
        if (node, code) not in self._named:
            parameter = RESOURCES[node[0].partition("/")[0]].parameter(code)
            assert parameter is not None
            found = []
            for value in compiled(parameter.expression)(self._resource(node)):
                path, _, version = value.get("reference", "").removeprefix(f"{FHIR_BASE}/").partition("/_history/")
                type, _, id = path.partition("/")
                if id in self.compartment.resources.get(type, {}):
                    found.append((path, version) if (path, version) in self.past else self._now(path))
            self._named[node, code] = found
        return self._named[node, code]

    def reached(self, matches: Sequence[Node], steps: Sequence[Step]) -> set[Node]:
        """All that the steps lead to from the matches, and that is none."""
        reached: set[Node] = set()
        fresh = set(matches)
        for number in range(ROUNDS):
            found: set[Node] = set()
            for step in steps:
                if step.iterates or number == 0:
                    found |= self._back(step, fresh) if step.is_reverse else self._onward(step, fresh)
            fresh = found - reached - set(matches)
            reached |= fresh
        return reached

    def _onward(self, step: Step, fresh: set[Node]) -> set[Node]:
        source, code, target = step.parts
        codes = [each.code for each in RESOURCES[source].references] if code == "*" else [code]
        return {
            named
            for node in fresh
            if node[0].startswith(f"{source}/")
            for each in codes
            for named in self.named(node, each)
            if named[0].startswith(f"{target}/" if target else "")
        }

    def _back(self, step: Step, fresh: set[Node]) -> set[Node]:
        source, code, target = step.parts
        names = {name for name, _ in fresh if name.startswith(f"{target}/" if target else "")}
        offering = {row.type for row in ROWS if f"{source}:{code}" in row.revincludes}
        names = {name for name in names if name.partition("/")[0] in offering}
        return {
            node for node in self.current(source) if not names.isdisjoint(name for name, _ in self.named(node, code))
        }


@dataclass(frozen=True, slots=True)
class Store:
    """A served database, what each member may see of it, and which part of the pairs is asked."""

    world: World
    records: Mapping[str, Records]
    sample: int


def dated(own: Household) -> Iterator[list[Any]]:
    """Coverages of two versions with payors of their own, and claims that name one, the other, one that never was, or none."""
    member = patient(own.member)
    payors = [record("RelatedPerson", own.named(f"payor-{n}"), patient=reference(member)) for n in (1, 2)]
    yield payors
    for payor in payors:
        yield [coverage(own.named("dated"), member, payor)]
    named = [f"Coverage/{own.named('dated')}{tail}" for tail in ("", "/_history/1", "/_history/2", "/_history/9")]
    yield [
        explanation_of_benefit(
            own.named(f"dated-{n}"), member, insurance=[{"focal": True, "coverage": {"reference": each}}]
        )
        for n, each in enumerate([*named, f"{FHIR_BASE}/{named[1]}"])
    ]


@contextmanager
def loaded(kind: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Both members' records, twice loaded, some retracted, and their dated coverages."""
    with lasting_world(kind, request, [*DIRECTORY, OF_THE_REST]) as world:
        for own, other in ((ANNA, BORIS), (BORIS, ANNA)):
            load_household(world, own, other)
            for records in dated(own):
                store(world.database, world.settings, records)
        with world.database.reading() as transaction:
            now = select(RESOURCE.c.patient, RESOURCE.c.type, RESOURCE.c.body).where(RESOURCE.c.deleted.is_(False))
            rows = [tuple(row) for row in transaction.all(now)]
            then = select(VERSION.c.patient, VERSION.c.type, VERSION.c.id, VERSION.c.version, VERSION.c.body)
            past = [tuple(row) for row in transaction.all(then.where(VERSION.c.deleted.is_(False)))]
        members = compartments(rows, FHIR_BASE, [ANNA.member, BORIS.member])
        records = {
            member: Records(
                seen,
                {
                    (f"{type}/{id}", version): orjson.loads(bytes(body))
                    for patient, type, id, version, body in past
                    if patient in (member, "", "*") and id in seen.resources.get(type, {})
                },
            )
            for member, seen in members.items()
        }
        yield Store(world, records, 1 if kind == "sqlite" else SAMPLE)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store_of(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Of either kind."""
    with loaded(request.param, request) as found:
        yield found


def check(store: Store, member: str, row: ResourceDefinition, steps: Sequence[Step], by: str = "") -> int:
    """A search brings what the walk reaches, each version once; how many that are."""
    records = store.records[member]
    matches = records.current(row.type)
    if by:
        matches = [node for node in matches if node[0] == f"{row.type}/{by}"]
    target = f"{row.type}?_count=500&{'&'.join(map(str, steps))}" + (f"&_id={by}" if by else "")
    reply = store.world.get(member, target)
    assert reply.status == 200, (target, reply.body)
    assert sorted(reply.ids()) == sorted(name for name, _ in matches), target
    brought = [
        (f"{one['resourceType']}/{one['id']}", one.get("meta", {}).get("versionId", ""))
        for one in reply.entries("include")
    ]
    assert len(brought) == len(set(brought)), target
    assert set(brought) == records.reached(matches, steps), (member, target)
    return len(brought)


def direct(row: ResourceDefinition) -> list[Step]:
    """Every single parameter that a type offers, with and without a type of target."""
    narrowed = [
        f"{row.type}:{parameter.code}:{target}"
        for parameter in row.references
        for target in (RESOURCES if "Resource" in parameter.targets else parameter.targets)
        if target in RESOURCES
    ]
    steps = [Step("_include", value) for value in dict.fromkeys((*row.includes, *narrowed))]
    steps += [Step("_revinclude", value) for value in row.revincludes]
    return steps + [Step("_revinclude", f"{value}:{row.type}") for value in row.revincludes]


ONWARD = [Step("_include:iterate", value) for row in ROWS for value in row.includes]
BACK = [Step("_revinclude:iterate", value) for value in sorted({each for row in ROWS for each in row.revincludes})]


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_an_include_brings_what_brute_force_reaches(store_of: Store, row: ResourceDefinition) -> None:
    brought = 0
    for member, records in store_of.records.items():
        first = sorted(name.partition("/")[2] for name, _ in records.current(row.type))[0]
        for step in direct(row):
            brought += check(store_of, member, row, [step]) + check(store_of, member, row, [step], first)
    assert brought


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_an_iteration_after_an_include_brings_what_brute_force_reaches(
    store_of: Store, row: ResourceDefinition
) -> None:
    pairs = [[first, then] for first in direct(row) if first.parts[2] == "" for then in (*ONWARD, *BACK)]
    offset = sum(map(ord, row.type)) % store_of.sample
    for number, pair in enumerate(pairs[offset :: store_of.sample]):
        steps = pair if number % 2 else pair[::-1]
        check(store_of, (ANNA, BORIS)[number % 3 == 0].member, row, steps)


@pytest.mark.parametrize("row", ROWS, ids=[row.type for row in ROWS])
def test_any_combination_brings_what_brute_force_reaches(store_of: Store, row: ResourceDefinition) -> None:
    draw = Random(row.type)
    everything = [*direct(row), *ONWARD, *BACK]
    check(store_of, ANNA.member, row, everything[:60])
    for _ in range(DRAWN):
        steps = draw.sample(everything, draw.randint(2, 6))
        if draw.random() < 0.5:
            steps += BACK
        check(store_of, draw.choice([ANNA, BORIS]).member, row, steps)


def test_the_walk_meets_versions_and_goes_deep(store_of: Store) -> None:
    """So that what is compared is not nothing with nothing."""
    records = store_of.records[ANNA.member]
    claims = records.current("ExplanationOfBenefit")
    first = [Step("_include", "ExplanationOfBenefit:coverage")]
    payors = [*first, Step("_include:iterate", "Coverage:payor")]
    dated_coverage = f"Coverage/{ANNA.named('dated')}"
    assert {(dated_coverage, "1"), (dated_coverage, "2")} <= records.reached(claims, first)
    assert {(f"RelatedPerson/{ANNA.named(f'payor-{n}')}", "1") for n in (1, 2)} <= records.reached(claims, payors)
    assert len(records.reached(claims, [*first, *ONWARD, *BACK])) > 40
