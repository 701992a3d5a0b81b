"""Whether a statement names the member: each table of members' data in it is restricted to the member asked about, or to what such rows lead to.

https://docs.sqlalchemy.org/en/20/core/visitors.html - judged by the tree of the statement, not by its text.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Select, Subquery, Table
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnClause,
    ColumnElement,
    False_,
    Grouping,
    True_,
)
from sqlalchemy.sql.selectable import Alias, Exists, FromClause, Join, ScalarSelect, SelectStatementGrouping

from server.storage.schema import DIRECTORY, NAMED

MEMBER_COLUMNS = ("patient", "resource", "job")
"""A table with one of these columns holds members' data."""
SHARED = {DIRECTORY, "''", NAMED}
"""Values of ``patient`` that are no member's. What is NAMED belongs to a member by a reference, which must be asked for beside it."""


def unnamed(statement: Any) -> list[str]:
    """The tables of members' data, at any depth of a statement, that it does not restrict to the member; their names."""
    return [table for select in _selects(statement) for table in _unnamed(select, (), ())]


def _selects(statement: Any) -> Iterator[Select[Any]]:
    """The SELECTs that a statement consists of, side by side."""
    if isinstance(statement, Grouping | SelectStatementGrouping | ScalarSelect | Exists | Subquery):
        yield from _selects(statement.element)
    elif isinstance(statement, CompoundSelect):
        for part in statement.selects:
            yield from _selects(part)
    elif isinstance(statement, Select):
        yield statement


def _unnamed(select: Select[Any], around: Sequence[FromClause], restricted: Sequence[FromClause]) -> Iterator[str]:
    """``around``: the tables of the SELECTs around this one, which it may refer to; ``restricted``: those of them that are."""
    leaves = [leaf for leaf in _leaves(select) if leaf not in around]
    bound = _bound(select, leaves, around, restricted)
    for leaf in leaves:
        if isinstance(leaf, Subquery):
            for inside in _selects(leaf):
                yield from _unnamed(inside, (), ())
        elif _holds_members(leaf) and leaf not in bound:
            yield str(leaf.element.name if isinstance(leaf, Alias) else leaf.name)  # type: ignore[attr-defined]
    for inner in _inner(select):
        yield from _unnamed(inner, (*around, *leaves), bound) if _correlates(inner) else _unnamed(inner, (), ())


def _bound(
    select: Select[Any], leaves: Sequence[FromClause], around: Sequence[FromClause], restricted: Sequence[FromClause]
) -> list[FromClause]:
    """What is restricted to the member: around this SELECT, by its own conditions, or by being reached from such rows."""
    bound = list(restricted)
    conditions = [part for given in (*select._where_criteria, *_joins(select)) for part in _conjuncts(given)]
    scope = (*around, *leaves)
    is_new = True
    while is_new:
        is_new = False
        for leaf in leaves:
            if leaf in bound:
                continue
            is_named = isinstance(leaf, Subquery) and not any(list(_unnamed(part, (), ())) for part in _selects(leaf))
            if is_named or _binds_together(conditions, leaf, bound, scope):
                bound.append(leaf)
                is_new = True
    return bound


def _binds(condition: Any, leaf: FromClause, bound: Sequence[FromClause], scope: Sequence[FromClause]) -> bool:
    """Whether a condition restricts a table to the member."""
    if isinstance(condition, Grouping):
        return _binds(condition.element, leaf, bound, scope)
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.or_:
        ways = [list(_conjuncts(way)) for way in condition.clauses if not isinstance(_bare(way), False_)]
        return bool(ways) and all(_binds_together(way, leaf, bound, scope) for way in ways)
    if not isinstance(condition, BinaryExpression):
        return False
    left, right = condition.left, condition.right
    if condition.operator is operators.eq:
        if _is_column(left, leaf, "patient") and (_is_the_member(right) or _value(right) in SHARED - {NAMED}):
            return True
        return _leads(left, right, leaf, bound) or _leads(right, left, leaf, bound)
    if condition.operator is operators.in_op:
        if _is_column(left, leaf, "patient"):
            values = list(_listed(right))
            alone = {_value(value) for value in values if not _is_the_member(value)}
            return bool(values) and alone <= SHARED and (NAMED not in alone or len(alone) < len(values))
        if any(_is_column(left, leaf, name) for name in ("key", "id", "resource")):
            inner = list(_selects(_bare(right)))
            return bool(inner) and not any(list(_unnamed(part, scope, bound)) for part in inner)
    return False


