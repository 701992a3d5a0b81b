"""The guide versions that records are validated against, each in a validator of its own, and who claims what.

https://hl7.org/fhir/R4/resource.html#profile-tags
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
CORE = "hl7.fhir.r4.core#4.0.1"
CARRIERS = ("hl7.fhir.us.davinci-pas#2.0.1", "hl7.fhir.us.davinci-hrex#1.0.0")
"""Guides that nobody claims here, but whose extensions and profiles PDex is made of."""


@dataclass(frozen=True, slots=True)
class CheckedGuide:
    """A version of a guide: where its profiles live, and the packages that define them, loaded in this order."""

    name: str
    canonical: str
    version: str
    packages: tuple[str, ...]
    unversioned: bool = False

    @property
    def own(self) -> tuple[str, ...]:
        """The packages with FHIR itself."""
        return (CORE, *self.packages)

    def claims(self, record: Record) -> list[str]:
        """The profiles of this version of the guide that a record claims."""
        return [profile for profile in claimed(record) if self.has(profile)]

    def has(self, profile: str) -> bool:
        """Whether a canonical in ``meta.profile`` is one of this version's."""
        url, _, version = profile.partition("|")
        return url.startswith(f"{self.canonical}/") and (version == self.version or (self.unversioned and not version))

    def seen(self, resource: Any) -> Any:
        """A resource, or a Bundle of them, that claims the profiles of this version only."""
        if isinstance(resource, list):
            return [self.seen(value) for value in resource]
        if not isinstance(resource, dict):
            return resource
        found = {key: self.seen(value) for key, value in resource.items()}
        if "resourceType" in found and "profile" in found.get("meta", {}):
            found["meta"] = {key: value for key, value in found["meta"].items() if key != "profile"}
            if profiles := self.claims(resource):
                found["meta"]["profile"] = profiles
        return found


GUIDES = (
    CheckedGuide(
        "us-core-6.1.0", "http://hl7.org/fhir/us/core/StructureDefinition", "6.1.0", ("hl7.fhir.us.core#6.1.0",)
    ),
    CheckedGuide(
        "us-core-7.0.0", "http://hl7.org/fhir/us/core/StructureDefinition", "7.0.0", ("hl7.fhir.us.core#7.0.0",), True
    ),
    CheckedGuide(
        "carin-bb-2.0.0",
        "http://hl7.org/fhir/us/carin-bb/StructureDefinition",
        "2.0.0",
        ("hl7.fhir.us.carin-bb#2.0.0",),
    ),
    CheckedGuide(
        "carin-bb-2.1.0",
        "http://hl7.org/fhir/us/carin-bb/StructureDefinition",
        "2.1.0",
        ("hl7.fhir.us.core#6.1.0", "hl7.fhir.us.carin-bb#2.1.0"),
        True,
    ),
    CheckedGuide(
        "pdex-2.0.0",
        "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition",
        "2.0.0",
        ("hl7.fhir.us.davinci-pdex#2.0.0",),
    ),
    CheckedGuide(
        "pdex-2.2.0",
        "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition",
        "2.2.0",
        ("hl7.fhir.us.core#6.1.0", *CARRIERS, "hl7.fhir.us.davinci-pdex#2.2.0"),
        True,
    ),
)
"""PDex 2.0.0 asks for its version in ``meta.profile``, 2.2.0 for none: an authorization claims both."""
PACKAGES = tuple(dict.fromkeys([CORE, *(name for guide in GUIDES for name in guide.packages), *CARRIERS]))


def claimed(record: Record) -> list[str]:
    """What stands in a record's ``meta.profile``."""
    return list(record.get("meta", {}).get("profile", []))


def unchecked(record: Record) -> list[str]:
    """The claims of a record that no guide here checks."""
    return [profile for profile in claimed(record) if not any(guide.has(profile) for guide in GUIDES)]
