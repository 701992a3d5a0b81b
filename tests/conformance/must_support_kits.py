"""What the conformance kits look for: must-support elements, slices, extensions and reference targets, in plain records.

https://hl7.org/fhir/us/core/STU6.1/must-support.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Records:
    """The records whose must-support elements are looked for, and whom their references mean."""

    all: Sequence[Record]

    @cached_property
    def by_reference(self) -> Mapping[str, Record]:
        """``Type/id`` to the record."""
        return {f"{record['resourceType']}/{record['id']}": record for record in self.all}

    @cached_property
    def by_profile(self) -> Mapping[str, Sequence[Record]]:
        """Each canonical that is claimed, as claimed and without its version, to the records that claim it."""
        found: dict[str, list[Record]] = {}
        for record in self.all:
            claimed = record.get("meta", {}).get("profile", [])
            for name in {*claimed, *(canonical.partition("|")[0] for canonical in claimed)}:
                found.setdefault(name, []).append(record)
        return found

    def of_profile(self, canonical: str, version: str) -> Sequence[Record]:
        """The records that claim this version of a profile, or of a profile that makes an abstract one concrete."""
        own = self.by_profile.get(f"{canonical}|{version}", ())
        concrete = (found for name, found in self.by_profile.items() if is_concrete_form(name, canonical, version))
        return own or [record for found in concrete for record in found]


def is_concrete_form(name: str, canonical: str, version: str) -> bool:
    """Whether ``name`` is a versioned profile named after ``canonical``, as C4BB-ExplanationOfBenefit-Oral is."""
    return name.startswith(f"{canonical}-") and name.endswith(f"|{version}")


@dataclass(frozen=True, slots=True)
class Group:
    """One profile of a guide, as a kit's metadata describes it."""

    guide: str
    name: str
    canonical: str
    version: str
    must_support: Mapping[str, Any]

    @property
    def slices(self) -> dict[str, Any]:
        """``path:slice`` to the row that says how to know the slice."""
        return {row["slice"].split(".", 1)[1]: row for row in self.must_support.get("slices", ())}


GUIDES = (
    ("carin-bb", "v2.0.0", "2.0.0"),
    ("us-core", "v6.1.0", "6.1.0"),
    ("us-core", "v7.0.0", "7.0.0"),
    ("pdex", "pdex_payer_server", "2.0.0"),
)
"""Kit, the version in its metadata, the version of the profiles."""


def groups(kits: Mapping[str, Any]) -> Iterator[Group]:
    """The profile groups of the guides served; those for granular scopes only repeat others."""
    for kit, listed, version in GUIDES:
        for name, row in kits[kit][listed].items():
            if not name.startswith("granular_scope_tests/"):
                yield Group(f"{kit} {version}", name, row["profile"], version, row.get("must_support") or {})


def children(node: Any, name: str) -> Iterator[Any]:
    """The values of an element, a choice type (``value[x]``) under any of its names."""
    if isinstance(node, Mapping):
        stem = name.removesuffix("[x]")
        for key, value in node.items():
            if key == name or (name.endswith("[x]") and key.startswith(stem) and key[len(stem) :][:1].isupper()):
                yield from value if isinstance(value, list) else [value]


def values(nodes: Sequence[Any], path: str) -> list[Any]:
    """The values at a path of plain element names, below these nodes."""
    found = list(nodes)
    names = [*filter(None, path.split("."))]
    for name, following in zip(names, [*names[1:], ""], strict=False):
        key = f"_{name}" if following == "extension" and not has_mapping(found, name) else name
        found = [child for node in found for child in children(node, key)]
    return found


def has_mapping(nodes: Sequence[Any], name: str) -> bool:
    """Whether an element has elements of its own; the extensions of a primitive stand beside it, under ``_name``."""
    return any(isinstance(child, Mapping) for node in nodes for child in children(node, name))


