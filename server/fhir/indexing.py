"""What a resource is found by: its search parameters' values as typed index entries.

https://hl7.org/fhir/R4/search.html#token, #reference, #date and #string
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.fhir import dates
from server.fhir.fhir_path import compile_expression
from server.specification.definition import ResourceDefinition, SearchParameter, SearchType
from server.specification.registry import naming_expressions
from server.storage.query import Date, IndexEntries, Reference, String, Token
from server.storage.schema import NAMES

IDENTIFIER = "identifier"
"""Every resource is indexed by its identifiers, also where its row has no such search parameter: conditional references ask for them."""
LOGICAL = ":identifier"
"""Suffix of the token parameter that a logical reference (an identifier instead of a literal reference) is found by."""
PRESENT = ":present"
"""Suffix of the token parameter that says of a value which no other entry stands for that it is there (``:missing``)."""
OWN_COLUMNS = ("_id", "_lastUpdated")
"""Search parameters that need no entries."""
ELSEWHERE = ""
"""``type`` of a reference entry whose ``id`` is a whole URL: a canonical, or a resource of another server."""

_LETTERS_WITHOUT_DECOMPOSITION = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}  # noqa: RUF001
)
_DROPPED = frozenset("'`´ʼ‘’.")  # noqa: RUF001 - so that O'Brien and OBrien, St. and St are the same
_STRING_LENGTH = 255
"""Characters of a string that are indexed; a database's index row has a limit."""
_TOKEN_BYTES = 1024
_LITERAL = re.compile(
    r"(?:(?P<base>https?://[^\s#?]+?)/)?(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)
_STRING_PARTS = (
    *("text", "family", "given", "prefix", "suffix"),
    *("line", "city", "district", "state", "postalCode", "country"),
)
"""What a HumanName and an Address are searched by: https://hl7.org/fhir/R4/search.html#string"""


@dataclass(frozen=True, slots=True)
class LiteralReference:
    """``[base/]Type/id[/_history/version]`` taken apart; no base and no version are ''."""

    base: str
    type: str
    id: str
    version: str


def fold(text: str) -> str:
    """A string as it is compared in searches: lower case, without accents; punctuation is a space or, inside words, nothing.

    The same function folds stored and searched values. The result may be empty (nothing but punctuation).
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
        text = text.translate(_LETTERS_WITHOUT_DECOMPOSITION)
    kept = "".join(letter if letter.isalnum() else "" if letter in _DROPPED else " " for letter in text.casefold())
    return " ".join(kept.split())


def literal_reference(reference: str) -> LiteralReference | None:
    """A literal reference taken apart, or None if it is none (``#contained``, ``urn:uuid:…``, ``Type?search``)."""
    match = _LITERAL.fullmatch(reference)
    return match and LiteralReference(match["base"] or "", match["type"], match["id"], match["version"] or "")


def index_entries(definition: ResourceDefinition, resource: Mapping[str, Any], base: str = "") -> IndexEntries:
    """What the resource is found by, for every search parameter of its row but ``_id`` and ``_lastUpdated``.

    ``base`` is this server's own FHIR base: absolute references below it are local ones.
    Raises ValueError, naming the parameter, for a malformed date or a period that ends before it starts.
    """
    found: dict[type, set[Any]] = {Token: set(), Reference: set(), Date: set(), String: set()}
    for parameter in definition.search_parameters:
        if parameter.code in OWN_COLUMNS:
            continue
        values = compile_expression(parameter.expression)(resource)
        entries = [entry for value in values for entry in _entries(parameter, value, base)]
        if values and not entries:
            entries = [Token(parameter.code + PRESENT, "", "true")]
        for entry in entries:
            found[type(entry)].add(entry)
    for expression, target in naming_expressions(definition.type):
        for value in compile_expression(expression)(resource):
            literal = _named(value, base)
            if literal is not None and literal.type == target:
                found[Reference].add(Reference(NAMES, literal.type, literal.id))
    found[Token].update(
        Token(IDENTIFIER, system, code) for item in _listed(resource.get(IDENTIFIER)) for system, code in tokens(item)
    )
    return IndexEntries(
        tokens=frozenset(found[Token]),
        references=frozenset(found[Reference]),
        dates=frozenset(found[Date]),
        strings=frozenset(found[String]),
    )


def tokens(value: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of a code, boolean, Coding, CodeableConcept, Identifier or ContactPoint; no system is ''."""
    if isinstance(value, bool):
        yield "", "true" if value else "false"
    elif isinstance(value, str):
        yield from _token("", value)
    elif isinstance(value, Mapping):
        if "coding" in value:
            for coding in _listed(value["coding"]):
                if isinstance(coding, Mapping):
                    yield from _token(coding.get("system"), coding.get("code"))
        else:
            yield from _token(value.get("system"), value["code"] if "code" in value else value.get("value"))


def _token(system: Any, code: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(code, str) or not code:
        return
    system = system if isinstance(system, str) else ""
    if len(code.encode()) + len(system.encode()) <= _TOKEN_BYTES:
        yield system, code


def _tokens(parameter: SearchParameter, value: Any) -> Iterator[Token]:
    for system, code in tokens(value):
        yield Token(parameter.code, system, code)


def _entries(parameter: SearchParameter, value: Any, base: str) -> Iterator[Any]:
    if parameter.type is SearchType.REFERENCE:
        return _references(parameter, value, base)
    return _READERS[parameter.type](parameter, value)


def _named(value: Any, base: str) -> LiteralReference | None:
    """The resource of this server that a Reference, canonical or url names, or None."""
    text = value.get("reference") if isinstance(value, Mapping) else value
    literal = literal_reference(text) if isinstance(text, str) else None
    return literal if literal is not None and literal.base in ("", base) else None


def _references(parameter: SearchParameter, value: Any, base: str) -> Iterator[Reference | Token]:
    literal = _named(value, base)
    text = value.get("reference") if isinstance(value, Mapping) else value
    if literal is not None:
        if _allowed(parameter, literal.type):
            yield Reference(parameter.code, literal.type, literal.id, literal.version)
    elif isinstance(text, str) and "://" in text and len(text.encode()) <= _TOKEN_BYTES:
        canonical, bar, _version = text.partition("|")
        yield Reference(parameter.code, ELSEWHERE, text)
        if bar:
            yield Reference(parameter.code, ELSEWHERE, canonical)
    if isinstance(value, Mapping) and isinstance(value.get(IDENTIFIER), Mapping):
        for system, code in tokens(value[IDENTIFIER]):
            yield Token(parameter.code + LOGICAL, system, code)


def _allowed(parameter: SearchParameter, type_name: str) -> bool:
    return type_name in parameter.targets or "Resource" in parameter.targets


def _dates(parameter: SearchParameter, value: Any) -> Iterator[Date]:
    if parameter.instant and isinstance(value, str):
        value = dates.Instant(value)
    try:
        intervals = dates.entries(value)
    except ValueError as error:
        raise ValueError(f"{parameter.expression}: {_without_value(error)}") from None
    for low, high in intervals:
        yield Date(parameter.code, low, high)


def _without_value(error: ValueError) -> str:
    """Why a date is refused, without the date: reports of a load do not quote members' records."""
    return "ends before it starts" if "ends before" in str(error) else "is not a FHIR date"


def _strings(parameter: SearchParameter, value: Any) -> Iterator[String]:
    if isinstance(value, Mapping):
        for part in _STRING_PARTS:
            for text in _listed(value.get(part)):
                yield from _strings(parameter, text)
    elif isinstance(value, str) and value.strip():
        exact = value[:_STRING_LENGTH]
        yield String(parameter.code, exact, fold(exact))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [item for item in value if item is not None]
    return [] if value is None else [value]


_READERS: dict[SearchType, Callable[[SearchParameter, Any], Iterator[Any]]] = {
    SearchType.TOKEN: _tokens,
    SearchType.DATE: _dates,
    SearchType.STRING: _strings,
}
