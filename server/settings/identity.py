"""Settings of who signs members in: accounts of this server, or the payer's own OpenID provider (docs/identity.md).

https://openid.net/specs/openid-connect-core-1_0.html
"""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings


class IdentitySettings(BaseSettings):
    """Who the member is, and who may act for whom."""

    identity: Literal["local", "oidc"] = Field(
        "local",
        description="Who signs members in: local (accounts of this server), or oidc (the payer's own OpenID provider).",
    )
    require_totp: bool = Field(
        False,
        description="Local accounts must use one-time codes (RFC 6238); who has none sets them up when signing in.",
    )
    oidc_issuer: str | None = Field(
        None, description="IDENTITY=oidc: the provider's issuer, exactly as its discovery document names it."
    )
    oidc_client_id: str | None = Field(
        None,
        description="This server's client id at the provider; its redirect URI there is BASE_URL/sign-in/callback, its post-logout redirect URI BASE_URL/signed-out.",
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="This server's client secret at the provider. Unset: it is a public client there (PKCE)."
    )
    oidc_scopes: str = Field(
        "openid profile", description="Scopes asked of the provider, separated by spaces; openid among them."
    )
    oidc_member_claim: str = Field(
        "member", description="Claim (of the id_token, or else of userinfo) that names the member who signed in."
    )
    oidc_member_identifier_system: str = Field(
        "", description="System of the Patient identifier that the claims' values are. Empty: they are Patient ids."
    )
    oidc_represents_claim: str = Field(
        "",
        description="Claim that lists the members the person acts for: values, or objects with member, relationship, authority, until and related_person.",
    )
    oidc_name_claim: str = Field("name", description="Claim with the person's name, as the pages greet them.")
    oidc_clock_skew_seconds: int = Field(
        60, ge=0, le=600, description="How far the provider's clock may differ from this server's."
    )
    age_of_majority: int = Field(
        18, ge=14, le=25, description="Birthday on which the authority of a parent or guardian over a minor ends."
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if not value:
            return None
        parts = urlsplit(value)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not (parts.scheme == "https" or local) or not parts.hostname or "?" in value or "#" in value:
            raise ValueError("must be an https address without query and fragment, e.g. https://login.payer.example")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _openid_scope(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must have the scope openid among others, separated by spaces")
        return value

    @model_validator(mode="after")
    def _provider_named(self) -> Self:
        if self.identity == "oidc" and not (self.oidc_issuer and self.oidc_client_id and self.oidc_member_claim):
            raise ValueError("IDENTITY=oidc needs OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_MEMBER_CLAIM")
        return self
