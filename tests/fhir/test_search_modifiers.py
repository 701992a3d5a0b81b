"""Modifiers and the finer points of values: ``:missing``, ``:not``, ``:exact``, ``:contains``, ``:identifier``, ``:[type]``, escapes.

https://hl7.org/fhir/R4/search.html#modifiers and #escaping
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.factories import IDENTIFIERS, Record, concept, coverage, identifier, organization, patient, record, reference
from tests.lasting import FHIR_BASE, World, lasting_world

CODES = "https://payer.example/codes"
OTHER_CODES = "https://other.example/codes"
ANNA = patient("anna", name=[{"family": "O'Brien-Müller", "given": ["Anna", "Łucja"]}], deceasedDateTime="2026-05-01")
MOTHER = record("RelatedPerson", "mother", patient=reference(ANNA), name=[{"text": "Käthe, the elder"}])
NAMELESS = record("RelatedPerson", "nameless", patient=reference(ANNA))


def problem(id: str, **elements: Any) -> Record:
    """A Condition."""
    return record("Condition", id, subject=reference(ANNA), **elements)


def request(id: str, medication: Record, **elements: Any) -> Record:
    """A MedicationRequest."""
    return record(
        "MedicationRequest",
        id,
        status="active",
        intent="order",
        subject=reference(ANNA),
        **medication,
        **elements,
    )


VISIT = record(
    "Encounter",
    "visit",
    status="finished",
    subject=reference(ANNA),
    **{"class": {"system": CODES, "code": "AMB"}},
)
RECORDS: list[Record] = [
    organization("payer"),
    organization("a-b", name="A, B | C", identifier=[identifier("one,two|three")]),
    organization("west", name="St. Mary's West", alias=["The Western"]),
    *(ANNA, MOTHER, NAMELESS, VISIT),
    problem("plain", code=concept(CODES, "asthma"), encounter=reference(VISIT), recordedDate="2026-01-01"),
    problem(
        "two-codes",
        code={"coding": [{"system": CODES, "code": "asthma"}, {"system": OTHER_CODES, "code": "J45"}]},
        onsetPeriod={"start": "2026"},
    ),
    problem("without-system", code={"coding": [{"code": "asthma"}]}),
    problem("only-text", code={"text": "wheezing"}, onsetString="long ago"),
    problem("without-code", encounter={"identifier": identifier("visit-7")}),
    problem("display-only", encounter={"display": "a visit somewhere"}),
    problem("elsewhere", encounter=reference("https://other.example/fhir/Encounter/visit")),
    record("Medication", "pill", code=concept(CODES, "pill")),
    request("by-reference", {"medicationReference": reference("Medication/pill")}),
    request("by-code", {"medicationCodeableConcept": concept(CODES, "pill")}),
    record(
        "CareTeam",
        "team",
        subject=reference(ANNA),
        participant=[
            {"member": reference(name)} for name in ("Organization/west", "RelatedPerson/mother", "Patient/anna")
        ],
    ),
    record("CareTeam", "alone", subject=reference(ANNA), participant=[{"role": [concept(CODES, "self")]}]),
    record("CareTeam", "west", subject=reference(ANNA), participant=[{"member": reference("RelatedPerson/west")}]),
    coverage("gold", ANNA),
    coverage("silver", ANNA, MOTHER),
    record(
        "QuestionnaireResponse",
        "answers",
        status="completed",
        subject=reference(ANNA),
        questionnaire="https://forms.example/Questionnaire/phq|2",
    ),
]
CONDITIONS = sorted(each["id"] for each in RECORDS if each["resourceType"] == "Condition")
WITH_CODE = ["only-text", "plain", "two-codes", "without-system"]
ALL_BUT = {name: [id for id in CONDITIONS if id not in (name,)] for name in CONDITIONS}

MISSING = {
    "a token that is there": ("Condition?code:missing=false", WITH_CODE),
    "a token that is not": ("Condition?code:missing=true", sorted(set(CONDITIONS) - set(WITH_CODE))),
    "a reference, of any kind": (
        "Condition?encounter:missing=false",
        ["display-only", "elsewhere", "plain", "without-code"],
    ),
    "no reference": ("Condition?encounter:missing=true", ["only-text", "two-codes", "without-system"]),
    "a date": ("Condition?recorded-date:missing=false", ["plain"]),
    "no date": ("Condition?recorded-date:missing=true", ALL_BUT["plain"]),
    "an onset that is no date": ("Condition?onset-date:missing=false", ["two-codes"]),
    "a string": ("RelatedPerson?name:missing=false", ["mother"]),
    "no string": ("RelatedPerson?name:missing=true", ["nameless"]),
    "the member's reference is never missing": ("Condition?patient:missing=true", []),
    "the member's reference is always there": ("Condition?patient:missing=false", CONDITIONS),
    "an id is never missing": ("Condition?_id:missing=true", []),
    "an id is always there": ("Condition?_id:missing=false", CONDITIONS),
    "the time of an update is never missing": ("Condition?_lastUpdated:missing=true", []),
    "with another parameter": (
        "Condition?code:missing=false&encounter:missing=true&code=asthma",
        ["two-codes", "without-system"],
    ),
    "in the directory": ("Organization?address:missing=true", ["a-b", "payer", "west"]),
    "in the directory, there": ("Organization?name:missing=false", ["a-b", "payer", "west"]),
    "what a code stands for is no reference": ("MedicationRequest?medication:missing=true", ["by-code"]),
    "in what is named only": ("Medication?_id:missing=false", ["pill"]),
}
NOT = {
    "another code": ("Condition?code:not=asthma", sorted(set(CONDITIONS) - {"plain", "two-codes", "without-system"})),
    "none of its codes": ("Condition?code:not=J45", ALL_BUT["two-codes"]),
    "of a system": (f"Condition?code:not={CODES}|asthma", sorted(set(CONDITIONS) - {"plain", "two-codes"})),
    "of no system": ("Condition?code:not=|asthma", ALL_BUT["without-system"]),
    "any code of a system": (f"Condition?code:not={OTHER_CODES}|", ALL_BUT["two-codes"]),
    "none of a list": (
        f"Condition?code:not={OTHER_CODES}|J45,|asthma",
        sorted(set(CONDITIONS) - {"two-codes", "without-system"}),
    ),
    "twice": ("Condition?code:not=J45&code:not=|asthma", sorted(set(CONDITIONS) - {"two-codes", "without-system"})),
    "with what it is": ("Condition?code:not=J45&code=asthma", ["plain", "without-system"]),
    "what is not there is not it": ("MedicationRequest?status:not=completed", ["by-code", "by-reference"]),
    "in the directory": (f"Organization?identifier:not={IDENTIFIERS}|npi-payer", ["a-b", "west"]),
}
TOKENS = {
    "system and code": (f"Condition?code={CODES}|asthma", ["plain", "two-codes"]),
    "a system's codes": (f"Condition?code={OTHER_CODES}|", ["two-codes"]),
    "a code without a system": ("Condition?code=|asthma", ["without-system"]),
    "a code of any system": ("Condition?code=asthma", ["plain", "two-codes", "without-system"]),
    "a text is no code": ("Condition?code=wheezing", []),
    "a code that has its system from the element": ("MedicationRequest?intent=order", ["by-code", "by-reference"]),
    "a Coding": (f"Encounter?class={CODES}|AMB", ["visit"]),
    "an id as a token without a system": ("Condition?_id=|plain", ["plain"]),
    "an id of some system": (f"Condition?_id={CODES}|plain", []),
}
ESCAPES = {
    "a comma and a bar of an identifier": (rf"Organization?identifier={IDENTIFIERS}|one\,two\|three", ["a-b"]),
    "the same without its system": (r"Organization?identifier=one\,two\|three", ["a-b"]),
    "a comma that is not escaped": (r"Organization?identifier=one,two\|three", []),
    "a bar that is not escaped": (r"Organization?identifier=one\,two|three", []),
    "in a list": (r"Organization?identifier=npi-west,one\,two\|three", ["a-b", "west"]),
    "a comma of a name": (r"Organization?name:exact=A\, B | C", ["a-b"]),
    "a comma in the beginning of a name": (r"RelatedPerson?name=Käthe\, the", ["mother"]),
    "a backslash is itself when doubled": (r"Organization?identifier=one\\,two", []),
    "a dollar sign": (r"Organization?identifier=npi-west,\$", ["west"]),
}
STRINGS = {
    "exact, as it is written": ("Patient?family:exact=O'Brien-Müller", ["anna"]),
    "exact, without its accent": ("Patient?family:exact=O'Brien-Muller", []),
    "exact, in other case": ("Patient?family:exact=o'brien-müller", []),
    "exact, its beginning": ("Patient?family:exact=O'Brien", []),
    "exact, one of a list": ("Patient?given:exact=Berta,Łucja", ["anna"]),
    "exact, in the directory": ("Organization?name:exact=The Western", ["west"]),
    "contains its middle": ("Patient?family:contains=RIEN", ["anna"]),
    "contains its end, without accents": ("Patient?family:contains=muller", ["anna"]),
    "contains over a hyphen": ("Patient?family:contains=brien mu", ["anna"]),
    "contains what is not there": ("Patient?family:contains=smith", []),
    "contains no wildcard": ("Patient?family:contains=%", []),
    "contains, in the directory": ("Organization?name:contains=western", ["west"]),
    "a beginning, without accents": ("Patient?given=lucja", ["anna"]),
    "not a middle": ("Patient?given=ucja", []),
}
REFERENCES = {
    "by the identifier of a logical reference": (
        f"Condition?encounter:identifier={IDENTIFIERS}|visit-7",
        ["without-code"],
    ),
    "by its value alone": ("Condition?encounter:identifier=visit-7", ["without-code"]),
    "by another system's": ("Condition?encounter:identifier=https://x.example|visit-7", []),
    "by a typed id": ("CareTeam?participant:RelatedPerson=mother", ["team"]),
    "an id of two types, typed": ("CareTeam?participant:Organization=west", ["team"]),
    "an id of two types, typed otherwise": ("CareTeam?participant:RelatedPerson=west", ["west"]),
    "an id of two types, of any": ("CareTeam?participant=west", ["team", "west"]),
    "typed, and none of that type": ("CareTeam?participant:Practitioner=west", []),
    "the member as a participant": ("CareTeam?participant=Patient/anna", ["team"]),
    "another server's is not ours": ("Condition?encounter=Encounter/visit", ["plain"]),
    "another server's by its URL": ("Condition?encounter=https://other.example/fhir/Encounter/visit", ["elsewhere"]),
    "a canonical": ("QuestionnaireResponse?questionnaire=https://forms.example/Questionnaire/phq", ["answers"]),
    "a canonical with its version": (
        "QuestionnaireResponse?questionnaire=https://forms.example/Questionnaire/phq|2",
        ["answers"],
    ),
    "a canonical of another version": (
        "QuestionnaireResponse?questionnaire=https://forms.example/Questionnaire/phq|1",
        [],
    ),
    "a Medication": ("MedicationRequest?medication=pill", ["by-reference"]),
}
COVERAGES = {
    "of the patient": "patient=anna",
    "of the patient by type": "patient=Patient/anna",
    "of the patient by URL": f"patient={FHIR_BASE}/Patient/anna",
    "of the patient by modifier": "patient:Patient=anna",
    "of the beneficiary": "beneficiary=anna",
    "of the beneficiary by type": "beneficiary=Patient/anna",
    "of the beneficiary by modifier": "beneficiary:Patient=anna",
    "of both": "patient=anna&beneficiary=Patient/anna",
    "of one of two": "beneficiary=ben,anna",
}
WRONG = (
    "Condition?code:text=asthma",
    "Condition?code:exact=asthma",
    "Condition?recorded-date:not=2026",
    "Condition?encounter:not=visit",
    "Condition?encounter:Patient=visit",
    "Patient?family:not=smith",
    "Condition?code:missing=maybe",
    "Condition?_id:not=plain",
    "Condition?_id:identifier=plain",
)


def query(text: str) -> str:
    """A query as an app would encode it."""
    return quote(text, safe="=&?/:,|")


def table(*cases: dict[str, tuple[str, list[str]]]) -> pytest.MarkDecorator:
    """Cases by their names."""
    all = [(asked, expected, name) for each in cases for name, (asked, expected) in each.items()]
    return pytest.mark.parametrize(
        ("asked", "expected"),
        [case[:2] for case in all],
        ids=[f"{number} {case[2]}" for number, case in enumerate(all)],
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def anna(request: pytest.FixtureRequest) -> Iterator[World]:
    """Anna's records, made to be told apart by modifiers."""
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


