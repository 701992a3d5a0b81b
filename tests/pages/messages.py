"""Every message that the pages can show, found where it is written: templates, code, and the rows of the specification.

https://babel.pocoo.org/en/latest/messages.html and https://jinja.palletsprojects.com/en/stable/integration/#babel
"""

import io
from collections.abc import Iterator

from babel.messages.extract import extract

from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES, LAUNCH_SCOPES
from tests.conformance.source_code import ROOT

SERVER = ROOT / "server"
TEMPLATES = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}


def messages() -> dict[str, str]:
    """Message to the place where it was found first."""
    found: dict[str, str] = {}
    for place, message in (*_in_templates(), *_in_code(), *_in_rows()):
        found.setdefault(message, place)
    return found


def _in_templates() -> Iterator[tuple[str, str]]:
    for path in sorted(SERVER.glob("*/templates/*.html")):
        yield from _extracted("jinja2.ext:babel_extract", path.read_bytes(), path.name, ("_", "gettext"), TEMPLATES)


def _in_code() -> Iterator[tuple[str, str]]:
    for path in sorted(SERVER.rglob("*.py")):
        yield from _extracted("python", path.read_bytes(), path.name, ("Message",), {})


def _extracted(
    method: str, text: bytes, place: str, keywords: tuple[str, ...], options: dict[str, str]
) -> Iterator[tuple[str, str]]:
    for line, message, _, _ in extract(method, io.BytesIO(text), dict.fromkeys(keywords), options=options):  # type: ignore[arg-type]
        assert isinstance(message, str), f"{place} {line}: a message is one string"
        if message:
            yield f"{place} {line}", message


def _in_rows() -> Iterator[tuple[str, str]]:
    for row in RESOURCES.values():
        if not row.categories:
            yield row.type, row.title
    for category in CONSENT_CATEGORIES:
        yield category.slug, category.title
        yield category.slug, category.contents
    for scope in LAUNCH_SCOPES:
        if scope.consent and not scope.category:
            yield scope.scope, scope.consent
