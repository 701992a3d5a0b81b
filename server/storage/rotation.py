"""What a refresh writes: a new access token, a new refresh token, and when the old one was rotated; on PostgreSQL in one round trip.

https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
"""

from typing import Any

from sqlalchemy import Insert, Table, bindparam, insert

from server.storage.authorization_store import (
    ACCESS_TOKEN,
    INSERT_ACCESS_TOKEN,
    INSERT_REFRESH_TOKEN,
    REFRESH_TOKEN,
    ROTATE_REFRESH_TOKEN,
)
from server.storage.database import Transaction

Row = dict[str, Any]


def _insert(table: Table, prefix: str) -> Insert:
    return insert(table).values({column.name: bindparam(prefix + column.name) for column in table.columns})


_ROTATE = _insert(REFRESH_TOKEN, "refresh_").add_cte(
    _insert(ACCESS_TOKEN, "access_").cte("access"), ROTATE_REFRESH_TOKEN.cte("rotated")
)
"""All three in one statement. Values: those of ROTATE_REFRESH_TOKEN, and the new rows' with a prefix each."""


def write_rotation(transaction: Transaction, access: Row, refresh: Row, rotated: Row) -> None:
    """Write two new rows, and rotate the old token. ``rotated``: the values of ROTATE_REFRESH_TOKEN."""
    if transaction.connection.dialect.name == "postgresql":
        new = {f"access_{name}": value for name, value in access.items()}
        new |= {f"refresh_{name}": value for name, value in refresh.items()}
        transaction.execute(_ROTATE, {**new, **rotated})
    else:
        transaction.execute(INSERT_ACCESS_TOKEN, access)
        transaction.execute(INSERT_REFRESH_TOKEN, refresh)
        transaction.execute(ROTATE_REFRESH_TOKEN, rotated)
