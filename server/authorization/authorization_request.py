"""The check of an authorization request: CHECKS, in order, each with a name; and the request while the member decides.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code and RFC 6749 section 4.1.2.1
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnsupportedResponseTypeError,
)

from server import clock
from server.authorization.authorization_server import Parameters, describable
from server.authorization.clients import RegisteredClient
from server.authorization.discovery import issuer
from server.authorization.scopes import narrow
from server.authorization.suspension import SuspendedAppError
from server.authorization.tokens import SECOND, random_token, token_hash
from server.settings import Settings
from server.storage.authorization_store import (
    CONSUME_REQUEST,
    DELETE_EXPIRED_REQUESTS,
    INSERT_REQUEST,
    REQUEST_BY_HASH,
)
from server.storage.database import Transaction

_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_AGE = re.compile(r"[0-9]{1,9}")
PUSHED_PREFIX = "urn:ietf:params:oauth:request_uri:"
"""How the ``request_uri`` of a pushed request begins (RFC 9126 section 2.2)."""
LONGEST_STATE = 4096
"""Characters: a longer one would make a redirect that browsers and proxies refuse."""
LONGEST_NONCE = 1024
"""Characters: it is kept, and stands in the id_token."""
KEPT = (
    "response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method", "nonce", "prompt", "max_age",
    "login_hint", "ui_locales",
)  # fmt: skip
LONGEST_LOGIN_HINT, LONGEST_UI_LOCALES = 200, 100
NEW_SIGN_IN = frozenset(("login", "select_account"))
"""``prompt`` values that lead to the sign-in page even for a member who is signed in."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorization request as it came, with the client it names (None: there is no such client).

    ``signed_in_at``: when the member of this browser signed in, in microseconds; None when nobody is signed in.
    """

    settings: Settings
    parameters: Parameters
    client: RegisteredClient | None
    signed_in_at: int | None = None

    def get(self, name: str) -> str:
        """A parameter's value, '' when it was not sent."""
        return self.parameters.data.get(name, "")

    @property
    def scope(self) -> str:
        """The scope asked for: without a scope parameter, all that the client registered for (RFC 6749 section 3.3)."""
        return self.get("scope") or (self.client.scope if self.client is not None else "")


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. ``told_to_app``: whether its failure goes to the app's redirect URI; else a page tells the person."""

    name: str
    told_to_app: bool
    run: Callable[[Asked], None]


class ConsentRequiredError(OAuth2Error):  # type: ignore[misc]
    """OpenID Connect Core 1.0 section 3.1.2.6."""

    error = "consent_required"


class LoginRequiredError(OAuth2Error):  # type: ignore[misc]
    """OpenID Connect Core 1.0 section 3.1.2.6."""

    error = "login_required"


class InvalidRequestURIError(OAuth2Error):  # type: ignore[misc]
    """OpenID Connect Core 1.0 section 3.1.2.6; RFC 9126 section 4 on pushed requests."""

    error = "invalid_request_uri"


class RequestNotSupportedError(OAuth2Error):  # type: ignore[misc]
    """OpenID Connect Core 1.0 section 3.1.2.6."""

    error = "request_not_supported"


def _client_known(asked: Asked) -> None:
    if not asked.get("client_id"):
        raise InvalidRequestError("Missing 'client_id': the app did not say which app it is.")
    if asked.client is None:
        raise InvalidRequestError("No app is registered with this client_id.")


def _client_active(asked: Asked) -> None:
    if asked.client is not None and not asked.client.is_active:
        raise SuspendedAppError(asked.client)


def _redirect_uri_registered(asked: Asked) -> None:
    uri = asked.get("redirect_uri")
    if not uri:
        raise InvalidRequestError("Missing 'redirect_uri'.")
    if asked.client is None or not asked.client.check_redirect_uri(uri) or "redirect_uri" in asked.parameters.repeated:
        raise InvalidRequestError(
            "This redirect_uri is not registered for the app. It must match character by character."
        )


def _parameters_once(asked: Asked) -> None:
    if asked.parameters.repeated:
        raise InvalidRequestError(describable(f"Sent more than once: {', '.join(asked.parameters.repeated)}."))


def _state_short(asked: Asked) -> None:
    if len(asked.get("state")) > LONGEST_STATE:
        raise InvalidRequestError(f"'state' is longer than {LONGEST_STATE} characters, so it is not sent back.")


def _nonce_short(asked: Asked) -> None:
    if len(asked.get("nonce")) > LONGEST_NONCE:
        raise InvalidRequestError(f"'nonce' is longer than {LONGEST_NONCE} characters; a random one has 43.")


