"""JSON in and out without changing it: decimals keep their text, keys their order, letters their form.

https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/datatypes.html#decimal (precision is significant)
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

import orjson

SERVER_ASSIGNED = ("versionId", "lastUpdated")
"""Elements of ``meta`` that do not count when it is decided whether a resource changed."""


class DecimalText(Decimal):
    """A JSON number with a fraction or an exponent, and its text: 0.00 stays 0.00, 1E2 stays 1E2."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "DecimalText":
        try:
            number = super().__new__(cls, text)
        except InvalidOperation as error:
            raise ValueError("a number has an exponent beyond all use") from error
        number.text = text
        return number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has two values under one name")
    return value


def parse(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, with the place where there is one, for what is not JSON, or names a value twice."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_float=DecimalText, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def serialise(value: Any, *, sort_keys: bool = False, options: int = 0) -> bytes:
    """JSON in UTF-8, compact unless the orjson ``options`` say otherwise. Raises ValueError for what JSON in UTF-8 cannot carry (lone surrogates, huge integers, depth)."""
    try:
        return orjson.dumps(value, _decimal_text, options | (orjson.OPT_SORT_KEYS if sort_keys else 0))
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from None


def _decimal_text(value: Any) -> orjson.Fragment:
    if isinstance(value, DecimalText):
        return orjson.Fragment(value.text.encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


def content(resource: Mapping[str, Any]) -> bytes:
    """A resource's content as bytes to compare: sorted keys, without the elements of ``meta`` that servers assign."""
    meta = resource.get("meta")
    if isinstance(meta, Mapping):
        kept = {name: value for name, value in meta.items() if name not in SERVER_ASSIGNED}
        resource = {name: value for name, value in resource.items() if name != "meta"} | (
            {"meta": kept} if kept else {}
        )
    return serialise(resource, sort_keys=True)


def content_hash(canonical: bytes) -> bytes:
    """SHA-256 of a resource's ``content``."""
    return sha256(canonical).digest()
