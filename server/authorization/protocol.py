"""The edge between FastAPI and the protocol: forms in, JSON out, errors and CORS in the protocol's own terms.

https://www.rfc-editor.org/rfc/rfc6749#section-5.2 and https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from server.authorization.authorization_server import Parameters, ProtocolResponse
from server.storage.database import DatabaseUnavailableError

FORM = "application/x-www-form-urlencoded"
LONGEST_FORM = 65_536
MOST_FIELDS = 100
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_LOG = logging.getLogger(__name__)
_Handler = Callable[[Request], Awaitable[Response]]


async def form_parameters(request: Request) -> Parameters:
    """The parameters of a form POST. Raises InvalidRequestError when it is not one."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != FORM:
        raise InvalidRequestError(f"The body must be {FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise InvalidRequestError("The form is too long.", status_code=413)
    return _parse(bytes(body))


async def query_parameters(request: Request) -> Parameters:
    """The parameters of the query string."""
    return _parse(request.scope.get("query_string", b""))


async def authorize_parameters(request: Request) -> Parameters:
    """The parameters of an authorization request: a GET's query, a POST's form (SMART ``authorize-post``)."""
    return await (form_parameters(request) if request.method == "POST" else query_parameters(request))


def _parse(encoded: bytes) -> Parameters:
    try:
        pairs = parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:  # also UnicodeDecodeError
        raise InvalidRequestError("The parameters are not a well-formed UTF-8 form.") from error
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise InvalidRequestError("A parameter holds a NUL character.")
    return Parameters(tuple(pairs))


def answer(response: ProtocolResponse) -> Response:
    """Authlib's answer as an HTTP response."""
    headers = dict(response.headers)
    if isinstance(response.body, dict):
        headers.pop("Content-Type", None)
        return JSONResponse(response.body, response.status, headers={**headers, **NO_STORE})
    return Response(response.body, response.status, headers={**headers, **NO_STORE})


def refuse(error: OAuth2Error) -> JSONResponse:
    """An error as RFC 6749 JSON."""
    status, body, headers = error()
    return JSONResponse(body, status, headers={**dict(headers), **NO_STORE})


def method_not_allowed(allowed: tuple[str, ...]) -> Callable[[], JSONResponse]:
    """A handler for every other method of a path: 405 with ``Allow``."""

    def handler() -> JSONResponse:
        body = {"error": "invalid_request", "error_description": f"The method must be {' or '.join(allowed)}."}
        return JSONResponse(body, 405, headers={"Allow": ", ".join((*allowed, "OPTIONS")), **NO_STORE})

    return handler


def protocol_route(is_allowed_origin: Callable[[str], bool] | None = None) -> type[APIRoute]:
    """Routes whose failures are RFC 6749 JSON and whose answers may be read by web apps.

    ``is_allowed_origin`` says of which origins (it may ask the database); None means of any.
    """

    async def allowed_origin(request: Request) -> str | None:
        if is_allowed_origin is None:
            return "*"
        origin = request.headers.get("Origin")
        if not origin or not await run_in_threadpool(is_allowed_origin, origin):
            return None
        return origin

    class ProtocolRoute(APIRoute):
        def get_route_handler(self) -> Any:
            handle: _Handler = super().get_route_handler()

            async def with_cors(request: Request) -> Response:
                origin = None
                try:
                    origin = await allowed_origin(request)
                    response = await handle(request)
                except OAuth2Error as error:
                    response = refuse(error)
                except DatabaseUnavailableError:
                    body = {"error": "temporarily_unavailable", "error_description": "Please try again in a moment."}
                    response = JSONResponse(body, 503, headers={**NO_STORE, "Retry-After": "5"})
                except Exception:
                    _LOG.exception("an authorization endpoint failed")
                    body = {"error": "server_error", "error_description": "The server made a mistake."}
                    response = JSONResponse(body, 500, headers=NO_STORE)
                if is_allowed_origin is not None:
                    response.headers["Vary"] = "Origin"
                if origin is not None:
                    response.headers["Access-Control-Allow-Origin"] = origin
                return response

            return with_cors

    return ProtocolRoute


def preflight(allowed: tuple[str, ...]) -> Callable[[], Response]:
    """A handler for OPTIONS: what a web app may send."""

    def handler() -> Response:
        headers = {
            "Access-Control-Allow-Methods": ", ".join(allowed),
            "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-None-Match",
            "Access-Control-Max-Age": "600",
            "Allow": ", ".join((*allowed, "OPTIONS")),
        }
        return Response(status_code=204, headers=headers)

    return handler
