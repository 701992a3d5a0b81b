"""Coverage: which plan paid for a member, from when to when, one record for each enrolment spell.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Coverage.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from seed_data.datatypes import (
    IDENTIFIERS,
    Record,
    carin,
    concept,
    identifier,
    instant,
    named_reference,
    us_core_profiles,
)
from seed_data.directory import ORGANIZATION
from seed_data.members import Member, Plan
from seed_data.patients import date_of_death

COVERAGE_CLASS = "http://terminology.hl7.org/CodeSystem/coverage-class"
SOURCE_OF_PAYMENT = "https://nahdo.org/sopt"


@dataclass(frozen=True, slots=True)
class PlanRow:
    payor: str
    type: str  # code of the Source of Payment Typology
    type_text: str
    group: str
    group_name: str
    plan: str
    plan_name: str


PLANS: dict[Plan, PlanRow] = {
    "advantage-001": PlanRow(
        "meridale", "111", "Medicare health plan", "H1234", "Meridale Advantage", "H1234-001", "Meridale Advantage Classic"
    ),
    "advantage-002": PlanRow(
        "meridale", "111", "Medicare health plan", "H1234", "Meridale Advantage", "H1234-002", "Meridale Advantage Plus"
    ),
    "medicaid": PlanRow(
        "meridale-community", "211", "Medicaid health plan", "OH-MMC", "Meridale Community Medicaid", "OH-MMC-07",
        "Meridale Community Complete",
    ),
    "chip": PlanRow(
        "meridale-community", "23", "Children's health plan", "OH-CHIP", "Meridale Community Children", "OH-CHIP-03",
        "Meridale Community Kids",
    ),
    "marketplace": PlanRow(
        "meridale", "512", "Marketplace health plan", "48213", "Meridale Marketplace", "48213OH0010004",
        "Meridale Silver 4500",
    ),
}  # fmt: skip


def _class(kind: str, value: str, name: str) -> Record:
    return {"type": concept(COVERAGE_CLASS, kind), "value": value, "name": name}


def spells(member: Member, as_of: date) -> list[tuple[Plan, date, date | None]]:
    """A member's enrolment spells in order; calendar years, the last one open unless the member died."""
    found: list[tuple[Plan, date, date | None]] = []
    last = len(member.plans) - 1
    for position, plan in enumerate(member.plans):
        start = date(as_of.year - (last - position if position else 3), 1, 1)
        end = date(as_of.year - (last - position - 1), 1, 1) - timedelta(days=1) if position < last else None
        found.append((plan, start, end or date_of_death(member, as_of)))
    return found


def coverages(member: Member, draw: Random, as_of: date) -> list[Record]:
    """One Coverage for each spell, oldest first; a child's subscriber is the child, as Medicaid and CHIP enrol."""
    return [_coverage(member, number, spell, draw, as_of) for number, spell in enumerate(spells(member, as_of), 1)]


def _coverage(member: Member, number: int, spell: tuple[Plan, date, date | None], draw: Random, as_of: date) -> Record:
    plan, start, end = spell
    row = PLANS[plan]
    told = (end or start) + timedelta(days=6)
    covered = {"start": start.isoformat()} | ({"end": end.isoformat()} if end else {})
    return {
        "resourceType": "Coverage",
        "id": f"coverage-{member.key}-{number}",
        "meta": {
            "lastUpdated": instant(draw, min(told, as_of - timedelta(days=2))),
            "profile": [*carin("C4BB-Coverage"), *us_core_profiles("us-core-coverage")],
        },
        "identifier": [identifier(f"{IDENTIFIERS}/member", member.card_number, type_code="MB")],
        "status": "cancelled" if end else "active",
        "type": concept(SOURCE_OF_PAYMENT, row.type, row.type_text),
        "subscriber": {"reference": f"Patient/{member.id}", "display": member.name},
        "subscriberId": member.card_number,
        "beneficiary": {"reference": f"Patient/{member.id}", "display": member.name},
        "dependent": "01",
        "relationship": concept("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self"),
        "period": covered,
        "payor": [named_reference(ORGANIZATION[row.payor])],
        "class": [_class("group", row.group, row.group_name), _class("plan", row.plan, row.plan_name)],
        "network": row.plan_name,
    }


def coverage_on(coverages: list[Record], day: date) -> Record:
    """The Coverage in force on a day; a claim names the one of its date of service."""
    for record in coverages:
        if record["period"]["start"] <= day.isoformat() <= record["period"].get("end", "9999-12-31"):
            return record
    raise LookupError(f"{coverages[0]['beneficiary']['reference']} had no coverage on {day}")
