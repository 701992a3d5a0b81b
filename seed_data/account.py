"""How the payer decides a member's claims in the order of their days, and what of the deductible and the yearly limit is used.

Both are counted for each Coverage and calendar year; a claim that was replaced or taken back counts for nothing.
https://hl7.org/fhir/us/carin-bb/Common_Payer_Consumer_Data_Set.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from seed_data.adjudication import Amounts
from seed_data.coverage import Cover, cover_on
from seed_data.members import Claim, Member
from seed_data.plans import PLANS, Benefits
from seed_data.scenarios.drugs import DRUGS
from seed_data.scenarios.sittings import SITTINGS
from seed_data.scenarios.stays import INPATIENT, OUTPATIENT
from seed_data.scenarios.visits import VISITS


def cents(price: str) -> int:
    """120.00 as 12000."""
    whole, _, part = price.partition(".")
    return int(whole) * 100 + int(part)


PRICES: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {
    **{
        (kind, name): (tuple(cents(line.price) * line.units for line in row.lines), row.benefit)
        for kind, rows in (("inpatient", INPATIENT), ("outpatient", OUTPATIENT))
        for name, row in rows.items()
    },
    **{
        ("professional", name): (tuple(cents(line.price) * line.units for line in row.services), row.benefit)
        for name, row in VISITS.items()
    },
    **{("oral", name): (tuple(cents(t.price) for t in row.treatments), row.benefit) for name, row in SITTINGS.items()},
    **{("pharmacy", name): ((cents(row.price),), row.benefit) for name, row in DRUGS.items()},
}
"""What each line of a scenario costs, in cents, and the benefit that its copay goes by."""


@dataclass(slots=True)
class Used:
    """What a member has paid in a year under a Coverage, in cents."""

    deductible: int = 0
    out_of_pocket: int = 0


def decide(member: Member, covers: list[Cover], draw: Random, as_of: date) -> dict[int, tuple[Amounts, ...]]:
    """The amounts of each line of each claim, by the claim's number from 1.

    Raises LookupError when a claim falls on a day without enrolment."""
    used: dict[tuple[str, int], Used] = {}
    billed: dict[int, list[tuple[int, int]]] = {}
    decided: dict[int, tuple[Amounts, ...]] = {}
    for number, claim in sorted(enumerate(member.claims, 1), key=lambda row: (-row[1].days_ago, row[0])):
        day = as_of - timedelta(days=claim.days_ago)
        cover = cover_on(covers, day, is_second=claim.primary > 0)
        prices, benefit = PRICES[claim.kind, claim.scenario]
        first = claim.replaces or claim.primary
        billed[number] = billed[first] if first else [_bill(price, claim, draw) for price in prices]
        if claim.primary:
            decided[number] = tuple(_second(line) for line in decided[claim.primary])
            continue
        spent = used.setdefault((cover.record["id"], day.year), Used())
        working = Used(spent.deductible, spent.out_of_pocket)
        decided[number] = _lines(claim, billed[number], benefit, PLANS[cover.plan].benefits, working)
        if not claim.replaced_by and not claim.reversed:
            spent.deductible, spent.out_of_pocket = working.deductible, working.out_of_pocket
    return decided


def _bill(price: int, claim: Claim, draw: Random) -> tuple[int, int]:
    """What was billed, and what of it is above the agreed price; outside the network nothing was agreed."""
    submitted = price * (100 + draw.randrange(-6, 7)) // 100
    percent = draw.randrange(15, 41)
    return submitted, submitted * percent // 100 if claim.in_network else 0


def _lines(
    claim: Claim, billed: list[tuple[int, int]], benefit: str, benefits: Benefits, used: Used
) -> tuple[Amounts, ...]:
    """Each line in turn: refused whole, paid by a monthly fee, or shared with the member. `used` is brought up to date."""
    found: list[Amounts] = []
    for position, (submitted, discount) in enumerate(billed):
        refused = claim.payment == "denied" or (claim.payment == "partiallypaid" and 0 < position == len(billed) - 1)
        if refused:
            found.append(Amounts(submitted, noncovered=submitted))
            continue
        noncovered = (submitted - discount) * 2 // 5 if claim.payment == "partiallypaid" and len(billed) == 1 else 0
        eligible = submitted - discount - noncovered
        prior_payer = eligible * 7 // 10 if claim.other_payer else 0
        line = Amounts(submitted, discount, noncovered, prior_payer=prior_payer)
        amounts = _share(line, claim, benefit, benefits, used, is_first=not found)
        used.deductible += amounts.deductible
        used.out_of_pocket += amounts.shared
        found.append(amounts)
    return tuple(found)


def _share(line: Amounts, claim: Claim, benefit: str, benefits: Benefits, used: Used, is_first: bool) -> Amounts:
    """One covered line: a copay for the whole visit on its first line, or the deductible and then a percentage."""
    left = line.benefit
    room = benefits.out_of_pocket - used.out_of_pocket
    if claim.in_network and (claim.capitated or benefit in benefits.copays):
        copay = min(benefits.copays.get(benefit, 0), left, room) if is_first else 0
        # of a visit within the monthly fee the plan allows what the member pays, and nothing more
        discount = line.submitted - copay if claim.capitated else line.discount
        return Amounts(line.submitted, discount, line.noncovered, 0, copay, 0, line.prior_payer)
    deductible = min(left, benefits.deductible - used.deductible, room)
    percent = benefits.coinsurance if claim.in_network else benefits.out_of_network_coinsurance
    coinsurance = min((left - deductible) * percent // 100, room - deductible)
    return Amounts(line.submitted, line.discount, line.noncovered, deductible, 0, coinsurance, line.prior_payer)


def _second(line: Amounts) -> Amounts:
    """A line under the second plan, which pays what the first one left to the member of what was allowed."""
    return Amounts(line.submitted, line.discount, line.noncovered, prior_payer=line.benefit)
