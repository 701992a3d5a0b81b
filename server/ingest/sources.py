"""Files become records: NDJSON, Bundles and single resources, plain or gzip, told apart by what is in them, not by their names.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON) and https://hl7.org/fhir/R4/bundle.html
"""

import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from server.fhir.canonical_json import parse
from server.ingest.authorization_events import event, is_event
from server.ingest.bundles import RECORD_BYTES, Item, expand, record, rejected
from server.ingest.report import LoadReport, Place

SUFFIXES = (".json", ".ndjson", ".gz")
DOCUMENT_BYTES = 512 * 2**20
"""The largest document (a Bundle in a file of its own), unpacked; a line of NDJSON is no longer than a record may be."""
_CHUNK = 2**20
_GZIP = b"\x1f\x8b"
_UNREADABLE = (OSError, EOFError, zlib.error)
_FIX_FILE = "Send the file again, whole."
_FIX_LONG = "Send it in smaller pieces: NDJSON, or several Bundles."
_FIX_JSON = "Send NDJSON, a Bundle or a single resource as JSON in UTF-8."

_LINE = re.compile(r"line (\d+),")
_TOO_LONG = "(too long)"

_Line = tuple[int, str]

Progress = Callable[[int, int], None]
"""Told the bytes read so far and the bytes there are."""


class _NotJSONError(Exception):
    """A file of which nothing could be read as JSON, and why."""


class _TooLongError(Exception):
    """A document, or a file of one line, that is longer than a document may be."""


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
        if not os.path.lexists(path):
            yield [rejected(Place(_printable(str(path))), "does not exist", "Name a file or a directory.")]
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
        except _TooLongError:
            reason = f"is longer than {DOCUMENT_BYTES >> 20} MB and not NDJSON"
            yield [rejected(Place(file.shown), reason, _FIX_LONG)]
        except _NotJSONError as error:
            yield [rejected(Place(file.shown), f"is not JSON: {error}", _FIX_JSON)]
        except _UNREADABLE as error:
            reason = f"cannot be read to its end: {getattr(error, 'strerror', None) or error}"
            yield [rejected(Place(file.shown), reason, _FIX_FILE)]
        done += size
        tell(0, done)


def _files(path: Path, report: LoadReport) -> Iterator[_File]:
    if not path.is_dir():
        yield from _regular(path, _printable(path.name), report)
        return
    found = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in sorted(found):
        shown = _printable(str(file.relative_to(path)))
        if file.name.endswith(SUFFIXES):
            yield from _regular(file, shown, report)
        else:
            report.notes.append(f"{shown} is not .json, .ndjson or .gz and was left out")
    if not any(file.name.endswith(SUFFIXES) for file in found):
        report.notes.append(f"{_printable(str(path))} has no .json, .ndjson or .gz file: there is nothing to read")


def _regular(path: Path, shown: str, report: LoadReport) -> Iterator[_File]:
    """The file, unless it is a pipe, a device or a socket, which may have no end."""
    if path.is_file() or (path.is_symlink() and not path.exists()):
        yield _File(path, shown)
    elif path.exists():
        report.notes.append(f"{shown} is not a regular file and was left out")


