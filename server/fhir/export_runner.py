"""Runs exports beside the requests: each job by one worker at a time, under a lease that another takes over when it lapses.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html - one per worker process, started and stopped with it.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from server import clock
from server.fhir.export_step import JobRefusedError, JobTakenError, Step, ViewChangedError, WorkerStoppingError
from server.fhir.export_writer import ExportWriter
from server.settings import Settings
from server.storage import export_store
from server.storage.database import Database, DatabaseUnavailableError, Transaction

LEASE = 60_000_000
"""Microseconds for which a worker may be silent; each step that it stores renews it."""
LOOK_SECONDS = 20.0
"""How often a worker looks for jobs whose worker has died, and for files that have expired."""
JOBS_AT_ONCE = 2
"""In one worker; the others wait for their turn, here or wherever it comes first."""
MOST_ATTEMPTS = 5
"""Workers that began and got no further, before a job has failed."""
STOP_SECONDS = 8.0
T = TypeVar("T")
_LOG = logging.getLogger("patient_access.fhir")


class ExportRunner:
    """The jobs of one worker process. ``start`` and ``stop`` it in the event loop that serves the requests."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._slots = asyncio.Semaphore(JOBS_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._has_written = False
        self.worker = secrets.token_hex(8)

    def start(self) -> None:
        """Begin to look for jobs that nobody writes."""
        self._stopped.clear()
        self._looking = asyncio.get_running_loop().create_task(self._look_now_and_then())

    @property
    def running(self) -> int:
        """How many jobs are written here, or wait for their turn."""
        return len(self._tasks)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Let every job come to the end of its step, within so many seconds, and leave them to others."""
        self._stopped.set()
        tasks = [*self._tasks.values(), *([self._looking] if self._looking is not None else [])]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        if not self._has_written:
            return
        try:
            await self.transact(lambda transaction: export_store.release(transaction, self.worker))
        except Exception as error:  # the process ends all the same, and its leases run out by themselves
            _LOG.warning("exports were not handed over: %s", error)

    @property
    def is_stopping(self) -> bool:
        """Whether jobs are to come to an end."""
        return self._stopped.is_set()

    def run(self, job: str) -> None:
        """Write a job, if nobody else does, as soon as there is a slot."""
        if job not in self._tasks and not self.is_stopping:
            task = self._tasks[job] = asyncio.get_running_loop().create_task(self._run(job))
            task.add_done_callback(lambda _: self._tasks.pop(job, None))

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """A short transaction in a thread, so that requests go on meanwhile. Raises DatabaseUnavailableError."""

        def run() -> T:
            with self._database.transaction() as transaction:
                return work(transaction)

        return await asyncio.to_thread(run)

    async def look(self) -> None:
        """Take over what nobody writes, and delete what is over."""
        for row in await self._database.fetch(export_store.LAPSED_JOBS, {"moment": clock.now_microseconds()}):
            self.run(row[0])
        for row in await self._database.fetch(export_store.JOBS_OVER, {"moment": clock.now_microseconds()}):
            while not self.is_stopping:
                if await self.transact(lambda transaction, job=row[0]: export_store.prune(transaction, job)):  # type: ignore[misc]
                    break

    async def _look_now_and_then(self) -> None:
        while not self.is_stopping:
            try:
                await self.look()
            except DatabaseUnavailableError as error:
                _LOG.warning("exports were not looked after: %s", error)
            except Exception:
                _LOG.exception("exports were not looked after")
            try:
                await asyncio.wait_for(self._stopped.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _run(self, id: str) -> None:
        async with self._slots:
            if self.is_stopping:
                return
            try:
                await self._write(id)
            except DatabaseUnavailableError as error:
                _LOG.warning("export %s... waits for the database: %s", id[:8], error)
            except Exception:
                _LOG.exception("export %s... stopped; it is tried again", id[:8])

    async def _write(self, id: str) -> None:
        now = clock.now_microseconds()
        job = await self.transact(
            lambda transaction: export_store.claim(transaction, id, self.worker, now, now + LEASE)
        )
        if job is None:
            return  # somebody else writes it, or nobody needs it any more
        self._has_written = True
        status = export_store.COMPLETED
        if job.attempts > MOST_ATTEMPTS:
            status = export_store.FAILED
        else:
            writer = ExportWriter(self._database, self._settings, job, self._step_of(job), lambda: self.is_stopping)
            try:
                await writer.write()
            except JobRefusedError as error:
                _LOG.info("export %s... ends: %s", id[:8], error)
                status = export_store.DELETED
            except ViewChangedError:
                status = export_store.FAILED
            except (JobTakenError, WorkerStoppingError):
                return
        expires_at = clock.now_microseconds() + self._settings.export_hours * 3_600_000_000
        await self.transact(lambda transaction: export_store.end(transaction, id, self.worker, status, expires_at))

    def _step_of(self, job: export_store.Job) -> Step:
        """How the writer of a job stores a step: what ``export_store.step`` does, with this worker's lease renewed."""

        async def step(
            progress: str,
            pieces: Sequence[Callable[[], export_store.Piece]],
            references: Collection[tuple[str, str]] = (),
            round: int = 0,
        ) -> bool:
            def run() -> bool:
                stored = [piece() for piece in pieces]  # compressed here, before the transaction begins
                until = clock.now_microseconds() + LEASE
                with self._database.transaction() as transaction:
                    return export_store.step(
                        transaction, job.id, self.worker, until, progress, stored, references, round
                    )

            return await asyncio.to_thread(run)

        return step