def in_slice(node: Any, discriminator: Mapping[str, Any]) -> bool:
    """Whether an element is of a slice, by the kit's discriminator."""
    match discriminator["type"]:
        case "type":
            return True  # the choice was made by the element's name
        case "value":
            return all(row["value"] in values([node], row["path"]) for row in discriminator["values"])
        case "requiredBinding":
            path = discriminator.get("path", "")
            codings = [*values([node], f"{path}.coding"), *values([node], path)]
            codes = [{"system": c.get("system"), "code": c.get("code")} for c in codings if isinstance(c, Mapping)]
            return any(code in discriminator["values"] for code in codes)
        case "patternIdentifier":
            return discriminator.get("system") in {None, node.get("system")}
        case "patternCoding":
            codings = values([node], discriminator.get("path", "")) or [node]
        case _:
            codings = values([node], ".".join(filter(None, (discriminator.get("path", ""), "coding"))))
    wanted = (discriminator["system"], discriminator["code"])
    return any((coding.get("system"), coding.get("code")) == wanted for coding in codings)


def at(group: Group, records: Sequence[Record], path: str) -> list[Any]:
    """The values at a kit's path, whose slices are written ``element:slice``."""
    start, colon, rest = path.partition(":")
    if not colon:
        return values(records, path)
    name, _, inner = rest.partition(".")
    row = group.slices.get(f"{start}:{name}")
    if row is None:  # ``valueQuantity:valueQuantity.value``: the name of the element has chosen already
        return at(group, values(records, start), inner)
    discriminator = row["discriminator"]
    element = row["path"]
    if discriminator["type"] == "type":
        element = element.removesuffix("[x]") + discriminator["code"][0].upper() + discriminator["code"][1:]
    nodes = [node for node in values(records, element) if in_slice(node, discriminator)]
    return at(group, nodes, inner) if ":" in inner else values(nodes, inner)


def missing(group: Group, records: Records) -> tuple[int, list[str]]:
    """How many rows a group has, and those that no record of the profile carries."""
    found = records.of_profile(group.canonical, group.version)
    rows: dict[str, bool] = {}
    for name in group.slices:
        rows[f"slice {name}"] = bool(at(group, found, name))
    for element in group.must_support.get("elements", ()):
        plain, _, targets = element.partition(" -> ")
        path, _, fixed = plain.partition(" = ")
        carried = at(group, found, path)
        rows[plain] = bool(carried) and (not fixed or fixed in [str(value) for value in carried])
        for target in filter(None, targets.split("|")):
            rows[f"{path} -> {target}"] = any(claims(records, value, target) for value in carried)
    for row in group.must_support.get("extensions", ()):
        rows[row["id"]] = any(node.get("url") == row["url"] for node in values(found, row["path"]))
    for choice in group.must_support.get("choices", ()):
        forgive(rows, choice)
    return len(rows), [name for name, carried in rows.items() if not carried]


def claims(records: Records, value: Any, target: str) -> bool:
    """Whether a Reference means a record that claims a profile."""
    meant = records.by_reference.get(value.get("reference", "")) if isinstance(value, Mapping) else None
    profiles = meant.get("meta", {}).get("profile", []) if meant else []
    return any(canonical.partition("|")[0].endswith(f"/{target}") for canonical in profiles)


def forgive(rows: dict[str, bool], choice: Mapping[str, Any]) -> None:
    """Where a guide lets a server choose among elements, extensions or targets, one carried is all carried."""
    targets = tuple(canonical.rpartition("/")[2] for canonical in choice.get("target_profiles", ()))
    names = [
        name
        for name in rows
        if name.partition(" = ")[0] in choice.get("paths", ())
        or name in choice.get("extension_ids", ())
        or (" -> " in name and name.endswith(tuple(f" -> {target}" for target in targets)) and targets)
    ]
    if any(rows[name] for name in names):
        rows.update(dict.fromkeys(names, True))
