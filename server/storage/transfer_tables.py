"""The working tables of one usage report: temporary, filled, asked and dropped in the report's own reading transaction.

The database adds up persons and reporting units, so that a report of millions of transfers sends only frequencies over the wire: how
many persons had so many transfers, by place. https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-TEMPORARY
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Executable,
    Index,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
)

from server.storage.database import Transaction
from server.storage.usage import COUNTED, ENROLMENT, LEDGER, PERSON_LINK, Predicate, in_span, latest, outcome, rolled_up

NOWHERE = 0
"""The place of a transfer on a day without enrolment; places of reporting units count from 1."""

_WORKING = MetaData()
_TEMPORARY = ["TEMPORARY"]
ANSWERS = Table(
    "report_answers",
    _WORKING,
    Column("outcome", Integer, nullable=False),
    Column("day", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("answers", BigInteger, nullable=False),
    prefixes=_TEMPORARY,
)
"""Answers by outcome, local day, patient, app, and what else tells occasions apart ('' where day and app do)."""
PERSONS = Table(
    "report_persons",
    _WORKING,
    Column("patient", Text, primary_key=True),
    Column("person", BigInteger, nullable=False),
    prefixes=_TEMPORARY,
)
"""The person, as a number, behind each patient of ANSWERS."""
SPELLS = Table(
    "report_spells",
    _WORKING,
    Column("patient", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("start", Text, nullable=False),
    Column("until", Text, nullable=False),
    Index("report_spells_by_patient", "patient"),
    prefixes=_TEMPORARY,
)
"""The enrolments in force of those patients, by place."""
PLACES = Table(
    "report_places",
    _WORKING,
    Column("unit", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, nullable=False),
    prefixes=_TEMPORARY,
)
"""The place at which each reporting unit is counted."""


@contextmanager
def working_tables(transaction: Transaction, *, is_sqlite: bool, places: Mapping[int, int]) -> Iterator[None]:
    """Make the tables, with the place of each reporting unit's key; they are gone at the end, or with the transaction."""
    if not is_sqlite:
        # For this transaction only: millions of rows are grouped in memory, and compiling the plans would take longer than it saves.
        transaction.execute(text("SET LOCAL work_mem = '256MB'"))
        transaction.execute(text("SET LOCAL jit = off"))
    _WORKING.create_all(transaction.connection, checkfirst=False)
    if places:
        transaction.execute(insert(PLACES), [{"unit": unit, "place": place} for unit, place in places.items()])
    yield
    _WORKING.drop_all(transaction.connection, checkfirst=False)


def fill_from_rows(predicates: Sequence[Predicate], occasion: str = "") -> Executable:
    """Add the answers of a span [:low, :high) of the local day ``:day``; ``occasion`` is a ledger column, or empty."""
    told_apart = LEDGER.columns[occasion] if occasion else literal_column("''")
    named = LEDGER.c.patient, LEDGER.c.client_id, told_apart.label("occasion")
    # A subquery, because a CASE full of bind parameters can not be repeated in GROUP BY on PostgreSQL.
    answer = (
        select(outcome(predicates, LEDGER.c).label("outcome"), *named)
        .where(LEDGER.c.kind == "answer", *in_span())
        .subquery()
    )
    day = bindparam("day", type_=Text)
    grouped = answer.c.patient, answer.c.client_id, answer.c.occasion
    rows = select(answer.c.outcome, day, *grouped, func.count()).group_by(answer.c.outcome, *grouped)
    return insert(ANSWERS).from_select(list(ANSWERS.columns.keys()), rows)


def fill_from_rollups(predicates: Sequence[Predicate]) -> Executable:
    """Add the answers of the rolled-up days ``:days``."""
    day = rolled_up()
    named = outcome(predicates, day.c).label("outcome"), day.c.day, day.c.patient, day.c.client_id
    answer = select(*named, day.c.answers).subquery()
    grouped = answer.c.outcome, answer.c.day, answer.c.patient, answer.c.client_id
    rows = select(*grouped, literal_column("''"), func.sum(answer.c.answers)).group_by(*grouped)
    return insert(ANSWERS).from_select(list(ANSWERS.columns.keys()), rows)


def _fill_persons() -> Executable:
    patients = select(ANSWERS.c.patient).where(ANSWERS.c.patient != "").distinct().subquery()
    link = select(PERSON_LINK).where(PERSON_LINK.c.value != "", *latest(PERSON_LINK, "known", "patient")).subquery()
    linked = patients.outerjoin(link, link.c.patient == patients.c.patient)
    system, value = func.coalesce(link.c.system, ""), func.coalesce(link.c.value, patients.c.patient)
    identity = select(patients.c.patient, system.label("system"), value.label("value")).select_from(linked).subquery()
    person = func.dense_rank().over(order_by=(identity.c.system, identity.c.value))
    return insert(PERSONS).from_select(["patient", "person"], select(identity.c.patient, person))


