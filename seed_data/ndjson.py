"""JSON text of a record: one line, keys in their own order, decimals with every digit they were given.

https://hl7.org/fhir/R4/json.html"""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any


def json_text(value: Any) -> str:
    """The JSON text of plain Python values; a Decimal of 120.00 stays 120.00."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{json_text(found)}" for key, found in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(json_text(found) for found in value) + "]"
        case Decimal():
            return f"{value:f}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def write_lines(path: Path, records: Iterable[Any]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json_text(record) + "\n")
