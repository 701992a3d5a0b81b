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
    us_core_profiles,
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
    OrganizationRow("meridale", "Meridale Health Plan", "pay", "120000001", "31-5550101", "1 Harbor Plaza", "Columbus", "43215", "614-555-0100", payer="11111", naic="95501"),
    OrganizationRow("meridale-community", "Meridale Community Care", "pay", "120000002", "31-5550102", "3 Harbor Plaza", "Columbus", "43215", "614-555-0110", payer="22222", naic="95502"),
    OrganizationRow("brightwater", "Brightwater Mutual Insurance", "pay", "120000003", "31-5550103", "700 Canal Street", "Cleveland", "44114", "216-555-0104", payer="33333", naic="95503"),
    OrganizationRow("oldfield", "Oldfield Employees' Benefit Trust", "pay", "120000004", "31-5550104", "22 Foundry Square", "Dayton", "45402", "937-555-0106", payer="44444", naic="95504"),
    OrganizationRow("northgate", "Northgate Regional Hospital", "prov", "120000011", "31-5550111", "800 Northgate Drive", "Columbus", "43229", "614-555-0120"),
    OrganizationRow("lakeshore", "Lakeshore Medical Group", "prov", "120000012", "31-5550112", "45 Lakeshore Avenue", "Westerville", "43081", "614-555-0130", place="PC"),
    OrganizationRow("riverbend", "Riverbend Outpatient Center", "prov", "120000013", "31-5550113", "210 Riverbend Road", "Dublin", "43017", "614-555-0140", place="OF"),
    OrganizationRow("cedar-dental", "Cedar Street Dental", "prov", "120000014", "31-5550114", "67 Cedar Street", "Columbus", "43206", "614-555-0150", place="OF"),
    OrganizationRow("millbrook", "Millbrook Pharmacy", "prov", "120000015", "31-5550115", "12 Mill Lane", "Worthington", "43085", "614-555-0160", place="OUTPHARM"),
    OrganizationRow("swiftline", "Swiftline Ambulance", "prov", "120000016", "31-5550116", "5 Depot Way", "Columbus", "43204", "614-555-0170", place="AMB"),
    OrganizationRow("hollow-creek", "Hollow Creek Specialists", "prov", "120000017", "31-5550117", "920 Hollow Creek Road", "Delaware", "43015", "740-555-0180", place="ORTHO"),
    OrganizationRow("saint-brannoc", "Saint Brannoc Hospital", "prov", "120000018", "31-5550118", "1400 Kingsley Road", "Cleveland", "44106", "216-555-0121"),
    OrganizationRow("great-bend", "Great Bend Community Hospital", "prov", "120000019", "31-5550119", "55 Bend Parkway", "Dayton", "45409", "937-555-0122"),
    OrganizationRow("fernhill", "Fernhill Family Practice", "prov", "120000020", "31-5550120", "18 Fernhill Street", "Gahanna", "43230", "614-555-0131", place="FMC"),
    OrganizationRow("tamarisk", "Tamarisk Primary Care", "prov", "120000021", "31-5550121", "301 Tamarisk Avenue", "Cleveland", "44113", "216-555-0132", place="PC"),
    OrganizationRow("old-mill", "Old Mill Internal Medicine", "prov", "120000022", "31-5550122", "9 Old Mill Road", "Dayton", "45419", "937-555-0133", place="GIM"),
    OrganizationRow("little-oak", "Little Oak Pediatrics", "prov", "120000023", "31-5550123", "77 Acorn Lane", "Hilliard", "43026", "614-555-0134", place="PEDC"),
    OrganizationRow("stillwater", "Stillwater Women's Health", "prov", "120000024", "31-5550124", "640 Stillwater Road", "Columbus", "43202", "614-555-0135", place="GYN"),
    OrganizationRow("quarry-heart", "Quarry Heart and Lung", "prov", "120000025", "31-5550125", "12 Quarry Terrace", "Columbus", "43210", "614-555-0136", place="CARD"),
    OrganizationRow("clearpath", "Clearpath Imaging", "prov", "120000026", "31-5550126", "2 Clearpath Court", "Dublin", "43016", "614-555-0141", place="RADDX"),
    OrganizationRow("bellwether", "Bellwether Laboratory", "prov", "120000027", "31-5550127", "410 Bellwether Road", "Grove City", "43123", "614-555-0142", place="MBL"),
    OrganizationRow("motion", "Motion and Balance Therapy", "prov", "120000028", "31-5550128", "88 Balance Street", "Columbus", "43201", "614-555-0143", place="OF"),
    OrganizationRow("quiet-harbor", "Quiet Harbor Behavioral Health", "prov", "120000029", "31-5550129", "31 Quiet Harbor", "Columbus", "43209", "614-555-0144", place="PSY"),
    OrganizationRow("winding-stair", "Winding Stair Care Home", "prov", "120000030", "31-5550130", "5 Winding Stair", "Delaware", "43015", "740-555-0145", place="SNF"),
    OrganizationRow("meadow-home", "Meadow Home Nursing", "prov", "120000031", "31-5550131", "14 Meadow Row", "Columbus", "43207", "614-555-0146", place="PTRES"),
    OrganizationRow("sunray-optical", "Sunray Optical", "prov", "120000032", "31-5550132", "270 Sunray Mall", "Columbus", "43240", "614-555-0147", place="OPTC"),
    OrganizationRow("steady-supply", "Steady Medical Supply", "prov", "120000033", "31-5550133", "6 Steady Street", "Columbus", "43228", "614-555-0148", place="COMM"),
    OrganizationRow("maple-dental", "Maple Dental Partners", "prov", "120000034", "31-5550134", "501 Maple Street", "Cleveland", "44109", "216-555-0151", place="OF"),
    OrganizationRow("brightside-braces", "Brightside Orthodontics", "prov", "120000035", "31-5550135", "19 Brightside Row", "Dayton", "45429", "937-555-0152", place="OF"),
    OrganizationRow("corner-pharmacy", "Corner Street Pharmacy", "prov", "120000036", "31-5550136", "1 Corner Street", "Cleveland", "44102", "216-555-0161", place="OUTPHARM"),
    OrganizationRow("greenleaf-pharmacy", "Greenleaf Pharmacy", "prov", "120000037", "31-5550137", "330 Greenleaf Road", "Dayton", "45403", "937-555-0162", place="OUTPHARM"),
    OrganizationRow("mailbox-pharmacy", "Mailbox Pharmacy", "prov", "120000038", "31-5550138", "4000 Depot Boulevard", "Toledo", "43604", "419-555-0163", place="PHARM"),
    OrganizationRow("redstone", "Redstone Ambulance", "prov", "120000039", "31-5550139", "8 Redstone Way", "Cleveland", "44105", "216-555-0171", place="AMB"),
)  # fmt: skip


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
    PractitionerRow("lindqvist", "Tobias", "Lindqvist", "Dr.", "130000002", "northgate", "208M00000X", "Hospital doctor"),
    PractitionerRow("amador", "Rosalía", "Amador", "Dr.", "130000003", "northgate", "208600000X", "Surgeon"),
    PractitionerRow("petrakis", "Eleni", "Petrakis", "Dr.", "130000004", "lakeshore", "207RC0000X", "Heart doctor"),
    PractitionerRow("brandvold", "Signe", "Brandvold", "Dr.", "130000005", "cedar-dental", "122300000X", "Dentist", "31-5550205"),
    PractitionerRow("whitcombe", "Jasper", "Whitcombe", "Dr.", "130000006", "riverbend", "2085R0202X", "Imaging doctor"),
    PractitionerRow("nakashima", "Ren", "Nakashima", "Dr.", "130000007", "lakeshore", "208000000X", "Children's doctor"),
    PractitionerRow("delacroix", "Odile", "Delacroix", "Dr.", "130000008", "hollow-creek", "207X00000X", "Bone and joint doctor"),
    PractitionerRow("haverford", "Miles", "Haverford", "", "130000009", "millbrook", "183500000X", "Pharmacist"),
    PractitionerRow("ibarra", "Lucio", "Ibarra", "", "130000010", "swiftline", "146N00000X", "Emergency medical technician"),
    PractitionerRow("abiodun", "Folake", "Abiodun", "Dr.", "130000011", "fernhill", "207Q00000X", "Family doctor"),
    PractitionerRow("castellano", "Renzo", "Castellano", "Dr.", "130000012", "fernhill", "207Q00000X", "Family doctor"),
    PractitionerRow("whitfield", "Harriet", "Whitfield", "Dr.", "130000013", "tamarisk", "207Q00000X", "Family doctor"),
    PractitionerRow("yamada", "Kaito", "Yamada", "Dr.", "130000014", "tamarisk", "207Q00000X", "Family doctor"),
    PractitionerRow("pellegrin", "Solange", "Pellegrin", "Dr.", "130000015", "old-mill", "207R00000X", "Internal medicine doctor"),
    PractitionerRow("mwangi", "Josphat", "Mwangi", "Dr.", "130000016", "old-mill", "207R00000X", "Internal medicine doctor"),
    PractitionerRow("thornbury", "Edith", "Thornbury", "", "130000017", "fernhill", "363LF0000X", "Family nurse practitioner"),
    PractitionerRow("sandoval", "Inés", "Sandoval", "", "130000018", "tamarisk", "363A00000X", "Physician assistant"),
    PractitionerRow("hartigan", "Niall", "Hartigan", "Dr.", "130000019", "lakeshore", "207R00000X", "Internal medicine doctor"),
    PractitionerRow("brook", "Willa", "Brook", "Dr.", "130000020", "little-oak", "208000000X", "Children's doctor"),
    PractitionerRow("achterberg", "Joost", "Achterberg", "Dr.", "130000021", "little-oak", "208000000X", "Children's doctor"),
    PractitionerRow("ferreira", "Lúcia", "Ferreira", "Dr.", "130000022", "stillwater", "207V00000X", "Women's doctor"),
    PractitionerRow("noor", "Samira", "Noor", "Dr.", "130000023", "stillwater", "207V00000X", "Women's doctor"),
    PractitionerRow("greaves", "Pauline", "Greaves", "", "130000024", "stillwater", "367A00000X", "Midwife"),
    PractitionerRow("vasquez-lund", "Mateus", "Vasquez-Lund", "Dr.", "130000025", "quarry-heart", "207RC0000X", "Heart doctor"),
    PractitionerRow("oyelowo", "Bisi", "Oyelowo", "Dr.", "130000026", "quarry-heart", "207RP1001X", "Lung doctor"),
    PractitionerRow("kestrel", "Rowan", "Kestrel", "Dr.", "130000027", "hollow-creek", "207X00000X", "Bone and joint doctor"),
    PractitionerRow("demirci", "Aylin", "Demirci", "Dr.", "130000028", "hollow-creek", "207RE0101X", "Hormone doctor"),
    PractitionerRow("sokolov", "Pavel", "Sokolov", "Dr.", "130000029", "hollow-creek", "2084N0400X", "Nerve doctor"),
    PractitionerRow("bautista", "Corazon", "Bautista", "Dr.", "130000030", "hollow-creek", "207RG0100X", "Stomach and bowel doctor"),
    PractitionerRow("lindgren", "Maja", "Lindgren", "Dr.", "130000031", "hollow-creek", "207N00000X", "Skin doctor"),
    PractitionerRow("obrien", "Declan", "O'Brien", "Dr.", "130000032", "hollow-creek", "207Y00000X", "Ear, nose and throat doctor"),
    PractitionerRow("farrow", "Clement", "Farrow", "Dr.", "130000033", "hollow-creek", "208800000X", "Urology doctor"),
    PractitionerRow("ito", "Haruka", "Ito", "Dr.", "130000034", "riverbend", "207W00000X", "Eye doctor"),
    PractitionerRow("ramsbottom", "Gideon", "Ramsbottom", "Dr.", "130000035", "northgate", "207RX0202X", "Cancer doctor"),
    PractitionerRow("banerjee", "Ishita", "Banerjee", "Dr.", "130000036", "northgate", "207RN0300X", "Kidney doctor"),
    PractitionerRow("achebe", "Nneka", "Achebe", "Dr.", "130000037", "saint-brannoc", "208M00000X", "Hospital doctor"),
    PractitionerRow("fontaine", "Luc", "Fontaine", "Dr.", "130000038", "saint-brannoc", "208600000X", "Surgeon"),
    PractitionerRow("wren", "Isolde", "Wren", "Dr.", "130000039", "saint-brannoc", "207P00000X", "Emergency doctor"),
    PractitionerRow("halvorsen", "Nils", "Halvorsen", "Dr.", "130000040", "great-bend", "208M00000X", "Hospital doctor"),
    PractitionerRow("duarte", "Marisa", "Duarte", "Dr.", "130000041", "great-bend", "208600000X", "Surgeon"),
    PractitionerRow("kapoor", "Dev", "Kapoor", "Dr.", "130000042", "great-bend", "207P00000X", "Emergency doctor"),
    PractitionerRow("moriarty", "Sean", "Moriarty", "Dr.", "130000043", "northgate", "207P00000X", "Emergency doctor"),
    PractitionerRow("lovelace", "Ottilie", "Lovelace", "Dr.", "130000044", "northgate", "207L00000X", "Anesthesia doctor"),
    PractitionerRow("gunnarsson", "Björn", "Gunnarsson", "Dr.", "130000045", "clearpath", "2085R0202X", "Imaging doctor"),
    PractitionerRow("tesfaye", "Selam", "Tesfaye", "Dr.", "130000046", "clearpath", "2085R0202X", "Imaging doctor"),
    PractitionerRow("pritchard", "Nia", "Pritchard", "Dr.", "130000047", "bellwether", "207ZP0102X", "Laboratory doctor"),
    PractitionerRow("marsh", "Tobin", "Marsh", "", "130000048", "motion", "225100000X", "Physical therapist"),
    PractitionerRow("eriksen", "Liv", "Eriksen", "", "130000049", "motion", "225100000X", "Physical therapist"),
    PractitionerRow("dubois", "Anouk", "Dubois", "", "130000050", "motion", "225X00000X", "Occupational therapist"),
    PractitionerRow("silverberg", "Naomi", "Silverberg", "Dr.", "130000051", "quiet-harbor", "2084P0800X", "Psychiatrist"),
    PractitionerRow("adeyemi", "Kunle", "Adeyemi", "", "130000052", "quiet-harbor", "1041C0700X", "Clinical social worker"),
    PractitionerRow("rosenthal", "Avi", "Rosenthal", "Dr.", "130000053", "quiet-harbor", "103TC0700X", "Psychologist"),
    PractitionerRow("stonebridge", "Agnes", "Stonebridge", "Dr.", "130000054", "winding-stair", "207QG0300X", "Doctor for older people"),
    PractitionerRow("okonkwo", "Ifeoma", "Okonkwo", "", "130000055", "meadow-home", "163WH0200X", "Home health nurse"),
    PractitionerRow("fairclough", "Ralph", "Fairclough", "Dr.", "130000056", "sunray-optical", "152W00000X", "Optometrist"),
    PractitionerRow("venkatesan", "Priya", "Venkatesan", "Dr.", "130000057", "sunray-optical", "152W00000X", "Optometrist"),
    PractitionerRow("molina", "Esteban", "Molina", "Dr.", "130000058", "maple-dental", "1223G0001X", "Dentist", "31-5550206"),
    PractitionerRow("cho", "Min-jun", "Cho", "Dr.", "130000059", "maple-dental", "1223G0001X", "Dentist", "31-5550207"),
    PractitionerRow("van-houten", "Saskia", "van Houten", "Dr.", "130000060", "brightside-braces", "1223X0400X", "Orthodontist", "31-5550208"),
    PractitionerRow("birdsong", "Leona", "Birdsong", "", "130000061", "corner-pharmacy", "183500000X", "Pharmacist"),
    PractitionerRow("zielinski", "Marek", "Zielinski", "", "130000062", "greenleaf-pharmacy", "183500000X", "Pharmacist"),
    PractitionerRow("pennington", "Cora", "Pennington", "", "130000063", "mailbox-pharmacy", "183500000X", "Pharmacist"),
    PractitionerRow("rourke", "Finn", "Rourke", "", "130000064", "redstone", "146N00000X", "Emergency medical technician"),
    PractitionerRow("larkin", "Desta", "Larkin", "Dr.", "130000065", "cedar-dental", "1223S0112X", "Mouth and jaw surgeon", "31-5550209"),
)  # fmt: skip


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
            "profile": [*carin("C4BB-Organization"), *us_core_profiles("us-core-organization")],
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
            "profile": [*carin("C4BB-Practitioner"), *us_core_profiles("us-core-practitioner")],
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
        "meta": {"lastUpdated": "2024-02-01T12:30:05.250Z", "profile": us_core_profiles("us-core-practitionerrole")},
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
        "meta": {"lastUpdated": "2024-01-15T08:05:00-05:00", "profile": us_core_profiles("us-core-location")},
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
PRACTITIONER_REFERENCE: dict[str, Record] = {key: named_reference(found) for key, found in PRACTITIONER.items()}
ORGANIZATION_REFERENCE: dict[str, Record] = {key: named_reference(found) for key, found in ORGANIZATION.items()}
LOCATION_REFERENCE: dict[str, Record] = {key: named_reference(found) for key, found in LOCATION.items()}
ROLE_REFERENCE: dict[str, Record] = {
    key: {**reference(PRACTITIONER_ROLE[key]), "display": found["display"]}
    for key, found in PRACTITIONER_REFERENCE.items()
}
WORKPLACE_KEY: dict[str, str] = {row.key: row.organization for row in PRACTITIONERS}
OF_SPECIALTY: dict[str, tuple[str, ...]] = {
    specialty: tuple(row.key for row in PRACTITIONERS if row.specialty == specialty)
    for specialty in sorted({row.specialty for row in PRACTITIONERS})
}
"""The practitioners of a specialty, by its name in our own words: `OF_SPECIALTY["Family doctor"]`."""
TAXONOMY: dict[str, Record] = {row.key: concept(NUCC, row.taxonomy, row.specialty) for row in PRACTITIONERS}


def directory() -> Iterator[Record]:
    """Every directory record, what is referenced before what refers to it."""
    yield from ORGANIZATION.values()
    yield from ENDPOINT.values()
    yield from LOCATION.values()
    yield from PRACTITIONER.values()
    yield from PRACTITIONER_ROLE.values()
