"""JSON text of a record: one line, keys in their own order, decimals with every digit they were given.

https://hl7.org/fhir/R4/json.html"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson


def json_line(value: Any) -> bytes:
    """The JSON of plain Python values in UTF-8 with a line end; a Decimal of 120.00 stays 120.00."""
    return orjson.dumps(value, default=_decimal, option=orjson.OPT_APPEND_NEWLINE)


def json_text(value: Any) -> str:
    """The same as text, without the line end."""
    return json_line(value)[:-1].decode()


def _decimal(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}".encode())
    raise TypeError(f"{type(value).__name__} has no JSON")


def write_lines(path: Path, records: Iterable[Any]) -> None:
    with path.open("wb") as file:
        file.writelines(json_line(record) for record in records)
