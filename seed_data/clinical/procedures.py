"""What was ordered and done: ServiceRequest and Procedure, in step with the claims and authorizations.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-procedure.html"""

from dataclasses import dataclass
from datetime import timedelta

from seed_data.clinical.chart import (
    LOINC,
    SNOMED,
    US_CORE_CATEGORY,
    Chart,
    diagnosis_concept,
    practitioner,
    profiles,
)
from seed_data.clinical.devices import implants
from seed_data.clinical.problems import problem_with
from seed_data.clinical.visits import Visit
from seed_data.datatypes import CPT, ICD_10_PCS, Record, coding, concept
from seed_data.directory import LOCATION_REFERENCE
from seed_data.members import Authorization
from seed_data.scenarios.authorizations import COURSES, SERVICES

SURGICAL, IMAGING, LABORATORY = "387713003", "363679005", "108252007"
COUNSELLING, EDUCATION, SOCIAL_SERVICE = "409063005", "409073007", "410606002"
CATEGORY_OF = {
    "counselling": COUNSELLING, "equipment": EDUCATION, "imaging": IMAGING, "back-scan": IMAGING, "surgery": SURGICAL,
}  # fmt: skip
STATUS_OF = {"approved": "completed", "partially-approved": "active", "denied": "revoked", "": "on-hold"}
REQUEST_NAMES = {"knee": "knee-surgery", "imaging": "scan"}  # scenario of a visit: the order it fulfils


@dataclass(frozen=True, slots=True)
class Order:
    """An order of its own, beside those that a prior authorization asked for."""

    name: str
    days_ago: int
    code: tuple[str, str, str]  # system, code, our own words
    category: tuple[str, str]  # system, code
    reason: tuple[str, str]
    practitioner: str = "okafor"
    status: str = "active"
    intent: str = "order"
    timing: bool = False


ORDERS: dict[str, tuple[Order, ...]] = {
    "vantongeren": (
        Order("blood-sugar", 320, (LOINC, "4548-4", "Blood sugar test every three months"), (SNOMED, LABORATORY),
              ("E11.9", "Type 2 diabetes"), timing=True),
        Order("diabetes-class", 40, (SNOMED, "385804009", "Diabetes class"), (SNOMED, EDUCATION), ("E11.9", "Type 2 diabetes"),
              status="draft", intent="plan"),
    ),
    "holloway": (
        Order("knee-surgery", 230, (CPT, "27447", "New knee joint"), (SNOMED, SURGICAL), ("M17.11", "Worn right knee"),
              "delacroix", "completed"),
    ),
    "szabo": (
        Order("scan", 290, (CPT, "72148", "Scan of the lower back"), (SNOMED, IMAGING), ("M54.50", "Low back pain"),
              status="completed", intent="original-order"),
    ),
    "abernathy": (
        Order("food", 157, (SNOMED, "467771000124109", "Help with food from a pantry"), (US_CORE_CATEGORY, "sdoh"),
              ("Z59.41", "Not always enough food")),
    ),
    "oyelaran": (
        Order("ride", 261, (SNOMED, "410606002", "Rides to appointments"), (US_CORE_CATEGORY, "sdoh"),
              ("Z75.3", "No ride"), intent="proposal"),
    ),
}  # fmt: skip


def _service_request(chart: Chart, row: Order, visit: Visit | None) -> Record:
    day = chart.day(row.days_ago)
    reason = problem_with(chart, row.reason[0])
    weeks = {"repeat": {"boundsPeriod": {"start": day.isoformat()}, "frequency": 1, "period": 3, "periodUnit": "mo"}}
    period = {"start": day.isoformat(), "end": (day + timedelta(days=180)).isoformat()}
    return chart.record(
        "ServiceRequest",
        row.name,
        day,
        profiles("us-core-servicerequest"),
        status=row.status,
        intent=row.intent,
        category=[concept(*row.category)],
        code=concept(*row.code),
        subject=chart.patient,
        encounter=chart.encounter(visit) if visit else None,
        **({"occurrenceTiming": weeks} if row.timing else {"occurrencePeriod": period}),
        authoredOn=chart.when(day),
        requester=practitioner(row.practitioner),
        reasonCode=[diagnosis_concept(row.reason)],
        reasonReference=[reason] if reason else None,
    )


def _of_authorization(number: int, row: Authorization) -> Order:
    """The order behind a prior authorization: the same service for the same reason, on the day before it."""
    service = SERVICES[row.scenario]
    line = service.lines[0]
    last = COURSES[row.course][-1]
    status = "revoked" if last.event == "cancelled" else STATUS_OF[last.decision]
    return Order(
        f"authorization-{number}", row.days_ago + 1, (*line.code, line.text),
        (SNOMED, CATEGORY_OF.get(row.scenario, COUNSELLING)), service.diagnosis, service.practitioner, status,
    )  # fmt: skip


