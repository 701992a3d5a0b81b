"""Every query of the authorization server: clients, accounts, grants, codes and tokens, as statements.

https://www.rfc-editor.org/rfc/rfc6749 - secrets, codes and tokens are looked up by their SHA-256.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    LargeBinary,
    Select,
    Table,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from server.storage.authorization_schema import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    Client,
    Grant,
    RefreshToken,
)
from server.storage.schema import LedgerRow, LoadClock, Member, Resource

CLIENT: Table = Client.__table__  # type: ignore[attr-defined]
MEMBER: Table = Member.__table__  # type: ignore[attr-defined]
REQUEST: Table = AuthorizationRequest.__table__  # type: ignore[attr-defined]
GRANT: Table = Grant.__table__  # type: ignore[attr-defined]
CODE: Table = AuthorizationCode.__table__  # type: ignore[attr-defined]
ACCESS_TOKEN: Table = AccessToken.__table__  # type: ignore[attr-defined]
REFRESH_TOKEN: Table = RefreshToken.__table__  # type: ignore[attr-defined]
LEDGER: Table = LedgerRow.__table__  # type: ignore[attr-defined]
RESOURCE: Table = Resource.__table__  # type: ignore[attr-defined]
CLOCK: Table = LoadClock.__table__  # type: ignore[attr-defined]

_HASH: BindParameter[bytes] = bindparam("key_hash")
_NOW: BindParameter[int] = bindparam("moment")

_OF_CLIENT_AND_MEMBER = (
    CLIENT.c.id,
    CLIENT.c.kind,
    CLIENT.c.status,
    CLIENT.c.environment,
    GRANT.c.id,
    GRANT.c.patient,
    GRANT.c.actor,
    GRANT.c.expires_at,
    GRANT.c.ended_at,
    GRANT.c.fhir_user,
    MEMBER.c.environment,
    MEMBER.c.enrolled,
)
_LOADED = func.coalesce(select(CLOCK.c.loaded_at).scalar_subquery(), 0).label("loaded")
"""The load watermark, read together with the permission: a replica must have come as far."""
_ACCESS = select(
    ACCESS_TOKEN.c.scope, ACCESS_TOKEN.c.expires_at, ACCESS_TOKEN.c.revoked_at, *_OF_CLIENT_AND_MEMBER
).select_from(
    ACCESS_TOKEN.join(GRANT, GRANT.c.id == ACCESS_TOKEN.c.grant_id)
    .join(CLIENT, CLIENT.c.id == ACCESS_TOKEN.c.client_id)
    .outerjoin(MEMBER, MEMBER.c.patient == GRANT.c.patient)
)
ACCESS_BY_GRANT = (
    select(*_OF_CLIENT_AND_MEMBER, _LOADED)
    .select_from(
        GRANT.join(CLIENT, CLIENT.c.id == GRANT.c.client_id).outerjoin(MEMBER, MEMBER.c.patient == GRANT.c.patient)
    )
    .where(GRANT.c.id == bindparam("grant"))
)
"""The same of a grant, for work that goes on without a token, without what is the token's own. Values: grant."""
ACCESS_BY_TOKEN = _ACCESS.add_columns(literal_column("0").label("loaded")).where(
    ACCESS_TOKEN.c.hash == bindparam("key")
)
"""Everything the token check needs, in one row by primary keys. Values: key, a hash."""
_OF_TOKENS = ACCESS_TOKEN.c.hash == any_(bindparam("keys", type_=ARRAY(LargeBinary)))
ACCESS_BY_TOKENS = _ACCESS.add_columns(literal_column("0").label("loaded"), ACCESS_TOKEN.c.hash).where(_OF_TOKENS)
"""The same of several tokens, for PostgreSQL: the hash is the last column. Values: keys."""
ACCESS_BY_TOKENS_AT_LOAD = _ACCESS.add_columns(_LOADED, ACCESS_TOKEN.c.hash).where(_OF_TOKENS)
"""The same with the load watermark instead of 0, where there are replicas to compare with it. Values: keys."""

# -- pending authorization requests ----------------------------------------------------------------------------------

INSERT_REQUEST = insert(REQUEST)
REQUEST_BY_HASH = select(REQUEST).where(REQUEST.c.hash == _HASH, REQUEST.c.expires_at > _NOW)
"""Values: key_hash, moment."""
CONSUME_REQUEST = delete(REQUEST).where(REQUEST.c.hash == _HASH, REQUEST.c.expires_at > _NOW)
"""One atomic delete: of two answers to the same request, one touches a row. Values: key_hash, moment."""
DELETE_EXPIRED_REQUESTS = delete(REQUEST).where(REQUEST.c.expires_at <= _NOW)
"""Values: moment."""

# -- grants, codes and tokens ----------------------------------------------------------------------------------------

