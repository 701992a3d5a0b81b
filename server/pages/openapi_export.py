"""What the OpenAPI document says of what follows the kick-off of an export: status, files, cancellation.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from typing import Any

from server.fhir.export import NDJSON
from server.specification.operations import EXPORT, EXPORT_PATH
from server.specification.registry import MEMBER_TYPE

Json = dict[str, Any]
ACCEPTED: Json = {
    "description": "Content-Location of the answer names where to ask how far it is",
    "headers": {"Content-Location": {"schema": {"type": "string", "format": "uri"}}},
}
PREFER: Json = {
    "name": "Prefer",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "example": "respond-async",
    "description": "respond-async; also handling=strict",
}
_JOB: Json = {"name": "job", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
_FILE: Json = {"name": "file", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_TEXT: Json = {"type": "string"}
_LISTED: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "url", "count"],
        "properties": {"type": _TEXT, "url": {"type": "string", "format": "uri"}, "count": {"type": "integer"}},
    },
}
_MANIFEST: Json = {
    "type": "object",
    "required": ["transactionTime", "request", "requiresAccessToken", "output", "error"],
    "properties": {
        "transactionTime": {"type": "string", "format": "date-time"},
        "request": {"type": "string", "format": "uri"},
        "requiresAccessToken": {"const": True},
        "output": _LISTED,
        "deleted": _LISTED,
        "error": _LISTED,
    },
}


def export_paths() -> dict[str, Json]:
    """The paths of a job and of its files."""
    progress: Json = {
        "description": "It is still being written; ask again after Retry-After",
        "headers": {"X-Progress": {"schema": _TEXT}, "Retry-After": {"schema": {"type": "integer"}}},
    }
    manifest: Json = {"description": "The manifest", "content": {"application/json": {"schema": _MANIFEST}}}
    lines: Json = {"description": "One resource a line", "content": {NDJSON: {"schema": _TEXT}}}
    status = _operation("exportStatus", "How far an export is, and its files", {"200": manifest, "202": progress})
    cancel = _operation("exportCancel", "Cancel an export, or delete its files", {"202": {"description": "Gone"}})
    file = _operation("exportFile", "A file of an export", {"200": lines})
    path = f"/fhir/{EXPORT_PATH}/{{job}}"
    return {
        path: {"get": {**status, "parameters": [_JOB]}, "delete": {**cancel, "parameters": [_JOB]}},
        f"{path}/{{file}}": {"get": {**file, "parameters": [_JOB, _FILE]}},
    }


def _operation(id: str, summary: str, found: Json) -> Json:
    refused = (400, 401, 403, 404, 405, 406, 429, 500, 503)
    return {
        "tags": [MEMBER_TYPE],
        "operationId": id,
        "summary": f"{summary} (${EXPORT.code})",
        "responses": found | {str(each): {"$ref": f"#/components/responses/Error{each}"} for each in refused},
        "security": [{"smart": ["patient/*.rs"]}],
    }
