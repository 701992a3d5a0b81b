"""What the OpenAPI document says of the resources that describe the API: they need no token.

https://spec.openapis.org/oas/v3.1.0
"""

from collections.abc import Iterator
from typing import Any

from server.fhir.public_metadata import MODES
from server.specification.definitional import DEFINITION_TYPES, DefinitionType

Json = dict[str, Any]
_TEXT: Json = {"type": "string"}
MODE: Json = {
    "name": "mode",
    "in": "query",
    "schema": {"enum": list(MODES)},
    "description": "Whatever is asked for, the CapabilityStatement is answered",
}


def definition_paths(content: Any) -> Iterator[tuple[str, Json]]:
    """The paths of every definition type; ``content`` makes a response of a schema's name and a description."""
    for row in DEFINITION_TYPES.values():
        yield f"/fhir/{row.type}", {"get": _search(row, content)}
        yield f"/fhir/{row.type}/{{id}}", {"get": _read(row, content)}


def _search(row: DefinitionType, content: Any) -> Json:
    fields = [
        {"name": one.code, "in": "query", "schema": _TEXT, "description": f"{one.type}: {row.type}.{one.element}"}
        for one in row.parameters
    ]
    count: Json = {"name": "_count", "in": "query", "schema": {"type": "integer", "minimum": 0}}
    return {
        "tags": ["discovery"],
        "operationId": f"search{row.type}",
        "summary": row.title,
        "parameters": [*fields, {**count, "description": "How many a page has; all, where it is not sent"}],
        "responses": {"200": content("Bundle", "Found"), **error_references(400, 405, 406)},
    }


def _read(row: DefinitionType, content: Any) -> Json:
    return {
        "tags": ["discovery"],
        "operationId": f"read{row.type}",
        "summary": f"Read one {row.type}",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}],
        "responses": {"200": content("Resource", "Found"), **error_references(400, 404, 405, 406)},
    }


def error_references(*statuses: int) -> Json:
    """Responses of these statuses, by reference to the document's components."""
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses}