INSERT_GRANT = insert(GRANT)
_GRANT_COLUMNS = (
    GRANT.c.id.label("grant"),
    GRANT.c.client_id.label("grant_client"),
    GRANT.c.account,
    GRANT.c.patient,
    GRANT.c.actor,
    GRANT.c.fhir_user,
    GRANT.c.scope.label("grant_scope"),
    GRANT.c.expires_at.label("grant_expires_at"),
    GRANT.c.ended_at,
    GRANT.c.ended_code,
    CLIENT.c.kind.label("client_kind"),
    CLIENT.c.status.label("client_status"),
    CLIENT.c.environment.label("client_environment"),
    MEMBER.c.environment.label("member_environment"),
    MEMBER.c.enrolled,
)
GRANT_BY_ID = (
    select(*_GRANT_COLUMNS)
    .select_from(
        GRANT.join(CLIENT, CLIENT.c.id == GRANT.c.client_id).outerjoin(MEMBER, MEMBER.c.patient == GRANT.c.patient)
    )
    .where(GRANT.c.id == bindparam("grant"))
)
"""A grant with what its ledger rows need of the client and the member. Values: grant."""
END_GRANT = (
    update(GRANT)
    .where(GRANT.c.id == bindparam("grant"), GRANT.c.ended_at.is_(None))
    .values(ended_at=_NOW, ended_reason=bindparam("reason"), ended_code=bindparam("code"))
)
"""Set once: a second end touches no row. Values: grant, moment, reason, code."""
LIVE_GRANTS_OF_SESSION = select(GRANT.c.id).where(
    GRANT.c.session_hash == bindparam("session"), GRANT.c.ended_at.is_(None), GRANT.c.expires_at > _NOW
)
"""What lasts only as long as a sign-in session. Values: session, moment."""
MOVE_GRANTS_OF_SESSION = (
    update(GRANT)
    .where(
        GRANT.c.session_hash == bindparam("session"),
        GRANT.c.account == bindparam("person"),
        GRANT.c.ended_at.is_(None),
    )
    .values(session_hash=bindparam("successor"))
)
"""Who signs in anew stays signed in. Values: session, person, successor."""
INSERT_CODE = insert(CODE)
CONSUME_CODE = (
    delete(CODE)
    .where(CODE.c.hash == _HASH, CODE.c.client_id == bindparam("client"))
    .returning(
        CODE.c.grant_id,
        CODE.c.redirect_uri,
        CODE.c.scope,
        CODE.c.code_challenge,
        CODE.c.nonce,
        CODE.c.authenticated_at,
        CODE.c.expires_at,
    )
)
"""One atomic delete: of two exchanges of the same code, one gets the row. Values: key_hash, client."""
GRANT_BY_CODE = select(GRANT.c.id).where(GRANT.c.code_hash == _HASH, GRANT.c.client_id == bindparam("client"))
"""The grant of a code that was consumed. Values: key_hash, client."""
DELETE_EXPIRED_CODES = delete(CODE).where(CODE.c.expires_at <= _NOW)
"""Values: moment."""
INSERT_ACCESS_TOKEN = insert(ACCESS_TOKEN)
INSERT_REFRESH_TOKEN = insert(REFRESH_TOKEN)
REVOKE_ACCESS_TOKEN = (
    update(ACCESS_TOKEN)
    .where(ACCESS_TOKEN.c.hash == _HASH, ACCESS_TOKEN.c.revoked_at.is_(None))
    .values(revoked_at=_NOW)
)
"""Values: key_hash, moment."""
ROTATE_REFRESH_TOKEN = (
    update(REFRESH_TOKEN)
    .where(REFRESH_TOKEN.c.hash == _HASH, REFRESH_TOKEN.c.rotated_at.is_(None))
    .values(rotated_at=_NOW, expires_at=bindparam("end"))
)
"""``expires_at`` of a rotated token is the time until which it is remembered. Values: key_hash, moment, end."""


def _token_by_hash(tokens: Table) -> Select[Any]:
    return (
        select(tokens, *_GRANT_COLUMNS)
        .select_from(
            tokens.join(GRANT, GRANT.c.id == tokens.c.grant_id)
            .join(CLIENT, CLIENT.c.id == tokens.c.client_id)
            .outerjoin(MEMBER, MEMBER.c.patient == GRANT.c.patient)
        )
        .where(tokens.c.hash == _HASH)
    )


ACCESS_TOKEN_BY_HASH = _token_by_hash(ACCESS_TOKEN)
"""An access token with its grant, client and member. Values: key_hash."""
REFRESH_TOKEN_BY_HASH = _token_by_hash(REFRESH_TOKEN)
"""A refresh token with its grant, client and member. Values: key_hash."""
LOCKED_REFRESH_TOKEN = REFRESH_TOKEN_BY_HASH.with_for_update(of=REFRESH_TOKEN)
"""The same, and parallel refreshes go one after the other (SQLite's writers do so already). Values: key_hash."""
