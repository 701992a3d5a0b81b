"""The member's browser: its sign-in session and the token that protects its forms.

https://www.rfc-editor.org/rfc/rfc6265#section-4.1 and https://www.rfc-editor.org/rfc/rfc9700#section-4.7
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from server import clock
from server.authorization.keys import derived_key, secret_key
from server.authorization.tokens import SECOND, random_token, token_hash
from server.settings import Settings
from server.storage.account_store import (
    DELETE_EXPIRED_SESSIONS,
    DELETE_SESSION,
    INSERT_SESSION,
    SESSION_BY_HASH,
)
from server.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in in a browser, since when (microseconds)."""

    account: str
    display_name: str
    authenticated_at: int


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser sent about itself. ``csrf`` is the value its forms must carry; it changes with the session."""

    id: str
    is_new: bool
    session_token: str
    csrf: str

    def is_genuine(self, csrf: str) -> bool:
        """Whether a form was made by us for this very browser and session."""
        return not self.is_new and hmac.compare_digest(self.csrf.encode(), csrf.encode())


class Browsers:
    """Recognises browsers by their cookies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = derived_key(secret_key(settings), "form tokens")
        prefix = "__Host-" if settings.secure_cookies else ""
        self._browser_cookie, self._session_cookie = f"{prefix}browser", f"{prefix}session"

    def of(self, request: Request) -> Browser:
        """The browser that sent a request."""
        id = request.cookies.get(self._browser_cookie, "")
        session_token = request.cookies.get(self._session_cookie, "")
        return self._browser(id or random_token(), not id, session_token)

    def _browser(self, id: str, is_new: bool, session_token: str) -> Browser:
        csrf = hmac.new(self._key, f"{id}|{session_token}".encode(), sha256).hexdigest()
        return Browser(id, is_new, session_token, csrf)

    def remember(self, browser: Browser, response: Response) -> None:
        """Give a new browser its cookie."""
        if browser.is_new:
            self._set(response, self._browser_cookie, browser.id)

    def session(self, transaction: Transaction, browser: Browser) -> Session | None:
        """Who is signed in, or None."""
        if not browser.session_token:
            return None
        values = {"key_hash": token_hash(browser.session_token), "moment": clock.now_microseconds()}
        row = transaction.first(SESSION_BY_HASH, values)
        return None if row is None else Session(row.account, row.display_name, row.authenticated_at)

    def sign_in(self, transaction: Transaction, browser: Browser, account: str, response: Response) -> None:
        """Open a new session for an account that has just shown who it is; the browser's old one ends."""
        self.sign_out(transaction, browser)
        now = clock.now_microseconds()
        token = random_token()
        values = {"hash": token_hash(token), "account": account, "authenticated_at": now}
        transaction.execute(DELETE_EXPIRED_SESSIONS, {"moment": now})
        transaction.execute(
            INSERT_SESSION, {**values, "expires_at": now + self._settings.sign_in_minutes * 60 * SECOND}
        )
        self._set(response, self._session_cookie, token)

    def sign_out(self, transaction: Transaction, browser: Browser, response: Response | None = None) -> None:
        """End the browser's session."""
        if browser.session_token:
            transaction.execute(DELETE_SESSION, {"key_hash": token_hash(browser.session_token)})
        if response is not None:
            response.delete_cookie(
                self._session_cookie, path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax"
            )

    def _set(self, response: Response, name: str, value: str) -> None:
        # Lax: the cookie comes along when an app sends the member here, and never with another site's form.
        response.set_cookie(name, value, path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax")
