"""The query string becomes a value: name=value pairs to a SearchQuery, with what was honoured and what was ignored.

https://hl7.org/fhir/R4/search.html - parameters AND together, comma lists OR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from server.fhir.chains import is_chain, through
from server.fhir.error_codes import PARAMETER_UNKNOWN, SEARCH_TOO_LARGE
from server.fhir.outcomes import FHIRError, bad_parameter
from server.fhir.representation import COUNT, TEXT, WHOLE, Representation, elements, summary_mode
from server.fhir.search_values import Context, criterion
from server.specification.definition import ANY_TYPE, ResourceDefinition, SearchParameter
from server.specification.registry import RESOURCES
from server.storage.query import Criterion, Include, ReverseInclude, SearchQuery, SortKey

Pairs = Sequence[tuple[str, str]]
TOTALS = ("none", "estimate", "accurate")
MOST_SORT_KEYS = 4
MAXIMUM_VALUES = 300
"""Values of all parameters of one search together: SQLite's limit on the depth of an expression is 1000, and a first page asks twice."""
MAXIMUM_PARAMETERS = 20
"""Different criteria of one search: each is a subquery, and what PostgreSQL needs to plan them grows steeply."""
_ITERATE = frozenset(("iterate", "recurse"))


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """A search as the server understood it. ``honoured`` makes the self link; ``ignored`` names unknown parameters."""

    query: SearchQuery
    honoured: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    cursor: str
    count_only: bool
    representation: Representation = WHOLE


def parse(definition: ResourceDefinition, pairs: Pairs, context: Context, *, strict: bool) -> ParsedSearch:
    """Read the parameters of a search on a type.

    Raises FHIRError 400 for a value, modifier or include that cannot be used, and, when ``strict``, for an unknown parameter.
    """
    criteria: list[Criterion] = []
    includes: list[Include] = []
    reverse: list[ReverseInclude] = []
    honoured: list[tuple[str, str]] = []
    ignored: list[str] = []
    settings = context.settings
    count, cursor = settings.page_size, ""
    count_only, counted = False, True
    sort: tuple[SortKey, ...] = ()
    summary = ""
    kept: tuple[tuple[str, str], ...] = ()
    if sum(value.count(",") + 1 for _, value in pairs) > MAXIMUM_VALUES:
        raise _too_costly(f"{MAXIMUM_VALUES} values")
    for name, value in pairs:
        code, _, modifier = name.partition(":")
        if value == "":
            continue  # https://hl7.org/fhir/R4/search.html: empty parameters are ignored
        if "\0" in value:
            raise bad_parameter(code, "a value cannot have a NUL character.")
        if code == "_count":
            count = page_count(value, settings.page_size_limit)
            count_only = count == 0
        elif code == "_cursor":
            cursor = value
            continue
        elif code in ("_format", "_pretty"):
            continue  # of every interaction: read before this
        elif code == "_sort":
            sort += _sort(definition, value)
        elif code == "_total":
            counted = _is_counted(value)
        elif code == "_summary":
            summary = summary_mode(value)
            count_only = count_only or summary == COUNT
        elif code == "_elements":
            kept += elements(value)
        elif code == "_include":
            includes.append(_include(definition, value, iterate=_iterates(code, modifier)))
        elif code == "_revinclude":
            reverse.append(_reverse_include(definition, value, iterate=_iterates(code, modifier)))
        elif not is_chain(name) and (parameter := definition.parameter(code)) is not None:
            found = criterion(definition, parameter, modifier, value, context)
            if found is not None:
                criteria.append(found)
        elif is_chain(name):
            found = through(definition, name, value, context)
            if found is not None:
                criteria.append(found)
        elif strict:
            raise FHIRError(
                PARAMETER_UNKNOWN,
                f"Search parameter '{name}' is not supported for {definition.type}; supported: {_names(definition)}."
                " Leave it out, or send 'Prefer: handling=lenient' to have it ignored.",
                expression=f"http.{name}",
            )
        else:
            ignored.append(name)
            continue
        honoured.append((name, value))
    criteria = list(dict.fromkeys(criteria))
    if len(criteria) > MAXIMUM_PARAMETERS:
        raise _too_costly(f"{MAXIMUM_PARAMETERS} different parameters")
    if (includes or reverse) and summary == TEXT:
        raise bad_parameter(
            "_summary", "_summary=text goes with neither _include nor _revinclude: leave one of them out."
        )
    if len(sort) > MOST_SORT_KEYS:
        raise bad_parameter("_sort", f"at most {MOST_SORT_KEYS} parameters may say the order.")
    query = SearchQuery(
        definition.type,
        tuple(criteria),
        tuple(dict.fromkeys(includes)),
        tuple(dict.fromkeys(reverse)),
        count,
        sort=sort,
        counted=counted,
    )
    representation = Representation(summary, kept) if summary or kept else WHOLE
    return ParsedSearch(query, tuple(honoured), tuple(ignored), cursor, count_only, representation)


