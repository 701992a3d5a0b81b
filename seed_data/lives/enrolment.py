"""When a drawn member was enrolled in which plan: steady, changing, with a gap, ended, told late, or in two plans at once.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Coverage.html"""

from datetime import date, timedelta
from random import Random

from seed_data.lives.people import Segment
from seed_data.members import Plan, Spell

PLANS_OF: dict[Segment, tuple[Plan, ...]] = {
    "medicare": ("advantage-001", "advantage-002"),
    "medicaid": ("medicaid",),
    "chip": ("chip",),
    "marketplace": ("marketplace", "marketplace-bronze"),
}
OTHER: dict[Plan, Plan] = {  # where a member goes who leaves a plan
    "advantage-001": "advantage-002",
    "advantage-002": "advantage-001",
    "medicaid": "marketplace",
    "chip": "medicaid",
    "marketplace": "marketplace-bronze",
    "marketplace-bronze": "medicaid",
}


def spells(draw: Random, segment: Segment, as_of: date) -> tuple[Spell, ...]:
    """A member's spells, oldest first; a second plan in force at the same time stands last and pays second."""
    plans = PLANS_OF[segment]
    plan = plans[draw.randrange(len(plans))]
    start = _first_of_month(
        as_of, 1 + draw.randrange(5), 1 if segment in {"medicare", "marketplace"} else 1 + draw.randrange(12)
    )
    since = (as_of - start).days
    found: tuple[Spell, ...]
    match draw.randrange(100):
        case number if number < 62:
            found = (Spell(plan, since),)
        case number if number < 76:  # another plan with the new year
            found = _change(plan, since, (as_of - date(as_of.year, 1, 1)).days, 0)
        case number if number < 83:  # another plan within the year
            found = _change(plan, since, (as_of - _first_of_month(as_of, 0, 2 + draw.randrange(8))).days, 0)
        case number if number < 89:  # a gap of one to three months
            found = _change(
                plan,
                since,
                (as_of - _first_of_month(as_of, 1, 3 + draw.randrange(8))).days,
                30 * (1 + draw.randrange(3)),
                plan,
            )
        case number if number < 94:  # told late
            late = min(since, 150 + draw.randrange(90))
            found = (Spell(plan, late, None, max(2, late - 60 - draw.randrange(40))),)
        case number if number < 97:  # ended
            found = (Spell(plan, since, 20 + draw.randrange(min(300, since - 25))),)
        case _:  # new
            found = (Spell(plan, min(since, 60 + draw.randrange(120))),)
    if segment == "medicare" and draw.randrange(100) < 14:
        ends = found[-1].until
        since = max(found[0].since - draw.randrange(100), (ends or 0) + 1)
        found = (*found, Spell("medicaid", since, ends))
    return found


def _first_of_month(as_of: date, years: int, month: int) -> date:
    """The first of a month, `years` before as-of's year, and before as-of itself."""
    day = date(as_of.year - years, month, 1)
    return day if day < as_of - timedelta(days=30) else date(day.year - 1, month, 1)


def _change(plan: Plan, since: int, on: int, gap: int, to: Plan | None = None) -> tuple[Spell, ...]:
    """One plan till the day before `on` days ago, then another, or the same again after `gap` days."""
    if on <= 0 or on >= since - 60:
        return (Spell(plan, since),)
    return Spell(plan, since, on + 1), Spell(to or OTHER[plan], max(1, on - gap))
