"""Grants and their tokens: opaque random strings stored as SHA-256, and the signed id_token.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#response-5 and OpenID Connect Core 1.0 section 2
"""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from authlib.oauth2.rfc6749 import TokenMixin
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import Row

from server import clock
from server.authorization.access import environment_of
from server.authorization.clients import RegisteredClient
from server.authorization.discovery import issuer
from server.authorization.enrolment import entitlement, today
from server.authorization.grant_errors import GRANT_ENDED, SIGNED_OUT
from server.authorization.keys import ALGORITHM
from server.settings import Settings
from server.storage.account_store import SOME_LIVE_GRANTS
from server.storage.authorization_store import (
    ACCESS_TOKEN_BY_HASH,
    END_GRANT,
    GRANT_BY_ID,
    INSERT_ACCESS_TOKEN,
    INSERT_REFRESH_TOKEN,
    LIVE_GRANTS_OF_SESSION,
    LOCKED_REFRESH_TOKEN,
    REFRESH_TOKEN_BY_HASH,
)
from server.storage.credential_store import FORGET_REFRESH_TOKENS
from server.storage.database import Transaction
from server.storage.ledger import LedgerEvent, RecordingTransaction, new_request_id
from server.storage.rotation import write_rotation

ACCESS, REFRESH = "access_token", "refresh_token"
SECOND = 1_000_000
ONCE, THIRTEEN_MONTHS, UNTIL_REVOKED, ONLINE = "once", "13-months", "until-revoked", "online"
"""How long a grant lasts: the first three a member may choose (GRANT_DURATIONS); the last is what ``online_access`` gives."""
FOREVER = 253_402_300_799 * SECOND
"""The end of a grant that lasts until it is revoked: the last second of the year 9999."""
SYSTEM = "system"
"""``actor`` of a grant to the payer's own job, which is about no member."""
REMEMBERED = 90 * 86_400 * SECOND
"""How long a rotated refresh token, and those of an ended grant, are told apart from one that never was."""
REFRESHING_SCOPES = frozenset(("offline_access", "online_access"))
FHIR_USER_SCOPES = frozenset(("fhirUser", "profile"))


