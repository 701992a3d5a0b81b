"""FHIR datatypes as plain dictionaries: the small words from which every seeded record is written.

https://hl7.org/fhir/R4/datatypes.html"""

from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Any

Record = dict[str, Any]

CENT = Decimal("0.01")
ZERO = Decimal("0.00")

IDENTIFIERS = "https://payer.example/identifiers"
V2_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
CARIN = "http://hl7.org/fhir/us/carin-bb"
US_CORE = "http://hl7.org/fhir/us/core"
C4BB_IDENTIFIER_TYPE = f"{CARIN}/CodeSystem/C4BBIdentifierType"
NPI = "http://hl7.org/fhir/sid/us-npi"
TAX_ID = "urn:oid:2.16.840.1.113883.4.4"
NAIC = "urn:oid:2.16.840.1.113883.6.300"
UCUM = "http://unitsofmeasure.org"
CARE_TEAM_ROLE = f"{CARIN}/CodeSystem/C4BBClaimCareTeamRole"
CLAIM_CARE_TEAM_ROLE = "http://terminology.hl7.org/CodeSystem/claimcareteamrole"

ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD_10_PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
CPT = "http://www.ama-assn.org/go/cpt"
CDT = "http://www.ada.org/cdt"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
NDC = "http://hl7.org/fhir/sid/ndc"
NUBC = "https://www.nubc.org/CodeSystem"
NUCC = "http://nucc.org/provider-taxonomy"
X12_CARC = "https://x12.org/codes/claim-adjustment-reason-codes"
PLACE_OF_SERVICE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"


def carin(*names: str, versions: tuple[str, ...] = ("2.0.0", "2.1.0")) -> list[str]:
    """The versioned CARIN Blue Button canonicals a record claims, one for each version it satisfies."""
    return [f"{CARIN}/StructureDefinition/{name}|{version}" for name in names for version in versions]


def us_core_profiles(*names: str, versions: tuple[str, ...] = ("6.1.0", "7.0.0")) -> list[str]:
    """The versioned US Core canonicals a record claims, one for each version it satisfies."""
    return [f"{US_CORE}/StructureDefinition/{name}|{version}" for name in names for version in versions]


def coding(system: str, code: str) -> Record:
    return {"system": system, "code": code}


def concept(system: str, code: str, text: str = "") -> Record:
    """A CodeableConcept: the code without display, and our own plain words in `text`."""
    found: Record = {"coding": [coding(system, code)]}
    if text:
        found["text"] = text
    return found


def reference(record: Record) -> Record:
    return {"reference": f"{record['resourceType']}/{record['id']}"}


def named_reference(record: Record) -> Record:
    """A Reference with the name a person would use, so that no app has to show a bare number."""
    name = record["name"]
    if not isinstance(name, str):
        name = " ".join([*name[0].get("prefix", []), *name[0]["given"], name[0]["family"]])
    return {**reference(record), "display": name}


def identifier(system: str, value: str, type_system: str = V2_IDENTIFIER_TYPE, type_code: str = "") -> Record:
    found: Record = {"system": system, "value": value}
    return {"type": concept(type_system, type_code), **found} if type_code else found


def money(amount: Decimal) -> Record:
    return {"value": amount.quantize(CENT), "currency": "USD"}


@lru_cache(maxsize=1 << 14)
def amount_of(cents: int) -> Record:
    """Money of so many cents; records of the same amount share it, so it is never changed."""
    return {"value": Decimal(cents).scaleb(-2), "currency": "USD"}


def period(start: date, end: date | None = None) -> Record:
    return {"start": start.isoformat(), "end": end.isoformat()} if end else {"start": start.isoformat()}


def quantity(value: Decimal | int) -> Record:
    return {"value": Decimal(value)}


def address(line: str, city: str, postal_code: str, state: str = "OH", **more: Any) -> Record:
    return {"line": [line], "city": city, "state": state, "postalCode": postal_code, "country": "US", **more}


def telephone(number: str, use: str = "work") -> Record:
    return {"system": "phone", "value": number, "use": use}


def instant(draw: Random, day: date) -> str:
    """An instant on `day` as a payer's systems write it: some with fractions of a second, most not in UTC."""
    moment = f"{day.isoformat()}T{draw.randrange(6, 20):02d}:{draw.randrange(60):02d}:{draw.randrange(60):02d}"
    fraction = f".{draw.randrange(1, 1000):03d}" if draw.randrange(3) == 0 else ""
    return moment + fraction + ("+00:00", "-05:00", "-04:00", "Z", "-05:00")[draw.randrange(5)]


def security_labels(matter: str) -> list[Record]:
    """meta.security of a record about a sensitive matter (a v3-ActCode): restricted, and why."""
    return [
        coding("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R"),
        coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", matter),
    ]


def past(day: date, as_of: date) -> date:
    """`day`, or the day before as-of when it would not yet have happened."""
    return min(day, as_of - timedelta(days=2))