def _binds_together(
    conditions: Sequence[Any], leaf: FromClause, bound: Sequence[FromClause], scope: Sequence[FromClause]
) -> bool:
    """The same of several conditions that hold at once: what is NAMED needs a reference of the member's beside it."""
    if any(_binds(condition, leaf, bound, scope) for condition in conditions):
        return True
    is_named = any(
        isinstance(one, BinaryExpression) and _is_column(one.left, leaf, "patient") and _value(one.right) == NAMED
        for one in conditions
    )
    return is_named and any(
        any(_names_member(inner) for inner in _selects(one.element if isinstance(one, Exists) else one))
        for one in map(_bare, conditions)
        if isinstance(one, Exists | ScalarSelect)
    )


def _names_member(select: Select[Any]) -> bool:
    return any(
        isinstance(one, BinaryExpression)
        and one.operator is operators.eq
        and getattr(one.left, "name", "") == "patient"
        and _is_the_member(one.right)
        for given in select._where_criteria
        for one in _conjuncts(given)
    )


def _leads(here: Any, there: Any, leaf: FromClause, bound: Sequence[FromClause]) -> bool:
    """Whether a table's rows are those of a resource that is restricted already, the resource of such rows, or of the same member."""
    for own, others in (("key", "resource"), ("resource", "key"), ("patient", "patient")):
        if _is_column(here, leaf, own) and any(_is_column(there, other, others) for other in bound):
            return True
    return False


def _is_column(element: Any, leaf: FromClause, name: str) -> bool:
    element = _bare(element)
    if (
        isinstance(element, BinaryExpression)
        and element.operator is operators.concat_op
        and _value(element.right) == "''"
    ):
        element = element.left  # a text with nothing added
    return isinstance(element, ColumnClause) and element.name == name and element.table is leaf


def _is_the_member(element: Any) -> bool:
    return isinstance(element, BindParameter) and element.key == "patient"


def _value(element: Any) -> Any:
    element = _bare(element)
    if isinstance(element, BindParameter):
        return element.value
    return element.name if isinstance(element, ColumnClause) and element.is_literal else None


def _listed(element: Any) -> Iterator[Any]:
    element = _bare(element)
    if isinstance(element, BindParameter) and element.expanding:
        raise AssertionError("a list of the asynchronous executor is written out")
    yield from getattr(element, "clauses", ())


def _bare(element: Any) -> Any:
    while isinstance(element, Grouping):
        element = element.element
    return element


def _conjuncts(condition: Any) -> Iterator[Any]:
    condition = _bare(condition)
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for part in condition.clauses:
            yield from _conjuncts(part)
    elif not isinstance(condition, True_):
        yield condition


@lru_cache(maxsize=4096)
def _froms(select: Select[Any]) -> Sequence[FromClause]:
    return select.get_final_froms()


def _leaves(select: Select[Any]) -> list[FromClause]:
    """The tables of a SELECT, those of its joins too."""
    found: list[FromClause] = []

    def add(one: FromClause) -> None:
        if isinstance(one, Join):
            add(one.left)
            add(one.right)
        elif isinstance(one, Table | Alias | Subquery) and one not in found:
            found.append(one)

    for one in _froms(select):
        add(one)
    return found


def _joins(select: Select[Any]) -> Iterator[ColumnElement[bool]]:
    def conditions(one: FromClause) -> Iterator[ColumnElement[bool]]:
        if isinstance(one, Join):
            if one.onclause is not None and not one.isouter:  # an outer join restricts nothing
                yield one.onclause
            yield from conditions(one.left)
            yield from conditions(one.right)

    for one in _froms(select):
        yield from conditions(one)


def _inner(select: Select[Any]) -> Iterator[Select[Any]]:
    """The SELECTs in its columns and conditions, not those inside of them, nor those that it selects from."""
    for given in (*select._raw_columns, *select._where_criteria, *_joins(select)):
        yield from _nested(given)


def _nested(element: Any) -> Iterator[Select[Any]]:
    if isinstance(element, FromClause) and not isinstance(element, Select):
        return
    found = list(_selects(element)) if not isinstance(element, Grouping) else []
    if found:
        yield from found
        return
    for child in element.get_children() if hasattr(element, "get_children") else ():
        yield from _nested(child)


def _correlates(select: Select[Any]) -> bool:
    return bool(select._auto_correlate or select._correlate)


def _holds_members(leaf: FromClause) -> bool:
    return any(name in leaf.c for name in MEMBER_COLUMNS)
