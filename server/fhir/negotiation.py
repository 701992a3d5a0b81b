"""What a client can read: the format of an answer, the FHIR version, and how the body may be compressed.

https://hl7.org/fhir/R4/http.html#mime-type, #version-parameter and https://www.rfc-editor.org/rfc/rfc9110#section-12
"""

from collections.abc import Mapping
from functools import lru_cache

import brotli
import zstandard
from isal import isal_zlib

from server.fhir import error_codes
from server.fhir.outcomes import FHIRError
from server.specification.standards import FHIR_VERSION

JSON_FORMATS = frozenset(("json", "application/json", "application/fhir+json", "application/json+fhir", "text/json"))
_WILDCARDS = frozenset(("*/*", "application/*", "*"))
_VERSIONS = frozenset((FHIR_VERSION, FHIR_VERSION.rpartition(".")[0]))
"""Values of the parameter ``fhirVersion`` that name the version spoken here: major and minor, or the whole."""
COMPRESSED_FROM = 1400
"""Bytes: smaller bodies fit a network packet as they are."""
_GZIP_LEVEL, _GZIP_FORMAT = 1, 31
"""Level 0 costs a fifth less and sends a tenth more; 31 is the gzip format: https://docs.python.org/3/library/zlib.html"""
_BROTLI_QUALITY, _BROTLI_WINDOW = 1, 18
"""A window of 256 KB: with the default of 4 MB quality 1 takes seven times as long for a page of claims."""
_ZSTANDARD = zstandard.ZstdCompressor(level=1)
_IDENTITY = ""


def check_format(accept: bytes, formats: tuple[str, ...] = ()) -> None:
    """Raises FHIRError 406 unless JSON of this FHIR version will do. ``formats``, the values of ``_format``, beat the Accept header."""
    for value in formats:
        if trouble := _trouble_with_format(value):
            raise FHIRError(error_codes.FORMAT_NOT_SUPPORTED, trouble)
    if accept and not formats and (trouble := _trouble_with_accept(accept)):
        raise FHIRError(error_codes.FORMAT_NOT_SUPPORTED, trouble)


def is_our_version(content_type: str) -> bool:
    """Whether a Content-Type names this FHIR version, or none."""
    return _is_ours(_parameters(content_type.split(";")[1:]))


def compressed(body: bytes, accept_encoding: bytes) -> tuple[bytes, bytes]:
    """A body as it is sent to a client with this Accept-Encoding, and its content coding (b'' none)."""
    coding, identity_refused = _coding(accept_encoding)
    if not coding or (len(body) < COMPRESSED_FROM and not identity_refused):
        return body, b""
    if coding == "zstd":
        return _ZSTANDARD.compress(body), b"zstd"
    if coding == "br":
        return brotli.compress(body, quality=_BROTLI_QUALITY, lgwin=_BROTLI_WINDOW), b"br"
    return isal_zlib.compress(body, _GZIP_LEVEL, _GZIP_FORMAT), b"gzip"


@lru_cache(maxsize=256)
def _trouble_with_format(value: str) -> str:
    """Why JSON is not what a value of ``_format`` asks for, or ''."""
    media_type, *rest = value.lower().split(";")
    if media_type.strip().replace(" ", "+") not in JSON_FORMATS:  # an unencoded + arrives as a space
        return f"_format={value} is not supported; this server speaks application/fhir+json."
    return "" if _is_ours(_parameters(rest)) else f"_format={value}: {_OTHER_VERSION}"


@lru_cache(maxsize=512)
def _trouble_with_accept(accept: bytes) -> str:
    """Why no JSON of ours is what an Accept header asks for, or ''. What it says of JSON counts before its wildcards (RFC 9110 12.5.1)."""
    refused = other_version = False
    wildcard = False
    for one in accept.decode("latin-1").lower().split(","):
        media_type, *rest = one.split(";")
        media_type, parameters = media_type.strip(), _parameters(rest)
        if media_type in JSON_FORMATS:
            if _weight(parameters) == 0:
                refused = True
            elif _is_ours(parameters):
                return ""
            else:
                other_version = True
        elif media_type in _WILDCARDS and _weight(parameters) > 0:
            wildcard = wildcard or _is_ours(parameters)
            other_version = other_version or not _is_ours(parameters)
    if not accept.strip() or (wildcard and not refused):
        return ""
    return _OTHER_VERSION if other_version else "This server speaks application/fhir+json only."


_OTHER_VERSION = f"this server speaks FHIR {FHIR_VERSION} only; leave fhirVersion out, or say fhirVersion=4.0."


@lru_cache(maxsize=512)
def _coding(accept_encoding: bytes) -> tuple[str, bool]:
    """The content coding with the greatest weight, of equals the one that sends least; and whether sending the body as it is was refused.

    A client that refuses everything, ``identity`` too, gets the body as it is: RFC 9110 section 12.5.3 lets the server disregard it.
    """
    weights: dict[str, float] = {}
    for one in accept_encoding.decode("latin-1").lower().split(","):
        coding, *rest = one.split(";")
        if coding.strip():
            weights[coding.strip().removeprefix("x-")] = _weight(_parameters(rest))
    otherwise = weights.get("*", 0.0)
    best, best_weight = _IDENTITY, weights.get("identity", 0.0)
    for coding in ("gzip", "br", "zstd"):  # from the most bytes to the fewest, at much the same cost
        weight = weights.get(coding, otherwise)
        if weight > 0 and weight >= best_weight:
            best, best_weight = coding, weight
    return best, weights.get("identity", weights.get("*", 1.0)) == 0


def _parameters(parts: list[str]) -> Mapping[str, str]:
    """The parameters behind a media range or a coding, names and values in lower case, without quotes."""
    pairs = (part.partition("=") for part in parts)
    return {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs}


def _weight(parameters: Mapping[str, str]) -> float:
    """The weight ``q``, 1 when it is absent or no number."""
    try:
        weight = float(parameters.get("q", "1"))
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0  # also for nan


def _is_ours(parameters: Mapping[str, str]) -> bool:
    return parameters.get("fhirversion", FHIR_VERSION) in _VERSIONS
