"""Immunizations: given, refused, and entered by mistake; a child's from its birthday, an adult's from the claims.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-immunization.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from seed_data.clinical.chart import CVX, Chart, practitioner, profiles
from seed_data.datatypes import NDC, Record, coding, concept
from seed_data.directory import LOCATION_REFERENCE, ORGANIZATION_REFERENCE
from seed_data.scenarios.drugs import DRUGS

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CHILDHOOD = (  # month of life, CVX, our own words
    (0, "08", "Hepatitis B vaccine"),
    (2, "20", "Diphtheria, tetanus and whooping cough vaccine"),
    (2, "133", "Pneumococcal vaccine"),
    (4, "10", "Polio vaccine"),
    (12, "03", "Measles, mumps and rubella vaccine"),
    (15, "21", "Chickenpox vaccine"),
)


@dataclass(frozen=True, slots=True)
class Shot:
    code: str  # CVX
    text: str
    days_ago: int
    status: str = "completed"
    reason: tuple[str, str] = ("", "")
    primary: bool = True


SHOTS: dict[str, tuple[Shot, ...]] = {
    "vantongeren": (
        Shot("197", "Flu vaccine", 320),
        Shot("187", "Shingles vaccine", 40, "not-done", ("PATOBJ", "The member said no")),
    ),
    "holloway": (Shot("133", "Pneumococcal vaccine", 1100, primary=False),),
    "oyelaran": (Shot("115", "Tetanus vaccine", 260, "entered-in-error"), Shot("150", "Flu vaccine", 35)),
    "castellanos-mateo": (Shot("165", "HPV vaccine", 190, "not-done", ("OSTOCK", "None left that day")),),
    "castellanos-inez": (Shot("150", "Flu vaccine", 175),),
    "mbeki-larsen": (
        Shot("150", "Flu vaccine", 26),
        Shot("999", "A vaccine nobody wrote down", 2000, primary=False),
    ),
}  # fmt: skip


def _immunization(chart: Chart, name: str, day: date, shot: Shot, **more: Any) -> Record:
    visit = chart.visit_before(day)
    at_visit = visit if visit and visit.start == day else None
    head: Record = {
        "status": shot.status,
        "statusReason": concept(ACT_REASON, *shot.reason) if shot.reason[0] else None,
        "vaccineCode": concept(CVX, shot.code, shot.text),
        "patient": chart.patient,
        "encounter": chart.encounter(at_visit) if at_visit else None,
        "occurrenceDateTime": chart.when(day),
        "primarySource": shot.primary,
        "location": LOCATION_REFERENCE[at_visit.provider] if at_visit else None,
        "performer": [{"actor": practitioner(at_visit.practitioner)}] if at_visit else None,
    }
    return chart.record("Immunization", name, day, profiles("us-core-immunization"), **{**head, **more})


def immunizations(chart: Chart) -> list[Record]:
    """Those of childhood, those of the visits, and those a pharmacy gave under its standing order."""
    found: list[Record] = []
    if chart.guardian:
        for number, (month, code, text) in enumerate(CHILDHOOD, 1):
            day = chart.member.birth_date + timedelta(days=month * 365 // 12)
            if day > chart.day(3):
                break
            performer = [{"actor": practitioner(chart.doctor)}]
            found.append(_immunization(chart, f"childhood-{number}", day, Shot(code, text, 0), performer=performer))
    for number, shot in enumerate(SHOTS.get(chart.member.key, ()), 1):
        found.append(_immunization(chart, str(number), chart.day(shot.days_ago), shot))
    drug = DRUGS["standing-order"]
    for number, claim in enumerate(chart.member.claims, 1):
        if claim.scenario == "standing-order" and not claim.primary and not claim.replaced_by:
            pharmacy = claim.provider or "millbrook"
            vaccine: Record = {"coding": [coding(CVX, "150"), coding(NDC, drug.ndc)], "text": drug.text}
            place: Record = {
                "location": LOCATION_REFERENCE[pharmacy],
                "performer": [{"actor": ORGANIZATION_REFERENCE[pharmacy]}],
            }
            shot = Shot("150", drug.text, claim.days_ago)
            day = chart.day(claim.days_ago)
            found.append(_immunization(chart, f"claim-{number:03d}", day, shot, vaccineCode=vaccine, **place))
    return found
