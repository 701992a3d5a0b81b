"""Vital signs: what was measured at a visit and at home over days.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-vital-signs.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from seed_data.clinical.chart import (
    LOINC,
    UNKNOWN,
    Chart,
    measured,
    observation_category,
    practitioner,
    profiles,
)
from seed_data.clinical.visits import Visit
from seed_data.datatypes import Record, coding, concept

VITAL_SIGNS = [observation_category("vital-signs")]


@dataclass(frozen=True, slots=True)
class Sign:
    """One kind of measurement: its US Core profile, LOINC code, our own words, and its unit."""

    profile: str
    code: str
    text: str
    unit: str
    ucum: str = ""


SIGNS = {
    "heart-rate": Sign("us-core-heart-rate", "8867-4", "Heart rate", "beats/minute", "/min"),
    "respiratory-rate": Sign("us-core-respiratory-rate", "9279-1", "Breathing rate", "breaths/minute", "/min"),
    "temperature": Sign("us-core-body-temperature", "8310-5", "Body temperature", "degrees C", "Cel"),
    "height": Sign("us-core-body-height", "8302-2", "Height", "cm"),
    "weight": Sign("us-core-body-weight", "29463-7", "Weight", "kg"),
    "bmi": Sign("us-core-bmi", "39156-5", "Body mass index", "kg/m2"),
    "head": Sign("us-core-head-circumference", "9843-4", "Head circumference", "cm"),
    "head-percentile": Sign(
        "head-occipital-frontal-circumference-percentile", "8289-1", "Head circumference, percentile", "%"
    ),
    "bmi-for-age": Sign("pediatric-bmi-for-age", "59576-9", "Body mass index for age, percentile", "%"),
    "weight-for-length": Sign("pediatric-weight-for-height", "77606-2", "Weight for length, percentile", "%"),
}


@dataclass(frozen=True, slots=True)
class Build:
    height: int  # cm
    weight: int  # kg
    systolic: int  # mm[Hg]
    diastolic: int


BUILDS = {
    "vantongeren": Build(162, 74, 142, 86),
    "holloway": Build(181, 93, 136, 82),
    "szabo": Build(169, 64, 118, 74),
    "oyelaran": Build(176, 88, 131, 84),
    "tran-whitley": Build(158, 61, 112, 70),
    "gallagher-ruiz": Build(173, 84, 146, 90),
    "abernathy": Build(165, 97, 134, 83),
    "castellanos": Build(163, 66, 116, 72),
    "castellanos-mateo": Build(158, 48, 108, 66),
    "castellanos-inez": Build(126, 27, 98, 60),
    "orsted": Build(171, 63, 114, 71),
    "mbeki-larsen": Build(160, 79, 151, 92),
    "fairweather": Build(178, 70, 128, 74),
}


def build_of(chart: Chart) -> Build:
    """The member's build: as the table says, else by age and gender, and a little of their own."""
    if chart.member.key in BUILDS:
        return BUILDS[chart.member.key]
    own, age = chart.member.number * 37 % 15, chart.age
    if age < 18:
        return Build(52 + age * 7 - own // 3, 4 + age * 3 + own // 4, 86 + age * 2, 54 + age)
    man = chart.member.gender == "male"
    return Build((172 if man else 159) + own, (74 if man else 62) + 2 * own, 106 + age // 3 + own, 68 + own)


def _observation(chart: Chart, name: str, day: date, profile: list[str], **elements: object) -> Record:
    head = {"status": "final", "category": VITAL_SIGNS, "subject": chart.patient}
    return chart.record("Observation", name, day, profile, **{**head, **elements})


def sign(chart: Chart, kind: str, name: str, day: date, value: Decimal | int, **elements: object) -> Record:
    row = SIGNS[kind]
    return _observation(
        chart,
        f"{kind}-{name}",
        day,
        profiles("us-core-vital-signs", row.profile) if name == "monitor" else profiles(row.profile),
        code=concept(LOINC, row.code, row.text),
        effectiveDateTime=chart.when(day),
        valueQuantity=measured(value, row.unit, row.ucum),
        **elements,
    )


def _pressure(code: str, text: str, value: int | None) -> Record:
    component = {"code": concept(LOINC, code, text)}
    if value is None:
        return {**component, "dataAbsentReason": UNKNOWN}
    return {**component, "valueQuantity": measured(value, "mmHg", "mm[Hg]")}


def blood_pressure(
    chart: Chart, name: str, day: date, systolic: int | None, diastolic: int | None, **elements: object
) -> Record:
    return _observation(
        chart,
        f"blood-pressure-{name}",
        day,
        profiles("us-core-blood-pressure"),
        code=concept(LOINC, "85354-9", "Blood pressure"),
        effectiveDateTime=chart.when(day),
        component=[_pressure("8480-6", "Systolic", systolic), _pressure("8462-4", "Diastolic", diastolic)],
        **elements,
    )


def pulse_oximetry(chart: Chart, name: str, day: date, value: int, oxygen: bool, **elements: object) -> Record:
    """Oxygen saturation; breathing added oxygen, also its flow rate and concentration."""
    components = [
        {"code": concept(LOINC, "3151-8", "Oxygen flow"), "valueQuantity": measured(2, "liters/minute", "L/min")},
        {"code": concept(LOINC, "3150-0", "Oxygen concentration"), "valueQuantity": measured(28, "%")},
    ]
    code = {"coding": [coding(LOINC, "59408-5"), coding(LOINC, "2708-6")], "text": "Oxygen saturation"}
    return _observation(
        chart,
        f"oxygen-{name}",
        day,
        profiles("us-core-pulse-oximetry"),
        code=code,
        effectiveDateTime=chart.when(day),
        valueQuantity=measured(value, "%"),
        component=components if oxygen else None,
        **elements,
    )


def _at_visit(chart: Chart, visit: Visit, whole: bool) -> list[Record]:
    """Blood pressure, pulse and weight; the `whole` of it also height, temperature, breathing and oxygen."""
    build, draw, name, day = build_of(chart), chart.draw, visit.name, visit.start
    seen: Record = {"encounter": chart.encounter(visit), "performer": [practitioner(visit.practitioner)]}
    kilograms = Decimal(build.weight) + Decimal(draw.randrange(-15, 16)) / 10
    found = [
        blood_pressure(
            chart, name, day, build.systolic + draw.randrange(-9, 10), build.diastolic + draw.randrange(-6, 7), **seen
        ),
        sign(chart, "heart-rate", name, day, 62 + draw.randrange(28), **seen),
        sign(chart, "weight", name, day, kilograms, **seen),
    ]
    if whole:
        index = (kilograms * 10000 / (build.height * build.height)).quantize(Decimal("0.1"))
        found += [
            sign(chart, "height", name, day, build.height, **seen),
            sign(chart, "bmi", name, day, index, **seen),
            sign(chart, "temperature", name, day, Decimal(363 + draw.randrange(9)) / 10, **seen),
            sign(chart, "respiratory-rate", name, day, 12 + draw.randrange(8), **seen),
            pulse_oximetry(chart, name, day, 95 + draw.randrange(5), False, **seen),
        ]
    return found


def _in_hospital(chart: Chart, visit: Visit) -> list[Record]:
    seen: Record = {"encounter": chart.encounter(visit), "performer": [practitioner(visit.practitioner)]}
    build, day, name = build_of(chart), visit.start, visit.name
    lungs = visit.scenario == "lungs"
    return [
        pulse_oximetry(chart, name, day, 90 if lungs else 95, lungs, **seen),
        blood_pressure(chart, name, day, build.systolic + 14, build.diastolic + 5, **seen),
        sign(chart, "heart-rate", name, day, 98, status="amended", **seen),
        sign(chart, "temperature", name, day, Decimal("38.6") if lungs else Decimal("36.9"), **seen),
        sign(chart, "respiratory-rate", name, day, 24 if lungs else 18, **seen),
    ]


def _measured_at_home(chart: Chart) -> list[Record]:
    """A drawn member with high blood pressure measures it every three weeks; each year has its average."""
    since = next((row.since for row in chart.member.conditions if row.condition == "hypertension"), 0)
    build, draw, found = build_of(chart), chart.draw, []
    days = range(min(since, 720), 10, -21)
    readings = [
        blood_pressure(
            chart, f"home-{number}", chart.day(days_ago), build.systolic + draw.randrange(12, 30),
            build.diastolic + draw.randrange(4, 16), performer=[chart.patient],
        )
        for number, days_ago in enumerate(days)
    ]  # fmt: skip
    for year in range(len(readings) // 17):
        part = slice(year * 17, year * 17 + 17)
        first, last = chart.day(days[part][0]), chart.day(days[part][-1])
        found.append(
            _observation(
                chart,
                f"average-blood-pressure-{year}",
                last,
                profiles("us-core-average-blood-pressure", versions=("7.0.0",)),
                code=concept(LOINC, "96607-7", "Average blood pressure"),
                effectivePeriod={"start": first.isoformat(), "end": last.isoformat()},
                component=[
                    _pressure("96608-5", "Average systolic", _mean(readings[part], 0)),
                    _pressure("96609-3", "Average diastolic", _mean(readings[part], 1)),
                ],
                derivedFrom=[{"reference": f"Observation/{reading['id']}"} for reading in readings[part]],
            )
        )
    return [*readings, *found]


def _mean(readings: list[Record], component: int) -> int:
    values = [int(reading["component"][component]["valueQuantity"]["value"]) for reading in readings]
    return sum(values) // len(values)


def _at_home(chart: Chart) -> list[Record]:
    """Two weeks of blood pressure at home and their average; a day with a heart monitor; a cuff that failed."""
    first, last = chart.day(34), chart.day(20)
    readings = [
        blood_pressure(chart, f"home-{number}", first + timedelta(days=7 * number), *values, performer=[chart.patient])
        for number, values in enumerate(((139, 84), (144, 88), (141, 85)))
    ]
    average = _observation(
        chart,
        "average-blood-pressure",
        last,
        profiles("us-core-average-blood-pressure", versions=("7.0.0",)),
        code=concept(LOINC, "96607-7", "Average blood pressure"),
        effectivePeriod={"start": first.isoformat(), "end": last.isoformat()},
        component=[_pressure("96608-5", "Average systolic", 141), _pressure("96609-3", "Average diastolic", 86)],
        derivedFrom=[{"reference": f"Observation/{reading['id']}"} for reading in readings],
    )
    monitor = sign(
        chart,
        "heart-rate",
        "monitor",
        chart.day(118),
        71,
        performer=[practitioner("petrakis")],
    )
    failed = [
        blood_pressure(chart, f"home-failed-{number}", chart.day(24), *values, performer=[chart.patient])
        for number, values in enumerate(((143, None), (None, 85)))
    ]
    return [*readings, average, monitor, *failed]


PANELS = (
    ("blood-pressure", "us-core-blood-pressure", ("85354-9",), "Blood pressure",
     (("8480-6", "Systolic"), ("8462-4", "Diastolic"))),
    ("oxygen", "us-core-pulse-oximetry", ("59408-5", "2708-6"), "Oxygen saturation",
     (("3151-8", "Oxygen flow"), ("3150-0", "Oxygen concentration"))),
)  # fmt: skip


def _missing(chart: Chart, kind: str, day: date) -> Record:
    row = SIGNS[kind]
    return _observation(
        chart,
        f"{kind}-missing",
        day,
        profiles(row.profile),
        code=concept(LOINC, row.code, row.text),
        effectiveDateTime=day.isoformat(),
        dataAbsentReason=UNKNOWN,
        performer=[practitioner("okafor")],
    )


def _partly_unknown(chart: Chart) -> list[Record]:
    """A visit at which nothing could be measured, an average with one half missing, and a reading entered for the wrong member."""
    day = chart.day(60)
    row = chart.as_of - timedelta(days=58)
    average = _observation(
        chart,
        "average-blood-pressure",
        row,
        profiles("us-core-average-blood-pressure", versions=("7.0.0",)),
        code=concept(LOINC, "96607-7", "Average blood pressure"),
        effectivePeriod={"start": day.isoformat(), "end": row.isoformat()},
        component=[
            _pressure("96608-5", "Average systolic", 149),
            {"code": concept(LOINC, "96609-3", "Average diastolic"), "dataAbsentReason": UNKNOWN},
        ],
    )
    missing = [_missing(chart, kind, day) for kind in SIGNS if kind != "bmi"]  # FHIR 4.0.1 wants a value of that one
    panels = [
        _observation(
            chart,
            f"{name}-missing",
            day,
            profiles(profile),
            code={"coding": [coding(LOINC, code) for code in codes], "text": text},
            effectiveDateTime=day.isoformat(),
            dataAbsentReason=UNKNOWN,
            component=[{"code": concept(LOINC, part, words), "dataAbsentReason": UNKNOWN} for part, words in parts],
            performer=[practitioner("okafor")],
        )
        for name, profile, codes, text, parts in PANELS
    ]
    mistaken = sign(
        chart, "height", "mistaken", day, 191, status="entered-in-error", performer=[practitioner("okafor")]
    )
    return [average, *missing, *panels, mistaken]


def vital_signs(chart: Chart) -> list[Record]:
    """Every vital sign of a member, visit by visit, then at home."""
    found: list[Record] = []
    met = [visit for visit in chart.visits if visit.status == "finished"]
    clinic = [visit for visit in met if visit.is_clinic]
    for visit in met:
        if visit.is_clinic:
            found += _at_visit(chart, visit, visit is clinic[0] or chart.is_drawn)
        elif visit.kind in {"IMP", "EMER"}:
            found += _in_hospital(chart, visit)
    if chart.is_drawn:
        found += _measured_at_home(chart)
    if chart.member.key == "vantongeren":
        found += _at_home(chart)
    if chart.member.key == "mbeki-larsen":
        found += _partly_unknown(chart)
    return found
