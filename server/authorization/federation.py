"""IDENTITY=oidc: members sign in at the payer's own OpenID provider, and its claims say whom they may act for.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, RFC 7636 and RFC 9700 section 2.1 (state and nonce bound to the browser)
"""

import hmac
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.fernet import InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from server import clock
from server.authorization.accounts import Represented, provision
from server.authorization.authority import SELF
from server.authorization.authorization_request import PendingRequest
from server.authorization.keys import encryption
from server.authorization.provider import Provider
from server.authorization.provider_network import ProviderAnswerError
from server.authorization.tokens import SECOND, random_token
from server.settings import Settings
from server.specification.registry import MEMBER_TYPE
from server.storage.account_store import ACCOUNT_BY_SUBJECT, EXISTING_MEMBERS, MEMBERS_OF_ACCOUNT
from server.storage.database import Transaction
from server.storage.ledger import EventLedger
from server.storage.resource_lookup import identified_of_members, identifiers

MOST_MEMBERS = 50
"""Members one person may act for; more in a claim is no family, but a mistake."""
NEW_SIGN_IN = frozenset(("login", "select_account"))
_LOG = logging.getLogger(__name__)


class StateLostError(Exception):
    """The answer does not belong to a sign-in that this browser began, or not any more."""


class SignInDeclinedError(Exception):
    """The person, or the provider, broke the sign-in off. ``code``: the provider's error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UnknownMemberError(Exception):
    """Who signed in is known to the provider, and is no member here and acts for none."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that a browser began: what its answer is compared with. ``at``: microseconds; ``max_age`` -1: not asked for."""

    state: str
    nonce: str
    verifier: str
    reference: str
    at: int
    is_new: bool
    max_age: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came back from the provider. ``authenticated_at``: microseconds; ``provider_token``: the encrypted id_token."""

    account: str
    authenticated_at: int
    provider_token: bytes
    reference: str


class Federation:
    """The relying party. One per worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.provider = Provider(settings)
        self._cookies = encryption(settings, "provider sign-in")
        self._tokens = encryption(settings, "provider tokens")
        self._prefix = "__Host-" if settings.secure_cookies else ""

    def begin(self, pending: PendingRequest | None) -> tuple[str, Begun]:
        """The provider's address for a new sign-in, and what to keep of it. Raises ProviderUnavailableError."""
        asked = {} if pending is None else pending.parameters.data
        prompt = " ".join(word for word in str(asked.get("prompt", "")).split() if word in NEW_SIGN_IN)
        max_age = str(asked.get("max_age", ""))
        begun = Begun(
            state=random_token(),
            nonce=random_token(),
            verifier=secrets.token_urlsafe(48),
            reference="" if pending is None else pending.reference,
            at=clock.now_microseconds(),
            is_new=bool(prompt),
            max_age=int(max_age) if max_age.isdigit() else -1,
        )
        hints = {
            "prompt": prompt,
            "max_age": max_age,
            "login_hint": str(asked.get("login_hint", "")),
            "ui_locales": str(asked.get("ui_locales", "")),
        }
        return self.provider.authorization_url(begun.state, begun.nonce, begun.verifier, hints), begun

    def remember(self, begun: Begun, response: Response) -> None:
        """Bind a sign-in to this browser: an encrypted cookie of its own for each, so that two tabs do not disturb each other."""
        value = self._cookies.encrypt(json.dumps(asdict(begun)).encode()).decode()
        response.set_cookie(
            self._cookie(begun.state),
            value,
            max_age=self._settings.sign_in_minutes * 60,
            path="/",
            secure=self._settings.secure_cookies,
            httponly=True,
            samesite="lax",
        )

    def forget(self, state: str, response: Response) -> None:
        """Drop the cookie of a sign-in that was answered: it is not answered twice."""
        response.delete_cookie(
            self._cookie(state), path="/", secure=self._settings.secure_cookies, httponly=True, samesite="lax"
        )

    def _cookie(self, state: str) -> str:
        short = "".join(letter for letter in state if letter.isascii() and letter.isalnum())[:8]
        return f"{self._prefix}provider-{short}"

    def begun(self, request: Request, state: str) -> Begun:
        """The sign-in that an answer's ``state`` belongs to. Raises StateLostError."""
        try:
            text = self._cookies.decrypt(request.cookies.get(self._cookie(state), "").encode())
            begun = Begun(**json.loads(text))
        except (InvalidToken, ValueError, TypeError) as error:
            raise StateLostError from error
        age = clock.now_microseconds() - begun.at
        is_fresh = -SECOND <= age < self._settings.sign_in_minutes * 60 * SECOND
        if not is_fresh or not hmac.compare_digest(begun.state.encode(), state.encode()):
            raise StateLostError
        return begun

    def finish(self, ledger: EventLedger, begun: Begun, answer: Mapping[str, str]) -> SignedIn:
        """Take the provider's answer: exchange the code, check the id_token, keep the account equal to its claims.

        Raises SignInDeclinedError, ProviderAnswerError, ProviderUnavailableError, UnknownMemberError.
        """
        if answer.get("iss", "") not in (
            ("", self.provider.issuer) if not self.provider.names_itself else (self.provider.issuer,)
        ):
            raise ProviderAnswerError("the answer is of another issuer (RFC 9207)")
        if answer.get("error"):
            code = answer["error"][:50]
            raise SignInDeclinedError(code if code.isascii() and code.isprintable() else "error")
        if not answer.get("code"):
            raise ProviderAnswerError("the answer has no code")
        response = self.provider.exchange(answer["code"], begun.verifier)
        id_token = str(response["id_token"])
        claims = self.provider.verified(id_token, begun.nonce)
        authenticated_at = self._authenticated_at(claims, begun)
        wanted = (self._settings.oidc_member_claim, self._settings.oidc_represents_claim)
        if any(name and name not in claims for name in wanted):
            claims = {**self.provider.userinfo(str(response.get("access_token", "")), claims["sub"]), **claims}
        account = self._provisioned(ledger, claims)
        return SignedIn(account, authenticated_at, self._tokens.encrypt(id_token.encode()), begun.reference)

    def _provisioned(self, ledger: EventLedger, claims: Mapping[str, Any]) -> str:
        """The account that the claims are about. Raises UnknownMemberError, ProviderAnswerError."""
        with ledger.transaction() as transaction:
            members = self._members(transaction, claims)
            if not members:
                raise UnknownMemberError
            name, issuer = self._name(claims), self.provider.issuer
            try:
                return provision(transaction, self._settings, issuer, claims["sub"], name, members)
            except ValueError as error:
                raise ProviderAnswerError("a claim about members cannot be used: see OIDC_REPRESENTS_CLAIM") from error

    def _authenticated_at(self, claims: Mapping[str, Any], begun: Begun) -> int:
        """When the person signed in at the provider (OpenID Connect Core 1.0 section 2, auth_time). Raises ProviderAnswerError."""
        now, skew = clock.now_microseconds(), self._settings.oidc_clock_skew_seconds * SECOND
        told = claims.get("auth_time")
        if told is None:
            if begun.max_age >= 0:
                raise ProviderAnswerError("the id_token has no auth_time, although max_age was asked for")
            return now
        if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told < 1e12:
            raise ProviderAnswerError("the id_token has no proper auth_time")
        at = int(told) * SECOND
        if at > now + skew:
            raise ProviderAnswerError("the id_token's auth_time is in the future")
        # Its clock may be behind ours, and it counts whole seconds: what is recent enough within the skew counts as recent enough.
        if begun.is_new:
            if at < begun.at - SECOND - skew:
                raise ProviderAnswerError("the provider did not ask the person to sign in anew")
            return now
        if begun.max_age >= 0:
            earliest = begun.at - begun.max_age * SECOND
            if at < earliest - SECOND - skew:
                raise ProviderAnswerError("the person signed in longer ago than max_age")
            at = max(at, earliest)
        return min(at, now)

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._settings.oidc_name_claim)
        words = " ".join(name.split()) if isinstance(name, str) else ""
        return words[:200] if words and words.isprintable() else "Member"

    def _members(self, transaction: Transaction, claims: Mapping[str, Any]) -> list[Represented]:
        """Whom the claims name, as far as they are loaded here; themself first. Raises ProviderAnswerError."""
        own = _values(claims.get(self._settings.oidc_member_claim))
        named = [Represented(value) for value in own]
        listed = claims.get(self._settings.oidc_represents_claim) if self._settings.oidc_represents_claim else None
        if listed is not None:
            listed = listed if isinstance(listed, list) else [listed]
            named += [_represented(entry) for entry in listed]
        if len(own) > 1 or len(named) > MOST_MEMBERS:
            raise ProviderAnswerError("the claims name more members than one person acts for")
        ids = self._patients(transaction, claims, [member.patient for member in named])
        found: dict[str, Represented] = {}
        for member in named:
            patient = ids.get(member.patient)
            if patient is not None:
                found.setdefault(patient, member._replace(patient=patient))
        return list(found.values())

    def _patients(self, transaction: Transaction, claims: Mapping[str, Any], values: Sequence[str]) -> dict[str, str]:
        """Patient ids by the values of claims; a value that no member here has is left out. Raises ProviderAnswerError."""
        system = self._settings.oidc_member_identifier_system
        if not values:
            return {}
        if not system:
            ids = {value: value.removeprefix(f"{MEMBER_TYPE}/") for value in values}
            existing = {row.id for row in transaction.all(EXISTING_MEMBERS, {"ids": list(ids.values())})}
            return {value: id for value, id in ids.items() if id in existing}
        # Whoever signed in before is found by key; only somebody new costs a look at everybody's identifiers.
        account = transaction.first(ACCOUNT_BY_SUBJECT, {"issuer": self.provider.issuer, "subject": claims["sub"]})
        rows = [] if account is None else transaction.all(MEMBERS_OF_ACCOUNT, {"account": account.id})
        known = identifiers(transaction, MEMBER_TYPE, [row.patient for row in rows if row.body])
        found: dict[str, set[str]] = {}
        for id, its in known.items():
            for value in values:
                if (system, value) in its:
                    found.setdefault(value, set()).add(id)
        rest = [value for value in values if value not in found]
        for its_system, value, id, patient in (
            identified_of_members(transaction, MEMBER_TYPE, rest, None) if rest else ()
        ):
            if its_system == system and patient == id:
                found.setdefault(value, set()).add(id)
        if any(len(ids) > 1 for ids in found.values()):
            raise ProviderAnswerError("a claim's identifier belongs to two members")
        return {value: min(ids) for value, ids in found.items()}

    def sign_out_url(self, provider_token: bytes | None, reference: str) -> str:
        """Where the member signs out of the provider too, or ''. Raises ProviderUnavailableError."""
        if provider_token is None:
            return ""
        try:
            id_token = self._tokens.decrypt(provider_token).decode()
        except InvalidToken:
            return ""
        self.provider.metadata()
        return self.provider.logout_url(id_token, self._settings.base_url + "/signed-out", reference)


def _values(claim: Any) -> list[str]:
    """The values of a claim that is a string, a number or a list of them."""
    listed = claim if isinstance(claim, list) else [claim]
    found = []
    for value in listed:
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if 0 < len(text) <= 255:
            found.append(text)
    return found


def _represented(entry: Any) -> Represented:
    """One entry of OIDC_REPRESENTS_CLAIM. Raises ProviderAnswerError."""
    if isinstance(entry, Mapping):
        values = _values(entry.get("member"))
        texts = [str(entry.get(name, "") or "") for name in ("relationship", "related_person", "authority", "until")]
        relationship = texts[0] or "representative"
        if len(values) != 1 or relationship.strip().lower() == SELF:
            raise ProviderAnswerError("an entry of OIDC_REPRESENTS_CLAIM names no member, or the person themself")
        return Represented(values[0], relationship, *texts[1:])
    values = _values(entry)
    if isinstance(entry, list) or len(values) != 1:
        raise ProviderAnswerError("an entry of OIDC_REPRESENTS_CLAIM is neither a member nor an object with one")
    return Represented(values[0], "representative")
