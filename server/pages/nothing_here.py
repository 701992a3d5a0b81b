"""Addresses at which there is nothing, and methods that none of them has: a page for people, JSON for programs.

https://www.rfc-editor.org/rfc/rfc9110#section-15.5.5 and #section-15.5.6 - the framework's own answers are in neither of this server's
vocabularies, and FHIR paths never come here.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from server.authorization.languages import Message
from server.authorization.protocol import NO_STORE
from server.authorization.web_page import WebPages
from server.settings import Settings

_WORDS = {404: "There is nothing at this address; see /docs.", 405: "This address does not have that method."}


def answer_for_nothing(web: FastAPI, settings: Settings) -> None:
    """Have the application answer so where no route does."""
    web.add_exception_handler(HTTPException, _handler(WebPages(settings)))  # type: ignore[arg-type]


def _handler(pages: WebPages) -> Callable[[Request, HTTPException], Awaitable[Response]]:
    async def handler(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and "text/html" in request.headers.get("Accept", ""):
            return pages.problem(request, 404, Message("Not found"), Message("There is no such page here."))
        description = _WORDS.get(error.status_code, str(error.detail))
        body = {"error": "invalid_request", "error_description": description}
        return JSONResponse(body, error.status_code, headers={**(error.headers or {}), **NO_STORE})

    return handler
