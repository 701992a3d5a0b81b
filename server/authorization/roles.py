"""What accounts of the payer's staff may do beyond a member's own matters.

45 CFR 164.308(a)(4) (information access management) - a role is looked up with every request, so that taking it away holds at once.
"""

from server import clock
from server.storage.account_store import ACCOUNT_BY_USERNAME, DELETE_ROLES, INSERT_ROLE, ROLE_OF_ACCOUNT
from server.storage.database import Database, Transaction

COMPLIANCE = "compliance"
ROLES = (COMPLIANCE,)
"""compliance: reads the page of measures, refusals and the ledger's health."""


def has_role(transaction: Transaction, account: str, role: str) -> bool:
    """Whether an account has a role now."""
    return any(row.role == role for row in transaction.all(ROLE_OF_ACCOUNT, {"account": account}))


def set_role(database: Database, username: str, role: str) -> None:
    """Give the account of a username a role in place of those it had, or ('') none. Raises ValueError for an unknown one."""
    if role and role not in ROLES:
        raise ValueError(f"the role is one of {', '.join(ROLES)}, not {role!r}")
    username = username.strip()
    with database.transaction() as transaction:
        row = transaction.first(ACCOUNT_BY_USERNAME, {"username": username}) or transaction.first(
            ACCOUNT_BY_USERNAME, {"username": username.lower()}
        )
        if row is None:
            raise ValueError(f"no account has the username {username}; patient-access account add makes one")
        transaction.execute(DELETE_ROLES, {"account": row.id})
        if role:
            values = {"account": row.id, "role": role, "granted_at": clock.now_microseconds()}
            transaction.execute(INSERT_ROLE, values)
