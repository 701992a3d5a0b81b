"""References between records: urn:uuid to real ids; conditional ones to real ids, or to logical ones until their target arrives.

https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/R4/references.html#logical
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from server.storage.resource_lookup import ANY_SYSTEM, Awaited

URN = "urn:"
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})\?(?P<search>.*)", re.DOTALL)
_WORTH_A_LOOK = re.compile(rb'"reference":"(?:[a-z]|[A-Z][A-Za-z]+\?)')
_LOGICAL_ELEMENTS = frozenset(("type", "identifier", "display", "id", "extension"))


class UnsupportedReferenceError(ValueError):
    """A conditional reference that asks for something else than one identifier; the message says how to write it, ``path`` where it stands."""

    path = ""


def worth_a_look(content: bytes) -> bool:
    """Whether a resource, by its JSON, has any reference that is not plainly relative."""
    return _WORTH_A_LOOK.search(content) is not None


def references(value: Any) -> Iterator[dict[str, Any]]:
    """Every Reference element with a literal reference in it, contained resources included."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value
        for item in value.values():
            if isinstance(item, dict | list):
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                yield from references(item)


def resolve_full_urls(resource: dict[str, Any], targets: Mapping[str, str]) -> int:
    """Replace references to fullUrls of the Bundle by Type/id, in place; answer how many ``urn:`` references lead nowhere."""
    dangling = 0
    for node in references(resource):
        target = targets.get(node["reference"])
        if target is not None:
            node["reference"] = target
        elif node["reference"].startswith(URN):
            dangling += 1
    return dangling


def conditional(reference: str) -> Awaited | None:
    """What ``Type?identifier=system|value`` (also url-encoded, also without a system) asks for; None if it is not conditional.

    Raises UnsupportedReferenceError for any other search.
    """
    match = _CONDITIONAL.fullmatch(reference)
    if match is None:
        return None
    name, _, token = match["search"].partition("=")
    if name != "identifier" or "&" in token or "," in token or not token:
        raise UnsupportedReferenceError("is a conditional reference that does not search by one identifier")
    system, bar, value = unquote(token).rpartition("|")
    if not value:
        raise UnsupportedReferenceError("is a conditional reference without an identifier's value")
    return Awaited(match["type"], system if bar else ANY_SYSTEM, value)


def conditionals(resource: dict[str, Any]) -> list[tuple[dict[str, Any], Awaited]]:
    """The conditional references of a resource. Raises UnsupportedReferenceError."""
    found = []
    for node in references(resource):
        try:
            awaited = conditional(node["reference"])
        except UnsupportedReferenceError as error:
            error.path = _path(resource, node, str(resource["resourceType"])) or ""
            raise
        if awaited is not None:
            found.append((node, awaited))
    return found


def _path(value: Any, node: dict[str, Any], path: str) -> str | None:
    """Where in a value one of its objects stands."""
    if value is node:
        return path
    steps: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        steps = ((f".{name}", item) for name, item in value.items())
    elif isinstance(value, list):
        steps = ((f"[{number}]", item) for number, item in enumerate(value))
    return next((found for step, item in steps if (found := _path(item, node, path + step)) is not None), None)


def logicals(value: Any, awaited: Collection[Awaited]) -> Iterator[tuple[dict[str, Any], Awaited]]:
    """The logical references of a resource that stand for these awaited targets."""
    if isinstance(value, list):
        for item in value:
            yield from logicals(item, awaited)
    elif isinstance(value, dict):
        if "identifier" in value and "type" in value and value.keys() <= _LOGICAL_ELEMENTS:
            for target in awaited:
                if value["type"] == target.type and value["identifier"] == _identifier(target):
                    yield value, target
                    return
        for item in value.values():
            if isinstance(item, dict | list):
                yield from logicals(item, awaited)


def _identifier(awaited: Awaited) -> dict[str, str]:
    named = awaited.system not in ("", ANY_SYSTEM)
    return ({"system": awaited.system} if named else {}) | {"value": awaited.value}


def make_logical(node: dict[str, Any], awaited: Awaited) -> None:
    """Turn a conditional reference into a logical one, in place; its display stays."""
    if "reference" in node:
        logical = {"type": awaited.type, "identifier": _identifier(awaited)}
        _replace(node, "reference", logical, dropped=("type", "identifier"))


def make_literal(node: dict[str, Any], reference: str) -> None:
    """Turn a conditional or logical reference into a literal one, in place; its display stays."""
    place = "reference" if "reference" in node else "type"
    _replace(node, place, {"reference": reference}, dropped=("type", "identifier"))


def _replace(node: dict[str, Any], place: str, new: Mapping[str, Any], dropped: tuple[str, ...]) -> None:
    """Put new elements where one stood, keeping the order of the rest."""
    before = dict(node)
    node.clear()
    for name, value in before.items():
        if name == place:
            node.update(new)
        elif name not in dropped:
            node[name] = value


class Targets:
    """Resources by identifier, to resolve conditional references with; members' resources only for the same member."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], set[tuple[str, str, str]]] = defaultdict(set)

    def add(self, type_name: str, system: str, value: str, id: str, patient: str) -> None:
        """A resource with this identifier; ``patient`` '' for the directory."""
        self._found[type_name, value].add((system, id, patient))

    def find(self, awaited: Awaited, patients: Collection[str] | None) -> str | None:
        """The id of the one resource meant, among these members' (None: anybody's); None if there is none, or more than one."""
        ids = {
            id
            for system, id, patient in self._found.get((awaited.type, awaited.value), ())
            if awaited.system in (system, ANY_SYSTEM) and (patients is None or patient in patients)
        }
        return ids.pop() if len(ids) == 1 else None
