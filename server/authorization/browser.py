"""The member's browser: its sign-in session and the token that protects its forms.

https://www.rfc-editor.org/rfc/rfc6265#section-4.1 and https://www.rfc-editor.org/rfc/rfc9700#section-4.7
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server import clock
from server.authorization.keys import derived_key, secret_key
from server.authorization.languages import ENGLISH, accepted, supported
from server.authorization.tokens import SECOND, random_token, token_hash
from server.settings import Settings
from server.storage.account_store import (
    DELETE_EXPIRED_SESSIONS,
    DELETE_SESSION,
    INSERT_SESSION,
    SESSION_BY_HASH,
)
from server.storage.authorization_store import MOVE_GRANTS_OF_SESSION
from server.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in in a browser, since when (microseconds); ``provider_token``: the encrypted id_token of an OpenID provider."""

    account: str
    display_name: str
    authenticated_at: int
    provider_token: bytes | None = None


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser sent about itself. ``csrf`` is the value its forms must carry; it changes with the session.

    ``language`` is what its person reads; ``chosen_language`` is set where this very request chose it. ``query`` is that of its address.
    """

    id: str
    is_new: bool
    session_token: str
    csrf: str
    language: str = ENGLISH
    chosen_language: str = ""
    query: tuple[tuple[str, str], ...] = ()

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
        self._language_cookie = f"{prefix}language"

    def of(self, request: Request) -> Browser:
        """The browser that sent a request."""
        id = request.cookies.get(self._browser_cookie, "")
        session_token = request.cookies.get(self._session_cookie, "")
        chosen = supported([request.query_params.get("language", "")])
        # An app's wish is heard when it sends the person here; what they choose afterwards, on a page, is heard from then on.
        chosen = chosen or supported(request.query_params.get("ui_locales", "").split())
        return self._browser(
            id or random_token(),
            not id,
            session_token,
            language=chosen or self.language(request),
            chosen_language=chosen,
            query=tuple(request.query_params.multi_items()),
        )

    def language(self, request: Request) -> str:
        """The language a browser's person chose before, or else asks for in its settings, or else English."""
        before = supported([request.cookies.get(self._language_cookie, "")])
        return before or accepted(request.headers.get("accept-language", "")) or ENGLISH

    def _browser(self, id: str, is_new: bool, session_token: str, **more: Any) -> Browser:
        csrf = hmac.new(self._key, f"{id}|{session_token}".encode(), sha256).hexdigest()
        return Browser(id, is_new, session_token, csrf, **more)

    def remember(self, browser: Browser, response: Response) -> None:
        """Give a new browser its cookie, and one that chose a language the cookie of that."""
        if browser.is_new:
            self._set(response, self._browser_cookie, browser.id)
        self.remember_language(browser.chosen_language, response)

    def remember_language(self, language: str, response: Response) -> None:
        """Keep a language until the browser is closed, or another is chosen."""
        if language:
            self._set(response, self._language_cookie, language)

    def session(self, transaction: Transaction, browser: Browser) -> Session | None:
        """Who is signed in, or None."""
        if not browser.session_token:
            return None
        values = {"key_hash": token_hash(browser.session_token), "moment": clock.now_microseconds()}
        row = transaction.first(SESSION_BY_HASH, values)
        if row is None:
            return None
        return Session(row.account, row.display_name, row.authenticated_at, row.provider_token)

    def sign_in(
        self,
        transaction: Transaction,
        browser: Browser,
        account: str,
        response: Response,
        authenticated_at: int | None = None,
        provider_token: bytes | None = None,
    ) -> None:
        """Open a new session for an account that has just shown who it is; the browser's old one ends.

        ``authenticated_at``: when that was, if an OpenID provider tells so (microseconds); else it was now.
        """
        self.sign_out(transaction, browser)
        now = clock.now_microseconds()
        token = random_token()
        values = {
            "hash": token_hash(token),
            "account": account,
            "authenticated_at": now if authenticated_at is None else authenticated_at,
            "provider_token": provider_token,
        }
        transaction.execute(DELETE_EXPIRED_SESSIONS, {"moment": now})
        transaction.execute(
            INSERT_SESSION, {**values, "expires_at": now + self._settings.sign_in_minutes * 60 * SECOND}
        )
        if browser.session_token:  # who signs in anew has not signed out: what lasts as long as the session goes on
            before = {"session": token_hash(browser.session_token), "person": account}
            transaction.execute(MOVE_GRANTS_OF_SESSION, {**before, "successor": token_hash(token)})
        self._set(response, self._session_cookie, token)

    def sign_out(self, transaction: Transaction, browser: Browser, response: Response | None = None) -> None:
        """End the browser's session."""
        if browser.session_token:
            transaction.execute(DELETE_SESSION, {"key_hash": token_hash(browser.session_token)})
        if response is not None:
            self.drop_session(response)

    def drop_session(self, response: Response) -> None:
        """Take the session's cookie from the browser."""
        response.delete_cookie(
            self._session_cookie, path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax"
        )

    def _set(self, response: Response, name: str, value: str) -> None:
        # Lax: the cookie comes along when an app sends the member here, and never with another site's form.
        response.set_cookie(name, value, path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax")
