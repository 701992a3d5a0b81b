"""What happens to a drawn member: the conditions they have, and the visits, stays, sittings and fills that follow from them.

https://hl7.org/fhir/us/carin-bb/ - each is a claim row, with what was asked for in advance beside it."""

from dataclasses import dataclass
from random import Random

from seed_data.conditions import CONDITIONS
from seed_data.directory import PRACTITIONERS
from seed_data.lives.people import choose
from seed_data.members import Authorization, Claim, ClaimKind, Diagnosed
from seed_data.scenarios.drugs import DRUGS

FAMILY, INTERNAL, CHILDREN = "207Q00000X", "207R00000X", "208000000X"
HOSPITAL, IMAGING, DENTIST, OPTOMETRIST, THERAPIST = (
    "208M00000X",
    "2085R0202X",
    ("122300000X", "1223G0001X"),
    "152W00000X",
    "225100000X",
)
PHARMACIES = ("millbrook", "corner-pharmacy", "greenleaf-pharmacy", "mailbox-pharmacy")
AMBULANCES = ("swiftline", "redstone")


def _of(*taxonomies: str) -> tuple[str, ...]:
    return tuple(row.key for row in PRACTITIONERS if row.taxonomy in taxonomies)


PRACTITIONERS_OF = {
    "adult": _of(FAMILY, INTERNAL),
    "child": _of(CHILDREN),
    "hospital": _of(HOSPITAL),
    "imaging": _of(IMAGING),
    "dentist": _of(*DENTIST),
    "eyes": _of(OPTOMETRIST),
    "therapist": _of(THERAPIST),
    **{row.specialist: _of(row.specialist) for row in CONDITIONS.values() if row.specialist},
}
WORKPLACE = {row.key: row.organization for row in PRACTITIONERS}


@dataclass(frozen=True, slots=True)
class Circle:
    """The people and places a member returns to."""

    primary_care: str
    hospital: str  # an organization
    pharmacy: str
    dentist: str
    ambulance: str


def circle(draw: Random, age: int) -> Circle:
    return Circle(
        choose(draw, PRACTITIONERS_OF["child" if age < 18 else "adult"]),
        WORKPLACE[choose(draw, PRACTITIONERS_OF["hospital"])],
        choose(draw, PHARMACIES),
        choose(draw, PRACTITIONERS_OF["dentist"]),
        choose(draw, AMBULANCES),
    )


def conditions(draw: Random, age: int, gender: str, window: int) -> tuple[Diagnosed, ...]:
    """What stays with the member, since before the window or within it, and what passes within it."""
    found: list[Diagnosed] = []
    for name, row in CONDITIONS.items():
        lucky = draw.randrange(100) >= row.percent
        since = draw.randrange(40, max(41, min(4000, 365 * max(1, age - row.ages[0]))))
        if lucky or not row.ages[0] <= age <= row.ages[1] or (row.gender and row.gender != gender):
            continue
        if row.course == "chronic":
            found.append(Diagnosed(name, since))
        else:
            since = 3 + draw.randrange(window)
            found.append(Diagnosed(name, since, max(0, since - row.days)))
    return tuple(found)


