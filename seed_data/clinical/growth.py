"""A child as it grew: head, length and weight, and how they compare with other children of its age.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-head-circumference.html"""

from datetime import timedelta

from seed_data.clinical.chart import Chart, practitioner
from seed_data.clinical.vital_signs import sign
from seed_data.datatypes import Record


def growth(chart: Chart) -> list[Record]:
    """A child's first two years, measured every half year: head, weight for length, and how they compare."""
    found: list[Record] = []
    if not chart.guardian:
        return found
    for months, head, length, kilograms, percent in ((6, 43, 66, 7, 55), (12, 45, 74, 9, 48), (24, 48, 86, 12, 62)):
        day = chart.member.birth_date + timedelta(days=months * 365 // 12)
        if day > chart.day(3):
            return found
        name = f"month-{months}"
        seen: Record = {"performer": [practitioner(chart.doctor)]}
        found += [
            sign(chart, "head", name, day, head, **seen),
            sign(chart, "head-percentile", name, day, percent, **seen),
            sign(chart, "weight-for-length", name, day, percent - 7, **seen),
            sign(chart, "height", name, day, length, **seen),
            sign(chart, "weight", name, day, kilograms, **seen),
        ]
    age = chart.member.birth_date + timedelta(days=5 * 365 + 40)
    if age <= chart.day(3):
        found.append(sign(chart, "bmi-for-age", "year-5", age, 58, performer=[practitioner(chart.doctor)]))
    return found
