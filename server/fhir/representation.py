"""Reduced and readable views of stored resources: ``_summary``, ``_elements`` and ``_pretty``, the one place that parses on the way out.

https://hl7.org/fhir/R4/search.html#summary, #elements and https://hl7.org/fhir/R4/http.html#pretty
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from server.fhir.canonical_json import parse, serialise
from server.fhir.outcomes import bad_parameter
from server.specification.summaries import MANDATORY, SUMMARY

TRUE, TEXT, DATA, COUNT, FALSE = "true", "text", "data", "count", "false"
PRESENTATION = ("_format", "_pretty", "_summary", "_elements")
"""Parameters that any interaction takes: they say how the answer is written."""
MODES = (TRUE, TEXT, DATA, COUNT, FALSE)
"""Values of ``_summary``."""
ALWAYS = ("resourceType", "id", "meta", "implicitRules", "modifierExtension")
"""What every view keeps."""
SUBSETTED: Mapping[str, str] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
"""The tag of a resource that is not whole, so that nobody stores or sends back a part for the whole."""
MOST_ELEMENTS = 100
_CHOICE = "[x]"
_WORD = re.compile(r"([A-Za-z]+(?:\[x\])?)(?:\(([^)]*)\))?")
_ELEMENT = re.compile(r"(?:([A-Z][A-Za-z]*)\.)?([a-z][A-Za-z]*)(?:\.[A-Za-z.]+)?")

Kept = Mapping[str, frozenset[str] | None]
"""Element name to the child elements kept of it, None all of them."""


@dataclass(frozen=True, slots=True)
class Representation:
    """How resources are written: by ``summary`` (a mode, '' whole), or only the ``elements`` named ((type or '', element))."""

    summary: str = ""
    elements: tuple[tuple[str, str], ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether stored bytes can be sent as they are."""
        return self.summary in ("", FALSE, COUNT) and not self.elements

    def of(self, type: str, body: bytes, *, included: bool = False) -> bytes:
        """The body of a resource of this type, reduced and tagged SUBSETTED when something may be missing.

        What is ``included`` is reduced by elements only where they name its type.
        """
        names = tuple(
            element for its_type, element in self.elements if its_type == type or (not its_type and not included)
        )
        if not body or not (names or self.summary in (TRUE, TEXT, DATA)):
            return body
        return serialise(self._reduced(type, parse(body.decode()), names))

    def _reduced(self, type: str, resource: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        if self.summary == DATA and not names:
            reduced = {name: value for name, value in resource.items() if name != "text"}
        else:
            reduced = _only(resource, _named(type, names) if names else _TABLES[self.summary](type))
        meta = dict(resource.get("meta") or {})
        meta["tag"] = [*meta.get("tag", ()), dict(SUBSETTED)]
        return {
            **{name: reduced[name] for name in ("resourceType", "id") if name in reduced},
            "meta": meta,
            **{name: value for name, value in reduced.items() if name not in ("resourceType", "id", "meta")},
        }


WHOLE = Representation()
"""Every resource as it is stored."""


def summary_mode(value: str) -> str:
    """A value of ``_summary``. Raises FHIRError 400 for any other."""
    if value not in MODES:
        raise bad_parameter("_summary", f"'{value}' is none of {', '.join(MODES)}.")
    return value


def elements(value: str) -> tuple[tuple[str, str], ...]:
    """The (type or '', element) pairs of ``_elements``; of a path only its first step counts. Raises FHIRError 400."""
    found: dict[tuple[str, str], None] = {}
    for word in filter(None, (part.strip() for part in value.split(","))):
        match = _ELEMENT.fullmatch(word)
        if match is None:
            raise bad_parameter("_elements", f"'{word}' is not the name of an element: write element, or Type.element.")
        found[match[1] or "", match[2]] = None
    if not found or len(found) > MOST_ELEMENTS:
        raise bad_parameter("_elements", f"name between 1 and {MOST_ELEMENTS} elements, separated by commas.")
    return tuple(found)


def presentation(pairs: Sequence[tuple[str, str]]) -> tuple[Representation, bool]:
    """How any interaction's answer is to be written: the parameters ``_pretty``, ``_summary`` and ``_elements``.

    Raises FHIRError 400 for a value that cannot be used.
    """
    summary, is_pretty = "", False
    kept: tuple[tuple[str, str], ...] = ()
    for name, value in pairs:
        if name == "_pretty" and value:
            if value not in ("true", "false"):
                raise bad_parameter("_pretty", f"'{value}' is neither true nor false.")
            is_pretty = value == "true"
        elif name == "_summary" and value:
            summary = summary_mode(value)
        elif name == "_elements" and value:
            kept += elements(value)
    return Representation(summary, kept), is_pretty


def pretty(body: bytes) -> bytes:
    """JSON bytes with line breaks and an indent of two; decimals keep their text."""
    return serialise(parse(body.decode()), options=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _only(resource: Mapping[str, Any], kept: Kept) -> dict[str, Any]:
    """The elements kept, each with its ``_sibling`` (extensions of a primitive)."""
    reduced = {}
    for name, value in resource.items():
        element = name.removeprefix("_")
        key = element if element in kept else _choice_of(element, kept)
        if key is not None:
            reduced[name] = _children(value, kept[key])
    return reduced


def _children(value: Any, names: frozenset[str] | None) -> Any:
    if names is None:
        return value
    if isinstance(value, list):
        return [_children(item, names) for item in value]
    children: Kept = dict.fromkeys([*names, "id", "modifierExtension"])
    return _only(value, children)


def _choice_of(element: str, kept: Kept) -> str | None:
    """``value[x]`` for valueQuantity, if that is kept."""
    for end in range(len(element) - 1, 0, -1):
        if element[end].isupper() and element[:end] + _CHOICE in kept:
            return element[:end] + _CHOICE
    return None


def _words(text: str) -> dict[str, frozenset[str] | None]:
    return {name: frozenset(children.split()) if children else None for name, children in _WORD.findall(text)}


@lru_cache(maxsize=1024)
def _named(type: str, names: tuple[str, ...]) -> Kept:
    # _elements=value means value[x]: https://hl7.org/fhir/R4/search.html#elements names base elements
    wanted = {name: None for element in names for name in (element, element + _CHOICE)}
    return {**_mandatory(type), **dict.fromkeys(ALWAYS), **wanted}


@lru_cache(maxsize=256)
def _mandatory(type: str) -> Kept:
    return _words(MANDATORY.get(type, ""))


@lru_cache(maxsize=256)
def _summary(type: str) -> Kept:
    return {**_mandatory(type), **dict.fromkeys(ALWAYS), **_words(SUMMARY.get(type, ""))}


@lru_cache(maxsize=256)
def _text(type: str) -> Kept:
    return {**_mandatory(type), **dict.fromkeys((*ALWAYS, "text"))}


_TABLES = {TRUE: _summary, TEXT: _text}
