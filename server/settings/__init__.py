"""Every setting in one place, with its default and its help line; the README's table is generated from here.

A setting is read from the environment variable of the same name in capitals, e.g. ``BASE_URL``. 42 CFR 422.119 is the rule it all serves.
"""

import json
from datetime import date
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from server.settings.database import DatabaseSettings, check_postgresql
from server.settings.identity import IdentitySettings
from server.settings.operation import OperationSettings
from server.settings.secret_files import SecretFiles


class ServiceSettings(BaseSettings):
    """What is served, to whom, and for how long."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    base_url: str = Field(
        "http://127.0.0.1:8000", description="Public address of the server, without a trailing slash."
    )
    database_url: str = Field(
        "sqlite:///var/patient-access.db",
        description="SQLite (sqlite:///file) or PostgreSQL (postgresql://user:password@host/name).",
    )
    environment: Literal["production", "test"] = Field(
        "test", description="What this deployment is. Only a production deployment counts in the CMS usage report."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="At least 32 characters: signs page links and encrypts the signing keys. Unset: kept in SECRET_KEY_FILE (test deployments only).",
    )
    secret_key_previous: SecretStr | None = Field(
        None,
        description="The secret key before SECRET_KEY: what it encrypted is still read, so that the key can be changed without downtime.",
    )
    secret_key_file: Path = Field(
        Path("var/secret.key"), description="Where a test deployment keeps the secret key it makes for itself."
    )
    payer_name: str = Field("Example Health Plan", description="The payer's name as members and developers see it.")
    support_contact: str | None = Field(
        None, description="An e-mail address or a URL where members and developers can ask; shown on the public pages."
    )
    payer_time_zone: str = Field(
        "America/New_York",
        description="Time zone in which a calendar day and a calendar year of the reports begin and end.",
    )
    reporting_units_file: Path | None = Field(
        None,
        description="TOML rows that derive the reporting unit (contract, plan, program, issuer, state) from a Coverage.",
    )
    sibling_api_education_url: str | None = Field(
        None,
        description="Where members read about the payer's Provider Access and Payer-to-Payer APIs; a form of the usage report asks.",
    )
    prior_authorization_items_file: Path | None = Field(
        None,
        description="TOML or CSV rows of the items and services that need prior authorization, for the yearly public report.",
    )
    person_identifiers: Annotated[tuple[str, ...], NoDecode] = Field(
        ("um", "MB"),
        description="Identifier type codes, separated by commas, in order, that name the person behind a Patient; the last resort is Patient.id.",
    )
    served_lines_of_business: Annotated[tuple[str, ...], NoDecode] = Field(
        ("medicare-advantage", "medicaid-ffs", "medicaid-managed-care", "chip-ffs", "chip-managed-care", "qhp"),
        description="Lines of business (of REPORTING_UNITS_FILE), separated by commas, whose members may use the API; others are told before they sign in.",
    )
    lines_not_served_note: str = Field(
        "", description="Added on the sign-in page for members of other lines of business: what they can do instead."
    )
    former_members: Literal["refuse", "allow"] = Field(
        "refuse",
        description="Members whose last enrolment has ended: refuse (42 CFR 422.119 is about current members), or allow, for sample data.",
    )
    page_size: int = Field(
        50, ge=1, le=1000, description="Resources on a page of search results when _count is not sent."
    )
    page_size_limit: int = Field(
        500, ge=1, le=5000, validate_default=True, description="Largest _count honoured; not less than PAGE_SIZE."
    )
    access_token_seconds: int = Field(3600, ge=60, le=86_400, description="Lifetime of an access token.")
    refresh_token_days: int = Field(
        396, ge=1, le=3660, description="Lifetime of a refresh token and of the grant behind it (13 months)."
    )
    refresh_grace_seconds: int = Field(
        30, ge=0, le=300, description="How long a refresh token just rotated may still be used by a parallel request."
    )
    grant_durations: Annotated[tuple[str, ...], NoDecode] = Field(
        ("13-months", "once", "until-revoked"),
        description="How long a member may share with an app: 13-months (REFRESH_TOKEN_DAYS), once and until-revoked, separated by commas, in the order shown; the first is preselected.",
    )
    online_access_hours: int = Field(
        12,
        ge=1,
        le=720,
        description="Longest life of access with online_access, which ends when the member signs out.",
    )
    authorization_code_seconds: int = Field(60, ge=5, le=600, description="Lifetime of an authorization code.")
    sign_in_minutes: int = Field(
        30, ge=5, le=1440, description="Lifetime of a member's sign-in session and of a pending authorization request."
    )
    guesses_per_account: int = Field(
        10,
        ge=3,
        le=1000,
        description="Wrong guesses of an app's secret in GUESS_MINUTES, then 429; of an account in a row, then it pauses for a minute.",
    )
    guesses_per_address: int = Field(
        100, ge=3, le=100_000, description="Wrong guesses of any secret from one network address in GUESS_MINUTES."
    )
    guess_minutes: int = Field(10, ge=1, le=1440, description="The window of time in which guesses are counted.")
    registrations_per_address: int = Field(
        20, ge=1, le=100_000, description="Apps that may register themselves from one address in GUESS_MINUTES."
    )
    rate_limit_per_minute: int = Field(
        30_000,
        ge=0,
        le=100_000_000,
        description="FHIR requests an app may make in a minute, at all processes together, and as many to the token, introspection and pushed request endpoints; then 429. 0: no limit.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of the proxies in front, separated by commas: only their X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    software_statement_issuers_file: Path | None = Field(
        None,
        description="TOML rows (issuer, name, jwks or jwks_uri) of who may sign software statements of apps (RFC 7591 section 2.3).",
    )
    sensitivity_policies_file: Path | None = Field(
        None,
        description="TOML rows of what is withheld by its security labels, from whom and on which legal basis. Unset: nothing is.",
    )
    brand_website: str | None = Field(
        None, description="The payer's public website, as apps show it beside its name. Unset: BASE_URL."
    )
    brand_logos: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses (https) of the payer's logo for apps, square, SVG or PNG, separated by commas."
    )
    brand_aliases: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Other and former names by which members search for the payer, separated by commas."
    )
    brand_categories: Annotated[tuple[str, ...], NoDecode] = Field(
        ("ins",), description="What the payer is (codes of HL7's organization-type), separated by commas."
    )
    brand_identifier: str | None = Field(
        None, description="Identifier of the payer's brand as system|value. Unset: the address of BRAND_WEBSITE."
    )
    brands_file: Path | None = Field(
        None, description="TOML rows of brands (docs/brands.md), where the payer has several, or portals, or addresses."
    )
    sandbox_url: str | None = Field(
        None, description="Where developers try things out, for the record of this endpoint that is sent to CMS."
    )
    refresh_frequency: str = Field("", description="How often records are loaded, in words, for the same record.")
    appeal_contact: str | None = Field(
        None,
        description="Where the makers of a refused or suspended app appeal, an e-mail address or a URL. Unset: SUPPORT_CONTACT.",
    )
    export_hours: int = Field(
        24, ge=1, le=720, description="How long the files of a member's $export can be fetched; then they are deleted."
    )
    sandbox_file: Path | None = Field(
        None,
        description="The sandbox's own description of itself (test deployments only): the front door shows its sign-ins.",
    )
    sandbox_heavy: bool = Field(
        True, description="Load the sandbox's member with 5,000 claims too (patient-access sandbox only)."
    )
    cookies_secure: bool | None = Field(None, description="Send cookies over https only. Unset: decided from BASE_URL.")
    deprecated_since: date | None = Field(
        None,
        description="Day (UTC) since which this address is deprecated: every FHIR answer says so in a Deprecation header (RFC 9745).",
    )
    sunset_at: date | None = Field(
        None,
        description="Day (UTC) on which this address goes out of service: every FHIR answer says so in a Sunset header (RFC 8594).",
    )

    @field_validator("base_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        parts = urlsplit(value)
        if not parts.hostname or "?" in value or "#" in value or "@" in parts.netloc or not value.isprintable():
            raise ValueError("must be a host, perhaps a port and a path, and nothing else, e.g. https://payer.example")
        if " " in value or parts.port == 0:  # a port that is no number raises ValueError itself
            raise ValueError("must have no spaces, and a port that can be reached")
        return value.rstrip("/")

    @field_validator(
        *("person_identifiers", "served_lines_of_business", "grant_durations", "trusted_proxies"),
        *("brand_logos", "brand_aliases", "brand_categories"),
        mode="before",
    )
    @classmethod
    def _comma_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return tuple(json.loads(value))
            except ValueError as error:
                raise ValueError("must be words separated by commas") from error
        return tuple(code.strip() for code in value.split(",") if code.strip())

    @field_validator("grant_durations")
    @classmethod
    def _known_durations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value) or not set(value) <= {"13-months", "once", "until-revoked"}:
            raise ValueError("must be one or more of 13-months, once and until-revoked, separated by commas")
        return value

    @field_validator("page_size_limit")
    @classmethod
    def _not_below_page_size(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("page_size", 0):
            raise ValueError(f"must not be less than PAGE_SIZE, which is {info.data['page_size']}")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError(f"must be IP addresses or networks, e.g. 10.0.0.0/8; not {network}") from error
        return value

    @field_validator("support_contact", "appeal_contact")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value and not (value.startswith(("https://", "http://")) or value.count("@") == 1):
            raise ValueError("must be an e-mail address or start with https://")
        return value or None

    @field_validator("brand_website", "sandbox_url", "sibling_api_education_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must start with https://")
        return value or None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        if value.startswith("postgresql://"):
            check_postgresql(value)
        return value

    @field_validator("deprecated_since", "sunset_at", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("sunset_at")
    @classmethod
    def _not_before_deprecation(cls, value: date | None, info: ValidationInfo) -> date | None:
        since = info.data.get("deprecated_since")
        if value is not None and since is not None and value < since:
            raise ValueError(f"must not be before DEPRECATED_SINCE, which is {since} (RFC 9745 section 4)")
        return value

    @field_validator("payer_time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is not a time zone of the IANA database, e.g. America/New_York") from error
        return value

    @field_validator("secret_key", "secret_key_previous")
    @classmethod
    def _long_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @property
    def fhir_base(self) -> str:
        """The FHIR base URL, without a trailing slash."""
        return self.base_url + "/fhir"

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file, or None on PostgreSQL."""
        return (
            Path(self.database_url.removeprefix("sqlite:///")) if self.database_url.startswith("sqlite:///") else None
        )

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies are sent over https only."""
        return self.base_url.startswith("https://") if self.cookies_secure is None else self.cookies_secure

    @cached_property
    def time_zone(self) -> ZoneInfo:
        """The payer's time zone."""
        return ZoneInfo(self.payer_time_zone)


class Settings(OperationSettings, DatabaseSettings, IdentitySettings, ServiceSettings):
    """The server's settings. Immutable; tests make their own with keyword arguments."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then files of secrets."""
        return init_settings, env_settings, SecretFiles(settings_cls, init_settings)
