"""The member that a client's own request names: such a token is for no member, so each request about members names one.

https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html - what is then told comes through that member's compartment.
"""

from server.authorization.access import SYSTEM, Access, environment_of
from server.fhir.error_codes import MEMBER_NOT_NAMED
from server.fhir.outcomes import FHIRError
from server.fhir.search_parameters import Pairs
from server.fhir.search_values import Context, criterion, names_member, reference_alternatives
from server.settings import Settings
from server.specification.definition import MembershipKind, ResourceDefinition, SearchParameter
from server.storage.database import Database
from server.storage.population import MemberIndex
from server.storage.query import Criterion, IdCriterion, TokenCriterion

IDENTIFIER = "identifier"


class NamedMember:
    """Finds the member of a request by a client's own token, and only of such a request."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._index = MemberIndex(database)
        self._settings = settings

    async def of_resource(self, access: Access, definition: ResourceDefinition, id: str) -> Access:
        """Access to the member whom a resource belongs to; without one, to the directory alone."""
        _check(access)
        if definition.is_directory:
            return access
        return await self._for(access, await self._index.member_of(definition.type, id))

    async def of_search(self, access: Access, definition: ResourceDefinition, pairs: Pairs) -> Access:
        """Access to the member whom a search names. Raises FHIRError 400 when it names none, or more than one."""
        _check(access)
        if definition.is_directory:
            return access
        named: set[str] = set()
        for name, value in pairs:
            parameter = definition.parameter(name)
            member = await self._named(definition, parameter, value) if parameter is not None and value else None
            if member is not None:
                named.add(member)
        if not named:
            raise FHIRError(MEMBER_NOT_NAMED, _how(definition))
        return await self._for(access, named.pop() if len(named) == 1 else "")

    async def for_member(self, access: Access, member: str) -> Access:
        """Access in the ledger to the member of an id ('' : to nobody), whether there is one or not."""
        _check(access)
        return await self._for(access, member)

    async def _for(self, access: Access, member: str) -> Access:
        if not member:
            return access
        mark = await self._index.environment(member)
        environment = access.environment if mark is None else environment_of(self._settings, access.environment, mark)
        return access._replace(patient=member, environment=environment)

    async def _named(self, definition: ResourceDefinition, parameter: SearchParameter, value: str) -> str | None:
        """The member that a parameter names ('' : an unknown one); None: it names none, or several."""
        kind = definition.membership.kind
        context = Context(self._settings, "", 0)
        if parameter.code == "_id" or (kind is MembershipKind.SELF and parameter.code == IDENTIFIER):
            return await self._identified(definition, criterion(definition, parameter, "", value, context))
        if names_member(definition, parameter) or _gives_member(definition, parameter):
            asked = reference_alternatives(parameter, "", value, context)
            return await self._index.member_of(asked[0].type or "", asked[0].id) if len(asked) == 1 else None
        return None

    async def _identified(self, definition: ResourceDefinition, asked: Criterion | None) -> str | None:
        if isinstance(asked, IdCriterion):
            ids = asked.alternatives
            return await self._index.member_of(definition.type, ids[0]) if len(ids) == 1 else None
        if not isinstance(asked, TokenCriterion) or len(asked.alternatives) != 1 or asked.alternatives[0].code is None:
            return None
        (identifier,) = asked.alternatives
        members = await self._index.identified(IDENTIFIER, identifier.system, identifier.code or "")
        return None if len(members) > 1 else "".join(members)


def _gives_member(definition: ResourceDefinition, parameter: SearchParameter) -> bool:
    """Whether the parameter is the reference to the resource whose member is this one's too."""
    membership = definition.membership
    return membership.kind is MembershipKind.VIA and parameter.expression == f"{definition.type}.{membership.path}"


def _check(access: Access) -> None:
    if access.actor != SYSTEM or access.patient:
        raise RuntimeError("a member's token names its member already")


def _how(definition: ResourceDefinition) -> str:
    ways = [p.code for p in definition.search_parameters if names_member(definition, p) or _gives_member(definition, p)]
    if definition.membership.kind is MembershipKind.SELF:
        ways.append(IDENTIFIER)
    return (
        "The search does not name one member, and a client's own token sees one member at a time."
        f" Add one of {', '.join(f'{way}=' for way in (*ways, '_id'))} with a single value that only one member has."
    )
