"""What a claim row stands for: when, where, by whom and why, after the row's own words have replaced the scenario's.

Claims and clinical records both ask here, so that they agree. https://hl7.org/fhir/R4/encounter.html"""

from dataclasses import dataclass

from seed_data.conditions import CONDITIONS
from seed_data.members import Claim, Unbilled
from seed_data.scenarios.sittings import SITTINGS
from seed_data.scenarios.stays import INPATIENT, OUTPATIENT
from seed_data.scenarios.visits import VISITS

Code = tuple[str, str]
PHARMACY, PRESCRIBER, DENTIST, DENTAL_OFFICE = "millbrook", "okafor", "brandvold", "cedar-dental"


@dataclass(frozen=True, slots=True)
class Event:
    """One visit, stay, sitting or fill. `diagnoses`: ICD-10-CM code and our own words, the principal one first."""

    scenario: str
    days_ago: int
    days: int  # that a stay lasted
    provider: str  # a row of the directory's organizations
    practitioner: str  # a row of its practitioners: who gave the care, or prescribed the medicine
    diagnoses: tuple[Code, ...]


def event(claim: Claim) -> Event:
    """What a claim bills."""
    match claim.kind:
        case "inpatient" | "outpatient":
            case_row = (INPATIENT if claim.kind == "inpatient" else OUTPATIENT)[claim.scenario]
            return _event(claim, case_row.days, case_row.provider, case_row.care_team[0][0], case_row.diagnoses)
        case "professional":
            visit = VISITS[claim.scenario]
            return _event(claim, 0, visit.provider, visit.care_team[0][0], visit.diagnoses)
        case "oral":
            return _event(claim, 0, DENTAL_OFFICE, DENTIST, (SITTINGS[claim.scenario].diagnosis,))
        case _:
            return _event(claim, 0, PHARMACY, PRESCRIBER, ())


def unbilled_event(visit: Unbilled) -> Event:
    """What happened, or will, at a visit that nobody billed; its scenario is one of VISITS or OUTPATIENT."""
    if visit.scenario in OUTPATIENT:
        case_row = OUTPATIENT[visit.scenario]
        return _event(visit, 0, case_row.provider, case_row.care_team[0][0], case_row.diagnoses)
    row = VISITS[visit.scenario]
    return _event(visit, 0, row.provider, row.care_team[0][0], row.diagnoses)


def _event(row: Claim | Unbilled, days: int, provider: str, practitioner: str, diagnoses: tuple[Code, ...]) -> Event:
    if row.conditions:
        diagnoses = tuple(CONDITIONS[name].diagnosis for name in row.conditions)
    return Event(
        row.scenario, row.days_ago, days, row.provider or provider, row.practitioner or practitioner, diagnoses
    )
