"""Care over time: who looks after a member, what they want to reach together, and how.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-careteam.html"""

from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from seed_data.clinical.chart import LOINC, SNOMED, Chart, measured, practitioner, profiles
from seed_data.clinical.problems import problem_with
from seed_data.conditions import CONDITIONS
from seed_data.datatypes import US_CORE, Record, concept, named_reference, reference
from seed_data.directory import ORGANIZATION, PRACTITIONER_ROLE, WORKPLACE

ASSESS_PLAN = concept(f"{US_CORE}/CodeSystem/careplan-category", "assess-plan")
ACHIEVEMENT = "http://terminology.hl7.org/CodeSystem/goal-achievement"
FAMILY_DOCTOR, HEART_DOCTOR = ("453231000124104", "Family doctor"), ("17561000", "Heart doctor")
PATIENT, CAREGIVER = ("116154003", "The member"), ("133932002", "Parent")
SURGEON, CHILDRENS_DOCTOR = ("304292004", "Surgeon"), ("82296001", "Children's doctor")


@dataclass(frozen=True, slots=True)
class Team:
    """Who is on the team: `kind:key` and role, the kind a practitioner, a role, an organization, or the member's own."""

    name: str
    title: str
    members: tuple[tuple[str, tuple[str, str]], ...]
    days_ago: int
    status: str = "active"


TEAMS: dict[str, tuple[Team, ...]] = {
    "vantongeren": (
        Team("heart", "After the heart attack", (
            ("practitioner:okafor", FAMILY_DOCTOR), ("role:petrakis", HEART_DOCTOR), ("patient:", PATIENT),
        ), 236),
        Team("hospital", "In hospital", (("practitioner:lindqvist", ("309343006", "Hospital doctor")),), 240, "inactive"),
    ),
    "holloway": (
        Team("knee", "The new knee", (
            ("practitioner:amador", SURGEON), ("organization:hollow-creek", ("768730001", "Clinic")), ("patient:", PATIENT),
        ), 190),
    ),
    "castellanos-mateo": (
        Team("family", "Arm and asthma", (
            ("practitioner:nakashima", CHILDRENS_DOCTOR), ("role:delacroix", SURGEON), ("patient:", PATIENT),
            ("guardian:", CAREGIVER),
        ), 190),
    ),
    "castellanos-inez": (
        Team("family", "Growing up well", (("practitioner:nakashima", CHILDRENS_DOCTOR), ("guardian:", CAREGIVER)), 175),
    ),
    "abernathy": (Team("knee", "Before the new knee", (("role:delacroix", SURGEON),), 60, "proposed"),),
    "mbeki-larsen": (
        Team("diabetes", "Diabetes and heart", (
            ("practitioner:okafor", FAMILY_DOCTOR), ("practitioner:petrakis", HEART_DOCTOR),
        ), 500),
    ),
}  # fmt: skip


def _lasting(chart: Chart) -> list[tuple[str, int]]:
    """The conditions that a drawn member is looked after for: the row of CONDITIONS, and since when, at most two."""
    found = [
        (row.condition, min(row.since, 700))
        for row in chart.member.conditions
        if CONDITIONS[row.condition].course == "chronic" and not row.until
    ]
    return found[:2] if chart.is_drawn else []


def _drawn_teams(chart: Chart) -> tuple[Team, ...]:
    lasting = _lasting(chart)
    if not lasting:
        return ()
    who: list[tuple[str, tuple[str, str]]] = [(f"practitioner:{chart.doctor}", FAMILY_DOCTOR), ("patient:", PATIENT)]
    if chart.guardian:
        who.append(("guardian:", CAREGIVER))
    return (Team("own", "Who looks after me", tuple(who), lasting[0][1]),)


