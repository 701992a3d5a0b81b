"""The two grants: authorization code with PKCE, and refresh with rotation.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1 and #section-6, https://www.rfc-editor.org/rfc/rfc7636, RFC 9700 section 4.14
"""

import uuid
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import (
    AccessDeniedError,
    AuthorizationCodeMixin,
    InvalidGrantError,
    InvalidScopeError,
    grants,
)
from authlib.oauth2.rfc7636 import CodeChallenge

from server import clock
from server.authorization.access import environment_of
from server.authorization.authority import ActsFor, check_authority
from server.authorization.clients import REFRESHING_PUBLIC_CLIENT, RegisteredClient
from server.authorization.discovery import CLIENT_AUTHENTICATIONS
from server.authorization.grant_errors import (
    AUTHORITY_ENDED,
    CODE_EXPIRED,
    CODE_UNKNOWN,
    CODE_USED,
    GRANT_ENDED,
    GRANT_EXPIRED,
    REDIRECT_URI_WRONG,
    REFRESH_REUSED,
    REFRESH_UNKNOWN,
    VERIFIER_WRONG,
    GrantRefusedError,
)
from server.authorization.scopes import narrow
from server.authorization.tokens import (
    FHIR_USER_SCOPES,
    ONCE,
    ONLINE,
    REFRESHING_SCOPES,
    SECOND,
    GrantRecord,
    StoredToken,
    end_grant,
    find_grant,
    grant_duration,
    grant_expiry,
    id_token,
    lock_refresh_token,
    random_token,
    save_tokens,
    token_hash,
)
from server.settings import Settings
from server.specification.standards import DEMOGRAPHICS
from server.storage.authorization_store import (
    CONSUME_CODE,
    DELETE_EXPIRED_CODES,
    GRANT_BY_CODE,
    INSERT_CODE,
    INSERT_GRANT,
)
from server.storage.credential_store import RECORD_OF_MEMBER
from server.storage.database import Transaction
from server.storage.ledger import RecordingTransaction


@dataclass(frozen=True, slots=True)
class Consent:
    """A member's yes: who said it, for whom, and when they signed in (microseconds).

    ``duration`` is what they chose of GRANT_DURATIONS ('' : what the scope gives), ``withheld`` the categories they left out, and
    ``session_hash`` names the sign-in session with which ``online_access`` ends.
    """

    account: str
    member: ActsFor
    authenticated_at: int
    duration: str = ""
    withheld: tuple[str, ...] = ()
    session_hash: bytes | None = None


def granted_scope(scope: str, consent: Consent, fhir_user: str) -> str:
    """The scope that a consent leaves: no refresh for one time, the longer of two kinds of refresh, no record that is not shown."""
    dropped: set[str] = set()
    if consent.duration == ONCE:
        dropped |= REFRESHING_SCOPES
    if "offline_access" in scope.split():
        dropped.add("online_access")
    if not fhir_user:
        dropped |= FHIR_USER_SCOPES
    return " ".join(word for word in scope.split() if word not in dropped)


def _fhir_user(transaction: Transaction, consent: Consent) -> str:
    """The actor's own record in the member's compartment; '' when there is none, or the member withholds who they are."""
    type, _, id = consent.member.fhir_user.partition("/")
    if not id or DEMOGRAPHICS in consent.withheld:
        return ""
    values = {"resource_type": type, "resource_id": id, "member": consent.member.patient}
    return consent.member.fhir_user if transaction.first(RECORD_OF_MEMBER, values) is not None else ""


def new_grant(transaction: RecordingTransaction, grant: GrantRecord, **columns: Any) -> None:
    """Write a grant and its ledger row; ``columns`` are those of the table that the record does not keep."""
    names = (
        "id",
        "client_id",
        "account",
        "patient",
        "actor",
        "fhir_user",
        "scope",
        "expires_at",
        "ended_at",
        "ended_code",
    )
    values = {name: getattr(grant, name) for name in names}
    values |= {
        "created_at": clock.now_microseconds(),
        "ended_reason": "",
        "withheld": "",
        "session_hash": None,
        "code_hash": None,
    }
    transaction.execute(INSERT_GRANT, {**values, **columns})
    transaction.record(grant.event("grant", "token" if not grant.account else "consent", grant.scope))


