"""How the doctor asks a server: few requests, each bounded in time and size, all of them together too; no redirect is followed.

https://www.rfc-editor.org/rfc/rfc9700#section-4.11 - a member's token goes to the origin of the FHIR base only.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from server import __version__

CERTIFICATE_IS_NOT_TRUSTED = "its certificate is not trusted"


class UnreachableError(Exception):
    """A request got no answer, or no end of one; the message says why in a few words."""


class TimeIsUpError(UnreachableError):
    """All requests together took longer than they may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``seconds`` of one request, ``total_seconds`` of all; ``largest`` body in bytes; an answer is slow after ``slow_seconds``."""

    seconds: float = 10.0
    total_seconds: float = 180.0
    largest: int = 16 * 1024 * 1024
    slow_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. ``seconds`` until its last byte; ``body`` without its content encoding."""

    method: str
    url: str
    status: int
    headers: httpx2.Headers
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """A header's value, or ''."""
        return str(self.headers.get(name, ""))

    @property
    def media_type(self) -> str:
        """Of the body, in lower case and without parameters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def json(self) -> dict[str, Any] | None:
        """The body if it is a JSON object."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def told(self) -> str:
        """Status and kind of body, for people."""
        kind = self.media_type or "no content type"
        return f"status {self.status}, {kind}" if self.body else f"status {self.status}, no body"


class Web:
    """Asks. One per examination, to be closed after it. Not for several threads."""

    def __init__(self, limits: Limits | None = None, authorities: Path | None = None) -> None:
        """``authorities``: certificates (PEM) of who else may vouch for a server. Raises OSError if they cannot be read."""
        self.limits = limits or Limits()
        self.trust = ssl.create_default_context()
        if authorities is not None:
            self.trust.load_verify_locations(authorities)
        self._runner = asyncio.Runner()
        self._client: httpx2.AsyncClient | None = None
        self._until = time.monotonic() + self.limits.total_seconds
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises UnreachableError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeIsUpError(f"the {self.limits.total_seconds:.0f} s for all requests are over")
        try:
            answer = self._runner.run(self._fetch(method, url, headers or {}, form, min(left, self.limits.seconds)))
        except TimeoutError as error:
            raise UnreachableError(f"no answer within {min(left, self.limits.seconds):.0f} s") from error
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise UnreachableError(_reason(error)) from error
        self.answers.append(answer)
        return answer

    async def _fetch(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None, seconds: float
    ) -> Answer:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                timeout=None,  # the whole request is bounded below
                trust_env=False,
                follow_redirects=False,
                verify=self.trust,
                limits=httpx2.Limits(max_keepalive_connections=0),  # a connection closed in between is no fault
                headers={"User-Agent": f"patient-access-doctor/{__version__}"},
            )
        self._client.cookies.clear()
        begun = time.monotonic()
        body = bytearray()
        async with (
            asyncio.timeout(seconds),
            self._client.stream(
                method, url, headers=dict(headers), data=None if form is None else dict(form)
            ) as response,
        ):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > self.limits.largest:
                    raise ValueError(f"more than {self.limits.largest // 1024:,} KB")
        return Answer(
            method, str(response.url), response.status_code, response.headers, bytes(body), time.monotonic() - begun
        )


def _reason(error: BaseException) -> str:
    """A few words for what went wrong."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{CERTIFICATE_IS_NOT_TRUSTED} ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection ({cause.reason or 'handshake failed'})"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ValueError) and not isinstance(error, httpx2.InvalidURL):
        return str(error)
    words = " ".join(str(error).split())
    return words[:150] or type(error).__name__


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as browsers compare them; '' for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else ""


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
