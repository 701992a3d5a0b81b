"""Inpatient and outpatient institutional claims: stays and visits billed by a hospital or outpatient center.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Inpatient-Institutional.html"""

from datetime import timedelta
from random import Random

from seed_data.adjudication import (
    NOT_NECESSARY,
    Amounts,
    adjustment_element,
    allowed_units_element,
    amount_elements,
    network_statuses,
    total_of,
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
from seed_data.datatypes import CARIN, ICD_10_PCS, NUBC, Record, coding, concept, period, quantity
from seed_data.directory import ORGANIZATION
from seed_data.events import Event
from seed_data.scenarios.stays import INPATIENT, OUTPATIENT, Case, RevenueLine

MS_DRG = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software"
CMS_PRESENT_ON_ADMISSION = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/HospitalAcqCond/Coding"
PROCEDURE_TYPE = f"{CARIN}/CodeSystem/C4BBClaimProcedureType"
SUB_TYPE = f"{CARIN}/CodeSystem/C4BBInstitutionalClaimSubType"


def _present_on_admission() -> Record:
    """Yes, in the system of either guide version."""
    return {"coding": [coding(f"{NUBC}/PresentOnAdmissionIndicator", "Y"), coding(CMS_PRESENT_ON_ADMISSION, "Y")]}


def _item(sequence: int, line: RevenueLine, amounts: Amounts, setting: Setting, case: Case, inpatient: bool) -> Record:
    item: Record = {
        "sequence": sequence,
        "revenue": concept(f"{NUBC}/RevenueCodes", line.revenue),
        "productOrService": concept(*line.code, line.text),
    }
    if line.modifier:
        item["modifier"] = [concept(*line.modifier)]
    if inpatient:
        item["servicedPeriod"] = period(setting.start, setting.start + timedelta(days=case.days))
    else:
        item["servicedDate"] = setting.start.isoformat()
    item["quantity"] = quantity(line.units)
    item["noteNumber"] = [1]
    if not case.header:
        item["adjudication"] = [
            *amount_elements(amounts, setting.paid_to),
            *adjustment_element(amounts, setting.claim.refusal or NOT_NECESSARY, setting.claim.capitated),
            allowed_units_element(line.units, amounts),
        ]
    return item


def _supporting_info(setting: Setting, case: Case, inpatient: bool) -> list[Record]:
    start, end = setting.start, setting.start + timedelta(days=case.days)
    origin = "PointOfOriginNewborn" if case.admission_type == "4" else "PointOfOrigin"
    rows = [
        information(2, "typeofbill", code=concept(f"{NUBC}/TypeOfBill", case.bill)),
        information(3, "pointoforigin", code=concept(f"{NUBC}/{origin}", case.origin)),
        information(4, "admtype", code=concept(f"{NUBC}/PriorityTypeOfAdmitOrVisit", case.admission_type)),
        information(5, "discharge-status", code=concept(f"{NUBC}/PatDischargeStatus", case.discharge)),
        *account_numbers(setting, 6),
    ]
    if inpatient:
        rows.append(information(8, "admissionperiod", timingPeriod=period(start, end)))
        rows.append(information(9, "drg", code=concept(MS_DRG, case.drg)))
    return rows


def _diagnoses(event: Event, inpatient: bool) -> list[Record]:
    first = event.diagnoses[0]
    if not inpatient:
        return [
            diagnosis(1, first, EX_DIAGNOSIS_TYPE, "principal"),
            diagnosis(2, first, DIAGNOSIS_TYPE, "patientreasonforvisit"),
            *(diagnosis(3 + n, code, DIAGNOSIS_TYPE, "other") for n, code in enumerate(event.diagnoses[1:])),
        ]
    present = _present_on_admission()
    return [
        diagnosis(1, first, EX_DIAGNOSIS_TYPE, "principal", onAdmission=present),
        diagnosis(2, first, EX_DIAGNOSIS_TYPE, "admitting"),
        *(
            diagnosis(3 + n, code, DIAGNOSIS_TYPE, "other", onAdmission=present)
            for n, code in enumerate(event.diagnoses[1:])
        ),
    ]


def institutional(setting: Setting, draw: Random) -> Record:
    """An inpatient or outpatient claim; its amounts stand on the lines or on the header, never on both."""
    inpatient = setting.claim.kind == "inpatient"
    case = (INPATIENT if inpatient else OUTPATIENT)[setting.claim.scenario]
    claim, event = setting.claim, setting.event
    adjudication = network_statuses(claim.in_network, "billingnetworkstatus", "benefitpaymentstatus")
    if case.header:
        total = total_of(setting.amounts)
        adjudication += [
            *amount_elements(total, setting.paid_to),
            *adjustment_element(total, claim.refusal or NOT_NECESSARY, claim.capitated),
        ]
    procedures = tuple(
        {
            "sequence": sequence,
            "type": [concept(PROCEDURE_TYPE, "principal" if sequence == 1 else "other")],
            "date": (setting.start + timedelta(days=1)).isoformat(),
            "procedureCodeableConcept": concept(ICD_10_PCS, code, text),
        }
        for sequence, (code, text) in enumerate(case.procedures, 1)
    )
    body = Body(
        profile="Inpatient-Institutional" if inpatient else "Outpatient-Institutional",
        type="institutional",
        sub_type=concept(SUB_TYPE, "inpatient" if inpatient else "outpatient"),
        end=setting.start + timedelta(days=case.days),
        provider=ORGANIZATION[event.provider],
        care_team=care_team(setting, case.care_team),
        supporting_info=_supporting_info(setting, case, inpatient),
        diagnosis=_diagnoses(event, inpatient),
        item=[
            _item(number, line, amounts, setting, case, inpatient)
            for number, (line, amounts) in enumerate(zip(case.lines, setting.amounts, strict=True), 1)
        ],
        adjudication=adjudication,
        procedure=procedures,
    )
    return explanation_of_benefit(setting, body, draw)