def _fill_spells() -> Executable:
    # Only what touches the period, and only of the patients who appear in it.
    rows = (
        select(ENROLMENT.c.patient, PLACES.c.place, ENROLMENT.c.start, ENROLMENT.c.until)
        .join(PERSONS, PERSONS.c.patient == ENROLMENT.c.patient)
        .join(PLACES, PLACES.c.unit == ENROLMENT.c.unit)
        .where(
            *latest(ENROLMENT, "known", "patient", "coverage_id"),
            ENROLMENT.c.start <= bindparam("last"),
            or_(ENROLMENT.c.until == "", ENROLMENT.c.until >= bindparam("first")),
        )
        .distinct()
    )
    return insert(SPELLS).from_select(list(SPELLS.columns.keys()), rows)


FILL_PERSONS = _fill_persons()
"""Persons as recorded up to ``:known``; without a link that names one, a patient is a person."""
FILL_SPELLS = _fill_spells()
"""Enrolments as recorded up to ``:known`` that touch the dates ``:first`` to ``:last``."""
PERSON_BY_PATIENT: Select[Any] = select(PERSONS.c.patient, PERSONS.c.person)
DELETE_COUNTED = delete(ANSWERS).where(ANSWERS.c.outcome == COUNTED)
INSERT_ANSWERS = insert(ANSWERS)


def count_up(transaction: Transaction, *, is_sqlite: bool) -> None:
    """Tell PostgreSQL's planner how large the tables have become."""
    if not is_sqlite:
        for table in (ANSWERS, PERSONS, SPELLS):
            transaction.execute(text(f"ANALYZE {table.name}"))


def outcomes() -> Select[Any]:
    """What became of all answers: (outcome, answers, persons, persons of whom no answer counted)."""
    counted = (
        select(PERSONS.c.person)
        .join(ANSWERS, ANSWERS.c.patient == PERSONS.c.patient)
        .where(ANSWERS.c.outcome == COUNTED)
        .distinct()
        .subquery()
    )
    uncounted = case((counted.c.person.is_(None), PERSONS.c.person))
    return (
        select(
            ANSWERS.c.outcome,
            func.sum(ANSWERS.c.answers).label("answers"),
            func.count(PERSONS.c.person.distinct()).label("persons"),
            func.count(uncounted.distinct()).label("uncounted"),
        )
        .select_from(
            ANSWERS.outerjoin(PERSONS, PERSONS.c.patient == ANSWERS.c.patient).outerjoin(
                counted, counted.c.person == PERSONS.c.person
            )
        )
        .group_by(ANSWERS.c.outcome)
    )


def frequencies(by: str, occasion_columns: Sequence[str], *, each_answer: bool = False) -> Select[Any]:
    """How many persons had so many occasions: rows (place, occasions, persons).

    ``by``: '' (one place, 0), place (reporting units and NOWHERE), month (``2026-05``) or client_id. An occasion is told apart by the
    ``occasion_columns`` of ANSWERS; with ``each_answer`` each answer of them is one.
    """
    place: dict[str, ColumnElement[Any]] = {
        "": literal_column(str(NOWHERE)),
        "place": func.coalesce(SPELLS.c.place, literal_column(str(NOWHERE))),
        "month": func.substr(ANSWERS.c.day, 1, 7),
        "client_id": ANSWERS.c.client_id,
    }
    source: Any = ANSWERS.join(PERSONS, PERSONS.c.patient == ANSWERS.c.patient)
    if by == "place":
        in_force = and_(
            SPELLS.c.patient == ANSWERS.c.patient,
            SPELLS.c.start <= ANSWERS.c.day,
            or_(SPELLS.c.until == "", SPELLS.c.until >= ANSWERS.c.day),
        )
        source = source.outerjoin(SPELLS, in_force)
    number = ANSWERS.c.answers if each_answer else literal_column("1")
    named = [ANSWERS.columns[name].label(f"occasion_{name}") for name in occasion_columns]
    transfer = (
        select(place[by].label("place"), PERSONS.c.person, *named, number.label("number"))
        .select_from(source)
        .where(ANSWERS.c.outcome == COUNTED)
        .distinct()
        .subquery()
    )
    one = (
        select(transfer.c.place, func.sum(transfer.c.number).label("occasions"))
        .group_by(transfer.c.place, transfer.c.person)
        .subquery()
    )
    return select(one.c.place, one.c.occasions, func.count().label("persons")).group_by(one.c.place, one.c.occasions)