def random_token() -> str:
    """An unguessable string: 256 random bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a random string."""
    return sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """What a member allowed an app, with what its ledger rows need. Times are microseconds."""

    id: str
    client_id: str
    client_kind: str
    environment: str
    account: str
    patient: str
    actor: str
    fhir_user: str
    scope: str
    expires_at: int
    ended_at: int | None
    ended_code: str = ""
    client_status: str = "active"
    enrolled: str = ""

    @property
    def expiration(self) -> str | None:
        """When the access ends by itself, e.g. ``2027-12-22T05:00:00Z``; None when it lasts until it is revoked."""
        if self.expires_at >= FOREVER:
            return None
        return clock.from_microseconds(self.expires_at).isoformat(timespec="seconds").replace("+00:00", "Z")

    def is_live(self, now: int) -> bool:
        """Whether the grant was neither ended nor has run out."""
        return self.ended_at is None and now < self.expires_at

    def event(self, kind: str, interaction: str, detail: str) -> LedgerEvent:
        """A ledger row about this grant."""
        return LedgerEvent(
            kind=kind,
            request_id=new_request_id(),
            environment=self.environment,
            client_id=self.client_id,
            client_kind=self.client_kind,
            grant_id=self.id,
            patient=self.patient,
            actor=self.actor,
            interaction=interaction,
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class StoredToken(TokenMixin):  # type: ignore[misc]
    """An access or refresh token as it is stored, answering what Authlib asks."""

    type: str
    hash: bytes
    grant: GrantRecord
    scope: str
    issued_at: int
    expires_at: int
    used_up_at: int | None
    """When an access token was revoked or a refresh token rotated."""

    def check_client(self, client: RegisteredClient) -> bool:
        """Whether it was issued to this client."""
        return self.grant.client_id == client.client_id

    def get_scope(self) -> str:
        """The scope it carries."""
        return self.scope

    def get_expires_in(self) -> int:
        """Seconds from its issue to its end."""
        return (self.expires_at - self.issued_at) // SECOND

    def is_expired(self) -> bool:
        """Whether its own time is over."""
        return self.expires_at <= clock.now_microseconds()

    def is_revoked(self) -> bool:
        """Whether it or the grant behind it was ended, or its app is suspended."""
        grant = self.grant
        return (
            self.used_up_at is not None
            or not grant.is_live(clock.now_microseconds())
            or grant.client_status != "active"
        )


def gives_access(settings: Settings, token: StoredToken) -> bool:
    """Whether a token is in force now: not over, not ended, its app not suspended, and its member enrolled."""
    if token.is_expired() or token.is_revoked():
        return False
    return not entitlement(settings, token.grant.enrolled, today(settings))


def _grant_from_row(row: Row[Any], settings: Settings) -> GrantRecord:
    return GrantRecord(
        id=row.grant,
        client_id=row.grant_client,
        client_kind=row.client_kind,
        environment=environment_of(settings, row.client_environment, row.member_environment),
        account=row.account,
        patient=row.patient,
        actor=row.actor,
        fhir_user=row.fhir_user,
        scope=row.grant_scope,
        expires_at=row.grant_expires_at,
        ended_at=row.ended_at,
        ended_code=row.ended_code,
        client_status=row.client_status,
        enrolled=row.enrolled or "",
    )


def find_grant(transaction: Transaction, settings: Settings, grant_id: str) -> GrantRecord | None:
    """The grant of this id, ended or not, or None."""
    row = transaction.first(GRANT_BY_ID, {"grant": grant_id})
    return None if row is None else _grant_from_row(row, settings)


def find_token(
    transaction: Transaction, settings: Settings, token: str, types: tuple[str, ...] = (ACCESS, REFRESH)
) -> StoredToken | None:
    """The stored access or refresh token, in force or not, or None."""
    for type in types:
        statement = ACCESS_TOKEN_BY_HASH if type == ACCESS else REFRESH_TOKEN_BY_HASH
        row = transaction.first(statement, {"key_hash": token_hash(token)})
        if row is not None:
            return _token_from_row(row, settings, type)
    return None


def lock_refresh_token(transaction: Transaction, settings: Settings, token: str) -> StoredToken | None:
    """The stored refresh token, or None; parallel uses of it go one after the other until the transaction's end."""
    row = transaction.first(LOCKED_REFRESH_TOKEN, {"key_hash": token_hash(token)})
    return None if row is None else _token_from_row(row, settings, REFRESH)


def _token_from_row(row: Row[Any], settings: Settings, type: str) -> StoredToken:
    return StoredToken(
        type=type,
        hash=row.hash,
        grant=_grant_from_row(row, settings),
        scope=row.scope,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        used_up_at=row.revoked_at if type == ACCESS else row.rotated_at,
    )


def end_grant(
    transaction: RecordingTransaction, grant: GrantRecord, interaction: str, reason: str, code: str = GRANT_ENDED
) -> bool:
    """End a grant and with it every token of it; False when it had ended before. ``code``: the error_code its app is told."""
    now = clock.now_microseconds()
    values = {"grant": grant.id, "moment": now, "reason": reason, "code": code}
    ended = transaction.execute(END_GRANT, values) == 1
    if ended:
        transaction.execute(FORGET_REFRESH_TOKENS, {"grant": grant.id, "end": now + REMEMBERED})
        transaction.record(grant.event("revocation", interaction, reason))
    return ended


def end_some_grants(transaction: RecordingTransaction, settings: Settings, reason: str, most: int = 1000) -> int:
    """End so many of the grants in force, whosesoever they are; answer how many, 0 when none is left."""
    values = {"moment": clock.now_microseconds(), "most": most}
    found = [find_grant(transaction, settings, row.id) for row in transaction.all(SOME_LIVE_GRANTS, values)]
    return sum(end_grant(transaction, grant, "operator", reason) for grant in found if grant is not None)


def end_online_grants(transaction: RecordingTransaction, settings: Settings, session_hash: bytes) -> int:
    """End what lasts only as long as a sign-in session (``online_access``), as its member signs out; answer how many grants."""
    values = {"session": session_hash, "moment": clock.now_microseconds()}
    found = [find_grant(transaction, settings, row.id) for row in transaction.all(LIVE_GRANTS_OF_SESSION, values)]
    return sum(
        end_grant(transaction, grant, "sign-out", "signed out", SIGNED_OUT) for grant in found if grant is not None
    )


def grant_duration(scope: str, duration: str) -> str:
    """How long a grant of this scope lasts when the member chose this ('' : nothing): once, 13-months, until-revoked or online.

    Without ``offline_access`` there is nothing to choose but once; with ``online_access`` alone it lasts while they are signed in.
    """
    words = scope.split()
    if duration == ONCE or REFRESHING_SCOPES.isdisjoint(words):
        return ONCE
    if "offline_access" not in words:
        return ONLINE
    return duration or THIRTEEN_MONTHS


def grant_expiry(settings: Settings, scope: str, duration: str, now: int) -> int:
    """When a grant made now ends by itself, in microseconds; FOREVER when it lasts until it is revoked."""
    lasts = grant_duration(scope, duration)
    if lasts == UNTIL_REVOKED:
        return FOREVER
    seconds = {
        THIRTEEN_MONTHS: settings.refresh_token_days * 86_400,
        ONLINE: settings.online_access_hours * 3600,
    }.get(lasts, settings.authorization_code_seconds + settings.access_token_seconds)
    return now + seconds * SECOND


def token_response(settings: Settings, grant: GrantRecord, scope: str, with_refresh_token: bool) -> dict[str, Any]:
    """The members of a token response that are about tokens; new random tokens, not stored yet."""
    left = -(-(grant.expires_at - clock.now_microseconds()) // SECOND)  # a second begun is a second
    response: dict[str, Any] = {
        "access_token": random_token(),
        "token_type": "Bearer",
        "expires_in": min(settings.access_token_seconds, left),
        "scope": scope,
    }
    if grant.actor == SYSTEM:
        return response
    response |= {"patient": grant.patient, "access_grant_expiration": grant.expiration}
    if with_refresh_token and not REFRESHING_SCOPES.isdisjoint(grant.scope.split()):
        response["refresh_token"] = random_token()
    return response


def save_tokens(
    transaction: Transaction, response: dict[str, Any], grant: GrantRecord, rotated: StoredToken | None = None
) -> None:
    """Store the tokens of a token response. A refresh token keeps the grant's whole scope and its end.

    ``rotated``: the refresh token that was used for them, which from now on has its grace left.
    """
    now = clock.now_microseconds()
    same = {"grant_id": grant.id, "client_id": grant.client_id, "issued_at": now}
    access = {
        **same,
        "hash": token_hash(response["access_token"]),
        "scope": response["scope"],
        "expires_at": now + response["expires_in"] * SECOND,
        "revoked_at": None,
    }
    if "refresh_token" not in response:
        transaction.execute(INSERT_ACCESS_TOKEN, access)
        return
    refresh = {
        **same,
        "hash": token_hash(response["refresh_token"]),
        "scope": grant.scope,
        "expires_at": grant.expires_at,
        "rotated_at": None,
    }
    if rotated is None:
        transaction.execute(INSERT_ACCESS_TOKEN, access)
        transaction.execute(INSERT_REFRESH_TOKEN, refresh)
    else:
        end = min(rotated.expires_at, now + REMEMBERED)
        write_rotation(transaction, access, refresh, {"key_hash": rotated.hash, "moment": now, "end": end})


def fhir_user_url(settings: Settings, grant: GrantRecord, scope: str) -> str | None:
    """The absolute URL of the actor's own record, when the scope asks for it."""
    if not grant.fhir_user or FHIR_USER_SCOPES.isdisjoint(scope.split()):
        return None
    return f"{settings.fhir_base}/{grant.fhir_user}"


def id_token(
    settings: Settings,
    key: RSAKey,
    grant: GrantRecord,
    scope: str,
    authenticated_at: int,
    nonce: str,
    access_token: str,
) -> str:
    """The signed statement of who signed in, bound to the access token beside it (OpenID Connect Core 1.0 sections 2 and 3.1.3.6)."""
    now = clock.now_microseconds() // SECOND
    claims: dict[str, Any] = {
        "iss": issuer(settings),
        "sub": grant.account,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + settings.access_token_seconds,
        "auth_time": authenticated_at // SECOND,
        "at_hash": urlsafe_b64encode(token_hash(access_token)[:16]).rstrip(b"=").decode(),
    }
    if nonce:
        claims["nonce"] = nonce
    fhir_user = fhir_user_url(settings, grant, scope)
    if fhir_user is not None:
        claims["fhirUser"] = fhir_user
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, [ALGORITHM])
