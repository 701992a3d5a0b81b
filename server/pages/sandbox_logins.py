"""The sign-ins of a sandbox, as its own description of itself lists them; a production deployment never shows any.

``patient-access sandbox`` writes the file and names it in SANDBOX_FILE: accounts know only the argon2 hashes of passwords.
"""

import json
from dataclasses import dataclass

from server.settings import Settings


@dataclass(frozen=True, slots=True)
class SandboxLogin:
    """A made-up person to sign in as. ``story`` says what their records tell."""

    username: str
    password: str
    name: str
    story: str


def sandbox_logins(settings: Settings) -> tuple[SandboxLogin, ...]:
    """The sandbox's sign-ins, the most telling first; none in production, or where no sandbox was made."""
    if settings.environment == "production" or settings.sandbox_file is None:
        return ()
    try:
        rows = json.loads(settings.sandbox_file.read_text("utf-8"))["logins"]
        return tuple(SandboxLogin(row["username"], row["password"], row["name"], row.get("story", "")) for row in rows)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
