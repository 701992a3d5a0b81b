"""Inpatient and outpatient institutional claims: stays and visits billed by a hospital or outpatient center.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Inpatient-Institutional.html"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random

from seed_data.adjudication import (
    NOT_NECESSARY,
    Amounts,
    adjustment_element,
    allowed_units_element,
    amount_elements,
    divide,
    total_of,
)
from seed_data.claim import (
    DIAGNOSIS_TYPE,
    EX_DIAGNOSIS_TYPE,
    Body,
    Setting,
    care_team_member,
    diagnosis,
    explanation_of_benefit,
    information,
    network_statuses,
)
from seed_data.datatypes import (
    CARIN,
    CPT,
    HCPCS,
    ICD_10_PCS,
    NUBC,
    Record,
    coding,
    concept,
    period,
    quantity,
)
from seed_data.directory import ORGANIZATION

MS_DRG = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software"
CMS_PRESENT_ON_ADMISSION = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/HospitalAcqCond/Coding"
PROCEDURE_TYPE = f"{CARIN}/CodeSystem/C4BBClaimProcedureType"
SUB_TYPE = f"{CARIN}/CodeSystem/C4BBInstitutionalClaimSubType"


@dataclass(frozen=True, slots=True)
class RevenueLine:
    revenue: str
    code: tuple[str, str]  # system, code
    text: str
    price: str
    units: int = 1
    modifier: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A hospital stay or visit. `header`: the payer decided the claim as a whole, not line by line."""

    provider: str
    days: int
    bill: str
    diagnoses: tuple[tuple[str, str], ...]  # ICD-10-CM code and our own words
    lines: tuple[RevenueLine, ...]
    care_team: tuple[tuple[str, str], ...]  # practitioner, role
    drg: str = ""
    procedures: tuple[tuple[str, str], ...] = ()
    admission_type: str = "3"
    discharge: str = "01"
    header: bool = False


INPATIENT = {
    "heart": Case(
        "northgate", 4, "0111", (("I21.4", "Heart attack"), ("I10", "High blood pressure")),
        (
            RevenueLine("0120", (CPT, "99223"), "Hospital room and care", "3120.00", 4),
            RevenueLine("0481", (CPT, "92928"), "Heart procedure", "18450.00", modifier=(HCPCS, "LD")),
            RevenueLine("0300", (CPT, "80053"), "Blood tests", "412.50", 3),
        ),
        (("lindqvist", "attending"), ("amador", "operating"), ("petrakis", "referring")), "247",
        (("027034Z", "Opening of a narrowed heart artery with a stent"), ("B2111ZZ", "Imaging of the heart arteries")),
        "1",
    ),
    "knee": Case(
        "northgate", 2, "0111", (("M17.11", "Worn right knee"),),
        (
            RevenueLine("0120", (CPT, "99222"), "Hospital room and care", "2980.00", 2),
            RevenueLine("0278", (HCPCS, "C1776"), "Implant", "7200.00"),
            RevenueLine("0360", (CPT, "27447"), "Operating room", "14300.00", modifier=(HCPCS, "RT")),
        ),
        (("amador", "attending"), ("amador", "operating")), "470", (("0SRC0J9", "New right knee joint"),),
    ),
    "lungs": Case(
        "northgate", 6, "0111", (("J18.9", "Pneumonia"), ("J44.9", "Chronic lung disease")),
        (
            RevenueLine("0120", (CPT, "99223"), "Hospital room and care", "3050.00", 6),
            RevenueLine("0410", (CPT, "94640"), "Breathing treatment", "265.00", 12),
        ),
        (("lindqvist", "attending"),), "194", admission_type="1", discharge="06", header=True,
    ),
}  # fmt: skip

