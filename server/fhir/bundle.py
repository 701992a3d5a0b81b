"""A searchset spliced from stored bytes, with links and an opaque keyset cursor.

https://hl7.org/fhir/R4/http.html#paging and https://hl7.org/fhir/R4/bundle.html#searchset
"""

import base64
import binascii
import os
import re
import struct
from collections.abc import Sequence
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
_PLAIN = re.compile(r"[A-Za-z0-9:/,|._~*-]*")
_NUMBERS = struct.Struct(">qqq")


class CursorCipher:
    """Makes and opens ``_cursor`` values: where the next page begins, encrypted and bound to the member and the query.

    The numbers inside say nothing to the app, and a cursor of another query, member or server does not open.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret[:32])

    def seal(self, after: int, total: int, watermark: int, bound_to: str) -> str:
        """The cursor behind the match with key ``after``; the total and watermark of the first page travel along."""
        nonce = os.urandom(_NONCE)
        numbers = _NUMBERS.pack(after, total, watermark)  # of one width: the length of a cursor says nothing either
        return (
            base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, numbers, bound_to.encode()))
            .decode()
            .rstrip("=")
        )

    def open(self, cursor: str, bound_to: str) -> tuple[int, int, int]:
        """(after, total, watermark) of a cursor. Raises FHIRError 400 when it is not one of ours for this query."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            after, total, watermark = _NUMBERS.unpack(
                self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound_to.encode())
            )
        except (InvalidTag, ValueError, binascii.Error, struct.error) as error:
            raise FHIRError(
                CURSOR_INVALID,
                "Search parameter '_cursor': not a cursor of this search; follow the 'next' link as it is, or start again.",
                expression="http._cursor",
            ) from error
        return after, total, watermark


def query_string(pairs: Sequence[tuple[str, str]]) -> str:
    """name=value pairs percent-encoded, readable where that is safe."""
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in pairs])


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=":/,|-._~*")


def searchset(
    base: str,
    bundle_id: str,
    watermark: int,
    total: int,
    links: Sequence[tuple[str, str]],
    matches: Sequence[StoredResource],
    included: Sequence[StoredResource],
    outcome: bytes | None = None,
) -> bytes:
    """The Bundle as JSON bytes; stored bodies are copied, never parsed. ``outcome`` becomes an entry of mode outcome."""
    head = {
        "resourceType": "Bundle",
        "id": bundle_id,
        "meta": {"lastUpdated": clock.instant(watermark)},
        "type": "searchset",
        "total": total,
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
