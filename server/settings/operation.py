"""Settings of running the server: its logs and gauges, its ledger, its database connections (docs/deployment.md).

https://12factor.net/config
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
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
        description="Whoever sends this as a bearer token reads the figures for Prometheus at /metrics (at least 20 characters); without it there is no such address, and nothing is counted.",
    )
    metrics_directory: Path | None = Field(
        None,
        description="Where the workers of one server keep what they count (1 MB each), for that server alone. Unset: a temporary directory.",
    )
    log_requests: bool = Field(True, description="Write one line per answer to standard output (no PHI, no tokens).")
    log_format: Literal["json", "text"] = Field(
        "json",
        description="How lines of the log are written: a JSON object each, for machines, or text, for people; the fields are the same.",
    )
    server_timing: bool = Field(
        False, description="Send a Server-Timing header with FHIR answers: where the milliseconds went."
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        description="Base URL of an OpenTelemetry collector (OTLP over HTTP) that gets a span for each request; needs the extra telemetry. The SDK's other OTEL_ variables hold too.",
    )
    shutdown_delay_seconds: float = Field(
        1.0,
        ge=0,
        le=300,
        description="How long a server that was told to end (SIGTERM) still accepts connections while /readyz says 503: until the load balancer has noticed.",
    )
    shutdown_seconds: float = Field(
        25.0,
        ge=1,
        le=3600,
        validate_default=True,
        description="How long ending may take altogether; requests that are still under way shortly before are cut. More than SHUTDOWN_DELAY_SECONDS.",
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

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _collector(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://, e.g. http://127.0.0.1:4318")
        return value or None

    @field_validator("shutdown_seconds")
    @classmethod
    def _longer_than_the_delay(cls, value: float, info: ValidationInfo) -> float:
        delay = info.data.get("shutdown_delay_seconds", 0)
        if value <= delay:
            raise ValueError(f"must be more than SHUTDOWN_DELAY_SECONDS, which is {delay:g}")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _long_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if len(value.get_secret_value()) < 20 or not value.get_secret_value().isascii():
            raise ValueError("must have at least 20 characters, all of ASCII")
        return value
