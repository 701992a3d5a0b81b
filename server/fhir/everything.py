"""``$everything``: all of a member that the token may see, page by page, each page with the shared resources it names.

https://hl7.org/fhir/R4/patient-operation-everything.html - with ``_since`` the last page also has the shared resources that were
loaded since then and are named by what has not changed.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from server.authorization.access import Access
from server.authorization.permissions import Permissions
from server.fhir.answer import Answer
from server.fhir.bundle import Cursor, CursorCipher, query_string, searchset
from server.fhir.error_codes import PARAMETER_UNKNOWN, SCOPE_MISSING
from server.fhir.history import instant_of
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.representation import PRESENTATION, Representation
from server.fhir.search_parameters import Pairs, page_count
from server.fhir.withholding import withheld
from server.settings import Settings
from server.specification.definition import MembershipKind, Operation, ResourceDefinition
from server.specification.registry import RESOURCES
from server.storage.compartment_content import CompartmentContent, Place
from server.storage.database import Database
from server.storage.patient_compartment import PatientCompartment, StoredResource

SHARED = frozenset(
    type for type, row in RESOURCES.items() if row.membership.kind in (MembershipKind.DIRECTORY, MembershipKind.NAMED)
)
"""Types whose resources come along with what names them."""
_DEPTH = 10
"""How far references are followed: from a care team to a role, to its practitioner and organization, to the parents of that."""
_REFERENCE = re.compile(rb'"(?:reference|url)":"([^"]*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^"]*)?"')
_AT_ONCE = 200
"""Resources read at once to see what they name."""

Identity = tuple[str, str]
"""Resource type and id."""


class Everything:
    """The operation on one member's compartment."""

    def __init__(self, database: Database, settings: Settings, cursors: CursorCipher) -> None:
        self._database = database
        self._settings = settings
        self._cursors = cursors
        self._outcomes = Outcomes(settings)

    async def of(
        self,
        definition: ResourceDefinition,
        operation: Operation,
        id: str,
        pairs: Pairs,
        access: Access,
        bundle_id: str,
        written: Representation,
        *,
        strict: bool,
    ) -> Answer:
        """A page; without ``id`` of the token's own member. 404 for any other member, 403 when no scope permits anything."""
        member = access.patient
        if not member or (id and id != member):
            raise not_found(definition.type, id or "$" + operation.code)
        records = self._database.records(member, access.loaded)
        compartment = PatientCompartment(records, member)
        since, types, count, sealed, honoured, ignored = self._parse(pairs, strict=strict)
        permitted = [type for type in sorted(RESOURCES) if access.permissions.permits(type, "r")]
        if not permitted:
            raise FHIRError(SCOPE_MISSING, "The token's scopes allow no resource type; ask for patient/*.rs.")
        asked = [type for type in permitted if not types or type in types]
        path = f"{definition.type}/{id}/${operation.code}" if id else f"{definition.type}/${operation.code}"
        bound_to = f"{member} {path} {query_string(honoured)} {access.scope}"
        after: Place = ("", 0)
        if sealed:
            cursor = self._cursors.open(sealed, bound_to)
            until, after = cursor.watermark, (str(cursor.place[0]), int(cursor.place[1]))
        else:
            until = await compartment.watermark()
        content = CompartmentContent(records, member)
        own = [type for type in asked if type not in SHARED]
        found: list[StoredResource] = []
        hidden: list[StoredResource] = []
        more: Place | None = None
        if own:
            found, hidden, more = await content.scan(
                own, access.permissions.view, since=since, until=until, after=after, count=count
            )
        types_shared = frozenset(asked) & SHARED
        shared = await self._shared(content, self._references(found), types_shared, access)
        if more is None and types_shared and (since or not own):
            shared += await self._named_by_all(content, permitted, types_shared, access, since, until, shared)
        links = [("self", sealed)]
        if more is not None:
            links.append(("next", self._cursors.seal(Cursor(more, -1, until), bound_to)))
        body = searchset(
            self._settings.fhir_base,
            bundle_id,
            until,
            None,
            self._links(path, honoured, links),
            _written(found, written),
            _written(shared, written),
            self._outcomes.ignored(ignored) if ignored else None,
        )
        own_count = len([one for one in (*found, *shared) if one.patient])
        answer = Answer(200, body, interaction=f"${operation.code}", resource_type=definition.type, resources=own_count)

        async def seen(under: Permissions) -> int:
            rows = [*found, *await compartment.in_view(hidden, under.view)]
            of_scope = access._replace(permissions=under)
            return len(rows) + len(await self._shared(content, self._references(rows), types_shared, of_scope))

        answer.withheld = await withheld(access.permissions, seen)
        return answer

    def _parse(
        self, pairs: Pairs, *, strict: bool
    ) -> tuple[int, frozenset[str], int, str, list[tuple[str, str]], tuple[str, ...]]:
        since, count, cursor = 0, self._settings.page_size, ""
        types: set[str] = set()
        honoured: list[tuple[str, str]] = []
        ignored: dict[str, None] = {}
        for name, value in pairs:
            if not value:
                continue
            if name == "_count":
                count = max(1, page_count(value, self._settings.page_size_limit))
            elif name == "_since":
                since = instant_of(name, value)
            elif name == "_type":
                types.update(resource_types(value))
            elif name == "_cursor":
                cursor = value
                continue
            elif name not in PRESENTATION:
                if strict:
                    raise FHIRError(
                        PARAMETER_UNKNOWN,
                        f"Parameter '{name}' is not supported here; supported: _since, _type, _count.",
                    )
                ignored[name] = None
                continue
            honoured.append((name, value))
        return since, frozenset(types), count, cursor, honoured, tuple(ignored)

    def _references(self, resources: Iterable[StoredResource]) -> set[Identity]:
        return references(resources, self._settings.fhir_base)

    async def _shared(
        self, content: CompartmentContent, named: set[Identity], types: frozenset[str], access: Access
    ) -> list[StoredResource]:
        """What is named, of the types, in the directory or as belonging to who names it; and what that names in turn."""
        added: dict[Identity, StoredResource] = {}
        seen: set[Identity] = set()
        for _ in range(_DEPTH):
            named = {one for one in named if one[0] in types} - seen
            if not named:
                break
            seen |= named
            fresh = await content.named(named, access.permissions.view)
            added |= {(one.type, one.id): one for one in fresh}
            named = self._references(fresh)
        return list(added.values())

    async def _named_by_all(
        self,
        content: CompartmentContent,
        permitted: Sequence[str],
        types: frozenset[str],
        access: Access,
        since: int,
        until: int,
        told: Sequence[StoredResource],
    ) -> list[StoredResource]:
        """Shared resources loaded since, and what they name in turn, that anything of the member names; but for those told already.

        Nothing is read when nothing shared was loaded since, which is the rule between two nightly loads.
        """
        if not await content.is_shared_loaded(since=since, until=until):
            return []
        own = [type for type in permitted if type not in SHARED]
        named: set[Identity] = set()
        after: Place | None = ("", 0)
        while own and after is not None:
            found, after = await content.page(
                own, access.permissions.view, since=0, until=until, after=after, count=_AT_ONCE
            )
            named |= self._references(found)
            await asyncio.sleep(0)  # a member may have thousands of claims; others are answered in between
        shared = {(one.type, one.id): one for one in await self._shared(content, named, types, access)}
        fresh = await content.loaded_since(list(shared.values()), since=since)
        wanted = {(one.type, one.id): one for one in fresh}
        while fresh:
            fresh = [shared[one] for one in sorted(self._references(fresh)) if one in shared and one not in wanted]
            wanted |= {(one.type, one.id): one for one in fresh}
        known = {(one.type, one.id) for one in told}
        return [one for identity, one in wanted.items() if identity not in known]

    def _links(
        self, path: str, honoured: Sequence[tuple[str, str]], links: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        address, asked = f"{self._settings.fhir_base}/{path}", query_string(honoured)
        told = []
        for relation, cursor in links:
            query = "&".join(filter(None, (asked, f"_cursor={quote(cursor)}" if cursor else "")))
            told.append((relation, f"{address}?{query}" if query else address))
        return told


def references(resources: Iterable[StoredResource], base: str) -> set[Identity]:
    """(type, id) of everything of this server that resources refer to by a literal reference or an attachment's url, read from
    their bytes. ``base`` is its FHIR base."""
    here = (b"", base.encode() + b"/")
    found = (named for one in resources for named in _REFERENCE.findall(one.body))
    return {(type.decode(), id.decode()) for prefix, type, id in found if prefix in here}


def resource_types(value: str) -> set[str]:
    """The types of a value of ``_type``. Raises FHIRError 400 for one that is not served."""
    types = {part.strip() for part in value.split(",")} - {""}
    unknown = sorted(types - RESOURCES.keys())
    if unknown:
        raise bad_parameter("_type", f"{', '.join(unknown)} is not served here; served: {', '.join(RESOURCES)}.")
    return types


def _written(resources: Sequence[StoredResource], written: Representation) -> Sequence[StoredResource]:
    if written.is_whole:
        return resources
    return [one._replace(body=written.of(one.type, one.body)) for one in resources]
