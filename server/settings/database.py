"""Settings of the database beside its address: replicas that are read, and connections (docs/database.md).

https://www.postgresql.org/docs/current/runtime-config-connection.html - none of them concerns SQLite, which has one connection.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

_BETWEEN = re.compile(r"[,\s]+(?=postgres)")
"""A URL may itself have commas: several hosts of one server."""


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
        description="Most PostgreSQL connections of a worker for the FHIR API; as many to each replica, and half as many again for sign-in and pages.",
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
        return value
