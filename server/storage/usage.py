"""The statements behind the usage report: what the ledger holds of a period, and the latest person and enrolment of its patients.

What is reported: 42 CFR 431.60(f) and its parallels; the tables: ``schema.LedgerRow``, ``PersonLink``, ``Enrolment``, ``ReportingUnit``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, func, literal, not_, select

from server.storage.schema import Enrolment, LedgerRow, PersonLink, ReportingUnit

LEDGER = LedgerRow.__table__  # type: ignore[attr-defined]
PERSON_LINK = PersonLink.__table__  # type: ignore[attr-defined]
ENROLMENT = Enrolment.__table__  # type: ignore[attr-defined]
REPORTING_UNIT = ReportingUnit.__table__  # type: ignore[attr-defined]

COUNTED = "counted"
"""The outcome of an answer that no exclusion removed."""

_OPERATORS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "is": lambda column, value: column == value,
    "is not": lambda column, value: column != value,
    "is below": lambda column, value: column < value,
    "is outside": lambda column, value: not_(column.between(value[0], value[1])),
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on one ledger column; the same row gives the SQL and the English. ``is outside`` takes (low, high), both inside."""

    column: str
    operator: str
    value: str | int | tuple[int, int]

    def __post_init__(self) -> None:
        if self.column not in LEDGER.columns:
            raise ValueError(f"the ledger has no column {self.column}")
        if self.operator not in _OPERATORS:
            raise ValueError(f"no operator {self.operator!r}")

    def __str__(self) -> str:
        match self.value:
            case (low, high):
                return f"{self.column} {self.operator} {low} to {high}"
            case "":
                return f"{self.column} {self.operator} empty"
            case value:
                return f"{self.column} {self.operator} {value}"

    def criterion(self) -> ColumnElement[bool]:
        """The condition as SQL."""
        return _OPERATORS[self.operator](LEDGER.columns[self.column], self.value)


def _in_period() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return LEDGER.c.at >= bindparam("low"), LEDGER.c.at < bindparam("high")


def answers_by_patient(exclusions: Sequence[tuple[str, Predicate]], occasion_columns: Sequence[str]) -> Select[Any]:
    """The answers of a period [:low, :high): rows (outcome, patient, *occasion_columns, answers).

    ``outcome`` is the name of the first exclusion that holds, else ``COUNTED``: every answer is in exactly one.
    """
    outcome: ColumnElement[str] = literal(COUNTED)
    if exclusions:
        outcome = case(*[(predicate.criterion(), name) for name, predicate in exclusions], else_=COUNTED)
    named = [LEDGER.columns[name] for name in ("patient", *occasion_columns)]
    # A subquery, because a CASE full of bind parameters can not be repeated in GROUP BY on PostgreSQL.
    answer = select(outcome.label("outcome"), *named).where(LEDGER.c.kind == "answer", *_in_period()).subquery()
    return select(*answer.columns, func.count().label("answers")).group_by(*answer.columns)


def ledger_rows() -> Select[Any]:
    """One row: the ledger rows of a period [:low, :high), of every kind, and how many of them are answers."""
    answers = func.count(case((LEDGER.c.kind == "answer", 1)))
    counts: tuple[Any, ...] = func.count().label("rows"), answers.label("answers")
    return select(*counts).select_from(LEDGER).where(*_in_period())


def latest_persons() -> Select[Any]:
    """The person recorded last for each Patient that answers of the period [:low, :high) name: (patient, system, value)."""
    latest = _latest(PERSON_LINK, "patient")
    return select(latest.c.patient, latest.c.system, latest.c.value).where(latest.c.place == 1)


def latest_enrolments() -> Select[Any]:
    """The spells in force by what was recorded last for each Coverage, for the Patients that answers of the period
    [:low, :high) name: (patient, unit, start, until). A Coverage withdrawn last (no unit) gives none."""
    latest = _latest(ENROLMENT, "patient", "coverage_id")
    chosen = select(latest.c.patient, latest.c.unit, latest.c.start, latest.c.until)
    return chosen.where(latest.c.place == 1, latest.c.unit.is_not(None))


def _latest(table: Any, *keys: str) -> Any:
    """The table's rows for the period's patients, numbered from the latest (``place`` 1) within the keys."""
    patients = select(LEDGER.c.patient).where(LEDGER.c.kind == "answer", *_in_period()).distinct()
    order = table.c.recorded_at.desc(), table.c.key.desc()
    place = func.row_number().over(partition_by=[table.columns[key] for key in keys], order_by=order)
    return select(table, place.label("place")).where(table.c.patient.in_(patients)).subquery()


def reporting_units() -> Select[Any]:
    """Every reporting unit, with members or without, in the order reports show them."""
    columns = REPORTING_UNIT.c
    return select(REPORTING_UNIT).order_by(
        columns.line_of_business,
        columns.state,
        columns.program,
        columns.issuer,
        columns.contract,
        columns.plan,
        columns.key,
    )
