"""The statements behind the usage report: what the ledger holds of a period, by row or by daily roll-up, and the reporting units.

What is reported: 42 CFR 431.60(f) and its parallels; the tables: ``schema.LedgerRow`` and ``report_schema.LedgerDay``. What is
known of persons and enrolments: ``transfer_tables``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, literal_column, not_, or_, select

from server.storage.report_schema import LedgerDay
from server.storage.schema import Enrolment, LedgerRow, PersonLink, ReportingUnit

LEDGER = LedgerRow.__table__  # type: ignore[attr-defined]
LEDGER_DAY = LedgerDay.__table__  # type: ignore[attr-defined]
PERSON_LINK = PersonLink.__table__  # type: ignore[attr-defined]
ENROLMENT = Enrolment.__table__  # type: ignore[attr-defined]
REPORTING_UNIT = ReportingUnit.__table__  # type: ignore[attr-defined]

COUNTED = 0
"""The outcome of an answer that no exclusion removed; else it is the place of the first exclusion that holds, from 1."""
ROLLED_UP = ("environment", "client_id", "client_kind", "grant_id", "patient", "status", "resources")
"""The columns of the ledger that a daily roll-up keeps (of ``grant_id``: whether there is one): predicates may name these."""

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
        if self.column not in ROLLED_UP:
            raise ValueError(f"the ledger's daily roll-up has no column {self.column}")
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

    def criterion(self, columns: Any) -> ColumnElement[bool]:
        """The condition as SQL, on the columns of the ledger or of ``rolled_up``."""
        return _OPERATORS[self.operator](columns[self.column], self.value)


def outcome(predicates: Sequence[Predicate], columns: Any) -> ColumnElement[int]:
    """The place of the first predicate that holds, from 1, else ``COUNTED``: every answer is in exactly one."""
    none: ColumnElement[int] = literal_column(str(COUNTED))
    if not predicates:
        return none
    whens: list[tuple[Any, Any]] = [
        (predicate.criterion(columns), literal_column(str(place)))
        for place, predicate in enumerate(predicates, start=1)
    ]
    return case(*whens, else_=none)


def in_span() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Rows of the span [:low, :high)."""
    return LEDGER.c.at >= bindparam("low"), LEDGER.c.at < bindparam("high")


def rolled_up() -> Any:
    """The roll-ups of the days ``:days`` with the ledger's own column names; a grant there is '-', none ''."""
    granted = case((LEDGER_DAY.c.granted, "-"), else_="")
    others = [LEDGER_DAY.columns[name] for name in ROLLED_UP if name != "grant_id"]
    named = LEDGER_DAY.c.day, *others, granted.label("grant_id"), LEDGER_DAY.c.answers
    return select(*named).where(LEDGER_DAY.c.day.in_(bindparam("days", expanding=True))).subquery()


def ledger_rows() -> Select[Any]:
    """How many rows of every kind the ledger holds of a span [:low, :high)."""
    return select(func.count()).select_from(LEDGER).where(*in_span())


FIRST_ROW: Select[Any] = select(func.min(LEDGER.c.at)).where(*in_span())
"""The time of the first ledger row of a span [:low, :high); None of an empty one."""


def counted_in_order(predicates: Sequence[Predicate]) -> Select[Any]:
    """The answers of a span [:low, :high) that no predicate removes, in the order of time: (at, patient, client_id)."""
    chosen = select(LEDGER.c.at, LEDGER.c.patient, LEDGER.c.client_id)
    kept = outcome(predicates, LEDGER.c) == literal_column(str(COUNTED))
    return chosen.where(LEDGER.c.kind == "answer", *in_span(), kept).order_by(LEDGER.c.at)


def latest(table: Any, known: str, *keys: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions under which a row of an append-only history is the last that was recorded within its keys up to ``:known``."""
    later = table.alias("later")
    bound: ColumnElement[int] = bindparam(known)
    is_later = or_(
        later.c.recorded_at > table.c.recorded_at,
        and_(later.c.recorded_at == table.c.recorded_at, later.c.key > table.c.key),
    )
    same = [later.columns[key] == table.columns[key] for key in keys]
    newer = select(later.c.key).where(*same, later.c.recorded_at <= bound, is_later).correlate(table).exists()
    return table.c.recorded_at <= bound, ~newer


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


def recorded_between(table: Any) -> Select[Any]:
    """How many rows of an append-only history were recorded after ``:after`` and up to ``:until``."""
    return (
        select(func.count())
        .select_from(table)
        .where(table.c.recorded_at > bindparam("after"), table.c.recorded_at <= bindparam("until"))
    )
