"""Medicines: Medication, what was prescribed, and what the pharmacy handed over, in step with the pharmacy claims.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-medicationrequest.html"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from seed_data.clinical.chart import (
    ACT_CODE,
    PDEX,
    RXNORM,
    SNOMED,
    Chart,
    diagnosis_concept,
    measured,
    practitioner,
    profiles,
)
from seed_data.clinical.problems import problem_with
from seed_data.conditions import CONDITIONS
from seed_data.datatypes import NDC, US_CORE, Record, coding, concept, instant
from seed_data.directory import ORGANIZATION_REFERENCE
from seed_data.members import Claim
from seed_data.scenarios.drugs import DRUGS, Drug

REQUEST_CATEGORY = "http://terminology.hl7.org/CodeSystem/medicationrequest-category"
DISPENSE_CATEGORY = "http://terminology.hl7.org/fhir/CodeSystem/medicationdispense-category"
ADHERENCE = f"{US_CORE}/StructureDefinition/us-core-medication-adherence"
REFILL = f"{PDEX}/StructureDefinition/DispenseRefill"
SIG = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"


@dataclass(frozen=True, slots=True)
class Course:
    """One medicine as prescribed. `medication` names a shared Medication; else `code` (RxNorm) says what it is."""

    name: str
    code: str
    text: str
    dose: tuple[int, str]  # how much, of what
    times: int  # a day
    days_ago: int = 0  # 0: the first fill tells
    reason: tuple[str, str] = ("", "")
    medication: str = ""
    status: str = "active"
    intent: str = "order"
    category: str = "outpatient"
    reported: str = ""  # "", "yes" or a practitioner
    practitioner: str = "okafor"
    adherence: bool = False


BY_SCENARIO: dict[str, Course] = {  # what stands behind the pharmacy claims
    "generic": Course("lisinopril", "314076", "Lisinopril 10 mg tablets", (1, "TAB"), 1, reason=("I10", "High blood pressure")),
    "brand": Course("atorvastatin", "617312", "Atorvastatin 10 mg tablets", (1, "TAB"), 1, medication="atorvastatin"),
    "compound": Course("skin-cream", "", "Skin cream mixed for you", (1, "APPLICATION"), 2, medication="skin-cream", status="completed"),
    "refused": Course("insulin", "285018", "Insulin", (12, "[iU]"), 1, reason=("E11.9", "Type 2 diabetes"), status="on-hold"),
}  # fmt: skip

COURSES: dict[str, tuple[Course, ...]] = {  # prescribed at a visit, filled elsewhere or not at all
    "vantongeren": (
        Course("metformin", "861007", "Metformin 500 mg tablets", (1, "TAB"), 2, 320, ("E11.9", "Type 2 diabetes"), adherence=True),
        Course("clopidogrel", "309362", "Clopidogrel 75 mg tablets", (1, "TAB"), 1, 236, ("I25.10", "Heart artery disease"),
               category="discharge", practitioner="lindqvist"),
        Course("heparin", "1361226", "Heparin injection", (1, "mL"), 2, 239, category="inpatient", status="completed",
               practitioner="lindqvist"),
        Course("aspirin", "243670", "Aspirin 81 mg tablets", (1, "TAB"), 1, 700, intent="plan", category="community", reported="yes"),
        Course("sleep", "1187314", "Something for sleep", (1, "TAB"), 1, 90, status="stopped", intent="proposal",
               category="community", reported="okafor"),
    ),
    "holloway": (
        Course("tiotropium", "1487514", "Breathing medicine", (1, "PUFF"), 1, 298, ("J44.9", "Chronic lung disease"),
               status="unknown", practitioner="lindqvist"),
        Course("oxycodone", "1049621", "Pain tablets", (1, "TAB"), 3, 188, category="discharge", status="stopped", practitioner="amador"),
    ),
    "oyelaran": (
        Course("metformin", "861007", "Metformin 500 mg tablets", (1, "TAB"), 2, 260, ("E11.9", "Type 2 diabetes"), medication="metformin"),
        Course("draft", "314076", "Lisinopril 10 mg tablets", (1, "TAB"), 1, 35, ("I10", "High blood pressure"), status="draft"),
    ),
    "castellanos-mateo": (
        Course("inhaler", "745679", "Asthma inhaler", (2, "PUFF"), 4, 190, ("J45.909", "Asthma"), practitioner="nakashima"),
    ),
    "mbeki-larsen": (
        Course("antibiotic", "308182", "Antibiotic", (1, "CAP"), 3, 146, category="community", status="completed"),
        Course("mistake", "309362", "Clopidogrel 75 mg tablets", (1, "TAB"), 1, 126, status="entered-in-error"),
        Course("cancelled", "861007", "Metformin 500 mg tablets", (1, "TAB"), 2, 106, ("E11.9", "Type 2 diabetes"),
               status="cancelled", intent="original-order"),
    ),
    "fairweather": (
        Course("tiotropium", "1487514", "Breathing medicine", (1, "PUFF"), 1, 220, ("J44.9", "Chronic lung disease"), status="stopped"),
    ),
}  # fmt: skip

MEDICATIONS: dict[str, Record] = {  # spoken of by reference; atorvastatin is one record for two members
    "atorvastatin": {"coding": [coding(RXNORM, "617312"), coding(NDC, DRUGS["brand"].ndc)], "text": "Atorvastatin 10 mg tablets"},
    "metformin": {"coding": [coding(RXNORM, "861007")], "text": "Metformin 500 mg tablets"},
    "skin-cream": {"text": "Skin cream mixed for you"},
}  # fmt: skip


def medications() -> Iterator[Record]:
    """The Medications that requests and dispenses refer to; they belong to whoever was prescribed them."""
    for number, (name, code) in enumerate(MEDICATIONS.items()):
        record: Record = {
            "resourceType": "Medication",
            "id": f"medication-{name}",
            "meta": {"lastUpdated": f"2023-03-0{number + 1}T09:15:00-05:00", "profile": profiles("us-core-medication")},
            "code": code,
            "status": "active",
        }
        if name == "skin-cream":
            parts = DRUGS["compound"].ingredients
            record["ingredient"] = [{"itemCodeableConcept": concept(NDC, ndc, text)} for ndc, text, _ in parts]
        yield record


def _medication(row: Course) -> Record:
    if row.medication:
        text = MEDICATIONS[row.medication]["text"]
        return {"medicationReference": {"reference": f"Medication/medication-{row.medication}", "display": text}}
    return {"medicationCodeableConcept": concept(RXNORM, row.code, row.text)}


def _dosage(row: Course) -> Record:
    amount, unit = row.dose
    words = {"TAB": "tablet", "CAP": "capsule", "PUFF": "puff", "APPLICATION": "application"}.get(unit, unit)
    code = {"TAB": "{tbl}", "CAP": "{capsule}", "PUFF": "{puff}", "APPLICATION": "{application}"}.get(unit, unit)
    often = {1: ("QD", "once"), 2: ("BID", "twice"), 3: ("TID", "three times"), 4: ("QID", "four times")}[row.times]
    return {
        "text": f"Take {amount} {words} {often[1]} a day",
        "timing": {
            "repeat": {"frequency": row.times, "period": 1, "periodUnit": "d"},
            "code": concept(SIG, often[0]),
        },
        "doseAndRate": [{"doseQuantity": measured(amount, words, code)}],
    }


def _adherence(chart: Chart, row: Course) -> list[Record] | None:
    if not row.adherence:
        return None
    parts = [
        {
            "url": "medicationAdherence",
            "valueCodeableConcept": concept(SNOMED, "275928001", "Takes most of them"),
        },
        {"url": "dateAsserted", "valueDateTime": chart.day(40).isoformat()},
        {"url": "informationSource", "valueCodeableConcept": concept(SNOMED, "116154003", "The member")},
    ]
    return [{"url": ADHERENCE, "extension": parts}]


def _request(chart: Chart, row: Course, drug: Drug | None) -> Record:
    day = chart.day(row.days_ago)
    visit = chart.visit_before(day)
    reason = problem_with(chart, row.reason[0])
    prescriber = practitioner(row.practitioner)
    reported: Record = {"reportedBoolean": row.reported == "yes"}
    if row.reported not in {"", "yes"}:
        reported = {"reportedReference": practitioner(row.reported)}
    refills, units = (drug.refills_authorized, drug.units) if drug else (2, 30 * row.times)
    return chart.record(
        "MedicationRequest",
        row.name,
        day,
        profiles("us-core-medicationrequest"),
        extension=_adherence(chart, row),
        status=row.status,
        intent=row.intent,
        category=[concept(REQUEST_CATEGORY, row.category)],
        **reported,
        **_medication(row),
        subject=chart.patient,
        encounter=chart.encounter(visit) if visit else None,
        authoredOn=chart.when(day),
        requester=chart.patient if row.reported == "yes" else prescriber,
        reasonCode=[diagnosis_concept(row.reason)] if row.reason[0] else None,
        reasonReference=[reason] if reason else None,
        dosageInstruction=[_dosage(row)],
        dispenseRequest={"numberOfRepeatsAllowed": refills, "quantity": measured(units, "units", "{unit}")},
    )


def _dispense(chart: Chart, number: int, claim: Claim, row: Course, first: bool) -> Record:
    drug = DRUGS[claim.scenario]
    day = chart.day(claim.days_ago)
    declined = claim.payment == "denied"
    by_reference = bool(row.medication)
    visit = chart.visit_before(day)
    names = profiles("us-core-medicationdispense")
    if not by_reference:  # PDex wants the National Drug Code on the record itself
        names = [*names, f"{PDEX}/StructureDefinition/pdex-medicationdispense|2.0.0"]
    medicine = _medication(row) if by_reference else {"medicationCodeableConcept": concept(NDC, drug.ndc, drug.text)}
    if not by_reference:
        medicine["medicationCodeableConcept"]["coding"].append(coding(RXNORM, row.code))
    return chart.record(
        "MedicationDispense",
        f"{number:03d}",
        day,
        names,
        extension=[
            {
                "url": REFILL,
                "valueQuantity": measured(drug.refill if claim.refill is None else claim.refill, "refill", "{refill}"),
            }
        ],
        status="declined" if declined else "completed",
        statusReasonCodeableConcept={"text": "Too early to refill"} if declined else None,
        category=concept(DISPENSE_CATEGORY, "community"),
        **medicine,
        subject=chart.patient,
        context=chart.encounter(visit) if visit else None,
        performer=[{"actor": ORGANIZATION_REFERENCE[claim.provider or "millbrook"]}],
        authorizingPrescription=[chart.reference("MedicationRequest", row.name)],
        type=concept(ACT_CODE, "FFC" if first else "RFC", "First fill" if first else "Refill"),
        quantity=measured(drug.units, "units", "{unit}"),
        daysSupply=measured(drug.days, "days", "d"),
        whenHandedOver=None if declined else instant(chart.draw, day),
        dosageInstruction=[_dosage(row)],
        substitution={"wasSubstituted": drug.generic},
    )


def prescriptions(chart: Chart) -> list[Record]:
    """Each request before the dispenses that fill it: one request for a medicine, one dispense for a claim."""
    fills = [
        (number, claim)
        for number, claim in enumerate(chart.member.claims, 1)
        if claim.kind == "pharmacy" and not DRUGS[claim.scenario].standing_order
        if not (claim.replaced_by or claim.primary or claim.reversed)
    ]
    courses = {claim.scenario: course(chart, claim) for _, claim in fills}
    found = [_request(chart, row, None) for row in COURSES.get(chart.member.key, ())]
    first: dict[str, int] = {}
    for _, claim in fills:
        first[claim.scenario] = max(claim.days_ago, first.get(claim.scenario, 0))
    for scenario, days_ago in first.items():
        found.append(_request(chart, _begun(courses[scenario], days_ago), DRUGS[scenario]))
    for number, claim in fills:
        row = courses[claim.scenario]
        found.append(_dispense(chart, number, claim, row, claim.days_ago == first[claim.scenario]))
    return found


def course(chart: Chart, claim: Claim) -> Course:
    """The prescription behind a pharmacy claim: as the table says, else as the drug's own row and the claim's condition say."""
    if claim.scenario in BY_SCENARIO:
        return BY_SCENARIO[claim.scenario]
    drug = DRUGS[claim.scenario]
    condition = CONDITIONS[claim.conditions[0]] if claim.conditions else None
    over = condition is not None and condition.course == "acute"
    return Course(
        f"rx-{claim.scenario}", drug.rxnorm, drug.text, (1, drug.dose), drug.times,
        reason=condition.diagnosis if condition else ("", ""), status="completed" if over else "active",
        practitioner=claim.practitioner or chart.doctor,
    )  # fmt: skip


def _begun(row: Course, days_ago: int) -> Course:
    return replace(row, days_ago=days_ago + 1)
