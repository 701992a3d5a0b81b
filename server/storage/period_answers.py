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


@contextmanager
def working_table(transaction: Transaction) -> Iterator[None]:
    """Make ANSWERS, empty; it is gone at the end, or with the transaction."""
    if transaction.connection.dialect.name == "postgresql":
        # For this transaction only: millions of answers are grouped in memory, and compiling the plan would take longer than it saves.
        transaction.execute(text("SET LOCAL work_mem = '256MB'"))
        transaction.execute(text("SET LOCAL jit = off"))
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


def by_patient(predicates: Sequence[Predicate], *, rolled: bool, numbered: bool) -> Select[Any]:
    """All answers of the period: rows (patient, groups), one for each patient.

    ``groups``: joined by GROUP, each of outcome, app, what else tells occasions apart, answers, and local days (``05-04``) joined by
    PART; days are joined by commas, one as often as it comes, and if ``numbered`` with its answers (``05-04:12``). ``rolled``: those of
    the rolled-up days ``:days`` too.
    """
    held: Any = select(ANSWERS)
    if rolled:
        day = rolled_up()
        named: tuple[Any, ...] = day.c.patient, day.c.client_id, _EMPTY.label("occasion"), day.c.answers
        held = union_all(held, select(outcome(predicates, day.c).label("outcome"), day.c.day, *named))
    answer = held.subquery().c
    date: ColumnElement[str] = func.substr(answer.day, 6)
    if numbered:
        date = _joined(date, ":", cast(answer.answers, Text))
    grouped = answer.patient, answer.outcome, answer.client_id, answer.occasion
    sums = func.sum(answer.answers).label("answers"), func.aggregate_strings(date, ",").label("days")
    group = select(*grouped, *sums).group_by(*grouped).subquery().c
    texts = cast(group.outcome, Text), group.client_id, group.occasion, cast(group.answers, Text), group.days
    whole = func.aggregate_strings(_joined(texts[0], *[piece for text in texts[1:] for piece in (PART, text)]), GROUP)
    return select(group.patient, whole.label("groups")).group_by(group.patient)


PART, GROUP = "\x1f", "\x1e"
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
