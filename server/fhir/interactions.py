"""The interactions on one member's compartment: read, vread and search-type.

https://hl7.org/fhir/R4/http.html#read, #vread and #search
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote

from server import clock
from server.authorization.access import Access
from server.authorization.permissions import Permissions
from server.fhir.answer import Answer
from server.fhir.bundle import Cursor, CursorCipher, query_string, searchset
from server.fhir.conditions import ALWAYS, SECOND, Conditions
from server.fhir.outcomes import Outcomes, gone, not_found
from server.fhir.representation import WHOLE, Representation
from server.fhir.scope_check import SupersededVersions
from server.fhir.search_parameters import Pairs, parse
from server.fhir.search_values import ID, Context
from server.fhir.withholding import VersionSight, Withheld, together, withheld
from server.settings import Settings
from server.specification.definition import READ, SEARCH_TYPE, VREAD, ResourceDefinition
from server.storage.compartment_history import CompartmentHistory
from server.storage.compartment_includes import CompartmentIncludes
from server.storage.database import Database
from server.storage.patient_compartment import Page, PatientCompartment, StoredResource
from server.storage.query import Criterion, SearchQuery
from server.storage.sorting import Place

MOST_VERSIONS_COMPARED = 10
"""A resource corrected more often is sent whole to who names a date; an ETag always does."""


class Interactions:
    """What an Access may do with its member's compartment and the shared directory."""

    def __init__(self, database: Database, settings: Settings, cursors: CursorCipher) -> None:
        self._database = database
        self._settings = settings
        self._cursors = cursors
        self._outcomes = Outcomes(settings)

    async def read(
        self,
        definition: ResourceDefinition,
        id: str,
        access: Access,
        conditions: Conditions = ALWAYS,
        written: Representation = WHOLE,
    ) -> Answer:
        """The current version. 404 for a foreign or unknown id and for what the token's scopes leave out, all alike; 410 for a
        retracted one, 304 when the client has it already."""
        if not ID.fullmatch(id):
            raise not_found(definition.type, id)
        compartment = self._compartment(access)
        criteria = _asked(access, definition.type, id)(access.permissions)
        if criteria:
            found = await compartment.read_seen(definition.type, id, criteria)
            if found is None and access.permissions.plain is not None:
                found = await self._out_of_sight(compartment, definition.type, id, access)
        else:
            found = await compartment.read(definition.type, id)
        answer = _one(READ, definition.type, id, found, conditions, written)
        if found is None or not conditions.names_moment(found.last_updated):
            return answer
        return _not_modified(answer) if await _is_alone_in_its_second(compartment, found) else answer

    async def vread(
        self,
        definition: ResourceDefinition,
        id: str,
        version: str,
        access: Access,
        conditions: Conditions = ALWAYS,
        written: Representation = WHOLE,
    ) -> Answer:
        """That version, if it was this member's or the directory's, and its own content is within the token's scopes."""
        if not (ID.fullmatch(id) and ID.fullmatch(version)):
            raise not_found(definition.type, id)
        compartment = self._compartment(access)
        found = await compartment.vread(definition.type, id, version)
        if found is not None and access.permissions.criteria(definition.type, "r"):
            sight = self._sight(compartment)
            if not await sight.is_told(found, access.permissions):
                withheld = await sight.withheld([found], access.permissions, "r")
                raise not_found(definition.type, id).but_for(withheld)
        return _one(VREAD, definition.type, id, found, conditions, written)

    def _compartment(self, access: Access) -> PatientCompartment:
        """The member's, for one request: its questions go together."""
        return PatientCompartment(self._database.records(access.patient, access.loaded), access.patient)

    def _sight(self, compartment: PatientCompartment) -> VersionSight:
        history = CompartmentHistory(compartment.records, compartment.patient)
        return VersionSight(compartment, history, self._settings.fhir_base)

    async def _out_of_sight(
        self, compartment: PatientCompartment, type: str, id: str, access: Access
    ) -> StoredResource | None:
        """What a read tells of what no criteria are met by: of a tombstone in sight itself, else 404 and what was withheld."""
        stored = await compartment.read(type, id)
        if stored is None:
            return None
        if stored.deleted:
            return stored if await self._sight(compartment).is_told(stored, access.permissions) else None
        asked = _asked(access, type, id)

        async def seen(under: Permissions) -> int:
            return int(await compartment.read_seen(type, id, asked(under)) is not None)

        raise not_found(type, id).but_for(await withheld(access.permissions, seen))

    async def search(
        self,
        definition: ResourceDefinition,
        pairs: Pairs,
        access: Access,
        bundle_id: str,
        *,
        strict: bool,
        is_one: bool = False,
    ) -> Answer:
        """A searchset page over everything this member may see of the type; ``is_one``: it is the answer, and leads to no other."""
        context = Context(self._settings, access.patient, clock.now_microseconds(), access.permissions.view)
        search = parse(definition, pairs, context, strict=strict)
        compartment = self._compartment(access)
        honoured = query_string(search.honoured)
        bound_to = f"{access.patient} {definition.type} {honoured}"
        query, cursor = search.query, None
        criteria = access.permissions.criteria(definition.type, "s")
        if criteria:
            query = replace(query, criteria=(*query.criteria, *criteria))
            bound_to += f" {criteria}"  # a cursor carries the total, which is another under a wider scope
        if search.cursor:
            cursor = self._cursors.open(search.cursor, bound_to)
            query = replace(query, after=cursor.place, backwards=cursor.backwards)
        page, included = Page((), more=False), list[StoredResource]()
        if search.count_only:
            watermark = await compartment.watermark()  # before the count, so that no load between them is missed
            page = Page((), False, await compartment.total(query), watermark)
        else:
            page = await compartment.search(query)
            if query.includes or query.reverse_includes:
                included = await self._included(compartment, query, page.matches, access.permissions)
        total, watermark = (page.total, page.watermark) if cursor is None else (cursor.total, cursor.watermark)
        links = [("self", f"_cursor={quote(search.cursor)}" if search.cursor else ""), ("first", "")]
        for relation, place, backwards in () if is_one else _neighbours(page, query):
            sealed = self._cursors.seal(Cursor(place, total, watermark, backwards), bound_to)
            links.append((relation, f"_cursor={sealed}"))
        matches, written = page.matches, search.representation
        if not written.is_whole:
            matches = [row._replace(body=written.of(row.type, row.body)) for row in matches]
            included = [row._replace(body=written.of(row.type, row.body, included=True)) for row in included]
        body = searchset(
            self._settings.fhir_base,
            bundle_id,
            watermark,
            total if total >= 0 else None,
            self._links(definition, honoured, links),
            matches,
            included,
            self._outcomes.ignored(tuple(dict.fromkeys(search.ignored))) if search.ignored else None,
        )
        own = len([r for r in (*matches, *included) if r.patient])
        answer = Answer(200, body, interaction=SEARCH_TYPE, resource_type=definition.type, resources=own)
        if access.permissions.plain is not None:
            answer.withheld = await self._withheld(compartment, definition, pairs, access, query, page.matches)
        return answer

    async def _withheld(
        self,
        compartment: PatientCompartment,
        definition: ResourceDefinition,
        pairs: Pairs,
        access: Access,
        query: SearchQuery,
        matches: Sequence[StoredResource],
    ) -> Withheld:
        """What policies withheld of all matches (told with the first page), and of what this page's matches bring along."""
        now = clock.now_microseconds()

        async def total(under: Permissions) -> int:
            context = Context(self._settings, access.patient, now, under.view)
            asked = parse(definition, pairs, context, strict=False).query
            return await compartment.total(
                replace(asked, criteria=(*asked.criteria, *under.criteria(definition.type, "s")))
            )

        async def included(under: Permissions) -> int:
            return len(await self._included(compartment, query, matches, under))

        found: Withheld = {} if query.after else await withheld(access.permissions, total)
        if matches and (query.includes or query.reverse_includes):
            found = together(found, await withheld(access.permissions, included))
        return found

    async def _included(
        self,
        compartment: PatientCompartment,
        query: SearchQuery,
        matches: Sequence[StoredResource],
        permissions: Permissions,
    ) -> list[StoredResource]:
        past = SupersededVersions(compartment, self._settings.fhir_base, permissions.withholding)
        return await CompartmentIncludes(compartment, permissions.view, past).of(query, matches)

    def _links(
        self, definition: ResourceDefinition, honoured: str, links: Sequence[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        address = f"{self._settings.fhir_base}/{definition.type}"
        queries = ((relation, "&".join(filter(None, (honoured, cursor)))) for relation, cursor in links)
        return [(relation, f"{address}?{query}" if query else address) for relation, query in queries]


def _asked(access: Access, type: str, id: str) -> Callable[[Permissions], tuple[Criterion, ...]]:
    """What permissions ask of one resource: of the token's own fhirUser only that it is not withheld."""
    if f"{type}/{id}" == access.fhir_user:
        return lambda permissions: permissions.withholding(type)
    return lambda permissions: permissions.criteria(type, "r")


def _neighbours(page: Page, query: SearchQuery) -> Iterator[tuple[str, Place, bool]]:
    """The links to the pages beside this one: relation, the place they begin at, and in which direction."""
    if not page.matches:
        return
    if page.more or query.backwards:
        yield "next", page.last, False
    if (page.more if query.backwards else query.after) and query.count:
        yield "previous", page.first, True


def _one(
    interaction: str, type: str, id: str, found: StoredResource | None, conditions: Conditions, written: Representation
) -> Answer:
    """The answer about one resource."""
    if found is None:
        raise not_found(type, id)
    if found.deleted:
        raise gone(type, id)
    headers = {
        "etag": f'W/"{found.version}"',
        "last-modified": clock.http_date(found.last_updated),
    }
    own = 1 if found.patient else 0
    body = found.body if written.is_whole else written.of(type, found.body)
    answer = Answer(200, body, headers=headers, interaction=interaction, resource_type=type, resources=own)
    return _not_modified(answer) if conditions.names_version(found.version) else answer


def _not_modified(answer: Answer) -> Answer:
    """304 instead: the same headers, no resource."""
    return Answer(304, b"", headers=answer.headers, interaction=answer.interaction, resource_type=answer.resource_type)


async def _is_alone_in_its_second(compartment: PatientCompartment, found: StoredResource) -> bool:
    """Whether none of the versions before has the same Last-Modified, so that the date tells them apart (RFC 9110 8.8.2.2)."""
    version = int(found.version) if found.version.isdecimal() else 0
    if not 0 < version <= MOST_VERSIONS_COMPARED:
        return False
    for number in range(version - 1, 0, -1):
        former = await compartment.vread(found.type, found.id, str(number))
        if former is not None and former.last_updated // SECOND == found.last_updated // SECOND:
            return False
    return True
