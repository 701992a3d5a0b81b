"""A sandbox's members: who they are, how to sign in as them, and what a correct app shows; only test deployments have the page.

``patient-access sandbox`` writes ``expected.json`` beside the file named in SANDBOX_FILE; it is served as it stands there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.pages.sandbox_logins import sandbox_logins
from server.settings import Settings

MEMBERS_PAGE, EXPECTED = "/docs/sandbox/members", "/docs/sandbox/expected.json"
FILE = "expected.json"


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """The file as it was when the server began, and what the page needs of it: sections in their order, passwords by username."""

    raw: bytes = b""
    document: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    passwords: Mapping[str, str] = field(default_factory=dict)


def answer_key(settings: Settings) -> AnswerKey:
    """The sandbox's answer key; an empty one in production, or where no sandbox was made."""
    logins = sandbox_logins(settings)
    if not logins or settings.sandbox_file is None:
        return AnswerKey()
    try:
        raw = settings.sandbox_file.with_name(FILE).read_bytes()
        document = orjson.loads(raw)
        sections: dict[str, list[Mapping[str, Any]]] = {}
        for member in document["members"]:
            sections.setdefault(member["section"], []).append(member)
    except (OSError, ValueError, KeyError, TypeError):
        return AnswerKey()
    return AnswerKey(raw, document, sections, {login.username: login.password for login in logins})
