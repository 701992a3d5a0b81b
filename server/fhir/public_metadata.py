"""What anyone may read without a token: the CapabilityStatement, and the definitions that it names, by id and by search.

https://hl7.org/fhir/R4/http.html#capabilities and https://hl7.org/fhir/R4/search.html - nothing here is about a member, so no ledger row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server import clock
from server.fhir import error_codes
from server.fhir.answer import Answer
from server.fhir.bundle import query_string, searchset
from server.fhir.canonical_json import serialise
from server.fhir.capability_statement import capability_statement
from server.fhir.definitions import definitions
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.representation import COUNT, PRESENTATION, presentation, pretty
from server.fhir.routing import Request
from server.fhir.search_parameters import page_count
from server.fhir.search_values import MISSING
from server.settings import Settings
from server.specification.definition import READ, SEARCH_TYPE
from server.specification.definitional import (
    CAPABILITY_STATEMENT,
    DEFINITION_TYPES,
    DefinitionParameter,
    DefinitionType,
)
from server.specification.search_value import split, unescape
from server.storage.patient_compartment import StoredResource

METADATA = "metadata"
MODES = ("full", "normative", "terminology")
"""https://hl7.org/fhir/R4/http.html#capabilities - a server may answer any of them with its CapabilityStatement, as this one does."""
_OFFSET = "_offset"
_GET = ("GET", "HEAD")


class PublicMetadata:
    """``/metadata`` and the definition types. Everything is computed once, when the server starts."""

    def __init__(self, settings: Settings, oauth_uris: Mapping[str, str]) -> None:
        self._settings = settings
        self._outcomes = Outcomes(settings)
        self._statement = capability_statement(settings, oauth_uris)
        self._started = clock.now_microseconds()
        self._resources: dict[str, dict[str, dict[str, Any]]] = {
            type: dict(found) for type, found in definitions(settings).items()
        }
        self._stored: dict[str, dict[str, StoredResource]] = {
            type: {id: self._as_stored(type, id, serialise(resource)) for id, resource in found.items()}
            for type, found in self._resources.items()
        }

    def serves(self, path: str) -> bool:
        """Whether a path below the FHIR base is answered here."""
        return path == METADATA or path.partition("/")[0] in DEFINITION_TYPES

    async def answer(self, request: Request) -> Answer:
        """The answer. Raises FHIRError 400, 404, 405, 413 or 415."""
        if request.path == METADATA:
            return self._capabilities(request)
        type, _, rest = request.path.partition("/")
        definition = DEFINITION_TYPES[type]
        if rest == "_search":
            _require(request, "POST")
            return self._search(request, definition, request.pairs + await request.form())
        _require(request, *_GET)
        if not rest:
            return self._search(request, definition, request.pairs)
        if "/" in rest or rest.startswith(("_", "$")):
            raise FHIRError(
                error_codes.PATH_UNKNOWN, f"There is nothing at '{request.path}'; definitions have no versions."
            )
        stored = self._stored[type].get(rest)
        if stored is None:
            raise not_found(type, rest)
        return _written(READ, type, stored.body, request.pairs)

    def _capabilities(self, request: Request) -> Answer:
        _require(request, *_GET)
        for name, value in request.pairs:
            if name == "mode" and value and value not in MODES:
                raise bad_parameter("mode", f"'{value}' is none of {', '.join(MODES)}.")
        return _written("capabilities", CAPABILITY_STATEMENT, self._statement, request.pairs)

    def _search(self, request: Request, definition: DefinitionType, pairs: Sequence[tuple[str, str]]) -> Answer:
        written, is_pretty = presentation(pairs)
        found, kept = self._found(definition, pairs)
        ignored = _unknown(definition, pairs)
        if ignored and b"handling=strict" in request.header(b"prefer").translate(None, b' "').lower():
            known = ", ".join(parameter.code for parameter in definition.parameters)
            raise FHIRError(
                error_codes.PARAMETER_UNKNOWN,
                f"Search parameter '{ignored[0]}' is not supported for {definition.type}; supported: {known}.",
                expression=f"http.{ignored[0]}",
            )
        numbers = {"_count": len(found), _OFFSET: 0}
        for name, value in pairs:
            if name in numbers and value:
                numbers[name] = page_count(value, max(len(self._stored[definition.type]), 1))
        count, offset = numbers["_count"], numbers[_OFFSET]
        count = 0 if written.summary == COUNT else count
        page = [one._replace(body=written.of(definition.type, one.body)) for one in found[offset : offset + count]]
        base = f"{self._settings.fhir_base}/{definition.type}"
        links = [("self", _address(base, [*kept, *_numbered(count, offset, len(found))]))]
        if count and offset + count < len(found):
            links.append(("next", _address(base, [*kept, *_numbered(count, offset + count, len(found))])))
        outcome = self._outcomes.ignored(ignored) if ignored else None
        body = searchset(self._settings.fhir_base, request.id, self._started, len(found), links, page, (), outcome)
        return Answer(200, pretty(body) if is_pretty else body, interaction=SEARCH_TYPE, resource_type=definition.type)

    def _found(
        self, definition: DefinitionType, pairs: Sequence[tuple[str, str]]
    ) -> tuple[list[StoredResource], list[tuple[str, str]]]:
        """The definitions that match all pairs, and the pairs that were heeded."""
        resources = self._resources[definition.type]
        ids, kept = list(resources), []
        for name, value in pairs:
            code, _, modifier = name.partition(":")
            parameter = definition.parameter(code)
            if parameter is not None and value:
                matches = _reader(parameter, modifier, value)
                ids = [id for id in ids if matches(resources[id].get(parameter.element))]
            if value and (parameter is not None or name in PRESENTATION):
                kept.append((name, value))
        return [self._stored[definition.type][id] for id in ids], kept

    def _as_stored(self, type: str, id: str, body: bytes) -> StoredResource:
        return StoredResource(0, "", type, id, "1", self._started, False, body)


