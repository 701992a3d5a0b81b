"""What stays with a member between visits: the problem list, health concerns, social needs, and allergies.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-condition-problems-health-concerns.html"""

from dataclasses import dataclass

from seed_data.clinical.chart import (
    SNOMED,
    US_CORE_CATEGORY,
    Chart,
    diagnosis_concept,
    practitioner,
    profiles,
)
from seed_data.conditions import CONDITIONS
from seed_data.datatypes import ICD_10_CM, US_CORE, Record, concept
from seed_data.members import Diagnosed

CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION_STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
ASSERTED_DATE = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"

CATEGORY = {
    "problem-list-item": [concept(CONDITION_CATEGORY, "problem-list-item")],
    "health-concern": [concept(f"{US_CORE}/CodeSystem/condition-category", "health-concern")],
    "sdoh": [
        concept(f"{US_CORE}/CodeSystem/condition-category", "health-concern"),
        concept(US_CORE_CATEGORY, "sdoh"),
    ],
    "functional-status": [
        concept(CONDITION_CATEGORY, "problem-list-item"),
        concept(US_CORE_CATEGORY, "functional-status"),
    ],
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of the list. `since` is as precise as what the member remembered: days ago and the digits kept
    (4 the year, 7 the month, 10 the day); `until` tells the days ago on which it ended, 0 that it has not."""

    code: str
    text: str
    since: tuple[int, int]
    until: int = 0
    category: str = "problem-list-item"
    period: bool = False
    asserted: bool = False
    system: str = ICD_10_CM
    status: str = "active"
    verification: str = "confirmed"
    practitioner: str = "okafor"


PROBLEMS: dict[str, tuple[Problem, ...]] = {
    "vantongeren": (
        Problem("E11.9", "Type 2 diabetes", (4100, 4), asserted=True),
        Problem("I10", "High blood pressure", (3300, 7), asserted=True),
        Problem("I25.10", "Heart artery disease", (236, 10), practitioner="petrakis"),
        Problem("N39.0", "Bladder infection", (610, 10), 598, status="resolved"),
        Problem("129839007", "At risk of falling", (200, 10), category="health-concern", system=SNOMED),
    ),
    "holloway": (
        Problem("M17.11", "Worn right knee", (2200, 4), 190, period=True, status="resolved", practitioner="amador"),
        Problem("I25.10", "Heart artery disease", (299, 10), practitioner="lindqvist"),
        Problem("J44.9", "Chronic lung disease", (1800, 7), asserted=True, practitioner="lindqvist"),
    ),
    "szabo": (Problem("M54.50", "Low back pain", (300, 7), status="recurrence", practitioner="whitcombe"),),
    "oyelaran": (
        Problem("E11.9", "Type 2 diabetes", (900, 7), asserted=True),
        Problem("713458007", "No easy way to get to appointments", (262, 10), category="sdoh", system=SNOMED),
    ),
    "abernathy": (
        Problem("G47.33", "Sleep apnea", (420, 10), asserted=True),
        Problem("M17.11", "Worn right knee", (1500, 4), practitioner="delacroix"),
        Problem("733423003", "Not always enough food in the house", (158, 10), category="sdoh", system=SNOMED, period=True),
        Problem("1912002", "Has fallen at home", (158, 10), 90, "functional-status", system=SNOMED, status="inactive"),
    ),
    "gallagher-ruiz": (
        Problem("I10", "High blood pressure", (2900, 4)),
        Problem("E78.5", "High cholesterol", (1100, 7), verification="provisional"),
    ),
    "castellanos-mateo": (Problem("J45.909", "Asthma", (3400, 4), practitioner="nakashima"),),
    "castellanos-inez": (
        Problem("L20.9", "Eczema", (2400, 7), 1200, period=True, status="remission", practitioner="nakashima"),
    ),
    "mbeki-larsen": (
        Problem("E11.9", "Type 2 diabetes", (5400, 4), asserted=True),
        Problem("I10", "High blood pressure", (4100, 4)),
        Problem("I25.10", "Heart artery disease", (2000, 7), practitioner="petrakis"),
        Problem("M54.50", "Low back pain", (480, 10), status="relapse"),
    ),
    "fairweather": (
        Problem("J44.9", "Chronic lung disease", (5200, 4), asserted=True, practitioner="lindqvist"),
        Problem("105531004", "Home is hard to heat", (400, 7), category="sdoh", system=SNOMED),
    ),
}  # fmt: skip


def _code(row: Problem) -> Record:
    return diagnosis_concept((row.code, row.text)) if row.system == ICD_10_CM else concept(SNOMED, row.code, row.text)


def _onset(chart: Chart, row: Problem) -> Record:
    days_ago, digits = row.since
    start = chart.day(days_ago).isoformat()[:digits]
    if not row.period:
        return {"onsetDateTime": start}
    end = chart.day(row.until or days_ago - 20).isoformat()
    return {"onsetPeriod": {"start": start, "end": end}}


def _abatement(chart: Chart, row: Problem) -> Record:
    if not row.until:
        return {}
    if row.period:
        return {
            "abatementPeriod": {"start": chart.day(row.until).isoformat(), "end": chart.day(row.until - 5).isoformat()}
        }
    return {"abatementDateTime": chart.day(row.until).isoformat()}


CONCERNS = (  # what may come up about a drawn member's life
    Problem("713458007", "No easy way to get to appointments", (262, 10), category="sdoh", system=SNOMED),
    Problem("733423003", "Not always enough food in the house", (158, 10), category="sdoh", system=SNOMED),
    Problem("105531004", "Home is hard to heat", (400, 7), category="sdoh", system=SNOMED),
    Problem("129839007", "At risk of falling", (200, 10), category="health-concern", system=SNOMED),
)


def _rows(chart: Chart) -> list[tuple[int, Problem]]:
    """The member's rows; of a drawn one what stays with them, and for every third one something about their life."""
    table = PROBLEMS.get(chart.member.key, ())
    if table or not chart.is_drawn:
        return list(enumerate(table, 1))
    found = [_diagnosed(chart, row) for row in chart.member.conditions if CONDITIONS[row.condition].course == "chronic"]
    if chart.member.number % 3 == 0:
        found.append(CONCERNS[chart.member.number // 3 % len(CONCERNS)])
    return list(enumerate(found, 1))


def _diagnosed(chart: Chart, row: Diagnosed) -> Problem:
    found, old = CONDITIONS[row.condition], row.since > 1500
    return Problem(
        *found.diagnosis, (row.since, 4 if old else 10), row.until or 0, asserted=not old,
        status="resolved" if row.until else "active", practitioner=chart.doctor,
    )  # fmt: skip


def problems(chart: Chart) -> list[Record]:
    """The member's diagnosed problems, each with the day it was written down; visits refer to them."""
    return [_problem(chart, number, row) for number, row in _rows(chart) if row.system == ICD_10_CM]


def concerns(chart: Chart) -> list[Record]:
    """What was found out about the member's life, at the visit at which it came up."""
    return [_problem(chart, number, row) for number, row in _rows(chart) if row.system != ICD_10_CM]


def _problem(chart: Chart, number: int, row: Problem) -> Record:
    recorded = chart.day(min(row.since[0] - 1, 400) if row.since[0] > 1 else 1)
    visit = chart.visit_before(recorded) if row.system != ICD_10_CM else None
    asserted = [{"url": ASSERTED_DATE, "valueDateTime": recorded.isoformat()}] if row.asserted else None
    return chart.record(
        "Condition",
        f"problem-{number}",
        chart.day(row.until) if row.until else recorded,
        profiles("us-core-condition-problems-health-concerns"),
        extension=asserted,
        clinicalStatus=concept(CLINICAL_STATUS, row.status),
        verificationStatus=concept(VERIFICATION_STATUS, row.verification),
        category=CATEGORY[row.category],
        code=_code(row),
        subject=chart.patient,
        encounter=chart.encounter(visit) if visit else None,
        **_onset(chart, row),
        **_abatement(chart, row),
        recordedDate=recorded.isoformat(),
        recorder=practitioner(row.practitioner),
    )


def problem_with(chart: Chart, code: str) -> Record | None:
    """The entry of the member's problem list with a code, as a Reference."""
    for number, row in _rows(chart):
        if row.code == code:
            return {**chart.reference("Condition", f"problem-{number}"), "display": row.text}
    return None


@dataclass(frozen=True, slots=True)
class Allergy:
    code: str  # SNOMED CT
    text: str
    days_ago: int
    reaction: tuple[str, str] = ("", "")
    severity: str = "mild"
    status: str = "active"
    verification: str = "confirmed"
    category: str = "medication"
    criticality: str = "low"


ALLERGIES: dict[str, tuple[Allergy, ...]] = {
    "vantongeren": (
        Allergy("764146007", "Penicillin", 3000, ("271807003", "Skin rash"), "moderate", criticality="high"),
        Allergy("111088007", "Latex", 1400, ("126485001", "Hives"), category="environment"),
    ),
    "holloway": (Allergy("763875007", "Sulfonamides", 2600, ("271807003", "Skin rash"), status="inactive"),),
    "castellanos-mateo": (
        Allergy("762952008", "Peanut", 3500, ("39579001", "Anaphylaxis"), "severe", category="food", criticality="high"),
    ),
    "castellanos-inez": (Allergy("102263004", "Egg", 1900, ("126485001", "Hives"), status="resolved", category="food"),),
    "orsted": (Allergy("716186003", "No known allergy", 125),),
    "mbeki-larsen": (
        Allergy("387458008", "Aspirin", 900, ("271807003", "Skin rash"), verification="unconfirmed"),
        Allergy("256277009", "Grass pollen", 2000, ("70076002", "Runny nose"), category="environment"),
    ),
}  # fmt: skip


MET = (  # what a drawn member may be allergic to
    Allergy("764146007", "Penicillin", 2000, ("271807003", "Skin rash"), "moderate", criticality="high"),
    Allergy("763875007", "Sulfonamides", 1500, ("126485001", "Hives")),
    Allergy("256277009", "Grass pollen", 1200, ("70076002", "Runny nose"), category="environment"),
    Allergy("762952008", "Peanut", 1000, ("39579001", "Anaphylaxis"), "severe", category="food", criticality="high"),
)
KNOWN_NONE = Allergy("716186003", "No known allergy", 125)


def allergies(chart: Chart) -> list[Record]:
    rows = ALLERGIES.get(chart.member.key, ())
    if not rows and chart.is_drawn:
        rows = (MET[chart.member.number // 2 % len(MET)],) if chart.member.number % 2 else (KNOWN_NONE,)
    return [_allergy(chart, number, row) for number, row in enumerate(rows, 1)]


def _allergy(chart: Chart, number: int, row: Allergy) -> Record:
    reaction = {"manifestation": [concept(SNOMED, *row.reaction)], "severity": row.severity}
    known = bool(row.reaction[0])
    told = max(chart.day(row.days_ago), chart.member.birth_date)
    return chart.record(
        "AllergyIntolerance",
        str(number),
        told,
        profiles("us-core-allergyintolerance"),
        clinicalStatus=concept(ALLERGY_CLINICAL, row.status),
        verificationStatus=concept(ALLERGY_VERIFICATION, row.verification),
        type="allergy" if known else None,
        category=[row.category] if known else None,
        criticality=row.criticality if known else None,
        code=concept(SNOMED, row.code, row.text),
        patient=chart.patient,
        recordedDate=told.isoformat(),
        recorder=practitioner(chart.doctor),
        reaction=[reaction] if known else None,
    )
