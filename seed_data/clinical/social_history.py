"""How a member lives and what matters to them: smoking, work, pregnancy, orientation, abilities and preferences.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-smokingstatus.html and its neighbours."""

from dataclasses import dataclass, replace
from typing import Any

from seed_data.clinical.chart import (
    LOINC,
    NULL_FLAVOR,
    SNOMED,
    US_CORE_CATEGORY,
    Chart,
    measured,
    observation_category,
    practitioner,
    profiles,
)
from seed_data.datatypes import Record, concept, instant

OCCUPATION = "http://terminology.hl7.org/CodeSystem/PHOccupationalDataForHealthODH"
SOCIAL_HISTORY = observation_category("social-history")
BOTH, SEVEN = ("6.1.0", "7.0.0"), ("7.0.0",)


@dataclass(frozen=True, slots=True)
class Fact:
    """One observation of a life: its profile and code, the value under its FHIR name, and when it was so."""

    name: str
    profile: str
    category: tuple[Record, ...]
    code: Record
    days_ago: int
    value: dict[str, Any]
    versions: tuple[str, ...] = BOTH
    effective: str = "dateTime"  # or Period (to as-of), Timing, instant
    status: str = "final"
    by: str = "okafor"  # a practitioner, or "member"
    component: tuple[Record, ...] = ()
    questionnaire: str = ""  # whose answers it was drawn from


def _coded(code: str, text: str, system: str = SNOMED) -> dict[str, Any]:
    return {"valueCodeableConcept": concept(system, code, text)}


def _smoking(days_ago: int, code: str, text: str, status: str = "final") -> Fact:
    return Fact(
        f"smoking-{days_ago}", "us-core-smokingstatus", (SOCIAL_HISTORY,), concept(LOINC, "72166-2", "Tobacco smoking"),
        days_ago, _coded(code, text), status=status,
    )  # fmt: skip


def _work(name: str, days_ago: int, occupation: Record, industry: Record) -> Fact:
    component = {"code": concept(LOINC, "86188-0", "Industry"), "valueCodeableConcept": industry}
    return Fact(
        f"occupation-{name}", "us-core-observation-occupation", (SOCIAL_HISTORY,), concept(LOINC, "11341-5", "Work"),
        days_ago, {"valueCodeableConcept": occupation}, effective="Period", component=(component,),
    )  # fmt: skip


def _pregnancy(days_ago: int, code: str, text: str) -> Fact:
    return Fact(
        f"pregnancy-{days_ago}", "us-core-observation-pregnancystatus", (SOCIAL_HISTORY,),
        concept(LOINC, "82810-3", "Pregnancy"), days_ago, _coded(code, text),
    )  # fmt: skip


def _intent(days_ago: int, value: dict[str, Any]) -> Fact:
    return Fact(
        f"pregnancy-intent-{days_ago}", "us-core-observation-pregnancyintent", (SOCIAL_HISTORY,),
        concept(LOINC, "86645-9", "Wish to become pregnant"), days_ago, value,
    )  # fmt: skip


def _orientation(days_ago: int, value: dict[str, Any]) -> Fact:
    return Fact(
        "sexual-orientation", "us-core-observation-sexual-orientation", (SOCIAL_HISTORY,),
        concept(LOINC, "76690-7", "Sexual orientation"), days_ago, value, by="member",
    )  # fmt: skip


def _simple(
    name: str, category: str, code: tuple[str, str, str], days_ago: int, value: dict[str, Any], **more: Any
) -> Fact:
    found = (
        concept(US_CORE_CATEGORY, category)
        if category in {"sdoh", "functional-status", "disability-status", "cognitive-status"}
        else observation_category(category)
    )
    return Fact(name, "us-core-simple-observation", (found,), concept(*code), days_ago, value, **more)


def _preference(kind: str, code: str, text: str, days_ago: int, name: str, value: dict[str, Any]) -> Fact:
    category = concept(US_CORE_CATEGORY, f"{kind}-preference")
    return Fact(
        f"{kind}-{name}", f"us-core-{kind}-preference", (category,), concept(LOINC, code, text), days_ago, value, SEVEN,
        by="member",
    )  # fmt: skip


