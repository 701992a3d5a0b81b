"""All tables on one page. Every time is whole microseconds since 1970 UTC (BIGINT); every date is ISO text.

Versions and tombstones: https://hl7.org/fhir/R4/http.html#vread and #delete; the ledger: architecture, "One ledger".
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

DIRECTORY = ""
"""``patient`` of a resource that all members share."""
UNASSIGNED = "?"
"""``patient`` of a resource whose member is not known yet (it is not served); no FHIR id contains this character."""

NAMED = "*"
"""``patient`` of a resource that belongs to every member one of whose resources names it (see ``NAMES``)."""
NAMES = "_names"
"""``parameter`` of the reference entries by which a resource gives its member to what it names."""

_KEY = BigInteger().with_variant(Integer, "sqlite")
_BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte on both databases, so that starts-with is a range."""
_CLUSTERED = {"sqlite_with_rowid": False}


def _key() -> Column[int]:
    return Column(_KEY, primary_key=True, autoincrement=True)


def _time(nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class Resource(SQLModel, table=True):
    """The current version of every resource. ``hash`` is of the input as it came, without server-assigned meta."""

    __tablename__ = "resource"
    __table_args__ = (
        UniqueConstraint("type", "id"),
        Index("resource_by_member", "patient", "type", "key"),
        Index("resource_by_load", "patient", "loaded_at"),
    )
    key: int | None = Field(default=None, sa_column=_key())
    patient: str
    type: str
    id: str
    version: str
    last_updated: int = Field(sa_column=_time())
    loaded_at: int = Field(sa_column=_time())
    deleted: bool = False
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ResourceVersion(SQLModel, table=True):
    """Superseded versions, and the tombstone a resource leaves when it moves to another member (``deleted``, no body)."""

    __tablename__ = "resource_version"
    __table_args__ = (UniqueConstraint("type", "id", "version"), Index("version_by_member", "patient", "loaded_at"))
    key: int | None = Field(default=None, sa_column=_key())
    patient: str
    type: str
    id: str
    version: str
    last_updated: int = Field(sa_column=_time())
    loaded_at: int = Field(sa_column=_time())
    deleted: bool = False
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LoadClock(SQLModel, table=True):
    """One row: the last ``loaded_at`` given out. Writers lock it, so loads are numbered in commit order."""

    __tablename__ = "load_clock"
    id: int = Field(default=1, primary_key=True)
    loaded_at: int = Field(sa_column=_time())


class TokenIndex(SQLModel, table=True):
    """Token search entries of current versions. No system is the empty string."""

    __tablename__ = "token_index"
    __table_args__ = (
        Index(
            "token_of_directory",
            "parameter",
            "code",
            sqlite_where=text("patient = ''"),
            postgresql_where=text("patient = ''"),
        ),
        _CLUSTERED,
    )
    resource: int = Field(sa_column=Column(_KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    system: str = Field(primary_key=True)
    patient: str


class ReferenceIndex(SQLModel, table=True):
    """Reference search entries of current versions; also what includes and reverse includes follow."""

    __tablename__ = "reference_index"
    __table_args__ = (Index("reference_to_target", "patient", "target_id", "target_type"), _CLUSTERED)
    resource: int = Field(sa_column=Column(_KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    target_type: str = Field(primary_key=True)
    target_id: str = Field(primary_key=True)
    target_version: str = Field(primary_key=True, default="")
    patient: str


class DateIndex(SQLModel, table=True):
    """Date search entries of current versions: half-open intervals [low, high)."""

    __tablename__ = "date_index"
    __table_args__ = (_CLUSTERED,)
    resource: int = Field(sa_column=Column(_KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    low: int = Field(sa_column=Column(BigInteger, primary_key=True))
    high: int = Field(sa_column=Column(BigInteger, primary_key=True))
    patient: str


class StringIndex(SQLModel, table=True):
    """String search entries of current versions: folded for starts-with, and as written."""

    __tablename__ = "string_index"
    __table_args__ = (
        Index(
            "string_of_directory",
            "parameter",
            "folded",
            sqlite_where=text("patient = ''"),
            postgresql_where=text("patient = ''"),
        ),
        _CLUSTERED,
    )
    resource: int = Field(sa_column=Column(_KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    exact: str = Field(primary_key=True)
    folded: str = Field(sa_column=Column(_BYTEWISE, nullable=False))
    patient: str


class AwaitedReference(SQLModel, table=True):
    """A conditional reference served as a logical one until a resource with that identifier arrives."""

    __tablename__ = "awaited_reference"
    __table_args__ = (Index("awaited_by_identifier", "target_type", "value"),)
    resource: int = Field(sa_column=Column(_KEY, primary_key=True, autoincrement=False))
    target_type: str = Field(primary_key=True)
    system: str = Field(primary_key=True)
    value: str = Field(primary_key=True)


class PersonLink(SQLModel, table=True):
    """Append-only: the person behind a Patient id; the latest row wins, so a merge or unmerge is a new row."""

    __tablename__ = "person_link"
    __table_args__ = (Index("person_link_by_patient", "patient", "recorded_at"),)
    key: int | None = Field(default=None, sa_column=_key())
    patient: str
    system: str
    value: str
    recorded_at: int = Field(sa_column=_time())


class ReportingUnit(SQLModel, table=True):
    """What CMS counts by: an MA contract, a Medicaid or CHIP plan in a program, a State, a marketplace issuer."""

    __tablename__ = "reporting_unit"
    __table_args__ = (UniqueConstraint("line_of_business", "contract", "plan", "program", "issuer", "state"),)
    key: int | None = Field(default=None, sa_column=_key())
    line_of_business: str
    contract: str = ""
    plan: str = ""
    program: str = ""
    issuer: str = ""
    state: str = ""


class Enrolment(SQLModel, table=True):
    """Append-only: a member's spell in a reporting unit by Coverage; per Coverage the latest row wins. ``until`` is inclusive,
    '' open; a row with ``unit`` None withdraws the Coverage."""

    __tablename__ = "enrolment"
    __table_args__ = (Index("enrolment_by_patient", "patient", "coverage_id", "recorded_at"),)
    key: int | None = Field(default=None, sa_column=_key())
    patient: str
    coverage_id: str
    unit: int | None = Field(sa_column=Column(_KEY, nullable=True))
    start: str
    until: str
    recorded_at: int = Field(sa_column=_time())


class Member(SQLModel, table=True):
    """What the token check must know of a member; one without a row is production, and no enrolment of theirs is recorded.

    ``enrolled`` repeats the latest spells for that check: words ``line-of-business|until`` (ISO, inclusive, '' open), '' none recorded.
    """

    __tablename__ = "member"
    patient: str = Field(primary_key=True)
    environment: str = "production"
    enrolled: str = Field(default="", sa_column=Column(Text, nullable=False))


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
    created_at: int = Field(sa_column=_time())
    suspended_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    suspended_reason: str = ""


class ClientDecision(SQLModel, table=True):
    """Append-only: a decision on an app (``decision``: refused, suspended, resumed), by which published criterion and evidence,
    by whom, the notice sent and the way to appeal (42 CFR 422.119(e))."""

    __tablename__ = "client_decision"
    __table_args__ = (Index("client_decision_by_client", "client_id", "decided_at"),)
    key: int | None = Field(default=None, sa_column=_key())
    client_id: str
    decision: str
    criterion: str
    evidence: str = Field(sa_column=Column(Text, nullable=False))
    decided_by: str
    notice: str = Field(sa_column=Column(Text, nullable=False))
    appeal: str = Field(sa_column=Column(Text, nullable=False))
    decided_at: int = Field(sa_column=_time())


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
    created_at: int = Field(sa_column=_time())
    failures: int = 0
    failed_at: int = Field(default=0, sa_column=_time())
    totp_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    totp_step: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    issuer: str = ""
    subject: str = ""


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
    authenticated_at: int = Field(sa_column=_time())
    expires_at: int = Field(sa_column=_time())
    provider_token: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


class AuthorizationRequest(SQLModel, table=True):
    """A checked /authorize request while the member signs in and decides; its reference is random and stored as SHA-256."""

    __tablename__ = "authorization_request"
    __table_args__ = (Index("authorization_request_by_end", "expires_at"),)
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    client_id: str
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: int = Field(sa_column=_time())


class PushedRequest(SQLModel, table=True):
    """A pushed authorization request (RFC 9126), used once; its request_uri is random and stored as SHA-256."""

    __tablename__ = "pushed_request"
    __table_args__ = (Index("pushed_request_by_end", "expires_at"),)
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    client_id: str
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: int = Field(sa_column=_time())


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
    created_at: int = Field(sa_column=_time())
    expires_at: int = Field(sa_column=_time())
    ended_at: int | None = Field(default=None, sa_column=_time(nullable=True))
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
    authenticated_at: int = Field(sa_column=_time())
    expires_at: int = Field(sa_column=_time())


class AccessToken(SQLModel, table=True):
    """An opaque bearer token, stored as SHA-256."""

    __tablename__ = "access_token"
    __table_args__ = (Index("access_token_by_grant", "grant_id"), Index("access_token_by_end", "expires_at"))
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    grant_id: str
    client_id: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    issued_at: int = Field(sa_column=_time())
    expires_at: int = Field(sa_column=_time())
    revoked_at: int | None = Field(default=None, sa_column=_time(nullable=True))


class RefreshToken(SQLModel, table=True):
    """A refresh token, stored as SHA-256; rotated at each use, ``rotated_at`` once."""

    __tablename__ = "refresh_token"
    __table_args__ = (Index("refresh_token_by_grant", "grant_id"), Index("refresh_token_by_end", "expires_at"))
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    grant_id: str
    client_id: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    issued_at: int = Field(sa_column=_time())
    expires_at: int = Field(sa_column=_time())
    rotated_at: int | None = Field(default=None, sa_column=_time(nullable=True))


class SigningKey(SQLModel, table=True):
    """An RS256 key for id_tokens; ``private_key`` is encrypted with the secret key. It is published from ``created_at``, signs from
    ``active_at`` until a newer one does, and is published until ``retired_at``."""

    __tablename__ = "signing_key"
    kid: str = Field(primary_key=True)
    private_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: int = Field(sa_column=_time())
    active_at: int = Field(sa_column=_time())
    retired_at: int | None = Field(default=None, sa_column=_time(nullable=True))


class ClientAssertion(SQLModel, table=True):
    """A ``jti`` that a client used in a signed assertion: it is refused until that assertion has expired (RFC 7523 section 3)."""

    __tablename__ = "client_assertion"
    __table_args__ = (Index("client_assertion_by_end", "expires_at"),)
    client_id: str = Field(primary_key=True)
    jti_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    expires_at: int = Field(sa_column=_time())


class Attempts(SQLModel, table=True):
    """Failed guesses in a window of time, by what was guessed and from where; ``key`` is a SHA-256, no address is stored."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_by_end", "expires_at"), _CLUSTERED)
    kind: str = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    count: int = 0
    expires_at: int = Field(sa_column=_time())


class Permits(SQLModel, table=True):
    """Requests that workers leased for a client in a window of time: the rate limit held across workers."""

    __tablename__ = "permits"
    __table_args__ = (_CLUSTERED,)
    client_id: str = Field(primary_key=True)
    window: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    leased: int = 0


class AuthorizationEvent(SQLModel, table=True):
    """Append-only: what happened to a prior authorization and when. A mistake is put right by a later row that ``corrects`` it.

    ``authorization`` is the id of the resource that shows it. ``unit`` NULL: that of the member's enrolment by ``coverage_id``.
    ``items`` is a JSON list of what was asked for; ``hash`` is of the line as it came."""

    __tablename__ = "authorization_event"
    __table_args__ = (
        UniqueConstraint("id"),
        Index("authorization_event_by_time", "at"),
        Index("authorization_event_by_authorization", "authorization", "at"),
    )
    key: int | None = Field(default=None, sa_column=_key())
    id: str
    event_type: str
    at: int = Field(sa_column=_time())
    authorization: str
    authorization_number: str
    patient: str
    coverage_id: str
    unit: int | None = Field(default=None, sa_column=_time(nullable=True))
    priority: str
    drug: bool
    decision: str
    reason_system: str
    reason_code: str
    reason_text: str = Field(sa_column=Column(Text, nullable=False))
    items: str = Field(sa_column=Column(Text, nullable=False))
    corrects: str
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    recorded_at: int = Field(sa_column=_time())


class LedgerRow(SQLModel, table=True):
    """Append-only, hash-chained per writer. One row per answer, grant, revocation, app decision or refusal.

    ``kind``: answer | grant | revocation | app | refusal. ``environment`` is production only if deployment, client and member all
    were. ``resources`` counts patient-specific resources in the answer. ``hash`` covers the previous hash and this row.
    """

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_by_time", "at"), Index("ledger_by_patient", "patient", "at"), _CLUSTERED)
    writer: str = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: int = Field(sa_column=_time())
    kind: str
    request_id: str
    environment: str
    client_id: str
    client_kind: str
    grant_id: str
    patient: str
    actor: str
    interaction: str
    resource_type: str
    status: int
    resources: int
    detail: str = Field(sa_column=Column(Text, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


METADATA = SQLModel.metadata
