"""What a claim row stands for: when, where, by whom and why, after the row's own words have replaced the scenario's.

Claims and clinical records both ask here, so that they agree. https://hl7.org/fhir/R4/encounter.html"""

from dataclasses import dataclass

from seed_data.conditions import CONDITIONS
from seed_data.directory import PRACTITIONERS
from seed_data.members import Claim, Unbilled
from seed_data.scenarios.sittings import SITTINGS
from seed_data.scenarios.stays import INPATIENT, OUTPATIENT
from seed_data.scenarios.visits import VISITS

Code = tuple[str, str]
_WORKPLACE = {row.key: row.organization for row in PRACTITIONERS}
_TAXONOMY = {row.key: row.taxonomy for row in PRACTITIONERS}
_COLLEAGUE = {(row.taxonomy, row.organization): row.key for row in reversed(PRACTITIONERS)}
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


def colleague(practitioner: str, organization: str) -> str:
    """Who at an organization does what a practitioner does elsewhere; the practitioner when nobody does."""
    return _COLLEAGUE.get((_TAXONOMY[practitioner], organization), practitioner)


def event(claim: Claim) -> Event:
    """What a claim bills."""
    match claim.kind:
        case "inpatient" | "outpatient":
            stay = (INPATIENT if claim.kind == "inpatient" else OUTPATIENT)[claim.scenario]
            return _event(claim, stay.days, stay.provider, stay.care_team[0][0], stay.diagnoses)
        case "professional":
            visit = VISITS[claim.scenario]
            return _event(claim, 0, visit.provider, visit.care_team[0][0], visit.diagnoses)
        case "oral":
            return _event(claim, 0, DENTAL_OFFICE, DENTIST, (SITTINGS[claim.scenario].diagnosis,))
        case _:  # a pharmacy is not where the prescriber works
            provider, practitioner = claim.provider or PHARMACY, claim.practitioner or PRESCRIBER
            return Event(claim.scenario, claim.days_ago, 0, provider, practitioner, _diagnoses(claim, ()))


def unbilled_event(visit: Unbilled) -> Event:
    """What happened, or will, at a visit that nobody billed; its scenario is one of VISITS or OUTPATIENT."""
    if visit.scenario in OUTPATIENT:
        stay = OUTPATIENT[visit.scenario]
        return _event(visit, 0, stay.provider, stay.care_team[0][0], stay.diagnoses)
    row = VISITS[visit.scenario]
    return _event(visit, 0, row.provider, row.care_team[0][0], row.diagnoses)


def _event(row: Claim | Unbilled, days: int, provider: str, practitioner: str, diagnoses: tuple[Code, ...]) -> Event:
    """Another practitioner works elsewhere, and another place has other people, unless the row names both."""
    if row.provider and not row.practitioner:
        practitioner = colleague(practitioner, row.provider)
    elif row.practitioner and not row.provider:
        provider = _WORKPLACE[row.practitioner]
    provider, practitioner = row.provider or provider, row.practitioner or practitioner
    return Event(row.scenario, row.days_ago, days, provider, practitioner, _diagnoses(row, diagnoses))


def _diagnoses(row: Claim | Unbilled, usual: tuple[Code, ...]) -> tuple[Code, ...]:
    return tuple(CONDITIONS[name].diagnosis for name in row.conditions) if row.conditions else usual
