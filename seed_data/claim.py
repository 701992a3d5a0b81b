"""What the five CARIN claim types have in common: the ExplanationOfBenefit around the lines of a claim.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from seed_data.adjudication import ADJUDICATION_STATUS, Amounts, amount_elements, total_of
from seed_data.conditions import SENSITIVE
from seed_data.coverage import Cover, cover_on
from seed_data.datatypes import (
    C4BB_IDENTIFIER_TYPE,
    CARE_TEAM_ROLE,
    CARIN,
    ICD_10_CM,
    IDENTIFIERS,
    Record,
    amount_of,
    carin,
    concept,
    instant,
    named_reference,
    past,
    period,
    reference,
    security_labels,
)
from seed_data.directory import PRACTITIONER, TAXONOMY
from seed_data.events import Event, colleague
from seed_data.members import Claim, Member
from seed_data.patients import payee_of

CLAIM_TYPE = "http://terminology.hl7.org/CodeSystem/claim-type"
SUPPORTING_INFO = f"{CARIN}/CodeSystem/C4BBSupportingInfoType"
DIAGNOSIS_TYPE = f"{CARIN}/CodeSystem/C4BBClaimDiagnosisType"
EX_DIAGNOSIS_TYPE = "http://terminology.hl7.org/CodeSystem/ex-diagnosistype"
PAYEE_TYPE = "http://terminology.hl7.org/CodeSystem/payeetype"
RELATED = {
    "prior": concept("http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship", "prior"),
    "replacedby": concept(f"{CARIN}/CodeSystem/C4BBRelatedClaimRelationshipCodes", "replacedby"),
}
PAYMENT = {code: concept(ADJUDICATION_STATUS, code) for code in ("paid", "denied", "partiallypaid")}
PROFILES: dict[tuple[str, tuple[str, ...]], list[str]] = {
    (name, versions): carin(f"C4BB-ExplanationOfBenefit-{name}", versions=versions)
    for name in (
        "Inpatient-Institutional",
        "Outpatient-Institutional",
        "Professional-NonClinician",
        "Oral",
        "Pharmacy",
    )
    for versions in (("2.0.0", "2.1.0"), ("2.0.0",))
}

NOTES = {
    "paid": "Your plan has paid its share of this claim.",
    "partiallypaid": "Your plan paid for part of this claim. At least one service was not covered.",
    "denied": "Your plan did not pay this claim. You can ask for a review within 180 days.",
    "capitated": "Your practice has a monthly fee from the plan for your care, so the plan pays nothing for this visit.",
    "second": "Your other plan paid first. This plan pays its share of what was left.",
    "reversed": "This claim was taken back. Nothing is owed for it.",
    "replaced": "This claim was corrected, and another claim has taken its place.",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One claim of a member's, with everything about the member that its record needs."""

    member: Member
    covers: list[Cover]
    others: dict[str, Record]  # Coverages of carriers outside this payer, by the carrier's row in the directory
    guardian: Record | None  # the parent as RelatedPerson
    as_of: date
    claim: Claim
    number: int  # of the claim among the member's, from 1
    event: Event
    amounts: tuple[Amounts, ...]  # of each line

    @property
    def start(self) -> date:
        return self.as_of - timedelta(days=self.claim.days_ago)

    @property
    def paid_to(self) -> str:
        return "paidtoprovider" if self.claim.in_network and self.guardian is None else "paidtopatient"

    def claim_number(self, number: int) -> str:
        return f"CLM{self.member.serial}{number:05d}"

    def times_replaced(self) -> int:
        """How many claims of the same event came before this one."""
        found, claim = 0, self.claim
        while claim.replaces:
            found, claim = found + 1, self.member.claims[claim.replaces - 1]
        return found


@dataclass(frozen=True, slots=True)
class Body:
    """What a claim type adds: its profile and codes, who provided care, its lines and what stands beside them."""

    profile: str
    type: str
    end: date
    provider: Record
    care_team: list[Record]
    supporting_info: list[Record]
    diagnosis: list[Record]
    item: list[Record]
    adjudication: list[Record]
    sub_type: Record | None = None
    procedure: tuple[Record, ...] = ()
    versions: tuple[str, ...] = ("2.0.0", "2.1.0")


_INFORMATION: dict[str, Record] = {}
_TYPES = {name: concept(CLAIM_TYPE, name) for name in ("institutional", "professional", "vision", "oral", "pharmacy")}
_UNIQUE_CLAIM = concept(C4BB_IDENTIFIER_TYPE, "uc")
_REFERENCES = {key: named_reference(record) for key, record in PRACTITIONER.items()}


def information(sequence: int, category: str, **value: object) -> Record:
    """One supportingInfo slice; its category tells which."""
    kind = _INFORMATION.get(category)
    if kind is None:
        kind = _INFORMATION[category] = concept(SUPPORTING_INFO, category)
    return {"sequence": sequence, "category": kind, **value}


def account_numbers(setting: Setting, sequence: int) -> list[Record]:
    """How the provider numbers the member's record, and this bill."""
    serial = setting.member.serial
    return [
        information(sequence, "medicalrecordnumber", valueString=f"MR{serial}"),
        information(sequence + 1, "patientaccountnumber", valueString=f"ACC{serial}{setting.number:04d}"),
    ]


def care_team_member(sequence: int, practitioner: str, role: str, system: str = CARE_TEAM_ROLE) -> Record:
    return {
        "sequence": sequence,
        "provider": _REFERENCES[practitioner],
        "role": concept(system, role),
        "qualification": TAXONOMY[practitioner],
    }


