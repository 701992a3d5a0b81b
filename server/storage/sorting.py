"""The order of a search's pages, and where one ends and the next begins: ``_sort`` as SQL, without offsets.

https://hl7.org/fhir/R4/search.html#sort - ties, and searches without ``_sort``, are in load order.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, false, func, or_, select

from server.storage.criteria import DATE, REFERENCE, RESOURCE, STRING, TOKEN
from server.storage.query import SortKey

Place = tuple[Any, ...]
"""Where a resource stands in an order: for each sort key (0, value) or (1, the kind's zero: no value), then the resource's key."""
_COLUMNS: dict[str, tuple[Any, Any, Any]] = {
    "token": (TOKEN, TOKEN.c.code, TOKEN.c.code),
    "string": (STRING, STRING.c.folded, STRING.c.folded),
    "reference": (REFERENCE, REFERENCE.c.target_id, REFERENCE.c.target_id),
    "date": (DATE, DATE.c.low, DATE.c.high),
}
"""Of several entries the least counts in ascending order, and the greatest in descending order."""
_OWN = {"_id": RESOURCE.c.id, "_lastUpdated": RESOURCE.c.last_updated}


@lru_cache(maxsize=1024)
def ordered(statement: Select[Any], sort: tuple[SortKey, ...], *, after: bool, backwards: bool) -> Select[Any]:
    """The statement in order, each row with its place behind its columns; ``after``: only rows behind (or, backwards, before) the
    place bound as s0n, s0, s1n, s1, … and key."""
    placed: list[tuple[Any, bool, str]] = []
    for number, key in enumerate(sort):
        value = _value(key)
        missing = case((value.is_(None), 1), else_=0)
        zero = 0 if key.kind in ("date", "_lastUpdated") else ""
        placed += [(missing, False, f"s{number}n"), (func.coalesce(value, zero), key.descending, f"s{number}")]
    placed.append((RESOURCE.c.key, False, "after"))
    if after:
        statement = statement.where(_behind(placed, backwards=backwards))
    order = [part.desc() if descending != backwards else part.asc() for part, descending, _ in placed]
    return statement.add_columns(*[part for part, _, _ in placed[:-1]]).order_by(*order)


def values(place: Place) -> dict[str, Any]:
    """The bind values of a place."""
    names = [name for number in range(len(place) // 2) for name in (f"s{number}n", f"s{number}")]
    return dict(zip((*names, "after"), place, strict=True))


def _value(key: SortKey) -> Any:
    if key.kind in _OWN:
        return _OWN[key.kind]
    table, least, greatest = _COLUMNS[key.kind]
    chosen = func.max(greatest) if key.descending else func.min(least)
    return (
        select(chosen)
        .where(table.c.resource == RESOURCE.c.key, table.c.parameter == bindparam(None, key.parameter, unique=True))
        .scalar_subquery()
    )


def _behind(placed: Sequence[tuple[Any, bool, str]], *, backwards: bool) -> Any:
    """Row-wise comparison, spelled out because the parts run in different directions."""
    ways = []
    for length in range(len(placed)):
        same = [part == bindparam(name) for part, _, name in placed[:length]]
        part, descending, name = placed[length]
        last = part < bindparam(name) if descending != backwards else part > bindparam(name)
        ways.append(and_(*same, last))
    return or_(false(), *ways)
