"""History: the versions of one resource, of a type, or of everything a member may see, the newest load first.

https://hl7.org/fhir/R4/http.html#history - ``_since`` follows the moment of loading, so that a backdated claim loaded today is seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

import orjson

from server import clock
from server.authorization.access import SYSTEM, Access
from server.fhir.answer import Answer
from server.fhir.bundle import Cursor, CursorCipher, query_string
from server.fhir.dates import interval
from server.fhir.error_codes import MEMBER_NOT_NAMED, PARAMETER_UNKNOWN, SCOPE_MISSING
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.representation import PRESENTATION, Representation
from server.fhir.scope_check import is_in_scope
from server.fhir.search_parameters import Pairs, page_count
from server.fhir.search_values import ID
from server.settings import Settings
from server.specification.definition import (
    HISTORY_INSTANCE,
    HISTORY_SYSTEM,
    HISTORY_TYPE,
    ResourceDefinition,
)
from server.specification.registry import RESOURCES
from server.storage.compartment_history import CompartmentHistory, HistoryQuery, StoredVersion
from server.storage.database import Database
from server.storage.patient_compartment import PatientCompartment


class Histories:
    """The three history interactions on a member's compartment."""

    def __init__(self, database: Database, settings: Settings, cursors: CursorCipher) -> None:
        self._database = database
        self._settings = settings
        self._cursors = cursors
        self._outcomes = Outcomes(settings)

    async def of(
        self,
        definition: ResourceDefinition | None,
        id: str,
        pairs: Pairs,
        access: Access,
        bundle_id: str,
        written: Representation,
        *,
        strict: bool = False,
    ) -> Answer:
        """A page of history of a resource, of a type (no ``id``), or of all types (no ``definition``).

        404 for a foreign or unknown id alike, 403 when no type may be searched. A retracted resource's history is its tombstone.
        """
        compartment = PatientCompartment(self._database, access.patient)
        query, honoured, ignored, sealed = self._parse(pairs, await compartment.watermark(), strict=strict)
        letter = "r" if id else "s"
        types = (definition.type,) if definition is not None else _compartment_types(access)
        if not types:
            raise FHIRError(SCOPE_MISSING, "The token's scopes allow the history of no resource type; ask for patient/*.rs.")
        query = replace(query, type=definition.type if definition is not None else "", id=id, types=types)
        if access.actor == SYSTEM and not access.patient and not (definition is not None and definition.is_directory):
            raise FHIRError(
                MEMBER_NOT_NAMED, "A client's own token sees one member at a time; ask for $everything of a member."
            )
        path = "/".join(filter(None, (query.type, id, "_history")))
        bound_to = f"{access.patient} {path} {query_string(honoured)} {access.scope}"
        if sealed:
            cursor = self._cursors.open(sealed, bound_to)
            query = replace(query, after=cursor.place, until=cursor.watermark)
        history = CompartmentHistory(self._database, access.patient)
        if id and (not ID.fullmatch(id) or await compartment.read(query.type, id) is None):
            raise not_found(query.type, id)
        versions, more = await history.page(query)
        last = versions[-1].place if versions else ()
        visible = [one for one in versions if await self._is_visible(compartment, history, one, access, letter)]
        if id and not visible and not query.since and not query.after:
            raise not_found(query.type, id)
        links = [("self", sealed)]
        if more:
            links.append(("next", self._cursors.seal(Cursor(last, -1, query.until), bound_to)))
        outcome = self._outcomes.ignored(ignored) if ignored else None
        body = self._bundle(bundle_id, query.until, path, honoured, links, visible, written, outcome)
        own = len([one for one in visible if one.patient and not one.deleted])
        interaction = HISTORY_INSTANCE if id else HISTORY_TYPE if definition is not None else HISTORY_SYSTEM
        return Answer(200, body, interaction=interaction, resource_type=query.type, resources=own)

    def _parse(
        self, pairs: Pairs, watermark: int, *, strict: bool
    ) -> tuple[HistoryQuery, list[tuple[str, str]], tuple[str, ...], str]:
        count, since, cursor = self._settings.page_size, 0, ""
        honoured: list[tuple[str, str]] = []
        ignored: dict[str, None] = {}
        for name, value in pairs:
            if not value:
                continue
            if name == "_count":
                count = max(1, page_count(value, self._settings.page_size_limit))
            elif name == "_since":
                since = instant_of("_since", value)
            elif name == "_cursor":
                cursor = value
                continue
            elif name not in PRESENTATION:
                if strict:
                    known = ", ".join(("_since", "_count", *PRESENTATION))
                    raise FHIRError(PARAMETER_UNKNOWN, f"Parameter '{name}' is not supported here; supported: {known}.")
                ignored[name] = None
                continue
            honoured.append((name, value))
        return HistoryQuery(watermark, since, count=count), honoured, tuple(ignored), cursor

    async def _is_visible(
        self,
        compartment: PatientCompartment,
        history: CompartmentHistory,
        one: StoredVersion,
        access: Access,
        letter: str,
    ) -> bool:
        """Whether a version is within the token's scopes: by its own body; a tombstone by what was there before it."""
        criteria = access.permissions.criteria(one.type, letter)
        if not criteria:
            return True
        judged = await history.last_body(one.type, one.id) if one.deleted else one.resource
        return judged is not None and await is_in_scope(compartment, judged, criteria, self._settings.fhir_base)

    def _bundle(
        self,
        bundle_id: str,
        watermark: int,
        path: str,
        honoured: Sequence[tuple[str, str]],
        links: Sequence[tuple[str, str]],
        versions: Sequence[StoredVersion],
        written: Representation,
        outcome: bytes | None,
    ) -> bytes:
        base = self._settings.fhir_base
        address, asked = f"{base}/{path}", query_string(honoured)
        told = []
        for relation, cursor in links:
            query = "&".join(filter(None, (asked, f"_cursor={quote(cursor)}" if cursor else "")))
            told.append({"relation": relation, "url": f"{address}?{query}" if query else address})
        head = {
            "resourceType": "Bundle",
            "id": bundle_id,
            "meta": {"lastUpdated": clock.instant(watermark)},
            "type": "history",
            "link": told,
        }
        entries = [_entry(base, one, written) for one in versions]
        if outcome is not None:
            entries.append(b'{"resource":' + outcome + b',"response":{"status":"200"}}')
        tail = b',"entry":[' + b",".join(entries) + b"]}" if entries else b"}"
        return orjson.dumps(head)[:-1] + tail


def instant_of(parameter: str, value: str) -> int:
    """Microseconds since 1970 UTC of an instant, or of the beginning of a date. Raises FHIRError 400."""
    try:
        return interval(value.replace(" ", "+"))[0]
    except ValueError as error:
        raise bad_parameter(parameter, f"{error}.") from error


def _compartment_types(access: Access) -> tuple[str, ...]:
    """The types of the member's own resources that the token may search; the shared directory has a history by type."""
    return tuple(
        type for type, row in RESOURCES.items() if not row.is_directory and access.permissions.permits(type, "s")
    )


def _entry(base: str, one: StoredVersion, written: Representation) -> bytes:
    url = f"{one.type}/{one.id}"
    status = "204" if one.deleted else "201" if one.version == "1" else "200"
    response = {"status": status, "etag": f'W/"{one.version}"', "lastModified": clock.instant(one.last_updated)}
    about = orjson.dumps({"request": {"method": "DELETE" if one.deleted else "PUT", "url": url}, "response": response})
    resource = b"" if one.deleted else b'"resource":' + written.of(one.type, one.body) + b","
    return f'{{"fullUrl":"{base}/{url}",'.encode() + resource + about[1:]
