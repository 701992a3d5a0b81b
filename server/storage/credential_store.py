"""Queries about what proves and what is over: assertions used once, pushed requests, signing keys, and the pruning of old rows.

https://www.rfc-editor.org/rfc/rfc7523#section-3 and https://www.rfc-editor.org/rfc/rfc9126#section-2.2
"""

from sqlalchemy import BindParameter, Delete, Table, bindparam, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from server.storage.authorization_schema import AccessToken, ClientAssertion, PushedRequest, RefreshToken, SigningKey
from server.storage.schema import Resource

ASSERTION: Table = ClientAssertion.__table__  # type: ignore[attr-defined]
PUSHED: Table = PushedRequest.__table__  # type: ignore[attr-defined]
SIGNING_KEY: Table = SigningKey.__table__  # type: ignore[attr-defined]
ACCESS_TOKEN: Table = AccessToken.__table__  # type: ignore[attr-defined]
REFRESH_TOKEN: Table = RefreshToken.__table__  # type: ignore[attr-defined]
RESOURCE: Table = Resource.__table__  # type: ignore[attr-defined]

_HASH: BindParameter[bytes] = bindparam("key_hash")
_NOW: BindParameter[int] = bindparam("moment")

USE_ASSERTION = insert(ASSERTION).on_conflict_do_nothing().returning(ASSERTION.c.client_id)
"""One atomic insert: of two uses of the same jti one gets a row. Values: client_id, jti_hash, expires_at."""
INSERT_PUSHED = insert(PUSHED)
CONSUME_PUSHED = (
    delete(PUSHED)
    .where(PUSHED.c.hash == _HASH, PUSHED.c.client_id == bindparam("client"))
    .returning(PUSHED.c.parameters, PUSHED.c.expires_at)
)
"""One atomic delete: a pushed request is used once. Values: key_hash, client."""
RECORD_OF_MEMBER = select(RESOURCE.c.key).where(
    RESOURCE.c.type == bindparam("resource_type"),
    RESOURCE.c.id == bindparam("resource_id"),
    RESOURCE.c.patient == bindparam("member"),
    RESOURCE.c.deleted.is_(False),
)
"""Whether a record is in a member's compartment. Values: resource_type, resource_id, member."""

# -- signing keys ----------------------------------------------------------------------------------------------------

_LATEST_FIRST = (SIGNING_KEY.c.active_at.desc(), SIGNING_KEY.c.retired_at.is_not(None), SIGNING_KEY.c.kid)
INSERT_SIGNING_KEY = insert(SIGNING_KEY)
PUBLISHED_KEYS = (
    select(SIGNING_KEY)
    .where(or_(SIGNING_KEY.c.retired_at.is_(None), SIGNING_KEY.c.retired_at > _NOW))
    .order_by(*_LATEST_FIRST)
)
"""Keys not retired yet, the one that signs last of all first. Values: moment."""
ALL_KEYS = select(SIGNING_KEY).order_by(*_LATEST_FIRST)
RETIRE_KEYS = (
    update(SIGNING_KEY)
    .where(SIGNING_KEY.c.kid != bindparam("successor"), SIGNING_KEY.c.retired_at.is_(None))
    .values(retired_at=bindparam("end"))
)
"""Every key but the successor is published until an end. Values: successor, end."""
REWRITE_KEY = (
    update(SIGNING_KEY).where(SIGNING_KEY.c.kid == bindparam("key_id")).values(private_key=bindparam("encrypted"))
)
"""Values: key_id, encrypted."""

# -- pruning ---------------------------------------------------------------------------------------------------------

BATCH = 1000
"""Rows that one pruning statement deletes at most, so that nobody waits long for its lock."""


def _over(table: Table) -> Delete:
    """Delete some rows that ended before a moment, found by the index of their end."""
    key = list(table.primary_key.columns)
    old = select(*key).where(table.c.expires_at <= _NOW).limit(BATCH)
    if len(key) == 1:
        return delete(table).where(key[0].in_(old))
    return delete(table).where(table.c.expires_at <= _NOW)


PRUNING = (_over(ACCESS_TOKEN), _over(REFRESH_TOKEN), _over(ASSERTION), _over(PUSHED))
"""What may be forgotten. A refresh token ends with its grant, or some time after it was rotated. Values: moment."""
FORGET_REFRESH_TOKENS = (
    update(REFRESH_TOKEN)
    .where(
        REFRESH_TOKEN.c.hash.in_(
            select(REFRESH_TOKEN.c.hash)
            .where(REFRESH_TOKEN.c.grant_id == bindparam("grant"), REFRESH_TOKEN.c.expires_at > bindparam("end"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(expires_at=bindparam("end"))
)
"""The refresh tokens of an ended grant are remembered until an end; one in use at this moment is passed over, since its user may wait
for this very grant. Values: grant, end."""
