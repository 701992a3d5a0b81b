"""The visits and stays behind the claims: one for each claim that stands, and a few that nobody has billed.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-encounter.html"""

from dataclasses import dataclass
from datetime import date, timedelta

from seed_data.datatypes import CPT
from seed_data.members import Claim, Member
from seed_data.scenarios.stays import INPATIENT, OUTPATIENT
from seed_data.scenarios.visits import VISITS

Code = tuple[str, str]


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

    @property
    def is_clinic(self) -> bool:
        return self.kind == "AMB" and self.scenario not in {"vision", "imaging"}


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


@dataclass(frozen=True, slots=True)
class Unbilled:
    """A visit that left no claim behind: planned, called off, or paid for by somebody else."""

    scenario: str
    days_ago: int
    diagnoses: tuple[Code, ...]
    provider: str = "lakeshore"
    practitioner: str = "okafor"
    status: str = "finished"
    follows: str = ""


UNBILLED: dict[str, tuple[Unbilled, ...]] = {
    "vantongeren": (Unbilled("cardiology", -20, (("I25.10", "Heart artery disease"),), "lakeshore", "petrakis", "planned", "007"),),
    "abernathy": (
        Unbilled("office", 155, (("G47.33", "Sleep apnea"),)),
        Unbilled("clinic", 8, (("M17.11", "Worn right knee"),), "hollow-creek", "delacroix"),
    ),
    "gallagher-ruiz": (
        Unbilled("office", 385, (("I10", "High blood pressure"),)),
        Unbilled("office", 141, (("I10", "High blood pressure"),), status="cancelled"),
    ),
    "tran-whitley": (Unbilled("office", 205, (("Z34.90", "Care during pregnancy"),)),),
    "castellanos-inez": (Unbilled("checkup", 540, (("Z00.129", "Child's yearly check-up"),), "lakeshore", "nakashima"),),
}  # fmt: skip


def _of_claim(number: int, claim: Claim, as_of: date) -> Visit:
    start = as_of - timedelta(days=claim.days_ago)
    kind, snomed, text = KINDS[claim.scenario]
    if claim.kind == "professional":
        visit = VISITS[claim.scenario]
        system, code = visit.services[0].code
        return Visit(
            f"{number:03d}", claim.scenario, start, start, visit.provider, visit.care_team[0][0], visit.diagnoses,
            kind, snomed, text, code if system == CPT else "",
        )  # fmt: skip
    case = (INPATIENT if claim.kind == "inpatient" else OUTPATIENT)[claim.scenario]
    system, code = case.lines[0].code
    return Visit(
        f"{number:03d}", claim.scenario, start, start + timedelta(days=case.days), case.provider, case.care_team[0][0],
        case.diagnoses, kind, snomed, text, code if system == CPT else "", case.discharge,
    )  # fmt: skip


def _of_unbilled(number: int, row: Unbilled, as_of: date) -> Visit:
    start = as_of - timedelta(days=row.days_ago)
    kind, snomed, text = KINDS[row.scenario]
    return Visit(
        f"{number:03d}", row.scenario, start, start, row.provider, row.practitioner, row.diagnoses, kind, snomed, text,
        status=row.status, follows=row.follows,
    )  # fmt: skip


def visits(member: Member, as_of: date) -> tuple[Visit, ...]:
    """A member's visits, numbered as their claims are; a claim that was replaced is the visit of its replacement."""
    billed = tuple(
        _of_claim(number, claim, as_of)
        for number, claim in enumerate(member.claims, 1)
        if claim.kind in {"inpatient", "outpatient", "professional"} and not claim.replaced_by
    )
    others = UNBILLED.get(member.key, ())
    return (*billed, *(_of_unbilled(900 + number, row, as_of) for number, row in enumerate(others, 1)))