def check_live(transaction: RecordingTransaction, settings: Settings, grant: GrantRecord) -> None:
    """Raises GrantRefusedError when a grant gives no tokens now. Whose authority has ended ends it; who is not enrolled may come back."""
    if grant.ended_at is not None:
        raise GrantRefusedError(grant.ended_code or GRANT_ENDED)
    if not grant.is_live(clock.now_microseconds()):
        raise GrantRefusedError(GRANT_EXPIRED)
    code = check_authority(transaction, settings, grant.account, grant.patient, grant.actor)
    if code == AUTHORITY_ENDED:
        end_grant(transaction, grant, "token", "the authority to act for the member has ended", code)
    if code:
        raise GrantRefusedError(code)


@dataclass(frozen=True, slots=True)
class StoredCode(AuthorizationCodeMixin):  # type: ignore[misc]
    """A one-time code as it is stored, answering what Authlib asks."""

    grant: GrantRecord
    redirect_uri: str
    scope: str
    code_challenge: str
    nonce: str
    authenticated_at: int

    code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        """The redirect URI of the authorization request, which the exchange must repeat."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The scope granted."""
        return self.scope


class RequiredCodeChallenge(CodeChallenge):  # type: ignore[misc]
    """PKCE with S256, for every client; ``plain`` is refused (RFC 7636, RFC 9700 section 2.1.1)."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_verifier(self, grant: "AuthorizationCodeGrant", result: Any) -> None:
        """Compare the verifier with the challenge; a missing or malformed one is invalid_request."""
        try:
            super().validate_code_verifier(grant, result)
        except InvalidGrantError as error:
            raise GrantRefusedError(VERIFIER_WRONG) from error


class LaunchContext:
    """Adds the id_token to the answer of a code exchange when ``openid`` was granted."""

    def __call__(self, grant: "AuthorizationCodeGrant") -> None:
        grant.register_hook("after_create_token_response", self._add)

    def _add(self, grant: "AuthorizationCodeGrant", answer: tuple[int, dict[str, Any], Any]) -> None:
        code: StoredCode = grant.request.authorization_code
        if "openid" in code.scope.split():
            server, response = grant.server, answer[1]
            response["id_token"] = id_token(
                server.settings,
                server.keys.current(server.transaction),
                code.grant,
                code.scope,
                code.authenticated_at,
                code.nonce,
                response["access_token"],
            )


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """The code grant. Consent makes the grant and the code; an exchange consumes the code before anything else is looked at."""

    TOKEN_ENDPOINT_AUTH_METHODS = [*CLIENT_AUTHENTICATIONS]

    def generate_authorization_code(self) -> str:
        """A random code."""
        return random_token()

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Write the grant, its code and its ledger row. ``request.user`` is the Consent."""
        transaction, settings = self.server.transaction, self.server.settings
        client: RegisteredClient = request.client
        consent: Consent = request.user
        now = clock.now_microseconds()
        fhir_user = _fhir_user(transaction, consent)
        scope = granted_scope(request.scope, consent, fhir_user)
        if not scope:
            raise AccessDeniedError("Nothing is left to share.", redirect_uri=request.payload.redirect_uri)
        duration = grant_duration(scope, consent.duration)
        grant = GrantRecord(
            id=uuid.uuid4().hex,
            client_id=client.client_id,
            client_kind=client.kind,
            environment=environment_of(settings, client.environment, consent.member.environment),
            account=consent.account,
            patient=consent.member.patient,
            actor=consent.member.actor,
            fhir_user=fhir_user,
            scope=scope,
            expires_at=grant_expiry(settings, scope, consent.duration, now),
            ended_at=None,
        )
        new_grant(
            transaction,
            grant,
            duration=duration,
            withheld=" ".join(consent.withheld),
            session_hash=consent.session_hash if duration == ONLINE else None,
            code_hash=token_hash(code),
        )
        transaction.execute(DELETE_EXPIRED_CODES, {"moment": now})
        transaction.execute(
            INSERT_CODE,
            {
                "hash": token_hash(code),
                "grant_id": grant.id,
                "client_id": client.client_id,
                "redirect_uri": request.payload.redirect_uri,
                "code_challenge": request.payload.data["code_challenge"],
                "scope": grant.scope,
                "nonce": request.payload.data.get("nonce", ""),
                "authenticated_at": consent.authenticated_at,
                "expires_at": now + settings.authorization_code_seconds * SECOND,
            },
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> StoredCode:
        """The code, consumed by this very call. A code that was consumed before ends its grant (RFC 6749 section 4.1.2)."""
        transaction, settings = self.server.transaction, self.server.settings
        values = {"key_hash": token_hash(code), "client": client.client_id}
        row = transaction.first(CONSUME_CODE, values)
        if row is None:
            used = transaction.first(GRANT_BY_CODE, values)
            grant = None if used is None else find_grant(transaction, settings, used.id)
            if grant is None:
                raise GrantRefusedError(CODE_UNKNOWN)
            end_grant(transaction, grant, "token", "authorization code used twice", CODE_USED)
            raise GrantRefusedError(CODE_USED)
        grant = find_grant(transaction, settings, row.grant_id)
        if grant is None or row.expires_at <= clock.now_microseconds():
            raise GrantRefusedError(CODE_EXPIRED)
        if self.request.payload.redirect_uri != row.redirect_uri:
            raise GrantRefusedError(REDIRECT_URI_WRONG)
        return StoredCode(grant, row.redirect_uri, row.scope, row.code_challenge, row.nonce, row.authenticated_at)

    def delete_authorization_code(self, authorization_code: StoredCode) -> None:
        """Nothing to do: the code was consumed when it was presented; its grant keeps the hash, so that a replay is noticed."""

    def authenticate_user(self, authorization_code: StoredCode) -> GrantRecord:
        """The grant, if it was not ended since and the authority behind it lasts."""
        check_live(self.server.transaction, self.server.settings, authorization_code.grant)
        return authorization_code.grant


class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    """Refresh: a new access token and a new refresh token; the old one may be used again for a short grace only."""

    TOKEN_ENDPOINT_AUTH_METHODS = [*CLIENT_AUTHENTICATIONS, REFRESHING_PUBLIC_CLIENT]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> StoredToken:
        """The refresh token in force. One that was rotated longer ago than the grace ends its grant (RFC 9700 section 4.14.2)."""
        transaction, settings = self.server.transaction, self.server.settings
        token = lock_refresh_token(transaction, settings, refresh_token)
        if token is None or not token.check_client(self.request.client):
            raise GrantRefusedError(REFRESH_UNKNOWN)
        rotated_at = token.used_up_at
        grace = settings.refresh_grace_seconds * SECOND
        # Both ways: where the clock was set back since, a token rotated long ago is not in its grace for hours.
        if rotated_at is not None and abs(clock.now_microseconds() - rotated_at) >= grace:
            if end_grant(transaction, token.grant, "token", "refresh token used after its rotation", REFRESH_REUSED):
                raise GrantRefusedError(REFRESH_REUSED)
            ended = find_grant(transaction, settings, token.grant.id)  # perhaps only now, by another of its tokens
            raise GrantRefusedError((ended and ended.ended_code) or GRANT_ENDED)
        check_live(transaction, settings, token.grant)
        return token

    def _validate_token_scope(self, token: StoredToken) -> None:
        """A requested scope is cut down to what was granted; with nothing left the request is refused."""
        requested = self.request.payload.scope
        self.request.scope = narrow(requested, token.scope).scope if requested else token.scope
        if not self.request.scope:
            raise InvalidScopeError("None of the requested scopes was granted.")

    def issue_token(self, user: GrantRecord, refresh_token: StoredToken) -> dict[str, Any]:
        """Tokens with the requested part of the scope, or all of it."""
        token: dict[str, Any] = self.generate_token(user=user, scope=self.request.scope, include_refresh_token=True)
        return token

    def authenticate_user(self, refresh_token: StoredToken) -> GrantRecord:
        """The grant."""
        return refresh_token.grant

    def save_token(self, token: dict[str, Any]) -> None:
        """Store the new tokens and rotate the old one."""
        save_tokens(self.server.transaction, token, self.request.user, self.request.refresh_token)

    def revoke_old_credential(self, refresh_token: StoredToken) -> None:
        """Nothing to do: it was rotated as the new ones were stored."""
