"""All tables, those of the authorization server and of reports on pages of their own. Every time is whole microseconds since 1970 UTC (BIGINT); every date is ISO text.

Versions and tombstones: https://hl7.org/fhir/R4/http.html#vread and #delete; the ledger: architecture, "One ledger".
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from server.storage.authorization_schema import Client
from server.storage.columns import BYTEWISE, CLUSTERED, KEY, key_column, time_column
from server.storage.export_schema import ExportJob
from server.storage.report_schema import LedgerDay

DIRECTORY = ""
"""``patient`` of a resource that all members share."""
UNASSIGNED = "?"
"""``patient`` of a resource whose member is not known yet (it is not served); no FHIR id contains this character."""

NAMED = "*"
"""``patient`` of a resource that belongs to every member one of whose resources names it (see ``NAMES``)."""
NAMES = "_names"
"""``parameter`` of the reference entries by which a resource gives its member to what it names."""
HIDDEN = "substr(parameter, 1, 1) = '_'"
"""Which reference entries are no search parameter's. No ``=`` between a column and a constant: SQLite would prepare every statement
that compares the column with a value anew for each value."""


class Resource(SQLModel, table=True):
    """The current version of every resource. ``hash`` is of the input as it came, without server-assigned meta."""

    __tablename__ = "resource"
    __table_args__ = (
        UniqueConstraint("type", "id"),
        Index("resource_by_member", "patient", "type", "key"),
        Index("resource_by_load", "patient", "loaded_at"),
    )
    key: int | None = Field(default=None, sa_column=key_column())
    patient: str
    type: str
    id: str
    version: str
    last_updated: int = Field(sa_column=time_column())
    loaded_at: int = Field(sa_column=time_column())
    deleted: bool = False
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ResourceVersion(SQLModel, table=True):
    """Superseded versions, and the tombstone a resource leaves when it moves to another member (``deleted``, no body)."""

    __tablename__ = "resource_version"
    __table_args__ = (UniqueConstraint("type", "id", "version"), Index("version_by_member", "patient", "loaded_at"))
    key: int | None = Field(default=None, sa_column=key_column())
    patient: str
    type: str
    id: str
    version: str
    last_updated: int = Field(sa_column=time_column())
    loaded_at: int = Field(sa_column=time_column())
    deleted: bool = False
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LoadClock(SQLModel, table=True):
    """One row: the last ``loaded_at`` given out. Writers lock it, so loads are numbered in commit order."""

    __tablename__ = "load_clock"
    id: int = Field(default=1, primary_key=True)
    loaded_at: int = Field(sa_column=time_column())


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
        CLUSTERED,
    )
    resource: int = Field(sa_column=Column(KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    system: str = Field(primary_key=True)
    patient: str


class ReferenceIndex(SQLModel, table=True):
    """Reference search entries of current versions; also what includes and reverse includes follow."""

    __tablename__ = "reference_index"
    __table_args__ = (
        Index("reference_to_target", "patient", "target_id", "target_type"),
        Index(
            "reference_that_names",
            "target_type",
            "target_id",
            sqlite_where=text(HIDDEN),
            postgresql_where=text(HIDDEN),
        ),
        CLUSTERED,
    )
    resource: int = Field(sa_column=Column(KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    target_type: str = Field(primary_key=True)
    target_id: str = Field(primary_key=True)
    target_version: str = Field(primary_key=True, default="")
    patient: str


class DateIndex(SQLModel, table=True):
    """Date search entries of current versions: half-open intervals [low, high)."""

    __tablename__ = "date_index"
    __table_args__ = (CLUSTERED,)
    resource: int = Field(sa_column=Column(KEY, primary_key=True, autoincrement=False))
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
        CLUSTERED,
    )
    resource: int = Field(sa_column=Column(KEY, primary_key=True, autoincrement=False))
    parameter: str = Field(primary_key=True)
    exact: str = Field(primary_key=True)
    folded: str = Field(sa_column=Column(BYTEWISE, nullable=False))
    patient: str


class AwaitedReference(SQLModel, table=True):
    """A conditional reference served as a logical one until a resource with that identifier arrives."""

    __tablename__ = "awaited_reference"
    __table_args__ = (Index("awaited_by_identifier", "target_type", "value"),)
    resource: int = Field(sa_column=Column(KEY, primary_key=True, autoincrement=False))
    target_type: str = Field(primary_key=True)
    system: str = Field(primary_key=True)
    value: str = Field(primary_key=True)


class PersonLink(SQLModel, table=True):
    """Append-only: the person behind a Patient id; the latest row wins, so a merge or unmerge is a new row."""

    __tablename__ = "person_link"
    __table_args__ = (Index("person_link_by_patient", "patient", "recorded_at"),)
    key: int | None = Field(default=None, sa_column=key_column())
    patient: str
    system: str
    value: str
    recorded_at: int = Field(sa_column=time_column())


class ReportingUnit(SQLModel, table=True):
    """What CMS counts by: an MA contract, a Medicaid or CHIP plan in a program, a State, a marketplace issuer."""

    __tablename__ = "reporting_unit"
    __table_args__ = (UniqueConstraint("line_of_business", "contract", "plan", "program", "issuer", "state"),)
    key: int | None = Field(default=None, sa_column=key_column())
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
    key: int | None = Field(default=None, sa_column=key_column())
    patient: str
    coverage_id: str
    unit: int | None = Field(sa_column=Column(KEY, nullable=True))
    start: str
    until: str
    recorded_at: int = Field(sa_column=time_column())


class Member(SQLModel, table=True):
    """What the token check must know of a member; one without a row is production, and no enrolment of theirs is recorded.

    ``enrolled`` repeats the latest spells for that check: words ``line-of-business|until`` (ISO, inclusive, '' open), '' none recorded.
    """

    __tablename__ = "member"
    patient: str = Field(primary_key=True)
    environment: str = "production"
    enrolled: str = Field(default="", sa_column=Column(Text, nullable=False))


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
    key: int | None = Field(default=None, sa_column=key_column())
    id: str
    event_type: str
    at: int = Field(sa_column=time_column())
    authorization: str
    authorization_number: str
    patient: str
    coverage_id: str
    unit: int | None = Field(default=None, sa_column=time_column(nullable=True))
    priority: str
    drug: bool
    decision: str
    reason_system: str
    reason_code: str
    reason_text: str = Field(sa_column=Column(Text, nullable=False))
    items: str = Field(sa_column=Column(Text, nullable=False))
    corrects: str
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    recorded_at: int = Field(sa_column=time_column())


class LedgerRow(SQLModel, table=True):
    """Append-only, hash-chained per writer. One row per answer, grant, revocation, app decision or refusal, and per dropped month.

    ``kind``: answer | grant | revocation | app | refusal | ledger. ``environment`` is production only if deployment, client and member all
    were. ``resources`` counts patient-specific resources in the answer. ``hash`` covers the previous hash and this row.

    On PostgreSQL it is partitioned by month (see ``ledger_partitions``), which is why ``at`` is in the key: a sequence is one writer's own
    all the same, and two rows of one are found by ``verify``.
    """

    __tablename__ = "ledger"
    __table_args__ = (
        Index("ledger_by_time", "at"),
        Index("ledger_by_patient", "patient", "at"),
        CLUSTERED | {"postgresql_partition_by": "RANGE (at)"},
    )
    writer: str = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
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
"""Of all pages."""
assert Client.metadata is ExportJob.metadata is METADATA
assert LedgerDay.metadata is METADATA
