"""The way in to the clinical records: the Medications that prescriptions name, and the records of one member.

https://hl7.org/fhir/us/core/STU6.1/ says what they have to be."""

from collections.abc import Iterator
from datetime import date
from random import Random

from seed_data.clinical.care import care_plans, care_teams, goals
from seed_data.clinical.chart import Chart
from seed_data.clinical.devices import devices
from seed_data.clinical.encounters import encounter, encounter_diagnoses
from seed_data.clinical.growth import growth
from seed_data.clinical.immunizations import immunizations
from seed_data.clinical.laboratory import laboratory
from seed_data.clinical.medications import medications, prescriptions
from seed_data.clinical.notes import notes
from seed_data.clinical.problems import allergies, concerns, problems
from seed_data.clinical.procedures import procedures, service_requests
from seed_data.clinical.screening import screenings
from seed_data.clinical.social_history import social_history
from seed_data.clinical.sources import sources
from seed_data.clinical.visits import visits
from seed_data.clinical.vital_signs import vital_signs
from seed_data.conditions import SENSITIVE
from seed_data.datatypes import Record, named_reference, security_labels
from seed_data.directory import ORGANIZATION
from seed_data.members import Member
from seed_data.plans import PLANS

__all__ = ["TYPES", "clinical", "medications"]

TYPES = (  # in loading order, what is referred to mostly before what refers to it
    "Medication",
    "Encounter",
    "Condition",
    "AllergyIntolerance",
    "ServiceRequest",
    "Device",
    "Procedure",
    "Specimen",
    "QuestionnaireResponse",
    "Observation",
    "DiagnosticReport",
    "MedicationRequest",
    "MedicationDispense",
    "Immunization",
    "CareTeam",
    "Goal",
    "CarePlan",
    "Binary",
    "DocumentReference",
)


ABOUT = ("encounter", "reasonReference", "addresses", "authorizingPrescription")
"""What a record was for: when one of these is about a sensitive matter, so is the record."""


def _about(record: Record) -> Iterator[str]:
    at = record.get("context", {}).get("encounter", ()) if record["resourceType"] == "DocumentReference" else ()
    for element in ABOUT:
        if element == "encounter" and record["resourceType"] == "MedicationRequest":
            continue  # the visit before it, whatever that was for
        found = record.get(element, ())
        at = (*at, *(found if isinstance(found, list) else [found] if found else []))
    return (row["reference"] for row in at)


def label(chart: Chart, records: list[Record]) -> None:
    """Writes meta.security on what tells of a sensitive matter: what is coded with one, and what was for one."""
    known = {chart.encounter(visit)["reference"]: visit.security for visit in chart.visits if visit.security}
    for record in records:
        name = f"{record['resourceType']}/{record['id']}"
        codes = (code["code"] for reason in _reasons(record) for code in reason.get("coding", ()))
        security = next((SENSITIVE[code] for code in codes if code in SENSITIVE), "") or known.get(name, "")
        security = security or next((known[about] for about in _about(record) if about in known), "")
        if security:
            known[name] = security
            record["meta"]["security"] = security_labels(security)


def _reasons(record: Record) -> Iterator[Record]:
    yield from record.get("reasonCode", ())
    if record["resourceType"] == "Condition":
        yield record["code"]


def clinical(member: Member, seed: int, as_of: date) -> Iterator[Record]:
    """A member's clinical records, what is referred to first, then who wrote them.

    They depend on the seed, the as-of date and the member alone, and on draws of their own."""
    met = visits(member, as_of)
    chart = Chart(member, as_of, Random(f"{seed} {member.key} clinical"), met)
    found = [*problems(chart), *allergies(chart)]
    for visit in met:
        found.append(encounter(chart, visit))
        if visit.status == "finished":
            found += encounter_diagnoses(chart, visit)
    for written in (
        concerns,
        service_requests,
        devices,
        procedures,
        vital_signs,
        growth,
        laboratory,
        screenings,
        social_history,
        prescriptions,
        immunizations,
        care_teams,
        goals,
        care_plans,
        notes,
    ):
        found += written(chart)
    label(chart, found)
    yield from found
    yield from sources(member.key, found, named_reference(ORGANIZATION[PLANS[member.plans[-1]].payor]))