def _participant(chart: Chart, who: str, role: tuple[str, str], since: date) -> Record:
    kind, _, key = who.partition(":")
    match kind:
        case "practitioner":
            member = practitioner(key)
        case "role":
            member = reference(PRACTITIONER_ROLE[key])
        case "organization":
            member = named_reference(ORGANIZATION[key])
        case "patient":
            member = chart.patient
        case _:
            member = chart.guardian or chart.patient
    found: Record = {"role": [concept(SNOMED, *role)], "member": member, "period": {"start": since.isoformat()}}
    if kind == "practitioner":
        found["onBehalfOf"] = named_reference(WORKPLACE[key])
    return found


def care_teams(chart: Chart) -> list[Record]:
    return [_care_team(chart, row) for row in TEAMS.get(chart.member.key, ()) or _drawn_teams(chart)]


def _care_team(chart: Chart, row: Team) -> Record:
    day = chart.day(row.days_ago)
    over = {"end": (day + timedelta(days=30)).isoformat()} if row.status == "inactive" else {}
    return chart.record(
        "CareTeam",
        row.name,
        day,
        profiles("us-core-careteam"),
        status=row.status,
        name=row.title,
        subject=chart.patient,
        period={"start": day.isoformat(), **over},
        participant=[_participant(chart, who, role, day) for who, role in row.members],
    )


@dataclass(frozen=True, slots=True)
class Aim:
    """One goal: what it says in SNOMED CT or LOINC and our own words, how it is measured, and by when."""

    name: str
    system: str
    code: str
    text: str
    days_ago: int
    due_in: int  # days after as-of, negative for before
    problem: str = ""
    measure: tuple[str, str, int, str] = ("", "", 0, "")  # LOINC, our own words, at most, unit
    status: str = "active"
    achievement: str = "in-progress"


AIMS: dict[str, tuple[Aim, ...]] = {
    "vantongeren": (
        Aim("blood-sugar", LOINC, "4548-4", "Blood sugar over three months below 7 %", 320, 60, "E11.9",
            ("4548-4", "Blood sugar over three months", 7, "%")),
        Aim("walking", SNOMED, "165245003", "Walk on my own again", 236, -100, "I25.10", status="completed", achievement="achieved"),
    ),
    "holloway": (Aim("steps", SNOMED, "282097004", "Climb the stairs at home", 190, 30, status="on-hold", achievement="no-progress"),),
    "abernathy": (
        Aim("food", SNOMED, "1078229009", "Enough food in the house", 157, 90, status="accepted"),
        Aim("weight", LOINC, "29463-7", "Weigh less than 90 kg", 155, 200, measure=("29463-7", "Weight", 90, "kg"),
            status="proposed", achievement="not-attainable"),
    ),
    "castellanos-mateo": (Aim("sport", SNOMED, "228557008", "Play football again", 190, -70, status="completed", achievement="achieved"),),
    "mbeki-larsen": (
        Aim("blood-pressure", LOINC, "8480-6", "Upper blood pressure below 140", 400, 120, "I10",
            ("8480-6", "Upper blood pressure", 140, "mm[Hg]"), achievement="improving"),
        Aim("smoking", SNOMED, "8517006", "Stay free of smoke", 500, -200, status="cancelled", achievement="not-achieved"),
    ),
}  # fmt: skip


AIM_OF = {
    "diabetes": ("4548-4", "Blood sugar over three months", 7, "%"),
    "hypertension": ("8480-6", "Upper blood pressure", 140, "mm[Hg]"),
    "cholesterol": ("13457-7", "LDL cholesterol", 100, "mg/dL"),
}


def _drawn_aims(chart: Chart) -> tuple[Aim, ...]:
    found = []
    for name, since in _lasting(chart):
        problem = CONDITIONS[name].code
        if name in AIM_OF:
            code, text, most, unit = AIM_OF[name]
            found.append(Aim(name, LOINC, code, f"{text} below {most} {unit}", since, 90, problem, AIM_OF[name]))
        else:
            found.append(Aim(name, SNOMED, "165245003", "Get on well every day", since, 90, problem))
    return tuple(found)


def goals(chart: Chart) -> list[Record]:
    return [_goal(chart, row) for row in AIMS.get(chart.member.key, ()) or _drawn_aims(chart)]


