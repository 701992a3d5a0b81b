"""Every query about exports: jobs and their leases, files in pieces, what is still to be written, and what is over.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html - a worker writes only while the job is its own: each step begins with that question.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Table, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from server import clock
from server.storage.database import DatabaseUnavailableError, Transaction
from server.storage.export_schema import ExportChunk, ExportFile, ExportJob, ExportReference

JOB: Table = ExportJob.__table__  # type: ignore[attr-defined]
FILE: Table = ExportFile.__table__  # type: ignore[attr-defined]
CHUNK: Table = ExportChunk.__table__  # type: ignore[attr-defined]
REFERENCE: Table = ExportReference.__table__  # type: ignore[attr-defined]

RUNNING, COMPLETED, FAILED, DELETED = "running", "completed", "failed", "deleted"
MOST_KEPT = 5
"""Jobs kept of one client for one member: the oldest that is done makes room for a new one."""
AT_ONCE = 16
"""Pieces of files that one transaction deletes."""


class Job(NamedTuple):
    """A job as it is stored; see ``ExportJob`` for the columns."""

    id: str
    client_id: str
    patient: str
    actor: str
    grant_id: str
    scope: str
    views: str
    request: str
    since: int
    watermark: int
    started_at: int
    expires_at: int
    status: str
    running_for: str | None
    progress: str
    resources: int
    worker: str
    lease_until: int
    attempts: int


class File(NamedTuple):
    """A file of a job; see ``ExportFile`` for the columns."""

    job: str
    name: str
    lines: int
    own: int
    chunks: int
    size: int
    compressed: int


class Piece(NamedTuple):
    """What a step adds to a file: a gzip member of whole lines, ``own`` of them the member's own resources."""

    file: str
    body: bytes
    lines: int
    own: int
    size: int


_JOB = [JOB.c[name] for name in Job._fields]
_ID = JOB.c.id == bindparam("job")

# -- what requests ask -----------------------------------------------------------------------------------------------

JOB_BY_ID = select(*_JOB).where(_ID, JOB.c.status != DELETED, JOB.c.expires_at > bindparam("moment"))
"""A job that somebody may be told of. Values: job, moment."""
FILES_OF_JOB = (
    select(*[FILE.c[name] for name in File._fields]).where(FILE.c.job == bindparam("job")).order_by(FILE.c.name)
)
"""Values: job."""
CHUNK_OF_FILE = select(CHUNK.c.body).where(
    CHUNK.c.job == bindparam("job"), CHUNK.c.file == bindparam("file"), CHUNK.c.number == bindparam("number")
)
"""Values: job, file, number."""
_RUNNING_JOB = select(*_JOB).where(JOB.c.running_for == bindparam("running_for"))
_INSERT_JOB = insert(JOB).on_conflict_do_nothing(index_elements=[JOB.c.running_for]).returning(JOB.c.id)
_DONE_JOBS = (
    select(JOB.c.id)
    .where(
        JOB.c.patient == bindparam("member"),
        JOB.c.client_id == bindparam("client"),
        JOB.c.status.in_((COMPLETED, FAILED)),
    )
    .order_by(JOB.c.started_at.desc(), JOB.c.id)
)
_DELETE = update(JOB).where(_ID).values(status=DELETED, running_for=None)
_EXPIRE_RUNNING = (
    update(JOB)
    .where(JOB.c.running_for == bindparam("member_and_client"), JOB.c.expires_at <= bindparam("moment"))
    .values(status=DELETED, running_for=None)
)


def begin(transaction: Transaction, job: Job) -> Job:
    """Store a new job, and drop the oldest of those done if there are too many; or answer the one that runs already."""
    transaction.execute(_EXPIRE_RUNNING, {"member_and_client": job.running_for, "moment": job.started_at})
    for _ in range(3):  # the one that runs may end between two of these questions
        if transaction.first(_INSERT_JOB, job._asdict()) is not None:
            break
        running = transaction.first(_RUNNING_JOB, {"running_for": job.running_for})
        if running is not None:
            return Job._make(running)
    else:
        raise DatabaseUnavailableError("export jobs of the same client and member begin and end at the same time")
    done = transaction.all(_DONE_JOBS, {"member": job.patient, "client": job.client_id})
    for (old,) in done[MOST_KEPT - 1 :]:
        transaction.execute(_DELETE, {"job": old})
    return job


def drop(transaction: Transaction, job: str) -> None:
    """Nobody is told of a job any more, and who writes it stops; its pieces go when they are pruned."""
    transaction.execute(_DELETE, {"job": job})


# -- what the worker does that writes --------------------------------------------------------------------------------

