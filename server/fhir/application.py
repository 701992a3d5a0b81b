"""The FHIR API as an ASGI application of its own: path -> interaction -> answer -> ledger row -> bytes.

https://hl7.org/fhir/R4/http.html - every answer to an authenticated request is in the ledger before its first byte leaves.
"""

import logging
from collections.abc import Awaitable
from time import perf_counter
from typing import Any

from server.authorization.access import (
    EXPIRED,
    REFUSED_ACCESS,
    REVOKED,
    SUSPENDED,
    SYSTEM,
    UNKNOWN,
    Access,
    TokenRefusedError,
    authenticate,
)
from server.authorization.enrolment import DISENROLLED, NOT_SERVED
from server.fhir import error_codes
from server.fhir.answer import Answer, headers_of, respond
from server.fhir.audit_search import AuditEvents
from server.fhir.bundle import CursorCipher
from server.fhir.conditions import Conditions
from server.fhir.deprecation import deprecation
from server.fhir.docref import is_of_a_time, search_pairs
from server.fhir.everything import Everything
from server.fhir.export import Exports
from server.fhir.export_runner import ExportRunner
from server.fhir.history import Histories
from server.fhir.interactions import Interactions
from server.fhir.named_member import NamedMember
from server.fhir.negotiation import check_format
from server.fhir.outcomes import FHIRError, Outcomes
from server.fhir.public_metadata import PublicMetadata
from server.fhir.representation import WHOLE, Representation, presentation, pretty
from server.fhir.routing import Receive, Request, Route, Scope, Send, route
from server.fhir.withholding import detail as withheld_detail
from server.figures import Figures
from server.settings import Settings
from server.specification.audit import AUDIT_TYPES
from server.specification.definition import (
    EXPORT_CANCEL,
    EXPORT_FILE,
    EXPORT_STATUS,
    HISTORY_INSTANCE,
    HISTORY_TYPE,
    READ,
    SEARCH_TYPE,
    VREAD,
)
from server.specification.operations import DOCREF, EVERYTHING, EXPORT
from server.storage.database import Database, DatabaseUnavailableError
from server.storage.ledger import AnswerLedger, LedgerEvent
from server.storage.permits import Permits
from server.tracing import FROM_PROXY, NOWHERE, Origin, origin

TOKEN_REFUSED = {
    UNKNOWN: error_codes.TOKEN_UNKNOWN,
    REVOKED: error_codes.TOKEN_REVOKED,
    EXPIRED: error_codes.TOKEN_EXPIRED,
    SUSPENDED: error_codes.APP_SUSPENDED,
    DISENROLLED: error_codes.MEMBER_DISENROLLED,
    NOT_SERVED: error_codes.LINE_OF_BUSINESS_NOT_SERVED,
}
_LETTER = {READ: "r", VREAD: "r", HISTORY_INSTANCE: "r", HISTORY_TYPE: "s", SEARCH_TYPE: "s"}
_INSUFFICIENT = {"www-authenticate": 'Bearer error="insufficient_scope"'}
logger = logging.getLogger("patient_access.fhir")


