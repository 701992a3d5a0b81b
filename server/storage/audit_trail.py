"""The ledger's answers over all members, for an auditor's own token and nobody else (a test lists who imports it).

https://hl7.org/fhir/R4/auditevent.html - by the member and time over ``ledger_by_patient``, or by time over ``ledger_by_time``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, and_, bindparam, literal_column, or_, select

from server.storage.authorization_store import CLIENT, GRANT
from server.storage.database import Database
from server.storage.ledger import LEDGER

Place = tuple[int, str, int]
"""Where a row stands: at, writer, sequence."""
BEFORE_ALL: Place = (1 << 62, "", 0)
"""In front of the newest."""


class AnsweredRequest(NamedTuple):
    """A row of the ledger of kind answer; ``account`` and ``fhir_user`` are those of its grant, ``client_name`` the app's, '' unknown.

    ``at``: microseconds since 1970 UTC. ``detail``: '' or JSON of how many resources policies withheld."""

    writer: str
    sequence: int
    at: int
    request_id: str
    client_id: str
    client_kind: str
    grant_id: str
    patient: str
    actor: str
    interaction: str
    resource_type: str
    status: int
    resources: int
    detail: str
    account: str | None
    fhir_user: str | None
    client_name: str | None

    @property
    def place(self) -> Place:
        """Where it stands in the order of a search."""
        return self.at, self.writer, self.sequence


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Answers given from ``since`` to before ``until`` about ``patient`` ('' : about anybody or nobody), behind a place, the newest first."""

    patient: str
    since: int
    until: int
    after: Place
    count: int


_FROM_LEDGER = [LEDGER.c[name] for name in AnsweredRequest._fields[:14]]
_ANSWERS: Select[Any] = (
    select(*_FROM_LEDGER, GRANT.c.account, GRANT.c.fhir_user, CLIENT.c.name.label("client_name"))
    .select_from(
        LEDGER.outerjoin(GRANT, GRANT.c.id == LEDGER.c.grant_id).outerjoin(CLIENT, CLIENT.c.id == LEDGER.c.client_id)
    )
    .where(LEDGER.c.kind == literal_column("'answer'"))
)
_PAGE = (
    _ANSWERS.where(
        LEDGER.c.at >= bindparam("since"),
        LEDGER.c.at < bindparam("until"),
        or_(
            LEDGER.c.at < bindparam("at_place"),
            and_(
                LEDGER.c.at == bindparam("at_place"),
                or_(
                    LEDGER.c.writer > bindparam("after_writer"),
                    and_(LEDGER.c.writer == bindparam("after_writer"), LEDGER.c.sequence > bindparam("after_sequence")),
                ),
            ),
        ),
    )
    .order_by(LEDGER.c.at.desc(), LEDGER.c.writer, LEDGER.c.sequence)
    .limit(bindparam("count", type_=Integer))
)
_PAGE_OF_MEMBER = _PAGE.where(LEDGER.c.patient == bindparam("member"))
_ONE = _ANSWERS.where(LEDGER.c.writer == bindparam("writer"), LEDGER.c.sequence == bindparam("number"))


class AuditTrail:
    """Everybody's answers, one page or one row at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, query: AuditQuery) -> Sequence[AnsweredRequest]:
        """A page of the search."""
        at, writer, sequence = query.after
        values: dict[str, Any] = {"since": query.since, "until": min(query.until, at + 1), "count": query.count}
        values |= {"at_place": at, "after_writer": writer, "after_sequence": sequence}
        if query.patient:
            rows = await self._database.fetch(_PAGE_OF_MEMBER, values | {"member": query.patient})
        else:
            rows = await self._database.fetch(_PAGE, values)
        return [AnsweredRequest(*row) for row in rows]

    async def one(self, writer: str, sequence: int) -> AnsweredRequest | None:
        """The answer that a writer recorded under this number, or None."""
        row = await self._database.fetch_one(_ONE, {"writer": writer, "number": sequence})
        return None if row is None else AnsweredRequest(*row)
