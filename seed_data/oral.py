"""Oral claims: what a dentist bills, with tooth and surface.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Oral.html"""

from datetime import date
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
    EX_DIAGNOSIS_TYPE,
    Body,
    Setting,
    account_numbers,
    care_team_member,
    diagnosis,
    explanation_of_benefit,
    information,
)
from seed_data.datatypes import (
    CARIN,
    CDT,
    CPT,
    PLACE_OF_SERVICE,
    UCUM,
    Record,
    coding,
    concept,
    named_reference,
    quantity,
)
from seed_data.directory import ORGANIZATION, PRACTITIONER
from seed_data.scenarios.sittings import SITTINGS, Sitting, Treatment

TOOTH = "http://terminology.hl7.org/CodeSystem/ADAUniversalToothDesignationSystem"
# the system of tooth surfaces in CARIN 2.0.0 and in 2.1.0
SURFACES = (f"{CARIN}/CodeSystem/C4BBSurfaceCodes", "http://terminology.hl7.org/CodeSystem/ADAToothSurfaceCodes")


def _supporting_info(setting: Setting, sitting: Sitting) -> list[Record]:
    rows = [
        information(2, "servicefacility", valueReference=named_reference(ORGANIZATION[setting.event.provider])),
        *account_numbers(setting, 3),
    ]
    for tooth in sitting.other_teeth:
        rows.append(information(len(rows) + 2, "additionalbodysite", code=concept(TOOTH, tooth)))
    for tooth in sitting.missing:
        rows.append(information(len(rows) + 2, "missingtoothnumber", code=concept(TOOTH, tooth)))
    if sitting.braces_months:
        months = {"value": Decimal(sitting.braces_months), "unit": "months", "system": UCUM, "code": "mo"}
        placed = setting.start.isoformat()
        rows.append(information(len(rows) + 2, "orthodontics", timingDate=placed, valueQuantity=months))
    if sitting.replaces_prosthesis is not None:
        placed_before = (
            {"timingDate": date(setting.start.year - 8, 5, 1).isoformat()} if sitting.replaces_prosthesis else {}
        )
        rows.append(information(len(rows) + 2, "prosthesis", **placed_before, valueBoolean=sitting.replaces_prosthesis))
    return rows


def _item(sequence: int, treatment: Treatment, amounts: Amounts, setting: Setting, linked: list[int]) -> Record:
    item: Record = {"sequence": sequence, "careTeamSequence": [1], "diagnosisSequence": [1]}
    if linked:
        item["informationSequence"] = linked
    item["productOrService"] = concept(CDT, treatment.code, treatment.text)
    if treatment.modifier:
        item["modifier"] = [concept(CPT, treatment.modifier)]
    item |= {
        "servicedDate": setting.start.isoformat(),
        "locationCodeableConcept": concept(PLACE_OF_SERVICE, "11"),
        "quantity": quantity(1),
    }
    if treatment.tooth:
        item["bodySite"] = concept(TOOTH, treatment.tooth)
    if treatment.surface:
        item["subSite"] = [{"coding": [coding(system, treatment.surface) for system in SURFACES]}]
    item |= {
        "noteNumber": [1],
        "adjudication": [
            *network_statuses(setting.claim.in_network, "benefitpaymentstatus"),
            *amount_elements(amounts, setting.paid_to),
            *adjustment_element(amounts, setting.claim.refusal or NOT_COVERED),
            allowed_units_element(1, amounts),
        ],
    }
    return item


def oral(setting: Setting, draw: Random) -> Record:
    """A dentist's claim; the amounts stand on the lines, further teeth in supportingInfo."""
    sitting = SITTINGS[setting.claim.scenario]
    supporting_info = _supporting_info(setting, sitting)
    teeth = [row["sequence"] for row in supporting_info if row["category"]["coding"][0]["code"] == "additionalbodysite"]
    body = Body(
        profile="Oral",
        type="oral",
        end=setting.start,
        provider=PRACTITIONER[setting.event.practitioner],
        care_team=[care_team_member(1, setting.event.practitioner, "rendering")],
        supporting_info=supporting_info,
        diagnosis=[diagnosis(1, setting.event.diagnoses[0], EX_DIAGNOSIS_TYPE, "principal")],
        item=[
            _item(number, treatment, amounts, setting, teeth if number == 1 else [])
            for number, (treatment, amounts) in enumerate(zip(sitting.treatments, setting.amounts, strict=True), 1)
        ],
        adjudication=network_statuses(
            setting.claim.in_network, "billingnetworkstatus", "renderingnetworkstatus", "benefitpaymentstatus"
        ),
    )
    return explanation_of_benefit(setting, body, draw)
