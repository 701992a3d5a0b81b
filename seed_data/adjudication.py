"""The money of a claim: amounts that add up, and the adjudication elements that carry them.

Eligible is submitted less noncovered less discount; the member's liability is deductible, coinsurance, copay and noncovered together; the benefit is
what is left, less what another payer paid first. https://hl7.org/fhir/us/carin-bb/Common_Payer_Consumer_Data_Set.html"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from seed_data.datatypes import CARIN, X12_CARC, Record, amount_of, concept

ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
C4BB_ADJUDICATION = f"{CARIN}/CodeSystem/C4BBAdjudication"
DISCRIMINATOR = f"{CARIN}/CodeSystem/C4BBAdjudicationDiscriminator"
ADJUDICATION_STATUS = f"{CARIN}/CodeSystem/C4BBPayerAdjudicationStatus"

NETWORK = {True: ("innetwork", "In the plan's network"), False: ("outofnetwork", "Outside the plan's network")}

CONTRACT_DISCOUNT, CAPITATED, NOT_COVERED, NOT_NECESSARY = "45", "24", "96", "50"
REASONS = {  # claim adjustment reason codes, with our own words for them
    "18": "The same service was billed before",
    "24": "Paid by the monthly fee that the practice has for you",
    "29": "The bill came too late",
    "45": "Above the price agreed with the plan",
    "50": "The plan did not find this service medically necessary",
    "96": "The plan does not cover this service",
    "119": "You have used up this benefit for the year",
    "197": "This service needed prior authorization, and there was none",
}
_REASON = {code: concept(X12_CARC, code, text) for code, text in REASONS.items()}
_CATEGORY = {
    name: concept(DISCRIMINATOR, name)
    for name in (
        "adjustmentreason",
        "allowedunits",
        "billingnetworkstatus",
        "renderingnetworkstatus",
        "benefitpaymentstatus",
    )
}
_STATUS = {
    (name, within): {"category": _CATEGORY[name], "reason": concept(ADJUDICATION_STATUS, *NETWORK[within])}
    for name in ("billingnetworkstatus", "renderingnetworkstatus", "benefitpaymentstatus")
    for within in (True, False)
}
_SUBMITTED = concept(ADJUDICATION, "submitted", "Billed")
_DISCOUNT = concept(C4BB_ADJUDICATION, "discount", "Discount")
_NONCOVERED = concept(C4BB_ADJUDICATION, "noncovered", "Not covered")
_ELIGIBLE = concept(ADJUDICATION, "eligible", "Allowed")
_DEDUCTIBLE = concept(ADJUDICATION, "deductible", "Deductible")
_COPAY = concept(ADJUDICATION, "copay", "Copay")
_COINSURANCE = concept(C4BB_ADJUDICATION, "coinsurance", "Coinsurance")
_PRIOR_PAYER = concept(C4BB_ADJUDICATION, "priorpayerpaid", "Paid by your other plan")
_BENEFIT = concept(ADJUDICATION, "benefit", "Plan pays")
_LIABILITY = concept(C4BB_ADJUDICATION, "memberliability", "You may owe")
_PAID = {code: concept(C4BB_ADJUDICATION, code, "Paid by the plan") for code in ("paidtoprovider", "paidtopatient")}
_DRUG_COST = concept(C4BB_ADJUDICATION, "drugcost", "Cost of the medicine")
_PAID_BY_PATIENT = concept(C4BB_ADJUDICATION, "paidbypatient", "Paid by you at the counter")
_UNITS = [Decimal(number) for number in range(200)]


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was billed for a line or a claim and how the payer divided it, in cents of a United States dollar."""

    submitted: int = 0
    discount: int = 0
    noncovered: int = 0
    deductible: int = 0
    copay: int = 0
    coinsurance: int = 0
    prior_payer: int = 0

    @property
    def eligible(self) -> int:
        return self.submitted - self.noncovered - self.discount

    @property
    def shared(self) -> int:
        """What counts towards the most a member pays in a year."""
        return self.deductible + self.copay + self.coinsurance

    @property
    def member_liability(self) -> int:
        return self.deductible + self.coinsurance + self.copay + self.noncovered

    @property
    def benefit(self) -> int:
        return self.eligible - self.deductible - self.coinsurance - self.copay - self.prior_payer


def total_of(lines: Iterable[Amounts]) -> Amounts:
    rows = [(a.submitted, a.discount, a.noncovered, a.deductible, a.copay, a.coinsurance, a.prior_payer) for a in lines]
    return Amounts(*map(sum, zip(*rows, strict=True)))


def amount_elements(amounts: Amounts, paid_to: str = "paidtoprovider", is_drug: bool = False) -> list[Record]:
    """The adjudicationamounttype slices of a line, a header or the totals, zeros included."""
    benefit = amount_of(amounts.benefit)
    liability = amount_of(amounts.member_liability)
    eligible = amount_of(amounts.eligible)
    found: list[Record] = [
        {"category": _SUBMITTED, "amount": amount_of(amounts.submitted)},
        {"category": _DISCOUNT, "amount": amount_of(amounts.discount)},
        {"category": _NONCOVERED, "amount": amount_of(amounts.noncovered)},
        {"category": _ELIGIBLE, "amount": eligible},
        {"category": _DEDUCTIBLE, "amount": amount_of(amounts.deductible)},
        {"category": _COPAY, "amount": amount_of(amounts.copay)},
        {"category": _COINSURANCE, "amount": amount_of(amounts.coinsurance)},
        {"category": _BENEFIT, "amount": benefit},
        {"category": _LIABILITY, "amount": liability},
        {"category": _PAID[paid_to], "amount": benefit},
    ]
    if amounts.prior_payer:
        found.append({"category": _PRIOR_PAYER, "amount": amount_of(amounts.prior_payer)})
    if is_drug:
        found.append({"category": _DRUG_COST, "amount": eligible})
        found.append({"category": _PAID_BY_PATIENT, "amount": amount_of(amounts.shared)})
    return found


def network_statuses(in_network: bool, *slice_names: str) -> list[Record]:
    """billingnetworkstatus, renderingnetworkstatus or benefitpaymentstatus elements."""
    return [_STATUS[name, in_network] for name in slice_names]


def adjustment_element(amounts: Amounts, refusal: str, is_capitated: bool = False) -> list[Record]:
    """The one adjustmentreason a line may have: why it was refused, or why the plan allowed less than was billed."""
    if not amounts.noncovered and not amounts.discount:
        return []
    code = refusal if amounts.noncovered else CAPITATED if is_capitated else CONTRACT_DISCOUNT
    return [{"category": _CATEGORY["adjustmentreason"], "reason": _REASON[code]}]


def allowed_units_element(units: int, amounts: Amounts) -> Record:
    return {
        "category": _CATEGORY["allowedunits"],
        "value": _UNITS[0 if amounts.noncovered == amounts.submitted else units],
    }
