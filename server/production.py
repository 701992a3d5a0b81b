"""What must not go into production: default keys and secrets, unprotected addresses and cookies, the sandbox's apps and people.

https://www.rfc-editor.org/rfc/rfc9700 and 45 CFR 164.312 - a test deployment is warned of the same, a production deployment does not start.
"""

from urllib.parse import urlsplit

from pydantic import SecretStr

from server.authorization.client_metadata import is_loopback
from server.authorization.clients import find_client
from server.pages.try_page import CLIENT_ID
from server.sandbox import CONFIDENTIAL_CLIENT, sandbox_usernames
from server.settings import Settings
from server.storage.account_store import USERNAMES_OF_TEST_MEMBERS
from server.storage.database import Database

WELL_KNOWN = (
    *(
        "changeme",
        "change-me",
        "change_me",
        "change me",
        "changethis",
        "replace-me",
        "replaceme",
        "insecure",
        "default",
    ),
    *("example", "password", "your-secret", "your_secret", "0123456789", "1234567890", "abcdefgh", "qwerty"),
)
"""Parts of keys that stand in examples."""
FEWEST_CHARACTERS = 10
"""Different characters that a random key of 32 has at least."""


def dangers(settings: Settings) -> list[str]:
    """One line for each setting that would do harm in production, with what to change."""
    found = []
    for name in ("secret_key", "secret_key_previous", "oidc_client_secret"):
        value = getattr(settings, name, None)
        if isinstance(value, SecretStr) and is_well_known(value.get_secret_value()):
            found.append(
                f"{name.upper()} is a well-known or simple value; make a random one, e.g. with: openssl rand -hex 32"
            )
    base = urlsplit(settings.base_url)
    if base.scheme != "https" and not is_loopback(base.hostname or ""):
        found.append(f"BASE_URL is {settings.base_url}; codes, tokens and members' data need https")
    if settings.cookies_secure is False and base.scheme == "https":
        found.append("COOKIES_SECURE is false; browsers would send the sign-in cookie over http too")
    return found


def is_well_known(secret: str) -> bool:
    """Whether a secret is one that others know, or that nobody drew at random."""
    text = secret.lower()
    return len(set(text)) < FEWEST_CHARACTERS or any(part in text for part in WELL_KNOWN)


def leftovers(database: Database) -> list[str]:
    """One line for the sandbox's apps in a database, and for its people, whose passwords are published."""
    with database.reading() as transaction:
        apps = [id for id in (CLIENT_ID, CONFIDENTIAL_CLIENT) if find_client(transaction, id) is not None]
        usernames = {row.username for row in transaction.all(USERNAMES_OF_TEST_MEMBERS)} & set(sandbox_usernames())
    found = [f"the database has the sandbox's app {id}" for id in apps]
    if usernames:
        found.append(
            f"the database has sign-ins of the sandbox, whose passwords are published: {', '.join(sorted(usernames))}"
        )
    return [f"{text}; use a database of its own" for text in found]
