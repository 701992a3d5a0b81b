"""Files become records: NDJSON, Bundles and single resources, plain or gzip, told apart by what is in them, not by their names.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON) and https://hl7.org/fhir/R4/bundle.html
"""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from server.ingest.bundles import Item, expand, record, rejected
from server.ingest.canonical_json import parse
from server.ingest.report import LoadReport, Place

SUFFIXES = (".json", ".ndjson", ".gz")
_GZIP = b"\x1f\x8b"
_UNREADABLE = (OSError, EOFError, zlib.error)
_FIX_FILE = "Send the file again, whole."
_FIX_JSON = "Send NDJSON, a Bundle or a single resource as JSON in UTF-8."

Progress = Callable[[int, int], None]
"""Told the bytes read so far and the bytes there are."""


class _NotJSONError(Exception):
    """A file of which nothing could be read as JSON, and why."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file to read; ``shown`` is its name in reports."""

    path: Path
    shown: str


def read(paths: Sequence[Path], report: LoadReport, on_progress: Progress | None = None) -> Iterator[list[Item]]:
    """The records of files and directories (recursively, sorted by name), in pieces: a line, or a whole document.

    Files of a directory that by their suffix are no FHIR JSON are noted in the report; a file that cannot be read is a rejection.
    """
    files: list[_File] = []
    for path in paths:
        found = list(_files(path, report))
        if not found and not path.is_dir():
            yield [rejected(Place(str(path)), "does not exist", "Name a file or a directory.")]
        files += found
    total = sum(file.path.stat().st_size for file in files if file.path.exists())
    done = 0
    for file in files:
        size = file.path.stat().st_size if file.path.exists() else 0

        def tell(position: int, before: int = done) -> None:
            if on_progress is not None:
                on_progress(min(before + position, total), total)

        try:
            yield from _records(file, report, tell)
        except _NotJSONError as error:
            yield [rejected(Place(file.shown), f"is not JSON: {error}", _FIX_JSON)]
        except _UNREADABLE as error:
            reason = f"cannot be read to its end: {getattr(error, 'strerror', None) or error}"
            yield [rejected(Place(file.shown), reason, _FIX_FILE)]
        done += size
        tell(0, done)


def _files(path: Path, report: LoadReport) -> Iterator[_File]:
    if not path.is_dir():
        if path.exists():
            yield _File(path, path.name)
        return
    found = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in sorted(found):
        shown = str(file.relative_to(path))
        if file.name.endswith(SUFFIXES):
            yield _File(file, shown)
        else:
            report.notes.append(f"{shown} is not .json, .ndjson or .gz and was left out")


def _records(file: _File, report: LoadReport, tell: Callable[[int], None]) -> Iterator[list[Item]]:
    with file.path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        stream: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
        report.files += 1
        number = -1
        for number, items in enumerate(_pieces(stream, file.shown)):
            report.records += len(items)
            yield items
            if number % 100 == 0:
                tell(raw.tell())
        if number < 0:
            report.notes.append(f"{file.shown} is empty")


def _pieces(stream: IO[bytes], shown: str) -> Iterator[list[Item]]:
    """The records of a file, a list for each line or document."""
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    value, wrong = _parsed(first[1])
    second = next(lines, None)
    if second is None:
        if wrong is not None:
            raise _NotJSONError(wrong)
        yield _items(value, Place(shown))
        return
    if wrong is None or _is_resource(second[1]):
        yield from _ndjson(first, shown)
        yield from _ndjson(second, shown)
        for line in lines:
            yield from _ndjson(line, shown)
        return
    rest = [first, second, *lines]
    text = "\n" * (first[0] - 1) + _joined(rest)
    value, wrong = _parsed(text)
    if wrong is None:
        yield _items(value, Place(shown))
    elif any(_is_resource(line) for _, line in rest):
        for line in rest:
            yield from _ndjson(line, shown)
    else:
        raise _NotJSONError(wrong)


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, str]]:
    """The lines with something in them, numbered from 1."""
    for number, line in enumerate(stream, 1):
        # What is not UTF-8 becomes lone surrogates, which the record that holds them cannot be written with: it alone is rejected.
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
        if not text.isspace():
            yield number, text


def _joined(lines: list[tuple[int, str]]) -> str:
    """Lines as one text, the blank ones between them put back so that errors name the right line."""
    pieces, next_line = [], lines[0][0]
    for number, text in lines:
        pieces.append("\n" * (number - next_line) + text)
        next_line = number + 1
    return "".join(pieces)


def _parsed(text: str) -> tuple[Any, str | None]:
    """The value of a JSON text, and what is wrong with it (None: nothing)."""
    try:
        return parse(text), None
    except ValueError as error:
        return None, str(error)


def _is_resource(line: str) -> bool:
    value, wrong = _parsed(line)
    return wrong is None and isinstance(value, dict) and "resourceType" in value


def _ndjson(line: tuple[int, str], shown: str) -> Iterator[list[Item]]:
    number, text = line
    place = Place(shown, f"line {number}")
    value, wrong = _parsed(text.strip())
    if wrong is None:
        yield _items(value, place)
    else:
        yield [rejected(place, f"is not JSON: {wrong.replace('line 1, ', '')}", "Correct the line.")]


def _items(value: Any, place: Place) -> list[Item]:
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        return list(expand(place, value))
    return [record(place, value)]
