"""The payer's list of items and services that require prior authorization, from PRIOR_AUTHORIZATION_ITEMS_FILE.

42 CFR 422.122(c)(1) and its parallels: the first of the nine public measures. The payer writes its own words for each code.
"""

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.metrics.levels import UNIT_COLUMNS

_TEXTS = ("system", "code", "text")
COLUMNS = (*_TEXTS, *UNIT_COLUMNS)


class ItemsFileError(ValueError):
    """The file of items and services cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Item:
    """A code that requires prior authorization, in the payer's words; ``unit``: the values of UNIT_COLUMNS it is limited to, '' any."""

    system: str
    code: str
    text: str
    unit: tuple[str, ...]

    def is_for(self, unit: tuple[str, ...]) -> bool:
        """Whether it belongs on the list of a reporting unit (its texts of UNIT_COLUMNS)."""
        return all(own in ("", text) for own, text in zip(self.unit, unit, strict=True))


def read_items(path: Path | None) -> tuple[Item, ...]:
    """The items of a TOML file (``[[item]]`` tables) or a CSV file (by its name), in their order; none without a file.

    Raises ItemsFileError with one line that says what is wrong with which row.
    """
    if path is None:
        return ()
    try:
        text = path.read_text("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines())) if path.suffix.lower() == ".csv" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as error:
        raise ItemsFileError(f"{path}: {error}") from error
    if isinstance(rows, dict):
        if rows.keys() - {"item"} or not isinstance(rows.get("item", []), list):
            raise ItemsFileError(f"{path}: it holds [[item]] tables and nothing else")
        rows = rows.get("item", [])
    return tuple(_read(path, rows))


def _read(path: Path, rows: Iterable[Any]) -> Iterable[Item]:
    seen: set[tuple[Any, ...]] = set()
    for number, row in enumerate(rows, 1):
        try:
            item = _item(row)
            if (item.system, item.code, item.unit) in seen:
                raise ValueError(f"{item.system}|{item.code} stands twice")
        except ValueError as error:
            raise ItemsFileError(f"{path}: item {number}: {error}") from error
        seen.add((item.system, item.code, item.unit))
        yield item


def _item(row: Any) -> Item:
    if not isinstance(row, Mapping):
        raise ValueError(f"it is no table of {', '.join(COLUMNS)}")
    for name, value in row.items():
        if name not in COLUMNS:
            raise ValueError(f"{name!r} is none of {', '.join(COLUMNS)}" if name else "it has more values than columns")
        if value is not None and (not isinstance(value, str) or not value.isprintable()):
            raise ValueError(f"{name} is a text of one line")
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    for name in _TEXTS:
        if not values[name]:
            raise ValueError(f"{name} is missing")
    return Item(values["system"], values["code"], values["text"], tuple(values[name] for name in UNIT_COLUMNS))
