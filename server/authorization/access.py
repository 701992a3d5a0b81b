"""The token check of every FHIR request: bearer token in, Access out, in one look-up.

https://www.rfc-editor.org/rfc/rfc6750 - opaque tokens, so that a revocation holds on the very next request.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from server import clock
from server.authorization import enrolment
from server.authorization.permissions import Permissions, permissions, system_permissions
from server.authorization.sensitivity import policies_for
from server.settings import Settings
from server.storage.authorization_store import (
    ACCESS_BY_GRANT,
    ACCESS_BY_TOKEN,
    ACCESS_BY_TOKENS,
    ACCESS_BY_TOKENS_AT_LOAD,
)
from server.storage.client_store import SUSPENDED_REASON
from server.storage.database import Database

PRODUCTION, THIRD_PARTY = "production", "third-party"
SYSTEM = "system"
"""``actor`` of a client's own token (client credentials): it is for no member, and only its ``system/`` scopes permit anything."""
UNKNOWN, REVOKED, EXPIRED, SUSPENDED = "unknown", "revoked", "expired", "suspended"
"""Why a token gives no access; also ``enrolment.DISENROLLED`` and ``enrolment.NOT_SERVED``."""

_ACTOR, _GRANT_EXPIRES = 6, 7
"""Columns of ``ACCESS_BY_GRANT``."""
_NEVER = 1 << 62


REFUSED_ACCESS = "access"
"""``interaction`` of the ledger's row when the payer refuses a token by a rule of its own."""


class TokenRefusedError(Exception):
    """The token gives no access: 401 with ``WWW-Authenticate: Bearer error="invalid_token"`` (RFC 6750 section 3.1).

    ``whose``: whom the payer refuses by a rule of its own (an app that is suspended, a member who is no longer covered), None where a
    permission is just over or the token is nobody's.
    """

    def __init__(self, reason: str, description: str, whose: "Refused | None" = None) -> None:
        super().__init__(description)
        self.reason = reason
        self.description = description
        self.whose = whose


class Refused(NamedTuple):
    """Whose token was refused: columns of the ledger."""

    client_id: str
    client_kind: str
    grant_id: str
    patient: str
    actor: str
    environment: str


class Access(NamedTuple):
    """Who asks, for whom, and what they may do. ``actor``: self, representative or SYSTEM (then ``patient`` is '' until the request
    names a member, and ``client_kind`` is never third-party: no member chose the app for this). ``environment`` is production only if the deployment, the client and the member all are. ``fhir_user``: the
    resource that is read as the token's fhirUser whatever the scopes on its type are, '' none. ``loaded`` is the load watermark at the
    check, for replicas (0 where there are none)."""

    client_id: str
    client_kind: str
    grant_id: str
    patient: str
    actor: str
    environment: str
    scope: str
    permissions: Permissions
    fhir_user: str = ""
    loaded: int = 0


async def authenticate(database: Database, settings: Settings, token: str) -> Access:
    """The access a bearer token gives now. Raises TokenRefusedError; DatabaseUnavailableError when the database is down."""
    many = ACCESS_BY_TOKENS_AT_LOAD if database.replicas else ACCESS_BY_TOKENS
    row = await database.fetch_by_key(ACCESS_BY_TOKEN, many, sha256(token.encode()).digest())
    if row is None:
        raise TokenRefusedError(UNKNOWN, "The access token is not known.")
    return await _access(database, settings, row)


async def access_of_grant(database: Database, settings: Settings, grant_id: str, scope: str) -> Access:
    """The access that a grant gives now to work that began with a token of it and this scope, and goes on without one.

    A client's own grant lasts no longer than its token, and what it began goes on while the client may act. Raises as ``authenticate``.
    """
    row = await database.fetch_one(ACCESS_BY_GRANT, {"grant": grant_id})
    if row is None:
        raise TokenRefusedError(UNKNOWN, "The grant is not known.")
    columns = list(row)
    if columns[_ACTOR] == SYSTEM:
        columns[_GRANT_EXPIRES] = _NEVER
    return await _access(database, settings, (scope, _NEVER, None, *columns))


async def _access(database: Database, settings: Settings, row: Sequence[Any]) -> Access:
    """What a row of the token check means. Raises TokenRefusedError."""
    (scope, expires_at, revoked_at, client_id, client_kind, client_status, client_environment) = row[:7]
    (grant_id, patient, actor, grant_expires_at, ended_at, fhir_user, member_environment, enrolled, loaded) = row[7:16]
    now = clock.now_microseconds()
    if revoked_at is not None or ended_at is not None:
        raise TokenRefusedError(REVOKED, "The access token was revoked.")
    if expires_at <= now or grant_expires_at <= now:
        raise TokenRefusedError(EXPIRED, "The access token expired.")
    if client_status != "active":
        reason = await database.fetch_one(SUSPENDED_REASON, {"client": client_id})
        description = f"The app is suspended: {reason[0] if reason else ''}".replace('"', "'")
        raise TokenRefusedError(SUSPENDED, description, _whose(settings, row))
    if actor == SYSTEM:
        environment = environment_of(settings, client_environment, None)
        kind = SYSTEM if client_kind == THIRD_PARTY else client_kind
        permitted = system_permissions(scope, policies_for(settings, actor, client_kind))
        return Access(client_id, kind, grant_id, "", SYSTEM, environment, scope, permitted, loaded=loaded)
    if enrolled:
        reason = enrolment.entitlement(settings, enrolled, enrolment.today(settings))
        if reason:
            raise TokenRefusedError(reason, enrolment.REASONS[reason], _whose(settings, row))
    permitted = permissions(scope, policies_for(settings, actor, client_kind))
    return Access(
        client_id,
        client_kind,
        grant_id,
        patient,
        actor,
        environment_of(settings, client_environment, member_environment),
        scope,
        permitted,
        fhir_user if permitted.reads_fhir_user else "",
        loaded,
    )


def _whose(settings: Settings, row: Sequence[Any]) -> Refused:
    client_id, client_kind, _, client_environment, grant_id, patient, actor = row[3:10]
    environment = environment_of(settings, client_environment, row[13])
    return Refused(client_id, client_kind, grant_id, patient, actor, environment)


def environment_of(settings: Settings, client_environment: str, member_environment: str | None) -> str:
    """production only if the deployment, the client and the member (no mark: production) all are, else test."""
    production = (
        settings.environment == PRODUCTION
        and client_environment == PRODUCTION
        and member_environment in (None, PRODUCTION)
    )
    return PRODUCTION if production else "test"
