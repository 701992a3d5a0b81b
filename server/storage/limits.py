"""What limits are counted in: failed guesses in a window of time, and permits that workers lease for a client.

https://www.rfc-editor.org/rfc/rfc9700 - each count is one atomic upsert, so that it holds for all workers together.
"""

from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, case, delete, select
from sqlalchemy.dialects.postgresql import insert

from server.storage.authorization_schema import Attempts, Permits

ATTEMPTS: Table = Attempts.__table__  # type: ignore[attr-defined]
PERMITS: Table = Permits.__table__  # type: ignore[attr-defined]

_NOW: BindParameter[Any] = bindparam("moment")

_FAILURES = ATTEMPTS.c.count.label("failures")
ATTEMPTS_OF = select(_FAILURES, ATTEMPTS.c.expires_at).where(
    ATTEMPTS.c.kind == bindparam("kind"), ATTEMPTS.c.key == bindparam("key"), ATTEMPTS.c.expires_at > _NOW
)
"""Values: kind, key, moment."""
ATTEMPTS_OF_TWO = select(ATTEMPTS.c.kind, _FAILURES, ATTEMPTS.c.expires_at).where(
    ((ATTEMPTS.c.kind == bindparam("kind")) & (ATTEMPTS.c.key == bindparam("key")))
    | ((ATTEMPTS.c.kind == bindparam("other")) & (ATTEMPTS.c.key == bindparam("other_key"))),
    ATTEMPTS.c.expires_at > _NOW,
)
"""The same of two keys at once. Values: kind, key, other, other_key, moment."""
COUNT_ATTEMPT = (
    insert(ATTEMPTS)
    .values(kind=bindparam("kind"), key=bindparam("key"), count=1, expires_at=bindparam("until"))
    .on_conflict_do_update(
        index_elements=[ATTEMPTS.c.kind, ATTEMPTS.c.key],
        set_={
            "count": case((ATTEMPTS.c.expires_at > _NOW, ATTEMPTS.c.count + 1), else_=1),
            "expires_at": case((ATTEMPTS.c.expires_at > _NOW, ATTEMPTS.c.expires_at), else_=bindparam("until")),
        },
    )
    .returning(_FAILURES)
)
"""One more in the window that is open, or the first of a new one; answers the count. Values: kind, key, moment, until."""
FORGET_ATTEMPTS = delete(ATTEMPTS).where(ATTEMPTS.c.kind == bindparam("kind"), ATTEMPTS.c.key == bindparam("key"))
"""Values: kind, key."""
DELETE_EXPIRED_ATTEMPTS = delete(ATTEMPTS).where(ATTEMPTS.c.expires_at <= _NOW)
"""Values: moment."""

LEASE_PERMITS = (
    insert(PERMITS)
    .values(client_id=bindparam("client"), window=bindparam("window"), leased=bindparam("block"))
    .on_conflict_do_update(
        index_elements=[PERMITS.c.client_id, PERMITS.c.window], set_={"leased": PERMITS.c.leased + bindparam("block")}
    )
    .returning(PERMITS.c.leased)
)
"""A block of permits more; answers how many were asked for in the window so far. Values: client, window, block."""
DELETE_OLD_PERMITS = delete(PERMITS).where(
    PERMITS.c.client_id == bindparam("client"), PERMITS.c.window < bindparam("window")
)
"""Values: client, window."""
