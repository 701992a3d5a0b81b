"""User-access Brands: the Bundle by which apps show the payer, and the record of the Endpoint that this server is.

https://hl7.org/fhir/smart-app-launch/STU2.2/StructureDefinition-user-access-brands-bundle.html - public, at a stable address.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import orjson

from server import clock
from server.authorization.brands import ADDRESS, Brand, brands
from server.settings import Settings
from server.specification.administrative import ENDPOINT, ORGANIZATION
from server.specification.standards import FHIR_VERSION

PATH = "/brands"
ENDPOINT_ID = "patient-access"
MEDIA_TYPE = "application/fhir+json"
_SMART = "http://hl7.org/fhir/smart-app-launch/StructureDefinition/user-access-"
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


@dataclass(frozen=True, slots=True)
class BrandBundle:
    """What is sent at each path: JSON bytes; one weak entity tag for the contents, and the HTTP date since which they are so."""

    bodies: Mapping[str, bytes]
    etag: str
    last_modified: str

    def has_not_changed(self, if_none_match: str) -> bool:
        """Whether a client that sends this header has the contents already."""
        tags = [tag.strip() for tag in if_none_match.split(",")]
        return "*" in tags or self.etag in tags or self.etag.removeprefix("W/") in tags


def brand_bundle(settings: Settings) -> BrandBundle:
    """The Bundle and each of its resources. Raises BrandsError.

    The time is that of BRANDS_FILE, or, since settings change with a new process only, that of the start; the tag is of the contents,
    so that every process has the same.
    """
    path = settings.brands_file
    found = brands(settings)
    changed = int(path.stat().st_mtime * 1_000_000) if path is not None else clock.now_microseconds()
    resources = [*(_organization(brand) for brand in found), endpoint(settings, found[0])]
    paths = [f"{PATH}/{one['resourceType']}/{one['id']}" for one in resources]
    entries = [
        {"fullUrl": settings.base_url + path, "resource": one} for path, one in zip(paths, resources, strict=True)
    ]
    bundle = {
        "resourceType": "Bundle",
        "meta": {"lastUpdated": clock.instant(changed), "profile": [_SMART + "brands-bundle"]},
        "type": "collection",
        "timestamp": clock.instant(changed),
        "entry": entries,
    }
    bodies = {PATH: orjson.dumps(bundle)} | {
        path: orjson.dumps(one) for path, one in zip(paths, resources, strict=True)
    }
    etag = f'W/"{hashlib.sha256(orjson.dumps(entries)).hexdigest()[:20]}"'
    return BrandBundle(bodies, etag, formatdate(changed // 1_000_000, usegmt=True))


def user_access_brand(settings: Settings) -> dict[str, Any]:
    """The properties of smart-configuration that lead to the Bundle and name this server's brand in it."""
    return {
        "user_access_brand_bundle": settings.base_url + PATH,
        "user_access_brand_identifier": _identifier(brands(settings)[0].identifiers[0]),
    }


def endpoint(settings: Settings, owner: Brand) -> dict[str, Any]:
    """The Endpoint that this server is, as a FHIR resource."""
    contact = settings.support_contact
    support = [{"system": "url" if "://" in contact else "email", "value": contact}] if contact else []
    return {
        "resourceType": ENDPOINT.type,
        "id": ENDPOINT_ID,
        "meta": {"profile": [_SMART + "endpoint"]},
        "extension": [{"url": _EXTENSION + "endpoint-fhir-version", "valueCode": FHIR_VERSION}],
        "status": "active" if settings.environment == "production" else "test",
        "connectionType": {"system": _TERMINOLOGY + "endpoint-connection-type", "code": "hl7-fhir-rest"},
        "name": f"{owner.name} Patient Access API (FHIR R4)",
        "managingOrganization": {"reference": f"{ORGANIZATION.type}/{owner.id}"},
        "contact": [{"system": "url", "value": f"{settings.base_url}/docs"}, *support],
        "payloadType": [{"coding": [{"system": _TERMINOLOGY + "endpoint-payload-type", "code": "none"}]}],
        "payloadMimeType": [MEDIA_TYPE],
        "address": settings.fhir_base,
    }


def _organization(brand: Brand) -> dict[str, Any]:
    """A brand as a FHIR resource; elements without a value are left out."""
    here = {"reference": f"{ENDPOINT.type}/{ENDPOINT_ID}"}
    organization: dict[str, Any] = {
        "resourceType": ORGANIZATION.type,
        "id": brand.id,
        "meta": {"profile": [_SMART + "brand"]},
        "extension": [*_logos(brand), *_portal(brand, here)],
        "identifier": [_identifier(one) for one in brand.identifiers],
        "active": True,
        "type": [{"coding": [{"system": _TERMINOLOGY + "organization-type", "code": c}]} for c in brand.categories],
        "name": brand.name,
        "alias": list(brand.aliases),
        "telecom": [{"system": "url", "value": brand.website}],
        "address": [_address(parts) for parts in brand.addresses],
        "partOf": {"reference": f"{ORGANIZATION.type}/{brand.part_of}"} if brand.part_of else None,
        "endpoint": [here],
    }
    return {name: value for name, value in organization.items() if value not in (None, [])}


def _logos(brand: Brand) -> list[dict[str, Any]]:
    logos = [{"url": "brandLogo", "valueUrl": logo} for logo in brand.logos]
    return [{"url": _EXTENSION + "organization-brand", "extension": logos}] if logos else []


def _portal(brand: Brand, here: Mapping[str, str]) -> list[dict[str, Any]]:
    """The portal of a brand that is part of no other: with the other, its members use that one's."""
    if brand.part_of:
        return []
    told: list[dict[str, Any]] = [
        {"url": "portalName", "valueString": brand.portal_name},
        {"url": "portalDescription", "valueMarkdown": brand.portal_description},
        {"url": "portalUrl", "valueUrl": brand.portal_url},
        {"url": "portalEndpoint", "valueReference": dict(here)},
    ]
    return [{"url": _EXTENSION + "organization-portal", "extension": [one for one in told if "" not in one.values()]}]


def _address(parts: Mapping[str, str]) -> dict[str, Any]:
    address: dict[str, Any] = {ADDRESS[name]: value for name, value in parts.items() if value}
    return address | ({"line": [address["line"]]} if "line" in address else {})


def _identifier(text: str) -> dict[str, str]:
    system, _, value = text.rpartition("|")
    return {"system": system, "value": value}