def _response_type_code(asked: Asked) -> None:
    if asked.get("response_type") != "code":
        raise UnsupportedResponseTypeError(describable(asked.get("response_type")) or "(none)")
    if asked.get("response_mode") not in ("", "query"):
        raise InvalidRequestError("The only response_mode is 'query'.")


def _pushed_request_known(asked: Asked) -> None:
    if asked.get("request_uri").startswith(PUSHED_PREFIX):
        raise InvalidRequestURIError("This pushed request was used before, waited too long, or is another app's.")


def _no_request_object(asked: Asked) -> None:
    if asked.get("request") or asked.get("request_uri"):
        raise RequestNotSupportedError("Parameters are sent as they are, not in a request object.")


def _aud_is_fhir_base(asked: Asked) -> None:
    base = asked.settings.fhir_base
    if not asked.get("aud"):
        raise InvalidRequestError(f"Missing 'aud': it must be the FHIR base, {base}")
    if asked.get("aud").removesuffix("/") != base:
        raise InvalidRequestError(f"'aud' must be the FHIR base, {base}")


def _code_challenge_s256(asked: Asked) -> None:
    if not asked.get("code_challenge"):
        raise InvalidRequestError("Missing 'code_challenge': PKCE is required (RFC 7636).")
    if asked.get("code_challenge_method") != "S256":
        raise InvalidRequestError("'code_challenge_method' must be S256.")
    if not _CODE_CHALLENGE.fullmatch(asked.get("code_challenge")):
        raise InvalidRequestError(
            "'code_challenge' must be 43 characters: the base64url of a SHA-256, without padding."
        )


def _scope_possible(asked: Asked) -> None:
    if not asked.scope:
        raise InvalidScopeError("Missing 'scope'.")
    if asked.client is not None and not narrow(asked.scope, asked.client.scope).scope:
        raise InvalidScopeError(describable(f"None of these scopes can be granted: {asked.scope[:300]}"))


def _max_age_seconds(asked: Asked) -> None:
    if asked.get("max_age") and not _MAX_AGE.fullmatch(asked.get("max_age")):
        raise InvalidRequestError("'max_age' must be a whole number of seconds.")


def _pages_may_be_shown(asked: Asked) -> None:
    prompt = asked.get("prompt").split()
    if "none" not in prompt:
        return
    if prompt != ["none"]:
        raise InvalidRequestError("'prompt=none' goes with no other prompt.")
    oldest = clock.now_microseconds() - int(asked.get("max_age")) * SECOND if asked.get("max_age") else 0
    if asked.signed_in_at is None or asked.signed_in_at < oldest:
        raise LoginRequiredError("Nobody is signed in, and 'prompt=none' does not let them be asked to.")
    raise ConsentRequiredError("The member is always asked, so 'prompt=none' cannot succeed.")


CHECKS: tuple[Check, ...] = (
    Check("client known", False, _client_known),
    Check("client active", False, _client_active),
    Check("pushed request known", False, _pushed_request_known),
    Check("redirect_uri registered", False, _redirect_uri_registered),
    Check("parameters sent once", True, _parameters_once),
    Check("state not too long", True, _state_short),
    Check("nonce not too long", True, _nonce_short),
    Check("response_type code", True, _response_type_code),
    Check("no request object", True, _no_request_object),
    Check("aud is the FHIR base", True, _aud_is_fhir_base),
    Check("code_challenge S256", True, _code_challenge_s256),
    Check("scope possible", True, _scope_possible),
    Check("max_age in seconds", True, _max_age_seconds),
    Check("pages may be shown", True, _pages_may_be_shown),
)
"""Every rule of /authorize in the order in which they are applied; the first that fails answers."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that failed a check: the error, and the redirect that tells it to the app ('' : a page tells the person)."""

    check: str
    error: OAuth2Error
    location: str


def refusal(asked: Asked) -> Refusal | None:
    """The first check that a request fails, or None when it may go on."""
    for check in CHECKS:
        try:
            check.run(asked)
        except OAuth2Error as error:
            location = answer_location(asked.settings, asked.get("redirect_uri"), asked.get("state"), error)
            return Refusal(check.name, error, location if check.told_to_app else "")
    return None


