"""Prior authorizations: asked for, and approved, partly approved, denied with a reason, or still pending.

Every answer (reviewAction and its date) hangs on an adjudication element of its line.
https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-priorauthorization.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from seed_data.adjudication import ADJUDICATION
from seed_data.claim import CLAIM_TYPE, EX_DIAGNOSIS_TYPE, PAYEE_TYPE, care_team_member, diagnosis
from seed_data.coverage import coverage_on
from seed_data.datatypes import (
    CPT,
    HCPCS,
    IDENTIFIERS,
    X12_CARC,
    Record,
    coding,
    concept,
    identifier,
    instant,
    money,
    named_reference,
    past,
    period,
    quantity,
    reference,
)
from seed_data.directory import LOCATION, ORGANIZATION, PRACTITIONER_ROLE
from seed_data.members import Authorization, Decision, Member

PDEX = "http://hl7.org/fhir/us/davinci-pdex"
PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"
PROFILE = f"{PDEX}/StructureDefinition/pdex-priorauthorization"
DISCRIMINATOR = f"{PDEX}/CodeSystem/PDexAdjudicationDiscriminator"
REVIEW_ACTION = "https://codesystem.x12.org/005010/306"
REVIEW_REASON = "https://codesystem.x12.org/external/886"
LEVEL_OF_SERVICE = "https://codesystem.x12.org/005010/1338"
ENTITY = "https://codesystem.x12.org/005010/98"
PAS_HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"  # PAS 2.0.1 names HCPCS without the s of https
SERVICE_TYPE = "https://x12.org/codes/service-type-codes"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: a service, how many units of it, at what price, by whom and where."""

    practitioner: str
    provider: str
    diagnosis: tuple[str, str]
    service_type: str
    code: tuple[str, str]
    text: str
    units: int
    unit_price: str
    days_valid: int
    expedited: bool = False


