"""A member's chart: who the records are about, when, and how each of them is begun.

https://hl7.org/fhir/us/core/STU6.1/general-guidance.html - profiles, missing data, and the systems that codes come from."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from seed_data.clinical.visits import Visit
from seed_data.conditions import CONDITIONS
from seed_data.datatypes import ICD_10_CM, UCUM, US_CORE, Record, coding, concept, instant, past, us_core_profiles
from seed_data.directory import PRACTITIONER_REFERENCE
from seed_data.members import Member

profiles = us_core_profiles
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
DATA_ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
US_CORE_CATEGORY = f"{US_CORE}/CodeSystem/us-core-category"
PDEX = "http://hl7.org/fhir/us/davinci-pdex"

SNOMED_OF = {  # the SNOMED CT concept beside an ICD-10-CM code, where one says the same
    **{row.code: row.snomed for row in CONDITIONS.values()},
    "E11.9": "44054006",
    "I10": "59621000",
    "I25.10": "53741008",
    "I21.4": "401314000",
    "M54.50": "279039007",
    "M17.11": "239873007",
    "M25.561": "30989003",
    "J18.9": "233604007",
    "J44.9": "13645005",
    "R07.9": "29857009",
    "G47.33": "78275009",
    "H52.13": "57190000",
}

UNKNOWN: Record = {"coding": [coding(DATA_ABSENT_REASON, "unknown")], "text": "Not known"}
UNKNOWN_EXTENSION: Record = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}


def observation_category(code: str) -> Record:
    return concept(OBSERVATION_CATEGORY, code)


def diagnosis_concept(code: tuple[str, str]) -> Record:
    """A diagnosis in ICD-10-CM with our own words, and in SNOMED CT where a concept says the same."""
    icd, text = code
    found = concept(ICD_10_CM, icd, text)
    if icd in SNOMED_OF:
        found["coding"].append(coding(SNOMED, SNOMED_OF[icd]))
    return found


def measured(value: Decimal | int, unit: str, code: str = "") -> Record:
    return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": code or unit}


def practitioner(key: str) -> Record:
    return PRACTITIONER_REFERENCE[key]


@dataclass(frozen=True, slots=True)
class Chart:
    """One member, the day on which the payer looks back, the visits, and the numbers that vary."""

    member: Member
    as_of: date
    draw: Random
    visits: tuple[Visit, ...]

    @property
    def patient(self) -> Record:
        return {"reference": f"Patient/{self.member.id}", "display": self.member.name}

    @property
    def guardian(self) -> Record | None:
        """The parent, as the RelatedPerson of this child."""
        if not self.member.parent:
            return None
        return {"reference": f"RelatedPerson/relatedperson-{self.member.parent}-for-{self.member.key}"}

    @property
    def is_drawn(self) -> bool:
        """Whether what no table tells of this member is drawn: for members of a series, and those with conditions."""
        return bool(self.member.series or self.member.conditions)

    @property
    def doctor(self) -> str:
        """The practitioner whom the member returns to."""
        return self.member.primary_care or ("nakashima" if self.guardian else "okafor")

    @property
    def age(self) -> int:
        """In whole years at as-of."""
        return (self.as_of - self.member.birth_date).days * 100 // 36525

    def day(self, days_ago: int) -> date:
        return self.as_of - timedelta(days=days_ago)

    def identity(self, resource_type: str, name: str) -> str:
        return f"{resource_type.lower()}-{self.member.key}-{name}"

    def reference(self, resource_type: str, name: str) -> Record:
        return {"reference": f"{resource_type}/{self.identity(resource_type, name)}"}

    def encounter(self, visit: Visit) -> Record:
        return self.reference("Encounter", visit.name)

    def visit_before(self, day: date) -> Visit | None:
        """The last finished visit on or before a day."""
        found = [visit for visit in self.visits if visit.start <= day and visit.status == "finished"]
        return max(found, key=lambda visit: visit.start, default=None)

    def when(self, day: date) -> str:
        """A dateTime on a day: most with the time and its offset, some with the day alone."""
        return instant(self.draw, day) if self.draw.randrange(3) else day.isoformat()

    def record(self, resource_type: str, name: str, day: date, profile: list[str], /, **elements: object) -> Record:
        """A record of this member that arrived a day or two after `day`; elements that are None are left out."""
        arrived = past(day + timedelta(days=1 + self.draw.randrange(2)), self.as_of)
        meta: Record = {"lastUpdated": instant(self.draw, arrived)}
        if profile:
            meta["profile"] = profile
        found: Record = {"resourceType": resource_type, "id": self.identity(resource_type, name), "meta": meta}
        found.update((element, value) for element, value in elements.items() if value is not None)
        return found
