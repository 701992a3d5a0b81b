"""The visits and stays behind the claims: one for each claim that stands, and a few that nobody has billed.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-encounter.html"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from seed_data.conditions import SENSITIVE
from seed_data.datatypes import CPT
from seed_data.events import Event, event, unbilled_event
from seed_data.members import Claim, Member, Unbilled
from seed_data.scenarios.stays import INPATIENT, OUTPATIENT
from seed_data.scenarios.visits import VISITS

Code = tuple[str, str]
ELSEWHERE = {
    "vision",
    "imaging",
    "laboratory",
    "mammogram",
    "equipment",
    "eye-test",
    "day-surgery",
    "therapy",
    "counseling",
    "substance-use",
}
"""Scenarios at which nobody takes blood pressure and weight."""


@dataclass(frozen=True, slots=True)
class Visit:
    """When a member met which practitioner, where and why; `name` ends the ids of the records it leaves behind."""

    name: str
    scenario: str
    start: date
    end: date
    provider: str
    practitioner: str
    diagnoses: tuple[Code, ...]  # ICD-10-CM code and our own words, as on the claim
    kind: str  # v3-ActCode: AMB | IMP | EMER | FLD
    snomed: str  # what sort of encounter
    text: str
    billed: str = ""  # the CPT code of the claim's first line
    discharge: str = ""  # NUBC patient discharge status
    status: str = "finished"
    follows: str = ""  # the name of the visit whose first diagnosis is the reason for this one
    security: str = ""  # v3-ActCode of a sensitive matter

    @property
    def is_clinic(self) -> bool:
        return self.kind == "AMB" and self.scenario not in ELSEWHERE


OFFICE, CHECK_UP, ADMISSION, EMERGENCY = "185347001", "185349003", "32485007", "50849002"
KINDS = {  # scenario: v3-ActCode, SNOMED CT, our own words
    "office": ("AMB", OFFICE, "Visit to the family doctor"),
    "cardiology": ("AMB", OFFICE, "Visit to the heart doctor"),
    "fracture": ("AMB", OFFICE, "Visit for a broken arm"),
    "checkup": ("AMB", CHECK_UP, "Yearly check-up"),
    "ambulance": ("FLD", OFFICE, "Ambulance ride"),
    "vision": ("AMB", OFFICE, "Eye test and glasses"),
    "imaging": ("AMB", OFFICE, "Scan of the lower back"),
    "clinic": ("AMB", OFFICE, "Visit to the bone and joint clinic"),
    "emergency": ("EMER", EMERGENCY, "Emergency room visit"),
    "heart": ("IMP", ADMISSION, "Hospital stay for a heart attack"),
    "knee": ("IMP", ADMISSION, "Hospital stay for a new knee"),
    "lungs": ("IMP", ADMISSION, "Hospital stay for pneumonia"),
    "birth": ("IMP", ADMISSION, "Hospital stay to give birth"),
    "newborn": ("IMP", ADMISSION, "Hospital stay of a newborn"),
    "day-surgery": ("AMB", OFFICE, "Day surgery of the knee"),
    "mammogram": ("AMB", CHECK_UP, "Breast X-ray"),
    "follow-up": ("AMB", OFFICE, "Visit to the family doctor"),
    "telehealth": ("VR", OFFICE, "Video visit"),
    "annual": ("AMB", CHECK_UP, "Yearly check-up"),
    "bones": ("AMB", OFFICE, "Visit to the bone and joint doctor"),
    "laboratory": ("AMB", OFFICE, "Blood draw at the laboratory"),
    "therapy": ("AMB", OFFICE, "Physical therapy"),
    "counseling": ("AMB", OFFICE, "Talking therapy"),
    "substance-use": ("AMB", OFFICE, "Counseling about alcohol"),
    "equipment": ("AMB", OFFICE, "Equipment handed over"),
    "eye-test": ("AMB", OFFICE, "Eye test"),
}


UNBILLED: dict[str, tuple[tuple[Unbilled, str], ...]] = {  # and the name of the visit whose diagnosis was the reason
    "vantongeren": ((Unbilled("cardiology", -20, status="planned"), "007"),),
    "abernathy": (
        (Unbilled("office", 155, ("sleep-apnea",)), ""),
        (Unbilled("clinic", 8, ("knee",), "delacroix", "hollow-creek"), ""),
    ),
    "gallagher-ruiz": (
        (Unbilled("office", 385, ("hypertension",)), ""), (Unbilled("office", 141, ("hypertension",), status="cancelled"), ""),
    ),
    "tran-whitley": ((Unbilled("annual", 205), ""),),
    "castellanos-inez": ((Unbilled("checkup", 540), ""),),
}  # fmt: skip


def _of_claim(number: int, claim: Claim, as_of: date) -> Visit:
    happened = event(claim)
    start = as_of - timedelta(days=claim.days_ago)
    if claim.kind == "professional":
        (system, code), discharge = VISITS[claim.scenario].services[0].code, ""
    else:
        case = (INPATIENT if claim.kind == "inpatient" else OUTPATIENT)[claim.scenario]
        (system, code), discharge = case.lines[0].code, case.discharge
    billed = code if system == CPT else ""
    return _visit(f"{number:03d}", happened, start, "finished", billed, discharge, claim.security)


def _visit(
    name: str, happened: Event, start: date, status: str, billed: str = "", discharge: str = "", security: str = ""
) -> Visit:
    kind, snomed, text = KINDS[happened.scenario]
    codes = [code for code, _ in happened.diagnoses]
    return Visit(
        name, happened.scenario, start, start + timedelta(days=happened.days), happened.provider, happened.practitioner,
        happened.diagnoses, kind, snomed, text, billed, discharge, status,
        security=security or next((SENSITIVE[code] for code in codes if code in SENSITIVE), ""),
    )  # fmt: skip


def visits(member: Member, as_of: date) -> tuple[Visit, ...]:
    """A member's visits, numbered as their claims are; a claim that was replaced is the visit of its replacement, one that
    a second plan paid is the visit that the first one paid."""
    billed = tuple(
        _of_claim(number, claim, as_of)
        for number, claim in enumerate(member.claims, 1)
        if claim.kind in {"inpatient", "outpatient", "professional"} and not claim.replaced_by and not claim.primary
    )
    others = (*UNBILLED.get(member.key, ()), *((row, "") for row in member.visits))
    return (*billed, *(_of_unbilled(number, *row, as_of) for number, row in enumerate(others, 901)))


def _of_unbilled(number: int, row: Unbilled, follows: str, as_of: date) -> Visit:
    found = _visit(f"{number:03d}", unbilled_event(row), as_of - timedelta(days=row.days_ago), row.status)
    return replace(found, follows=follows)
