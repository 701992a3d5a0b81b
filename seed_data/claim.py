"""What the five CARIN claim types have in common: the ExplanationOfBenefit around the lines of a claim.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from seed_data.adjudication import ADJUDICATION_STATUS, Amounts, amount_elements, status_element, total_of
from seed_data.coverage import coverage_on
from seed_data.datatypes import (
    C4BB_IDENTIFIER_TYPE,
    CARE_TEAM_ROLE,
    CARIN,
    ICD_10_CM,
    IDENTIFIERS,
    Record,
    carin,
    concept,
    identifier,
    instant,
    money,
    named_reference,
    past,
    period,
    reference,
)
from seed_data.directory import PRACTITIONER, TAXONOMY
from seed_data.members import Claim, Member
from seed_data.patients import payee_of

CLAIM_TYPE = "http://terminology.hl7.org/CodeSystem/claim-type"
SUPPORTING_INFO = f"{CARIN}/CodeSystem/C4BBSupportingInfoType"
DIAGNOSIS_TYPE = f"{CARIN}/CodeSystem/C4BBClaimDiagnosisType"
EX_DIAGNOSIS_TYPE = "http://terminology.hl7.org/CodeSystem/ex-diagnosistype"
PAYEE_TYPE = "http://terminology.hl7.org/CodeSystem/payeetype"

NOTES = {
    "paid": "Your plan has paid its share of this claim.",
    "partiallypaid": "Your plan paid for part of this claim. At least one service was not covered.",
    "denied": "Your plan did not pay this claim. You can ask for a review within 180 days.",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Whose claim, on which day, under which coverages: what every claim type needs to know of the member."""

    member: Member
    coverages: tuple[Record, ...]
    guardian: Record | None  # the parent as RelatedPerson
    as_of: date
    claim: Claim
    number: int  # of the claim among the member's, from 1

    @property
    def start(self) -> date:
        return self.as_of - timedelta(days=self.claim.days_ago)

    @property
    def coverage(self) -> Record:
        return coverage_on(list(self.coverages), self.start)

    @property
    def paid_to(self) -> str:
        return "paidtoprovider" if self.claim.in_network and self.guardian is None else "paidtopatient"

    def claim_number(self, number: int) -> str:
        return f"CLM{self.member.serial}{number:05d}"


@dataclass(frozen=True, slots=True)
class Body:
    """What a claim type adds: its profile and codes, who provided care, its lines and their amounts."""

    profile: str
    type: str
    end: date
    provider: Record
    care_team: list[Record]
    supporting_info: list[Record]
    diagnosis: list[Record]
    item: list[Record]
    amounts: tuple[Amounts, ...]
    adjudication: list[Record]
    sub_type: Record | None = None
    procedure: tuple[Record, ...] = ()
    versions: tuple[str, ...] = ("2.0.0", "2.1.0")


def information(sequence: int, category: str, **value: object) -> Record:
    """One supportingInfo slice; its category tells which."""
    return {"sequence": sequence, "category": concept(SUPPORTING_INFO, category), **value}


def care_team_member(sequence: int, practitioner: str, role: str, system: str = CARE_TEAM_ROLE) -> Record:
    return {
        "sequence": sequence,
        "provider": named_reference(PRACTITIONER[practitioner]),
        "role": concept(system, role),
        "qualification": TAXONOMY[practitioner],
    }


def diagnosis(sequence: int, code: tuple[str, str], type_system: str, type_code: str, **more: object) -> Record:
    return {
        "sequence": sequence,
        "diagnosisCodeableConcept": concept(ICD_10_CM, *code),
        "type": [concept(type_system, type_code)],
        **more,
    }


def network_statuses(in_network: bool, *slice_names: str) -> list[Record]:
    return [status_element(name, in_network) for name in slice_names]


def explanation_of_benefit(setting: Setting, body: Body, draw: Random) -> Record:
    """A whole claim. Totals are the sums of the lines; the payment and its note follow from the outcome."""
    claim, coverage = setting.claim, setting.coverage
    received = past(body.end + timedelta(days=3 + draw.randrange(8)), setting.as_of)
    decided = past(received + timedelta(days=2 + draw.randrange(6)), setting.as_of)
    total = total_of(body.amounts)
    record: Record = {
        "resourceType": "ExplanationOfBenefit",
        "id": f"eob-{setting.member.key}-{setting.number:03d}",
        "meta": {
            "lastUpdated": instant(draw, past(decided + timedelta(days=1), setting.as_of)),
            "profile": carin(f"C4BB-ExplanationOfBenefit-{body.profile}", versions=body.versions),
        },
        "identifier": [
            identifier(f"{IDENTIFIERS}/claim", setting.claim_number(setting.number), C4BB_IDENTIFIER_TYPE, "uc")
        ],
        "status": "cancelled" if claim.replaced_by else "active",
        "type": concept(CLAIM_TYPE, body.type),
    }
    if body.sub_type:
        record["subType"] = body.sub_type
    record |= {
        "use": "claim",
        "patient": {"reference": f"Patient/{setting.member.id}", "display": setting.member.name},
        "billablePeriod": period(setting.start, body.end),
        "created": received.isoformat(),
        "insurer": coverage["payor"][0],
        "provider": named_reference(body.provider),
    }
    if claim.replaces or claim.replaced_by:
        record["related"] = [_related(setting)]
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
        "insurance": [{"focal": True, "coverage": reference(coverage)}],
        "item": body.item,
        "adjudication": body.adjudication,
        "total": amount_elements(total, setting.paid_to),
        "payment": {
            "type": concept(f"{ADJUDICATION_STATUS}", claim.payment),
            "date": decided.isoformat(),
            "amount": money(total.benefit),
        },
        "processNote": [{"number": 1, "type": "print", "text": NOTES[claim.payment]}],
    }
    return record


def _related(setting: Setting) -> Record:
    claim = setting.claim
    if claim.replaced_by:
        relationship = concept(f"{CARIN}/CodeSystem/C4BBRelatedClaimRelationshipCodes", "replacedby")
    else:
        relationship = concept("http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship", "prior")
    number = setting.claim_number(claim.replaced_by or claim.replaces)
    return {
        "relationship": relationship,
        "reference": identifier(f"{IDENTIFIERS}/claim", number, C4BB_IDENTIFIER_TYPE, "uc"),
    }


def _payee(setting: Setting, provider: Record) -> Record:
    """Who is paid: the parent for a child, the member outside the network, else the provider of the claim."""
    if setting.guardian:
        return {"type": concept(PAYEE_TYPE, "other"), "party": payee_of(setting.guardian)}
    if not setting.claim.in_network:
        patient = {"reference": f"Patient/{setting.member.id}", "display": setting.member.name}
        return {"type": concept(PAYEE_TYPE, "subscriber"), "party": patient}
    return {"type": concept(PAYEE_TYPE, "provider"), "party": named_reference(provider)}
