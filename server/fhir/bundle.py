"""A searchset spliced from stored bytes, with links and an opaque keyset cursor.

https://hl7.org/fhir/R4/http.html#paging and https://hl7.org/fhir/R4/bundle.html#searchset
"""

import base64
import binascii
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server import clock
from server.fhir.error_codes import CURSOR_INVALID
from server.fhir.outcomes import FHIRError
from server.storage.patient_compartment import StoredResource

_MATCH_TAIL = b',"search":{"mode":"match"}}'
_INCLUDE_TAIL = b',"search":{"mode":"include"}}'
_NONCE = 12
_PLAIN = re.compile(r"[A-Za-z0-9:/,._~*-]*")
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: behind ``place``, or before it (``backwards``); the first page's total and watermark travel along."""

    place: tuple[int | str, ...]
    total: int
    watermark: int
    backwards: bool = False


class CursorCipher:
    """Makes and opens ``_cursor`` values: where a page begins, encrypted and bound to the member and the query.

    What is inside says nothing to the app, and a cursor of another query, member or server does not open.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret[:32])

    def seal(self, cursor: Cursor, bound_to: str) -> str:
        """A cursor as it stands in a link."""
        nonce = os.urandom(_NONCE)
        content = orjson.dumps([cursor.backwards, cursor.total, cursor.watermark, *cursor.place])
        content += b" " * (-len(content) % _BLOCK)  # the length of a cursor says next to nothing
        sealed = nonce + self._cipher.encrypt(nonce, content, bound_to.encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, cursor: str, bound_to: str) -> Cursor:
        """What a cursor says. Raises FHIRError 400 when it is not one of ours for this query."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            content = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound_to.encode())
            backwards, total, watermark, *place = orjson.loads(content)
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise FHIRError(
                CURSOR_INVALID,
                "Search parameter '_cursor': not a cursor of this search; follow the 'next' link as it is, or start again.",
                expression="http._cursor",
            ) from error
        return Cursor(tuple(place), total, watermark, backwards)


def query_string(pairs: Sequence[tuple[str, str]]) -> str:
    """name=value pairs percent-encoded, readable where a URI allows it (RFC 3986 section 3.4: ``|`` is not among them)."""
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in pairs])


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=":/,-._~*")


def searchset(
    base: str,
    bundle_id: str,
    watermark: int,
    total: int | None,
    links: Sequence[tuple[str, str]],
    matches: Sequence[StoredResource],
    included: Sequence[StoredResource],
    outcome: bytes | None = None,
) -> bytes:
    """The Bundle as JSON bytes; bodies are copied, never parsed. ``total`` None: not told. ``outcome`` becomes an entry of mode outcome."""
    head = {
        "resourceType": "Bundle",
        "id": bundle_id,
        "meta": {"lastUpdated": clock.instant(watermark)},
        "type": "searchset",
        **({} if total is None else {"total": total}),
        "link": [{"relation": relation, "url": url} for relation, url in links],
    }
    parts = [orjson.dumps(head)[:-1]]
    separator = b',"entry":['
    for resources, tail in ((matches, _MATCH_TAIL), (included, _INCLUDE_TAIL)):
        type = ""
        for resource in resources:
            if resource.type != type:
                type = resource.type
                address = f'{{"fullUrl":"{base}/{type}/'
            parts += (separator, f'{address}{resource.id}","resource":'.encode(), resource.body, tail)
            separator = b","
    if outcome is not None:
        parts += (separator, b'{"resource":', outcome, b',"search":{"mode":"outcome"}}')
        separator = b","
    parts.append(b"}" if separator != b"," else b"]}")
    return b"".join(parts)
