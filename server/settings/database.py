"""Settings of the database beside its address: replicas that are read, and connections (docs/database.md).

https://www.postgresql.org/docs/current/runtime-config-connection.html - none of them concerns SQLite, which has one connection.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

_BETWEEN = re.compile(r"[,\s]+(?=postgres)")
"""A URL may itself have commas: several hosts of one server."""
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED = "must be as in postgresql://user:password@host:5432/name, with @ / ? # % of a password written as %40 %2F %3F %23 %25"


def check_postgresql(url: str) -> None:
    """Raises ValueError, which holds nothing of the URL: a character of a password that is not escaped ends it too early, for each
    program that reads it at another place, and what is left would stand in their messages as a host or a port."""
    try:
        parts = urlsplit(url)
        several = "," in parts.netloc
        wrong = not several and parts.port == 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        raise ValueError(_ESCAPED) from None
    user, at, _ = parts.netloc.rpartition("@")
    if (
        wrong
        or "#" in url
        or "@" in user
        or "@" in parts.path
        or ("@" in parts.query and parts.netloc and not at)
        or _BROKEN_ESCAPE.search(url)
    ):
        raise ValueError(_ESCAPED)


class DatabaseSettings(BaseSettings):
    """How PostgreSQL is reached."""

    database_replica_url: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="PostgreSQL read replicas, as in DATABASE_URL, separated by commas: records are read there, by whichever has every load that DATABASE_URL has.",
    )
    database_connections: int = Field(
        16,
        ge=2,
        le=1000,
        description="Most PostgreSQL connections of a worker for the FHIR API; as many to each replica, and one and a half times as many for sign-in, pages and reports.",
    )
    database_wait_seconds: float = Field(
        5.0,
        gt=0,
        le=60,
        description="How long a request waits for a free PostgreSQL connection, then it is answered 503 with Retry-After.",
    )
    database_pooler: Literal["none", "transaction"] = Field(
        "none",
        description="transaction: a pooler (PgBouncer) shares PostgreSQL's connections by transaction; no prepared statement and no setting of a connection is relied on.",
    )

    @field_validator("database_replica_url", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return tuple(filter(None, _BETWEEN.split(value.strip(" ,\n")))) if isinstance(value, str) else value

    @field_validator("database_replica_url")
    @classmethod
    def _postgresql(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(url.startswith("postgresql://") for url in value):
            raise ValueError("must start with postgresql://, each of them")
        for url in value:
            check_postgresql(url)
        return value
