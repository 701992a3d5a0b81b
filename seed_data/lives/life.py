"""One drawn life: everything about a member, from the seed and the member's number alone.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Patient.html"""

from dataclasses import replace
from datetime import date
from random import Random
from typing import Literal

from seed_data.lives.decisions import covering, decided, payer
from seed_data.lives.enrolment import spells
from seed_data.lives.happenings import Happenings, circle, conditions
from seed_data.lives.people import Person, Segment, person
from seed_data.members import Claim, Member, Spell

WINDOW = {"full": 4 * 365, "claims": 420}
"""How many days before as-of a life is told for."""
MOST_CLAIMS = {"full": 72, "claims": 15}
GUARDIAN_NUMBERS = 5_000_000
"""What is added to a child's number for the parent, who is nobody's number."""


def life(seed: int, number: int, as_of: date, detail: Literal["full", "claims"] = "full") -> Member:
    """The member of that number, from 1; independent of every other one. `seed` is not negative, `number` below 1,000,000."""
    draw = Random(f"{seed}:{number}")
    segment = _segment(draw)
    who = person(draw, segment, as_of)
    age, window = who.age(as_of), min(WINDOW[detail], (as_of - who.birth_date).days - 1)
    enrolled = _since_birth(spells(draw, segment, as_of), (as_of - who.birth_date).days)
    died = 30 + draw.randrange(200) if age >= 70 and draw.randrange(100) < 4 else 0
    died = died if enrolled[0].since > died else 0
    had = conditions(draw, age, who.gender, max(1, window))
    around = circle(draw, age)
    happenings = Happenings(draw, around, age, who.gender, window)
    happenings.live(had)
    if died:
        enrolled = tuple(spell for spell in enrolled if spell.since > died)
        enrolled = tuple(replace(spell, until=max(died, spell.until or 0)) for spell in enrolled)
    told = sorted((c for c in happenings.claims if c.days_ago >= died), key=lambda c: c.days_ago)[: MOST_CLAIMS[detail]]
    asked = [covering(enrolled, row.days_ago) and row.days_ago > died for row in happenings.authorizations]
    renumbered = {old: sum(map(bool, asked[:old])) for old in range(1, len(asked) + 1) if asked[old - 1]}
    claims = [
        replace(claim, authorization=renumbered.get(claim.authorization, 0)) if claim.authorization else claim
        for claim in told
    ]
    return Member(
        number=number,
        key=f"{seed}-{number:06d}",
        given=who.given,
        family=who.family,
        gender=who.gender,
        birth_date=who.birth_date,
        story="",
        plans=(enrolled[-1].plan,),
        race=who.race,
        line=who.line,
        city=who.city,
        postal_code=who.postal_code,
        hispanic=who.hispanic,
        language=who.language,
        claims=decided(draw, _with_birth(claims, segment, age, who, as_of), enrolled, payer(draw)),
        authorizations=tuple(row for row, kept in zip(happenings.authorizations, asked, strict=True) if kept),
        guardian=_guardian(draw, seed, number, who, as_of) if age < 18 else None,
        died_days_ago=died,
        series=f"{seed}-",
        spells=enrolled,
        conditions=had,
        primary_care=around.primary_care,
    )


def _segment(draw: Random) -> Segment:
    number = draw.randrange(100)
    return "medicare" if number < 42 else "medicaid" if number < 62 else "chip" if number < 76 else "marketplace"


def _since_birth(found: tuple[Spell, ...], born: int) -> tuple[Spell, ...]:
    """Nobody is enrolled before birth."""
    within = tuple(spell for spell in found if (spell.until or 0) < born)
    return tuple(replace(spell, since=min(spell.since, born)) for spell in within or found[-1:])


def _with_birth(claims: list[Claim], segment: Segment, age: int, who: Person, as_of: date) -> list[Claim]:
    """The stay after a birth that a child of the last year was enrolled for."""
    born = (as_of - who.birth_date).days
    return [*claims, Claim("inpatient", "newborn", born)] if segment == "chip" and age == 0 and born > 4 else claims


def _guardian(draw: Random, seed: int, number: int, child: Person, as_of: date) -> Member:
    """The parent who acts for a child; no member of their own."""
    parent = person(draw, "marketplace", as_of)
    born = date(
        child.birth_date.year - 22 - draw.randrange(16), parent.birth_date.month, min(28, parent.birth_date.day)
    )
    return Member(
        number=GUARDIAN_NUMBERS + number,
        key=f"{seed}-{number:06d}-parent",
        given=parent.given,
        family=child.family,
        gender=parent.gender,
        birth_date=born,
        story="",
        plans=(),
        race=parent.race,
        line=child.line,
        city=child.city,
        postal_code=child.postal_code,
        hispanic=child.hispanic,
        language=child.language,
        series=f"{seed}-",
    )
