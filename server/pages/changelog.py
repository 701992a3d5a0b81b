"""The project's changelog, for people as HTML and for programs as JSON, so that a change of the API is news to nobody.

https://spec.commonmark.org/ - the same file is read for both.
"""

import re
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from server import __version__

CHANGELOG = Path(__file__).parent / "CHANGELOG.md"
_VERSION = re.compile(r"(?P<version>\d+\.\d+\.\d+) \((?:unreleased|(?P<date>\d{4}-\d{2}-\d{2}))\)")


def as_html() -> Markup:
    """The changelog without its title; HTML in it is shown, never obeyed."""
    text = CHANGELOG.read_text("utf-8").partition("\n")[2]
    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))  # noqa: S704 - the renderer escapes


def as_json(text: str = "") -> dict[str, Any]:
    """``current``: the version that runs; ``versions``, the newest first: ``version``, ``date`` (None: not released), ``summary`` and ``changes``.

    Each in Markdown. Raises ValueError for a heading that names no version.
    """
    versions = []
    for part in re.split(r"^## ", text or CHANGELOG.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        named = _VERSION.fullmatch(heading.strip())
        if named is None:
            raise ValueError(
                f"the changelog's heading '{heading.strip()}' is not 'x.y.z (unreleased)' or 'x.y.z (date)'"
            )
        summary, *changes = re.split(r"^- ", body, flags=re.MULTILINE)
        versions.append(
            {
                "version": named["version"],
                "date": named["date"],
                "summary": " ".join(summary.split()),
                "changes": [" ".join(change.split()) for change in changes],
            }
        )
    return {"current": __version__, "versions": versions}