def care_team(setting: Setting, rows: tuple[tuple[str, ...], ...]) -> list[Record]:
    """The scenario's team with the event's people in their places: who gave the care, their colleagues, who referred."""
    usual, event = rows[0][0], setting.event
    found = []
    for sequence, (practitioner, *role) in enumerate(rows, 1):
        if role[0] == "referring":
            name = setting.member.primary_care or practitioner
        elif practitioner == usual:
            name = event.practitioner
        else:
            name = colleague(practitioner, event.provider)
        found.append(care_team_member(sequence, name, *role))
    return found


def diagnosis(sequence: int, code: tuple[str, str], type_system: str, type_code: str, **more: object) -> Record:
    return {
        "sequence": sequence,
        "diagnosisCodeableConcept": concept(ICD_10_CM, *code),
        "type": [concept(type_system, type_code)],
        **more,
    }


def _meta(setting: Setting, body: Body, changed: str) -> Record:
    meta: Record = {"lastUpdated": changed, "profile": PROFILES[body.profile, body.versions]}
    claim = setting.claim
    codes = (code for code, _ in setting.event.diagnoses)
    security = claim.security or next((SENSITIVE[code] for code in codes if code in SENSITIVE), "")
    if security:
        meta["security"] = security_labels(security)
    return meta


def explanation_of_benefit(setting: Setting, body: Body, draw: Random) -> Record:
    """A whole claim. Totals are the sums of the lines; the payment and its note follow from the outcome."""
    claim, as_of = setting.claim, setting.as_of
    cover = cover_on(setting.covers, setting.start, is_second=claim.primary > 0)
    received = past(body.end + timedelta(days=3 + draw.randrange(8) + 21 * setting.times_replaced()), as_of)
    decided = past(received + timedelta(days=2 + draw.randrange(6)), as_of)
    total = total_of(setting.amounts)
    record: Record = {
        "resourceType": "ExplanationOfBenefit",
        "id": f"eob-{setting.member.key}-{setting.number:03d}",
        "meta": _meta(setting, body, instant(draw, past(decided + timedelta(days=1), as_of))),
        "identifier": [_claim_identifier(setting.claim_number(setting.number))],
        "status": "cancelled" if claim.replaced_by or claim.reversed else "active",
        "type": _TYPES[body.type],
    }
    if body.sub_type:
        record["subType"] = body.sub_type
    record |= {
        "use": "claim",
        "patient": {"reference": f"Patient/{setting.member.id}", "display": setting.member.name},
        "billablePeriod": period(setting.start, body.end),
        "created": received.isoformat(),
        "insurer": cover.record["payor"][0],
        "provider": named_reference(body.provider),
    }
    if claim.replaces or claim.replaced_by:
        record["related"] = _related(setting)
    record |= {
        "payee": _payee(setting, body.provider),
        "outcome": "complete",
        "careTeam": body.care_team,
        "supportingInfo": [
            information(1, "clmrecvddate", timingDate=received.isoformat()),
            *body.supporting_info,
        ],
    }
    if body.diagnosis:
        record["diagnosis"] = body.diagnosis
    if body.procedure:
        record["procedure"] = list(body.procedure)
    record |= {
        "insurance": _insurance(setting, cover),
        "item": body.item,
        "adjudication": body.adjudication,
        "total": amount_elements(total, setting.paid_to, is_drug=body.type == "pharmacy"),
        "payment": {
            "type": PAYMENT[claim.payment],
            "date": decided.isoformat(),
            "amount": amount_of(total.benefit),
        },
        "processNote": _notes(claim),
    }
    return record


def _claim_identifier(number: str) -> Record:
    return {"type": _UNIQUE_CLAIM, "system": f"{IDENTIFIERS}/claim", "value": number}


def _related(setting: Setting) -> list[Record]:
    claim = setting.claim
    numbers = {"prior": claim.replaces, "replacedby": claim.replaced_by}
    return [
        {"relationship": RELATED[name], "reference": _claim_identifier(setting.claim_number(number))}
        for name, number in numbers.items()
        if number
    ]


def _insurance(setting: Setting, cover: Cover) -> list[Record]:
    """The plan that decided this claim, then the other one the member had that day, if any, named by its payer."""
    claim = setting.claim
    focal: Record = {"focal": True, "coverage": reference(cover.record)}
    if claim.authorization:
        focal["preAuthRef"] = [setting.member.authorization_number(claim.authorization)]
    day = setting.start
    others = [c.record for c in setting.covers if c is not cover and c.start <= day and (c.end is None or day <= c.end)]
    if claim.other_payer:
        others = [setting.others[claim.other_payer]]
    return [
        focal,
        *(
            {"focal": False, "coverage": {**reference(other), "display": other["payor"][0]["display"]}}
            for other in others[:1]
        ),
    ]


def _notes(claim: Claim) -> list[Record]:
    names: list[str] = [claim.payment]
    if claim.reversed or claim.replaced_by:
        names = ["reversed" if claim.reversed else "replaced"]
    elif claim.capitated:
        names = ["capitated"]
    elif (claim.primary or claim.other_payer) and claim.payment != "denied":
        names.append("second")
    return [{"number": number, "type": "print", "text": NOTES[name]} for number, name in enumerate(names, 1)]


def _payee(setting: Setting, provider: Record) -> Record:
    """Who is paid: the parent for a child, the member outside the network, else the provider of the claim."""
    if setting.guardian:
        return {"type": concept(PAYEE_TYPE, "other"), "party": payee_of(setting.guardian)}
    if not setting.claim.in_network:
        patient = {"reference": f"Patient/{setting.member.id}", "display": setting.member.name}
        return {"type": concept(PAYEE_TYPE, "subscriber"), "party": patient}
    return {"type": concept(PAYEE_TYPE, "provider"), "party": named_reference(provider)}
