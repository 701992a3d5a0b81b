"""``$export``: everything of a member for their own app, as files made in the background: kick-off, status, download, cancellation.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html - who asks is authorized again at every request; a job of another client or member
is answered as one that never was.
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote

import orjson
from isal import isal_zlib

from server import clock
from server.authorization.access import SYSTEM, Access
from server.fhir import error_codes
from server.fhir.answer import Answer
from server.fhir.bundle import query_string
from server.fhir.everything import resource_types
from server.fhir.export_runner import ExportRunner
from server.fhir.export_step import views_of
from server.fhir.export_writer import DELETED_FILE
from server.fhir.history import instant_of
from server.fhir.named_member import NamedMember
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.routing import Request, Route
from server.fhir.search_parameters import Pairs
from server.fhir.search_values import ID
from server.fhir.stream import Stream, StreamBrokenError
from server.fhir.withholding import Withheld, together
from server.settings import Settings
from server.specification.definition import (
    EXPORT_CANCEL,
    EXPORT_FILE,
)
from server.specification.operations import EXPORT, EXPORT_PATH
from server.specification.registry import MEMBER_TYPE, RESOURCES
from server.storage import export_store
from server.storage.database import Database
from server.storage.export_store import CHUNK_OF_FILE, COMPLETED, FAILED, FILES_OF_JOB, JOB_BY_ID, RUNNING, File, Job
from server.storage.patient_compartment import PatientCompartment

NDJSON = "application/fhir+ndjson"
OUTPUT_FORMATS = (NDJSON, "application/ndjson", "ndjson")
SUFFIX = ".ndjson"
HOUR = 3_600_000_000
_JSON = b"application/json; charset=utf-8"
_GZIP_REFUSED = re.compile(rb"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")
_GZIP_FORMAT = 31
_SECONDS_LONGEST = 30
_MEMBER_ROW = RESOURCES[MEMBER_TYPE]


class Exports:
    """The operation and what follows it."""

    def __init__(self, database: Database, settings: Settings, named_member: NamedMember, runner: ExportRunner) -> None:
        self._database = database
        self._settings = settings
        self._named_member = named_member
        self._runner = runner
        self._outcomes = Outcomes(settings)

    async def of(self, request: Request, found: Route, pairs: Pairs, access: Access, *, strict: bool) -> Answer:
        """The answer to a kick-off or to a request about a job; ``access`` of the answer names the member whom it is about."""
        if found.definition is not None:
            return await self._kick_off(request, found, pairs, access, strict=strict)
        job, access = await self._job(found.id, access)
        if found.interaction == EXPORT_CANCEL:
            await self._runner.transact(lambda transaction: export_store.drop(transaction, job.id))
            answer = Answer(202, b"")
        else:
            _check_covered(job, access)
            if found.interaction == EXPORT_FILE:
                answer = await self._file(request, job, found.file)
            else:
                answer = await self._status(job)
        answer.interaction, answer.access = found.interaction, access
        return answer

    # -- kick-off ----------------------------------------------------------------------------------------------------

    async def _kick_off(self, request: Request, found: Route, pairs: Pairs, access: Access, *, strict: bool) -> Answer:
        """202 with the address of the job: a new one, or the one that runs if it was asked for the same."""
        member, type = access.patient, found.type
        if not member or found.id != member:
            raise not_found(type, found.id)
        preferences = re.split(rb"[,;]", request.header(b"prefer").lower())
        if b"respond-async" not in [one.strip() for one in preferences]:
            raise FHIRError(
                error_codes.EXPORT_IS_ASYNCHRONOUS,
                "An export takes a while; send the header 'Prefer: respond-async', and ask at the address that Content-Location"
                " of the answer names.",
            )
        since, types, honoured, ignored = _parse(pairs, strict=strict)
        permitted = [one for one in sorted(RESOURCES) if access.permissions.permits(one, "r")]
        asked = [one for one in permitted if not types or one in types]
        if not asked:
            raise FHIRError(
                error_codes.SCOPE_MISSING,
                "The token's scopes allow none of the resource types asked for; ask for patient/*.rs.",
                {"www-authenticate": 'Bearer error="insufficient_scope"'},
            )
        now = clock.now_microseconds()
        query = query_string(honoured)
        address = f"{self._settings.fhir_base}/{type}/{member}/${EXPORT.code}"
        job = Job(
            id=secrets.token_hex(20),
            client_id=access.client_id,
            patient=member,
            actor=access.actor,
            grant_id=access.grant_id,
            scope=access.scope,
            views=orjson.dumps(views_of(access.permissions, asked)).decode(),
            request=f"{address}?{query}" if query else address,
            since=since,
            watermark=await PatientCompartment(self._database, member).watermark(),
            started_at=now,
            expires_at=now + self._settings.export_hours * HOUR,
            status=RUNNING,
            running_for=f"{access.client_id} {member}",
            progress="",
            resources=0,
            worker="",
            lease_until=0,
            attempts=0,
        )
        running = await self._runner.transact(lambda transaction: export_store.begin(transaction, job))
        if running.id != job.id and (running.grant_id, running.views, running.request) != (
            job.grant_id,
            job.views,
            job.request,
        ):
            raise FHIRError(
                error_codes.EXPORT_RUNNING,
                "Another export of this member for this app is being written; wait for it, or cancel it with DELETE.",
                {"retry-after": str(_patience(running))},
            )
        self._runner.run(running.id)
        body = self._outcomes.ignored(ignored) if ignored else b""
        return Answer(
            202,
            body,
            headers={"content-location": self._address(running)},
            interaction=found.interaction,
            resource_type=type,
        )

    def _address(self, job: Job, file: str = "") -> str:
        address = f"{self._settings.fhir_base}/{EXPORT_PATH}/{job.id}"
        return f"{address}/{quote(file)}{SUFFIX}" if file else address

    # -- a job -------------------------------------------------------------------------------------------------------

    async def _job(self, id: str, access: Access) -> tuple[Job, Access]:
        """The job, and access to its member. Raises FHIRError 404 for one of another client or member as for one that never was."""
        unknown = FHIRError(error_codes.EXPORT_UNKNOWN, f"There is no export {id}.")
        if not ID.fullmatch(id):
            raise unknown
        row = await self._database.fetch_one(JOB_BY_ID, {"job": id, "moment": clock.now_microseconds()})
        if row is None:
            raise unknown
        job = Job._make(row)
        is_system = access.actor == SYSTEM
        if job.client_id != access.client_id or is_system != (job.actor == SYSTEM):
            raise unknown
        if is_system:
            access = await self._named_member.of_resource(access, _MEMBER_ROW, job.patient)
        if job.patient != access.patient:
            raise unknown
        return job, access

    async def _status(self, job: Job) -> Answer:
        """202 while the job runs, 200 with the manifest when it is done. Raises FHIRError 500 if it has failed."""
        if job.status == RUNNING:
            if job.lease_until <= clock.now_microseconds():
                self._runner.run(job.id)  # nobody writes it: its worker has died, or waits for a slot
            told = {"x-progress": f"{job.resources} resources written", "retry-after": str(_patience(job))}
            return Answer(202, b"", headers=told)
        if job.status == FAILED:
            raise FHIRError(error_codes.EXPORT_FAILED, "The export could not be written; begin another.")
        files = await self._files(job)
        manifest = {
            "transactionTime": clock.instant(job.watermark),
            "request": job.request,
            "requiresAccessToken": True,
            "output": [self._listed(job, file, file.name) for file in files if file.name != DELETED_FILE],
            "deleted": [self._listed(job, file, "Bundle") for file in files if file.name == DELETED_FILE],
            "error": [],
        }
        answer = Answer(200, orjson.dumps(manifest), headers={"expires": clock.http_date(job.expires_at)})
        answer.content_type = _JSON
        named = {file.name for file in files}
        answer.withheld = together(*(counts for type, counts in _withheld(job).items() if type not in named))
        return answer

    async def _files(self, job: Job) -> list[File]:
        return [File._make(row) for row in await self._database.fetch(FILES_OF_JOB, {"job": job.id})]

    def _listed(self, job: Job, file: File, type: str) -> dict[str, str | int]:
        return {"type": type, "url": self._address(job, file.name), "count": file.lines}

    async def _file(self, request: Request, job: Job, name: str) -> Answer:
        """A file, sent piece by piece. Raises FHIRError 404 for one that is not there, or not yet."""
        files = await self._files(job) if job.status == COMPLETED else []
        file = next((one for one in files if one.name + SUFFIX == name), None)
        if file is None:
            raise FHIRError(error_codes.EXPORT_UNKNOWN, f"There is no file {name} of export {job.id}.")
        accepted = request.header(b"accept-encoding").lower()
        is_compressed = b"gzip" in accepted and _GZIP_REFUSED.search(accepted) is None
        answer = Answer(200, b"", headers={"expires": clock.http_date(job.expires_at)}, resources=file.own)
        answer.withheld = _withheld(job).get(file.name, {})
        answer.resource_type = file.name if file.name in RESOURCES else ""
        answer.stream = Stream(
            content_type=NDJSON.encode(),
            length=file.compressed if is_compressed else file.size,
            coding=b"gzip" if is_compressed else b"",
            pieces=self._pieces(file, is_compressed=is_compressed),
            receive=request.receive,
        )
        return answer

    async def _pieces(self, file: File, *, is_compressed: bool) -> AsyncIterator[bytes]:
        """The pieces of a file: gzip members one after the other are gzip too (RFC 1952 section 2.2)."""
        for number in range(file.chunks):
            values = {"job": file.job, "file": file.name, "number": number}
            row = await self._database.fetch_one(CHUNK_OF_FILE, values)
            if row is None:
                raise StreamBrokenError("the export was cancelled or expired")
            yield row[0] if is_compressed else isal_zlib.decompress(row[0], _GZIP_FORMAT)


def _withheld(job: Job) -> Mapping[str, Withheld]:
    """What sensitivity policies left out, by type: told with the file of the type, or with the manifest where there is none."""
    counts: Mapping[str, Withheld] = orjson.loads(job.progress).get("withheld", {})
    return counts


def _check_covered(job: Job, access: Access) -> None:
    """Raises FHIRError 403 unless the token could see now all that the job was to export."""
    exported: dict[str, str] = orjson.loads(job.views)
    now = views_of(access.permissions, exported)
    missing = [type for type, view in exported.items() if now[type] not in ("", view)]
    if missing:
        raise FHIRError(
            error_codes.EXPORT_NOT_COVERED,
            f"The export has more than this token may see of: {', '.join(missing)}. Begin another with this token.",
            {"www-authenticate": 'Bearer error="insufficient_scope"'},
        )


def _patience(job: Job) -> int:
    """Seconds until it is worth while to ask again: the longer a job has taken, the more."""
    return max(1, min(_SECONDS_LONGEST, (clock.now_microseconds() - job.started_at) // 4_000_000))


def _parse(pairs: Pairs, *, strict: bool) -> tuple[int, frozenset[str], Sequence[tuple[str, str]], tuple[str, ...]]:
    """Since when, which types, and the parameters honoured and ignored. Raises FHIRError 400."""
    since = 0
    types: set[str] = set()
    honoured: list[tuple[str, str]] = []
    ignored: dict[str, None] = {}
    for name, value in pairs:
        if name == "_format" or not value:
            continue
        if name == "_since":
            since = max(since, instant_of(name, value))
        elif name == "_type":
            types.update(resource_types(value))
        elif name == "_outputFormat":
            if value.replace(" ", "+").lower() not in OUTPUT_FORMATS:  # an unencoded + arrives as a space
                raise bad_parameter(name, f"'{value}' is not one of {', '.join(OUTPUT_FORMATS)}.")
        else:
            if strict:
                known = ", ".join(parameter.name for parameter in EXPORT.parameters)
                raise FHIRError(
                    error_codes.PARAMETER_UNKNOWN, f"Parameter '{name}' is not supported here; supported: {known}."
                )
            ignored[name] = None
            continue
        honoured.append((name, value))
    return since, frozenset(types), honoured, tuple(ignored)
