"""The published guides as packages: what they say, for tests that compare the rows with it. They are read, never committed.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

CONFORMANCE_RESOURCE = re.compile(
    r"package/(searchparameter|capabilitystatement|structuredefinition)-.*\.json", re.IGNORECASE
)
CORE_PACKAGE = "hl7.fhir.r4.core"
CORE_PROFILES = ("package/StructureDefinition-vitalsigns.json",)
"""Of the core package's many StructureDefinitions, those that a row names."""


@dataclass(frozen=True, slots=True)
class Package:
    """A published package: its id and version, and its conformance resources by canonical URL."""

    id: str
    version: str
    resources: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """``id#version``"""
        return f"{self.id}#{self.version}"


@lru_cache(maxsize=1)
def packages(directory: Path) -> Sequence[Package]:
    """Every package of a directory of .tgz files, in the order of their names."""
    return [_package(path) for path in sorted(directory.glob("*.tgz"))]


def _package(path: Path) -> Package:
    resources: dict[str, Mapping[str, Any]] = {}
    about: Mapping[str, Any] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name == "package/package.json":
                about = orjson.loads(_bytes(archive, member))
            elif CONFORMANCE_RESOURCE.fullmatch(member.name) and not (
                path.name.startswith(CORE_PACKAGE)
                and "StructureDefinition" in member.name
                and member.name not in CORE_PROFILES
            ):
                resource = orjson.loads(_bytes(archive, member))
                resources[resource["url"]] = resource
    match = re.match(r"(?P<id>[a-z0-9.\-]+?)-(?P<version>\d+\.\d+\.\d+)", path.name)
    assert match is not None
    assert about.get("name", match["id"]) == match["id"]
    return Package(match["id"], match["version"], resources)


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()
