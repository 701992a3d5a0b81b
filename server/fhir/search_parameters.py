"""The query string becomes a value: name=value pairs to a SearchQuery, with what was honoured and what was ignored.

https://hl7.org/fhir/R4/search.html - parameters AND together, comma lists OR.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.fhir.dates import interval
from server.fhir.indexing import fold
from server.fhir.outcomes import FHIRError, bad_parameter
from server.settings import Settings
from server.specification.definition import (
    DATE_COMPARATORS,
    MembershipKind,
    ResourceDefinition,
    SearchParameter,
    SearchType,
)
from server.specification.registry import MEMBER_TYPE, RESOURCES, revinclude_source
from server.storage.query import (
    Criterion,
    DateAlternative,
    DateCriterion,
    IdCriterion,
    Include,
    LastUpdatedCriterion,
    NothingCriterion,
    ReferenceAlternative,
    ReferenceCriterion,
    ReverseInclude,
    SearchQuery,
    StringCriterion,
    TokenAlternative,
    TokenCriterion,
)

Pairs = Sequence[tuple[str, str]]
JSON_FORMATS = frozenset(("json", "application/json", "application/fhir+json", "application/json+fhir", "text/json"))
APPROXIMATELY = 0.1
"""``ap``: the interval is widened by a tenth of its distance from now: https://hl7.org/fhir/R4/search.html#prefix"""
MAXIMUM_VALUES = 300
"""Values of all parameters of one search together: SQLite's limit on the depth of an expression is 1000, and a first page asks twice."""
MAXIMUM_PARAMETERS = 20
"""Different criteria of one search: each is a subquery, and what PostgreSQL needs to plan them grows steeply."""
_PREFIX = re.compile(rf"({'|'.join(DATE_COMPARATORS)})(?=\d)")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id"""
_ITERATE = frozenset(("iterate", "recurse"))


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """A search as the server understood it. ``honoured`` makes the self link; ``ignored`` names unknown parameters."""

    query: SearchQuery
    honoured: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    cursor: str
    count_only: bool


@dataclass(frozen=True, slots=True)
class Context:
    """What a query string is read against: whose compartment, and the server's own address, page sizes and time."""

    settings: Settings
    patient: str
    now: int


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
    count_only = False
    if sum(value.count(",") + 1 for _, value in pairs) > MAXIMUM_VALUES:
        raise _too_costly(f"{MAXIMUM_VALUES} values")
    for name, value in pairs:
        code, _, modifier = name.partition(":")
        if value == "":
            continue  # https://hl7.org/fhir/R4/search.html: empty parameters are ignored
        if "\0" in value:
            raise bad_parameter(code, "a value cannot have a NUL character.")
        if code == "_count":
            count = _count(value, settings.page_size_limit)
            count_only = count == 0
        elif code == "_cursor":
            cursor = value
            continue
        elif code == "_format":
            _check_format(value)
        elif code == "_include":
            includes.append(_include(definition, value, iterate=modifier in _ITERATE))
        elif code == "_revinclude":
            reverse.append(_reverse_include(definition, value))
        elif (parameter := definition.parameter(code)) is not None:
            criterion = _criterion(definition, parameter, modifier, value, context)
            if criterion is not None:
                criteria.append(criterion)
        elif strict:
            raise FHIRError(
                400,
                "not-supported",
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
    following = tuple(include for include in dict.fromkeys(includes) if include.parameters)
    query = SearchQuery(definition.type, tuple(criteria), following, tuple(dict.fromkeys(reverse)), count)
    return ParsedSearch(query, tuple(honoured), tuple(ignored), cursor, count_only)


def _too_costly(limit: str) -> FHIRError:
    return FHIRError(400, "too-costly", f"A search may have {limit} at most; ask in several searches.")


def _names(definition: ResourceDefinition) -> str:
    return ", ".join(parameter.code for parameter in definition.search_parameters)


def _count(value: str, limit: int) -> int:
    if not value.isascii() or not value.isdigit():
        raise bad_parameter("_count", f"'{value}' is not a whole number of 0 or more.")
    return min(int(value[:9]), limit)


def _check_format(value: str) -> None:
    if value.partition(";")[0].strip().replace(" ", "+").lower() not in JSON_FORMATS:
        raise FHIRError(
            406, "not-supported", f"_format={value} is not supported; this server speaks application/fhir+json."
        )


def _include(definition: ResourceDefinition, value: str, *, iterate: bool) -> Include:
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    row = RESOURCES.get(source)
    if row is None or (row.type != definition.type and not iterate):
        offered = ", ".join(definition.includes) or "none"
        raise bad_parameter("_include", f"'{value}' cannot be followed from {definition.type}; offered: {offered}.")
    if code == "*":
        return Include(row.type, tuple(p.code for p in row.include_all_parameters), target, iterate)
    parameter = row.parameter(code)
    if parameter is None or parameter.type is not SearchType.REFERENCE:
        raise bad_parameter("_include", f"'{value}' names no reference; offered: {', '.join(row.includes) or 'none'}.")
    if target and target not in parameter.targets and "Resource" not in parameter.targets:
        raise bad_parameter("_include", f"'{value}': {code} never refers to {target}.")
    return Include(row.type, (code,), target, iterate)


def _reverse_include(definition: ResourceDefinition, value: str) -> ReverseInclude:
    found = revinclude_source(value)
    parameter = found[0].parameter(found[1]) if found is not None else None
    if (
        found is None
        or parameter is None
        or parameter.type is not SearchType.REFERENCE
        or not {definition.type, "Resource"} & set(parameter.targets)
    ):
        offered = ", ".join(definition.revincludes) or "none"
        raise bad_parameter("_revinclude", f"'{value}' does not refer to {definition.type}; offered: {offered}.")
    return ReverseInclude(found[0].type, found[1])


def _criterion(
    definition: ResourceDefinition, parameter: SearchParameter, modifier: str, value: str, context: Context
) -> Criterion | None:
    """The criterion of one name=value pair; None when it is always true in this compartment."""
    if parameter.type is SearchType.REFERENCE:
        return _reference(definition, parameter, modifier, value, context)
    if modifier:
        raise bad_parameter(parameter.code, f"the modifier ':{modifier}' is not supported.")
    if parameter.code == "_id":
        ids = tuple(_unescape(v) for v in split(value))
        possible = tuple(v for v in ids if ID.fullmatch(v))
        return IdCriterion(possible) if possible else NothingCriterion()
    return _READERS[parameter.type](parameter, value, context)


def _token(parameter: SearchParameter, value: str, _context: Context) -> Criterion:
    return TokenCriterion(parameter.code, tuple(_token_alternative(parameter, v) for v in split(value)))


def _token_alternative(parameter: SearchParameter, value: str) -> TokenAlternative:
    system, bar, code = _partition(value, "|")
    if not bar:
        return TokenAlternative(None, _unescape(system))
    if not system and not code:
        raise bad_parameter(parameter.code, "'|' names neither a system nor a code.")
    return TokenAlternative(_unescape(system), _unescape(code) if code else None)


def _string(parameter: SearchParameter, value: str, _context: Context) -> Criterion:
    return StringCriterion(parameter.code, tuple(fold(_unescape(v)) for v in split(value)))


def _date(parameter: SearchParameter, value: str, context: Context) -> Criterion:
    alternatives = tuple(_date_alternative(parameter, _unescape(v), context) for v in split(value))
    if parameter.code == "_lastUpdated":
        return LastUpdatedCriterion(alternatives)
    return DateCriterion(parameter.code, alternatives)


def _date_alternative(parameter: SearchParameter, value: str, context: Context) -> DateAlternative:
    match = _PREFIX.match(value)
    prefix = match[1] if match else "eq"
    try:
        # A '+' that was not encoded arrives as a space: 2026-11-01T12:00:00 05:00
        low, high = interval(value[2 if match else 0 :].replace(" ", "+"))
    except ValueError as error:
        raise bad_parameter(parameter.code, f"{error}.") from error
    if prefix == "ap":
        margin = int(abs(context.now - low) * APPROXIMATELY)
        return DateAlternative(prefix, low - margin, high + margin)
    return DateAlternative(prefix, low, high)


def _reference(
    definition: ResourceDefinition, parameter: SearchParameter, modifier: str, value: str, context: Context
) -> Criterion | None:
    targets = tuple(RESOURCES) if "Resource" in parameter.targets else parameter.targets
    if modifier and modifier not in targets:
        allowed = ", ".join(f":{target}" for target in targets)
        raise bad_parameter(parameter.code, f"the modifier ':{modifier}' is not supported; supported: {allowed}.")
    alternatives = [
        found
        for v in split(value)
        if (found := _reference_alternative(parameter, modifier, _unescape(v), context)) is not None
    ]
    if _names_member(definition, parameter):
        own = any(found.id == context.patient and found.type in (None, MEMBER_TYPE) for found in alternatives)
        return None if own else NothingCriterion()
    return ReferenceCriterion(parameter.code, tuple(alternatives)) if alternatives else NothingCriterion()


def _names_member(definition: ResourceDefinition, parameter: SearchParameter) -> bool:
    """Whether the parameter is the very reference by which resources of the type belong to a member."""
    membership = definition.membership
    return membership.kind is MembershipKind.PATH and parameter.expression == f"{definition.type}.{membership.path}"


def _reference_alternative(
    parameter: SearchParameter, modifier: str, value: str, context: Context
) -> ReferenceAlternative | None:
    """A reference value: ``id``, ``Type/id`` or an absolute URL; None when it names nothing on this server."""
    local = value.removeprefix(context.settings.fhir_base + "/")
    if "://" in local or local.startswith("urn:"):
        return None
    parts = local.split("/")
    if len(parts) not in (1, 2) or not ID.fullmatch(parts[-1]):
        raise bad_parameter(parameter.code, f"'{value}' is not a reference; send an id, Type/id, or an absolute URL.")
    type = parts[0] if len(parts) == 2 else modifier or None
    if type is None and len(parameter.targets) == 1 and parameter.targets[0] != "Resource":
        type = parameter.targets[0]
    return ReferenceAlternative(type, parts[-1])


_READERS: dict[SearchType, Callable[[SearchParameter, str, Context], Criterion]] = {
    SearchType.TOKEN: _token,
    SearchType.STRING: _string,
    SearchType.DATE: _date,
}


def split(value: str) -> list[str]:
    """The alternatives of a comma list; ``\\,`` is a comma in a value. Still escaped; empty ones are left out."""
    if "\\" not in value:
        return [part for part in value.split(",") if part]
    return [part for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", value) if part]


def _partition(value: str, separator: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"((?:\\.|[^|\\])*)(\|?)(.*)", value, re.DOTALL) if "\\" in value else None
    return (match[1], match[2], match[3]) if match else value.partition(separator)


def _unescape(value: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", value) if "\\" in value else value