TREATMENT = ("treatment-intervention", "75773-2", "What matters to me in my treatment")
EXPERIENCE = ("care-experience", "95541-9", "How I want to be cared for")
RETIRED: Record = {"text": "Retired school bus driver"}

FACTS: dict[str, tuple[Fact, ...]] = {
    "vantongeren": (
        _smoking(700, "428041000124106", "Smokes some days"),
        _smoking(120, "8517006", "Used to smoke"),
        Fact(
            "smoking-pack-years", "us-core-smokingstatus", (SOCIAL_HISTORY,), concept(SNOMED, "401201003", "Pack-years"), 120,
            {"valueQuantity": measured(18, "pack-years", "{pack-years}")}, SEVEN,
        ),
        _work("school", 6000, RETIRED, {"text": "Schools"}),
        _orientation(320, _coded("20430005", "Straight")),
        _simple("falls", "functional-status", (LOINC, "52552-7", "Falls in the last year"), 200, {"valueBoolean": True}),
        _simple(
            "walking", "activity", (LOINC, "55423-8", "Steps in a day"), 40, {"valueQuantity": measured(4200, "steps", "{steps}")},
            effective="Timing", by="member",
        ),
        _preference(*TREATMENT, 118, "text", {"valueString": "Being able to walk to church matters more to me than living longer."}),
        _preference(*EXPERIENCE, 118, "text", {"valueString": "Please explain everything in Spanish and to my daughter too."}),
    ),
    "holloway": (
        _smoking(300, "266919005", "Has never smoked"),
        _simple("hearing", "disability-status", (LOINC, "69856-3", "Serious trouble hearing"), 190, _coded("LA33-6", "Yes", LOINC)),
        _preference(*TREATMENT, 188, "code", _coded("439569004", "Resuscitation")),
    ),
    "szabo": (_smoking(280, "266919005", "Has never smoked"), _orientation(160, _coded("38628009", "Lesbian")),),
    "oyelaran": (
        _smoking(260, "449868002", "Smokes every day"),
        _work("nursing", 900, concept(OCCUPATION, "31-1014.00.007136", "Nursing assistant"),
              concept(OCCUPATION, "621610.008495", "Nursing at home")),
        _simple("transport", "sdoh", (SNOMED, "160695008", "Transport costs too much"), 262, {"valueBoolean": True}, by="member",
                questionnaire="living"),
        _orientation(262, {"valueCodeableConcept": concept(NULL_FLAVOR, "ASKU", "Asked, not known")}),
    ),
    "tran-whitley": (
        _smoking(205, "266919005", "Has never smoked"),
        _intent(420, _coded("454381000124105", "Not sure")),
        _pregnancy(420, "60001007", "Not pregnant"),
        _pregnancy(205, "77386006", "Pregnant"),
    ),
    "abernathy": (
        _smoking(155, "266919005", "Has never smoked"),
        _simple("memory", "cognitive-status", (LOINC, "69858-9", "Trouble remembering"), 155, _coded("LA32-8", "No", LOINC)),
        _simple(
            "home", "social-history", (LOINC, "71802-3", "How home is"), 155,
            {"valueString": "Lives on the third floor, no lift"}, effective="Period",
        ),
    ),
    "castellanos": (
        _smoking(140, "266919005", "Has never smoked"),
        _pregnancy(140, "60001007", "Not pregnant"),
        _intent(140, {"valueCodeableConcept": concept(NULL_FLAVOR, "UNK", "Not known")}),
    ),
    "orsted": (
        _smoking(125, "266919005", "Has never smoked"),
        _orientation(125, _coded("42035005", "Bisexual")),
        _preference(*EXPERIENCE, 125, "code", {"valueCodeableConcept": {"text": "A woman as doctor"}}),
    ),
    "mbeki-larsen": (
        _smoking(506, "8517006", "Used to smoke", "entered-in-error"),
        _smoking(26, "266919005", "Has never smoked"),
        _work("tailor", 9000, {"text": "Tailor"}, {"text": "Clothing"}),
        _simple("alone", "sdoh", (SNOMED, "105529008", "Lives alone"), 66, {"valueBoolean": True}, effective="instant"),
    ),
    "fairweather": (
        _smoking(220, "8517006", "Used to smoke"),
        _preference(*TREATMENT, 140, "text", {"valueString": "No breathing machine. Let me go home."}),
        _simple("dressing", "functional-status", (LOINC, "75276-6", "Getting dressed"), 136, {"valueString": "Needs some help"}),
    ),
}  # fmt: skip


