"""Coverage: which plan paid for a member, from when to when, one record for each enrolment spell.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Coverage.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from seed_data.datatypes import (
    IDENTIFIERS,
    Record,
    amount_of,
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
from seed_data.plans import PLANS, Benefits

COVERAGE_CLASS = "http://terminology.hl7.org/CodeSystem/coverage-class"
SOURCE_OF_PAYMENT = "https://nahdo.org/sopt"
COVERAGE_PROFILES = [*carin("C4BB-Coverage"), *us_core_profiles("us-core-coverage")]


COPAY_TYPE = "http://terminology.hl7.org/CodeSystem/coverage-copay-type"
COPAY_TYPES = {"visit": "gpvisit", "specialist": "spvisit", "emergency": "emergency", "urgent": "urgentcare"}
SELF = concept("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self")


@dataclass(frozen=True, slots=True)
class Cover:
    """One enrolment spell with its days: the first, the last (None: none is known), and when the payer was told of it."""

    plan: Plan
    start: date
    end: date | None
    learned: date
    record: Record


def _class(kind: str, value: str, name: str) -> Record:
    return {"type": concept(COVERAGE_CLASS, kind), "value": value, "name": name}


def _spells(member: Member, as_of: date) -> list[tuple[Plan, date, date | None, date | None]]:
    """A member's enrolment spells: plan, first day, last day, and when the payer was told if that was late.

    `Member.plans` are calendar years, the last one open unless the member died."""
    death = date_of_death(member, as_of)
    if member.spells:
        return [
            (
                spell.plan,
                as_of - timedelta(days=spell.since),
                death if spell.until is None else as_of - timedelta(days=spell.until),
                None if spell.learned is None else as_of - timedelta(days=spell.learned),
            )
            for spell in member.spells
        ]
    found: list[tuple[Plan, date, date | None, date | None]] = []
    last = len(member.plans) - 1
    for position, plan in enumerate(member.plans):
        start = date(as_of.year - (last - position if position else 3), 1, 1)
        end = date(as_of.year - (last - position - 1), 1, 1) - timedelta(days=1) if position < last else None
        found.append((plan, start, end or death, None))
    return found


def covers(member: Member, draw: Random, as_of: date) -> list[Cover]:
    """One for each spell, in the order of the row; where two are in force at once the earlier in the row pays first."""
    found: list[Cover] = []
    for number, (plan, start, end, late) in enumerate(_spells(member, as_of), 1):
        learned = late or (end or start) + timedelta(days=6)
        record = _coverage(member, f"coverage-{member.key}-{number}", plan, start, end)
        record["meta"]["lastUpdated"] = instant(draw, min(learned, as_of - timedelta(days=2)))
        found.append(Cover(plan, start, end, learned, record))
    return found


def coverages(member: Member, draw: Random, as_of: date) -> list[Record]:
    """The Coverages of `covers`; a child's subscriber is the child, as Medicaid and CHIP enrol."""
    return [cover.record for cover in covers(member, draw, as_of)]


def _coverage(member: Member, identity: str, plan: Plan, start: date, end: date | None) -> Record:
    row = PLANS[plan]
    covered = {"start": start.isoformat()} | ({"end": end.isoformat()} if end else {})
    return {
        "resourceType": "Coverage",
        "id": identity,
        "meta": {"lastUpdated": "", "profile": COVERAGE_PROFILES},
        "identifier": [identifier(f"{IDENTIFIERS}/member", member.card_number, type_code="MB")],
        "status": "active",  # also when it has ended, as its period tells: cancelled is a Coverage that never was
        "type": concept(SOURCE_OF_PAYMENT, row.type, row.type_text),
        "subscriber": {"reference": f"Patient/{member.id}", "display": member.name},
        "subscriberId": member.card_number,
        "beneficiary": {"reference": f"Patient/{member.id}", "display": member.name},
        "dependent": "01",
        "relationship": SELF,
        "period": covered,
        "payor": [named_reference(ORGANIZATION[row.payor])],
        "class": [_class("group", row.group, row.group_name), _class("plan", row.plan, row.plan_name)],
        "network": row.plan_name,
        "costToBeneficiary": _cost_sharing(row.benefits),
    }


def _cost_sharing(benefits: Benefits) -> list[Record]:
    """The deductible, the most in a calendar year, and the copays that have a code."""
    amounts = [("deductible", benefits.deductible), ("maxoutofpocket", benefits.out_of_pocket)]
    amounts += [(code, benefits.copays[name]) for name, code in COPAY_TYPES.items() if name in benefits.copays]
    return [{"type": concept(COPAY_TYPE, code), "valueMoney": amount_of(cents)} for code, cents in amounts]


def other_coverage(member: Member, payer: str, since: date, draw: Random) -> Record:
    """What the payer knows of a plan that a carrier outside it has for the member, which pays first."""
    carrier = ORGANIZATION[payer]
    number = f"{payer[:3].upper()}{member.serial}"
    return {
        "resourceType": "Coverage",
        "id": f"coverage-{member.key}-{payer}",
        "meta": {"lastUpdated": instant(draw, since), "profile": COVERAGE_PROFILES},
        "identifier": [identifier(f"{IDENTIFIERS}/other-plan", number, type_code="MB")],
        "status": "active",
        "type": concept(SOURCE_OF_PAYMENT, "5", "Plan of an employer"),
        "subscriber": {"reference": f"Patient/{member.id}", "display": member.name},
        "subscriberId": number,
        "beneficiary": {"reference": f"Patient/{member.id}", "display": member.name},
        "relationship": SELF,
        "period": {"start": date(since.year, 1, 1).isoformat()},
        "payor": [named_reference(carrier)],
        "class": [_class("group", "EMPLOYER", carrier["name"]), _class("plan", "EMPLOYER-1", carrier["name"])],
        "order": 1,
    }


def cover_on(covers: list[Cover], day: date, is_second: bool = False) -> Cover:
    """The spell that a claim of that day falls in: the one that pays first, or second. Raises LookupError when there is none."""
    found = [cover for cover in covers if cover.start <= day and (cover.end is None or day <= cover.end)]
    if len(found) <= is_second:
        raise LookupError(
            f"{covers[0].record['beneficiary']['reference']} had no {'second ' * is_second}coverage on {day}"
        )
    return found[is_second]


def coverage_on(coverages: list[Record], day: date) -> Record:
    """The Coverage in force on a day; a claim names the one of its date of service."""
    for record in coverages:
        if record["period"]["start"] <= day.isoformat() <= record["period"].get("end", "9999-12-31"):
            return record
    raise LookupError(f"{coverages[0]['beneficiary']['reference']} had no coverage on {day}")