def refusal_when_pushed(asked: Asked) -> OAuth2Error | None:
    """The error of a request that is pushed (RFC 9126 section 2.3), or None: the same rules, but for what depends on the browser."""
    if asked.get("request_uri"):
        return InvalidRequestError("'request_uri' is the answer of this endpoint, and not pushed itself.")
    for check in CHECKS:
        if check.run is not _pages_may_be_shown:
            try:
                check.run(asked)
            except OAuth2Error as error:
                return error
    return None


def answer_location(settings: Settings, redirect_uri: str, state: str, error: OAuth2Error) -> str:
    """Where an app is told of an error: its redirect URI with the error, its own ``state`` and the issuer (RFC 9207)."""
    told = [("error", error.error), ("error_description", error.get_error_description())]
    if 0 < len(state) <= LONGEST_STATE:
        told.append(("state", state))
    location: str = add_params_to_uri(redirect_uri, [*told, ("iss", issuer(settings))])
    return location


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A checked request while the member signs in and decides. ``parameters`` hold the scope as it can be granted."""

    reference: str
    client_id: str
    parameters: Parameters

    @property
    def scope(self) -> str:
        """What the member is asked to allow."""
        scope: str = self.parameters.data["scope"]
        return scope

    @property
    def redirect_uri(self) -> str:
        """Where the app waits for the answer."""
        uri: str = self.parameters.data["redirect_uri"]
        return uri

    def wants_new_sign_in(self, session_authenticated_at: int) -> bool:
        """Whether the member signs in anew although they did at that moment (microseconds), before they decide.

        With ``prompt=login`` or ``select_account`` a sign-in from before the request is not enough; with ``max_age`` none older than that.
        """
        if NEW_SIGN_IN.intersection(self.parameters.data.get("prompt", "").split()):
            return session_authenticated_at < self.asked_at
        max_age = self.parameters.data.get("max_age", "")
        if not max_age:
            return False
        # A sign-in for this very request counts, however long the member then thinks (max_age=0 asks for just that).
        return session_authenticated_at < self.asked_at - int(max_age) * SECOND

    @property
    def asked_at(self) -> int:
        """When the app asked, in microseconds."""
        return int(self.parameters.data.get("asked_at", "0"))

    @property
    def login_hint(self) -> str:
        """What the app thinks the member signs in with: short and printable, '' when it did not say."""
        hint = self.parameters.data.get("login_hint", "")
        return hint if hint.isprintable() and len(hint) <= LONGEST_LOGIN_HINT else ""

    @property
    def ui_locales(self) -> tuple[str, ...]:
        """The languages the app wishes for its pages, the best first (OpenID Connect Core 1.0 section 3.1.2.1)."""
        return tuple(self.parameters.data.get("ui_locales", "")[:LONGEST_UI_LOCALES].split())

    def with_scope(self, scope: str) -> "PendingRequest":
        """The same request for another scope."""
        parameters = Parameters(tuple({**self.parameters.data, "scope": scope}.items()))
        return PendingRequest(self.reference, self.client_id, parameters)


def keep(transaction: Transaction, asked: Asked) -> PendingRequest:
    """Store a request that passed the checks, and drop those nobody finished in time."""
    assert asked.client is not None
    now = clock.now_microseconds()
    kept: dict[str, Any] = {name: asked.get(name) for name in KEPT}
    kept["client_id"] = asked.client.client_id
    kept["asked_at"] = str(now)
    kept["scope"] = narrow(asked.scope, asked.client.scope).scope
    reference = random_token()
    transaction.execute(DELETE_EXPIRED_REQUESTS, {"moment": now})
    transaction.execute(
        INSERT_REQUEST,
        {
            "hash": token_hash(reference),
            "client_id": asked.client.client_id,
            "parameters": json.dumps(kept),
            "expires_at": now + asked.settings.sign_in_minutes * 60 * SECOND,
        },
    )
    return PendingRequest(reference, asked.client.client_id, Parameters(tuple(kept.items())))


def find(transaction: Transaction, reference: str) -> PendingRequest | None:
    """The pending request of this reference, or None when there is none (any more)."""
    values = {"key_hash": token_hash(reference), "moment": clock.now_microseconds()}
    row = transaction.first(REQUEST_BY_HASH, values)
    if row is None:
        return None
    return PendingRequest(reference, row.client_id, Parameters(tuple(json.loads(row.parameters).items())))


def consume(transaction: Transaction, pending: PendingRequest) -> bool:
    """Take the request for an answer; False when another answer was faster."""
    values = {"key_hash": token_hash(pending.reference), "moment": clock.now_microseconds()}
    return transaction.execute(CONSUME_REQUEST, values) == 1
