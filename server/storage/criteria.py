"""Criteria as SQL: each criterion is a shape (cached, compiled once) and its values.

Own resources are probed by key, so that the work is bounded by the member's page; directory resources are found by value.
https://hl7.org/fhir/R4/search.html#prefix
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, exists, false, literal_column, not_, or_, select, true

from server.specification.registry import RESOURCES
from server.storage.query import (
    AnyOfCriterion,
    ChainCriterion,
    Criterion,
    DateAlternative,
    DateCriterion,
    HasCriterion,
    IdCriterion,
    LastUpdatedCriterion,
    MissingCriterion,
    NamedInSightCriterion,
    ReferenceCriterion,
    ReferredInSightCriterion,
    Sight,
    StringAlternative,
    StringCriterion,
    TokenCriterion,
)
from server.storage.schema import DIRECTORY, NAMED, NAMES, DateIndex, ReferenceIndex, Resource, StringIndex, TokenIndex

RESOURCE: Any = Resource.__table__  # type: ignore[attr-defined]
TOKEN: Any = TokenIndex.__table__  # type: ignore[attr-defined]
REFERENCE: Any = ReferenceIndex.__table__  # type: ignore[attr-defined]
DATE: Any = DateIndex.__table__  # type: ignore[attr-defined]
STRING: Any = StringIndex.__table__  # type: ignore[attr-defined]
SHARED: Any = literal_column("''")
"""The directory's ``patient``, written out so that the partial indexes apply."""
AFTER_LAST = "\U0010ffff"

MEMBER: Any = bindparam("patient")
"""Whose compartment is asked; every statement with criteria has this value."""

Shape = tuple[str, tuple[Any, ...]]
"""The kind of criterion (with NOT before it: negated), and the form of each alternative: a word, or shapes of what stands in it."""
NOT = "not "


def shapes_and_values(criteria: Sequence[Criterion]) -> tuple[tuple[Shape, ...], dict[str, Any]]:
    """The shapes of criteria, and the values of their bind parameters."""
    values: dict[str, Any] = {}
    shapes = [_shape(criterion, f"c{number}", values) for number, criterion in enumerate(criteria)]
    return tuple(shapes), values


def _shape(criterion: Criterion, name: str, values: dict[str, Any]) -> Shape:
    """The shape of one criterion; its values are added under names that begin with ``name``."""
    kind = type(criterion).__name__
    if isinstance(criterion, MissingCriterion):
        values.update({f"{name}_{n}": parameter for n, parameter in enumerate(criterion.parameters)})
        return kind if criterion.missing else NOT + kind, ("",) * len(criterion.parameters)
    if isinstance(criterion, AnyOfCriterion):
        alternatives = enumerate(criterion.alternatives)
        return kind, tuple(_shapes(all, f"{name}_{n}", values) for n, all in alternatives)
    if isinstance(criterion, ReferredInSightCriterion | NamedInSightCriterion):
        if isinstance(criterion, ReferredInSightCriterion):
            values[name] = criterion.parameter
        return kind, _sight_shape(criterion.sight, name, values)
    if isinstance(criterion, ChainCriterion):
        values[name] = criterion.parameter
        values.update({f"{name}_t{n}": type_name for n, (type_name, _) in enumerate(criterion.alternatives)})
        chained = enumerate(criterion.alternatives)
        return kind, tuple((type_name, _shapes(all, f"{name}_{n}", values)) for n, (type_name, all) in chained)
    if isinstance(criterion, HasCriterion):
        values.update({name: criterion.parameter, f"{name}_t": criterion.type, f"{name}_s": criterion.source_type})
        return kind, (criterion.source_type, _shapes(criterion.criteria, f"{name}_0", values))
    forms: list[str] = []
    if not isinstance(criterion, IdCriterion | LastUpdatedCriterion):
        values[name] = criterion.parameter  # type: ignore[union-attr]
    for n, alternative in enumerate(criterion.alternatives):  # type: ignore[union-attr]
        form, named = _ALTERNATIVES[type(criterion)](alternative)
        forms.append(form)
        values.update({f"{name}_{n}_{part}": value for part, value in named.items()})
    negated = isinstance(criterion, TokenCriterion) and criterion.negated
    return (NOT + kind if negated else kind, tuple(forms))


def _shapes(criteria: Sequence[Criterion], name: str, values: dict[str, Any]) -> tuple[Shape, ...]:
    return tuple(_shape(criterion, f"{name}_{n}", values) for n, criterion in enumerate(criteria))


def _sight_shape(sight: Sight, name: str, values: dict[str, Any]) -> tuple[int, tuple[tuple[int, Any], ...]]:
    """How many types are seen whole; how many are seen partly by the same criteria, and which those are."""
    values.update({f"{name}_w{n}": type_name for n, type_name in enumerate(sight.whole)})
    partly = []
    for n, (types, asked) in enumerate(sight.partly):
        values.update({f"{name}_p{n}_w{m}": type_name for m, type_name in enumerate(types)})
        partly.append((len(types), _shapes(asked, f"{name}_p{n}", values)))
    return len(sight.whole), tuple(partly)


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


def conditions(shapes: Sequence[Shape], *, shared: bool) -> list[Any]:
    """The SQL conditions of shapes on ``resource``; ``shared``: the type belongs to the directory."""
    return [_condition(shape, f"c{number}", RESOURCE, shared=shared) for number, shape in enumerate(shapes)]


