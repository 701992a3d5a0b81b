"""``$everything``: all of a member that the token may see, page by page, each page with the shared resources it names.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from server.authorization.access import Access
from server.fhir.answer import Answer
from server.fhir.bundle import Cursor, CursorCipher, query_string, searchset
from server.fhir.error_codes import PARAMETER_UNKNOWN, SCOPE_MISSING
from server.fhir.history import instant_of
from server.fhir.outcomes import FHIRError, Outcomes, bad_parameter, not_found
from server.fhir.representation import PRESENTATION, Representation
from server.fhir.search_parameters import Pairs, page_count
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
_DEPTH = 3
"""How far references are followed: from a care team to a role, to its practitioner and organization, to the parent of that."""
_REFERENCE = re.compile(
    rb'"(?:reference|url)":"(?:[^"]*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^"]*)?"'
)


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
        compartment = PatientCompartment(self._database, member)
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
        content = CompartmentContent(self._database, member)
        own = [type for type in asked if type not in SHARED]
        found: list[StoredResource] = []
        more: Place | None = None
        if own:
            found, more = await content.page(
                own, access.permissions.view, since=since, until=until, after=after, count=count
            )
        shared = await self._shared(content, found, frozenset(asked) & SHARED, access)
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
        return Answer(200, body, interaction=f"${operation.code}", resource_type=definition.type, resources=own_count)

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
                types.update(_types(value))
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

    async def _shared(
        self, content: CompartmentContent, found: Sequence[StoredResource], types: frozenset[str], access: Access
    ) -> list[StoredResource]:
        """What the resources of a page name in the directory or by naming it, and what that names in turn."""
        added: dict[tuple[str, str], StoredResource] = {}
        fresh: Sequence[StoredResource] = found
        seen: set[tuple[str, str]] = set()
        for _ in range(_DEPTH):
            named = {one for one in references(fresh) if one[0] in types} - seen
            if not named:
                break
            seen |= named
            fresh = await content.named(named, access.permissions.view)
            added |= {(one.type, one.id): one for one in fresh}
        return list(added.values())

    def _links(
        self, path: str, honoured: Sequence[tuple[str, str]], links: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        address, asked = f"{self._settings.fhir_base}/{path}", query_string(honoured)
        told = []
        for relation, cursor in links:
            query = "&".join(filter(None, (asked, f"_cursor={quote(cursor)}" if cursor else "")))
            told.append((relation, f"{address}?{query}" if query else address))
        return told


def references(resources: Iterable[StoredResource]) -> set[tuple[str, str]]:
    """(type, id) of everything that resources refer to by a literal reference or an attachment's url, read from their bytes."""
    return {(type.decode(), id.decode()) for one in resources for type, id in _REFERENCE.findall(one.body)}


def _types(value: str) -> set[str]:
    types = {part.strip() for part in value.split(",")} - {""}
    unknown = sorted(types - RESOURCES.keys())
    if unknown:
        raise bad_parameter("_type", f"{', '.join(unknown)} is not served here; served: {', '.join(RESOURCES)}.")
    return types


def _written(resources: Sequence[StoredResource], written: Representation) -> Sequence[StoredResource]:
    if written.is_whole:
        return resources
    return [one._replace(body=written.of(one.type, one.body)) for one in resources]
