"""The guides this server implements, with pinned versions, and the SMART capabilities and launch scopes it offers.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html and https://hl7.org/fhir/us/carin-bb/STU2.1/
"""

from dataclasses import dataclass

from server.specification.definition import ImplementationGuide, Profile

FHIR_VERSION = "4.0.1"

CARIN = ImplementationGuide("hl7.fhir.us.carin-bb", "http://hl7.org/fhir/us/carin-bb", ("2.0.0", "2.1.0"))
US_CORE = ImplementationGuide("hl7.fhir.us.core", "http://hl7.org/fhir/us/core", ("3.1.1", "6.1.0", "7.0.0"))
PDEX = ImplementationGuide("hl7.fhir.us.davinci-pdex", "http://hl7.org/fhir/us/davinci-pdex", ("2.0.0", "2.2.0"))
HREX = ImplementationGuide("hl7.fhir.us.davinci-hrex", "http://hl7.org/fhir/us/davinci-hrex", ("1.0.0",))
GUIDES = (CARIN, US_CORE, PDEX, HREX)
R4 = ImplementationGuide("hl7.fhir.r4.core", "http://hl7.org/fhir", (FHIR_VERSION,))
"""FHIR itself, where a guide's CapabilityStatement names a profile of it."""

INSTANTIATES = (
    f"{CARIN.canonical}/CapabilityStatement/c4bb",
    f"{US_CORE.canonical}/CapabilityStatement/us-core-server",
    f"{PDEX.canonical}/CapabilityStatement/pdex-server",
    f"{PDEX.canonical}/CapabilityStatement/pdex-server-6-1",
)
"""CapabilityStatements this server instantiates, but for the rows of ``exceptions``: the exact strings that conformance kits look for,
which have no version."""


def carin(*ids: str) -> tuple[Profile, ...]:
    """CARIN Blue Button profiles by StructureDefinition id."""
    return tuple(Profile(CARIN, id) for id in ids)


def us_core(*ids: str) -> tuple[Profile, ...]:
    """US Core profiles by StructureDefinition id."""
    return tuple(Profile(US_CORE, id) for id in ids)


def pdex(*ids: str) -> tuple[Profile, ...]:
    """PDex profiles by StructureDefinition id."""
    return tuple(Profile(PDEX, id) for id in ids)


def r4(*ids: str) -> tuple[Profile, ...]:
    """Profiles of the core specification by StructureDefinition id."""
    return tuple(Profile(R4, id) for id in ids)


def hrex(*ids: str) -> tuple[Profile, ...]:
    """HRex profiles by StructureDefinition id."""
    return tuple(Profile(HREX, id) for id in ids)


SMART_CAPABILITIES = (
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
"""``capabilities`` of smart-configuration; each is something the authorization server really does."""


@dataclass(frozen=True, slots=True)
class ConsentCategory:
    """A kind of data that the member can withhold: a stable slug, its name, and what belongs to it, in plain English."""

    slug: str
    title: str
    contents: str


CONSENT_CATEGORIES = (
    ConsentCategory(
        "demographics",
        "Who you are",
        "Your name, birth date, address, contact details and member numbers, and the people related to you",
    ),
    ConsentCategory("coverage", "Your coverage", "Which health plans you have or had, and your numbers in them"),
    ConsentCategory("claims", "Your claims", "What your doctors, hospitals and pharmacies billed, and what was paid"),
    ConsentCategory(
        "prior-authorizations",
        "Your prior authorizations",
        "Care that your plan was asked to approve beforehand, and what it decided",
    ),
    ConsentCategory("conditions", "Your health problems", "Diagnoses, problems and other health concerns"),
    ConsentCategory("medications", "Your medicines", "Medicines prescribed or dispensed to you"),
    ConsentCategory("allergies", "Your allergies", "Allergies and other things you do not tolerate"),
    ConsentCategory("immunizations", "Your vaccinations", "Vaccinations you had, or that were not given"),
    ConsentCategory(
        "procedures-and-devices",
        "Your procedures and devices",
        "Operations and other procedures, services ordered for you, and devices such as implants",
    ),
    ConsentCategory("visits", "Your visits", "Visits to a doctor or clinic, and stays in a hospital"),
    ConsentCategory(
        "test-results-and-vital-signs",
        "Your test results and vital signs",
        "Laboratory and other test results, blood pressure, weight, and answers about your habits and life",
    ),
    ConsentCategory(
        "notes-and-documents",
        "Your notes and documents",
        "Notes and letters about your care, and questionnaires you answered",
    ),
    ConsentCategory(
        "care-plans-and-team",
        "Your care plans and care team",
        "Plans and goals for your care, and the people who care for you",
    ),
)
"""What a member can withhold, in the order in which it is shown. The rows of the registry say what belongs to which."""
DEMOGRAPHICS = CONSENT_CATEGORIES[0].slug


@dataclass(frozen=True, slots=True)
class LaunchScope:
    """A scope that is not about resources, with the words in which the member is asked for it ('' : not shown).

    ``category``: the consent category that it tells something of, so that withholding that drops it.
    """

    scope: str
    consent: str
    category: str = ""


LAUNCH_SCOPES = (
    LaunchScope("openid", ""),
    LaunchScope("fhirUser", "Know who you are (your name and member record)", category=DEMOGRAPHICS),
    LaunchScope("profile", "", category=DEMOGRAPHICS),
    LaunchScope("launch/patient", ""),
    LaunchScope("online_access", "Get your information while you are signed in here, and no longer"),
    LaunchScope(
        "offline_access", "Get your information also when you are not using the app, for as long as you choose"
    ),
)
