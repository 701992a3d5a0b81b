"""The OpenAPI document: what FastAPI knows of the authorization endpoints, with the FHIR paths computed from the registry.

https://spec.openapis.org/oas/v3.1.0 - at ``/openapi.json``; error responses name the rows of ``error_codes``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from server import __version__
from server.authorization import discovery
from server.authorization.endpoint_forms import AUTHORIZE_OPERATION, CLIENT_SCHEME, REFUSAL, REFUSED
from server.authorization.protocol import FORM
from server.authorization.routes import PUBLIC_CACHE
from server.authorization.scopes import supported_scopes
from server.fhir.answer import FHIR_JSON
from server.fhir.error_codes import ERROR_CODES
from server.pages.openapi_definitions import MODE, definition_paths, error_references
from server.pages.openapi_export import ACCEPTED, PREFER, export_paths
from server.pages.search_reference import RULES, WORDS
from server.settings import Settings
from server.specification.definition import (
    HISTORY_INSTANCE,
    HISTORY_TYPE,
    READ,
    SEARCH_TYPE,
    VREAD,
    Operation,
    ResourceDefinition,
)
from server.specification.registry import RESOURCES

PATH = "/openapi.json"
Json = dict[str, Any]
_MEDIA_TYPE = FHIR_JSON.decode().partition(";")[0]
_TEXT: Json = {"type": "string"}
_SINGLE = ("_count", "_format", "_sort", "_total", "_summary", "_elements", "_pretty")
_SCHEMAS: Json = {
    "Resource": {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": _TEXT, "id": _TEXT},
        "additionalProperties": True,
        "description": "A FHIR R4 resource as the payer loaded it: https://hl7.org/fhir/R4/resource.html",
    },
    "Bundle": {
        "type": "object",
        "required": ["resourceType", "type", "link"],
        "properties": {
            "resourceType": {"const": "Bundle"},
            "type": {"enum": ["searchset", "history"]},
            "total": {"type": "integer", "minimum": 0},
            "link": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["relation", "url"],
                    "properties": {"relation": _TEXT, "url": {"type": "string", "format": "uri"}},
                },
            },
            "entry": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "fullUrl": {"type": "string", "format": "uri"},
                        "resource": {"$ref": "#/components/schemas/Resource"},
                        "search": {
                            "type": "object",
                            "properties": {"mode": {"enum": ["match", "include", "outcome"]}},
                        },
                    },
                },
            },
        },
        "description": "A page of a search. Follow link 'next' as it is: https://hl7.org/fhir/R4/bundle.html",
    },
    "OperationOutcome": {
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": True}},
        },
        "description": "What went wrong; issue.details names the error code and its page.",
    },
}


def openapi_document(routes: Sequence[BaseRoute], settings: Settings) -> Json:
    """The whole document for these FastAPI routes and the registry as it stands."""
    document: Json = get_openapi(
        title=f"{settings.payer_name} Patient Access API",
        version=__version__,
        summary="A member's claims, coverage and health records, for the apps the member chooses.",
        description=f"FHIR R4, read-only, with SMART App Launch. Documentation: {settings.base_url}/docs",
        routes=routes,
        servers=[{"url": settings.base_url}],
        tags=[
            {"name": "authorization", "description": "OAuth 2.0 and OpenID Connect"},
            {"name": "discovery", "description": "What an app can find out by itself"},
            {"name": "registration", "description": "Apps register themselves (RFC 7591 and RFC 7592)"},
            *({"name": row.type, "description": row.title} for row in RESOURCES.values()),
        ],
    )
    paths: Json = document["paths"]
    for path, operations in paths.items():
        _name(path, operations)
    paths[discovery.AUTHORIZE] = {"get": AUTHORIZE_OPERATION}
    paths["/fhir/metadata"] = {"get": _metadata()}
    paths.update(definition_paths(_content))
    paths.update(export_paths())
    paths["/fhir/_history"] = {"get": _history_of_all()}
    for row in RESOURCES.values():
        paths.update(_paths_of(row))
    components: Json = document.setdefault("components", {})
    components["schemas"] = {**_SCHEMAS, "Refusal": REFUSAL}
    components["responses"] = _error_responses(settings)
    components["securitySchemes"] = _security_schemes(settings)
    return document


def _name(path: str, operations: Json) -> None:
    """Plain names for the operations of a path of the authorization server: FastAPI makes its own of function names."""
    name = path.strip("/").replace(".well-known/", "").replace("/", "-").translate({ord(brace): None for brace in "{}"})
    for method, operation in operations.items():
        operation["operationId"] = name if len(operations) == 1 else f"{method}-{name}"
        if operation["tags"] == ["discovery"]:
            operation["summary"] = name.capitalize()
            continue
        operation["responses"].pop("422", None)  # FastAPI's own: these endpoints refuse in RFC 6749's terms
        schema = {"schema": {"$ref": "#/components/schemas/Refusal"}}
        operation["responses"] |= {
            str(status): {"description": text, "content": {"application/json": schema}}
            for status, text in REFUSED.items()
        }


def _metadata() -> Json:
    return {
        "tags": ["discovery"],
        "operationId": "capabilities",
        "summary": "The CapabilityStatement",
        "parameters": [MODE],
        "responses": {"200": _content("Resource", "What this server can do"), **error_references(400, 405, 406)},
    }


def _history_of_all() -> Json:
    found = {"200": _content("Bundle", "The versions, the newest first")}
    refused = {
        str(status): {"$ref": f"#/components/responses/Error{status}"}
        for status in (400, 401, 405, 406, 429, 431, 500, 503)
    }
    return {
        "tags": ["discovery"],
        "operationId": "historyOfEverything",
        "summary": "What was loaded of the member, of every type that the token may see",
        "parameters": list(_HISTORY_FIELDS),
        "responses": found | refused,
        "security": [{"smart": ["patient/*.rs"]}],
    }


_HISTORY_FIELDS: tuple[Json, ...] = (
    {"name": "_since", "in": "query", "schema": _TEXT, "description": "Only what was loaded after this instant"},
    {"name": "_count", "in": "query", "schema": {"type": "integer", "minimum": 1}, "description": "Entries on a page"},
)


def _paths_of(row: ResourceDefinition) -> Iterator[tuple[str, Json]]:
    """The paths of one resource type: those of its interactions."""
    base = f"/fhir/{row.type}"
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
    version = {"name": "version", "in": "path", "required": True, "schema": _TEXT}
    if SEARCH_TYPE in row.interactions:
        fields = {field["name"]: field["schema"] for field in _search_fields(row)}
        post = _operation(row, "s", "searchByPost", "Search, with the parameters in a form", "Bundle", (400, 413, 415))
        post["requestBody"] = {"content": {FORM: {"schema": {"type": "object", "properties": fields}}}}
        get = _operation(row, "s", "search", f"Search {row.type}", "Bundle", (400,))
        yield base, {"get": {**get, "parameters": list(_search_fields(row))}}
        yield f"{base}/_search", {"post": post}
    if READ in row.interactions:
        get = _operation(row, "r", "read", f"Read one {row.type}", "Resource", (404, 410))
        get["responses"]["304"] = {"description": "The version of If-None-Match is still the current one"}
        match = {"name": "If-None-Match", "in": "header", "schema": _TEXT, "description": "The ETag you have"}
        yield f"{base}/{{id}}", {"get": {**get, "parameters": [id, match]}}
    if VREAD in row.interactions:
        get = _operation(row, "r", "vread", "Read one version", "Resource", (404, 410))
        yield f"{base}/{{id}}/_history/{{version}}", {"get": {**get, "parameters": [id, version]}}
    if HISTORY_INSTANCE in row.interactions:
        get = _operation(row, "r", "history", "The versions of one resource, the newest first", "Bundle", (400, 404))
        yield f"{base}/{{id}}/_history", {"get": {**get, "parameters": [id, *_HISTORY_FIELDS]}}
    if HISTORY_TYPE in row.interactions:
        get = _operation(row, "s", "historyOf", f"What was loaded of {row.type}, the newest first", "Bundle", (400,))
        yield f"{base}/_history", {"get": {**get, "parameters": list(_HISTORY_FIELDS)}}
    for operation in row.operations:
        yield from _operation_paths(row, operation, base, id)


def _operation_paths(row: ResourceDefinition, operation: Operation, base: str, id: Json) -> Iterator[tuple[str, Json]]:
    fields = [_query(one.name, one.documentation) | {"required": one.required} for one in operation.parameters]
    get = _operation(row, "r", operation.code, operation.title, "Bundle", (400, 404))
    if not operation.returns:
        responses = {status: each for status, each in get["responses"].items() if status != "200"}
        get, fields = {**get, "responses": {"202": ACCEPTED, **responses}}, [PREFER, *fields]
    if operation.on_type:
        yield f"{base}/${operation.code}", {"get": {**get, "parameters": fields}}
    if operation.on_instance:
        get = {**get, "operationId": f"{operation.code}Of{row.type}"}
        yield f"{base}/{{id}}/${operation.code}", {"get": {**get, "parameters": [id, *fields]}}


def _search_fields(row: ResourceDefinition) -> Iterator[Json]:
    for parameter in row.search_parameters:
        yield _query(parameter.code, f"{parameter.type}: {WORDS[parameter.type]}. {parameter.expression}")
    for name, description in RULES:
        choices = {"_include": row.includes, "_revinclude": row.revincludes}.get(name, ())
        if name in _SINGLE or choices:
            yield _query(name, description + (f" Offered: {', '.join(choices)}." if choices else ""))


def _query(name: str, description: str) -> Json:
    schema: Json = {"type": "array", "items": _TEXT}
    if name in _SINGLE:
        schema = {"type": "integer", "minimum": 0} if name == "_count" else _TEXT
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _operation(
    row: ResourceDefinition, letter: str, verb: str, summary: str, schema: str, errors: tuple[int, ...]
) -> Json:
    responses: Json = {"200": _content(schema, "Found")}
    for status in sorted((*errors, 401, 403, 405, 406, 429, 431, 500, 503)):
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    return {
        "tags": [row.type],
        "operationId": f"{verb}{row.type}",
        "summary": summary,
        "responses": responses,
        "security": [{"smart": [f"patient/{row.type}.{letter}"]}],
    }


def _content(schema: str, description: str) -> Json:
    content = {_MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _error_responses(settings: Settings) -> Json:
    """One response per status, with the codes that it can have."""
    titles: dict[int, list[str]] = {}
    for row in ERROR_CODES.values():
        if row.severity == "error":
            titles.setdefault(row.status, []).append(f"- [{row.code}]({settings.base_url}{row.page}): {row.title}")
    return {
        f"Error{status}": _content("OperationOutcome", "\n".join(lines)) for status, lines in sorted(titles.items())
    }


def _security_schemes(settings: Settings) -> Json:
    urls = discovery.oauth_uris(settings)
    flow = {
        "authorizationUrl": urls["authorize"],
        "tokenUrl": urls["token"],
        "refreshUrl": urls["token"],
        "scopes": dict.fromkeys(_scopes(), ""),
    }
    return {
        "smart": {
            "type": "oauth2",
            "description": "SMART App Launch: authorization code with PKCE (S256)",
            "flows": {"authorizationCode": flow},
        },
        CLIENT_SCHEME: {
            "type": "http",
            "scheme": "basic",
            "description": "client_id and client_secret of a confidential app",
        },
        "registration": {
            "type": "http",
            "scheme": "bearer",
            "description": "The registration_access_token that came with the registration",
        },
    }


def _scopes() -> Iterator[str]:
    yield from supported_scopes()
    for row in RESOURCES.values():
        yield from (f"patient/{row.type}.r", f"patient/{row.type}.s")


def create_router(routes: Sequence[BaseRoute], settings: Settings) -> APIRouter:
    """``/openapi.json``, computed when it is first asked for."""
    router = APIRouter(include_in_schema=False)
    made: list[Json] = []

    @router.get(PATH)
    def document() -> Response:
        """The OpenAPI document; any web page may read it."""
        if not made:
            made.append(openapi_document(routes, settings))
        return JSONResponse(made[0], headers={**PUBLIC_CACHE, "Access-Control-Allow-Origin": "*"})

    return router
