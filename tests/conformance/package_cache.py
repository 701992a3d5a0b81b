"""The published packages laid out as the official validator wants them, with empty ones for those that are not at hand.

https://confluence.hl7.org/display/FHIR/FHIR+Package+Cache
"""

import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

ALWAYS_ASKED_FOR = (
    ("hl7.fhir.uv.extensions", "1.0.0"),
    ("hl7.fhir.uv.extensions.r4", "1.0.0"),
    ("hl7.fhir.xver-extensions", "0.1.0"),
    ("hl7.terminology", "5.3.0"),
)
"""Packages that the validator loads by itself, whatever a guide depends on."""
MEDIA_TYPES = ("text/plain", "text/html", "application/pdf", "application/json", "application/fhir+json", "json")
"""The last is FHIR's own short form, allowed in CapabilityStatement.format."""
CODE_SYSTEMS = tuple(
    {
        "resourceType": "CodeSystem",
        "id": id,
        "url": url,
        "version": "written-out",
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "concept": [{"code": code} for code in codes],
    }
    for id, url, codes in (
        ("currencies", "urn:iso:std:iso:4217", ("USD",)),
        ("media-types", "urn:ietf:bcp:13", MEDIA_TYPES),
    )
)
"""Two registries that no package has, as far as seeded records and answers use them: any other code of theirs is an error."""
INDEXED = ("resourceType", "id", "url", "version", "kind", "type", "supplements", "content")


@dataclass(frozen=True, slots=True)
class Archive:
    """A package as downloaded: ``name#version``, its file, and the ``name#version`` of each package it depends on."""

    name: str
    path: Path
    dependencies: tuple[str, ...]


@lru_cache(maxsize=4)
def archives(directory: Path) -> dict[str, Archive]:
    """The packages of a directory of .tgz files, under whatever file names, by ``name#version``."""
    found = {}
    for path in sorted(directory.glob("*.tgz")):
        with tarfile.open(path) as archive:
            file = archive.extractfile("package/package.json")
            assert file is not None
            about = orjson.loads(file.read())
        name = f"{about['name']}#{about['version']}"
        dependencies = tuple(f"{id}#{version}" for id, version in about.get("dependencies", {}).items())
        found[name] = Archive(name, path, dependencies)
    return found


def install(directory: Path, wanted: tuple[str, ...], cache: Path) -> list[str]:
    """Fills ``cache`` with the wanted packages and what they depend on; answers those that had to stay empty.

    ``wanted`` are ``name#version`` and must be in the directory; a dependency that is not there becomes an empty package.
    """
    there = archives(directory)
    missing = [name for name in wanted if name not in there]
    if missing:
        raise FileNotFoundError(
            f"{directory} has no package {', '.join(missing)}; download it from HL7 into that folder"
        )
    empty = []
    for name in dict.fromkeys([*closure(wanted, there), *("#".join(row) for row in ALWAYS_ASKED_FOR)]):
        target = cache / name
        if name in there:
            _unpack(there[name], target)
        else:
            _write(target / "package", {"package.json": _empty(name), ".index.json": {"index-version": 2, "files": []}})
            empty.append(name)
    return empty


def companion(
    guide: str, own: tuple[str, ...], others: tuple[str, ...], whole: tuple[str, ...], directory: Path, cache: Path
) -> str:
    """A package of what other guides define and this one does not: their extensions and terminology, and what we wrote out.

    A record carries extensions of several guides, and is checked against one at a time. Of the guides in ``whole`` come the
    profiles too, because extensions name them. Answers the package's ``name#version``.
    """
    known = set(definitions(own, directory, cache))
    found: dict[str, Any] = {resource["url"]: resource for resource in CODE_SYSTEMS}
    for name in others:
        for url, resource in _resources(cache / name).items():
            is_terminology = resource["resourceType"] in {"CodeSystem", "ValueSet"}
            is_extension = resource.get("type") == "Extension"
            is_profile = name in whole and resource["resourceType"] == "StructureDefinition"
            if url not in known and (is_terminology or is_extension or is_profile):
                found[url] = resource
    package = f"companion.{guide}#1.0.0"
    files = {f"{number}.json": resource for number, resource in enumerate(found.values())}
    index = {"index-version": 2, "files": list(_index(files))}
    shutil.rmtree(cache / package, ignore_errors=True)
    _write(cache / package / "package", {"package.json": _empty(package), ".index.json": index, **files})
    return package


def definitions(own: tuple[str, ...], directory: Path, cache: Path) -> dict[str, Any]:
    """The conformance resources of these packages, and of what they depend on, by canonical URL."""
    there = archives(directory)
    found: dict[str, Any] = {}
    for name in reversed([name for name in closure(own, there) if name in there]):
        found.update(_resources(cache / name))
    return found


@lru_cache(maxsize=32)
def _resources(folder: Path) -> dict[str, Any]:
    """The conformance resources of an installed package by canonical URL."""
    found = {}
    for path in (folder / "package").glob("*.json"):
        resource = orjson.loads(path.read_bytes())
        if isinstance(resource, dict) and "url" in resource and "resourceType" in resource:
            found[resource["url"]] = resource
    return found


def closure(wanted: tuple[str, ...], there: Mapping[str, Archive]) -> Iterator[str]:
    """The wanted packages and everything they depend on, each once, as far as the directory knows."""
    seen: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            yield name
            waiting.extend(there[name].dependencies if name in there else ())


def _unpack(package: Archive, target: Path) -> None:
    stamp = target / "from.txt"
    origin = f"{package.path.name} {package.path.stat().st_size} {package.path.stat().st_mtime_ns}"
    if stamp.exists() and stamp.read_text() == origin:
        return
    shutil.rmtree(target, ignore_errors=True)
    files = read(package)
    about = files["package.json"]
    about.setdefault("type", "IG")
    about.setdefault("canonical", about.get("url", f"urn:package:{package.name}"))
    files[".index.json"] = {"index-version": 2, "files": list(_index(files))}
    _write(target / "package", files)
    stamp.write_text(origin)


def read(package: Archive) -> dict[str, Any]:
    """The JSON files of a package by name."""
    version = package.name.partition("#")[2]
    files: dict[str, Any] = {}
    with tarfile.open(package.path) as archive:
        for member in archive:
            folder, _, name = member.name.partition("/")
            if folder == "package" and "/" not in name and name.endswith(".json"):
                file = archive.extractfile(member)
                assert file is not None
                files[name] = orjson.loads(file.read())
    for resource in files.values():
        if "url" in resource and "resourceType" in resource:
            resource.setdefault("version", version)  # a guide compiled from its source leaves that to its publisher
    return files


def _index(files: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name, resource in files.items():
        if "resourceType" in resource:
            yield {"filename": name, **{key: str(resource[key]) for key in INDEXED if key in resource}}


def _empty(name: str) -> dict[str, Any]:
    id, _, version = name.partition("#")
    return {
        "name": id,
        "version": version,
        "type": "IG",
        "fhirVersions": ["4.0.1"],
        "date": "20240101000000",
        "canonical": f"urn:package:{name}",
        "url": f"urn:package:{name}",
        "dependencies": {},
    }


def _write(folder: Path, files: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(orjson.dumps(content))