_OWN = (_ID, JOB.c.status == RUNNING, JOB.c.worker == bindparam("me"))
_CLAIM = (
    update(JOB)
    .where(
        _ID, JOB.c.status == RUNNING, JOB.c.lease_until <= bindparam("moment"), JOB.c.expires_at > bindparam("moment")
    )
    .values(worker=bindparam("me"), lease_until=bindparam("until"), attempts=JOB.c.attempts + 1)
    .returning(*_JOB)
)
_STEP = (
    update(JOB)
    .where(*_OWN)
    .values(
        progress=bindparam("place"),
        lease_until=bindparam("until"),
        resources=JOB.c.resources + bindparam("more"),
        attempts=0,
    )
)
_END = update(JOB).where(*_OWN).values(status=bindparam("end"), running_for=None, expires_at=bindparam("expiry"))
_RELEASE = update(JOB).where(JOB.c.worker == bindparam("me"), JOB.c.status == RUNNING).values(lease_until=0, attempts=0)
_INSERT_CHUNK = insert(CHUNK)
_ADD_TO_FILE = (
    insert(FILE)
    .on_conflict_do_update(
        index_elements=[FILE.c.job, FILE.c.name],
        set_={
            name: FILE.c[name] + insert(FILE).excluded[name]
            for name in ("lines", "own", "chunks", "size", "compressed")
        },
    )
    .returning(FILE.c.chunks)
)
_INSERT_REFERENCE = insert(REFERENCE).on_conflict_do_nothing()
REFERENCES_OF_ROUND = (
    select(REFERENCE.c.type, REFERENCE.c.id)
    .where(
        REFERENCE.c.job == bindparam("job"),
        REFERENCE.c.round == bindparam("round"),
        or_(
            REFERENCE.c.type > bindparam("after_type"),
            and_(REFERENCE.c.type == bindparam("after_type"), REFERENCE.c.id > bindparam("after_id")),
        ),
    )
    .order_by(REFERENCE.c.type, REFERENCE.c.id)
    .limit(bindparam("limit"))
)
"""Values: job, round, after_type, after_id, limit."""
LAPSED_JOBS = select(JOB.c.id).where(
    JOB.c.status == RUNNING, JOB.c.lease_until <= bindparam("moment"), JOB.c.expires_at > bindparam("moment")
)
"""Jobs that nobody writes. Values: moment."""


def claim(transaction: Transaction, job: str, worker: str, moment: int, until: int) -> Job | None:
    """The job, if nobody else writes it; it is this worker's until then."""
    row = transaction.first(_CLAIM, {"job": job, "me": worker, "moment": moment, "until": until})
    return None if row is None else Job._make(row)


def step(
    transaction: Transaction,
    job: str,
    worker: str,
    until: int,
    progress: str,
    pieces: Sequence[Piece],
    references: Collection[tuple[str, str]] = (),
    round: int = 0,
) -> bool:
    """Add pieces and references, and note where to go on; False, and nothing is stored, if the job is not this worker's any more."""
    more = sum(piece.lines for piece in pieces)
    if not transaction.execute(_STEP, {"job": job, "me": worker, "until": until, "place": progress, "more": more}):
        return False
    for piece in pieces:
        grown = {"lines": piece.lines, "own": piece.own, "size": piece.size, "compressed": len(piece.body), "chunks": 1}
        number = transaction.scalar(_ADD_TO_FILE, {"job": job, "name": piece.file, **grown})
        chunk = {"job": job, "file": piece.file, "number": number - 1, "body": piece.body}
        transaction.execute(_INSERT_CHUNK, chunk)
    if references:
        rows = [{"job": job, "type": type, "id": id, "round": round} for type, id in sorted(references)]
        transaction.execute(_INSERT_REFERENCE, rows)
    return True


def end(transaction: Transaction, job: str, worker: str, status: str, expires_at: int) -> bool:
    """The job is done, or has failed, or may not go on; False if it is not this worker's any more."""
    values = {"job": job, "me": worker, "end": status, "expiry": expires_at}
    return bool(transaction.execute(_END, values))


def release(transaction: Transaction, worker: str) -> None:
    """Whatever this worker was writing, another may go on with."""
    transaction.execute(_RELEASE, {"me": worker})


# -- pruning ---------------------------------------------------------------------------------------------------------

JOBS_OVER = select(JOB.c.id).where(or_(JOB.c.status == DELETED, JOB.c.expires_at <= bindparam("moment")))
"""Jobs that have expired or were dropped. Values: moment."""
_SOME_CHUNKS = select(CHUNK.c.key).where(CHUNK.c.job == bindparam("job")).limit(AT_ONCE)
_DELETE_CHUNKS = delete(CHUNK).where(CHUNK.c.key.in_(_SOME_CHUNKS))
_FORGET = (
    delete(FILE).where(FILE.c.job == bindparam("job")),
    delete(REFERENCE).where(REFERENCE.c.job == bindparam("job")),
    delete(JOB).where(_ID),
)


def prune(transaction: Transaction, job: str) -> bool:
    """Delete some pieces of a job that is over; when none is left the job itself, and answer True."""
    transaction.execute(_DELETE, {"job": job})  # who still writes it stops
    if transaction.execute(_DELETE_CHUNKS, {"job": job}) >= AT_ONCE:
        return False
    for statement in _FORGET:
        transaction.execute(statement, {"job": job})
    return True


_OPEN_JOBS = select(func.count()).where(JOB.c.status == RUNNING, JOB.c.expires_at > bindparam("moment"))


def open_jobs(transaction: Transaction) -> int:
    """How many jobs are not written to their end."""
    return int(transaction.scalar(_OPEN_JOBS, {"moment": clock.now_microseconds()}))
