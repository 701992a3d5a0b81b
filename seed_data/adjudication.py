"""The money of a claim: amounts that add up, and the adjudication elements that carry them.

Eligible is submitted less noncovered less discount; the member's liability is deductible, coinsurance, copay and
noncovered together; the benefit is what is left. https://hl7.org/fhir/us/carin-bb/Common_Payer_Consumer_Data_Set.html"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from seed_data.datatypes import CARIN, CENT, X12_CARC, ZERO, Record, concept, money
from seed_data.members import Payment

ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
C4BB_ADJUDICATION = f"{CARIN}/CodeSystem/C4BBAdjudication"
DISCRIMINATOR = f"{CARIN}/CodeSystem/C4BBAdjudicationDiscriminator"
ADJUDICATION_STATUS = f"{CARIN}/CodeSystem/C4BBPayerAdjudicationStatus"

NETWORK = {True: ("innetwork", "In the plan's network"), False: ("outofnetwork", "Outside the plan's network")}

# claim adjustment reason codes, with our own words for them
CONTRACT_DISCOUNT = ("45", "Above the price agreed with the plan")
NOT_COVERED = ("96", "The plan does not cover this service")
NOT_NECESSARY = ("50", "The plan did not find this service medically necessary")


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was billed for a line or a claim and how the payer divided it, in United States dollars."""

    submitted: Decimal = ZERO
    discount: Decimal = ZERO
    noncovered: Decimal = ZERO
    deductible: Decimal = ZERO
    copay: Decimal = ZERO
    coinsurance: Decimal = ZERO

    @property
    def eligible(self) -> Decimal:
        return self.submitted - self.noncovered - self.discount

    @property
    def member_liability(self) -> Decimal:
        return self.deductible + self.coinsurance + self.copay + self.noncovered

    @property
    def benefit(self) -> Decimal:
        return self.eligible - self.deductible - self.coinsurance - self.copay

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.submitted + other.submitted,
            self.discount + other.discount,
            self.noncovered + other.noncovered,
            self.deductible + other.deductible,
            self.copay + other.copay,
            self.coinsurance + other.coinsurance,
        )


def total_of(lines: Iterable[Amounts]) -> Amounts:
    return sum(lines, Amounts())


def divide(price: Decimal, payment: Payment, refused: bool, draw: Random) -> Amounts:
    """How the payer divides a line's price: wholly refused, or discounted and shared with the member."""
    submitted = (price * (100 + draw.randrange(-6, 7)) / 100).quantize(CENT)
    if payment == "denied" or (payment == "partiallypaid" and refused):
        return Amounts(submitted, noncovered=submitted)
    discount = (submitted * draw.randrange(15, 41) / 100).quantize(CENT)
    eligible = submitted - discount
    copay = min(Decimal(draw.randrange(0, 4) * 5), eligible).quantize(CENT)
    deductible = ((eligible - copay) * draw.randrange(0, 3) / 10).quantize(CENT)
    coinsurance = ((eligible - copay - deductible) * draw.randrange(0, 5) / 20).quantize(CENT)
    return Amounts(submitted, discount, ZERO, deductible, copay, coinsurance)


def amount_elements(amounts: Amounts, paid_to: str = "paidtoprovider") -> list[Record]:
    """The adjudicationamounttype slices of a line, a header or the totals, zeros included."""
    rows = (
        (ADJUDICATION, "submitted", "Billed", amounts.submitted),
        (C4BB_ADJUDICATION, "discount", "Discount", amounts.discount),
        (C4BB_ADJUDICATION, "noncovered", "Not covered", amounts.noncovered),
        (ADJUDICATION, "eligible", "Allowed", amounts.eligible),
        (ADJUDICATION, "deductible", "Deductible", amounts.deductible),
        (ADJUDICATION, "copay", "Copay", amounts.copay),
        (C4BB_ADJUDICATION, "coinsurance", "Coinsurance", amounts.coinsurance),
        (ADJUDICATION, "benefit", "Plan pays", amounts.benefit),
        (C4BB_ADJUDICATION, "memberliability", "You may owe", amounts.member_liability),
        (C4BB_ADJUDICATION, paid_to, "Paid by the plan", amounts.benefit),
    )
    return [{"category": concept(system, code, text), "amount": money(amount)} for system, code, text, amount in rows]


def status_element(slice_name: str, in_network: bool) -> Record:
    """billingnetworkstatus, renderingnetworkstatus or benefitpaymentstatus."""
    code, text = NETWORK[in_network]
    return {"category": concept(DISCRIMINATOR, slice_name), "reason": concept(ADJUDICATION_STATUS, code, text)}


def adjustment_element(amounts: Amounts, refusal: tuple[str, str] = NOT_COVERED) -> list[Record]:
    """The one adjustmentreason a line may have: why it was refused, or why the plan allowed less than was billed."""
    if not amounts.noncovered and not amounts.discount:
        return []
    code, text = refusal if amounts.noncovered else CONTRACT_DISCOUNT
    return [{"category": concept(DISCRIMINATOR, "adjustmentreason"), "reason": concept(X12_CARC, code, text)}]


def allowed_units_element(units: int, amounts: Amounts) -> Record:
    return {
        "category": concept(DISCRIMINATOR, "allowedunits"),
        "value": Decimal(0 if amounts.noncovered else units),
    }