class Happenings:
    """Collects the claim and authorization rows of one member; days are before as-of, `window` of them are told."""

    def __init__(self, draw: Random, around: Circle, age: int, gender: str, window: int) -> None:
        self.claims: list[Claim] = []
        self.authorizations: list[Authorization] = []
        self._draw, self._circle, self._age, self._gender, self._window = draw, around, age, gender, window

    def live(self, had: tuple[Diagnosed, ...]) -> None:
        """Everything, in the order of the rows; the caller sorts by day and leaves out what no plan covers."""
        self._check_ups()
        for row in had:
            if CONDITIONS[row.condition].course == "chronic":
                self._chronic(row)
            else:
                self._acute(row)
        self._teeth_and_eyes()
        lungs = next((row.since for row in had if row.condition == "asthma"), 0)
        if lungs and self._age >= 30:
            self._ask("approved", "infusion", min(lungs, self._window) // 2)

    def _add(
        self,
        kind: ClaimKind,
        scenario: str,
        days_ago: int,
        *because: str,
        authorization: int = 0,
        practitioner: str = "",
        provider: str = "",
        refill: int | None = None,
    ) -> None:
        if 2 < days_ago <= self._window:
            self.claims.append(
                Claim(
                    kind,
                    scenario,
                    days_ago,
                    conditions=because,
                    practitioner=practitioner,
                    provider=provider,
                    authorization=authorization,
                    refill=refill,
                )
            )

    def _ask(self, course: str, scenario: str, days_ago: int) -> int:
        """Asks for an authorization; answers its number, 0 when that was before what is told."""
        if not 2 < days_ago <= self._window:
            return 0
        self.authorizations.append(Authorization(course, scenario, days_ago))
        return len(self.authorizations)

    def _check_ups(self) -> None:
        draw, doctor = self._draw, self._circle.primary_care
        scenario = "checkup" if self._age < 18 else "annual"
        for days_ago in range(20 + draw.randrange(340), self._window, 350 + draw.randrange(40)):
            self._add("professional", scenario, days_ago, practitioner=doctor)
            if self._age >= 18 and draw.randrange(2):
                self._add("professional", "laboratory", days_ago - 2)
        for days_ago in range(15 + draw.randrange(60), self._window, 365):
            if draw.randrange(100) < 45:
                self._add("pharmacy", "standing-order", days_ago, provider=self._circle.pharmacy)
        if self._gender == "female" and 45 <= self._age < 75:
            for days_ago in range(30 + draw.randrange(700), self._window, 730):
                self._add("outpatient", "mammogram", days_ago, practitioner=choose(draw, PRACTITIONERS_OF["imaging"]))
        if self._gender == "female" and 20 <= self._age <= 42 and draw.randrange(100) < 7:
            self._add("inpatient", "birth", 30 + draw.randrange(600), provider=self._circle.hospital)

    def _chronic(self, had: Diagnosed) -> None:
        draw, name, row = self._draw, had.condition, CONDITIONS[had.condition]
        told = min(had.since, self._window)
        every = 130 + draw.randrange(120)
        for days_ago in range(10 + draw.randrange(every), told, every):
            scenario = "office" if name == "diabetes" else "follow-up"
            self._add("professional", scenario, days_ago, name, practitioner=self._circle.primary_care)
            if row.panels and draw.randrange(3):
                self._add("professional", "laboratory", days_ago + 3, name)
        for position, drug in enumerate(row.drugs):
            if position == 0 or draw.randrange(100) < 40:
                self._fills(drug, name, told)
        match name:
            case "heart-artery":
                heart_doctor = choose(draw, PRACTITIONERS_OF[row.specialist])
                for days_ago in range(40 + draw.randrange(200), told, 330):
                    self._add("professional", "cardiology", days_ago, name, practitioner=heart_doctor)
            case "back-pain" | "knee":
                self._bones(name, told)
            case "depression":
                therapist = "adeyemi"
                for session in range(draw.randrange(3, 7)):
                    self._add("professional", "counseling", told - 20 - 14 * session, name, practitioner=therapist)
            case "sleep-apnea":
                asked = 20 + draw.randrange(max(1, told))
                number = self._ask("approved", "equipment", asked)
                self._add("professional", "equipment", asked - 12, name, authorization=number)

    def _fills(self, drug: str, name: str, told: int) -> None:
        draw = self._draw
        every = DRUGS[drug].days
        first = told - draw.randrange(every + 1)
        fills = range(first, 2, -(every + draw.randrange(5)))
        for fill, days_ago in enumerate(fills):
            if draw.randrange(100) < 92:
                refills = 1 + DRUGS[drug].refills_authorized
                self._add(
                    "pharmacy",
                    drug,
                    days_ago,
                    name,
                    practitioner=self._circle.primary_care,
                    provider=self._circle.pharmacy,
                    refill=fill % refills,
                )

    def _bones(self, name: str, told: int) -> None:
        draw = self._draw
        seen = told - draw.randrange(30)
        bone_doctor = choose(draw, PRACTITIONERS_OF["207X00000X"])
        self._add("professional", "bones", seen, name, practitioner=bone_doctor)
        if name == "back-pain" and draw.randrange(2):
            self._add("outpatient", "imaging", seen - 9, practitioner=choose(draw, PRACTITIONERS_OF["imaging"]))
        if draw.randrange(100) < 60:
            course = choose(draw, ("approved", "approved", "partial", "approved-after-information", "extended"))
            number = self._ask(course, "therapy", seen - 14)
            therapist = choose(draw, PRACTITIONERS_OF["therapist"])
            for session in range(draw.randrange(3, 8)):
                self._add(
                    "professional",
                    "therapy",
                    seen - 36 - 7 * session,
                    name,
                    practitioner=therapist,
                    authorization=number,
                )
        if name == "knee" and draw.randrange(100) < 35:
            number = self._ask("approved", "surgery", seen - 100)
            self._add("inpatient", "knee", seen - 120, provider=self._circle.hospital, authorization=number)
        elif name == "knee" and draw.randrange(100) < 20:
            self._ask(choose(draw, ("denied", "overturned", "upheld", "pended", "withdrawn")), "surgery", seen - 100)

    def _acute(self, had: Diagnosed) -> None:
        draw, name, row, day = self._draw, had.condition, CONDITIONS[had.condition], had.since
        match name:
            case "chest-pain":
                self._add("professional", "ambulance", day, name, provider=self._circle.ambulance)
                self._add("outpatient", "emergency", day, name, provider=self._circle.hospital)
            case "heart-attack":
                self._add("professional", "ambulance", day, name, provider=self._circle.ambulance)
                self._add("inpatient", "heart", day, provider=self._circle.hospital)
            case "pneumonia":
                self._add("inpatient", "lungs", day, provider=self._circle.hospital)
                if draw.randrange(2):
                    self._ask("approved", "home-nursing", day - 5)
            case "cut" | "sprain" if draw.randrange(2):
                self._add("outpatient", "emergency", day, name, provider=self._circle.hospital)
            case _:
                scenario = choose(draw, ("telehealth", "follow-up"))
                self._add("professional", scenario, day, name, practitioner=self._circle.primary_care)
        for drug in row.drugs:
            self._add(
                "pharmacy",
                drug,
                day - 1,
                name,
                practitioner=self._circle.primary_care,
                provider=self._circle.pharmacy,
                refill=0,
            )

    def _teeth_and_eyes(self) -> None:
        draw, dentist = self._draw, self._circle.dentist
        if self._age >= 2 and draw.randrange(100) < 65:
            for days_ago in range(10 + draw.randrange(180), self._window, 185 + draw.randrange(30)):
                self._add("oral", "cleaning", days_ago, practitioner=dentist)
        if self._age >= 5 and draw.randrange(100) < 25:
            choices = ("filling", "filling", "crown", "root-canal") if self._age >= 16 else ("filling", "braces")
            scenario = "denture" if self._age >= 65 and draw.randrange(3) == 0 else choose(draw, choices)
            self._add("oral", scenario, 10 + draw.randrange(self._window), practitioner=dentist)
        if self._age >= 5 and draw.randrange(100) < 40:
            day, eyes = 10 + draw.randrange(self._window), choose(draw, PRACTITIONERS_OF["eyes"])
            self._add("professional", "eye-test", day, practitioner=eyes)
            if draw.randrange(2):
                self._add("professional", "vision", day - 8, practitioner=eyes)
        if draw.randrange(100) < 5:
            course = choose(
                draw, ("denied", "denied-not-covered", "requested", "pended", "overturned", "cancelled", "approved")
            )
            self._ask(course, "back-scan", 5 + draw.randrange(self._window))
