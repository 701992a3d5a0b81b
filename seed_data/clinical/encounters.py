"""Encounter, and the Conditions diagnosed at it: the visits and stays that the member's claims speak of.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-condition-encounter-diagnosis.html"""

from datetime import timedelta

from seed_data.clinical.chart import ACT_CODE, SNOMED, Chart, diagnosis_concept, practitioner, profiles
from seed_data.clinical.problems import (
    ASSERTED_DATE,
    CLINICAL_STATUS,
    CONDITION_CATEGORY,
    VERIFICATION_STATUS,
    problem_with,
)
from seed_data.clinical.visits import Visit
from seed_data.conditions import CONDITIONS
from seed_data.datatypes import CPT, IDENTIFIERS, NUBC, Record, coding, concept
from seed_data.directory import LOCATION_REFERENCE, ORGANIZATION_REFERENCE

PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
DISCHARGE = ("http://www.nubc.org/patient-discharge", f"{NUBC}/PatDischargeStatus")  # as US Core 6.1.0, as 7.0.0
PASSING = {"J18.9": 21, "R07.9": 1, "S52.501A": 42, "S61.411A": 12, "I21.4": 28, "M25.561": 30, "Z00.129": 0}
"""Days after which a condition that passes was over; the others stay."""


DAYS_OF = {row.code: row.days for row in CONDITIONS.values() if row.course == "acute"}


def _period(visit: Visit) -> Record:
    minutes = 10 + int(visit.name) * 7 % 45
    if visit.status == "planned":
        return {"start": f"{visit.start.isoformat()}T09:{minutes}:00-05:00"}
    end = f"{visit.end.isoformat()}T{'15' if visit.kind == 'IMP' else '10'}:{minutes}:00-05:00"
    return {"start": f"{visit.start.isoformat()}T09:{minutes}:00-05:00", "end": end}


def _type(visit: Visit) -> list[Record]:
    found = concept(SNOMED, visit.snomed, visit.text)
    if visit.billed:
        found["coding"].append(coding(CPT, visit.billed))
    return [found]


def _participant(visit: Visit, period: Record | None) -> Record:
    found: Record = {"type": [concept(PARTICIPATION, "ATND" if visit.kind == "IMP" else "PPRF")]}
    return {**found, **({"period": period} if period else {}), "individual": practitioner(visit.practitioner)}


def encounter(chart: Chart, visit: Visit) -> Record:
    """The visit or stay; its reason is an earlier diagnosis, an entry of the problem list, or a code, as on the claim."""
    period = _period(visit)
    planned = visit.status in {"planned", "cancelled"}
    reason = problem_with(chart, visit.diagnoses[0][0])
    if visit.follows:
        reason = chart.reference("Condition", f"visit-{visit.follows}-1")
    return chart.record(
        "Encounter",
        visit.name,
        chart.day(30) if visit.status == "planned" else visit.end,
        profiles("us-core-encounter"),
        identifier=[
            {
                "use": "official",
                "system": f"{IDENTIFIERS}/encounter",
                "value": f"E{chart.member.serial}{visit.name}",
            }
        ],
        status=visit.status,
        **{"class": coding(ACT_CODE, visit.kind)},
        type=_type(visit),
        subject=chart.patient,
        participant=[_participant(visit, None if planned else period)],
        period=period,
        reasonCode=None if reason else [diagnosis_concept(visit.diagnoses[0])],
        reasonReference=[reason] if reason else None,
        hospitalization={
            "dischargeDisposition": {
                "coding": [coding(system, visit.discharge) for system in DISCHARGE],
                "text": "Home" if visit.discharge == "01" else "Home with nursing care",
            }
        }
        if visit.discharge
        else None,
        location=[
            {
                "location": LOCATION_REFERENCE[visit.provider],
                "status": "planned" if planned else "completed",
                "period": period,
            }
        ],
        serviceProvider=ORGANIZATION_REFERENCE[visit.provider],
    )


def encounter_diagnoses(chart: Chart, visit: Visit) -> list[Record]:
    """One Condition for each diagnosis of the visit; those that pass end after as many days as they last."""
    return [_condition(chart, visit, number, code) for number, code in enumerate(visit.diagnoses, 1)]


def _condition(chart: Chart, visit: Visit, number: int, code: tuple[str, str]) -> Record:
    days = PASSING.get(code[0], DAYS_OF.get(code[0]))
    over = visit.start + timedelta(days=days or 0)
    resolved = days is not None and over < chart.as_of
    return chart.record(
        "Condition",
        f"visit-{visit.name}-{number}",
        max(visit.end, over) if resolved else visit.end,
        profiles("us-core-condition-encounter-diagnosis"),
        extension=[{"url": ASSERTED_DATE, "valueDateTime": visit.start.isoformat()}] if number == 1 else None,
        clinicalStatus=concept(CLINICAL_STATUS, "resolved" if resolved else "active"),
        verificationStatus=concept(VERIFICATION_STATUS, "confirmed"),
        category=[concept(CONDITION_CATEGORY, "encounter-diagnosis")],
        code=diagnosis_concept(code),
        subject=chart.patient,
        encounter=chart.encounter(visit),
        onsetDateTime=chart.when(visit.start),
        abatementDateTime=over.isoformat() if resolved else None,
        recordedDate=chart.when(visit.end),
        recorder=practitioner(visit.practitioner),
    )
