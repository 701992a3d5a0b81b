"""The ledger as an auditor reads it: ``GET …?patient=…&date=ge…&date=le…``, page by page, and one event by its id.

https://hl7.org/fhir/R4/auditevent.html#search and https://profiles.ihe.net/ITI/TF/Volume2/ITI-81.html - a search names a member or the day
from which on it asks, since the ledger is read by these and never scanned.
"""

from dataclasses import replace
from urllib.parse import quote

import orjson

from server import clock
from server.authorization.access import Access
from server.fhir.answer import Answer
from server.fhir.audit_event import audit_event, id_of, named_by
from server.fhir.bundle import Cursor, CursorCipher, query_string, searchset
from server.fhir.dates import interval
from server.fhir.error_codes import MEMBER_NOT_NAMED, PARAMETER_UNKNOWN
from server.fhir.named_member import NamedMember
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.representation import PRESENTATION, Representation
from server.fhir.search_parameters import Pairs, page_count
from server.fhir.search_values import Context, reference_alternatives
from server.settings import Settings
from server.specification.audit import AUDIT_EVENT
from server.specification.definition import READ, SEARCH_TYPE
from server.specification.registry import MEMBER_TYPE
from server.storage.audit_trail import BEFORE_ALL, AnsweredRequest, AuditQuery, AuditTrail
from server.storage.database import Database
from server.storage.patient_compartment import StoredResource

PATIENT, DATE, COUNT, CURSOR = "patient", "date", "_count", "_cursor"
PREFIXES = ("eq", "ge", "gt", "sa", "le", "lt", "eb")
_FOREVER = 1 << 62


class AuditEvents:
    """Read and search of the ledger's answers, for a client's own token whose scope names the type (checked before)."""

    def __init__(
        self, database: Database, settings: Settings, cursors: CursorCipher, named_member: NamedMember
    ) -> None:
        self._trail = AuditTrail(database)
        self._settings = settings
        self._cursors = cursors
        self._named_member = named_member
        self._outcomes = Outcomes(settings)

    async def read(self, id: str, access: Access, written: Representation) -> Answer:
        """One event. Raises FHIRError 404."""
        named = named_by(id)
        row = None if named is None else await self._trail.one(*named)
        if row is None:
            raise not_found(AUDIT_EVENT.type, id)
        answer = Answer(
            200, self._stored(row, written).body, interaction=READ, resource_type=AUDIT_EVENT.type, resources=1
        )
        answer.access = await self._named_member.for_member(access, row.patient)
        return answer

    async def search(
        self, pairs: Pairs, access: Access, bundle_id: str, written: Representation, *, strict: bool
    ) -> Answer:
        """A page of events, the newest first. Raises FHIRError 400 when a search names neither a member nor a beginning."""
        query, honoured, ignored, sealed = self._parse(pairs, strict=strict)
        access = await self._named_member.for_member(access, query.patient)
        bound_to = f"{AUDIT_EVENT.type} {query_string(honoured)} {access.client_id} {access.scope}"
        now = clock.now_microseconds()
        if sealed:
            cursor = self._cursors.open(sealed, bound_to)
            at, writer, number = cursor.place
            query, now = replace(query, after=(int(at), str(writer), int(number))), cursor.watermark
        query = replace(query, until=min(query.until, now))
        rows = await self._trail.page(replace(query, count=query.count + 1))
        page, more = rows[: query.count], len(rows) > query.count
        address = f"{self._settings.fhir_base}/{AUDIT_EVENT.type}?{query_string(honoured)}"
        links = [("self", f"{address}&{CURSOR}={quote(sealed)}" if sealed else address)]
        if more:
            following = self._cursors.seal(Cursor(page[-1].place, -1, now), bound_to)
            links.append(("next", f"{address}&{CURSOR}={quote(following)}"))
        outcome = self._outcomes.ignored(ignored) if ignored else None
        found = [self._stored(row, written) for row in page]
        body = searchset(self._settings.fhir_base, bundle_id, now, None, links, found, (), outcome)
        answer = Answer(200, body, interaction=SEARCH_TYPE, resource_type=AUDIT_EVENT.type, resources=len(page))
        answer.access = access
        return answer

    def _stored(self, row: AnsweredRequest, written: Representation) -> StoredResource:
        body = written.of(AUDIT_EVENT.type, orjson.dumps(audit_event(row, self._settings)))
        return StoredResource(0, row.patient, AUDIT_EVENT.type, id_of(row), "1", row.at, False, body)

    def _parse(self, pairs: Pairs, *, strict: bool) -> tuple[AuditQuery, list[tuple[str, str]], tuple[str, ...], str]:
        query = AuditQuery("", 0, _FOREVER, BEFORE_ALL, self._settings.page_size)
        honoured: list[tuple[str, str]] = []
        ignored: dict[str, None] = {}
        cursor = ""
        for name, value in pairs:
            if not value:
                continue
            if name == CURSOR:
                cursor = value
                continue
            if name == PATIENT:
                query = replace(query, patient=self._patient(value, query.patient))
            elif name == DATE:
                low, high = _span(value)
                query = replace(query, since=max(query.since, low), until=min(query.until, high))
            elif name == COUNT:
                query = replace(query, count=max(1, page_count(value, self._settings.page_size_limit)))
            elif name not in PRESENTATION:
                if strict:
                    known = ", ".join((PATIENT, DATE, COUNT, *PRESENTATION))
                    raise FHIRError(PARAMETER_UNKNOWN, f"Parameter '{name}' is not supported here; supported: {known}.")
                ignored[name] = None
                continue
            honoured.append((name, value))
        if not query.patient and not query.since:
            raise FHIRError(MEMBER_NOT_NAMED, "Name a member (patient=) or from when on to look (date=ge2026-11-01).")
        return query, honoured, tuple(ignored), cursor

    def _patient(self, value: str, before: str) -> str:
        parameter = AUDIT_EVENT.parameter(PATIENT)
        assert parameter is not None
        asked = reference_alternatives(parameter, "", value, Context(self._settings, "", 0))
        if len(asked) != 1 or asked[0].type != MEMBER_TYPE or before not in ("", asked[0].id):
            raise bad_parameter(PATIENT, "name one member, by id.")
        return asked[0].id


def _span(value: str) -> tuple[int, int]:
    """The span [from, to) of moments that a value of ``date`` stands for: https://hl7.org/fhir/R4/search.html#prefix"""
    prefix = value[:2] if value[:2] in PREFIXES else ""
    try:
        low, high = interval(value[len(prefix) :].replace(" ", "+"))
    except ValueError as error:
        raise bad_parameter(DATE, f"{error}; prefixes: {', '.join(PREFIXES)}.") from error
    match prefix:
        case "ge":
            return low, _FOREVER
        case "gt" | "sa":
            return high, _FOREVER
        case "le":
            return 0, high
        case "lt" | "eb":
            return 0, low
        case _:
            return low, high
