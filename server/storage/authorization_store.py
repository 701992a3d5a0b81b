"""Every query of the authorization server: clients, accounts, grants, codes and tokens, as statements.

https://www.rfc-editor.org/rfc/rfc6749 - secrets, codes and tokens are looked up by their SHA-256.
"""

from sqlalchemy import bindparam, select

from server.storage.schema import AccessToken, Client, Grant, Member

CLIENT = Client.__table__  # type: ignore[attr-defined]
GRANT = Grant.__table__  # type: ignore[attr-defined]
MEMBER = Member.__table__  # type: ignore[attr-defined]
ACCESS_TOKEN = AccessToken.__table__  # type: ignore[attr-defined]

ACCESS_BY_TOKEN = (
    select(
        ACCESS_TOKEN.c.scope,
        ACCESS_TOKEN.c.expires_at,
        ACCESS_TOKEN.c.revoked_at,
        CLIENT.c.id,
        CLIENT.c.kind,
        CLIENT.c.status,
        CLIENT.c.environment,
        GRANT.c.id,
        GRANT.c.patient,
        GRANT.c.actor,
        GRANT.c.expires_at,
        GRANT.c.ended_at,
        MEMBER.c.environment,
    )
    .select_from(
        ACCESS_TOKEN.join(GRANT, GRANT.c.id == ACCESS_TOKEN.c.grant_id)
        .join(CLIENT, CLIENT.c.id == ACCESS_TOKEN.c.client_id)
        .outerjoin(MEMBER, MEMBER.c.patient == GRANT.c.patient)
    )
    .where(ACCESS_TOKEN.c.hash == bindparam("hash"))
)
"""Everything the token check needs, in one row by primary keys."""
