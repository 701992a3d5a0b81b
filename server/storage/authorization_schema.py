"""The tables of the authorization server: apps, accounts, sessions, grants, codes, tokens, keys and limits.

https://www.rfc-editor.org/rfc/rfc6749 - passwords are argon2; random secrets, codes and tokens are stored as SHA-256.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from server.storage.columns import CLUSTERED, key_column, time_column


class Client(SQLModel, table=True):
    """A registered app. ``secret_hash`` is SHA-256 of a random secret; ``kind``: third-party, payer (its own portal), probe.

    ``jwks`` (JSON) or ``jwks_uri``: the public keys of a private_key_jwt client. ``details``: its other RFC 7591 metadata, as JSON.
    ``registration_hash``: SHA-256 of the RFC 7592 registration access token. ``registered_by``: operator, self or a statement's issuer.
    """

    __tablename__ = "client"
    id: str = Field(primary_key=True)
    name: str
    kind: str = "third-party"
    environment: str = "production"
    status: str = "active"
    authentication: str
    secret_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    redirect_uris: str = Field(sa_column=Column(Text, nullable=False))
    scope: str = Field(default="", sa_column=Column(Text, nullable=False))
    jwks: str = Field(default="", sa_column=Column(Text, nullable=False))
    jwks_uri: str = ""
    details: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    registration_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    registered_by: str = "operator"
    created_at: int = Field(sa_column=time_column())
    suspended_at: int | None = Field(default=None, sa_column=time_column(nullable=True))
    suspended_reason: str = ""


class ClientDecision(SQLModel, table=True):
    """Append-only: a decision on an app (``decision``: refused, suspended, resumed), by which published criterion and evidence,
    by whom, the notice sent and the way to appeal (42 CFR 422.119(e))."""

    __tablename__ = "client_decision"
    __table_args__ = (Index("client_decision_by_client", "client_id", "decided_at"),)
    key: int | None = Field(default=None, sa_column=key_column())
    client_id: str
    decision: str
    criterion: str
    evidence: str = Field(sa_column=Column(Text, nullable=False))
    decided_by: str
    notice: str = Field(sa_column=Column(Text, nullable=False))
    appeal: str = Field(sa_column=Column(Text, nullable=False))
    decided_at: int = Field(sa_column=time_column())


class Account(SQLModel, table=True):
    """A member's or representative's sign-in. ``password_hash`` is argon2; ``failures`` counts wrong passwords in a row.

    ``totp_secret`` is encrypted with the secret key; ``totp_step`` is the last time step used. An account of the payer's own
    OpenID provider has ``issuer`` and ``subject``, and no password ('').
    """

    __tablename__ = "account"
    __table_args__ = (Index("account_by_subject", "issuer", "subject"),)
    id: str = Field(primary_key=True)
    username: str = Field(unique=True)
    password_hash: str
    display_name: str
    created_at: int = Field(sa_column=time_column())
    failures: int = 0
    failed_at: int = Field(default=0, sa_column=time_column())
    totp_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    totp_step: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    issuer: str = ""
    subject: str = ""


class AccountRole(SQLModel, table=True):
    """What an account may do beyond a member's own matters. ``role``: compliance (reads the reports' pages)."""

    __tablename__ = "account_role"
    account: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    granted_at: int = Field(sa_column=time_column())


class AccountMember(SQLModel, table=True):
    """Whom an account may act for: themself (``relationship`` self) or a member they represent.

    ``authority``: self; minor (parent or guardian, until the member is of age); adult (court-ordered, or power of attorney); consent (of the
    member). ``until``: its last day, ISO, '' open.
    """

    __tablename__ = "account_member"
    account: str = Field(primary_key=True)
    patient: str = Field(primary_key=True)
    relationship: str = "self"
    related_person: str = ""
    authority: str = "self"
    until: str = ""


class SignInSession(SQLModel, table=True):
    """A signed-in browser; the cookie is random and stored as SHA-256. ``provider_token``: the encrypted id_token of the
    payer's own OpenID provider, for its logout."""

    __tablename__ = "sign_in_session"
    __table_args__ = (Index("sign_in_session_by_end", "expires_at"),)
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: str
    authenticated_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    provider_token: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


