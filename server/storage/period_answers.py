"""The answers of a report's period, brought together by patient: from daily roll-ups, and from rows by way of a temporary table.

The database groups, so that what crosses the wire is a line for each patient, not for each answer, and a report holds one person at a
time. https://www.postgresql.org/docs/current/functions-aggregate.html
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Executable,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    union_all,
)

from server.storage.database import Transaction
from server.storage.usage import (
    COUNTED,
    ENROLMENT,
    LEDGER,
    PERSON_LINK,
    Predicate,
    in_span,
    latest,
    outcome,
    rolled_up,
)

_EMPTY: ColumnElement[str] = literal_column("''")
_WORKING = MetaData()
ANSWERS = Table(
    "report_answers",
    _WORKING,
    Column("outcome", Integer, nullable=False),
    Column("day", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("answers", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)
"""Answers of the days that are read by row: by outcome, local day, patient, app, and what else tells occasions apart."""
INSERT_ANSWERS = insert(ANSWERS)
DELETE_COUNTED = delete(ANSWERS).where(ANSWERS.c.outcome == COUNTED)


def prepare(transaction: Transaction) -> None:
    """Let PostgreSQL group millions of answers in memory, in this transaction only; compiling the plans would cost more than it saves."""
    if transaction.connection.dialect.name == "postgresql":
        transaction.execute(text("SET LOCAL work_mem = '256MB'"))
        transaction.execute(text("SET LOCAL jit = off"))


@contextmanager
def working_table(transaction: Transaction) -> Iterator[None]:
    """Make ANSWERS, empty; it is gone at the end, or with the transaction."""
    _WORKING.create_all(transaction.connection, checkfirst=False)
    yield
    _WORKING.drop_all(transaction.connection, checkfirst=False)


def fill_from_rows(predicates: Sequence[Predicate], occasion: str = "") -> Executable:
    """Add to ANSWERS those of a span [:low, :high) of the local day ``:day``; ``occasion`` is a ledger column, or empty."""
    told_apart = LEDGER.columns[occasion] if occasion else _EMPTY
    named = LEDGER.c.patient, LEDGER.c.client_id, told_apart.label("occasion")
    # A subquery, because a CASE full of bind parameters can not be repeated in GROUP BY on PostgreSQL.
    answer = (
        select(outcome(predicates, LEDGER.c).label("outcome"), *named)
        .where(LEDGER.c.kind == "answer", *in_span())
        .subquery()
    )
    day: ColumnElement[str] = bindparam("day", type_=Text)
    grouped = answer.c.patient, answer.c.client_id, answer.c.occasion
    rows = select(answer.c.outcome, day, *grouped, func.count()).group_by(answer.c.outcome, *grouped)
    return insert(ANSWERS).from_select(list(ANSWERS.columns.keys()), rows)


def by_patient(predicates: Sequence[Predicate], *, rows: bool, rolled: bool, detailed: bool) -> Select[Any]:
    """All answers of the period: rows (patient, transfers, last, pieces), one for each patient; ``transfers``: the answers that
    count; ``last``: the greatest outcome, COUNTED if nothing was left out.

    ``pieces`` are joined by PIECE, as often as they come. What counts: 0, local day, app (``005-04app``), and if ``detailed`` also what
    else tells occasions apart and the number of answers, joined by PART. What was left out: outcome and answers (``3:12``).
    ``rows``: those of ANSWERS; ``rolled``: those of the rolled-up days ``:days``. PostgreSQL works in parallel without the former.
    """
    held: list[Any] = [select(ANSWERS)] if rows or not rolled else []
    if rolled:
        day = rolled_up()
        named: tuple[Any, ...] = day.c.patient, day.c.client_id, _EMPTY.label("occasion"), day.c.answers
        held.append(select(outcome(predicates, day.c).label("outcome"), day.c.day, *named))
    every: Any = held[0]
    if len(held) > 1:
        every = union_all(*held)
    answer = every.subquery().c
    number = cast(answer.answers, Text)
    details: tuple[Any, ...] = (PART, answer.occasion, PART, number) if detailed else ()
    counts: Any = answer.outcome == literal_column(str(COUNTED))
    piece: Any = case(
        (counts, _joined(literal_column(f"'{COUNTED}'"), func.substr(answer.day, 6), answer.client_id, *details)),
        else_=_joined(cast(answer.outcome, Text), ":", number),
    )
    transfers: Any = cast(func.sum(case((counts, answer.answers), else_=literal_column("0"))), BigInteger)
    pieces = func.aggregate_strings(piece, PIECE).label("pieces")
    sums: tuple[Any, ...] = transfers.label("transfers"), func.max(answer.outcome).label("last"), pieces
    return select(answer.patient, *sums).group_by(answer.patient)


PART, PIECE = "\x1f", "\x1e"
"""No client id or grant id has a control character (RFC 6749 appendix A.1)."""


def _joined(first: Any, *others: Any) -> ColumnElement[str]:
    for piece in others:
        text = literal_column(f"'{piece}'") if isinstance(piece, str) else piece
        first = first.op("||")(text)
    joined: ColumnElement[str] = first
    return joined


def merged_patients() -> Select[Any]:
    """Patient ids with the same identity as another one, as recorded up to ``:known``: rows (patient, system, value)."""
    is_last = latest(PERSON_LINK, "known", "patient")
    link = select(PERSON_LINK).where(PERSON_LINK.c.value != _EMPTY, *is_last).cte("link")
    named = link.c.system, link.c.value
    several = select(*named).group_by(*named).having(func.count() > literal_column("1")).subquery()
    same = (several.c.system == link.c.system) & (several.c.value == link.c.value)
    return select(link.c.patient, *named).join(several, same)


def spells() -> Select[Any]:
    """The enrolments in force as recorded up to ``:known`` that touch the dates ``:first`` to ``:last``: rows (patient, unit, start,
    until). A Coverage withdrawn last (no unit) gives none."""
    columns = ENROLMENT.c
    return select(columns.patient, columns.unit, columns.start, columns.until).where(
        columns.unit.is_not(None),
        columns.start <= bindparam("last"),
        (columns.until == _EMPTY) | (columns.until >= bindparam("first")),
        *latest(ENROLMENT, "known", "patient", "coverage_id"),
    )
