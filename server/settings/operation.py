"""Settings of running the server: its logs and gauges, its ledger, its database connections (docs/deployment.md).

https://12factor.net/config
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from server.settings.secret_files import DEFAULT_DIRECTORY


class OperationSettings(BaseSettings):
    """What a deployment is run with."""

    secrets_directory: Path = Field(
        DEFAULT_DIRECTORY,
        description="Directory of files, one a secret, named like the setting in small letters: secret_key, secret_key_previous, database_url, database_replica_url, metrics_token, oidc_client_secret. What stands in the environment wins.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Whoever sends this as a bearer token reads gauges for Prometheus at /metrics (at least 20 characters); without it there is no such address.",
    )
    log_requests: bool = Field(
        True, description="Write one line per FHIR answer to standard output (no PHI, no tokens)."
    )
    ledger_durability: Literal["process", "power"] = Field(
        "process",
        description="What a ledger row survives when its answer leaves: the death of the process, or a power loss too (a disk flush per commit).",
    )
    ledger_retention_years: int = Field(
        6,
        ge=1,
        le=100,
        description="Years for which the ledger's rows are kept: `patient-access ledger drop` refuses younger months.",
    )

    @field_validator("metrics_token")
    @classmethod
    def _long_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if len(value.get_secret_value()) < 20 or not value.get_secret_value().isascii():
            raise ValueError("must have at least 20 characters, all of ASCII")
        return value
