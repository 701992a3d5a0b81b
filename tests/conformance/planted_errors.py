"""Errors planted into good records, and what the official validator must say of each: a validator that sleeps is found out.

https://hl7.org/fhir/R4/validation.html
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.conformance.checked_guides import CheckedGuide

Record = dict[str, Any]
CARIN = "http://hl7.org/fhir/us/carin-bb/StructureDefinition"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
PDEX = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition"


@dataclass(frozen=True, slots=True)
class PlantedError:
    """What is spoilt, in which guide's profile, how, and a part of what the validator has to say."""

    name: str
    guide: str
    profile: str
    spoil: Callable[[Record], object]
    said: str


def remove(*names: str) -> Callable[[Record], object]:
    """Takes elements away."""
    return lambda record: [record.pop(name, None) for name in names]


def change(**elements: Any) -> Callable[[Record], object]:
    """Gives elements other values."""
    return lambda record: record.update(elements)


def without_slice(record: Record) -> None:
    """Takes the time of the stay away, which CARIN asks of every stay."""
    record["supportingInfo"] = [
        row for row in record["supportingInfo"] if not has_code(row["category"], "admissionperiod")
    ]


def two_of_a_slice(record: Record) -> None:
    """A second bill type, where the profile allows one."""
    row = next(row for row in record["supportingInfo"] if has_code(row["category"], "typeofbill"))
    record["supportingInfo"].append({**row, "sequence": len(record["supportingInfo"]) + 1})


def foreign_slice(record: Record) -> None:
    """An amount under a category that the closed slices of an authorization do not know."""
    concept = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/adjudication", "code": "tax"}]}
    record["item"][0]["adjudication"][0]["category"] = concept


def has_code(concept: Record, code: str) -> bool:
    """Whether a CodeableConcept has a code."""
    return any(coding["code"] == code for coding in concept["coding"])


def misspelt_system(record: Record) -> None:
    """A code system that nobody knows."""
    record["code"]["coding"][0]["system"] = "http://loinc.com"


def unknown_extension(record: Record) -> None:
    """An extension that no guide defines."""
    record.setdefault("extension", []).append({"url": f"{US_CORE}/us-core-shoe-size", "valueString": "9"})


def wrong_currency(record: Record) -> None:
    """A currency that is none."""
    record["total"][0]["amount"]["currency"] = "USB"


SOMEBODY = {"reference": "Organization/nobody-knows"}
PLANTED = (
    PlantedError(
        "a mandatory element is missing",
        "us-core-6.1.0",
        f"{US_CORE}/us-core-patient",
        remove("name"),
        "Patient.name: minimum required = 1",
    ),
    PlantedError(
        "a mandatory element is missing",
        "us-core-7.0.0",
        f"{US_CORE}/us-core-procedure",
        remove("performedDateTime", "performedPeriod", "code"),
        "Procedure.code: minimum required = 1",
    ),
    PlantedError(
        "a mandatory element is missing",
        "carin-bb-2.0.0",
        f"{CARIN}/C4BB-ExplanationOfBenefit-Inpatient-Institutional",
        remove("billablePeriod"),
        "ExplanationOfBenefit.billablePeriod: minimum required = 1",
    ),
    PlantedError(
        "a mandatory element is missing",
        "carin-bb-2.1.0",
        f"{CARIN}/C4BB-ExplanationOfBenefit-Professional-NonClinician",
        remove("billablePeriod"),
        "ExplanationOfBenefit.billablePeriod: minimum required = 1",
    ),
    PlantedError(
        "a code that a required binding does not have",
        "us-core-6.1.0",
        f"{US_CORE}/us-core-patient",
        change(gender="femail"),
        "'femail'",
    ),
    PlantedError(
        "a code that a required binding does not have",
        "carin-bb-2.0.0",
        f"{CARIN}/C4BB-Coverage",
        change(status="lapsed"),
        "'lapsed'",
    ),
    PlantedError(
        "a currency that is none",
        "carin-bb-2.0.0",
        f"{CARIN}/C4BB-ExplanationOfBenefit-Outpatient-Institutional",
        wrong_currency,
        "'USB'",
    ),
    PlantedError(
        "a slice that is asked for is missing",
        "carin-bb-2.0.0",
        f"{CARIN}/C4BB-ExplanationOfBenefit-Inpatient-Institutional",
        without_slice,
        "'ExplanationOfBenefit.supportingInfo:admissionperiod': a matching slice is required",
    ),
    PlantedError(
        "a slice comes twice",
        "carin-bb-2.0.0",
        f"{CARIN}/C4BB-ExplanationOfBenefit-Inpatient-Institutional",
        two_of_a_slice,
        "ExplanationOfBenefit.supportingInfo:typeofbill: max allowed = 1",
    ),
    PlantedError(
        "a slice that a closed list does not have",
        "pdex-2.2.0",
        f"{PDEX}/pdex-priorauthorization",
        foreign_slice,
        "not match any known slice",
    ),
    PlantedError(
        "a reference to a wrong type",
        "carin-bb-2.1.0",
        f"{CARIN}/C4BB-Coverage",
        lambda record: record.update(payor=[record["beneficiary"]]),
        "Invalid Resource target type. Found Patient",
    ),
    PlantedError(
        "a reference to a wrong type",
        "us-core-7.0.0",
        f"{US_CORE}/us-core-condition-encounter-diagnosis",
        lambda record: record.update(encounter=record["subject"]),
        "Invalid Resource target type. Found Patient",
    ),
    PlantedError(
        "a reference to nobody",
        "pdex-2.0.0",
        f"{PDEX}/pdex-priorauthorization",
        change(insurer=SOMEBODY),
        "Organization/nobody-knows",
    ),
    PlantedError(
        "an element that FHIR does not have",
        "us-core-7.0.0",
        f"{US_CORE}/us-core-encounter",
        change(shoeSize=9),
        "shoeSize",
    ),
    PlantedError(
        "an extension that nobody defines",
        "us-core-6.1.0",
        f"{US_CORE}/us-core-patient",
        unknown_extension,
        "us-core-shoe-size",
    ),
    PlantedError(
        "a code system that nobody knows",
        "us-core-6.1.0",
        f"{US_CORE}/us-core-observation-lab",
        misspelt_system,
        "http://loinc.com",
    ),
    PlantedError(
        "a date that is none",
        "us-core-7.0.0",
        f"{US_CORE}/us-core-coverage",
        change(period={"start": "2026-02-30"}),
        "2026-02-30",
    ),
    PlantedError(
        "a rule that does not hold",
        "us-core-7.0.0",
        f"{US_CORE}/us-core-patient",
        change(contact=[{"gender": "female"}]),
        "pat-1",
    ),
)


def planted(
    records: Sequence[Record], guides: Sequence[CheckedGuide]
) -> Iterator[tuple[CheckedGuide, PlantedError, Record]]:
    """Each planted error of these guides, in the first record that claims its profile."""
    named = {guide.name: guide for guide in guides}
    for number, error in enumerate(PLANTED):
        if error.guide not in named:
            continue
        guide = named[error.guide]
        wanted = {f"{error.profile}|{guide.version}", error.profile if guide.unversioned else ""}
        for record in records:
            if wanted & set(guide.claims(record)):
                spoilt = copy.deepcopy(record)
                error.spoil(spoilt)
                spoilt["id"] = f"planted-{number}"
                yield guide, error, spoilt
                break
        else:
            raise LookupError(
                f"no record claims {error.profile} {guide.version}, into which an error was to be planted"
            )