SMOKING = (
    ("266919005", "Has never smoked"),
    ("266919005", "Has never smoked"),
    ("8517006", "Used to smoke"),
    ("449868002", "Smokes every day"),
)
WORK = ("Bus driver", "Teacher", "Nurse", "Cook", "Carpenter", "Clerk", "Farmer")


def _drawn(chart: Chart) -> tuple[Fact, ...]:
    """What a drawn adult told: smoking at each yearly check-up, work, and what matters to them; of a birth, the pregnancy."""
    if not chart.is_drawn or chart.age < 18:
        return ()
    number = chart.member.number
    met = [visit for visit in chart.visits if visit.status == "finished"]
    found = [
        _smoking((chart.as_of - visit.start).days, *SMOKING[number % len(SMOKING)])
        for visit in met
        if visit.scenario == "annual"
    ]
    if met:
        days_ago = (chart.as_of - met[0].start).days
        work = {"text": WORK[number % len(WORK)]}
        found.append(_work("told", 365 * min(12, chart.age - 17), work, {"text": "As told"}))
        if number % 4 == 0:
            words = {"valueString": "Tell me first, then my family."}
            found.append(_preference(*EXPERIENCE, days_ago, "text", words))
        if number % 5 == 0:
            found.append(
                _preference(*TREATMENT, days_ago, "text", {"valueString": "Being at home matters most to me."})
            )
        if number % 6 == 0:
            found.append(_orientation(days_ago, _coded("20430005", "Straight")))
        if chart.age >= 65:
            code = (LOINC, "52552-7", "Falls in the last year")
            found.append(_simple("falls", "functional-status", code, days_ago, {"valueBoolean": number % 3 == 0}))
    for visit in met:
        if visit.scenario == "birth":
            found.append(_intent((chart.as_of - visit.start).days + 400, _coded("454381000124105", "Not sure")))
            found.append(_pregnancy((chart.as_of - visit.start).days + 90, "77386006", "Pregnant"))
    return tuple(replace(fact, by=chart.doctor if fact.by == "okafor" else fact.by) for fact in found)


def _effective(chart: Chart, fact: Fact) -> Record:
    day = chart.day(fact.days_ago)
    match fact.effective:
        case "Period":
            return {"effectivePeriod": {"start": day.isoformat()}}
        case "instant":
            return {"effectiveInstant": instant(chart.draw, day)}
        case "Timing":
            mornings = [f"{chart.day(fact.days_ago - number)}T08:00:00-05:00" for number in range(3)]
            return {"effectiveTiming": {"event": mornings}}
        case _:
            return {"effectiveDateTime": chart.when(day)}


def social_history(chart: Chart) -> list[Record]:
    """Every fact of a member's life; at a visit of that day when there was one."""
    return [_observation(chart, fact) for fact in FACTS.get(chart.member.key, ()) or _drawn(chart)]


def _observation(chart: Chart, fact: Fact) -> Record:
    day = chart.day(fact.days_ago)
    performer = chart.patient if fact.by == "member" else practitioner(fact.by)
    asked = chart.visit_before(day)
    return chart.record(
        "Observation",
        fact.name,
        day,
        profiles(fact.profile, versions=fact.versions),
        status=fact.status,
        category=list(fact.category),
        code=fact.code,
        subject=chart.patient,
        encounter=chart.encounter(asked) if asked and asked.start == day else None,
        **_effective(chart, fact),
        issued=instant(chart.draw, day),
        performer=[performer],
        **fact.value,
        derivedFrom=[chart.reference("QuestionnaireResponse", fact.questionnaire)] if fact.questionnaire else None,
        component=list(fact.component) or None,
    )
