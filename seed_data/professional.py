"""Professional and non-clinician claims: doctor visits, ambulance rides and glasses.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Professional-NonClinician.html"""

from decimal import Decimal
from random import Random

from seed_data.adjudication import (
    NOT_COVERED,
    Amounts,
    adjustment_element,
    allowed_units_element,
    amount_elements,
    network_statuses,
)
from seed_data.claim import (
    DIAGNOSIS_TYPE,
    EX_DIAGNOSIS_TYPE,
    Body,
    Setting,
    account_numbers,
    care_team,
    diagnosis,
    explanation_of_benefit,
    information,
)
from seed_data.datatypes import PLACE_OF_SERVICE, UCUM, Record, coding, concept, named_reference, quantity
from seed_data.directory import ORGANIZATION
from seed_data.events import event
from seed_data.scenarios.visits import VISITS, Service, Visit

INSTITUTIONAL = {"inpatient", "outpatient"}
TRANSPORT_REASON = "https://x12.org/codesystem.x12.org/ambulance-transport-reason-codes"


def _transport(setting: Setting) -> list[Record]:
    """The ride: weight, reason, distance, purposes and the two ends; every line of the claim points to all of it."""
    home = f"{setting.member.line}, {setting.member.city}, OH {setting.member.postal_code}"
    miles = {"value": Decimal(12), "unit": "[mi_i]", "system": UCUM, "code": "[mi_i]"}
    return [
        information(
            5,
            "patientweight",
            valueQuantity={"value": Decimal(168), "unit": "[lb_av]", "system": UCUM, "code": "[lb_av]"},
        ),
        information(6, "ambulancetransportreason", reason=coding(TRANSPORT_REASON, "A")),
        information(7, "transportationdistance", valueQuantity=miles),
        information(8, "roudtrippurpose", valueString="Taken to hospital and later home again"),
        information(9, "stretcherpurpose", valueString="Could not sit up safely"),
        information(10, "pickuplocation", valueString=home),
        information(11, "dropofflocation", valueString=_hospital(setting)),
    ]


def _hospital(setting: Setting) -> str:
    """Where the ride ended: the hospital that billed for that day, or the nearest one."""
    that_day = (c for c in setting.member.claims if c.days_ago == setting.claim.days_ago and c.kind in INSTITUTIONAL)
    hospital = ORGANIZATION[next((event(claim).provider for claim in that_day), "northgate")]
    place = hospital["address"][0]
    return f"{hospital['name']}, {place['line'][0]}, {place['city']}, {place['state']}"


def _item(sequence: int, service: Service, amounts: Amounts, setting: Setting, visit: Visit) -> Record:
    item: Record = {"sequence": sequence, "careTeamSequence": [1], "diagnosisSequence": [1]}
    if visit.transport:
        item["informationSequence"] = [5, 6, 7, 8, 9, 10, 11]
    item["productOrService"] = concept(*service.code, service.text)
    if service.modifier:
        item["modifier"] = [concept(*service.modifier)]
    item |= {
        "servicedDate": setting.start.isoformat(),
        "locationCodeableConcept": concept(PLACE_OF_SERVICE, visit.place),
        "quantity": quantity(service.units),
        "noteNumber": [1],
        "adjudication": [
            *network_statuses(setting.claim.in_network, "benefitpaymentstatus"),
            *amount_elements(amounts, setting.paid_to),
            *adjustment_element(amounts, setting.claim.refusal or NOT_COVERED, setting.claim.capitated),
            allowed_units_element(service.units, amounts),
        ],
    }
    return item


def professional(setting: Setting, draw: Random) -> Record:
    """A doctor's, ambulance's or optician's claim; the amounts stand on the lines."""
    visit, met = VISITS[setting.claim.scenario], setting.event
    provider = ORGANIZATION[met.provider]
    supporting_info = [
        information(2, "servicefacility", valueReference=named_reference(provider)),
        *account_numbers(setting, 3),
    ]
    body = Body(
        profile="Professional-NonClinician",
        type=visit.type,
        end=setting.start,
        provider=provider,
        care_team=care_team(setting, visit.care_team),
        supporting_info=supporting_info + (_transport(setting) if visit.transport else []),
        diagnosis=[
            diagnosis(1, met.diagnoses[0], EX_DIAGNOSIS_TYPE, "principal"),
            *(diagnosis(2 + n, code, DIAGNOSIS_TYPE, "secondary") for n, code in enumerate(met.diagnoses[1:])),
        ],
        item=[
            _item(number, service, amounts, setting, visit)
            for number, (service, amounts) in enumerate(zip(visit.services, setting.amounts, strict=True), 1)
        ],
        adjudication=network_statuses(setting.claim.in_network, "billingnetworkstatus", "renderingnetworkstatus"),
    )
    return explanation_of_benefit(setting, body, draw)
