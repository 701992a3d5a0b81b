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

INSTANTIATES = (f"{CARIN.canonical}/CapabilityStatement/c4bb",)
"""CapabilityStatements this server instantiates: the exact strings that conformance kits look for."""


def carin(*ids: str) -> tuple[Profile, ...]:
    """CARIN Blue Button profiles by StructureDefinition id."""
    return tuple(Profile(CARIN, id) for id in ids)


def us_core(*ids: str) -> tuple[Profile, ...]:
    """US Core profiles by StructureDefinition id."""
    return tuple(Profile(US_CORE, id) for id in ids)


def pdex(*ids: str) -> tuple[Profile, ...]:
    """PDex profiles by StructureDefinition id."""
    return tuple(Profile(PDEX, id) for id in ids)


def hrex(*ids: str) -> tuple[Profile, ...]:
    """HRex profiles by StructureDefinition id."""
    return tuple(Profile(HREX, id) for id in ids)


SMART_CAPABILITIES = (
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
"""``capabilities`` of smart-configuration; each is something the authorization server really does."""


@dataclass(frozen=True, slots=True)
class LaunchScope:
    """A scope that is not about resources, with the words in which the member is asked for it ('' : not shown)."""

    scope: str
    consent: str


LAUNCH_SCOPES = (
    LaunchScope("openid", ""),
    LaunchScope("fhirUser", "Know who you are (your name and member record)"),
    LaunchScope("profile", ""),
    LaunchScope("launch/patient", ""),
    LaunchScope("offline_access", "Keep getting your information when you are not using the app, until you stop it"),
)