def _too_costly(limit: str) -> FHIRError:
    return FHIRError(SEARCH_TOO_LARGE, f"A search may have {limit} at most; ask in several searches.")


def _names(definition: ResourceDefinition) -> str:
    return ", ".join(parameter.code for parameter in definition.search_parameters)


def page_count(value: str, limit: int) -> int:
    """A value of ``_count``, cut down to the limit. Raises FHIRError 400."""
    if not value.isascii() or not value.isdigit():
        raise bad_parameter("_count", f"'{value}' is not a whole number of 0 or more.")
    return min(int(value[:9]), limit)


def _is_counted(value: str) -> bool:
    if value not in TOTALS:
        raise bad_parameter("_total", f"'{value}' is none of {', '.join(TOTALS)}.")
    return value != "none"


def _sort(definition: ResourceDefinition, value: str) -> tuple[SortKey, ...]:
    """``_sort=status,-date``: https://hl7.org/fhir/R4/search.html#sort"""
    keys = []
    for word in filter(None, (part.strip() for part in value.split(","))):
        code = word.removeprefix("-")
        parameter = definition.parameter(code)
        if parameter is None:
            raise bad_parameter(
                "_sort", f"'{code}' is not a search parameter of {definition.type}; use: {_names(definition)}."
            )
        kind = code if code in ("_id", "_lastUpdated") else parameter.type.value
        keys.append(SortKey(code, kind, descending=word.startswith("-")))
    return tuple(keys)


def _iterates(name: str, modifier: str) -> bool:
    """https://hl7.org/fhir/R4/search.html#include - ``:recurse`` is what ``:iterate`` was called before R4."""
    if modifier and modifier not in _ITERATE:
        raise bad_parameter(name, f"modifier ':{modifier}' is not supported; supported: :iterate.")
    return bool(modifier)


def _include(definition: ResourceDefinition, value: str, *, iterate: bool) -> Include:
    """``Type:parameter[:Target]`` or ``Type:*[:Target]``, and ``*`` for all that the matches refer to: what the rows offer."""
    source, _, rest = (f"{definition.type}:*" if value == "*" and not iterate else value).partition(":")
    code, _, target = rest.partition(":")
    row = RESOURCES.get(source)
    if row is None or (row.type != definition.type and not iterate):
        raise bad_parameter("_include", f"'{value}' cannot be followed from {definition.type}; {_offered(definition)}")
    followed = [parameter for parameter in row.references if code in ("*", parameter.code)]
    if not followed:
        raise bad_parameter("_include", f"'{value}' names no reference to follow; {_offered(row)}")
    if target:
        followed = [parameter for parameter in followed if _refers_to(parameter, target)]
        if not followed:
            raise bad_parameter("_include", f"'{value}': {source}:{code} never refers to '{target}'; {_offered(row)}")
    return Include(row.type, tuple(parameter.code for parameter in followed), target, iterate)


def _refers_to(parameter: SearchParameter, type: str) -> bool:
    return type in RESOURCES and bool({type, ANY_TYPE} & set(parameter.targets))


def _reverse_include(definition: ResourceDefinition, value: str, *, iterate: bool) -> ReverseInclude:
    """``Type:parameter[:Target]``: of the matches, or with ``iterate`` of all, those whose rows offer it."""
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    offering = [row for row in RESOURCES.values() if f"{source}:{code}" in row.revincludes]
    if not iterate:
        offering = [row for row in offering if row is definition]
    targets = tuple(row.type for row in offering if target in ("", row.type))
    if not targets:
        offered = ", ".join(definition.revincludes) or "none"
        raise bad_parameter("_revinclude", f"'{value}' is not offered for {definition.type}; offered: {offered}.")
    return ReverseInclude(source, code, targets, iterate)


def _offered(row: ResourceDefinition) -> str:
    return f"offered: {', '.join(row.includes) or 'none'}."
