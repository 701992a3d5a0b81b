"""The CapabilityStatement, computed from the registry and the same object as smart-configuration.

https://hl7.org/fhir/R4/capabilitystatement.html and https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from collections.abc import Mapping
from typing import Any

import orjson

from server import __version__, clock
from server.fhir.definitions import MEMBER, documentation_of
from server.settings import Settings
from server.specification.audit import AUDIT_TYPES
from server.specification.combinations import combinations
from server.specification.definition import HISTORY_SYSTEM, READ, SEARCH_TYPE, VREAD, ResourceDefinition
from server.specification.definitional import (
    CAPABILITY_STATEMENT,
    COMPARTMENT_DEFINITION,
    DEFINITION_TYPES,
    DefinitionType,
)
from server.specification.registry import RESOURCES
from server.specification.standards import FHIR_VERSION, GUIDES, INSTANTIATES

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_COMBINATION = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-search-parameter-combination"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_SUPPORT = {True: "email", False: "url"}


def capability_statement(settings: Settings, oauth_uris: Mapping[str, str]) -> bytes:
    """The CapabilityStatement as JSON bytes; ``oauth_uris`` are the endpoints also told by smart-configuration."""
    started = clock.instant(clock.now_microseconds())
    contact = settings.support_contact
    return orjson.dumps(
        {
            "resourceType": CAPABILITY_STATEMENT,
            "id": "patient-access",
            "url": f"{settings.fhir_base}/metadata",
            "version": __version__,
            "name": "PatientAccess",
            "title": f"{settings.payer_name} Patient Access API",
            "status": "active",
            "experimental": settings.environment != "production",
            "date": started,
            "publisher": settings.payer_name,
            **({"contact": [{"telecom": [_telecom(contact)]}]} if contact else {}),
            "description": "Claims, coverage and prior authorizations of one member, by that member's consent.",
            "kind": "instance",
            "instantiates": list(INSTANTIATES),
            "software": {"name": "patient-access", "version": __version__},
            "implementation": {"description": f"{settings.payer_name} Patient Access API", "url": settings.fhir_base},
            "fhirVersion": FHIR_VERSION,
            "format": ["json", "application/fhir+json"],
            "implementationGuide": [f"{guide.canonical}|{version}" for guide in GUIDES for version in guide.versions],
            "rest": [
                {
                    "mode": "server",
                    "documentation": (
                        "A token sees one member's records and the shared directory; what describes the API is read without one. "
                        f"For developers: {settings.base_url}/docs"
                    ),
                    "security": _security(oauth_uris),
                    "resource": [
                        *(_resource(definition) for definition in RESOURCES.values()),
                        *(_definition_type(definition) for definition in DEFINITION_TYPES.values()),
                        *(_audit_type(definition) for definition in AUDIT_TYPES.values()),
                    ],
                    "interaction": [{"code": HISTORY_SYSTEM}],
                    "compartment": [f"{settings.fhir_base}/{COMPARTMENT_DEFINITION.type}/{MEMBER}"],
                }
            ],
        }
    )


def _telecom(contact: str) -> dict[str, str]:
    return {"system": _SUPPORT["@" in contact and "://" not in contact], "value": contact}


def _security(oauth_uris: Mapping[str, str]) -> dict[str, Any]:
    return {
        "extension": [
            {"url": _OAUTH_URIS, "extension": [{"url": name, "valueUri": uri} for name, uri in oauth_uris.items()]}
        ],
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}],
        "description": "SMART App Launch 2.2: authorization code with PKCE S256; opaque bearer tokens.",
    }


def _resource(definition: ResourceDefinition) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "type": definition.type,
        "documentation": definition.title,
        "interaction": [{"code": code} for code in definition.interactions],
        "versioning": "versioned",
        "readHistory": VREAD in definition.interactions,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "logical", "resolves"],
        "searchParam": [
            {
                "name": parameter.code,
                "definition": parameter.canonical,
                "type": str(parameter.type),
                "documentation": documentation_of(parameter),
            }
            for parameter in definition.search_parameters
        ],
    }
    together = combinations(definition)
    if together:
        resource["extension"] = [
            {"url": _COMBINATION, "extension": [{"url": "required", "valueString": code} for code in codes]}
            for codes in together
        ]
    if definition.profiles:
        resource["supportedProfile"] = [profile.canonical for profile in definition.profiles]
    if definition.operations:
        resource["operation"] = [
            {"name": operation.code, "definition": operation.canonical, "documentation": operation.title}
            for operation in definition.operations
        ]
    if definition.includes:
        resource["searchInclude"] = list(definition.includes)
    if definition.revincludes:
        resource["searchRevInclude"] = list(definition.revincludes)
    return resource


def _definition_type(definition: DefinitionType) -> dict[str, Any]:
    return {
        "type": definition.type,
        "documentation": f"{definition.title}. Read without a token.",
        "interaction": [{"code": READ}, {"code": SEARCH_TYPE}],
        "versioning": "no-version",
        "searchParam": [
            {"name": parameter.code, "definition": parameter.canonical, "type": parameter.type}
            for parameter in definition.parameters
        ],
    }


def _audit_type(definition: ResourceDefinition) -> dict[str, Any]:
    return {
        "type": definition.type,
        "documentation": f"{definition.title}. Only by a client's own token with the scope system/{definition.type}.rs; never a member's.",
        "interaction": [{"code": code} for code in definition.interactions],
        "versioning": "no-version",
        "searchParam": [
            {"name": parameter.code, "definition": parameter.canonical, "type": str(parameter.type)}
            for parameter in definition.search_parameters
        ],
    }