def _goal(chart: Chart, row: Aim) -> Record:
    code, text, most, unit = row.measure
    target: Record = {"dueDate": (chart.as_of + timedelta(days=row.due_in)).isoformat()}
    if code:
        target = {
            "measure": concept(LOINC, code, text),
            "detailRange": {"high": measured(most, unit)},
            **target,
        }
    address = problem_with(chart, row.problem)
    start = chart.day(row.days_ago)
    return chart.record(
        "Goal",
        row.name,
        start,
        profiles("us-core-goal"),
        lifecycleStatus=row.status,
        achievementStatus=concept(ACHIEVEMENT, row.achievement),
        description=concept(row.system, row.code, row.text),
        subject=chart.patient,
        startDate=start.isoformat(),
        target=[target],
        expressedBy=chart.patient,
        addresses=[address] if address else None,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    title: str
    words: str
    days_ago: int
    days: int  # it lasts; 0: no end yet
    practitioner: str
    team: str = ""
    aims: tuple[str, ...] = ()
    problem: str = ""
    status: str = "active"
    narrative: str = "generated"


PLANS: dict[str, tuple[Plan, ...]] = {
    "vantongeren": (
        Plan("heart", "Care after a heart attack", "Two tablets against clots every day. Walk a little further each week.",
             236, 365, "petrakis", "heart", ("walking",), "I25.10"),
        Plan("diabetes", "Diabetes", "Blood sugar test every three months. Eyes looked at once a year.", 320, 0, "okafor",
             "", ("blood-sugar",), "E11.9", narrative="additional"),
    ),
    "holloway": (
        Plan("knee", "Exercises for the new knee", "Bend and stretch ten times, three times a day.", 188, 60, "amador", "knee",
             ("steps",), "M17.11", "completed"),
    ),
    "abernathy": (Plan("food", "Food at home", "A pantry was asked to help.", 157, 120, "okafor", "", ("food",), status="on-hold"),),
    "castellanos-mateo": (
        Plan("asthma", "When asthma gets worse", "Two puffs, wait four minutes, two puffs, then call.", 190, 0, "nakashima",
             "family", (), "J45.909"),
    ),
    "mbeki-larsen": (
        Plan("pressure", "Blood pressure", "Less salt. Measure at home.", 400, 365, "okafor", "diabetes", ("blood-pressure",), "I10"),
        Plan("smoking", "Staying free of smoke", "Entered by mistake.", 500, 0, "okafor", status="revoked"),
    ),
}  # fmt: skip


def _drawn_plans(chart: Chart) -> tuple[Plan, ...]:
    words = "Take the medicines every day. Come back in half a year."
    return tuple(
        Plan(name, CONDITIONS[name].text, words, since, 0, chart.doctor, "own", (name,), CONDITIONS[name].code)
        for name, since in _lasting(chart)
    )


def care_plans(chart: Chart) -> list[Record]:
    return [_care_plan(chart, row) for row in PLANS.get(chart.member.key, ()) or _drawn_plans(chart)]


def _care_plan(chart: Chart, row: Plan) -> Record:
    day = chart.day(row.days_ago)
    end = {"end": (day + timedelta(days=row.days)).isoformat()} if row.days else {}
    address = problem_with(chart, row.problem)
    words = f"<p>{escape(row.title)}</p><p>{escape(row.words)}</p>"
    return chart.record(
        "CarePlan",
        row.name,
        day,
        profiles("us-core-careplan"),
        text={"status": row.narrative, "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'},
        status=row.status,
        intent="plan",
        category=[ASSESS_PLAN],
        title=row.title,
        description=row.words,
        subject=chart.patient,
        period={"start": day.isoformat(), **end},
        created=day.isoformat(),
        author=practitioner(row.practitioner),
        careTeam=[chart.reference("CareTeam", row.team)] if row.team else None,
        addresses=[address] if address else None,
        goal=[chart.reference("Goal", name) for name in row.aims] or None,
    )
