"""Notes and reports that people wrote: DocumentReference, the Binary behind it, and DiagnosticReport with its findings.

https://hl7.org/fhir/us/core/STU6.1/clinical-notes.html"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from seed_data.clinical.chart import (
    LOINC,
    NULL_FLAVOR,
    SNOMED,
    UNKNOWN,
    Chart,
    measured,
    observation_category,
    practitioner,
    profiles,
)
from seed_data.clinical.visits import Visit
from seed_data.datatypes import IDENTIFIERS, US_CORE, Record, coding, concept, instant, past
from seed_data.directory import ORGANIZATION_REFERENCE

CLINICAL_NOTE = concept(f"{US_CORE}/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical note")
FORMAT = coding(
    "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "urn:ihe:iti:xds:2017:mimeTypeSufficient"
)
CARDIOLOGY, PATHOLOGY, RADIOLOGY = "LP29708-2", "LP7839-6", "LP29684-5"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that a visit leaves behind: LOINC type, our own words for it, and what it says."""

    name: str
    type: str
    title: str
    words: str
    status: str = "current"


NOTES: dict[str, tuple[Note, ...]] = {  # by scenario of the visit
    "office": (Note("progress", "11506-3", "Progress note", "Feels well. Blood pressure and blood sugar talked over."),),
    "follow-up": (Note("progress", "11506-3", "Progress note", "Medicines looked through, no change."),),
    "annual": (Note("history", "34117-2", "History and physical", "Yearly check-up, nothing new to worry about."),),
    "telehealth": (Note("progress", "11506-3", "Progress note", "Seen by video. Rest, drink, call if it gets worse."),),
    "bones": (Note("consultation", "11488-4", "Consultation", "Exercises first, then we will see."),),
    "therapy": (Note("progress", "11506-3", "Progress note", "Moves more easily than last time."),),
    "counseling": (Note("progress", "11506-3", "Progress note", "Sleeps better. Next talk in two weeks."),),
    "day-surgery": (Note("operation", "11504-8", "Operation note", "Torn cartilage trimmed, no trouble."),),
    "birth": (
        Note("history", "34117-2", "History and physical", "First contractions at night."),
        Note("discharge", "18842-5", "Discharge summary", "Mother and child go home well."),
    ),
    "newborn": (Note("discharge", "18842-5", "Discharge summary", "Healthy newborn, feeds well."),),
    "cardiology": (Note("consultation", "11488-4", "Consultation", "Heart tracing and ultrasound done. Keep on as before."),),
    "checkup": (Note("history", "34117-2", "History and physical", "Growing as expected. Vaccines looked through."),),
    "fracture": (Note("progress", "11506-3", "Progress note", "Cast on the right forearm. Come back in two weeks."),),
    "emergency": (Note("emergency", "34111-5", "Emergency room note", "Clean cut, five stitches, out in ten days."),),
    "clinic": (Note("procedure", "28570-0", "Procedure note", "Injection into the right knee, no trouble."),),
    "heart": (
        Note("history", "34117-2", "History and physical", "Chest pain since the morning, spreading to the left arm."),
        Note("procedure", "28570-0", "Procedure note", "One stent, artery open at the end."),
        Note("discharge", "18842-5", "Discharge summary", "Goes home with two tablets against clots."),
    ),
    "knee": (
        Note("operation", "11504-8", "Operation note", "New right knee joint, two hours."),
        Note("discharge", "18842-5", "Discharge summary", "Walks with two sticks. Exercises start on Monday."),
    ),
    "lungs": (
        Note("nursing", "34746-8", "Nursing note", "Breathes easier sitting up. Oxygen two liters."),
        Note("draft", "18842-5", "Discharge summary", "First version of the summary.", "superseded"),
        Note("discharge", "18842-5", "Discharge summary", "Fever gone. A nurse will come to the house."),
    ),
}  # fmt: skip


def binary(chart: Chart, name: str, visit: Visit, words: str) -> Record:
    """The words of a note, as plain text in base64."""
    return chart.record("Binary", name, visit.end, [], contentType="text/plain", data=_base64(words))


