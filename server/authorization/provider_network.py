"""How the payer's own OpenID provider is asked: bounded in time, size and number, without redirects, never inside a transaction.

https://www.rfc-editor.org/rfc/rfc9700#section-4.11 and https://openid.net/specs/openid-connect-core-1_0.html#TokenEndpoint
"""

import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

FETCH_SECONDS, LARGEST_ANSWER = 10.0, 262_144
"""How long one answer of the provider may take in all, and its bytes at most."""
FETCHES_AT_A_TIME = 12


class ProviderUnavailableError(Exception):
    """The provider does not answer, or answers with something that is no answer; the message holds no secret."""

    fit_for_the_log = True


class ProviderAnswerError(Exception):
    """The provider's answer does not let anybody in; the message says why and holds no secret and no claim's value."""

    fit_for_the_log = True


class ProviderNetwork:
    """Asks for JSON objects. One per worker."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(FETCHES_AT_A_TIME)

    def ask(
        self, method: str, address: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """A JSON object of the provider: bounded in time and size, without redirects."""
        if not self._places.acquire(blocking=False):
            raise ProviderUnavailableError("too many sign-ins wait for the provider")
        try:
            status, body = self._fetch(method, address, form, {"Accept": "application/json", **(headers or {})})
        finally:
            self._places.release()
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        path = urlsplit(address).path
        if 400 <= status < 500 and status != 429:
            told = str(answer.get("error", ""))[:50] if isinstance(answer, dict) else ""
            raise ProviderAnswerError(
                f"{path} answers with status {status} {told if told.isprintable() else ''}".strip()
            )
        raise ProviderUnavailableError(f"{path} answers with status {status}, or no JSON object")

    def _fetch(
        self, method: str, address: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        until = time.monotonic() + FETCH_SECONDS
        body = bytearray()
        try:
            with (
                httpx2.Client(timeout=FETCH_SECONDS / 2, trust_env=False, follow_redirects=False) as web,
                web.stream(method, address, data=dict(form) if form else None, headers=dict(headers)) as response,
            ):
                for piece in response.iter_bytes(8192):
                    body += piece
                    if len(body) > LARGEST_ANSWER or time.monotonic() > until:
                        raise ProviderUnavailableError(f"{urlsplit(address).path} answers with too much, or too slowly")
                return response.status_code, bytes(body)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise ProviderUnavailableError(
                f"{urlsplit(address).path} cannot be reached: {type(error).__name__}"
            ) from error
