"""What the official validator cannot decide without packages that are not at hand: each kind with its reason, each case counted.

https://hl7.org/fhir/R4/terminologies.html#4.1.4 - everything that is not explained here is an error.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tests.lasting import BASE_URL

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
LICENSED = "its owner licenses the codes, and no guide's package has them"
THO = "defined in hl7.terminology, which is not at hand; FHIR 4.0.1 has not got it"
AGENCY = "published by a federal agency, not in a FHIR package"
ABSENT_CODE_SYSTEMS = {
    "http://www.ama-assn.org/go/cpt": LICENSED,
    "http://www.ada.org/cdt": LICENSED,
    "http://snomed.info/sct": LICENSED,
    "http://loinc.org": LICENSED,
    "https://www.nubc.org/CodeSystem/TypeOfBill": LICENSED,
    "https://www.nubc.org/CodeSystem/RevenueCodes": LICENSED,
    "https://www.nubc.org/CodeSystem/PatDischargeStatus": LICENSED,
    "https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit": LICENSED,
    "https://www.nubc.org/CodeSystem/PointOfOrigin": LICENSED,
    "https://www.nubc.org/CodeSystem/PointOfOriginNewborn": LICENSED,
    "https://x12.org/codes/claim-adjustment-reason-codes": LICENSED,
    "https://x12.org/codes/remittance-advice-remark-codes": LICENSED,
    "https://x12.org/codes/service-type-codes": LICENSED,
    "https://codesystem.x12.org/005010/306": LICENSED,
    "https://codesystem.x12.org/external/886": LICENSED,
    "http://nucc.org/provider-taxonomy": LICENSED,
    "http://www.nlm.nih.gov/research/umls/rxnorm": AGENCY,
    "http://hl7.org/fhir/sid/icd-10-cm": AGENCY,
    "http://www.cms.gov/Medicare/Coding/ICD10": AGENCY,
    "http://hl7.org/fhir/sid/ndc": AGENCY,
    "http://hl7.org/fhir/sid/cvx": AGENCY,
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": AGENCY,
    "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set": AGENCY,
    "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software": AGENCY,
    "urn:oid:2.16.840.1.113883.6.238": AGENCY,
    "http://unitsofmeasure.org": "a grammar, not a list; the validator reads the units themselves, but no value set of them",
    "urn:ietf:bcp:47": "a grammar, not a list",
    "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode": "defined in ihe.formatcode.fhir, which is not at hand",
    "https://www.usps.com/": AGENCY,
    "https://nahdo.org/sopt": LICENSED,
    "http://www.nubc.org/patient-discharge": LICENSED,
    "https://www.nubc.org/CodeSystem/PresentOnAdmissionIndicator": LICENSED,
    "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/HospitalAcqCond/Coding": AGENCY,
    "https://codesystem.x12.org/005010/1338": LICENSED,
    "https://codesystem.x12.org/005010/98": LICENSED,
    "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": AGENCY,
    f"{TERMINOLOGY}/PHOccupationalDataForHealthODH": THO,
    f"{BASE_URL}/docs/errors": "this server's own, described at that address",
    f"{TERMINOLOGY}/claimcareteamrole": THO,
    f"{TERMINOLOGY}/ex-relatedclaimrelationship": "asked for in the version of hl7.terminology, which is not at hand",
    f"{TERMINOLOGY}/ADAUniversalToothDesignationSystem": THO,
    f"{TERMINOLOGY}/ADAToothSurfaceCodes": THO,
    f"{TERMINOLOGY}/ADAAreaOralCavitySystem": THO,
    f"{TERMINOLOGY}/NCPDPBrandGenericIndicator": THO,
    f"{TERMINOLOGY}/NCPDPCompoundCode": THO,
    f"{TERMINOLOGY}/NCPDPDispensedAsWrittenOrProductSelectionCode": THO,
    f"{TERMINOLOGY}/NCPDPPrescriptionOriginCode": THO,
    f"{TERMINOLOGY}/NCPDPRejectCode": THO,
}
"""A code system of any other name that no package has is an error: most likely its name is misspelt."""
ABSENT_VALUE_SETS = ("http://cts.nlm.nih.gov/fhir/ValueSet/",)
"""Value sets of the National Library of Medicine's VSAC, for which one needs an account."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A guide that forbids what it asks for elsewhere: in which guides, how the validator says it, and why."""

    name: str
    guides: tuple[str, ...]  # none named: any, since an answer of the server has authorizations among claims
    text: re.Pattern[str]
    reason: str


