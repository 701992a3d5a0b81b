"""An answer and how it is sent: headers, gzip, and one structured log line without PHI or tokens.

https://hl7.org/fhir/R4/http.html#mime-type and https://www.rfc-editor.org/rfc/rfc9110
"""

import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from isal import isal_zlib

from server.authorization.access import Access

FHIR_JSON = b"application/fhir+json; charset=utf-8"
GZIP_FROM = 1400
"""Smaller bodies fit a network packet as they are."""
_GZIP_REFUSED = re.compile(rb"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")
_GZIP_LEVEL, _GZIP_FORMAT = 1, 31
"""Level 0 costs a fifth less and sends a tenth more; 31 is the gzip format: https://docs.python.org/3/library/zlib.html"""
_STANDARD_OUTPUT = 1
_ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept-encoding, origin, authorization"),
)


class Answer:
    """Status, body and headers of an answer, and what the ledger says of it.

    ``resources`` counts the patient-specific resources in the body. ``access``: whose answer it is, where the request named the member.
    """

    __slots__ = ("access", "body", "headers", "interaction", "resource_type", "resources", "status")

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


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether Accept-Encoding names gzip, and not with a weight of 0: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3"""
    return b"gzip" in accept_encoding and _GZIP_REFUSED.search(accept_encoding) is None


def headers_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names in lower case, values without line breaks."""
    return {name.lower(): " ".join(value.split()) for name, value in headers.items()}


async def respond(
    request_id: str,
    method: str,
    request_headers: Mapping[bytes, bytes],
    answer: Answer,
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    *,
    log: bool,
) -> None:
    """Send an answer and write its log line."""
    body = answer.body
    headers: list[tuple[bytes, bytes]] = [
        (b"x-request-id", request_id.encode()),
        *_ALWAYS,
    ]
    if body:
        headers.append((b"content-type", FHIR_JSON))
        if len(body) >= GZIP_FROM and accepts_gzip(request_headers.get(b"accept-encoding", b"")):
            body = isal_zlib.compress(body, _GZIP_LEVEL, _GZIP_FORMAT)
            headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", b"%d" % len(body)))
    if b"origin" in request_headers:
        headers += cross_origin(method)
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    if log:
        line = f'{{"request_id":"{request_id}","method":"{method}","status":{answer.status},' + (
            f'"interaction":"{answer.interaction}","type":"{answer.resource_type}","bytes":{len(body)}}}\n'
        )
        os.write(_STANDARD_OUTPUT, line.encode())
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def cross_origin(method: str) -> list[tuple[bytes, bytes]]:
    """CORS headers. Any origin may ask: access needs a bearer token, which no browser sends by itself; cookies are not used here."""
    headers = [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"x-request-id, etag, last-modified, retry-after, www-authenticate"),
    ]
    if method == "OPTIONS":
        headers += [
            (b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS"),
            (b"access-control-allow-headers", b"authorization, accept, content-type, prefer, if-none-match"),
            (b"access-control-max-age", b"600"),
        ]
    return headers
