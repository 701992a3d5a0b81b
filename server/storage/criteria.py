"""Criteria as SQL: each criterion is a shape (cached, compiled once) and its values.

Own resources are probed by key, so that the work is bounded by the member's page; directory resources are found by value.
https://hl7.org/fhir/R4/search.html#prefix
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, exists, literal_column, not_, or_, select

from server.storage.query import (
    Criterion,
    DateAlternative,
    DateCriterion,
    IdCriterion,
    LastUpdatedCriterion,
    MissingCriterion,
    ReferenceCriterion,
    StringAlternative,
    StringCriterion,
    TokenCriterion,
)
from server.storage.schema import DateIndex, ReferenceIndex, Resource, StringIndex, TokenIndex

RESOURCE: Any = Resource.__table__  # type: ignore[attr-defined]
TOKEN: Any = TokenIndex.__table__  # type: ignore[attr-defined]
REFERENCE: Any = ReferenceIndex.__table__  # type: ignore[attr-defined]
DATE: Any = DateIndex.__table__  # type: ignore[attr-defined]
STRING: Any = StringIndex.__table__  # type: ignore[attr-defined]
SHARED: Any = literal_column("''")
"""The directory's ``patient``, written out so that the partial indexes apply."""
AFTER_LAST = "\U0010ffff"

Shape = tuple[str, tuple[str, ...]]
"""The kind of criterion (with NOT before it: negated), and the form of each alternative."""
NOT = "not "


def shapes_and_values(criteria: Sequence[Criterion]) -> tuple[tuple[Shape, ...], dict[str, Any]]:
    """The shapes of criteria, and the values of their bind parameters."""
    shapes: list[Shape] = []
    values: dict[str, Any] = {}
    for number, criterion in enumerate(criteria):
        kind = type(criterion).__name__
        if isinstance(criterion, MissingCriterion):
            values |= {f"c{number}_{n}": parameter for n, parameter in enumerate(criterion.parameters)}
            shapes.append((kind if criterion.missing else NOT + kind, ("",) * len(criterion.parameters)))
            continue
        forms: list[str] = []
        if not isinstance(criterion, IdCriterion | LastUpdatedCriterion):
            values[f"c{number}"] = criterion.parameter  # type: ignore[union-attr]
        for n, alternative in enumerate(criterion.alternatives):  # type: ignore[union-attr]
            form, named = _ALTERNATIVES[type(criterion)](alternative)
            forms.append(form)
            values |= {f"c{number}_{n}_{name}": value for name, value in named.items()}
        negated = isinstance(criterion, TokenCriterion) and criterion.negated
        shapes.append((NOT + kind if negated else kind, tuple(forms)))
    return tuple(shapes), values


def _token_values(alternative: Any) -> tuple[str, dict[str, Any]]:
    named = {"system": alternative.system, "code": alternative.code}
    given = {name: value for name, value in named.items() if value is not None}
    return " ".join(given), given


def _reference_values(alternative: Any) -> tuple[str, dict[str, Any]]:
    if alternative.type is None:
        return "id", {"id": alternative.id}
    return "type id", {"id": alternative.id, "type": alternative.type}


def _string_values(alternative: StringAlternative) -> tuple[str, dict[str, Any]]:
    if alternative.match == "starts":
        return "starts", {"from": alternative.text, "to": alternative.text + AFTER_LAST}
    return alternative.match, {"text": alternative.text}


def _date_values(alternative: DateAlternative) -> tuple[str, dict[str, Any]]:
    return alternative.prefix, {"low": alternative.low, "high": alternative.high}


_ALTERNATIVES: dict[type, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    TokenCriterion: _token_values,
    ReferenceCriterion: _reference_values,
    DateCriterion: _date_values,
    LastUpdatedCriterion: _date_values,
    StringCriterion: _string_values,
    IdCriterion: lambda id: ("id", {"id": id}),
}


def condition(shape: Shape, number: int, *, shared: bool) -> Any:
    """The SQL condition of a shape on ``resource``; ``shared``: the type belongs to the directory."""
    kind, forms = shape
    if kind.startswith(NOT):
        return not_(condition((kind.removeprefix(NOT), forms), number, shared=shared))
    if kind == "MissingCriterion":
        parameters: list[Any] = [bindparam(f"c{number}_{n}") for n in range(len(forms))]
        return and_(*[_no_entry(table, parameters) for table in (TOKEN, REFERENCE, DATE, STRING)])
    if kind == "IdCriterion":
        return RESOURCE.c.id.in_([bindparam(f"c{number}_{n}_id") for n in range(len(forms))])
    if kind == "LastUpdatedCriterion":
        at = RESOURCE.c.last_updated
        return or_(*[_compared(form, at, at + 1, f"c{number}_{n}") for n, form in enumerate(forms)])
    table, alternative = _TABLES[kind]
    matching = (
        table.c.parameter == bindparam(f"c{number}"),
        or_(*[alternative(form, f"c{number}_{n}") for n, form in enumerate(forms)]),
    )
    if shared and kind in ("TokenCriterion", "StringCriterion"):
        return RESOURCE.c.key.in_(select(table.c.resource).where(table.c.patient == SHARED, *matching))
    return exists().where(table.c.resource == RESOURCE.c.key, *matching)


def _no_entry(table: Any, parameters: list[Any]) -> Any:
    return not_(exists().where(table.c.resource == RESOURCE.c.key, table.c.parameter.in_(parameters)))


def _token(form: str, prefix: str) -> Any:
    return and_(*[TOKEN.c[name] == bindparam(f"{prefix}_{name}") for name in form.split()])


def _reference(form: str, prefix: str) -> Any:
    same = REFERENCE.c.target_id == bindparam(f"{prefix}_id")
    return and_(same, REFERENCE.c.target_type == bindparam(f"{prefix}_type")) if "type" in form else same


def _string(form: str, prefix: str) -> Any:
    if form == "exact":
        return STRING.c.exact == bindparam(f"{prefix}_text")
    if form == "contains":
        return STRING.c.folded.contains(bindparam(f"{prefix}_text"))  # folded text has no LIKE wildcards
    return and_(STRING.c.folded >= bindparam(f"{prefix}_from"), STRING.c.folded < bindparam(f"{prefix}_to"))


def _date(form: str, prefix: str) -> Any:
    return _compared(form, DATE.c.low, DATE.c.high, prefix)


_TABLES: dict[str, tuple[Any, Callable[[str, str], Any]]] = {
    "TokenCriterion": (TOKEN, _token),
    "ReferenceCriterion": (REFERENCE, _reference),
    "StringCriterion": (STRING, _string),
    "DateCriterion": (DATE, _date),
}


def _compared(form: str, low: Any, high: Any, prefix: str) -> Any:
    """A stored interval [low, high) against the value's, by prefix."""
    value_low, value_high = bindparam(f"{prefix}_low", type_=low.type), bindparam(f"{prefix}_high", type_=low.type)
    inside = and_(low >= value_low, high <= value_high)
    comparisons: dict[str, Callable[[], Any]] = {
        "eq": lambda: inside,
        "ne": lambda: not_(inside),
        "gt": lambda: high > value_high,
        "lt": lambda: low < value_low,
        "ge": lambda: or_(high > value_high, inside),
        "le": lambda: or_(low < value_low, inside),
        "sa": lambda: low >= value_high,
        "eb": lambda: high <= value_low,
        "ap": lambda: and_(low < value_high, high > value_low),
    }
    return comparisons[form]()
