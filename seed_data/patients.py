"""Patient and RelatedPerson records: a member as the payer's enrolment system knows them.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-patient.html"""

from datetime import date, timedelta
from random import Random

from seed_data.datatypes import (
    C4BB_IDENTIFIER_TYPE,
    IDENTIFIERS,
    US_CORE,
    Record,
    address,
    carin,
    coding,
    concept,
    identifier,
    instant,
    reference,
    telephone,
    us_core_profiles,
)
from seed_data.members import Member, Representative

OMB = "urn:oid:2.16.840.1.113883.6.238"
ETHNICITY = {True: ("2135-2", "Hispanic or Latino"), False: ("2186-5", "Not Hispanic or Latino")}
SEX = {"female": "248152002", "male": "248153007"}  # SNOMED CT
INTERPRETER = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
LANGUAGE = {"ar": "Arabic", "en": "English", "es": "Spanish", "so": "Somali", "vi": "Vietnamese", "zh": "Chinese"}


def date_of_death(member: Member, as_of: date) -> date | None:
    return as_of - timedelta(days=member.died_days_ago) if member.died_days_ago else None


def _category(name: str, code: tuple[str, str]) -> Record:
    return {
        "url": f"{US_CORE}/StructureDefinition/us-core-{name}",
        "extension": [
            {"url": "ombCategory", "valueCoding": {**coding(OMB, code[0]), "display": code[1]}},
            {"url": "text", "valueString": code[1]},
        ],
    }


def _tribe(member: Member) -> list[Record]:
    """The tribal affiliation that one member told the plan of."""
    if member.key != "abernathy":
        return []
    code = concept("http://terminology.hl7.org/CodeSystem/v3-TribalEntityUS", "187", "Paiute-Shoshone of Fallon")
    parts = [{"url": "tribalAffiliation", "valueCodeableConcept": code}, {"url": "isEnrolled", "valueBoolean": False}]
    return [{"url": f"{US_CORE}/StructureDefinition/us-core-tribal-affiliation", "extension": parts}]


def _name(member: Member) -> Record:
    found: Record = {
        "use": "official",
        "text": " ".join([*member.given, member.family]),
        "family": member.family,
        "given": list(member.given),
    }
    return {**found, "suffix": ["Sr."]} if member.key == "fairweather" else found


def _before(member: Member, until: str) -> tuple[list[Record], list[Record]]:
    """The name and the address that a member who married and moved had until then."""
    if member.key != "gallagher-ruiz":
        return [], []
    over = {"end": until}
    name = {"use": "old", "family": "Gallagher", "given": list(member.given), "period": over}
    return [name], [address("17 Harrow Street", "Toledo", "43604", use="old", period=over)]


def _telecom(member: Member) -> list[Record]:
    return [
        telephone(f"614-555-{(200 + member.number) % 10000:04d}", "mobile"),
        {"system": "email", "value": f"{member.key}@example.com", "use": "home"},
    ]


def patient(member: Member, draw: Random, as_of: date) -> Record:
    """The Patient of a member; `identifier` is the card number (MB) and the enterprise person (um)."""
    death = date_of_death(member, as_of)
    changed = (
        death + timedelta(days=9) if death else date(as_of.year - 1, 1 + draw.randrange(12), 1 + draw.randrange(28))
    )
    record: Record = {
        "resourceType": "Patient",
        "id": member.id,
        "meta": {
            "lastUpdated": instant(draw, changed),
            "profile": [*carin("C4BB-Patient"), *us_core_profiles("us-core-patient")],
        },
        "extension": [
            _category("race", member.race),
            _category("ethnicity", ETHNICITY[member.hispanic]),
            {"url": f"{US_CORE}/StructureDefinition/us-core-birthsex", "valueCode": member.gender[0].upper()},
            {"url": f"{US_CORE}/StructureDefinition/us-core-sex", "valueCode": SEX[member.gender]},
            *_tribe(member),
            {"url": INTERPRETER, "valueBoolean": member.language != "en"},
        ],
        "identifier": [
            identifier(f"{IDENTIFIERS}/member", member.card_number, type_code="MB"),
            identifier(f"{IDENTIFIERS}/person", member.person, C4BB_IDENTIFIER_TYPE, "um"),
        ],
        "active": True,
        "name": [_name(member)],
        "telecom": _telecom(member),
        "gender": member.gender,
        "birthDate": member.birth_date.isoformat(),
    }
    if death:
        record["deceasedDateTime"] = death.isoformat()
    moved = date(as_of.year - 3, 1 + draw.randrange(12), 1)
    old_names, old_addresses = _before(member, moved.isoformat())
    record["name"] += old_names
    record["address"] = [
        address(member.line, member.city, member.postal_code, use="home", period={"start": moved.isoformat()}),
        *old_addresses,
    ]
    record["communication"] = [
        {"language": {**concept("urn:ietf:bcp:47", member.language, LANGUAGE[member.language])}, "preferred": True}
    ]
    return record


def related_person(child: Member, draw: Random, as_of: date) -> Record:
    """The parent as a RelatedPerson in the child's own compartment."""
    parent = child.guardian or child
    return _related(child, parent, "FTH" if parent.gender == "male" else "MTH", draw, as_of)


def representative(member: Member, row: Representative, draw: Random, as_of: date) -> Record:
    """Somebody who acts for a member as a RelatedPerson in the member's own compartment."""
    return _related(member, row.person, row.role, draw, as_of)


def related_person_id(person: Member, member: Member) -> str:
    """The id of the RelatedPerson that a person is to a member."""
    return f"relatedperson-{person.key}-for-{member.key}"


def _related(member: Member, person: Member, role: str, draw: Random, as_of: date) -> Record:
    return {
        "resourceType": "RelatedPerson",
        "id": related_person_id(person, member),
        "meta": {
            "lastUpdated": instant(draw, date(as_of.year - 1, 2, 1 + draw.randrange(28))),
            "profile": [*carin("C4BB-RelatedPerson"), *us_core_profiles("us-core-relatedperson")],
        },
        "identifier": [identifier(f"{IDENTIFIERS}/person", person.person)],
        "active": True,
        "patient": {"reference": f"Patient/{member.id}", "display": member.name},
        "relationship": [concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", role)],
        "name": [{"use": "official", "text": person.name, "family": person.family, "given": list(person.given)}],
        "telecom": _telecom(person),
        "gender": person.gender,
        "birthDate": person.birth_date.isoformat(),
        "address": [address(person.line, person.city, person.postal_code, use="home")],
        "communication": [{"language": concept("urn:ietf:bcp:47", person.language, LANGUAGE[person.language])}],
    }


def payee_of(related: Record) -> Record:
    return {**reference(related), "display": related["name"][0]["text"]}
