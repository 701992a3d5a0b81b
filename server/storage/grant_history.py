"""What a member shares and shared: every grant of theirs, in force or ended, with who made it.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html (management_endpoint) - the queries behind the member's own page.
"""

from sqlalchemy import bindparam, exists, func, or_, select

from server.storage.account_store import ACCOUNT
from server.storage.authorization_store import ACCESS_TOKEN, CLIENT, GRANT, LEDGER, REFRESH_TOKEN

GRANTS_OF_MEMBER = (
    select(
        GRANT.c.id,
        GRANT.c.client_id,
        GRANT.c.account,
        GRANT.c.actor,
        GRANT.c.scope,
        GRANT.c.withheld,
        GRANT.c.duration,
        GRANT.c.created_at,
        GRANT.c.expires_at,
        GRANT.c.ended_at,
        GRANT.c.ended_code,
        CLIENT.c.name,
        ACCOUNT.c.display_name,
        or_(
            exists().where(ACCESS_TOKEN.c.grant_id == GRANT.c.id),
            exists().where(REFRESH_TOKEN.c.grant_id == GRANT.c.id),
        ).label("has_tokens"),
    )
    .select_from(
        GRANT.join(CLIENT, CLIENT.c.id == GRANT.c.client_id).outerjoin(ACCOUNT, ACCOUNT.c.id == GRANT.c.account)
    )
    .where(
        GRANT.c.patient == bindparam("member"),
        GRANT.c.expires_at > bindparam("since"),
        or_(GRANT.c.ended_at.is_(None), GRANT.c.ended_at > bindparam("since")),
    )
    .order_by(GRANT.c.created_at, GRANT.c.id)
)
"""Grants in force or ended after a moment, the oldest first; without tokens, their code was never exchanged, or they are long over.
Values: member, since."""
LAST_PULLS_OF_MEMBER = (
    select(LEDGER.c.grant_id, func.max(LEDGER.c.at).label("last_pull"))
    .where(LEDGER.c.patient == bindparam("member"), LEDGER.c.kind == "answer", LEDGER.c.status == 200)
    .group_by(LEDGER.c.grant_id)
)
"""When each grant last gave data to its app. Values: member."""