@table(MISSING)
def test_missing_asks_whether_the_element_is_there(anna: World, asked: str, expected: list[str]) -> None:
    assert anna.found("anna", query(asked)) == expected


@table(NOT)
def test_not_finds_what_has_none_of_the_codes(anna: World, asked: str, expected: list[str]) -> None:
    assert anna.found("anna", query(asked)) == expected


@table(TOKENS, ESCAPES)
def test_a_token_is_read_with_its_bars_and_escapes(anna: World, asked: str, expected: list[str]) -> None:
    assert anna.found("anna", query(asked)) == expected


@table(STRINGS)
def test_a_string_is_found_exactly_by_its_beginning_or_by_any_part(
    anna: World, asked: str, expected: list[str]
) -> None:
    assert anna.found("anna", query(asked)) == expected


@table(REFERENCES)
def test_a_reference_is_found_by_type_identifier_or_url(anna: World, asked: str, expected: list[str]) -> None:
    assert anna.found("anna", query(asked)) == expected


@pytest.mark.parametrize("asked", COVERAGES.values(), ids=COVERAGES)
def test_coverage_is_found_by_patient_and_by_beneficiary(anna: World, asked: str) -> None:
    assert anna.found("anna", f"Coverage?{query(asked)}") == ["gold", "silver"]
    assert anna.found("ben", f"Coverage?{query(asked)}") == []


@pytest.mark.parametrize("asked", WRONG)
def test_a_modifier_that_does_not_fit_is_a_bad_request_that_names_those_that_do(anna: World, asked: str) -> None:
    reply = anna.get("anna", query(asked))
    assert reply.status == 400
    issue = reply.json["issue"][0]
    assert asked.partition("?")[2].partition(":")[0] in issue["diagnostics"]
    assert ":missing" in issue["diagnostics"] or "_id" in asked
