"""The second door: questions over many members, for operator commands and clients' own tokens (a test lists who imports it).

https://hl7.org/fhir/R4/compartmentdefinition.html - whatever asks for one member goes through PatientCompartment.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, false, func, literal_column, select

from server.specification.registry import MEMBER_TYPE
from server.storage import authorization_events, prior_authorizations
from server.storage.authorization_events import VisibleEvent
from server.storage.criteria import REFERENCE, RESOURCE, TOKEN
from server.storage.database import Database, Transaction
from server.storage.prior_authorizations import RequestEvent
from server.storage.schema import DIRECTORY, HIDDEN, NAMED, NAMES, UNASSIGNED, LoadClock, Member

CLOCK: Any = LoadClock.__table__  # type: ignore[attr-defined]
MEMBER: Any = Member.__table__  # type: ignore[attr-defined]
_COUNTS: Any = (
    select(RESOURCE.c.type, func.count().label("total"))
    .where(RESOURCE.c.deleted == false())
    .group_by(RESOURCE.c.type)
    .order_by(RESOURCE.c.type)
)


class Population:
    """Everybody's data, as an operator command sees it, inside a transaction opened by the command."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def counts(self) -> dict[str, int]:
        """Current resources by type."""
        return {row.type: row.total for row in self._transaction.all(_COUNTS)}

    def missing(self, type: str, ids: Sequence[str]) -> list[str]:
        """Those of the ids under which no current resource of the type is stored, in the order given."""
        statement = select(RESOURCE.c.id).where(
            RESOURCE.c.type == bindparam("type"),
            RESOURCE.c.id.in_(bindparam("ids", expanding=True)),
            RESOURCE.c.deleted == false(),
        )
        stored = {row.id for row in self._transaction.all(statement, {"type": type, "ids": list(ids)})}
        return [id for id in ids if id not in stored]

    def authorization_events(self, type: str, since: int, until: int) -> Iterator[VisibleEvent]:
        """Events of prior authorizations from ``since`` to before ``until`` (microseconds since 1970 UTC), by authorization and
        time; ``type`` is that of the resources that show them."""
        return authorization_events.events(self._transaction, type, since, until)

    def authorization_requests(self, type: str, since: int, until: int, known: int) -> Iterator[RequestEvent]:
        """Every event, recorded up to ``known``, of the prior authorizations of which anything happened from ``since`` to before
        ``until``; those of one request together, in the order in which they were recorded."""
        return prior_authorizations.events(self._transaction, type, since, until, known)

    def loaded_at(self) -> int:
        """The load watermark in microseconds since 1970 UTC; 0 before the first load."""
        return int(self._transaction.scalar(select(CLOCK.c.loaded_at)) or 0)


_MEMBER_OF = select(RESOURCE.c.patient).where(RESOURCE.c.type == bindparam("type"), RESOURCE.c.id == bindparam("id"))
_MEMBER_NAMING = select(func.min(REFERENCE.c.patient)).where(
    literal_column(HIDDEN),  # written out: the index is partial
    REFERENCE.c.parameter == bindparam("names", NAMES),
    REFERENCE.c.target_type == bindparam("type"),
    REFERENCE.c.target_id == bindparam("id"),
    *[REFERENCE.c.patient != nobody for nobody in (DIRECTORY, NAMED, UNASSIGNED)],
)
_IDENTIFIED = (
    select(RESOURCE.c.patient)
    .join_from(RESOURCE, TOKEN, TOKEN.c.resource == RESOURCE.c.key)
    .where(
        RESOURCE.c.type == bindparam("type", MEMBER_TYPE),
        RESOURCE.c.deleted == false(),
        TOKEN.c.parameter == bindparam("parameter"),
        TOKEN.c.code == bindparam("code"),
    )
    .distinct()
    .limit(2)
)
_IDENTIFIED_IN_SYSTEM = _IDENTIFIED.where(TOKEN.c.system == bindparam("system"))
_ENVIRONMENT = select(MEMBER.c.environment).where(MEMBER.c.patient == bindparam("member"))


class MemberIndex:
    """Which member a client's own token asks about; what it is then told comes through that member's PatientCompartment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def member_of(self, type: str, id: str) -> str:
        """The member that a resource belongs to, deleted or not; of several that name it, the first. '' when there is none."""
        row = await self._database.fetch_one(_MEMBER_OF, {"type": type, "id": id})
        patient = "" if row is None or row[0] == UNASSIGNED else str(row[0])
        if patient == NAMED:
            row = await self._database.fetch_one(_MEMBER_NAMING, {"type": type, "id": id})
            patient = (row and row[0]) or ""
        return patient

    async def identified(self, parameter: str, system: str | None, code: str) -> list[str]:
        """The members whose own resource has this identifier: none, one, or two of more. ``system`` None: of any."""
        statement = _IDENTIFIED if system is None else _IDENTIFIED_IN_SYSTEM
        values = {"parameter": parameter, "code": code} | ({} if system is None else {"system": system})
        return [row[0] for row in await self._database.fetch(statement, values)]

    async def environment(self, member: str) -> str | None:
        """The member's mark, None without one (production)."""
        row = await self._database.fetch_one(_ENVIRONMENT, {"member": member})
        return None if row is None else str(row[0])