OUTPATIENT = {
    "imaging": Case(
        "riverbend", 0, "0131", (("M54.50", "Low back pain"),),
        (
            RevenueLine("0612", (CPT, "72148"), "Scan of the lower back", "1640.00", modifier=(HCPCS, "TC")),
            RevenueLine("0300", (CPT, "36415"), "Blood draw", "38.00"),
        ),
        (("whitcombe", "attending"), ("okafor", "referring")),
    ),
    "clinic": Case(
        "hollow-creek", 0, "0131", (("M25.561", "Pain in the right knee"), ("M17.11", "Worn right knee")),
        (
            RevenueLine("0510", (CPT, "99214"), "Clinic visit", "310.00", modifier=(CPT, "25")),
            RevenueLine("0361", (CPT, "20610"), "Injection into the knee", "420.00", modifier=(HCPCS, "RT")),
        ),
        (("delacroix", "attending"),),
    ),
    "emergency": Case(
        "northgate", 0, "0131", (("S61.411A", "Cut on the right hand"),),
        (
            RevenueLine("0450", (CPT, "99283"), "Emergency room visit", "980.00"),
            RevenueLine("0450", (CPT, "12002"), "Stitches", "540.00"),
        ),
        (("lindqvist", "attending"),), admission_type="1", header=True,
    ),
}  # fmt: skip


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
            *adjustment_element(amounts, NOT_NECESSARY),
            allowed_units_element(line.units, amounts),
        ]
    return item


def _supporting_info(setting: Setting, case: Case, inpatient: bool) -> list[Record]:
    start, end = setting.start, setting.start + timedelta(days=case.days)
    rows = [
        information(2, "typeofbill", code=concept(f"{NUBC}/TypeOfBill", case.bill)),
        information(3, "pointoforigin", code=concept(f"{NUBC}/PointOfOrigin", "1")),
        information(4, "admtype", code=concept(f"{NUBC}/PriorityTypeOfAdmitOrVisit", case.admission_type)),
        information(5, "discharge-status", code=concept(f"{NUBC}/PatDischargeStatus", case.discharge)),
        information(6, "medicalrecordnumber", valueString=f"MR{setting.member.number:06d}"),
        information(7, "patientaccountnumber", valueString=f"ACC{setting.member.number:04d}{setting.number:04d}"),
    ]
    if inpatient:
        rows.append(information(8, "admissionperiod", timingPeriod=period(start, end)))
        rows.append(information(9, "drg", code=concept(MS_DRG, case.drg)))
    return rows


def _diagnoses(case: Case, inpatient: bool) -> list[Record]:
    first = case.diagnoses[0]
    if not inpatient:
        return [
            diagnosis(1, first, EX_DIAGNOSIS_TYPE, "principal"),
            diagnosis(2, first, DIAGNOSIS_TYPE, "patientreasonforvisit"),
            *(diagnosis(3 + n, code, DIAGNOSIS_TYPE, "other") for n, code in enumerate(case.diagnoses[1:])),
        ]
    present = _present_on_admission()
    return [
        diagnosis(1, first, EX_DIAGNOSIS_TYPE, "principal", onAdmission=present),
        diagnosis(2, first, EX_DIAGNOSIS_TYPE, "admitting"),
        *(
            diagnosis(3 + n, code, DIAGNOSIS_TYPE, "other", onAdmission=present)
            for n, code in enumerate(case.diagnoses[1:])
        ),
    ]


def institutional(setting: Setting, draw: Random) -> Record:
    """An inpatient or outpatient claim; its amounts stand on the lines or on the header, never on both."""
    inpatient = setting.claim.kind == "inpatient"
    case = (INPATIENT if inpatient else OUTPATIENT)[setting.claim.scenario]
    amounts = tuple(
        divide(Decimal(line.price) * line.units, setting.claim.payment, position == len(case.lines) - 1, draw)
        for position, line in enumerate(case.lines)
    )
    adjudication = network_statuses(setting.claim.in_network, "billingnetworkstatus", "benefitpaymentstatus")
    if case.header:
        total = total_of(amounts)
        adjudication += [*amount_elements(total, setting.paid_to), *adjustment_element(total, NOT_NECESSARY)]
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
        provider=ORGANIZATION[case.provider],
        care_team=[care_team_member(number, *row) for number, row in enumerate(case.care_team, 1)],
        supporting_info=_supporting_info(setting, case, inpatient),
        diagnosis=_diagnoses(case, inpatient),
        item=[
            _item(number, line, line_amounts, setting, case, inpatient)
            for number, (line, line_amounts) in enumerate(zip(case.lines, amounts, strict=True), 1)
        ],
        amounts=amounts,
        adjudication=adjudication,
        procedure=procedures,
    )
    return explanation_of_benefit(setting, body, draw)
