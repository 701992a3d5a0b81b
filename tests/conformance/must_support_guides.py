"""What the guides themselves mark as must-support: the snapshots of their profiles, evaluated on plain records.

https://hl7.org/fhir/R4/profiling.html#mustsupport and https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.conformance.must_support_kits import children

Element = Mapping[str, Any]
EXTENSION = "Extension"


@dataclass(frozen=True)
class Guide:
    """A guide's package: its profiles and value sets by canonical URL."""

    name: str
    resources: Mapping[str, Mapping[str, Any]]

    def profile(self, canonical: str) -> "Profile":
        """One of its profiles."""
        return Profile(self, self.resources[canonical])

    def codes(self, value_set: str) -> Iterator[tuple[str, str]]:
        """(system, code) of a value set, code '' for a whole code system."""
        found = self.resources.get(value_set.partition("|")[0], {})
        for include in found.get("compose", {}).get("include", ()):
            listed = [concept["code"] for concept in include.get("concept", ())]
            if "system" in include:
                yield from ((include["system"], code) for code in listed or [""])
            for imported in include.get("valueSet", ()):
                yield from self.codes(imported)


@dataclass(frozen=True)
class Profile:
    """One profile: its snapshot's elements by id."""

    guide: Guide
    definition: Mapping[str, Any]

    @cached_property
    def elements(self) -> dict[str, Element]:
        """Element id, without the resource type, to its definition."""
        return {
            element["id"].partition(".")[2]: element
            for element in self.definition["snapshot"]["element"]
            if "." in element["id"]
        }

    def must_support(self) -> list[str]:
        """The ids of the elements, slices and extensions that are must-support."""
        return [id for id, element in self.elements.items() if element.get("mustSupport")]

    def at(self, records: Sequence[Any], id: str) -> list[Any]:
        """The values that an element id names in these records, slice by slice."""
        found, done, steps = list(records), "", id.split(".")
        for number, step in enumerate(steps):
            name, _, slices = step.partition(":")
            path = ".".join(filter(None, (done, name)))
            done = ".".join(filter(None, (done, step)))
            typed = self._type_key(done, name) if slices else ""
            found = [
                child for node in found for child in children(node, beside(node, typed or name, steps[number + 1 :]))
            ]
            if slices and not typed:
                found = [node for node in found if self._in_slice(node, path, done)]
        return found

    def missing(self, records: Sequence[Any]) -> list[str]:
        """The must-support ids that no record carries."""
        return [id for id in self.must_support() if not self.at(records, id)]

    def _type_key(self, id: str, name: str) -> str:
        types = self.elements[id].get("type", [])
        if not name.endswith("[x]") or len(types) != 1:
            return ""
        code = types[0]["code"]
        return f"{name.removesuffix('[x]')}{code[0].upper()}{code[1:]}"

    def _in_slice(self, node: Any, sliced: str, id: str) -> bool:
        element = self.elements[id]
        types = element.get("type", [])
        if types and types[0]["code"] == EXTENSION and types[0].get("profile"):
            return isinstance(node, Mapping) and node.get("url") in {
                url.partition("|")[0] for url in types[0]["profile"]
            }
        discriminators = self.elements[sliced]["slicing"]["discriminator"]
        return all(self._discriminated(node, id, row["type"], row["path"]) for row in discriminators)

    def _discriminated(self, node: Any, id: str, kind: str, path: str) -> bool:
        names = [] if path == "$this" else path.split(".")
        if names and names[-1].startswith("resolve()"):
            return True  # which type a reference means is the validator's business
        if kind == "exists":
            wanted = self.elements[f"{id}.{path}"].get("max") != "0"
            return bool(list(below([node], names))) == wanted
        for length in range(len(names) + 1):
            definition = self.elements.get(".".join([id, *names[:length]]), {})
            wanted = fixed(definition)
            if wanted is not None:
                return any(contains(value, wanted) for value in below([node], names[:length]))
        binding = self.elements.get(".".join([id, *names]), {}).get("binding", {})
        value_set = binding.get("valueSet", "").partition("|")[0]
        codes = set(self.guide.codes(value_set))
        elsewhere = (
            bool(value_set) and value_set not in self.guide.resources
        )  # FHIR's own value sets: the validator reads them
        return any(elsewhere or known(value, codes) for value in below([node], names))


def beside(node: Any, name: str, steps: Sequence[str]) -> str:
    """``name``, or ``_name`` when the extensions of a primitive are wanted, which JSON keeps beside it."""
    wanted = bool(steps) and steps[0].partition(":")[0] == "extension"
    return f"_{name}" if wanted and isinstance(node, Mapping) and isinstance(node.get(f"_{name}"), Mapping) else name


def below(nodes: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The values at a path of element names."""
    found = list(nodes)
    for name in names:
        found = [child for node in found for child in children(node, name)]
    return found


def fixed(element: Element) -> Any:
    """The fixed value or pattern of an element, or None."""
    return next((value for key, value in element.items() if key.startswith(("fixed", "pattern"))), None)


def contains(value: Any, pattern: Any) -> bool:
    """Whether a value has everything that a pattern has."""
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(contains(value.get(key), part) for key, part in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(one, part) for one in value) for part in pattern)
    return bool(value == pattern)


def known(value: Any, codes: set[tuple[str, str]]) -> bool:
    """Whether a code, Coding or CodeableConcept is in a value set, as far as it lists codes."""
    if isinstance(value, str):
        return any(code == value for _, code in codes)
    codings = value.get("coding", [value]) if isinstance(value, Mapping) else []
    return any((coding.get("system"), code) in codes for coding in codings for code in (coding.get("code"), ""))