def service_requests(chart: Chart) -> list[Record]:
    rows = [
        *ORDERS.get(chart.member.key, ()),
        *(
            _of_authorization(number, row)
            for number, row in enumerate(chart.member.authorizations, 1)
            if not SERVICES[row.scenario].drug
        ),
    ]
    return [_service_request(chart, row, chart.visit_before(chart.day(row.days_ago))) for row in rows]


@dataclass(frozen=True, slots=True)
class Done:
    """What is done at a visit of a scenario: code, our own words, and whether it took a moment or a while."""

    name: str
    code: tuple[tuple[str, str], ...]  # system, code
    text: str
    hours: int = 0  # 0: the day is all that is known
    status: str = "completed"
    practitioner: str = ""
    device: str = ""


DONE: dict[str, tuple[Done, ...]] = {
    "heart": (
        Done("stent", ((ICD_10_PCS, "027034Z"), (CPT, "92928")), "Opening of a narrowed heart artery with a stent", 2,
             practitioner="amador", device="stent"),
        Done("heart-imaging", ((ICD_10_PCS, "B2111ZZ"),), "Imaging of the heart arteries", practitioner="petrakis"),
    ),
    "knee": (
        Done("knee", ((ICD_10_PCS, "0SRC0J9"), (CPT, "27447")), "New right knee joint", 3, practitioner="amador", device="knee"),
    ),
    "lungs": (
        Done("breathing-treatment", ((CPT, "94640"),), "Breathing treatment", 1),
        Done("breathing-tube", ((SNOMED, "112798008"),), "Breathing tube", status="not-done"),
    ),
    "fracture": (Done("cast", ((CPT, "25600"),), "Setting a broken arm", 1),),
    "emergency": (Done("stitches", ((CPT, "12002"),), "Stitches"),),
    "clinic": (Done("injection", ((CPT, "20610"),), "Injection into the knee"),),
    "cardiology": (Done("heart-tracing", ((CPT, "93000"),), "Heart tracing"),),
    "imaging": (Done("scan", ((CPT, "72148"),), "Scan of the lower back", 1),),
    "therapy": (Done("exercises", ((CPT, "97110"),), "Exercises with a therapist", 1),),
    "eye-test": (Done("eye-test", ((CPT, "92014"),), "Eye test"),),
    "birth": (Done("birth", ((ICD_10_PCS, "10E0XZZ"), (CPT, "59400")), "Birth", 6),),
    "day-surgery": (Done("knee-look", ((CPT, "29881"),), "Knee looked into and mended", 1),),
    "mammogram": (Done("breast-picture", ((CPT, "77067"),), "Breast X-ray"),),
    "counseling": (Done("talk", ((CPT, "90834"),), "Talking therapy", 1),),
    "vision": (Done("eye-test", ((SNOMED, "36228007"),), "Eye test", status="unknown"),),
}  # fmt: skip


def procedures(chart: Chart) -> list[Record]:
    """Everything done at the visits: fulfilling an order where there is one, with the device that was implanted."""
    ordered = {row.name: row for row in ORDERS.get(chart.member.key, ())}
    implanted = {row.name for row in implants(chart)}
    return [
        _procedure(chart, visit, row, ordered.get(REQUEST_NAMES.get(visit.scenario, "")), row.device in implanted)
        for visit in chart.visits
        if visit.status == "finished"
        for row in DONE.get(visit.scenario, ())
    ]


def _procedure(chart: Chart, visit: Visit, row: Done, order: Order | None, implanted: bool) -> Record:
    performed: Record = {"performedDateTime": chart.when(visit.start)}
    if row.hours:
        start, end = f"{visit.start}T11:00:00-05:00", f"{visit.start}T{11 + row.hours}:20:00-05:00"
        performed = {"performedPeriod": {"start": start, "end": end}}
    reason = problem_with(chart, visit.diagnoses[0][0])
    return chart.record(
        "Procedure",
        f"{row.name}-{visit.name}",
        visit.end,
        profiles("us-core-procedure"),
        basedOn=[chart.reference("ServiceRequest", order.name)] if order else None,
        status=row.status,
        statusReason={"text": "The member asked not to"} if row.status == "not-done" else None,
        code={"coding": [coding(*code) for code in row.code], "text": row.text},
        subject=chart.patient,
        encounter=chart.encounter(visit),
        **performed,
        recorder=practitioner(visit.practitioner),
        performer=[{"actor": practitioner(row.practitioner or visit.practitioner)}],
        location=LOCATION_REFERENCE[visit.provider],
        reasonCode=[diagnosis_concept(visit.diagnoses[0])],
        reasonReference=[reason] if reason else None,
        focalDevice=[{"manipulated": chart.reference("Device", row.device)}] if implanted else None,
    )