def _base64(words: str) -> str:
    return b64encode(words.encode()).decode()


def _attachment(words: str, title: str, inside: str = "") -> Record:
    """An attachment with the words themselves, or with the Binary they are in."""
    held = {"url": f"Binary/{inside}"} if inside else {"data": _base64(words)}
    return {"contentType": "text/plain", "language": "en", **held, "size": len(words.encode()), "title": title}


def _document(chart: Chart, visit: Visit, name: str, type: Record, status: str, attachments: list[Record]) -> Record:
    day = past(visit.end, chart.as_of)
    return chart.record(
        "DocumentReference",
        name,
        day,
        profiles("us-core-documentreference"),
        identifier=[{"system": f"{IDENTIFIERS}/document", "value": f"D{chart.member.serial}-{name}"}],
        status=status,
        type=type,
        category=[CLINICAL_NOTE],
        subject=chart.patient,
        date=instant(chart.draw, day),
        author=[practitioner(visit.practitioner)],
        custodian=ORGANIZATION_REFERENCE[visit.provider],
        content=[{"attachment": attachment, "format": FORMAT} for attachment in attachments],
        context={
            "encounter": [chart.encounter(visit)],
            "period": {"start": f"{visit.start}T09:00:00-05:00", "end": f"{visit.end}T17:30:00-05:00"},
        },
    )


