"""What was sent with a prior authorization, as structured records: the form with its answers, the note, and the plan's letter.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-questionnaireresponse.html"""

from base64 import b64encode
from datetime import date, datetime, timedelta

from seed_data.authorization_events import Case
from seed_data.authorization_states import State, said, states
from seed_data.conditions import SENSITIVE
from seed_data.datatypes import IDENTIFIERS, US_CORE, Record, coding, concept, security_labels, us_core_profiles
from seed_data.directory import PRACTITIONER_REFERENCE

LOINC = "http://loinc.org"
CLINICAL_NOTE = concept(f"{US_CORE}/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical note")
FORMAT = coding(
    "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "urn:ihe:iti:xds:2017:mimeTypeSufficient"
)


def _name(case: Case, kind: str) -> str:
    return f"{kind}-{case.member.key}-authorization-{case.number}"


def attached(case: Case, state: State) -> list[Record]:
    """References to what was sent with the request, and to the letter that answered it."""
    found = []
    if case.service.question:
        found.append({"reference": f"QuestionnaireResponse/{_name(case, 'questionnaireresponse')}"})
    if case.service.note:
        found.append({"reference": f"DocumentReference/{_name(case, 'documentreference')}-note"})
    if state.letter:
        found.append({"reference": f"DocumentReference/{_name(case, 'documentreference')}-letter"})
    return found


def _document(case: Case, kind: str, type: Record, title: str, words: str, at: datetime, author: Record) -> Record:
    text = f"{title}. {case.member.name}, {said(at.date())}. {words}"
    attachment = {"contentType": "text/plain", "language": "en", "data": b64encode(text.encode()).decode()}
    return {
        "resourceType": "DocumentReference",
        "id": f"{_name(case, 'documentreference')}-{kind}",
        "meta": {
            "lastUpdated": (at + timedelta(minutes=10)).isoformat(),
            "profile": us_core_profiles("us-core-documentreference"),
        },
        "identifier": [
            {
                "system": f"{IDENTIFIERS}/document",
                "value": f"D{case.member.authorization_number(case.number)}-{kind}",
            }
        ],
        "status": "current",
        "type": type,
        "category": [CLINICAL_NOTE],
        "subject": {"reference": f"Patient/{case.member.id}", "display": case.member.name},
        "date": at.isoformat(),
        "author": [author],
        "content": [{"attachment": {**attachment, "title": title}, "format": FORMAT}],
        "context": {"period": {"start": case.asked.isoformat(), "end": at.date().isoformat()}},
    }


def _questionnaire_response(case: Case) -> Record:
    at, question = case.moments[0].at, case.service.question
    form = f"https://payer.example/forms/authorization-{case.row.scenario}"
    display = "http://hl7.org/fhir/StructureDefinition/display"
    answers = [
        {
            "linkId": "1",
            "text": question,
            "answer": [{"valueString": case.service.note or "As told at the last visit"}],
        },
        {"linkId": "2", "text": "Units asked for", "answer": [{"valueInteger": case.service.lines[0].units}]},
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": _name(case, "questionnaireresponse"),
        "meta": {
            "lastUpdated": (at + timedelta(minutes=5)).isoformat(),
            "profile": us_core_profiles("us-core-questionnaireresponse"),
        },
        "identifier": {
            "system": f"{IDENTIFIERS}/questionnaire-response",
            "value": f"Q{case.member.authorization_number(case.number)}",
        },
        "questionnaire": f"{form}|1.0",
        "_questionnaire": {
            "extension": [
                {"url": display, "valueString": "What the plan asks before it decides"},
                {"url": f"{US_CORE}/StructureDefinition/us-core-extension-questionnaire-uri", "valueUri": form},
            ]
        },
        "status": "completed",
        "subject": {"reference": f"Patient/{case.member.id}", "display": case.member.name},
        "authored": at.isoformat(),
        "author": PRACTITIONER_REFERENCE[case.service.practitioner],
        "item": answers,
    }


def documents(case: Case, as_of: date) -> list[Record]:
    """What was sent with a request (a form with its answers, a clinical note), and the letter with the last decision."""
    found = []
    at, author = case.moments[0].at, PRACTITIONER_REFERENCE[case.service.practitioner]
    if case.service.question:
        found.append(_questionnaire_response(case))
    if case.service.note:
        note = concept(LOINC, "11488-4", "Consultation")
        found.append(_document(case, "note", note, "Consultation", case.service.note, at, author))
    decided = [state for state in states(case, as_of) if state.letter and state.decided == state.at.date()]
    if decided:
        state = decided[-1]
        letter = concept(LOINC, "51851-4", "Letter of the plan")
        payer = case.coverage["payor"][0]
        found.append(_document(case, "letter", letter, "Our decision", state.words, state.at, payer))
    for document in found:
        if case.service.diagnosis[0] in SENSITIVE:
            document["meta"]["security"] = security_labels(SENSITIVE[case.service.diagnosis[0]])
    return found