REQUESTS = {
    "therapy": Request(
        "delacroix", "hollow-creek", ("M54.50", "Low back pain"), "AE", (CPT, "97110"), "Physical therapy visits", 12,
        "135.00", 180,
    ),
    "equipment": Request(
        "okafor", "lakeshore", ("G47.33", "Sleep apnea"), "12", (HCPCS, "E0601"), "Breathing machine for the night", 1,
        "940.00", 90,
    ),
    "imaging": Request(
        "petrakis", "riverbend", ("I25.10", "Heart artery disease"), "62", (CPT, "75574"), "Heart scan", 1, "1480.00", 60,
    ),
    "surgery": Request(
        "amador", "northgate", ("M17.11", "Worn right knee"), "2", (CPT, "27447"), "New knee joint", 1, "31200.00", 90,
        expedited=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What the payer said: the review action code, and what of the units it allowed (in twelfths)."""

    action: str
    share: int
    outcome: str
    words: str
    reason: tuple[str, str] = ("", "")  # review decision reason code and our own words


ANSWERS: dict[Decision, Answer] = {
    "approved": Answer("A1", 12, "complete", "Approved. You can have this care from the provider named."),
    "partial": Answer(
        "A2", 8, "partial", "Partly approved: 8 of the 12 visits asked for. Your doctor can ask for more later."
    ),
    "denied": Answer(
        "A3", 0, "complete",
        "Denied: the plan's policy asks for a stress test first, and no result was sent with the request. "
        "Your doctor can send it, or you can appeal within 60 days.",
        ("0K", "The request did not show that a simpler test was done first"),
    ),
    "pended": Answer("A4", 0, "queued", "We have the request and are reviewing it.", ("0U", "More information asked for")),
}  # fmt: skip


def _extension(url: str, **value: object) -> Record:
    return {"url": url, **value}


def _review(answer: Answer, number: str, decided: date) -> list[Record]:
    """The reviewAction extension and its date, for the adjudication element that carries the answer."""
    parts = [
        _extension(
            f"{PDEX}/StructureDefinition/extension-reviewActionCode",
            valueCodeableConcept=concept(REVIEW_ACTION, answer.action),
        )
    ]
    if answer.share:
        parts.insert(0, _extension("number", valueString=number))
    if answer.reason[0]:
        parts.append(_extension("reasonCode", valueCodeableConcept=concept(REVIEW_REASON, *answer.reason)))
    return [
        {"url": f"{PDEX}/StructureDefinition/extension-reviewAction", "extension": parts},
        _extension(f"{PDEX}/StructureDefinition/base-ext-when-adjudicated", valueDateTime=decided.isoformat()),
    ]


def _item_extensions(request: Request, allowed: int, number: str, decided: date, serial: str) -> list[Record]:
    found = [_extension(f"{PAS}/extension-itemTraceNumber", valueIdentifier=identifier(f"{IDENTIFIERS}/trace", serial))]
    if allowed:
        product = concept(*request.code, request.text)
        if request.code[0] == HCPCS:
            product["coding"].append(coding(PAS_HCPCS, request.code[1]))
        last = decided + timedelta(days=request.days_valid)
        provider = [
            _extension("provider", valueReference=named_reference(ORGANIZATION[request.provider])),
            _extension("providerType", valueCodeableConcept=concept(ENTITY, "SJ")),
        ]
        detail = [
            _extension("productOrServiceCode", valueCodeableConcept=product),
            _extension("unitPrice", valueMoney=money(Decimal(request.unit_price))),
            _extension("quantity", valueQuantity=quantity(allowed)),
        ]
        found += [
            _extension(f"{PAS}/extension-itemPreAuthIssueDate", valueDate=decided.isoformat()),
            _extension(f"{PAS}/extension-itemPreAuthPeriod", valuePeriod=period(decided, last)),
            _extension(f"{PAS}/extension-authorizationNumber", valueString=f"{number}-1"),
            {"url": f"{PAS}/extension-itemAuthorizedDetail", "extension": detail},
            {"url": f"{PAS}/extension-itemAuthorizedProvider", "extension": provider},
        ]
    return [*found, _extension(f"{PAS}/extension-administrationReferenceNumber", valueString=f"R{serial}")]


def _item_adjudication(answer: Answer, request: Request, allowed: int, number: str, decided: date) -> list[Record]:
    asked = Decimal(request.unit_price) * request.units
    found: list[Record] = [
        {
            "extension": _review(answer, number, decided),
            "category": concept(ADJUDICATION, "submitted", "Asked for"),
            "amount": money(asked),
        }
    ]
    if allowed:
        agreed = money(Decimal(request.unit_price) * allowed)
        found.append({"category": concept(ADJUDICATION, "eligible", "Approved amount"), "amount": agreed})
        found.append({"category": concept(DISCRIMINATOR, "allowedunits"), "value": Decimal(allowed)})
        found.append({"category": concept(DISCRIMINATOR, "consumedunits"), "value": Decimal(min(allowed // 2, 3))})
    return found + _denial(answer)


def _header_adjudication(answer: Answer, number: str, decided: date, code: str, amount: Decimal) -> list[Record]:
    """The answer to the whole request. PDex 2.0.0 gives the header's denial reason no category of its own, 2.2.0
    does: a denial carries its reason on the amount and beside it."""
    denial = _denial(answer)
    whole = {"extension": _review(answer, number, decided), "category": concept(ADJUDICATION, code)}
    if denial:
        whole["reason"] = denial[0]["reason"]
    return [{**whole, "amount": money(amount)}, *denial]


def _denial(answer: Answer) -> list[Record]:
    if answer.action != "A3":
        return []
    return [{"category": concept(DISCRIMINATOR, "denialreason"), "reason": concept(X12_CARC, "50", answer.reason[1])}]


def prior_authorization(
    member: Member, coverages: list[Record], number: int, row: Authorization, draw: Random, as_of: date
) -> Record:
    """One request and its answer. Approved units stand on the line; half of them, at most three, are used."""
    request, answer = REQUESTS[row.scenario], ANSWERS[row.decision]
    asked = as_of - timedelta(days=row.days_ago)
    decided = past(asked + timedelta(days=2 if request.expedited else 5), as_of)
    allowed = request.units * answer.share // 12
    serial = f"{member.number:04d}{number:03d}"
    name = f"AUTH{serial}"
    coverage = coverage_on(coverages, asked)
    provider = ORGANIZATION[request.provider]
    amount = Decimal(request.unit_price) * (allowed or request.units)
    amount_code = "eligible" if allowed else "submitted"
    record: Record = {
        "resourceType": "ExplanationOfBenefit",
        "id": f"preauthorization-{member.key}-{number:03d}",
        "meta": {
            "lastUpdated": instant(draw, past(decided + timedelta(days=1), as_of)),
            "profile": [f"{PROFILE}|2.0.0", PROFILE],
        },
        "extension": [
            _extension(
                f"{PDEX}/StructureDefinition/extension-levelOfServiceCode",
                valueCodeableConcept=concept(LEVEL_OF_SERVICE, "U" if request.expedited else "E"),
            )
        ],
        "identifier": [identifier(f"{IDENTIFIERS}/authorization", name)],
        "status": "active",
        "type": concept(CLAIM_TYPE, "professional"),
        "use": "preauthorization",
        "patient": {"reference": f"Patient/{member.id}", "display": member.name},
        "billablePeriod": period(asked, asked + timedelta(days=request.days_valid)),
        "created": asked.isoformat(),
        "enterer": reference(PRACTITIONER_ROLE[request.practitioner]),
        "insurer": coverage["payor"][0],
        "provider": named_reference(provider),
        "priority": concept(
            "http://terminology.hl7.org/CodeSystem/processpriority", "stat" if request.expedited else "normal"
        ),
        "payee": {"type": concept(PAYEE_TYPE, "provider"), "party": named_reference(provider)},
        "facility": named_reference(LOCATION[request.provider]),
        "outcome": answer.outcome,
        "disposition": answer.words,
    }
    if allowed:
        record["preAuthRef"] = [name]
        record["preAuthRefPeriod"] = [period(decided, decided + timedelta(days=request.days_valid))]
    record |= {
        "careTeam": [care_team_member(1, request.practitioner, "rendering")],
        "diagnosis": [diagnosis(1, request.diagnosis, EX_DIAGNOSIS_TYPE, "principal")],
        "insurance": [{"focal": True, "coverage": reference(coverage)}],
        "item": [
            {
                "extension": _item_extensions(request, allowed, name, decided, serial),
                "sequence": 1,
                "category": concept(SERVICE_TYPE, request.service_type),
                "productOrService": concept(*request.code, request.text),
                "servicedPeriod": period(asked, asked + timedelta(days=request.days_valid)),
                "quantity": quantity(request.units),
                "noteNumber": [1],
                "adjudication": _item_adjudication(answer, request, allowed, name, decided),
            }
        ],
        "adjudication": _header_adjudication(answer, name, decided, amount_code, amount),
        "total": [
            {
                "extension": [
                    _extension(
                        f"{PDEX}/StructureDefinition/PriorAuthorizationUtilization",
                        valueQuantity=quantity(min(allowed // 2, 3)),
                    )
                ],
                "category": concept(f"{PDEX}/CodeSystem/PriorAuthorizationValueCodes", amount_code),
                "amount": money(amount),
            }
        ],
        "processNote": [{"number": 1, "type": "print", "text": answer.words}],
    }
    return record
