"""How each claim of a drawn member was paid: refused, corrected, taken back, outside the network, under a monthly fee, by two payers.

https://hl7.org/fhir/us/carin-bb/Common_Payer_Consumer_Data_Set.html"""

from dataclasses import dataclass, replace
from random import Random

from seed_data.members import Claim, Payment, Spell

REFUSALS = ("18", "29", "50", "96", "119", "197")
CAPITATED = {"office", "follow-up", "telehealth", "annual", "checkup"}


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for the member: whether the practice has a monthly fee, and the outside carrier that pays first, if any."""

    has_monthly_fee: bool
    other: str


def payer(draw: Random) -> Payer:
    return Payer(
        draw.randrange(100) < 15, ("brightwater", "oldfield")[draw.randrange(2)] if draw.randrange(100) < 3 else ""
    )


def covering(spells: tuple[Spell, ...], days_ago: int) -> list[Spell]:
    return [spell for spell in spells if spell.since >= days_ago >= (spell.until or 0)]


def decided(draw: Random, claims: list[Claim], spells: tuple[Spell, ...], paid_by: Payer) -> tuple[Claim, ...]:
    """The claims in the order of their days, those outside enrolment left out, each with how it was paid; one that was corrected
    is followed by its correction, one that a second plan also paid by that plan's claim."""
    found: list[Claim] = []
    for claim in sorted(claims, key=lambda claim: -claim.days_ago):
        on_that_day = covering(spells, claim.days_ago)
        if not on_that_day:
            continue
        number = len(found) + 1
        row = _payment(draw, claim, paid_by)
        if row.payment != "paid" and row.kind != "pharmacy" and draw.randrange(100) < 45:
            corrections = 2 if draw.randrange(8) == 0 else 1
            if corrections == 2:  # first nothing was paid, then a part, then all
                found.append(replace(row, payment="denied", replaced_by=number + 1))
                row = replace(row, payment="partiallypaid", replaces=number)
            found.append(replace(row, replaced_by=number + corrections))
            row = replace(row, payment="paid", refusal="", replaces=number + corrections - 1)
        found.append(row)
        number = len(found)
        if len(on_that_day) > 1 and row.payment != "denied" and not row.reversed:
            found.append(replace(row, replaces=0, capitated=False, authorization=0, primary=number))
    return tuple(found)


def _payment(draw: Random, claim: Claim, paid_by: Payer) -> Claim:
    number = draw.randrange(100)
    in_network = draw.randrange(100) >= 5 or claim.kind == "pharmacy"
    payment: Payment = (
        "denied" if number < 5 else "partiallypaid" if number < 11 and claim.kind != "pharmacy" else "paid"
    )
    if claim.scenario == "standing-order" or claim.authorization:
        payment, in_network = "paid", True
    refusal = REFUSALS[draw.randrange(len(REFUSALS))] if payment != "paid" and claim.kind != "pharmacy" else ""
    capitated = paid_by.has_monthly_fee and claim.scenario in CAPITATED and payment == "paid" and in_network
    return replace(
        claim,
        payment=payment,
        in_network=in_network,
        refusal=refusal,
        capitated=capitated,
        reversed=claim.kind == "pharmacy" and payment == "paid" and draw.randrange(100) < 3,
        other_payer="" if capitated else paid_by.other,
    )