def _condition(shape: Shape, name: str, resource: Any, *, shared: bool = False) -> Any:
    kind, forms = shape
    if kind.startswith(NOT):
        return not_(_condition((kind.removeprefix(NOT), forms), name, resource, shared=shared))
    if kind == "MissingCriterion":
        parameters: list[Any] = [bindparam(f"{name}_{n}") for n in range(len(forms))]
        return and_(*[_no_entry(table, parameters, resource) for table in (TOKEN, REFERENCE, DATE, STRING)])
    if kind == "IdCriterion":
        return resource.c.id.in_([bindparam(f"{name}_{n}_id") for n in range(len(forms))])
    if kind == "LastUpdatedCriterion":
        at = resource.c.last_updated
        return or_(false(), *[_compared(form, at, at + 1, f"{name}_{n}") for n, form in enumerate(forms)])
    if kind == "AnyOfCriterion":
        return or_(false(), *[_all(shapes, f"{name}_{n}", resource, shared=shared) for n, shapes in enumerate(forms)])
    if kind == "ChainCriterion":
        return _chained(forms, name, resource)
    if kind == "HasCriterion":
        return _had(forms, name, resource)
    if kind == "ReferredInSightCriterion":
        return _referred_in_sight(forms, name, resource)
    if kind == "NamedInSightCriterion":
        return _named_in_sight(forms, name, resource)
    table, alternative = _TABLES[kind]
    matching = (
        table.c.parameter == bindparam(name),
        or_(false(), *[alternative(form, f"{name}_{n}") for n, form in enumerate(forms)]),
    )
    if shared and kind in ("TokenCriterion", "StringCriterion"):
        return resource.c.key.in_(select(table.c.resource).where(table.c.patient == SHARED, *matching))
    return exists().where(table.c.resource == resource.c.key, *matching)


def _chained(forms: tuple[Any, ...], name: str, resource: Any) -> Any:
    entry, target = REFERENCE.alias(), RESOURCE.alias()
    ways = [
        and_(
            target.c.type == bindparam(f"{name}_t{n}"),
            _all(shapes, f"{name}_{n}", target, shared=RESOURCES[type_name].is_directory),
        )
        for n, (type_name, shapes) in enumerate(forms)
    ]
    return exists().where(
        entry.c.resource == resource.c.key,
        entry.c.parameter == bindparam(name),
        target.c.type == entry.c.target_type,
        target.c.id == entry.c.target_id,
        target.c.deleted.is_(False),
        visible(target),
        or_(false(), *ways),
    )


def _had(forms: tuple[Any, ...], name: str, resource: Any) -> Any:
    source_type, shapes = forms
    entry, source = REFERENCE.alias(), RESOURCE.alias()
    return exists().where(
        entry.c.patient.in_((MEMBER, DIRECTORY)),
        entry.c.target_id == resource.c.id,
        entry.c.target_type == bindparam(f"{name}_t"),
        entry.c.parameter == bindparam(name),
        source.c.key == entry.c.resource,
        source.c.type == bindparam(f"{name}_s"),
        source.c.deleted.is_(False),
        visible(source),
        _all(shapes, f"{name}_0", source, shared=RESOURCES[source_type].is_directory),
    )


def visible(table: Any) -> Any:
    """Rows of this member, of the directory, or named by a resource of this member."""
    entry = REFERENCE.alias()
    naming = exists().where(
        entry.c.patient == MEMBER,
        entry.c.target_id == table.c.id,
        entry.c.target_type == table.c.type,
        entry.c.parameter == NAMES,
    )
    return or_(table.c.patient.in_((MEMBER, DIRECTORY)), and_(table.c.patient == NAMED, naming))


def _all(shapes: Sequence[Shape], name: str, resource: Any, *, shared: bool = False) -> Any:
    return and_(true(), *[_condition(shape, f"{name}_{n}", resource, shared=shared) for n, shape in enumerate(shapes)])


def _referred_in_sight(forms: tuple[Any, ...], name: str, resource: Any) -> Any:
    """No reference entry of the parameter names what is out of sight, or what is not here."""
    whole, partly = forms
    entry, target = REFERENCE.alias(), RESOURCE.alias()
    seen = exists().where(
        target.c.type == entry.c.target_type,
        target.c.id == entry.c.target_id,
        target.c.patient.in_((MEMBER, DIRECTORY, NAMED)),
        target.c.deleted.is_(False),
        _in_sight((0, partly), name, target),
    )
    out_of_sight = not_(or_(_of_types(entry.c.target_type, whole, name), seen if partly else false()))
    return not_(exists().where(entry.c.resource == resource.c.key, entry.c.parameter == bindparam(name), out_of_sight))


def _named_in_sight(forms: tuple[Any, ...], name: str, resource: Any) -> Any:
    entry, naming = REFERENCE.alias(), RESOURCE.alias()
    return exists().where(
        entry.c.patient == MEMBER,
        entry.c.target_id == resource.c.id,
        entry.c.target_type == resource.c.type,
        entry.c.parameter == NAMES,
        naming.c.key == entry.c.resource,
        _in_sight(forms, name, naming),
    )


def _in_sight(forms: tuple[Any, ...], name: str, resource: Any) -> Any:
    whole, partly = forms
    parts = [
        and_(_of_types(resource.c.type, count, f"{name}_p{n}"), _all(shapes, f"{name}_p{n}", resource))
        for n, (count, shapes) in enumerate(partly)
    ]
    return or_(_of_types(resource.c.type, whole, name), *parts)


def _of_types(column: Any, count: int, name: str) -> Any:
    return column.in_([bindparam(f"{name}_w{n}") for n in range(count)]) if count else false()


def _no_entry(table: Any, parameters: list[Any], resource: Any) -> Any:
    return not_(exists().where(table.c.resource == resource.c.key, table.c.parameter.in_(parameters)))


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
