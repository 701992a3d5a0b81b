"""The tables of exports: jobs, their files in compressed pieces, and the shared resources that are still to be written.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html - in the database, so that any worker serves them and takes over a dead one's job.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from server.storage.columns import CLUSTERED, key_column, time_column


class ExportJob(SQLModel, table=True):
    """An export of one member's data for one client. ``status``: running | completed | failed | deleted (nobody is told of it any more).

    ``running_for`` names client and member while it runs, so that there is one at a time. ``scope`` is the token's, ``views`` (JSON)
    what of each type it could see. ``watermark``: the load all of it was read at. ``progress`` (JSON): where to go on. ``worker``
    writes until ``lease_until``, then another may; ``attempts`` counts who began without getting any further.
    """

    __tablename__ = "export_job"
    __table_args__ = (
        Index("export_job_by_member", "patient", "client_id"),
        Index("export_job_by_end", "expires_at"),
        Index("export_job_by_lease", "status", "lease_until"),
    )
    id: str = Field(primary_key=True)
    client_id: str
    patient: str
    actor: str
    grant_id: str
    scope: str = Field(sa_column=Column(Text, nullable=False))
    views: str = Field(sa_column=Column(Text, nullable=False))
    request: str = Field(sa_column=Column(Text, nullable=False))
    since: int = Field(sa_column=time_column())
    watermark: int = Field(sa_column=time_column())
    started_at: int = Field(sa_column=time_column())
    expires_at: int = Field(sa_column=time_column())
    status: str
    running_for: str | None = Field(default=None, unique=True)
    progress: str = Field(sa_column=Column(Text, nullable=False))
    resources: int = Field(sa_column=Column(BigInteger, nullable=False))
    worker: str
    lease_until: int = Field(sa_column=time_column())
    attempts: int


class ExportFile(SQLModel, table=True):
    """A file of an export: one for each resource type, or of what was deleted. ``size`` and ``compressed`` are in bytes; ``own`` counts
    the member's own resources."""

    __tablename__ = "export_file"
    __table_args__ = (CLUSTERED,)
    job: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    lines: int = Field(sa_column=Column(BigInteger, nullable=False))
    own: int = Field(sa_column=Column(BigInteger, nullable=False))
    chunks: int
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    compressed: int = Field(sa_column=Column(BigInteger, nullable=False))


class ExportChunk(SQLModel, table=True):
    """A piece of a file: whole lines, as one gzip member."""

    __tablename__ = "export_chunk"
    __table_args__ = (UniqueConstraint("job", "file", "number"),)
    key: int | None = Field(default=None, sa_column=key_column())
    job: str
    file: str
    number: int
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ExportReference(SQLModel, table=True):
    """A shared resource that something in an export names, each once; ``round``: how many references away from the member's own."""

    __tablename__ = "export_reference"
    __table_args__ = (CLUSTERED,)
    job: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    round: int