class FHIRApplication:
    """The ASGI application at ``/fhir``. Call ``database.open()`` in the event loop before the first request."""

    ledger_class = AnswerLedger

    def __init__(
        self,
        database: Database,
        settings: Settings,
        secret: bytes,
        metadata: dict[str, Any],
        prefix: str = "/fhir",
        figures: Figures | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._figures = figures
        self._log = settings.log_format if settings.log_requests else ""
        self.ledger = self._ledger = self.ledger_class(database, figures)
        self._permits = Permits(settings.rate_limit_per_minute)
        cursors = CursorCipher(secret)
        self._interactions = Interactions(database, settings, cursors)
        self._histories = Histories(database, settings, cursors)
        self._everything = Everything(database, settings, cursors)
        self._named_member = NamedMember(database, settings)
        self._audit_events = AuditEvents(database, settings, cursors, self._named_member)
        self.export_runner = ExportRunner(database, settings)
        self._exports = Exports(database, settings, self._named_member, self.export_runner)
        self._public = PublicMetadata(settings, metadata)
        self._prefix = len(prefix)
        self._outcomes = Outcomes(settings)
        self._always = deprecation(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive, self._prefix)
        try:
            answer = await self._answer(request)
        except DatabaseUnavailableError:
            logger.exception("the database did not answer", extra={"request_id": request.id})
            answer = self._error(_database_unavailable())
        except Exception:
            logger.exception("a request failed", extra={"request_id": request.id})
            answer = self._error(_server_error(request.id))
        came = (
            origin(request.header(b"x-request-id"), request.header(b"traceparent")) if FROM_PROXY in scope else NOWHERE
        )
        await self._send(request, answer, came, send)

    def _send(self, request: Request, answer: Answer, came: Origin, send: Send) -> Awaitable[None]:
        """Send an answer: the one place where requests are counted and written to the log."""
        seconds = perf_counter() - request.began
        if self._figures is not None:
            self._figures.answered(answer.interaction, answer.resource_type, answer.status, seconds)
        return respond(request, answer, send, log=self._log, seconds=seconds, came=came, always=self._always)

    async def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(204, b"", headers={"allow": "GET, HEAD, POST, DELETE"})
        if self._public.serves(request.path):
            return await self._open(request)
        try:
            access = await self._authenticate(request)
        except FHIRError as error:
            return self._error(error)
        wait = await self._permits.take(self._database, access.client_id)
        answer = self._error(_throttled(wait)) if wait else await self._authorized(request, access)
        access = answer.access or access
        await self._ledger.record(
            LedgerEvent(
                kind="answer",
                request_id=request.id,
                environment=access.environment,
                client_id=access.client_id,
                client_kind=access.client_kind,
                grant_id=access.grant_id,
                patient=access.patient,
                actor=access.actor,
                interaction=answer.interaction,
                resource_type=answer.resource_type,
                status=answer.status,
                resources=0 if request.method == "HEAD" else answer.resources,
                detail=withheld_detail(answer.withheld) if answer.withheld and request.method != "HEAD" else "",
            )
        )
        return answer

    async def _open(self, request: Request) -> Answer:
        """The answer to what needs no token."""
        try:
            _check_format(request, request.pairs)
            return await self._public.answer(request)
        except FHIRError as error:
            return self._error(error)

    async def _authenticate(self, request: Request) -> Access:
        scheme, _, token = request.header(b"authorization").partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            raise FHIRError(
                error_codes.TOKEN_MISSING,
                "An access token is required: send 'Authorization: Bearer …'. How to get one: .well-known/smart-configuration.",
                {"www-authenticate": f'Bearer realm="{self._settings.fhir_base}"'},
            )
        try:
            return await authenticate(self._database, self._settings, token.strip().decode("latin-1"))
        except TokenRefusedError as error:
            if error.whose is not None:
                told = f"{error.reason}: {error.description}"
                refusal = LedgerEvent("refusal", request.id, interaction=REFUSED_ACCESS, status=401, detail=told)
                await self._ledger.record(refusal._replace(**error.whose._asdict()))
            challenge = f'Bearer realm="{self._settings.fhir_base}", error="invalid_token", error_description="{error.description}"'
            raise FHIRError(TOKEN_REFUSED[error.reason], error.description, {"www-authenticate": challenge}) from error

    async def _authorized(self, request: Request, access: Access) -> Answer:
        """The answer to an authenticated request, errors included: all of them are ledger rows."""
        found: Route | None = None
        try:
            found = route(request.method, request.path)
            self._check_scope(found, access)
            pairs = request.pairs
            if request.method == "POST":
                pairs = pairs + await request.form()
            if found.interaction != EXPORT_FILE:
                _check_format(request, pairs)
            if access.actor == SYSTEM and found.definition is not None:
                if found.interaction == SEARCH_TYPE or found.operation == DOCREF:
                    access = await self._named_member.of_search(access, found.definition, pairs)
                elif found.id:
                    access = await self._named_member.of_resource(access, found.definition, found.id)
            answer = await self._permitted(request, found, pairs, access)
        except Exception as error:
            answer = self._error(error) if isinstance(error, FHIRError) else self._failure(request.id, error)
            if found is not None:
                answer.interaction, answer.resource_type = found.interaction, found.type
            answer.withheld = error.withheld if isinstance(error, FHIRError) else {}
        answer.access = answer.access or access
        return answer

    @staticmethod
    def _check_scope(found: Route, access: Access) -> None:
        """Raises FHIRError 403 without a scope for the interaction on the type; the token's own fhirUser is read without one."""
        type = found.type
        if found.operation is EVERYTHING or found.operation is EXPORT:
            return  # asked of every type that the token permits
        if type in AUDIT_TYPES:
            if access.actor == SYSTEM and access.permissions.permits_by_name(type, _LETTER[found.interaction]):
                return
            raise FHIRError(
                error_codes.SCOPE_MISSING,
                f"Only a client's own token with the scope system/{type}.rs reads {type}.",
                _INSUFFICIENT,
            )
        if not type or access.permissions.permits(type, _LETTER.get(found.interaction, "s")):
            return  # what is of no one type is asked of those that the token permits
        if found.interaction == READ and f"{type}/{found.id}" == access.fhir_user:
            return
        context = SYSTEM if access.actor == SYSTEM else "patient"
        raise FHIRError(
            error_codes.SCOPE_MISSING,
            f"The token's scopes do not allow {found.interaction} on {type}; ask for {context}/{type}.rs.",
            _INSUFFICIENT,
        )

    async def _permitted(self, request: Request, found: Route, pairs: list[tuple[str, str]], access: Access) -> Answer:
        written, is_pretty = presentation(pairs) if pairs else (WHOLE, False)
        answer = await self._interact(request, found, pairs, access, written)
        if is_pretty and answer.body:
            answer.body = pretty(answer.body)
        return answer

    async def _interact(
        self, request: Request, found: Route, pairs: list[tuple[str, str]], access: Access, written: Representation
    ) -> Answer:
        definition = found.definition
        strict = b"handling=strict" in request.header(b"prefer").translate(None, b' "').lower()
        if definition is not None and definition.type in AUDIT_TYPES:
            if found.interaction == READ:
                return await self._audit_events.read(found.id, access, written)
            return await self._audit_events.search(pairs, access, request.id, written, strict=strict)
        if found.operation is EXPORT or found.interaction in (EXPORT_STATUS, EXPORT_FILE, EXPORT_CANCEL):
            return await self._exports.of(request, found, pairs, access, strict=strict)
        if definition is None or found.interaction in (HISTORY_INSTANCE, HISTORY_TYPE):
            return await self._histories.of(definition, found.id, pairs, access, request.id, written, strict=strict)
        if found.operation == EVERYTHING:
            return await self._everything.of(
                definition, EVERYTHING, found.id, pairs, access, request.id, written, strict=strict
            )
        if found.operation == DOCREF:
            asked, is_one = search_pairs(DOCREF, pairs, strict=strict), not is_of_a_time(pairs)
            answer = await self._interactions.search(
                definition, asked, access, request.id, strict=strict, is_one=is_one
            )
            answer.interaction = found.interaction
            return answer
        if found.interaction == SEARCH_TYPE:
            return await self._interactions.search(definition, pairs, access, request.id, strict=strict)
        if found.interaction == VREAD:
            return await self._interactions.vread(
                definition, found.id, found.version, access, Conditions.of(request.headers), written
            )
        return await self._interactions.read(definition, found.id, access, Conditions.of(request.headers), written)

    def _error(self, error: FHIRError) -> Answer:
        return Answer(error.status, self._outcomes.of(error), headers=headers_of(error.headers))

    def _failure(self, request_id: str, error: Exception) -> Answer:
        """503 while the database does not answer or cannot store the ledger row, 500 for a mistake of ours; both logged."""
        if isinstance(error, DatabaseUnavailableError):
            logger.error("the database is not available: %s", error, extra={"request_id": request_id})
            return self._error(_database_unavailable())
        logger.error("a request failed", exc_info=error, extra={"request_id": request_id})
        return self._error(_server_error(request_id))


def _check_format(request: Request, pairs: list[tuple[str, str]]) -> None:
    accept = request.headers.get(b"accept", b"")
    if pairs:
        check_format(accept, tuple([value for name, value in pairs if name == "_format" and value]))
    elif accept:
        check_format(accept)


def _throttled(wait: int) -> FHIRError:
    text = f"The app has used up its requests of this minute; try again in {wait} seconds."
    return FHIRError(error_codes.THROTTLED, text, {"retry-after": str(wait)})


def _database_unavailable() -> FHIRError:
    return FHIRError(error_codes.DATABASE_UNAVAILABLE, "The database does not answer; try again.", {"retry-after": "5"})


def _server_error(request_id: str) -> FHIRError:
    return FHIRError(error_codes.SERVER_ERROR, f"Something went wrong here; quote request {request_id}.")
