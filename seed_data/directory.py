"""The payer's directory: payers, provider organizations, practitioners, their roles and locations.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-organization.html"""

from collections.abc import Iterator
from dataclasses import dataclass

from seed_data.clinical.endpoints import endpoint
from seed_data.datatypes import (
    C4BB_IDENTIFIER_TYPE,
    IDENTIFIERS,
    NAIC,
    NPI,
    NUCC,
    TAX_ID,
    Record,
    address,
    carin,
    concept,
    identifier,
    named_reference,
    reference,
    telephone,
    us_core,
)


def national_provider_identifier(stem: str) -> str:
    """The ten digits of an NPI: nine given ones and the Luhn check digit over 80840 and them.

    45 CFR 162.406; the prefix 80840 is the card issuer number of United States health applications."""
    total = 24  # what the prefix 80840 adds
    for position, digit in enumerate(reversed(stem)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return f"{stem}{-total % 10}"


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    key: str
    name: str
    type: str  # code of http://terminology.hl7.org/CodeSystem/organization-type: pay | prov
    npi_stem: str
    tax: str
    line: str
    city: str
    postal_code: str
    phone: str
    payer: str = ""
    naic: str = ""
    place: str = "HOSP"  # v3-RoleCode of its location


ORGANIZATIONS = (
    OrganizationRow(
        "meridale",
        "Meridale Health Plan",
        "pay",
        "120000001",
        "31-5550101",
        "1 Harbor Plaza",
        "Columbus",
        "43215",
        "614-555-0100",
        payer="11111",
        naic="95501",
    ),
    OrganizationRow(
        "meridale-community",
        "Meridale Community Care",
        "pay",
        "120000002",
        "31-5550102",
        "3 Harbor Plaza",
        "Columbus",
        "43215",
        "614-555-0110",
        payer="22222",
        naic="95502",
    ),
    OrganizationRow(
        "northgate",
        "Northgate Regional Hospital",
        "prov",
        "120000011",
        "31-5550111",
        "800 Northgate Drive",
        "Columbus",
        "43229",
        "614-555-0120",
    ),
    OrganizationRow(
        "lakeshore",
        "Lakeshore Medical Group",
        "prov",
        "120000012",
        "31-5550112",
        "45 Lakeshore Avenue",
        "Westerville",
        "43081",
        "614-555-0130",
        place="PC",
    ),
    OrganizationRow(
        "riverbend",
        "Riverbend Outpatient Center",
        "prov",
        "120000013",
        "31-5550113",
        "210 Riverbend Road",
        "Dublin",
        "43017",
        "614-555-0140",
        place="OF",
    ),
    OrganizationRow(
        "cedar-dental",
        "Cedar Street Dental",
        "prov",
        "120000014",
        "31-5550114",
        "67 Cedar Street",
        "Columbus",
        "43206",
        "614-555-0150",
        place="OF",
    ),
    OrganizationRow(
        "millbrook",
        "Millbrook Pharmacy",
        "prov",
        "120000015",
        "31-5550115",
        "12 Mill Lane",
        "Worthington",
        "43085",
        "614-555-0160",
        place="OUTPHARM",
    ),
    OrganizationRow(
        "swiftline",
        "Swiftline Ambulance",
        "prov",
        "120000016",
        "31-5550116",
        "5 Depot Way",
        "Columbus",
        "43204",
        "614-555-0170",
        place="AMB",
    ),
    OrganizationRow(
        "hollow-creek",
        "Hollow Creek Specialists",
        "prov",
        "120000017",
        "31-5550117",
        "920 Hollow Creek Road",
        "Delaware",
        "43015",
        "740-555-0180",
        place="ORTHO",
    ),
)


@dataclass(frozen=True, slots=True)
class PractitionerRow:
    key: str
    given: str
    family: str
    prefix: str
    npi_stem: str
    organization: str
    taxonomy: str  # NUCC provider taxonomy code
    specialty: str  # our own words
    tax: str = ""


PRACTITIONERS = (
    PractitionerRow("okafor", "Adaeze", "Okafor", "Dr.", "130000001", "lakeshore", "207Q00000X", "Family doctor"),
    PractitionerRow(
        "lindqvist", "Tobias", "Lindqvist", "Dr.", "130000002", "northgate", "208M00000X", "Hospital doctor"
    ),
    PractitionerRow("amador", "Rosalía", "Amador", "Dr.", "130000003", "northgate", "208600000X", "Surgeon"),
    PractitionerRow("petrakis", "Eleni", "Petrakis", "Dr.", "130000004", "lakeshore", "207RC0000X", "Heart doctor"),
    PractitionerRow(
        "brandvold", "Signe", "Brandvold", "Dr.", "130000005", "cedar-dental", "122300000X", "Dentist", "31-5550205"
    ),
    PractitionerRow(
        "whitcombe", "Jasper", "Whitcombe", "Dr.", "130000006", "riverbend", "2085R0202X", "Imaging doctor"
    ),
    PractitionerRow(
        "nakashima", "Ren", "Nakashima", "Dr.", "130000007", "lakeshore", "208000000X", "Children's doctor"
    ),
    PractitionerRow(
        "delacroix", "Odile", "Delacroix", "Dr.", "130000008", "hollow-creek", "207X00000X", "Bone and joint doctor"
    ),
    PractitionerRow("haverford", "Miles", "Haverford", "", "130000009", "millbrook", "183500000X", "Pharmacist"),
    PractitionerRow(
        "ibarra", "Lucio", "Ibarra", "", "130000010", "swiftline", "146N00000X", "Emergency medical technician"
    ),
)


def _organization(row: OrganizationRow) -> Record:
    identifiers = [
        {
            "type": concept("http://terminology.hl7.org/CodeSystem/v2-0203", "NPI"),
            "system": NPI,
            "value": national_provider_identifier(row.npi_stem),
        },
        identifier(TAX_ID, row.tax, type_code="TAX"),
    ]
    if row.payer:
        identifiers.append(identifier(f"{IDENTIFIERS}/payer", row.payer, C4BB_IDENTIFIER_TYPE, "payerid"))
        identifiers.append(identifier(NAIC, row.naic, C4BB_IDENTIFIER_TYPE, "naiccode"))
    return {
        "resourceType": "Organization",
        "id": f"organization-{row.key}",
        "meta": {
            "lastUpdated": "2024-01-15T08:00:00-05:00",
            "profile": [*carin("C4BB-Organization"), us_core("us-core-organization")],
        },
        "identifier": identifiers,
        "active": True,
        "type": [concept("http://terminology.hl7.org/CodeSystem/organization-type", row.type)],
        "name": row.name,
        "telecom": [telephone(row.phone)],
        "address": [address(row.line, row.city, row.postal_code)],
    }


def _practitioner(row: PractitionerRow, place: Record) -> Record:
    identifiers = [identifier(NPI, national_provider_identifier(row.npi_stem), type_code="NPI")]
    if row.tax:
        identifiers.append(identifier(TAX_ID, row.tax, type_code="TAX"))
    name: Record = {"use": "official", "text": f"{row.prefix} {row.given} {row.family}".strip(), "family": row.family}
    name["given"] = [row.given]
    if row.prefix:
        name["prefix"] = [row.prefix]
    return {
        "resourceType": "Practitioner",
        "id": f"practitioner-{row.key}",
        "meta": {
            "lastUpdated": "2024-02-01T12:30:00.250Z",
            "profile": [*carin("C4BB-Practitioner"), us_core("us-core-practitioner")],
        },
        "identifier": identifiers,
        "active": True,
        "name": [name],
        "telecom": place["telecom"],
        "address": [{"use": "work", **place["address"][0]}],
    }


def _role(row: PractitionerRow, place: Record) -> Record:
    person = PRACTITIONER[row.key]
    return {
        "resourceType": "PractitionerRole",
        "id": f"practitionerrole-{row.key}",
        "meta": {"lastUpdated": "2024-02-01T12:30:05.250Z", "profile": [us_core("us-core-practitionerrole")]},
        "active": True,
        "practitioner": named_reference(person),
        "organization": named_reference(place),
        "code": [concept(NUCC, row.taxonomy, row.specialty)],
        "specialty": [concept(NUCC, row.taxonomy, row.specialty)],
        "location": [reference(LOCATION[row.organization])],
        "telecom": place["telecom"],
        "endpoint": [reference(ENDPOINT[row.organization])],
    }


def _location(row: OrganizationRow, organization: Record) -> Record:
    return {
        "resourceType": "Location",
        "id": f"location-{row.key}",
        "meta": {"lastUpdated": "2024-01-15T08:05:00-05:00", "profile": [us_core("us-core-location")]},
        "identifier": [identifier(f"{IDENTIFIERS}/location", f"L{row.npi_stem[-3:]}")],
        "status": "active",
        "name": f"{row.name}, {row.city}",
        "type": [concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", row.place)],
        "telecom": organization["telecom"],
        "address": organization["address"][0],
        "managingOrganization": named_reference(organization),
    }


ORGANIZATION: dict[str, Record] = {row.key: _organization(row) for row in ORGANIZATIONS}
ENDPOINT: dict[str, Record] = {row.key: endpoint(ORGANIZATION[row.key]) for row in ORGANIZATIONS if not row.payer}
LOCATION: dict[str, Record] = {row.key: _location(row, ORGANIZATION[row.key]) for row in ORGANIZATIONS if not row.payer}
PRACTITIONER: dict[str, Record] = {row.key: _practitioner(row, ORGANIZATION[row.organization]) for row in PRACTITIONERS}
PRACTITIONER_ROLE: dict[str, Record] = {row.key: _role(row, ORGANIZATION[row.organization]) for row in PRACTITIONERS}
WORKPLACE: dict[str, Record] = {row.key: ORGANIZATION[row.organization] for row in PRACTITIONERS}
TAXONOMY: dict[str, Record] = {row.key: concept(NUCC, row.taxonomy, row.specialty) for row in PRACTITIONERS}


def directory() -> Iterator[Record]:
    """Every directory record, what is referenced before what refers to it."""
    yield from ORGANIZATION.values()
    yield from ENDPOINT.values()
    yield from LOCATION.values()
    yield from PRACTITIONER.values()
    yield from PRACTITIONER_ROLE.values()