PDEX = ("pdex-2.0.0", "pdex-2.2.0")
CONTRADICTIONS = (
    Contradiction(
        "PAS extensions on an authorization's items",
        (),
        re.compile(
            r"The extension http://hl7\.org/fhir/us/davinci-pas/StructureDefinition/extension-(itemTraceNumber"
            r"|itemPreAuthIssueDate|itemPreAuthPeriod|authorizationNumber|administrationReferenceNumber"
            r"|itemAuthorizedDetail|itemAuthorizedProvider) is not allowed to be used at this point \(allowed = "
            r".*ExplanationOfBenefit\.item\]\)"
        ),
        "the profile puts them on ExplanationOfBenefit.item and makes them must-support; PAS itself says Claim and ClaimResponse",
    ),
    Contradiction(
        "reviewAction at the head of an authorization",
        (),
        re.compile(
            r"The extension http://hl7\.org/fhir/us/davinci-pdex/StructureDefinition/extension-reviewAction is not allowed "
            r".*ExplanationOfBenefit\.adjudication\]\)"
        ),
        "the profile puts it on ExplanationOfBenefit.adjudication and makes it must-support; the extension says item.adjudication",
    ),
    Contradiction(
        "reviewActionCode in reviewAction at the head",
        (),
        re.compile(
            r"The extension http://hl7\.org/fhir/us/davinci-pdex/StructureDefinition/extension-reviewActionCode is not allowed "
            r".*ExplanationOfBenefit\.adjudication\.extension, Extension\]\)"
        ),
        "reviewAction has it as a part wherever it stands; the part says item.adjudication only",
    ),
    Contradiction(
        "the slice denialreason at the head",
        ("pdex-2.0.0",),
        re.compile(r"Slicing cannot be evaluated: .*ExplanationOfBenefit\.adjudication:denialreason"),
        "the profile gives the slice no code by which to tell it; 2.2.0 does",
    ),
    Contradiction(
        "references to any type",
        ("pdex-2.2.0",),
        re.compile(
            r"Unable to find a profile match for .* among choices: ; \[http://hl7\.org/fhir/StructureDefinition/Resource\|4\.0\.1\]"
            r"|Invalid Resource target type\. Found \w+, but expected one of \(\[Resource\]\)"
        ),
        "the continuous build names `Resource|4.0.1`, and with a version the validator takes it for no type at all",
    ),
    Contradiction(
        "where tokens are revoked and introspected",
        (),
        re.compile(r"Sub-extension url '(revoke|introspect)' is not defined by the Extension .*/oauth-uris\|4\.0\.1"),
        "SMART App Launch 2 lists them among the parts of oauth-uris; the copy of the extension in FHIR 4.0.1 is older",
    ),
    Contradiction(
        "categories of units and denial reasons",
        PDEX,
        re.compile(
            r"None of the codings provided are in the value set .*PDexAdjudicationCategoryDiscriminator\|.*"
            r"PDexAdjudicationDiscriminator#(allowedunits|consumedunits|denialreason)\)"
        ),
        "the profile's own slices fix these codes; the value set names a code system that does not exist (PDexAdjudicationCS)",
    ),
)

UNKNOWN_SYSTEM = re.compile(
    r"A definition for CodeSystem '([^']+)' could not be found, so the code cannot be validated"
)
NOT_IN_VALUE_SET = (
    re.compile(
        r"None of the codings provided are in the value set '.*?' \((?P<value_set>\S+)\).*\(codes = (?P<codes>.*)\)"
    ),
    re.compile(r"The code provided \((?P<codes>\S+)\) was not found in the value set '.*?' \((?P<value_set>\S+)\)"),
    re.compile(
        r"The value provided \('(?P<codes>[^']*)'\) was not found in the value set '.*?' \((?P<value_set>\S+)\)"
    ),
)


class Membership(IntEnum):
    """Whether a code is in a value set, as far as the packages say."""

    NO = 0
    UNKNOWN = 1
    YES = 2


class Definitions:
    """The value sets and code systems of the packages that a guide was checked with."""

    def __init__(self, resources: Mapping[str, Mapping[str, Any]]) -> None:
        self.resources = resources

    def member(self, value_set: str, system: str, code: str) -> Membership:
        """Whether a code is in a value set; with an empty system, a code of any of its systems."""
        url = value_set.partition("|")[0]
        found = self.resources.get(url)
        if found is None:
            return Membership.UNKNOWN if url.startswith(ABSENT_VALUE_SETS) else Membership.NO
        parts = (self._included(include, system, code) for include in found.get("compose", {}).get("include", ()))
        return max(parts, default=Membership.NO)

    def _included(self, include: Mapping[str, Any], system: str, code: str) -> Membership:
        imported = [self.member(url, system, code) for url in include.get("valueSet", ())]
        if "system" not in include:
            return max(imported, default=Membership.NO)
        if system and include["system"] != system:
            return Membership.NO
        if "concept" in include:
            return Membership.YES if code in {row["code"] for row in include["concept"]} else Membership.NO
        defined = self.resources.get(include["system"], {}).get("concept")
        if defined is None:
            return Membership.UNKNOWN if include["system"] in ABSENT_CODE_SYSTEMS else Membership.NO
        is_defined = code in set(_codes(defined))
        return (Membership.UNKNOWN if "filter" in include else Membership.YES) if is_defined else Membership.NO


def _codes(concepts: list[Mapping[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", []))


def misspelt(text: str) -> bool:
    """Whether a message, also a warning, is about a code system that nobody is known to define."""
    match = UNKNOWN_SYSTEM.match(text)
    return match is not None and match[1] not in ABSENT_CODE_SYSTEMS


def explained(guide: str, text: str, definitions: Definitions) -> tuple[str, str] | None:
    """(kind, reason) why an error of the validator decides nothing, or None when it is a real error."""
    if match := UNKNOWN_SYSTEM.match(text):
        reason = ABSENT_CODE_SYSTEMS.get(match[1])
        return (f"code system {match[1]}", reason) if reason else None
    for row in CONTRADICTIONS:
        if (not row.guides or guide in row.guides) and row.text.match(text):
            return (f"the guides contradict each other: {row.name}", row.reason)
    for pattern in NOT_IN_VALUE_SET:
        if match := pattern.match(text):
            codings = [part.rpartition("#")[::2] for part in match["codes"].split(", ")]
            found = max(definitions.member(match["value_set"], system, code) for system, code in codings)
            name = f"value set {match['value_set']}"
            if found is Membership.YES:
                return (
                    name,
                    "lists the code; only the definition of its code system, or of another coding's, is absent",
                )
            if found is Membership.UNKNOWN:
                return (name, "is made from a code system or a value set that is not at hand")
    return None
