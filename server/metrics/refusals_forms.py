"""The refusal register as a table for the eye (100 columns), as CSV and as JSON.

CSV (https://www.rfc-editor.org/rfc/rfc4180). Columns: ``section``, ``what``, ``app``, ``app_name``, ``criterion``, ``evidence``, ``basis``,
``decided_by``, ``notice``, ``appeal``, ``first``, ``last`` (instants), ``count``.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from server import clock
from server.metrics.forms.spreadsheets import neutral
from server.metrics.refusals import SECTIONS, Refusal

WIDTH = 100
COLUMNS = (
    *("section", "what", "app", "app_name", "criterion", "evidence", "basis", "decided_by", "notice", "appeal"),
    *("first", "last", "count"),
)


def as_csv(lines: Sequence[Refusal]) -> str:
    """A row for each line."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for line in lines:
        writer.writerow(
            {name: neutral(value) if isinstance(value, str) else value for name, value in _row(line).items()}
        )
    return text.getvalue()


def as_json(lines: Sequence[Refusal], **about: Any) -> str:
    """An object with what the register is of, and ``refusals``, a list with the columns of the CSV."""
    document = {**about, "refusals": [_row(line) for line in lines]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_table(lines: Sequence[Refusal], title: str) -> str:
    """The register as plain text; a section without lines says so."""
    return "\n".join(line.rstrip() for line in _told(lines, title)) + "\n"


def _row(line: Refusal) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(line, name) for name in COLUMNS}
    return row | {"first": clock.instant(line.first), "last": clock.instant(line.last)}


def _told(lines: Sequence[Refusal], title: str) -> Iterator[str]:
    yield from wrap(title, WIDTH)
    yield "=" * WIDTH
    for slug, words in SECTIONS.items():
        of = [line for line in lines if line.section == slug]
        yield ""
        yield f"{words}: {len(of) or 'none'}"
        yield "-" * WIDTH
        for line in of:
            yield from _line(line)


def _line(line: Refusal) -> Iterator[str]:
    app = f"{line.app_name} ({line.app})" if line.app_name else line.app or "no app"
    when = clock.instant(line.first)[:10]
    if line.count > 1:
        when += f" to {clock.instant(line.last)[:10]}, {line.count:,} times"
    yield from wrap(f"{line.what} · {app} · {when}", WIDTH)
    told = (("criterion", line.criterion), ("evidence", line.evidence), ("basis", line.basis))
    decision = (("decided by", line.decided_by), ("notice", line.notice), ("appeal", line.appeal))
    for name, text in (*told, *decision):
        if text:
            yield from wrap(f"{name}: {text}", WIDTH, initial_indent="    ", subsequent_indent="        ")
