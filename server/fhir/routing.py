"""A request taken apart, and what its path and method ask for.

https://hl7.org/fhir/R4/http.html and https://hl7.org/fhir/R4/operations.html
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import orjson

from server.fhir import error_codes
from server.fhir.negotiation import is_our_version
from server.fhir.outcomes import FHIRError
from server.specification.audit import AUDIT_TYPES
from server.specification.definition import (
    EXPORT_CANCEL,
    EXPORT_FILE,
    EXPORT_STATUS,
    HISTORY_INSTANCE,
    HISTORY_SYSTEM,
    HISTORY_TYPE,
    READ,
    SEARCH_TYPE,
    VREAD,
    Operation,
    ResourceDefinition,
)
from server.specification.operations import EXPORT_PATH
from server.specification.registry import RESOURCES
from server.specification.standards import FHIR_VERSION
from server.storage.ledger import new_request_id

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAXIMUM_BODY = 64 * 1024
FORM = b"application/x-www-form-urlencoded"
JSON_TYPES = (b"application/fhir+json", b"application/json", b"application/json+fhir")
OPERATION_METHODS = ("GET", "HEAD", "POST")
KICK_OFF_METHODS = ("GET", "POST")
"""A HEAD is safe (RFC 9110 section 9.2.1): it begins no export."""
_ESCAPED = re.compile(r"[\\,|$]")


class Request:
    """One request, taken apart as far as every interaction needs it."""

    __slots__ = ("began", "headers", "id", "method", "pairs", "path", "receive")

    def __init__(self, scope: Scope, receive: Receive, prefix: int) -> None:
        self.began = perf_counter()
        self.id = new_request_id()
        self.method: str = scope["method"]
        self.path: str = scope["path"][prefix:].strip("/")
        self.headers = _headers(scope["headers"])
        self.receive = receive
        query: bytes = scope["query_string"]
        self.pairs = parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True) if query else []

    def header(self, name: bytes) -> bytes:
        """A header's value, or b''."""
        return self.headers.get(name, b"")

    async def form(self) -> list[tuple[str, str]]:
        """The pairs of a form body, or of a Parameters resource (values: simple, codings, references). Raises FHIRError 415 for another
        content type, 413 when it is too large, 400 for what cannot be read."""
        stated = self.header(b"content-type")
        content_type = stated.partition(b";")[0].strip().lower()
        body = b""
        more = True
        while more:
            message = await self.receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAXIMUM_BODY:
                raise FHIRError(error_codes.BODY_TOO_LARGE, f"The request body is larger than {MAXIMUM_BODY} bytes.")
        if body and content_type in JSON_TYPES and "$" in self.path:
            if not is_our_version(stated.decode("latin-1")):
                raise FHIRError(error_codes.BODY_TYPE_NOT_SUPPORTED, f"Send a body of FHIR {FHIR_VERSION}.")
            return _parameters(body)
        if body and content_type != FORM:
            forms = "as a Parameters resource in JSON, or " if "$" in self.path else ""
            raise FHIRError(
                error_codes.BODY_TYPE_NOT_SUPPORTED, f"Send the parameters {forms}as application/x-www-form-urlencoded."
            )
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def _headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Names to values; a header sent more than once is the list of its values (RFC 9110 section 5.3)."""
    headers = dict(pairs)
    if len(headers) < len(pairs):
        headers = {}
        for name, value in pairs:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def _parameters(body: bytes) -> list[tuple[str, str]]:
    """The values of a Parameters resource, as they would stand in a query: https://hl7.org/fhir/R4/parameters.html"""
    try:
        resource = orjson.loads(body)
        if resource["resourceType"] != "Parameters":
            raise ValueError("another resource")
        pairs = [
            (str(one["name"]), _text(name, value))
            for one in resource.get("parameter", [])
            for name, value in one.items()
            if name.startswith("value")
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FHIRError(
            error_codes.PARAMETER_INVALID,
            "The body is not a Parameters resource whose values are simple ones, codings with a code, or literal references.",
        ) from error
    return pairs


def _text(name: str, value: Any) -> str:
    """A value as it would stand in a query: a concept is any of its codings, ``system|code``. Raises ValueError, KeyError or
    TypeError for one that cannot: left out, it would answer more than was asked."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if name == "valueReference":
        return str(value["reference"])
    codings = value["coding"] if name == "valueCodeableConcept" else [value]
    if name not in ("valueCodeableConcept", "valueCoding") or not codings:
        raise ValueError("a value of another type")
    return ",".join(
        "|".join(_ESCAPED.sub(r"\\\g<0>", one[key]) for key in ("system", "code") if key in one or key == "code")
        for one in codings
    )


class Route:
    """What a path and method ask for."""

    __slots__ = ("definition", "file", "id", "interaction", "operation", "version")

    def __init__(
        self,
        interaction: str,
        definition: ResourceDefinition | None,
        id: str = "",
        version: str = "",
        operation: Operation | None = None,
        file: str = "",
    ) -> None:
        self.interaction = interaction
        self.definition = definition
        self.id = id
        self.version = version
        self.operation = operation
        self.file = file

    @property
    def type(self) -> str:
        """The resource type asked for, '' for none in particular."""
        return self.definition.type if self.definition is not None else ""


def route(method: str, path: str) -> Route:
    """The interaction of a method and a path below the FHIR base. Raises FHIRError 404 or 405."""
    allowed: tuple[str, ...]
    parts = path.split("/")
    if parts == ["_history"] and method in ("GET", "HEAD"):
        return Route(HISTORY_SYSTEM, None)
    if parts[0] == EXPORT_PATH and len(parts) in (2, 3):
        return _export_route(method, path, parts[1], parts[2] if len(parts) == 3 else "")
    definition = RESOURCES.get(parts[0]) or AUDIT_TYPES.get(parts[0])
    if definition is None:
        served = ", ".join(RESOURCES)
        raise FHIRError(
            error_codes.TYPE_NOT_SERVED, f"'{parts[0]}' is not a resource type served here; served: {served}."
        )
    if parts[-1].startswith("$") and len(parts) in (2, 3):
        return _operation_route(method, path, definition, parts[-1][1:], parts[1] if len(parts) == 3 else "")
    match parts[1:]:
        case []:
            found, allowed = Route(SEARCH_TYPE, definition), ("GET", "HEAD")
        case ["_search"]:
            found, allowed = Route(SEARCH_TYPE, definition), ("POST",)
        case ["_history"]:
            found, allowed = Route(HISTORY_TYPE, definition), ("GET", "HEAD")
        case [id]:
            found, allowed = Route(READ, definition, id), ("GET", "HEAD")
        case [id, "_history"]:
            found, allowed = Route(HISTORY_INSTANCE, definition, id), ("GET", "HEAD")
        case [id, "_history", version]:
            found, allowed = Route(VREAD, definition, id, version), ("GET", "HEAD")
        case _:
            raise FHIRError(
                error_codes.PATH_UNKNOWN, f"There is nothing at '{path}'; see the CapabilityStatement at metadata."
            )
    if method not in allowed or found.interaction not in definition.interactions:
        raise FHIRError(
            error_codes.METHOD_NOT_ALLOWED,
            f"{method} is not allowed on '{path}'; allowed: {', '.join(allowed)}.",
            {"allow": ", ".join(allowed)},
        )
    return found


def _export_route(method: str, path: str, job: str, file: str) -> Route:
    if method in ("GET", "HEAD"):
        return Route(EXPORT_FILE if file else EXPORT_STATUS, None, job, file=file)
    if method == "DELETE" and not file:
        return Route(EXPORT_CANCEL, None, job)
    allowed = "GET, HEAD" if file else "GET, HEAD, DELETE"
    raise FHIRError(
        error_codes.METHOD_NOT_ALLOWED, f"{method} is not allowed on '{path}'; allowed: {allowed}.", {"allow": allowed}
    )


def _operation_route(method: str, path: str, definition: ResourceDefinition, code: str, id: str) -> Route:
    for operation in definition.operations:
        if operation.code == code and (operation.on_instance if id else operation.on_type):
            methods = OPERATION_METHODS if operation.returns else KICK_OFF_METHODS
            if method in methods:
                return Route(f"${code}", definition, id, operation=operation)
            allowed = ", ".join(methods)
            raise FHIRError(
                error_codes.METHOD_NOT_ALLOWED,
                f"{method} is not allowed on '{path}'; allowed: {allowed}.",
                {"allow": allowed},
            )
    raise FHIRError(
        error_codes.PATH_UNKNOWN, f"There is no operation at '{path}'; see the CapabilityStatement at metadata."
    )
