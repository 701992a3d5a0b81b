"""The query of a finer-grained scope: read as criteria, joined with another's, and written again.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from server.specification.definition import SearchType
from server.specification.registry import RESOURCES
from server.specification.search_value import escape, partition, split, unescape
from server.storage.query import AnyOfCriterion, TokenAlternative, TokenCriterion

Conditions = tuple[TokenCriterion, ...]
"""What a scope's query asks of a resource: all of it. () asks nothing."""

MAXIMUM_PARAMETERS = 4
"""Conditions of one scope: each is a subquery of every question asked under it."""
MAXIMUM_VALUES = 20
"""Alternatives of one condition."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SAFE = ":/|,._~-*$@!()';"


@lru_cache(maxsize=4096)
def read(resource_type: str, query: str) -> Conditions | None:
    """The conditions of ``parameter=value&parameter=value`` on a type; () of ''. None when any part of it is not understood.

    Understood are token parameters of the type's row, without modifiers; ``_id`` is not one of them.
    """
    row = RESOURCES.get(resource_type)
    if not query:
        return ()
    pairs = query.split("&")
    if row is None or len(pairs) > MAXIMUM_PARAMETERS:
        return None
    found: dict[TokenCriterion, None] = {}
    for pair in pairs:
        code, _, encoded = pair.partition("=")
        parameter = row.parameter(code)
        if parameter is None or parameter.type is not SearchType.TOKEN or code.startswith("_"):
            return None
        alternatives = _alternatives(encoded)
        if alternatives is None:
            return None
        found[TokenCriterion(code, alternatives)] = None
    return tuple(found)


def _alternatives(encoded: str) -> tuple[TokenAlternative, ...] | None:
    try:
        value = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return None
    parts = split(value)
    if not 0 < len(parts) <= MAXIMUM_VALUES or _CONTROL.search(value):
        return None
    found: dict[TokenAlternative, None] = {}
    for part in parts:
        system, bar, code = partition(part, "|")
        if not bar:
            found[TokenAlternative(None, unescape(system))] = None
        elif system or code:
            found[TokenAlternative(unescape(system), unescape(code) if code else None)] = None
        else:
            return None
    return tuple(found)


def write(conditions: Conditions) -> str:
    """The query that ``read`` reads as these conditions."""
    return "&".join(f"{c.parameter}={quote(','.join(map(_written, c.alternatives)), safe=_SAFE)}" for c in conditions)


def _written(alternative: TokenAlternative) -> str:
    code = escape(alternative.code or "")
    return code if alternative.system is None else f"{escape(alternative.system)}|{code}"


def joined(first: Conditions, second: Conditions) -> Conditions | None:
    """What satisfies these conditions satisfies both; None when two conditions on one parameter have no value in common.

    Values of one parameter are intersected, which asks for as much or more than both together do.
    """
    result = list(first)
    for condition in second:
        if condition in result:
            continue
        same = [n for n, other in enumerate(result) if other.parameter == condition.parameter]
        if not same:
            result.append(condition)
            continue
        shared = {n: _shared(result[n].alternatives, condition.alternatives) for n in same}
        n = next((n for n in same if shared[n]), None)
        if n is None:
            return None
        result[n] = TokenCriterion(condition.parameter, shared[n])
    return tuple(dict.fromkeys(result))


def _shared(first: Iterable[TokenAlternative], second: Iterable[TokenAlternative]) -> tuple[TokenAlternative, ...]:
    found = (_both(a, b) for a in first for b in second)
    return tuple(dict.fromkeys(alternative for alternative in found if alternative is not None))


def _both(first: TokenAlternative, second: TokenAlternative) -> TokenAlternative | None:
    if None not in (first.system, second.system) and first.system != second.system:
        return None
    if None not in (first.code, second.code) and first.code != second.code:
        return None
    system = second.system if first.system is None else first.system
    return TokenAlternative(system, second.code if first.code is None else first.code)


def any_of(alternatives: Iterable[Conditions]) -> AnyOfCriterion | None:
    """One criterion for resources that satisfy one of these at least; None when one of them asks nothing.

    Alternatives of a single condition on the same parameter become one condition.
    """
    single: dict[str, dict[TokenAlternative, None]] = {}
    several: dict[Conditions, None] = {}
    for conditions in alternatives:
        if not conditions:
            return None
        if len(conditions) == 1:
            single.setdefault(conditions[0].parameter, {}).update(dict.fromkeys(conditions[0].alternatives))
        else:
            several[conditions] = None
    merged = tuple((TokenCriterion(parameter, tuple(values)),) for parameter, values in single.items())
    return AnyOfCriterion(merged + tuple(several))