def _notes(chart: Chart, visit: Visit, number: int) -> list[Record]:
    """The notes of one visit; every other one is kept in a Binary, the rest carry their words with them."""
    found: list[Record] = []
    replaced: Record | None = None
    for row in NOTES.get(visit.scenario, ()):
        number += 1
        name = f"{row.name}-{visit.name}"
        words = f"{row.title}. {chart.member.name}, {visit.start:%B} {visit.start.day}, {visit.start.year}. {row.words}"
        apart = number % 2 == 0
        if apart:
            found.append(binary(chart, name, visit, words))
        attachment = _attachment(words, row.title, found[-1]["id"] if apart else "")
        document = _document(chart, visit, name, concept(LOINC, row.type, row.title), row.status, [attachment])
        if replaced:
            document["relatesTo"] = [
                {"code": "replaces", "target": {"reference": f"DocumentReference/{replaced['id']}"}}
            ]
        replaced = document if row.status == "superseded" else None
        found.append(document)
    return found


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a report found: LOINC code, our own words, and the value under its FHIR name."""

    name: str
    code: str
    text: str
    value: Record


@dataclass(frozen=True, slots=True)
class Report:
    name: str
    category: str  # LOINC part of the department
    kind: str  # observation-category of its findings
    code: tuple[str, str]
    words: str
    practitioner: str
    findings: tuple[Finding, ...] = ()
    status: str = "final"
    test: str = ""  # the laboratory result of the same stay that it is read with


REPORTS: dict[str, tuple[Report, ...]] = {  # by scenario of the visit
    "cardiology": (
        Report("heart-ultrasound", CARDIOLOGY, "procedure", ("34552-0", "Heart ultrasound"), "The heart pumps well.", "petrakis", (
            Finding("pumping", "10230-1", "Share of blood pumped out", {"valueQuantity": measured(Decimal("57.5"), "%")}),
            Finding("rhythm", "8884-9", "Heart rhythm", {"valueCodeableConcept": concept(SNOMED, "251150006", "Regular")}),
        )),
    ),
    "imaging": (
        Report("back-scan", RADIOLOGY, "imaging", ("18748-4", "Scan of the lower back"), "Worn disc between the lowest bones.",
               "whitcombe", (Finding("back", "59776-5", "What the scan shows", {"valueString": "Worn disc, no nerve pressed"}),)),
    ),
    "mammogram": (
        Report("breast-picture", RADIOLOGY, "imaging", ("18748-4", "Breast X-ray"), "Nothing unusual.", "whitcombe",
               (Finding("breast", "59776-5", "What the X-ray shows", {"valueString": "Nothing unusual"}),)),
    ),
    "fracture": (
        Report("wrist-picture", RADIOLOGY, "imaging", ("18748-4", "X-ray of the wrist"), "Broken right forearm, not displaced.",
               "nakashima", status="amended"),
    ),
    "knee": (
        Report("tissue", PATHOLOGY, "procedure", ("11526-1", "Tissue looked at under the microscope"),
               "Worn cartilage. Nothing else found.", "amador",
               (Finding("tissue", "22637-3", "What was found", {"valueString": "Worn cartilage"}),)),
    ),
    "lungs": (
        Report("chest-picture", RADIOLOGY, "imaging", ("18748-4", "X-ray of the chest"), "Shadow in the right lower lung.",
               "lindqvist", (Finding("chest", "59776-5", "What the X-ray shows", {"dataAbsentReason": UNKNOWN}),),
               "preliminary", "leukocytes"),
    ),
}  # fmt: skip


def _finding(chart: Chart, visit: Visit, kind: str, row: Finding, by: str, moment: str) -> Record:
    effective = {"effectiveInstant": moment} if kind == "procedure" else {"effectiveDateTime": moment}
    return chart.record(
        "Observation",
        f"{row.name}-{visit.name}",
        visit.start,
        profiles("us-core-observation-clinical-result"),
        status="final",
        category=[observation_category(kind)],
        code=concept(LOINC, row.code, row.text),
        subject=chart.patient,
        encounter=chart.encounter(visit),
        **effective,
        performer=[practitioner(by)],
        **row.value,
    )


def _report(chart: Chart, visit: Visit, row: Report) -> list[Record]:
    """The findings, the words in a Binary, the report that shows them, and the note of the same words."""
    name = f"{row.name}-{visit.name}"
    moment = instant(chart.draw, visit.start)
    findings = [_finding(chart, visit, row.kind, finding, row.practitioner, moment) for finding in row.findings]
    words = f"{row.code[1]}. {chart.member.name}. {row.words}"
    held = binary(chart, name, visit, words)
    attachment = _attachment(words, row.code[1], held["id"])
    issued = past(visit.end + timedelta(days=1), chart.as_of)
    results = [{"reference": f"Observation/{finding['id']}"} for finding in findings]
    if row.test:
        results.append(chart.reference("Observation", f"{row.test}-{visit.name}"))
    report = chart.record(
        "DiagnosticReport",
        name,
        issued,
        profiles("us-core-diagnosticreport-note"),
        status=row.status,
        category=[concept(LOINC, row.category)],
        code=concept(LOINC, *row.code),
        subject=chart.patient,
        encounter=chart.encounter(visit),
        effectiveDateTime=moment,
        issued=instant(chart.draw, issued),
        performer=[practitioner(row.practitioner), ORGANIZATION_REFERENCE[visit.provider]],
        result=results or None,
        presentedForm=[attachment],
    )
    document = _document(chart, visit, name, concept(LOINC, *row.code), "current", [attachment])
    return [*findings, held, report, document]


def notes(chart: Chart) -> list[Record]:
    """The notes and reports of all visits, and one old paper of which nobody knows what kind it is."""
    found: list[Record] = []
    for number, visit in enumerate(visit for visit in chart.visits if visit.status == "finished"):
        found += _notes(chart, visit, number)
        for row in REPORTS.get(visit.scenario, ()):
            found += _report(chart, visit, row)
    if chart.member.key == "fairweather":
        visit = chart.visits[0]
        wishes = _attachment("No breathing machine. Let me go home.", "Advance directive")
        kind = concept(LOINC, "42348-3", "Advance directive")
        found.append(_document(chart, visit, f"wishes-{visit.name}", kind, "current", [wishes]))
    if chart.member.key == "vantongeren":
        visit = chart.visits[0]
        kind = concept(NULL_FLAVOR, "UNK", "Not known")
        attachment = _attachment("Scanned paper, hard to read.", "Scanned paper")
        found.append(_document(chart, visit, f"scan-{visit.name}", kind, "current", [attachment]))
    return found
