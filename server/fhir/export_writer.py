"""Writes the files of one export, page by page: the member's own resources, the shared ones they name, and what was deleted.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---output-manifest - each step stores whole lines together with the place
behind them, so that whoever goes on writes no line twice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from server.authorization.access import TokenRefusedError, access_of_grant
from server.authorization.permissions import Permissions
from server.fhir.everything import SHARED, Identity, references
from server.fhir.export_step import (
    JobRefusedError,
    JobTakenError,
    Lines,
    Step,
    ViewChangedError,
    WorkerStoppingError,
    deletions,
    views_of,
)
from server.fhir.withholding import VersionSight, Withheld, together, withheld_of
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.storage.compartment_content import CompartmentContent, Place
from server.storage.compartment_history import CompartmentHistory, HistoryQuery, StoredVersion
from server.storage.database import Database
from server.storage.export_store import REFERENCES_OF_ROUND, Job
from server.storage.patient_compartment import PatientCompartment, StoredResource

CHUNK = 1_000_000
"""Bytes of lines, about, in a piece of a file."""
PAGE_BYTES, SMALLEST_PAGE, LARGEST_PAGE = 128_000, 4, 32
PAUSE_SECONDS = 0.002
"""A page of the member's own resources has as many as fit, and then comes a pause: a request takes several turns of the event loop, and
waits for one page, not for one at each turn."""
SHARED_AT_ONCE = 32
DELETED_AT_ONCE = 100
DELETED_FILE = "deleted"
_OWN, _NAMED, _SHARED, _DELETED, _DONE = "own", "named", "shared", "deleted", "done"
_SILENT_SECONDS = 15.0
"""After which a step is stored even if there is little to store: it renews the lease."""


class ExportWriter:
    """One job while this worker writes it."""

    def __init__(
        self, database: Database, settings: Settings, job: Job, step: Step, is_stopping: Callable[[], bool]
    ) -> None:
        self._database = database
        self._settings = settings
        self._job = job
        self._step = step
        self._is_stopping = is_stopping
        self._views: dict[str, str] = orjson.loads(job.views)
        self._own = [type for type in self._views if type not in SHARED]
        self._shared = SHARED & self._views.keys()
        self._records = database.records(job.patient, job.watermark)
        self._content = CompartmentContent(self._records, job.patient)
        self._compartment = PatientCompartment(self._records, job.patient)
        self._seen: set[Identity] = set()
        self._named: set[Identity] = set()
        self._withheld: dict[str, Withheld] = {}
        self._stored_at = time.monotonic()
        self._checked: Permissions | None = None

    async def write(self) -> None:
        """Go on from where the job stands to its end. Raises JobRefusedError, ViewChangedError, JobTakenError or WorkerStoppingError."""
        progress: dict[str, Any] = orjson.loads(self._job.progress or "{}")
        self._withheld = progress.get("withheld", {})
        phase, after = progress.get("phase", _OWN), progress.get("after") or ()
        if phase == _OWN:
            await self._write_own(after or ("", 0))
            phase, after = _NAMED, ()
        if phase == _NAMED:
            await self._find_named()
            phase, after = _SHARED, ()
        if phase == _SHARED:
            await self._write_shared(*(after or (1, "", "")))
            phase = _DELETED
        if phase == _DELETED:
            await self._write_deleted()

    # -- the member's own --------------------------------------------------------------------------------------------

    async def _write_own(self, after: Sequence[Any]) -> None:
        behind: Place = (str(after[0]), int(after[1]))
        more: Place | None = behind if self._own else None
        waiting, count = Lines(), SMALLEST_PAGE
        while more is not None:
            permissions = await self._permissions()
            rows, more = await self._content.stored(
                self._own, since=self._job.since, until=self._job.watermark, after=more, count=count
            )
            found = await self._compartment.in_view(rows, permissions.view)
            if len(found) < len(rows):
                await self._count_withheld(rows, found, permissions)
            self._named |= self._fresh(found)
            for one in found:
                if waiting.lines and (waiting.file != one.type or waiting.size >= CHUNK):
                    await self._store(_OWN, behind, [waiting], round=1)
                    waiting = Lines()
                waiting.file, behind = one.type, (one.type, one.key)
                waiting.add(one)
            if more is not None and self._is_silent():
                await self._store(_OWN, more, [waiting], round=1)
                waiting, behind = Lines(), more
            count = _page_size(rows)
        await self._store(_NAMED, (), [waiting], round=1)

    async def _count_withheld(
        self, rows: Sequence[StoredResource], found: Sequence[StoredResource], permissions: Permissions
    ) -> None:
        if permissions.plain is None:
            return
        seen = {one.key for one in found}
        for type in {one.type for one in rows}:
            hidden = [one for one in rows if one.type == type and one.key not in seen]
            counts = await withheld_of(self._compartment, permissions, hidden)
            if counts:
                self._withheld[type] = together(self._withheld.get(type, {}), counts)

    # -- what they name ----------------------------------------------------------------------------------------------

    async def _find_named(self) -> None:
        """With ``_since``, and where none of the member's own types is asked for: the shared resources that were loaded since, or are
        named by such, among all that anything of the member names; as ``$everything`` has them."""
        job, wanted = self._job, set[Identity]()
        is_asked = self._shared and (job.since or not self._own)
        if is_asked and await self._content.is_shared_loaded(since=job.since, until=job.watermark):
            wanted = await self._named_since(await self._named_by_all())
        self._named = wanted
        await self._store(_SHARED, (1, "", ""), [], round=1)

    async def _named_by_all(self) -> set[Identity]:
        named: set[Identity] = set()
        more: Place | None = ("", 0)
        count = SMALLEST_PAGE
        while more is not None:
            permissions = await self._permissions()
            own = [type for type in sorted(RESOURCES) if type not in SHARED and permissions.permits(type, "r")]
            if not own:
                break
            rows, more = await self._content.stored(own, since=0, until=self._job.watermark, after=more, count=count)
            named |= self._references(await self._compartment.in_view(rows, permissions.view))
            count = _page_size(rows)
            await self._renew(_NAMED)
        return {one for one in named if one[0] in self._shared}

    async def _named_since(self, named: set[Identity]) -> set[Identity]:
        """Of these, and what they name in turn, those that were loaded since, and what those name."""
        names: dict[Identity, set[Identity]] = {}
        wanted: set[Identity] = set()
        while named:
            some = sorted(named)[:SHARED_AT_ONCE]
            found = await self._content.named(some, (await self._permissions()).view)
            names |= {one: set() for one in some}
            for one in found:
                names[one.type, one.id] = {to for to in self._references([one]) if to[0] in self._shared}
            wanted |= {(one.type, one.id) for one in await self._content.loaded_since(found, since=self._job.since)}
            named = (named | {to for one in found for to in names[one.type, one.id]}) - names.keys()
            await self._renew(_NAMED)
        fresh = wanted
        while fresh:
            fresh = {to for one in fresh for to in names.get(one, ())} - wanted
            wanted |= fresh
        return wanted

    async def _write_shared(self, round: int, type: str, id: str) -> None:
        """Round by round: what the member's own resources name, what those name, and so on, each once."""
        while True:
            values = {"job": self._job.id, "round": round, "after_type": type, "after_id": id, "limit": SHARED_AT_ONCE}
            rows = await self._database.fetch(REFERENCES_OF_ROUND, values)
            if not rows:
                if not type:
                    break  # nothing new was named in the round before
                round, type, id = round + 1, "", ""
                continue
            batch = [(row[0], row[1]) for row in rows]
            self._seen.update(batch)
            found = await self._content.named(batch, (await self._permissions()).view)
            self._named |= self._fresh(found)
            type, id = batch[-1]
            by_type: dict[str, Lines] = {}
            for one in found:
                by_type.setdefault(one.type, Lines(one.type)).add(one)
            await self._store(_SHARED, (round, type, id), list(by_type.values()), round=round + 1)
        await self._store(_DELETED, (), [])

    def _references(self, found: Sequence[StoredResource]) -> set[Identity]:
        return references(found, self._settings.fhir_base)

    def _fresh(self, found: Sequence[StoredResource]) -> set[Identity]:
        """What they name of the shared types and was not named before."""
        named = {one for one in self._references(found) if one[0] in self._shared} - self._seen
        self._seen |= named
        return named

    # -- what was deleted --------------------------------------------------------------------------------------------

    async def _write_deleted(self) -> None:
        """With ``_since``: what was withdrawn since, as transactions of deletions; all of it is one step."""
        types = tuple(type for type in self._views if not RESOURCES[type].is_directory)
        shared = tuple(type for type in self._views if RESOURCES[type].is_directory)
        history = CompartmentHistory(self._records, self._job.patient)
        sight = VersionSight(self._compartment, history, self._settings.fhir_base)
        query = HistoryQuery(self._job.watermark, self._job.since, types=types, shared=shared, count=DELETED_AT_ONCE)
        gone: dict[Identity, None] = {}
        more = bool((types or shared) and self._job.since)
        while more:
            permissions = await self._permissions()
            versions, more = await history.page(query)
            for one in versions:
                if not one.deleted or (one.type, one.id) in gone or not await self._is_gone(one):
                    continue
                if await sight.is_seen(one.resource, permissions, "r"):
                    gone[one.type, one.id] = None
            query = replace(query, after=versions[-1].place) if more else query
            await self._renew(_DELETED)
        names = [f"{type}/{id}" for type, id in gone]
        lines = [deletions(names[n : n + DELETED_AT_ONCE]) for n in range(0, len(names), DELETED_AT_ONCE)]
        await self._store(_DONE, (), [Lines(DELETED_FILE, lines)])

    async def _is_gone(self, one: StoredVersion) -> bool:
        """Whether it has not come back; what is shared now but was the member's own is not in an export any more."""
        current = await self._compartment.read(one.type, one.id)
        is_own = current is not None and (current.patient or RESOURCES[one.type].is_directory)
        return current is not None and (current.deleted or not is_own)

    # -- each step ---------------------------------------------------------------------------------------------------

    async def _permissions(self) -> Permissions:
        """What the grant gives now, which must be what it gave; asked before every page, and requests in between get their turn."""
        await asyncio.sleep(PAUSE_SECONDS)
        if self._is_stopping():
            raise WorkerStoppingError
        job = self._job
        try:
            access = await access_of_grant(self._database, self._settings, job.grant_id, job.scope)
        except TokenRefusedError as error:
            raise JobRefusedError(error.description) from error
        if access.permissions is not self._checked and views_of(access.permissions, self._views) != self._views:
            raise ViewChangedError
        self._checked = access.permissions
        self._records.begin(access.loaded)
        return access.permissions

    def _is_silent(self) -> bool:
        return time.monotonic() > self._stored_at + _SILENT_SECONDS

    async def _renew(self, phase: str) -> None:
        """Hold on to the job while there is nothing to store yet."""
        if self._is_silent():
            await self._store(phase, (), [])

    async def _store(self, phase: str, after: Sequence[Any], lines: Sequence[Lines], *, round: int = 0) -> None:
        pieces = [one.piece for one in lines if one.lines]
        progress = orjson.dumps({"phase": phase, "after": after, "withheld": self._withheld}).decode()
        named, self._named = self._named, set()
        if not await self._step(progress, pieces, named, round):
            raise JobTakenError
        self._stored_at = time.monotonic()


def _page_size(rows: Sequence[StoredResource]) -> int:
    """How many resources the next page may have, judged by these."""
    average = sum(len(one.body) for one in rows) // len(rows) if rows else PAGE_BYTES
    return max(SMALLEST_PAGE, min(LARGEST_PAGE, PAGE_BYTES // max(1, average)))
