"""Prior authorizations as records: what a request was at each moment of its life, what was sent with it, and what it says now.

Every answer (reviewAction and its date) hangs on an adjudication element of its line.
https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-priorauthorization.html"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from seed_data.adjudication import ADJUDICATION
from seed_data.authorization_documents import attached, documents
from seed_data.authorization_events import Case
from seed_data.authorization_states import DENIED, NONE, State, states, valid_until
from seed_data.claim import CLAIM_TYPE, EX_DIAGNOSIS_TYPE, PAYEE_TYPE, care_team_member, diagnosis
from seed_data.conditions import SENSITIVE
from seed_data.datatypes import (
    C4BB_IDENTIFIER_TYPE,
    HCPCS,
    IDENTIFIERS,
    X12_CARC,
    Record,
    coding,
    concept,
    identifier,
    money,
    period,
    quantity,
    reference,
    security_labels,
)
from seed_data.directory import (
    LOCATION_REFERENCE,
    ORGANIZATION_REFERENCE,
    PRACTITIONER_REFERENCE,
    ROLE_REFERENCE,
    WORKPLACE_KEY,
)
from seed_data.provenance import provenance
from seed_data.scenarios.authorizations import Line, Named, Service

PDEX = "http://hl7.org/fhir/us/davinci-pdex"
PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"
PROFILE = f"{PDEX}/StructureDefinition/pdex-priorauthorization"
PROFILES = [f"{PROFILE}|2.0.0", PROFILE]  # 2.2.0 asks for the canonical without a version
DISCRIMINATOR = f"{PDEX}/CodeSystem/PDexAdjudicationDiscriminator"
VALUES = f"{PDEX}/CodeSystem/PriorAuthorizationValueCodes"
REVIEW_ACTION = "https://codesystem.x12.org/005010/306"
REVIEW_REASON = "https://codesystem.x12.org/external/886"
LEVEL_OF_SERVICE = "https://codesystem.x12.org/005010/1338"
ENTITY = "https://codesystem.x12.org/005010/98"
PAS_HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"  # PAS 2.0.1 names HCPCS without the s of https
SERVICE_TYPE = "https://x12.org/codes/service-type-codes"
INFORMATION = "http://terminology.hl7.org/CodeSystem/claiminformationcategory"


def _extension(url: str, **value: object) -> Record:
    return {"url": url, **value}


def _review(case: Case, state: State, allowed: int, denied: bool) -> Record:
    """The reviewAction extension and its date, for the adjudication element that carries the answer; nothing before any."""
    if state.action == NONE or state.decided is None:
        return {}
    action = state.action
    if state.is_decided:
        action = DENIED if denied else state.action
    parts = [
        _extension(
            f"{PDEX}/StructureDefinition/extension-reviewActionCode",
            valueCodeableConcept=concept(REVIEW_ACTION, action),
        )
    ]
    if allowed:
        parts.insert(0, _extension("number", valueString=case.member.authorization_number(case.number)))
    if state.reason and action != "A1":
        reason = concept(REVIEW_REASON, state.reason.review, state.reason.text)
        parts.append(_extension("reasonCode", valueCodeableConcept=reason))
    return {
        "extension": [
            {"url": f"{PDEX}/StructureDefinition/extension-reviewAction", "extension": parts},
            _extension(
                f"{PDEX}/StructureDefinition/base-ext-when-adjudicated", valueDateTime=state.decided.isoformat()
            ),
        ]
    }


def _item_extensions(case: Case, state: State, position: int) -> list[Record]:
    line, allowed = case.service.lines[position], state.allowed[position]
    serial = f"{case.member.serial}{case.number:03d}{position + 1}"
    found = [_extension(f"{PAS}/extension-itemTraceNumber", valueIdentifier=identifier(f"{IDENTIFIERS}/trace", serial))]
    if allowed and state.decided:
        provider = [
            _extension("provider", valueReference=ORGANIZATION_REFERENCE[case.service.provider]),
            _extension("providerType", valueCodeableConcept=concept(ENTITY, "SJ")),
        ]
        product = _product(line)
        if line.code[0] == HCPCS:
            product["coding"].append(coding(PAS_HCPCS, line.code[1]))
        detail = [
            _extension("productOrServiceCode", valueCodeableConcept=product),
            _extension("unitPrice", valueMoney=money(Decimal(line.unit_price))),
            _extension("quantity", valueQuantity=quantity(allowed)),
        ]
        before = case.row.renews or case.number
        number = f"{case.member.authorization_number(before)}-{position + 1}"
        found += [
            _extension(f"{PAS}/extension-itemPreAuthIssueDate", valueDate=state.decided.isoformat()),
            _extension(
                f"{PAS}/extension-itemPreAuthPeriod", valuePeriod=period(state.decided, valid_until(case, state))
            ),
            _extension(f"{PAS}/extension-authorizationNumber", valueString=number),
            {"url": f"{PAS}/extension-itemAuthorizedDetail", "extension": detail},
            {"url": f"{PAS}/extension-itemAuthorizedProvider", "extension": provider},
        ]
    return [*found, _extension(f"{PAS}/extension-administrationReferenceNumber", valueString=f"R{serial}")]


def _product(line: Line) -> Record:
    return concept(*line.code, line.text)


def _price(line: Line, units: int) -> Decimal:
    return Decimal(line.unit_price) * units


def _refusal(state: State) -> list[Record]:
    if state.reason is None or state.action not in {"A2", "A3"}:
        return []
    reason = concept(X12_CARC, state.reason.adjustment, state.reason.text)
    return [{"category": concept(DISCRIMINATOR, "denialreason"), "reason": reason}]


def _item_adjudication(case: Case, state: State, position: int) -> list[Record]:
    line, allowed = case.service.lines[position], state.allowed[position]
    found: list[Record] = [
        {
            **_review(case, state, allowed, denied=not allowed),
            "category": concept(ADJUDICATION, "submitted", "Asked for"),
            "amount": money(_price(line, line.units)),
        }
    ]
    if allowed:
        used = state.used if position == 0 else 0
        approved = money(_price(line, allowed))
        found.append({"category": concept(ADJUDICATION, "eligible", "Approved amount"), "amount": approved})
        found.append({"category": concept(DISCRIMINATOR, "allowedunits"), "value": Decimal(allowed)})
        found.append({"category": concept(DISCRIMINATOR, "consumedunits"), "value": Decimal(used)})
    return found + (_refusal(state) if allowed < line.units else [])


def _item(case: Case, state: State, position: int, documents: int) -> Record:
    line = case.service.lines[position]
    asked = case.asked
    found: Record = {"extension": _item_extensions(case, state, position), "sequence": position + 1}
    if documents:
        found["informationSequence"] = list(range(1, documents + 1))
    return found | {
        "category": concept(SERVICE_TYPE, line.service_type),
        "productOrService": _product(line),
        "servicedPeriod": period(asked, asked + timedelta(days=case.service.days_valid)),
        "quantity": quantity(line.units),
        "noteNumber": [1],
        "adjudication": _item_adjudication(case, state, position),
    }


def _header(case: Case, state: State, code: str, amount: Decimal) -> list[Record]:
    """The answer to the whole request. PDex 2.0.0 gives the header's denial reason no category of its own, 2.2.0
    does: a denial carries its reason on the amount and beside it."""
    refusal = _refusal(state)
    review = _review(case, state, sum(state.allowed), denied=state.action == DENIED)
    whole = {**review, "category": concept(ADJUDICATION, code)}
    if refusal:
        whole["reason"] = refusal[0]["reason"]
    return [{**whole, "amount": money(amount)}, *refusal]


def _total(case: Case, state: State, code: str, amount: Decimal) -> list[Record]:
    used = _extension(f"{PDEX}/StructureDefinition/PriorAuthorizationUtilization", valueQuantity=quantity(state.used))
    found: list[Record] = [{"extension": [used], "category": concept(VALUES, code), "amount": money(amount)}]
    if state.used:
        spent = money(_price(case.service.lines[0], state.used))
        found.append({"category": concept(VALUES, "utilized"), "amount": spent})
    return found


def _named(kind: Named, practitioner: str, organization: str) -> Record:
    if kind == "organization":
        return ORGANIZATION_REFERENCE[organization]
    return ROLE_REFERENCE[practitioner] if kind == "role" else PRACTITIONER_REFERENCE[practitioner]


def _care_team(service: Service) -> list[Record]:
    found = [care_team_member(1, service.practitioner, "rendering")]
    if service.second:
        for target in (ROLE_REFERENCE[service.second], ORGANIZATION_REFERENCE[WORKPLACE_KEY[service.second]]):
            row = care_team_member(len(found) + 1, service.second, "referring")
            found.append({**row, "provider": target})
    return found


def record(case: Case, state: State) -> Record:
    """The ExplanationOfBenefit of a request in a state; valid against PDex 2.0.0 and 2.2.0 at once."""
    member, service, asked = case.member, case.service, case.asked
    number = member.authorization_number(case.number)
    provider = _named(service.provided_by, service.practitioner, service.provider)
    units = state.allowed if any(state.allowed) else tuple(line.units for line in service.lines)
    code = "eligible" if any(state.allowed) else "submitted"
    amount = sum((_price(line, count) for line, count in zip(service.lines, units, strict=True)), Decimal(0))
    sent = attached(case, state)
    found: Record = {
        "resourceType": "ExplanationOfBenefit",
        "id": case.id,
        "meta": {"lastUpdated": (state.at + timedelta(minutes=20)).isoformat(), "profile": PROFILES},
        "extension": [
            _extension(
                f"{PDEX}/StructureDefinition/extension-levelOfServiceCode",
                valueCodeableConcept=concept(LEVEL_OF_SERVICE, "U" if case.expedited else "E"),
            )
        ],
        "identifier": [identifier(f"{IDENTIFIERS}/authorization", number)],
        "status": state.status,
        "type": concept(CLAIM_TYPE, "professional"),
        "use": "preauthorization",
        "patient": {"reference": f"Patient/{member.id}", "display": member.name},
        "billablePeriod": period(asked, asked + timedelta(days=service.days_valid)),
        "created": case.moments[0].at.isoformat(),
        "enterer": _named(service.asked_by, service.practitioner, service.provider),
        "insurer": case.coverage["payor"][0],
        "provider": provider,
        "priority": concept(
            "http://terminology.hl7.org/CodeSystem/processpriority", "stat" if case.expedited else "normal"
        ),
    }
    if service.diagnosis[0] in SENSITIVE:
        found["meta"]["security"] = security_labels(SENSITIVE[service.diagnosis[0]])
    if state.claims:
        found["related"] = [_related(claim) for claim in state.claims]
    found |= {
        "payee": {"type": concept(PAYEE_TYPE, "provider"), "party": provider},
        "facility": LOCATION_REFERENCE[service.provider],
        "outcome": state.outcome,
        "disposition": state.words,
    }
    if any(state.allowed) and state.decided:
        found["preAuthRef"] = [number]
        found["preAuthRefPeriod"] = [period(state.decided, valid_until(case, state))]
    found["careTeam"] = _care_team(service)
    if sent:
        found["supportingInfo"] = [
            {"sequence": sequence, "category": concept(INFORMATION, "attachment"), "valueReference": target}
            for sequence, target in enumerate(sent, 1)
        ]
    return found | {
        "diagnosis": [diagnosis(1, service.diagnosis, EX_DIAGNOSIS_TYPE, "principal")],
        "insurance": [{"focal": True, "coverage": reference(case.coverage)}],
        "item": [_item(case, state, position, len(sent)) for position in range(len(service.lines))],
        "adjudication": _header(case, state, code, amount),
        "total": _total(case, state, code, amount),
        "processNote": [{"number": 1, "type": "print", "text": state.words}],
    }


def _related(claim: str) -> Record:
    return {
        "relationship": concept("http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship", "associated"),
        "reference": identifier(f"{IDENTIFIERS}/claim", claim, C4BB_IDENTIFIER_TYPE, "uc"),
    }


def history(case: Case, as_of: date) -> Iterator[tuple[datetime, Record]]:
    """Each version of a request's record with the moment from which it stood, oldest first; the last is the current one."""
    for state in states(case, as_of):
        yield state.at, record(case, state)


def prior_authorizations(cases: list[Case], as_of: date) -> Iterator[Record]:
    """The current record of each request of one member, what was sent with it, and where all of it came from."""
    if not cases:
        return
    member, payer = cases[0].member, cases[0].coverage["payor"][0]
    sent = [document for case in cases for document in documents(case, as_of)]
    current = [record(case, list(states(case, as_of))[-1]) for case in cases]
    yield from sent
    yield from current
    yield provenance(f"{member.key}-preauthorization", current, payer)
    if sent:
        yield provenance(f"{member.key}-preauthorization-documents", sent, payer)