def _printable(name: str) -> str:
    """A file's name without anything that would steer a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


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
    lines = _Lines(stream)
    first = next(lines, None)
    if first is None:
        return
    value, wrong = _parsed(first[1])
    lines.limit = RECORD_BYTES if wrong is None else max(RECORD_BYTES, DOCUMENT_BYTES - len(first[1]))
    second = next(lines, None)
    if second is None:
        if first[1] is _TOO_LONG:
            raise _TooLongError
        if wrong is not None:
            raise _NotJSONError(wrong)
        yield _items(value, Place(shown))
        return
    del value
    if wrong is None or _is_resource(second[1]) or first[1] is _TOO_LONG:
        yield from _as_ndjson([first, second], lines, shown)
        return
    text, ended = _gathered(first, second, lines)
    value, wrong = _parsed(text) if ended else (None, "")
    if wrong is None:
        yield _items(value, Place(shown))
        return
    if any(_is_resource(line) for line in io.StringIO(text, newline="\n")):
        again = ((number, line) for number, line in enumerate(io.StringIO(text, newline="\n"), first[0]))
        yield from _as_ndjson((item for item in again if not item[1].isspace()), lines, shown)
    elif ended:
        raise _NotJSONError(_LINE.sub(lambda found: f"line {int(found[1]) + first[0] - 1},", wrong))
    else:
        raise _TooLongError


def _as_ndjson(read: Iterable[_Line], rest: "_Lines", shown: str) -> Iterator[list[Item]]:
    rest.limit = RECORD_BYTES
    for line in read:
        yield from _ndjson(line, shown)
    for line in rest:
        yield from _ndjson(line, shown)


def _gathered(first: _Line, second: _Line, lines: "_Lines") -> tuple[str, bool]:
    """The lines as one text, blank ones put back so that errors name the right line; whether that is all of the file."""
    text, number, size = io.StringIO(newline="\n"), first[0], 0
    for line in chain((first, second), lines):
        size += line[0] - number + len(line[1])
        if size > DOCUMENT_BYTES or line[1] is _TOO_LONG:
            return text.getvalue(), False
        text.write("\n" * (line[0] - number) + line[1])
        number = line[0] + 1
        lines.limit = max(RECORD_BYTES, DOCUMENT_BYTES - size)
    return text.getvalue(), True


class _Lines:
    """The lines with something in them, numbered from 1, read in chunks; one longer than ``limit`` bytes is ``_TOO_LONG``."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._number = 0
        self.limit = DOCUMENT_BYTES

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> _Line:
        while line := self._stream.readline(_CHUNK):
            self._number += 1
            whole = len(line) < _CHUNK or line.endswith(b"\n")
            text = _text(line, self._number) if whole else self._long(line)
            if not text.isspace():
                return self._number, text
        raise StopIteration

    def _long(self, chunk: bytes) -> str:
        """A line of more than one chunk; blanks before anything else in it are dropped."""
        kept, fits = bytearray(), True
        while chunk:
            if fits and (kept or not chunk.isspace()):
                kept += chunk
                if len(kept) > self.limit:
                    kept, fits = bytearray(), False
            if chunk.endswith(b"\n"):
                break
            chunk = self._stream.readline(_CHUNK)
        return _text(bytes(kept), self._number) or " " if fits else _TOO_LONG


def _text(line: bytes, number: int) -> str:
    # What is not UTF-8 becomes lone surrogates, which the record that holds them cannot be written with: it alone is rejected.
    return line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")


def _parsed(text: str) -> tuple[Any, str | None]:
    """The value of a JSON text, and what is wrong with it (None: nothing)."""
    try:
        return parse(text), None
    except ValueError as error:
        return None, str(error)


def _is_resource(line: str) -> bool:
    value, wrong = _parsed(line)
    return wrong is None and isinstance(value, dict) and ("resourceType" in value or is_event(value))


def _ndjson(line: _Line, shown: str) -> Iterator[list[Item]]:
    number, text = line
    place = Place(shown, f"line {number}")
    if text is _TOO_LONG or len(text) > RECORD_BYTES:
        yield [rejected(place, f"is longer than {RECORD_BYTES >> 20} MB", _FIX_LONG)]
        return
    value, wrong = _parsed(text.strip())
    if wrong is None:
        yield _items(value, place)
    else:
        yield [rejected(place, f"is not JSON: {wrong.replace('line 1, ', '')}", "Correct the line.")]


def _items(value: Any, place: Place) -> list[Item]:
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        return list(expand(place, value))
    if is_event(value):
        return [event(place, value)]
    return [record(place, value)]