def _written(interaction: str, type: str, resource: bytes, pairs: Sequence[tuple[str, str]]) -> Answer:
    written, is_pretty = presentation(pairs)
    body = written.of(type, resource)
    return Answer(200, pretty(body) if is_pretty else body, interaction=interaction, resource_type=type)


def _require(request: Request, *methods: str) -> None:
    if request.method not in methods:
        allowed = ", ".join(methods)
        raise FHIRError(
            error_codes.METHOD_NOT_ALLOWED,
            f"{request.method} is not allowed on '{request.path}'; allowed: {allowed}.",
            {"allow": allowed},
        )


def _unknown(definition: DefinitionType, pairs: Sequence[tuple[str, str]]) -> list[str]:
    known = (*PRESENTATION, "_count", _OFFSET)
    return [
        name
        for name, value in dict(pairs).items()
        if value and name not in known and definition.parameter(name.partition(":")[0]) is None
    ]


def _reader(parameter: DefinitionParameter, modifier: str, value: str) -> Callable[[Any], bool]:
    """Whether an element matches a value. Raises FHIRError 400 for a modifier that is not there, or its value."""
    if not modifier:
        return lambda element: _matches(parameter, element, value)
    if modifier != MISSING:
        raise bad_parameter(parameter.code, f"the modifier ':{modifier}' is not supported here; supported: :{MISSING}.")
    if value not in ("true", "false"):
        raise bad_parameter(parameter.code, f"':{MISSING}' takes true or false, not '{value}'.")
    return lambda element: (element is None) == (value == "true")


def _matches(parameter: DefinitionParameter, element: Any, value: str) -> bool:
    values = [str(one).lower() if isinstance(one, bool) else str(one) for one in _listed(element)]
    asked = [unescape(one) for one in split(value)]
    if parameter.type == "string":
        return any(has.casefold().startswith(wanted.casefold()) for has in values for wanted in asked)
    if parameter.type == "token":
        asked = [wanted.removeprefix("|") for wanted in asked]
    return any(wanted in values for wanted in asked)


def _listed(element: Any) -> list[Any]:
    if element is None:
        return []
    return element if isinstance(element, list) else [element]


def _numbered(count: int, offset: int, total: int) -> list[tuple[str, str]]:
    """The pairs that say which page it is; none for all on one."""
    if count == total and not offset:
        return []
    return [("_count", str(count)), *([(_OFFSET, str(offset))] if offset else [])]


def _address(base: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{base}?{query_string(pairs)}" if pairs else base
