"""What the ledger says of refusals in a period: requests and consents refused, answers that withheld something, and decisions on apps.

42 CFR 422.119(e) and its parallels ask that apps are refused by objective criteria only: what was refused can be shown.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, case, func, literal_column, or_, select

from server.storage.client_store import DECISION
from server.storage.database import Transaction
from server.storage.ledger import LEDGER

REFUSING = (401, 403, 429)
"""Statuses of answers that refuse what was asked."""
_REFUSAL = LEDGER.c.kind == literal_column("'refusal'")
_SIGN_IN = LEDGER.c.interaction == literal_column("'sign-in'")
_WITHHELD = LEDGER.c.detail != literal_column("''")
_GROUPED: Sequence[Any] = (
    LEDGER.c.kind,
    LEDGER.c.client_id,
    LEDGER.c.actor,
    LEDGER.c.interaction,
    LEDGER.c.resource_type,
    LEDGER.c.status,
    # what is said of a failed sign-in names the account
    case((_REFUSAL & _SIGN_IN, literal_column("''")), else_=LEDGER.c.detail).label("told"),
)
_RECORDED = (
    select(
        *_GROUPED,
        func.count().label("times"),
        func.min(LEDGER.c.at).label("first"),
        func.max(LEDGER.c.at).label("last"),
    )
    .where(
        LEDGER.c.at >= bindparam("since"),
        LEDGER.c.at < bindparam("until"),
        LEDGER.c.environment == bindparam("environment"),
        or_(
            _REFUSAL,
            and_(
                LEDGER.c.kind == literal_column("'answer'"),
                or_(LEDGER.c.status.in_([literal_column(str(status)) for status in REFUSING]), _WITHHELD),
            ),
        ),
    )
    .group_by(*_GROUPED)
)
_DECIDED: Select[Any] = (
    select(DECISION)
    .where(DECISION.c.decided_at >= bindparam("since"), DECISION.c.decided_at < bindparam("until"))
    .order_by(DECISION.c.decided_at, DECISION.c.key)
)


def recorded(transaction: Transaction, environment: str, since: int, until: int) -> Sequence[Row[Any]]:
    """Refusals, refusing answers and answers that withheld something, from ``since`` to before ``until`` (microseconds since 1970 UTC),
    counted by what they agree in: rows (kind, client_id, actor, interaction, resource_type, status, told, times, first, last)."""
    return transaction.all(_RECORDED, {"environment": environment, "since": since, "until": until})


def decided(transaction: Transaction, since: int, until: int) -> Sequence[Row[Any]]:
    """The decisions on apps of that time, the oldest first: rows of ``authorization_schema.ClientDecision``."""
    return transaction.all(_DECIDED, {"since": since, "until": until})
