"""What apps got of a member, from the ledger: by the member and time, over the index ``ledger_by_patient``, never by a scan.

45 CFR 164.528 (accounting of disclosures) is the model; disclosures to an app that the person chose go beyond what it asks for.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, literal_column, select

from server.storage.account_store import ACCOUNT
from server.storage.authorization_store import CLIENT, GRANT
from server.storage.database import Transaction
from server.storage.ledger import LEDGER

_DISCLOSURES = (
    select(
        LEDGER.c.at,
        LEDGER.c.client_id,
        LEDGER.c.grant_id,
        LEDGER.c.actor,
        LEDGER.c.interaction,
        LEDGER.c.resource_type,
        LEDGER.c.resources,
    )
    .where(
        LEDGER.c.patient == bindparam("member"),
        LEDGER.c.at < bindparam("before"),
        LEDGER.c.kind == literal_column("'answer'"),
        LEDGER.c.status.between(200, 299),
        LEDGER.c.resources > literal_column("0"),
    )
    .order_by(LEDGER.c.at.desc())
)
_GRANTS = (
    select(GRANT.c.id, GRANT.c.account, GRANT.c.actor, GRANT.c.scope, ACCOUNT.c.display_name)
    .select_from(GRANT.outerjoin(ACCOUNT, ACCOUNT.c.id == GRANT.c.account))
    .where(GRANT.c.patient == bindparam("member"))
)
_NAMES = select(CLIENT.c.id, CLIENT.c.name).where(CLIENT.c.id.in_(bindparam("clients", expanding=True)))


def disclosures(transaction: Transaction, member: str, before: int) -> Iterator[Row[Any]]:
    """Answers that held records of a member, given before a moment (microseconds since 1970 UTC), the newest first, one by one: rows
    of the ledger's (at, client_id, grant_id, actor, interaction, resource_type, resources)."""
    return transaction.stream(_DISCLOSURES, {"member": member, "before": before})


def grants_of(transaction: Transaction, member: str) -> Mapping[str, Row[Any]]:
    """Every grant there ever was for a member, by id: rows (id, account, actor, scope, display_name of the account)."""
    return {row.id: row for row in transaction.all(_GRANTS, {"member": member})}


def client_names(transaction: Transaction, clients: Collection[str]) -> Mapping[str, str]:
    """The names of clients by id; a client that nobody knows any more has none."""
    asked: Sequence[str] = sorted(clients)
    return {row.id: row.name for row in transaction.all(_NAMES, {"clients": asked})} if asked else {}