class AuthorizationRequest(SQLModel, table=True):
    """A checked /authorize request while the member signs in and decides; its reference is random and stored as SHA-256."""

    __tablename__ = "authorization_request"
    __table_args__ = (Index("authorization_request_by_end", "expires_at"),)
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    client_id: str
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: int = Field(sa_column=time_column())


class PushedRequest(SQLModel, table=True):
    """A pushed authorization request (RFC 9126), used once; its request_uri is random and stored as SHA-256."""

    __tablename__ = "pushed_request"
    __table_args__ = (Index("pushed_request_by_end", "expires_at"),)
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    client_id: str
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: int = Field(sa_column=time_column())


class Grant(SQLModel, table=True):
    """What a member allowed an app: immutable but for its end, set once. ``actor``: self, representative, or system (no member).

    ``withheld``: the consent categories left out, separated by spaces. ``duration``: as chosen (once, 13-months, until-revoked, online).
    ``session_hash``: of the sign-in session, for ``online_access``. ``code_hash``: of its authorization code, so that a replay is
    noticed. ``ended_code``: the stable error_code that the app is told.
    """

    __tablename__ = "grant"
    __table_args__ = (
        Index("grant_by_patient", "patient", "client_id"),
        Index("grant_by_code", "code_hash"),
        Index("grant_by_session", "session_hash"),
    )
    id: str = Field(primary_key=True)
    client_id: str
    account: str
    patient: str
    actor: str
    fhir_user: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    created_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    ended_at: int | None = Field(default=None, sa_column=time_column(nullable=True))
    ended_reason: str = ""
    ended_code: str = ""
    withheld: str = ""
    duration: str = ""
    session_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    code_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


class AuthorizationCode(SQLModel, table=True):
    """A one-time code, stored as SHA-256, consumed by one atomic delete; its grant keeps the hash, so that a replay is noticed."""

    __tablename__ = "authorization_code"
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    grant_id: str
    client_id: str
    redirect_uri: str = Field(sa_column=Column(Text, nullable=False))
    code_challenge: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    nonce: str = ""
    authenticated_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())


class AccessToken(SQLModel, table=True):
    """An opaque bearer token, stored as SHA-256."""

    __tablename__ = "access_token"
    __table_args__ = (Index("access_token_by_grant", "grant_id"), Index("access_token_by_end", "expires_at"))
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    grant_id: str
    client_id: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    issued_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    revoked_at: int | None = Field(default=None, sa_column=time_column(nullable=True))


class RefreshToken(SQLModel, table=True):
    """A refresh token, stored as SHA-256; rotated at each use, ``rotated_at`` once."""

    __tablename__ = "refresh_token"
    __table_args__ = (Index("refresh_token_by_grant", "grant_id"), Index("refresh_token_by_end", "expires_at"))
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    grant_id: str
    client_id: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    issued_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    rotated_at: int | None = Field(default=None, sa_column=time_column(nullable=True))


class SigningKey(SQLModel, table=True):
    """An RS256 key for id_tokens; ``private_key`` is encrypted with the secret key. It is published from ``created_at``, signs from
    ``active_at`` until a newer one does, and is published until ``retired_at``."""

    __tablename__ = "signing_key"
    kid: str = Field(primary_key=True)
    private_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: int = Field(sa_column=time_column())
    active_at: int = Field(sa_column=time_column())
    retired_at: int | None = Field(default=None, sa_column=time_column(nullable=True))


class ClientAssertion(SQLModel, table=True):
    """A ``jti`` that a client used in a signed assertion: it is refused until that assertion has expired (RFC 7523 section 3)."""

    __tablename__ = "client_assertion"
    __table_args__ = (Index("client_assertion_by_end", "expires_at"),)
    client_id: str = Field(primary_key=True)
    jti_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    expires_at: int = Field(sa_column=time_column())


class Attempts(SQLModel, table=True):
    """Failed guesses in a window of time, by what was guessed and from where; ``key`` is a SHA-256, no address is stored."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_by_end", "expires_at"), CLUSTERED)
    kind: str = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    count: int = 0
    expires_at: int = Field(sa_column=time_column())


class Permits(SQLModel, table=True):
    """Requests that workers leased for a client in a window of time: the rate limit held across workers."""

    __tablename__ = "permits"
    __table_args__ = (CLUSTERED,)
    client_id: str = Field(primary_key=True)
    window: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    leased: int = 0
