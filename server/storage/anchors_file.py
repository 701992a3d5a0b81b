"""A file of anchors, to be kept outside of the database: JSON lines, the last of which is the SHA-256 of those before it.

https://jsonlines.org/ - a line for the file, then for each period a line of its own and one for each writer's anchor; dates are UTC, and
``ends`` is the first day after the period. Nothing in it is about a member.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date as Date  # noqa: N812 - a date beside the function of that name
from hashlib import sha256
from pathlib import Path
from typing import Any

from server import clock
from server.storage.ledger import DAY
from server.storage.ledger_anchors import Anchor, Period, date

FORMAT = 1
_EPOCH = Date(1970, 1, 1)


class AnchorsFileError(Exception):
    """A file is not one of anchors, or not as it was written; the message names it and the line."""


def lines(payer: str, periods: Iterable[Period]) -> Iterator[str]:
    """The lines of the file, with their line ends."""
    digest = sha256()
    for content in _contents(payer, periods):
        line = json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n"
        digest.update(line.encode())
        yield line
    yield json.dumps({"sha256": digest.hexdigest()}, separators=(",", ":")) + "\n"


def _contents(payer: str, periods: Iterable[Period]) -> Iterator[dict[str, Any]]:
    yield {"anchors": "ledger", "format": FORMAT, "payer": payer, "written_at": clock.instant(clock.now_microseconds())}
    for period in periods:
        yield {
            "starts": date(period.starts),
            "ends": date(period.ends),
            "rows": period.rows,
            "writers": len(period.anchors),
            "digest": period.digest.hex(),
            "anchored_at": clock.instant(period.anchored_at),
        }
        for anchor in period.anchors:
            yield {"writer": anchor.writer, "first": anchor.first, "last": anchor.last, "hash": anchor.hash.hex()}


def read(path: Path) -> list[Period]:
    """The periods of a file. Raises AnchorsFileError when it is not whole, or not a file of anchors."""
    digest = sha256()
    contents: list[tuple[int, dict[str, Any]]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                content = json.loads(line)
            except ValueError as error:
                raise AnchorsFileError(f"{path}: line {number} is not JSON") from error
            if not isinstance(content, dict):
                raise AnchorsFileError(f"{path}: line {number} is not an object")
            contents.append((number, content))
            if "sha256" not in content:
                digest.update(line)
    if not contents or contents[0][1].get("anchors") != "ledger" or contents[0][1].get("format") != FORMAT:
        raise AnchorsFileError(
            f"{path} is not a file of ledger anchors of format {FORMAT}; ledger anchor --output writes one"
        )
    if contents[-1][1] != {"sha256": digest.hexdigest()} or len(contents) == 1:
        raise AnchorsFileError(
            f"{path} is not as it was written: its last line is not the SHA-256 of the lines before it"
        )
    return _periods(path, contents[1:-1])


def _periods(path: Path, contents: list[tuple[int, dict[str, Any]]]) -> list[Period]:
    found: list[tuple[dict[str, Any], list[Anchor]]] = []
    periods = []
    for number, content in contents:
        try:
            if "writer" in content:
                found[-1][1].append(
                    Anchor(
                        str(content["writer"]),
                        int(content["first"]),
                        int(content["last"]),
                        bytes.fromhex(content["hash"]),
                    )
                )
            else:
                _ = _moment(content["starts"]), _moment(content["ends"]), bytes.fromhex(content["digest"])
                found.append((content, []))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise AnchorsFileError(f"{path}: line {number} is neither a period nor an anchor of one") from error
    for own, anchors in found:
        digest = bytes.fromhex(own["digest"])
        periods.append(Period(_moment(own["starts"]), _moment(own["ends"]), digest, 0, None, tuple(anchors)))
    return periods


def _moment(written: str) -> int:
    return (Date.fromisoformat(written) - _EPOCH).days * DAY
