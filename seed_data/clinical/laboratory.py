"""Laboratory: the specimen taken at a visit, what was found in it, and the report that brings it together.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-observation-lab.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from seed_data.clinical.chart import (
    LOINC,
    SNOMED,
    UNKNOWN,
    Chart,
    measured,
    observation_category,
    practitioner,
    profiles,
)
from seed_data.clinical.visits import Visit
from seed_data.conditions import CONDITIONS
from seed_data.datatypes import IDENTIFIERS, Record, concept, instant, past
from seed_data.directory import ORGANIZATION_REFERENCE

INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
SPECIMEN_CONDITION = "http://terminology.hl7.org/CodeSystem/v2-0493"
LAB = concept("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB", "Laboratory")


@dataclass(frozen=True, slots=True)
class Test:
    """One test: LOINC code, our own words, unit, the usual range (in tenths), and what a member may show in tenths."""

    code: str
    text: str
    unit: str
    low: int
    high: int
    usual: int
    spread: int


TESTS = {
    "a1c": Test("4548-4", "Blood sugar over three months", "%", 40, 56, 71, 9),
    "glucose": Test("2345-7", "Blood sugar", "mg/dL", 700, 990, 1180, 400),
    "creatinine": Test("2160-0", "Creatinine", "mg/dL", 6, 12, 9, 3),
    "sodium": Test("2951-2", "Sodium", "mmol/L", 1350, 1450, 1390, 40),
    "potassium": Test("2823-3", "Potassium", "mmol/L", 35, 51, 43, 6),
    "cholesterol": Test("2093-3", "Total cholesterol", "mg/dL", 1000, 2000, 1960, 350),
    "hdl": Test("2085-9", "HDL cholesterol", "mg/dL", 400, 900, 480, 90),
    "ldl": Test("13457-7", "LDL cholesterol", "mg/dL", 0, 1000, 1120, 300),
    "triglycerides": Test("2571-8", "Triglycerides", "mg/dL", 0, 1500, 1480, 420),
    "hemoglobin": Test("718-7", "Hemoglobin", "g/dL", 120, 160, 136, 18),
    "leukocytes": Test("6690-2", "White blood cells", "10*3/uL", 45, 110, 78, 30),
    "platelets": Test("777-3", "Platelets", "10*3/uL", 1500, 4000, 2480, 500),
    "tsh": Test("3016-3", "Thyroid hormone signal", "m[IU]/L", 4, 45, 22, 20),
    "troponin": Test("10839-9", "Troponin", "ng/mL", 0, 1, 31, 20),
}


@dataclass(frozen=True, slots=True)
class Panel:
    code: str
    text: str
    tests: tuple[str, ...]
    specimen: tuple[str, str] = ("119364003", "Blood serum")


PANELS = {
    "a1c": Panel("4548-4", "Blood sugar over three months", ("a1c",), ("258580003", "Whole blood")),
    "metabolic": Panel(
        "24323-8", "Blood chemistry", ("glucose", "creatinine", "sodium", "potassium")
    ),
    "lipids": Panel("24331-1", "Blood fats", ("cholesterol", "hdl", "ldl", "triglycerides")),
    "count": Panel(
        "58410-2", "Blood count", ("hemoglobin", "leukocytes", "platelets"), ("258580003", "Whole blood")
    ),
    "thyroid": Panel("3016-3", "Thyroid test", ("tsh",)),
    "heart": Panel("10839-9", "Heart muscle test", ("troponin",)),
}  # fmt: skip

ORDERED = {  # what a visit's claim says was tested, and what belongs to such a visit
    "office": ("a1c", "metabolic"),
    "cardiology": ("lipids",),
    "imaging": ("count",),
    "heart": ("heart", "metabolic"),
    "knee": ("count",),
    "lungs": ("count",),
}


PANELS_OF = {row.code: row.panels for row in CONDITIONS.values()}
"""The tests that belong to a diagnosis, by its ICD-10-CM code."""


def ordered(visit: Visit) -> tuple[str, ...]:
    """The panels of a visit: a laboratory's own are those of the diagnoses it was for, a check-up's without any."""
    if visit.scenario != "laboratory":
        return ORDERED.get(visit.scenario, ())
    panels = dict.fromkeys(panel for code, _ in visit.diagnoses for panel in PANELS_OF.get(code, ()))
    return (*panels, "count") if panels and "count" not in panels else tuple(panels) or ("metabolic", "lipids", "count")


def _interpretation(row: Test, tenths: int) -> Record:
    code = "L" if tenths < row.low else "H" if tenths > row.high else "N"
    return concept(INTERPRETATION, code, {"L": "Low", "H": "High", "N": "Normal"}[code])


def _result(chart: Chart, visit: Visit, name: str, taken: str, specimen: Record) -> Record:
    row = TESTS[name]
    tenths = max(0, row.usual + chart.draw.randrange(-row.spread, row.spread + 1))
    lost = chart.member.key == "vantongeren" and visit.scenario == "heart" and name == "potassium"
    limits = {"low": measured(_decimal(row.low), row.unit), "high": measured(_decimal(row.high), row.unit)}
    return chart.record(
        "Observation",
        f"{name}-{visit.name}",
        visit.start,
        profiles("us-core-observation-lab"),
        status="cancelled" if lost else "final",
        category=[observation_category("laboratory")],
        code=concept(LOINC, row.code, row.text),
        subject=chart.patient,
        encounter=chart.encounter(visit),
        effectiveDateTime=taken,
        performer=[ORGANIZATION_REFERENCE[visit.provider]],
        valueQuantity=None if lost else measured(_decimal(tenths), row.unit),
        dataAbsentReason=UNKNOWN if lost else None,
        interpretation=None if lost else [_interpretation(row, tenths)],
        specimen=specimen,
        referenceRange=[limits],
    )


def _decimal(tenths: int) -> Decimal:
    return Decimal(tenths) / 10


def _specimen(chart: Chart, name: str, day: date, kind: Record, taken: str, condition: str = "") -> Record:
    serial = f"{chart.member.serial}-{name}".upper()
    return chart.record(
        "Specimen",
        name,
        day,
        profiles("us-core-specimen"),
        identifier=[{"system": f"{IDENTIFIERS}/specimen", "value": f"S{serial}"}],
        accessionIdentifier={"system": f"{IDENTIFIERS}/accession", "value": f"A{serial}"},
        status="unsatisfactory" if condition else "available",
        type=kind,
        subject=chart.patient,
        collection={"collectedDateTime": taken, "bodySite": concept(SNOMED, "368209003", "Right arm")},
        condition=[concept(SPECIMEN_CONDITION, condition, "Red cells broken")] if condition else None,
    )


def _report(
    chart: Chart, name: str, visit: Visit, code: Record, results: list[Record], effective: Record, status: str
) -> Record:
    issued = past(visit.start + timedelta(days=1), chart.as_of)
    return chart.record(
        "DiagnosticReport",
        name,
        issued,
        profiles("us-core-diagnosticreport-lab"),
        status=status,
        category=[LAB],
        code=code,
        subject=chart.patient,
        encounter=chart.encounter(visit),
        **effective,
        issued=instant(chart.draw, issued),
        performer=[practitioner(visit.practitioner), ORGANIZATION_REFERENCE[visit.provider]],
        result=[{"reference": f"Observation/{result['id']}"} for result in results],
    )


def _panel(chart: Chart, visit: Visit, key: str) -> list[Record]:
    panel = PANELS[key]
    inpatient = visit.kind == "IMP"
    taken = instant(chart.draw, visit.start)
    broken = "HEM" if chart.member.key == "vantongeren" and visit.scenario == "heart" and key == "metabolic" else ""
    specimen = _specimen(chart, f"{key}-{visit.name}", visit.start, concept(SNOMED, *panel.specimen), taken, broken)
    results = [_result(chart, visit, name, taken, {"reference": f"Specimen/{specimen['id']}"}) for name in panel.tests]
    period = {"effectivePeriod": {"start": visit.start.isoformat(), "end": visit.end.isoformat()}}
    effective = period if inpatient else {"effectiveDateTime": taken}
    status = "corrected" if broken else "amended" if inpatient else "final"
    code = concept(LOINC, panel.code, panel.text)
    return [specimen, *results, _report(chart, f"{key}-{visit.name}", visit, code, results, effective, status)]


def _urine(chart: Chart, visit: Visit) -> list[Record]:
    """A urine test: results in codes and in words, one read over a whole day; and a sample nobody labelled."""
    day, name = visit.start, f"urine-{visit.name}"
    taken = instant(chart.draw, day)
    specimen = _specimen(chart, name, day, concept(SNOMED, "122575003", "Urine"), taken)
    unlabelled = _specimen(chart, f"unlabelled-{visit.name}", day, UNKNOWN, taken)
    head: Record = {
        "status": "final",
        "category": [observation_category("laboratory")],
        "subject": chart.patient,
        "encounter": chart.encounter(visit),
        "performer": [ORGANIZATION_REFERENCE[visit.provider]],
        "specimen": {"reference": f"Specimen/{specimen['id']}"},
    }
    lab = profiles("us-core-observation-lab")
    day_long = {"start": f"{day}T07:00:00-05:00", "end": f"{day + timedelta(days=1)}T07:00:00-05:00"}
    rows: tuple[tuple[str, Record], ...] = (
        ("nitrite", {
            "code": concept(LOINC, "5802-4", "Nitrite in urine"), "effectiveDateTime": taken,
            "valueCodeableConcept": concept(SNOMED, "260385009", "Negative"),
        }),
        ("color", {"code": concept(LOINC, "5778-6", "Color of urine"), "effectiveDateTime": taken, "valueString": "Pale yellow"}),
        ("albumin", {
            "code": concept(LOINC, "14956-7", "Albumin in a day's urine"), "effectivePeriod": day_long,
            "valueQuantity": measured(18, "mg/(24.h)"),
        }),
    )  # fmt: skip
    results = [chart.record("Observation", f"{key}-{visit.name}", day, lab, **{**head, **row}) for key, row in rows]
    code = concept(LOINC, "24356-8", "Urine test")
    report = _report(chart, name, visit, code, results, {"effectiveDateTime": taken}, "final")
    return [specimen, unlabelled, *results, report]


def laboratory(chart: Chart) -> list[Record]:
    """Specimens, results and reports, visit by visit; the first visit to a doctor has a urine test as well."""
    found: list[Record] = []
    urine = False
    for visit in chart.visits:
        if visit.status != "finished":
            continue
        for key in ordered(visit):
            found += _panel(chart, visit, key)
        if visit.scenario == "office" and not urine:
            found += _urine(chart, visit)
            urine = True
    return found
