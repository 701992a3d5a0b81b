"""History: the versions of one resource, of a type, or of everything a member may see, the newest load first.

https://hl7.org/fhir/R4/http.html#history - ``_since`` follows the moment of loading, so that a backdated claim loaded today is seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

import orjson

from server import clock
from server.authorization.access import SYSTEM, Access
from server.authorization.permissions import Permissions
from server.fhir.answer import Answer
from server.fhir.bundle import Cursor, CursorCipher, query_string
from server.fhir.dates import interval
from server.fhir.error_codes import MEMBER_NOT_NAMED, PARAMETER_UNKNOWN, SCOPE_MISSING
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.representation import PRESENTATION, Representation
from server.fhir.search_parameters import Pairs, page_count
from server.fhir.search_values import ID
from server.fhir.withholding import VersionSight
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
        records = self._database.records(access.patient, access.loaded)
        compartment = PatientCompartment(records, access.patient)
        query, honoured, ignored, sealed = self._parse(pairs, await compartment.watermark(), strict=strict)
        letter = "r" if id else "s"
        types = (definition.type,) if definition is not None else _permitted(access, in_directory=False)
        if not types:
            raise FHIRError(
                SCOPE_MISSING, "The token's scopes allow the history of no resource type; ask for patient/*.rs."
            )
        query = replace(query, type=definition.type if definition is not None else "", id=id, types=types)
        if definition is None and query.since:
            query = replace(query, shared=_permitted(access, in_directory=True))
        if access.actor == SYSTEM and not (
            access.patient or id or (definition is not None and definition.is_directory)
        ):
            raise FHIRError(
                MEMBER_NOT_NAMED, "A client's own token sees one member at a time; ask for $everything of a member."
            )
        path = "/".join(filter(None, (query.type, id, "_history")))
        bound_to = f"{access.patient} {path} {query_string(honoured)} {access.scope}"
        if sealed:
            cursor = self._cursors.open(sealed, bound_to)
            query = replace(query, after=cursor.place, until=cursor.watermark)
        history = CompartmentHistory(records, access.patient)
        if id and (not ID.fullmatch(id) or await compartment.read(query.type, id) is None):
            raise not_found(query.type, id)
        sight = VersionSight(compartment, history, self._settings.fhir_base)
        visible, hidden, more = await self._page(history, sight, query, access.permissions, letter)
        last = visible[-1].place if visible else ()
        of_policies = await sight.withheld([one.resource for one in hidden], access.permissions, letter)
        if id and not visible and not await self._is_told(history, sight, query, access.permissions):
            raise not_found(query.type, id).but_for(of_policies)
        links = [("self", sealed)]
        if more:
            links.append(("next", self._cursors.seal(Cursor(last, -1, query.until), bound_to)))
        outcome = self._outcomes.ignored(ignored) if ignored else None
        body = self._bundle(bundle_id, query.until, path, honoured, links, visible, written, outcome)
        own = len([one for one in visible if one.patient and not one.deleted])
        interaction = HISTORY_INSTANCE if id else HISTORY_TYPE if definition is not None else HISTORY_SYSTEM
        answer = Answer(200, body, interaction=interaction, resource_type=query.type, resources=own)
        answer.withheld = of_policies
        return answer

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

    @staticmethod
    async def _page(
        history: CompartmentHistory, sight: VersionSight, query: HistoryQuery, permissions: Permissions, letter: str
    ) -> tuple[list[StoredVersion], list[StoredVersion], bool]:
        """The versions of a page that are in sight, those that are not and stand before its last one or before the end, and whether
        more in sight follow: what is out of sight is as if it were not there."""
        types = (query.type,) if query.type else (*query.types, *query.shared)
        if not any(permissions.criteria(type, letter) for type in types):
            versions, more = await history.page(query)
            return list(versions), [], more
        visible: list[StoredVersion] = []
        hidden: list[StoredVersion] = []
        behind: list[StoredVersion] = []
        more = True
        while more:
            versions, more = await history.page(query)
            for one in versions:
                if not await sight.is_seen(one.resource, permissions, letter):
                    (hidden if len(visible) < query.count else behind).append(one)
                elif len(visible) < query.count:
                    visible.append(one)
                else:
                    return visible, hidden, True
            if versions:
                query = replace(query, after=versions[-1].place)
        return visible, hidden + behind, False

    async def _is_told(
        self, history: CompartmentHistory, sight: VersionSight, query: HistoryQuery, permissions: Permissions
    ) -> bool:
        """Whether any version of the resource asked for is in sight: the page had none."""
        if not permissions.criteria(query.type, "r"):
            return bool(query.since or query.after)
        whole = replace(query, since=0, after=(), count=1)
        visible, _, _ = await self._page(history, sight, whole, permissions, "r")
        return bool(visible)

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


def _permitted(access: Access, *, in_directory: bool) -> tuple[str, ...]:
    """The types that the token may search: those of the member's own resources, or those of the shared directory.

    The directory has a history by type. Of everything since a moment its deletions are told too: an app that holds what the
    member's records name learns of them nowhere else, and there are few.
    """
    return tuple(
        type
        for type, row in RESOURCES.items()
        if row.is_directory == in_directory and access.permissions.permits(type, "s")
    )


def _entry(base: str, one: StoredVersion, written: Representation) -> bytes:
    url = f"{one.type}/{one.id}"
    status = "204" if one.deleted else "201" if one.version == "1" else "200"
    response = {"status": status, "etag": f'W/"{one.version}"', "lastModified": clock.instant(one.last_updated)}
    about = orjson.dumps({"request": {"method": "DELETE" if one.deleted else "PUT", "url": url}, "response": response})
    resource = b"" if one.deleted else b'"resource":' + written.of(one.type, one.body) + b","
    return f'{{"fullUrl":"{base}/{url}",'.encode() + resource + about[1:]
