"""An answer and how it is sent: headers, compression, and one structured log line without PHI or tokens.

https://hl7.org/fhir/R4/http.html and https://www.rfc-editor.org/rfc/rfc9110
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

from server import logs
from server.authorization.access import Access
from server.fhir.negotiation import compressed
from server.fhir.routing import Request
from server.fhir.stream import Stream
from server.tracing import NOWHERE, Origin

FHIR_JSON = b"application/fhir+json; charset=utf-8"
_WITHOUT_LENGTH = (204, 304)
"""Statuses whose answers have no body, so that a Content-Length would be wrong (RFC 9110 section 8.6)."""
_CORRELATION = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What of a client's own X-Request-Id is safe to send back."""
_ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept, accept-encoding, authorization, origin, prefer"),
)
Headers = Sequence[tuple[bytes, bytes]]
ALLOWED_HEADERS = (
    *("authorization", "accept", "accept-language", "cache-control", "content-type", "if-modified-since"),
    *("if-none-match", "pragma", "prefer", "traceparent", "x-request-id", "x-requested-with"),
)
"""What a web app may send; all of it is harmless."""
EXPOSED_HEADERS = (
    *("x-request-id", "x-correlation-id", "etag", "last-modified", "retry-after", "www-authenticate", "allow"),
    *("content-location", "x-progress", "expires", "deprecation", "sunset", "link"),
)
"""What a web app may read of an answer."""


class Answer:
    """Status, body and headers of an answer, and what the ledger says of it.

    ``resources`` counts the patient-specific resources in the body. ``access``: whose answer it is, where the request named the member.
    ``content_type`` is that of the body; ``stream``, where there is one, takes the place of the body. ``withheld``: how many resources
    each sensitivity policy withheld from it, by slug.
    """

    __slots__ = (
        *("access", "body", "content_type", "headers", "interaction", "resource_type"),
        *("resources", "status", "stream", "withheld"),
    )

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        interaction: str = "",
        resource_type: str = "",
        resources: int = 0,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.interaction = interaction
        self.resource_type = resource_type
        self.resources = resources
        self.access: Access | None = None
        self.withheld: Mapping[str, int] = {}
        self.content_type = FHIR_JSON
        self.stream: Stream | None = None


def headers_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names in lower case, values without line breaks."""
    return {name.lower(): " ".join(value.split()) for name, value in headers.items()}


async def respond(
    request: Request,
    answer: Answer,
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    *,
    log: str,
    seconds: float,
    came: Origin = NOWHERE,
    always: Headers = (),
) -> None:
    """Send an answer and write its log line. ``always``: headers that this deployment adds to every answer; ``log``: how the line is
    written, '' not at all; ``seconds``: how long the answer took; ``came``: what a trusted proxy said of the request."""
    request_id, method, request_headers = request.id, request.method, request.headers
    body = answer.body
    headers: list[tuple[bytes, bytes]] = [(b"x-request-id", request_id.encode()), *_ALWAYS, *always]
    if answer.stream is not None:
        headers += answer.stream.headers
    elif body:
        headers.append((b"content-type", answer.content_type))
        if b"accept-encoding" in request_headers:
            body, coding = compressed(body, request_headers[b"accept-encoding"])
            if coding:
                headers.append((b"content-encoding", coding))
    length = len(body) if answer.stream is None else answer.stream.length
    if answer.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % length))
    if b"x-request-id" in request_headers:
        headers += correlation(request_headers[b"x-request-id"])
    if b"origin" in request_headers:
        headers += cross_origin(method)
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    if log:
        logs.answered(
            *(log, request_id, method, answer.status, answer.interaction, answer.resource_type, length, seconds),
            *(came.request_id, came.trace_id),
        )
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None and method != "HEAD":
        await answer.stream.send_to(send, request_id)
    else:
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def correlation(client_request_id: bytes) -> Headers:
    """The client's own request id, sent back as X-Correlation-Id: https://hl7.org/fhir/R4/http.html#custom

    X-Request-Id itself is always the server's, since it names the ledger's row. The client's is not logged: it may hold anything.
    """
    return [(b"x-correlation-id", client_request_id)] if _CORRELATION.fullmatch(client_request_id) else []


_CROSS_ORIGIN = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode()),
]
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE, OPTIONS"),
    (b"access-control-allow-headers", ", ".join(ALLOWED_HEADERS).encode()),
    (b"access-control-max-age", b"7200"),
]


def cross_origin(method: str) -> list[tuple[bytes, bytes]]:
    """CORS headers. Any origin may ask: access needs a bearer token, which no browser sends by itself; cookies are not used here."""
    return [*_CROSS_ORIGIN, *_PREFLIGHT] if method == "OPTIONS" else _CROSS_ORIGIN
