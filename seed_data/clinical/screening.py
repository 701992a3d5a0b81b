"""Screening: questionnaires that members answered, and the observations drawn from the answers.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-observation-screening-assessment.html"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from seed_data.clinical.chart import (
    LOINC,
    UNKNOWN,
    UNKNOWN_EXTENSION,
    US_CORE_CATEGORY,
    Chart,
    measured,
    observation_category,
    practitioner,
    profiles,
)
from seed_data.datatypes import IDENTIFIERS, US_CORE, Record, concept, instant

QUESTIONNAIRE = "https://payer.example/Questionnaire"
QUESTIONNAIRE_URI = f"{US_CORE}/StructureDefinition/us-core-extension-questionnaire-uri"
DISPLAY = "http://hl7.org/fhir/StructureDefinition/display"
SURVEY = observation_category("survey")
OFTEN, SOMETIMES, AT_RISK = ("LA28397-0", "Often true"), ("LA6729-3", "Sometimes true"), ("LA19952-3", "At risk")


@dataclass(frozen=True, slots=True)
class Screening:
    """One questionnaire filled in by a member: when, who asked, and which observations came of it.

    `findings`: name, LOINC code, our own words, value under its FHIR name; the panel gathers them."""

    name: str
    title: str
    days_ago: int
    category: str  # of US Core; "" for a survey and nothing more
    panel: tuple[str, str]
    findings: tuple[tuple[str, str, str, dict[str, Any]], ...]
    status: str = "completed"
    by: str = "okafor"  # a practitioner, or "member"


def _coded(code: tuple[str, str]) -> dict[str, Any]:
    return {"valueCodeableConcept": concept(LOINC, *code)}


SCREENINGS: dict[str, tuple[Screening, ...]] = {
    "abernathy": (
        Screening(
            "hunger", "Food at home", 158, "sdoh", ("88121-9", "Food at home"),
            (
                ("worried", "88122-7", "Worried about food", _coded(OFTEN)),
                ("lasted", "88123-5", "Food did not last", _coded(SOMETIMES)),
                ("hunger-risk", "88124-3", "Risk of hunger", _coded(AT_RISK)),
            ),
        ),
        Screening(
            "mood", "How you have felt", 155, "", ("55757-9", "How you have felt"),
            (
                ("interest", "44250-9", "Little interest in things", _coded(("LA6569-3", "Some days"))),
                ("low", "44255-8", "Feeling low", _coded(("LA6568-5", "Never"))),
                ("mood-score", "55758-7", "Score of both answers", {"valueQuantity": measured(1, "points", "{score}")}),
            ),
        ),
    ),
    "oyelaran": (
        Screening(
            "living", "How you live", 262, "sdoh", ("93025-5", "How you live"),
            (
                ("address", "56799-0", "Address", {"valueString": "501 Prospect Row, Columbus"}),
                ("moving", "93030-5", "Kept from appointments for want of a ride", _coded(("LA30134-3", "Yes"))),
            ),
            by="member",
        ),
    ),
    "mbeki-larsen": (
        Screening(
            "hunger", "Food at home", 66, "sdoh", ("88121-9", "Food at home"),
            (
                ("worried", "88122-7", "Worried about food", {"dataAbsentReason": UNKNOWN}),
                ("hunger-risk", "88124-3", "Risk of hunger", _coded(("LA19983-8", "No risk"))),
            ),
            status="amended",
        ),
        Screening("mood", "How you have felt", 46, "", ("55757-9", "How you have felt"), (), status="in-progress", by="member"),
    ),
    "castellanos-mateo": (
        Screening(
            "learning", "School and attention", 185, "cognitive-status", ("69858-9", "School and attention"),
            (("remembering", "69858-9", "Trouble remembering", _coded(("LA32-8", "No"))),),
            by="nakashima",
        ),
    ),
}  # fmt: skip


ANSWERS = (("LA6568-5", "Never"), ("LA6569-3", "Some days"))


def _drawn(chart: Chart) -> tuple[Screening, ...]:
    """At each yearly check-up of a drawn adult, how they have felt; at the first one also how they live."""
    if not chart.is_drawn or chart.age < 18:
        return ()
    found = []
    yearly = [visit for visit in chart.visits if visit.scenario == "annual"]
    for position, visit in enumerate(yearly):
        days_ago, score = (chart.as_of - visit.start).days, chart.draw.randrange(3)
        findings: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
            ("interest", "44250-9", "Little interest in things", _coded(ANSWERS[score > 0])),
            ("low", "44255-8", "Feeling low", _coded(ANSWERS[score > 1])),
            ("mood-score", "55758-7", "Score of both answers", {"valueQuantity": measured(score, "points", "{score}")}),
        )
        panel = ("55757-9", "How you have felt")
        found.append(Screening(f"mood-{visit.name}", panel[1], days_ago, "", panel, findings, by=visit.practitioner))
        if position == 0:
            ride = _coded(("LA30134-3", "Yes") if score else ("LA32-8", "No"))
            living: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
                ("address", "56799-0", "Address", {"valueString": f"{chart.member.line}, {chart.member.city}"}),
                ("moving", "93030-5", "Kept from appointments for want of a ride", ride),
            )
            panel = ("93025-5", "How you live")
            found.append(Screening(f"living-{visit.name}", panel[1], days_ago, "sdoh", panel, living, by="member"))
    return tuple(found)


def _answer(value: dict[str, Any]) -> dict[str, Any]:
    """The value of an observation as the answer it was drawn from."""
    if "valueCodeableConcept" in value:
        found = value["valueCodeableConcept"]
        return {"valueCoding": found["coding"][0]}
    if "valueQuantity" in value:
        return {"valueDecimal": Decimal(value["valueQuantity"]["value"])}
    return dict(value)


def _items(screening: Screening) -> list[Record]:
    """The questions with their answers, below the last of them one more, then a group about the talk itself."""
    asked: list[Record] = [
        {
            "linkId": str(number),
            "text": text,
            **({"answer": [_answer(value)]} if "dataAbsentReason" not in value else {}),
        }
        for number, (_, _, text, value) in enumerate(screening.findings, 1)
    ]
    if not asked:
        return []
    below = {"linkId": f"{len(asked)}.1", "text": "In your own words", "answer": [{"valueString": "Nothing to add"}]}
    asked[-1]["answer"][0]["item"] = [below]
    place = {"linkId": "talk.1", "text": "Where", "answer": [{"valueString": "On the telephone"}]}
    return [*asked, {"linkId": "talk", "text": "About this talk", "item": [place]}]


def _response(chart: Chart, row: Screening) -> Record:
    unfinished, form = row.status == "in-progress", row.name.partition("-")[0]
    authored: dict[str, Any] = (
        {"_authored": UNKNOWN_EXTENSION} if unfinished else {"authored": instant(chart.draw, chart.day(row.days_ago))}
    )
    return chart.record(
        "QuestionnaireResponse",
        row.name,
        chart.day(row.days_ago),
        profiles("us-core-questionnaireresponse"),
        identifier={
            "system": f"{IDENTIFIERS}/questionnaire-response",
            "value": f"Q{chart.member.serial}-{row.name}",
        },
        questionnaire=f"{QUESTIONNAIRE}/{form}|1.0",
        _questionnaire={
            "extension": [
                {"url": DISPLAY, "valueString": row.title},
                {"url": QUESTIONNAIRE_URI, "valueUri": f"https://payer.example/forms/{form}"},
            ]
        },
        status=row.status,
        subject=chart.patient,
        **authored,
        author=chart.patient if row.by == "member" else practitioner(row.by),
        item=_items(row) or None,
    )


def _observations(chart: Chart, row: Screening, response: Record) -> list[Record]:
    category = [SURVEY, *([concept(US_CORE_CATEGORY, row.category)] if row.category else [])]
    day = chart.day(row.days_ago)
    source = [{"reference": f"QuestionnaireResponse/{response['id']}"}]
    head: Record = {
        "status": "final",
        "category": category,
        "subject": chart.patient,
        "effectiveDateTime": chart.when(day),
        "performer": [chart.patient if row.by == "member" else practitioner(row.by)],
    }
    profile = profiles("us-core-observation-screening-assessment")
    found = [
        chart.record(
            "Observation",
            f"{row.name}-{name}",
            day,
            profile,
            **head,
            code=concept(LOINC, code, text),
            **value,
            derivedFrom=source,
        )
        for name, code, text, value in row.findings
    ]
    panel = chart.record(
        "Observation",
        f"{row.name}-panel",
        day,
        profile,
        **head,
        code=concept(LOINC, *row.panel),
        hasMember=[{"reference": f"Observation/{item['id']}"} for item in found],
        derivedFrom=source,
    )
    score = [item for item in found if "valueQuantity" in item]
    for item in score:  # a score is drawn from the answers before it
        item["derivedFrom"] = [
            {"reference": f"Observation/{other['id']}"} for other in found if other is not item
        ] + source
    return [*found, panel]


def screenings(chart: Chart) -> list[Record]:
    """Each questionnaire response, then what was found in it; an unfinished one has nothing to find yet."""
    found: list[Record] = []
    for row in SCREENINGS.get(chart.member.key, ()) or _drawn(chart):
        response = _response(chart, row)
        found.append(response)
        if row.findings:
            found += _observations(chart, row, response)
    return found
