"""Every query about apps: their registration, what was decided on them, and their grants, as statements.

https://www.rfc-editor.org/rfc/rfc7591 - secrets and registration access tokens are looked up by their SHA-256.
"""

from sqlalchemy import Table, bindparam, func, insert, select, update

from server.storage.authorization_schema import Client, ClientDecision, Grant

CLIENT: Table = Client.__table__  # type: ignore[attr-defined]
DECISION: Table = ClientDecision.__table__  # type: ignore[attr-defined]
GRANT: Table = Grant.__table__  # type: ignore[attr-defined]

CLIENT_BY_ID = select(CLIENT).where(CLIENT.c.id == bindparam("client"))
"""Values: client."""
INSERT_CLIENT = insert(CLIENT)
UPDATE_CLIENT = update(CLIENT).where(CLIENT.c.id == bindparam("client"))
"""Values: client, and the columns to set."""
SUSPEND_CLIENT = (
    update(CLIENT)
    .where(CLIENT.c.id == bindparam("client"), CLIENT.c.status == "active")
    .values(status="suspended", suspended_at=bindparam("moment"), suspended_reason=bindparam("reason"))
)
"""Values: client, moment, reason."""
RESUME_CLIENT = (
    update(CLIENT)
    .where(CLIENT.c.id == bindparam("client"), CLIENT.c.status == "suspended")
    .values(status="active", suspended_at=None, suspended_reason="")
)
"""Values: client."""
DELETE_CLIENT = (
    update(CLIENT)
    .where(CLIENT.c.id == bindparam("client"), CLIENT.c.status != "deleted")
    .values(status="deleted", secret_hash=None, registration_hash=None)
)
"""The row stays, since grants and ledger rows name it; nothing proves to be that client any more. Values: client."""
SUSPENDED_REASON = select(CLIENT.c.suspended_reason).where(CLIENT.c.id == bindparam("client"))
"""Values: client."""
REDIRECT_URIS_LIKE = select(CLIENT.c.redirect_uris).where(
    CLIENT.c.status == "active", CLIENT.c.redirect_uris.contains(bindparam("origin"), autoescape=False)
)
"""Redirect URIs of active clients that may have this origin: narrowed by text, to be compared exactly. Values: origin."""
LIVE_GRANTS_OF_CLIENT = select(GRANT.c.id).where(
    GRANT.c.client_id == bindparam("client"), GRANT.c.ended_at.is_(None), GRANT.c.expires_at > bindparam("moment")
)
"""Values: client, moment."""

# -- decisions on apps (42 CFR 422.119(e)) ---------------------------------------------------------------------------

INSERT_DECISION = insert(DECISION)
DECISIONS = select(DECISION).order_by(DECISION.c.decided_at, DECISION.c.key)
"""Every decision, the oldest first."""
DECISIONS_ON = DECISIONS.where(DECISION.c.client_id == bindparam("client"))
"""Those on one client, or on what is refused. Values: client."""
_LATEST = select(func.max(DECISION.c.key)).group_by(DECISION.c.client_id)
REFUSED = select(DECISION).where(DECISION.c.key.in_(_LATEST), DECISION.c.decision == "refused")
"""What is refused now: the latest decision on it says so."""
