"""Drawn lives: each from its seed and number alone, varied, enrolled when something happens, its records whole and valid."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from seed_data.dataset import FIRST, LAST
from seed_data.events import event
from seed_data.generate import shared_records
from seed_data.lives.life import life
from seed_data.members import Member
from seed_data.ndjson import json_text
from seed_data.records import authorization_event_lines
from seed_data.records import records as records_of

Record = dict[str, Any]
AS_OF = date(2026, 11, 1)
SEED = 5


@pytest.fixture(scope="module")
def members() -> list[Member]:
    return [life(SEED, number, AS_OF, "claims") for number in range(1, 401)]


@pytest.fixture(scope="module")
def by_member(members: list[Member]) -> list[list[Record]]:
    return [[json.loads(json_text(r)) for r in records_of(member, SEED, AS_OF, "claims")] for member in members[:120]]


def walk(node: Any) -> Iterator[Record]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from walk(child)


def test_a_life_depends_on_seed_number_and_day_alone(members: list[Member]) -> None:
    assert life(SEED, 250, AS_OF, "claims") == members[249]
    assert life(SEED + 1, 250, AS_OF, "claims") != members[249]
    program = (
        "from datetime import date; from seed_data.lives.life import life;"
        f"print(repr([life({SEED}, n, date(2026, 11, 1), 'full') for n in (3, 77)]))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed, locale in (("1", "C"), ("2", "C.UTF-8"))
    }  # fmt: skip
    assert printed == {repr([life(SEED, n, AS_OF, "full") for n in (3, 77)]) + "\n"}


def test_lives_differ_in_enrolment(members: list[Member]) -> None:
    found = Counter[str]()
    for member in members:
        plans = [spell.plan for spell in member.spells]
        found.update(set(plans))
        first, last = member.spells[0], member.spells[-1]
        found["moved"] += len(set(plans)) > 1 and (first.until or 0) > 0
        found["both"] += (
            any(
                a.plan != b.plan and (a.until or 0) < b.since <= a.since
                for a, b in zip(member.spells, member.spells[1:], strict=False)
            )
            and "medicaid" in plans
            and "advantage" in plans[0]
        )
        found["gap"] += any(
            (a.until or 0) > b.since + 1 for a, b in zip(member.spells, member.spells[1:], strict=False)
        )
        found["late"] += any(spell.learned is not None for spell in member.spells)
        found["ended"] += last.until is not None and not member.died_days_ago
        found["died"] += member.died_days_ago > 0
    assert min(found[name] for name in ("moved", "both", "gap", "late", "ended", "died")) > 2, found
    assert {"advantage-001", "advantage-002", "medicaid", "chip", "marketplace", "marketplace-bronze"} <= set(found)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 999_999), number=st.integers(1, 999_999), as_of=st.dates(FIRST, LAST))
def test_a_spell_ends_after_it_began_and_the_payer_knew_of_it_by_as_of(seed: int, number: int, as_of: date) -> None:
    member = life(seed, number, as_of, "claims")
    born = (as_of - member.birth_date).days
    assert member.spells
    for spell in member.spells:
        assert born >= spell.since >= (spell.until or 0) >= 0
        assert spell.since >= 1
        assert spell.learned is None or spell.since >= spell.learned > 0


def test_a_second_plan_is_in_force_beside_the_first_only_for_members_of_medicare(members: list[Member]) -> None:
    for member in members:
        for day in range(0, 400, 7):
            plans = [s.plan for s in member.spells if s.since >= day >= (s.until or 0)]
            assert len(plans) < 2 or (plans[0].startswith("advantage") and plans[1:] == ["medicaid"]), member.key


def test_nothing_happens_outside_enrolment_before_birth_or_after_death(members: list[Member]) -> None:
    for member in members:
        born = (AS_OF - member.birth_date).days
        days = [claim.days_ago for claim in member.claims] + [row.days_ago for row in member.authorizations]
        for days_ago in days:
            assert any(s.since >= days_ago >= (s.until or 0) for s in member.spells), member.key
            assert born >= days_ago >= member.died_days_ago


def test_a_member_returns_to_the_same_people_and_places(members: list[Member]) -> None:
    for member in members:
        pharmacies = {claim.provider for claim in member.claims if claim.kind == "pharmacy"}
        dentists = {claim.practitioner for claim in member.claims if claim.kind == "oral"}
        assert len(pharmacies) <= 1
        assert len(dentists) <= 1
    assert len({event(c).practitioner for m in members for c in m.claims}) > 30


def test_every_kind_and_outcome_of_claim_happens_to_somebody(members: list[Member]) -> None:
    found = Counter[str]()
    for claim in chain.from_iterable(member.claims for member in members):
        found.update([claim.kind, claim.payment, claim.scenario])
        for name in ("replaced_by", "reversed", "capitated", "other_payer", "primary", "authorization"):
            found[name] += bool(getattr(claim, name))
        found["out of network"] += not claim.in_network
        found["chain of three"] += bool(claim.replaces and claim.replaced_by)
    wanted = (
        "inpatient", "outpatient", "professional", "oral", "pharmacy", "paid", "denied", "partiallypaid", "ambulance", "vision",
        "compound", "replaced_by", "reversed", "capitated", "other_payer", "primary", "authorization", "out of network",
        "chain of three",
    )  # fmt: skip
    assert [name for name in wanted if not found[name]] == []


def test_every_reference_is_to_a_record_of_the_member_or_of_the_directory(by_member: list[list[Record]]) -> None:
    shared = {f"{r['resourceType']}/{r['id']}" for r in shared_records()}
    for records in by_member:
        own = [f"{r['resourceType']}/{r['id']}" for r in records]
        assert len(set(own)) == len(own)
        known = shared | set(own)
        for record in records:
            asked = {node["reference"] for node in walk(record) if isinstance(node.get("reference"), str)}
            assert asked <= known, (record["id"], asked - known)


def test_identifiers_of_members_and_claims_are_never_given_twice(by_member: list[list[Record]]) -> None:
    counted = Counter(
        (record["resourceType"], row.get("system"), row["value"])
        for record in chain.from_iterable(by_member)
        if record["resourceType"] in {"Patient", "ExplanationOfBenefit"} and record.get("use") != "preauthorization"
        for row in record["identifier"]
    )
    assert [key for key, count in counted.items() if count > 1] == []


def test_records_are_valid(by_member: list[list[Record]]) -> None:
    for record in chain.from_iterable(by_member[:25]):
        get_fhir_model_class(record["resourceType"]).model_validate(record)


def test_records_were_written_before_as_of_and_after_what_they_tell(by_member: list[list[Record]]) -> None:
    for record in chain.from_iterable(by_member):
        changed = record["meta"]["lastUpdated"][:10]
        assert changed < AS_OF.isoformat()
        if record.get("use") == "claim":
            assert record["billablePeriod"]["start"] <= record["created"] <= changed


def test_a_child_has_a_parent_who_acts_and_is_paid(members: list[Member], by_member: list[list[Record]]) -> None:
    children = [m for m in members[:120] if m.guardian]
    assert children
    for member in children:
        assert AS_OF - member.birth_date < timedelta(days=366 * 19)
        assert member.guardian is not None
        assert member.guardian.birth_date < member.birth_date - timedelta(days=365 * 15)
        records = by_member[member.number - 1]
        (related,) = (r for r in records if r["resourceType"] == "RelatedPerson")
        payees = {r["payee"]["party"]["reference"] for r in records if r.get("use") == "claim"}
        assert payees <= {f"RelatedPerson/{related['id']}"}


def test_events_are_told_of_every_authorization(members: list[Member]) -> None:
    asked = [member for member in members if member.authorizations]
    assert len(asked) > 20
    for member in asked:
        lines = list(authorization_event_lines(member, SEED, AS_OF, drugs=True))
        received = [line for line in lines if line["eventType"] == "received"]
        assert len(received) == len(member.authorizations)
        assert {line["member"] for line in lines} == {member.id}
