"""/register: dynamic registration for programs, and the management of a registration at its own address.

https://www.rfc-editor.org/rfc/rfc7591#section-3 and https://www.rfc-editor.org/rfc/rfc7592#section-2
"""

import json
from typing import Annotated, Any

from authlib.oauth2.rfc7591 import InvalidClientMetadataError
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from server.authorization import protocol
from server.authorization.attempts import address_of
from server.authorization.discovery import REGISTER
from server.authorization.registration import Registrations

LARGEST_METADATA = 65_536
_ONE = REGISTER + "/{client_id}"
_TEXT: dict[str, Any] = {"type": "string"}
_LIST: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "redirect_uris": ("Where the app takes its answers, letter for letter.", _LIST),
    "client_name": ("What members read; client_name#es in Spanish.", _TEXT),
    "token_endpoint_auth_method": ("client_secret_basic when left out; none for apps that keep no secret.", _TEXT),
    "scope": ("What it may ask for at most; all that is offered when left out.", _TEXT),
    "client_uri": ("Its home page.", _TEXT),
    "policy_uri": ("Its privacy policy.", _TEXT),
    "tos_uri": ("Its terms.", _TEXT),
    "logo_uri": ("Its logo.", _TEXT),
    "contacts": ("Who answers for it.", _LIST),
    "jwks_uri": ("Where its public keys are, for private_key_jwt.", _TEXT),
    "jwks": ("Its public keys by value.", {"type": "object"}),
    "software_id": ("The same for every copy of the software.", _TEXT),
    "software_version": ("Its version.", _TEXT),
    "software_statement": ("What a trusted issuer says of it: a signed JWT.", _TEXT),
    "privacy_attestation": (
        "Extension: its makers say that it keeps the privacy practices asked for.",
        {"type": "boolean"},
    ),
}
_SCHEMA = {
    "type": "object",
    "required": ["redirect_uris"],
    "properties": {name: {**schema, "description": text} for name, (text, schema) in _FIELDS.items()},
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}, "security": [{}]}
_TOKEN: dict[str, Any] = {"security": [{"registration": []}]}


async def metadata_of(request: Request) -> dict[str, Any]:
    """The client metadata of a request's body. Raises InvalidClientMetadataError when it is no JSON object."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type and content_type != "application/json":
        raise InvalidClientMetadataError("Send the metadata as application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_METADATA:
            raise InvalidClientMetadataError(f"The metadata is larger than {LARGEST_METADATA} bytes.", status_code=413)
    try:
        metadata = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidClientMetadataError("The body is not JSON.") from error
    if not isinstance(metadata, dict):
        raise InvalidClientMetadataError("The body is a JSON object, e.g. one with redirect_uris and client_name.")
    return metadata


Metadata = Annotated[dict[str, Any], Depends(metadata_of)]


def create_registration_router(registrations: Registrations) -> APIRouter:
    """``/register`` for programs. Any web page may ask: a new client is nobody's, and managing one takes its own token."""
    router = APIRouter(route_class=protocol.protocol_route(), tags=["registration"])

    @router.post(REGISTER, status_code=201, summary="Register an app (RFC 7591)", openapi_extra=_BODY)
    def register(request: Request, metadata: Metadata) -> Response:
        registered = registrations.register(metadata, address_of(request))
        return JSONResponse(registrations.information(registered), 201, headers=protocol.NO_STORE)

    @router.get(_ONE, summary="What an app is registered with (RFC 7592)", openapi_extra=_TOKEN)
    def read(request: Request, client_id: str) -> Response:
        registered = registrations.read(client_id, _token(request), address_of(request))
        return JSONResponse(registrations.information(registered), headers=protocol.NO_STORE)

    @router.put(_ONE, summary="Replace an app's registration (RFC 7592)", openapi_extra={**_BODY, **_TOKEN})
    def update(request: Request, client_id: str, metadata: Metadata) -> Response:
        registered = registrations.update(client_id, _token(request), metadata, address_of(request))
        return JSONResponse(registrations.information(registered), headers=protocol.NO_STORE)

    @router.delete(_ONE, status_code=204, summary="Delete an app's registration (RFC 7592)", openapi_extra=_TOKEN)
    def delete(request: Request, client_id: str) -> Response:
        registrations.delete(client_id, _token(request), address_of(request))
        return Response(status_code=204, headers=protocol.NO_STORE)

    for path, allowed in ((REGISTER, ("POST",)), (_ONE, ("GET", "PUT", "DELETE"))):
        others = [method for method in protocol.METHODS if method not in allowed]
        router.add_api_route(path, protocol.preflight(allowed), methods=["OPTIONS"], include_in_schema=False)
        router.add_api_route(path, protocol.method_not_allowed(allowed), methods=others, include_in_schema=False)
    return router


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
