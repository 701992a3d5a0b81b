"""The second door: questions over many members, for operator commands only (a test lists who imports it).

https://hl7.org/fhir/R4/compartmentdefinition.html - whatever asks for one member goes through PatientCompartment.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, false, func, select

from server.storage import authorization_events
from server.storage.authorization_events import VisibleEvent
from server.storage.criteria import RESOURCE
from server.storage.database import Transaction
from server.storage.schema import LoadClock

CLOCK: Any = LoadClock.__table__  # type: ignore[attr-defined]
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

    def loaded_at(self) -> int:
        """The load watermark in microseconds since 1970 UTC; 0 before the first load."""
        return int(self._transaction.scalar(select(CLOCK.c.loaded_at)) or 0)
