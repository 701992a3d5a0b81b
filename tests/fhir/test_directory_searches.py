"""The directory is found by identifier, name and address, by every member alike.

https://hl7.org/fhir/R4/search.html#string - a name or an address by the beginning of any of its parts.
"""

from collections.abc import Iterator

import pytest

from server.specification.registry import RESOURCES
from tests.factories import IDENTIFIERS, Record, concept, identifier, organization, patient, practitioner, record
from tests.lasting import World, lasting_world

NPI = "http://hl7.org/fhir/sid/us-npi"
ELM = {"use": "work", "line": ["1 Elm Street", "Suite 5"], "city": "Springfield", "state": "IL", "postalCode": "62701"}
OAK = {"line": ["9 Oak Avenue"], "city": "Shelbyville", "state": "IL", "postalCode": "62565", "country": "US"}
CONNECTION = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"}
RECORDS: list[Record] = [
    *(patient("anna"), patient("ben")),
    organization("east", name="Eastern Clinic", alias=["The Old Mill"], address=[ELM, OAK], identifier=[identifier("1", NPI)]),
    organization("west", name="Clínica del Oeste", address=[OAK], identifier=[identifier("2", NPI), identifier("1")]),
    practitioner("healer", name=[{"family": "O'Hara", "given": ["Zoë", "Mae"], "prefix": ["Dr."]}], address=[ELM]),
    practitioner("surgeon", name=[{"text": "Mae East"}], address=[OAK], identifier=[identifier("3", NPI)]),
    record("PractitionerRole", "role", identifier=[identifier("role-1", NPI)], active=True),
    record("Location", "elm", name="Main building", alias=["East wing"], address=ELM, identifier=[identifier("L1")]),
    record("Location", "oak", name="Annex", address=OAK, identifier=[identifier("L2")]),
    record(
        "Endpoint",
        "exchange",
        identifier=[identifier("E1")],
        name="Exchange of the East",
        status="active",
        connectionType=CONNECTION,
        payloadType=[concept("http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "any")],
        address="https://east.example/fhir",
    ),
]  # fmt: skip
SEARCHES = {
    "an organization by system and number": (f"Organization?identifier={NPI}|1", ["east"]),
    "organizations by number of any system": ("Organization?identifier=1", ["east", "west"]),
    "organizations by system": (f"Organization?identifier={NPI}|", ["east", "west"]),
    "an organization by another's system": (f"Organization?identifier={IDENTIFIERS}|2", []),
    "organizations by several numbers": (f"Organization?identifier={NPI}|1,{NPI}|2,{NPI}|3", ["east", "west"]),
    "an organization by the beginning of its name": ("Organization?name=eastern", ["east"]),
    "an organization by its other name": ("Organization?name=the old", ["east"]),
    "an organization without accents": ("Organization?name=clinica", ["west"]),
    "an organization by the middle of its name": ("Organization?name=clinic", ["west"]),
    "organizations by a part of their names": ("Organization?name:contains=clinic", ["east", "west"]),
    "an organization by its exact name": ("Organization?name:exact=Eastern Clinic", ["east"]),
    "an organization by street": ("Organization?address=1 elm", ["east"]),
    "organizations by any of their addresses": ("Organization?address=shelby", ["east", "west"]),
    "organizations by state": ("Organization?address=IL", ["east", "west"]),
    "an organization by postal code": ("Organization?address=62701", ["east"]),
    "an organization by name and address": ("Organization?name=clínica&address=9 oak", ["west"]),
    "a practitioner by number": (f"Practitioner?identifier={NPI}|3", ["surgeon"]),
    "a practitioner by family name": ("Practitioner?name=ohara", ["healer"]),
    "a practitioner by given name": ("Practitioner?name=zoe", ["healer"]),
    "practitioners by any part of their names": ("Practitioner?name=mae", ["healer", "surgeon"]),
    "a practitioner by city": ("Practitioner?address=springfield", ["healer"]),
    "a practitioner by an address that is another's": ("Practitioner?name=zoe&address=oak", []),
    "a role by number": (f"PractitionerRole?identifier={NPI}|role-1", ["role"]),
    "a place by number": (f"Location?identifier={IDENTIFIERS}|L2", ["oak"]),
    "a place by name": ("Location?name=annex", ["oak"]),
    "a place by its other name": ("Location?name=east", ["elm"]),
    "a place by its second line": ("Location?address=suite", ["elm"]),
    "a place by country": ("Location?address=US", ["oak"]),
    "places by state": ("Location?address-state=il", ["elm", "oak"]),
    "an endpoint by number": (f"Endpoint?identifier={IDENTIFIERS}|E1", ["exchange"]),
    "an endpoint by name": ("Endpoint?name=exchange of", ["exchange"]),
    "an endpoint by another's name": ("Endpoint?name=eastern", []),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


@pytest.mark.parametrize(("asked", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_it_finds(world: World, asked: str, expected: list[str]) -> None:
    assert world.found("anna", asked) == expected
    assert world.found("ben", asked) == expected


@pytest.mark.parametrize("type", [row.type for row in RESOURCES.values() if row.is_directory])
def test_every_type_of_the_directory_is_found_by_identifier(world: World, type: str) -> None:
    numbered = [each for each in RECORDS if each["resourceType"] == type]
    assert numbered
    for each in numbered:
        number = each["identifier"][0]
        assert each["id"] in world.found("anna", f"{type}?identifier={number['system']}|{number['value']}")
