"""The tables of reports on the ledger: its anchors, its daily roll-ups, and the reports that were made and kept.

42 CFR 422.119 and its parallels ask for the reports; architecture, "One ledger", for anchors that can be copied outside the database.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Text
from sqlmodel import Field, SQLModel

from server.storage.columns import CLUSTERED, key_column, time_column


class LedgerPeriod(SQLModel, table=True):
    """A span of whole UTC days [starts, ends) whose chains were anchored; spans follow each other without a gap, and none crosses
    the end of a month. ``rows`` in it by ``writers`` writers; ``digest``: SHA-256 over the period before it and its anchors.
    ``dropped_at``: when its rows were deleted because they were older than the ledger is kept, else None."""

    __tablename__ = "ledger_period"
    starts: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    ends: int = Field(sa_column=time_column())
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    writers: int
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    anchored_at: int = Field(sa_column=time_column())
    dropped_at: int | None = Field(default=None, sa_column=time_column(nullable=True))


class LedgerAnchor(SQLModel, table=True):
    """Where a writer's chain stood when a period ended: its rows ``first`` to ``last`` (sequences, without a gap) lie in the period,
    and ``hash`` is that of the last. After the period is dropped, the chain continues from here."""

    __tablename__ = "ledger_anchor"
    __table_args__ = (CLUSTERED,)
    starts: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    writer: str = Field(primary_key=True)
    first: int = Field(sa_column=Column(BigInteger, nullable=False))
    last: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LedgerDay(SQLModel, table=True):
    """The daily roll-up: how many ``answers`` of a local day agree in what the exclusions of a report look at.

    These are dimensions of the rows, not outcomes, so that a changed exclusion needs no rebuild: ``granted`` (the row has a grant),
    ``status``, and ``resources``, 1 if the answer held any resource of the patient and else 0. ``number`` only tells rows apart.
    """

    __tablename__ = "ledger_day"
    __table_args__ = (CLUSTERED,)
    day: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    environment: str
    client_id: str
    client_kind: str
    granted: bool
    patient: str
    status: int
    resources: int
    answers: int


class LedgerDayBuilt(SQLModel, table=True):
    """What a daily roll-up was made of: the ledger ``rows`` of the local day, of every kind, and the ``answers`` among them.

    ``digest``: SHA-256 over where each writer's chain stood; it differs as soon as the day has another row.
    """

    __tablename__ = "ledger_day_built"
    day: str = Field(primary_key=True)
    time_zone: str
    starts: int = Field(sa_column=time_column())
    ends: int = Field(sa_column=time_column())
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    answers: int = Field(sa_column=Column(BigInteger, nullable=False))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    built_at: int = Field(sa_column=time_column())


class StoredReport(SQLModel, table=True):
    """Append-only: a report as it was made. ``kind``: usage | prior-authorization. ``month`` 0: the whole year. ``parameters``: JSON
    of everything it was asked with; ``known_at``: the moment whose knowledge of persons and enrolments it used.

    ``ledger_*``: the span [starts, ends) of the ledger it covers, the rows in it and their digest; ``sha256``: of ``content``, as hex.
    """

    __tablename__ = "stored_report"
    __table_args__ = (Index("stored_report_by_period", "kind", "year", "month", "generated_at"),)
    id: str = Field(primary_key=True)
    kind: str
    year: int
    month: int
    environment: str
    level: str
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    definition: str
    definition_version: str
    known_at: int = Field(sa_column=time_column())
    generated_at: int = Field(sa_column=time_column())
    generated_by: str
    ledger_starts: int = Field(sa_column=time_column())
    ledger_ends: int = Field(sa_column=time_column())
    ledger_rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    ledger_digest: str
    sha256: str
    content: str = Field(sa_column=Column(Text, nullable=False))


class PublishedReport(SQLModel, table=True):
    """Append-only: a stored report was made public; of each kind, year and environment, what was published last is shown."""

    __tablename__ = "published_report"
    key: int | None = Field(default=None, sa_column=key_column())
    report: str
    published_at: int = Field(sa_column=time_column())
    published_by: str
