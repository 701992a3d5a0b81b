"""What is asked for in advance, and what becomes of a request: services, courses and reasons, one row each.

https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-priorauthorization.html; times of decision: 42 CFR 422.568, 422.572."""

from dataclasses import dataclass
from typing import Literal

from seed_data.datatypes import CPT, HCPCS

EventType = Literal[
    "received", "information-requested", "extended", "decided", "appealed", "appeal-decided", "cancelled"
]
Named = Literal["organization", "practitioner", "role"]
Decision = Literal["", "approved", "partially-approved", "denied"]


@dataclass(frozen=True, slots=True)
class Line:
    """One service asked for: X12 service type, code, our own words, units, and the price of one."""

    service_type: str
    code: tuple[str, str]  # system, code
    text: str
    units: int
    unit_price: str


@dataclass(frozen=True, slots=True)
class Service:
    """A request: who asks, where it is to be done, why, for what, and how long an approval lasts."""

    practitioner: str
    provider: str
    diagnosis: tuple[str, str]  # ICD-10-CM code and our own words
    lines: tuple[Line, ...]
    days_valid: int
    expedited: bool = False
    drug: bool = False
    asked_by: Named = "role"  # what the request names as its enterer: the role of the one who asks, or the person
    provided_by: Named = "organization"  # and as its provider
    second: str = ""  # another practitioner on the care team, whose role and organization are named
    question: str = ""  # what the form sent with it asks; "" when none was sent
    note: str = ""  # what the clinical note sent with it says; "" when none was sent


SERVICES: dict[str, Service] = {
    "therapy": Service(
        "delacroix", "hollow-creek", ("M54.50", "Low back pain"),
        (Line("AE", (CPT, "97110"), "Physical therapy visits", 12, "135.00"),), 180,
        question="What has been tried so far", note="Six weeks of exercises at home did not help enough.",
    ),
    "equipment": Service(
        "okafor", "steady-supply", ("G47.33", "Sleep apnea"),
        (Line("12", (HCPCS, "E0601"), "Breathing machine for the night", 1, "940.00"),), 90, provided_by="practitioner",
        question="Pauses in breathing an hour, in the sleep test",
    ),
    "imaging": Service(
        "petrakis", "riverbend", ("I25.10", "Heart artery disease"),
        (Line("62", (CPT, "75574"), "Heart scan", 1, "1480.00"),), 60, asked_by="practitioner",
        note="Chest tightness on stairs for two months.",
    ),
    "surgery": Service(
        "amador", "northgate", ("M17.11", "Worn right knee"),
        (
            Line("2", (CPT, "27447"), "New knee joint", 1, "31200.00"),
            Line("AE", (CPT, "97110"), "Physical therapy visits after it", 8, "135.00"),
        ), 90, expedited=True, provided_by="role", second="delacroix", question="How far you can walk", note="Bone on bone on the inner side of the right knee.",
    ),
    "home-nursing": Service(
        "lindqvist", "meadow-home", ("J44.9", "Chronic lung disease"),
        (Line("44", (HCPCS, "G0299"), "Nurse at home", 20, "165.00"),), 60, expedited=True,
        note="Goes home from hospital on oxygen, lives alone.",
    ),
    "counselling": Service(
        "silverberg", "quiet-harbor", ("F32.A", "Depression"),
        (Line("MH", (CPT, "90834"), "Talking therapy", 16, "150.00"),), 180, question="How you have felt these two weeks",
    ),
    "back-scan": Service(
        "okafor", "clearpath", ("M54.50", "Low back pain"),
        (Line("62", (CPT, "72148"), "Scan of the lower back", 1, "940.00"),), 60, note="Pain down the left leg for ten weeks.",
    ),
    "infusion": Service(
        "oyelowo", "quarry-heart", ("J45.909", "Asthma"),
        (Line("92", (HCPCS, "J2357"), "Asthma medicine given as an injection", 60, "42.00"),), 180, drug=True,
        note="Two other medicines did not keep the asthma down.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not, or not yet, approved: decision reason code, claim adjustment reason code, our own words."""

    review: str  # code of https://codesystem.x12.org/external/886
    adjustment: str  # code of https://x12.org/codes/claim-adjustment-reason-codes
    text: str


REASONS: dict[str, Reason] = {
    "simpler-test": Reason(
        "0K", "50", "The plan's policy asks for a simpler test first, and no result of one was sent"
    ),
    "enough-for-now": Reason("0K", "198", "The plan's policy allows eight visits before it is seen how much they help"),
    "not-covered": Reason("0K", "204", "The plan does not cover this service"),
    "not-shown": Reason("0K", "50", "What was sent did not show that this service is needed"),
    "information": Reason("0U", "252", "More information asked for: the notes of the last visit"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens to a request, `hours` after it was received (`fast` when it is expedited).

    `twelfths` of the units asked for are approved, line by line (the last one for all further lines), at least one if any."""

    event: EventType
    hours: int = 0
    fast: int = 0
    decision: Decision = ""
    twelfths: tuple[int, ...] = (0,)
    reason: str = ""  # a row of REASONS


RECEIVED = Step("received")
APPROVED = Step("decided", 92, 30, "approved", (12,))
DENIED = Step("decided", 118, 41, "denied", reason="simpler-test")
INFORMATION = Step("information-requested", 26, 6, reason="information")
EXTENDED = Step("extended", 150, 66)
APPEALED = Step("appealed", 118 + 24 * 11, 41 + 24 * 2)

COURSES: dict[str, tuple[Step, ...]] = {
    "requested": (RECEIVED,),
    "pended": (RECEIVED, INFORMATION),
    "approved": (RECEIVED, APPROVED),
    "approved-after-information": (RECEIVED, INFORMATION, Step("decided", 139, 60, "approved", (12,))),
    "partial": (RECEIVED, Step("decided", 104, 38, "partially-approved", (8, 0), "enough-for-now")),
    "denied": (RECEIVED, DENIED),
    "denied-not-covered": (RECEIVED, Step("decided", 70, 20, "denied", reason="not-covered")),
    "denied-late": (RECEIVED, Step("decided", 201, 90, "denied", reason="not-shown")),
    "approved-late": (RECEIVED, Step("decided", 190, 81, "approved", (12,))),
    "appealed": (RECEIVED, DENIED, APPEALED),
    "overturned": (
        RECEIVED, DENIED, APPEALED, Step("appeal-decided", 118 + 24 * 20, 41 + 24 * 4, "approved", (12,)),
    ),
    "upheld": (
        RECEIVED, DENIED, APPEALED, Step("appeal-decided", 118 + 24 * 21, 41 + 24 * 4, "denied", reason="not-shown"),
    ),
    "in-extension": (RECEIVED, INFORMATION, EXTENDED),
    "extended": (RECEIVED, INFORMATION, EXTENDED, Step("decided", 24 * 15, 24 * 9, "approved", (12,))),
    "extended-denied": (RECEIVED, EXTENDED, Step("decided", 24 * 17, 24 * 10, "denied", reason="not-shown")),
    "cancelled": (RECEIVED, APPROVED, Step("cancelled", 92 + 24 * 9, 30 + 24 * 9)),
    "withdrawn": (RECEIVED, Step("cancelled", 48, 20)),
}  # fmt: skip
"""What becomes of a request, by name. An approval that nobody used in time has expired: its dates tell."""
