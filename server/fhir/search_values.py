"""The values of search parameters become criteria: prefixes, modifiers, comma lists and escapes.

https://hl7.org/fhir/R4/search.html#modifiers, #prefix, #token, #reference, #string and #escaping
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from server.fhir.dates import interval
from server.fhir.indexing import ELSEWHERE, LOGICAL, PRESENT, fold
from server.fhir.outcomes import bad_parameter
from server.settings import Settings
from server.specification.definition import (
    DATE_COMPARATORS,
    MembershipKind,
    ResourceDefinition,
    SearchParameter,
    SearchType,
)
from server.specification.registry import MEMBER_TYPE, RESOURCES
from server.specification.search_value import partition, split, unescape
from server.storage.query import (
    Criterion,
    DateAlternative,
    DateCriterion,
    IdCriterion,
    LastUpdatedCriterion,
    MissingCriterion,
    NothingCriterion,
    ReferenceAlternative,
    ReferenceCriterion,
    StringAlternative,
    StringCriterion,
    TokenAlternative,
    TokenCriterion,
)

APPROXIMATELY = 0.1
"""``ap``: the interval is widened by a tenth of its distance from now: https://hl7.org/fhir/R4/search.html#prefix"""
MISSING, NOT, EXACT, CONTAINS, IDENTIFIER = "missing", "not", "exact", "contains", "identifier"
MODIFIERS: dict[SearchType, tuple[str, ...]] = {
    SearchType.TOKEN: (MISSING, NOT),
    SearchType.STRING: (MISSING, EXACT, CONTAINS),
    SearchType.REFERENCE: (MISSING, IDENTIFIER),
    SearchType.DATE: (MISSING,),
}
"""Modifiers by parameter type; a reference parameter also takes the type of its target."""
_PREFIX = re.compile(rf"({'|'.join(DATE_COMPARATORS)})(?=\d)")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id"""


@dataclass(frozen=True, slots=True)
class Context:
    """What a query string is read against: whose compartment, the server's own address, page sizes and time, and what resources of
    a type must meet to be searched through (() : nothing; None: they must not be)."""

    settings: Settings
    patient: str
    now: int
    view: Callable[[str], tuple[Criterion, ...] | None] = lambda _type: ()


def criterion(
    definition: ResourceDefinition, parameter: SearchParameter, modifier: str, value: str, context: Context
) -> Criterion | None:
    """The criterion of one name=value pair; None when it is always true in this compartment.

    Raises FHIRError 400 for a modifier or value that cannot be used.
    """
    targets = tuple(RESOURCES) if "Resource" in parameter.targets else parameter.targets
    supported = (*MODIFIERS[parameter.type], *targets)
    if modifier and modifier not in supported:
        allowed = ", ".join(f":{name}" for name in supported)
        raise bad_parameter(parameter.code, f"the modifier ':{modifier}' is not supported; supported: {allowed}.")
    always = parameter.code in ("_id", "_lastUpdated") or names_member(definition, parameter)
    if modifier == MISSING:
        return _missing(parameter, value, always=always)
    if parameter.type is SearchType.REFERENCE and modifier != IDENTIFIER:
        return _reference(definition, parameter, modifier, value, context)
    if parameter.code == "_id":
        if modifier:
            raise bad_parameter(parameter.code, f"the modifier ':{modifier}' is not supported.")
        possible = tuple(id for v in split(value) if ID.fullmatch(id := unescape(v.removeprefix("|"))))
        return IdCriterion(possible) if possible else NothingCriterion()
    return _READERS[parameter.type](parameter, modifier, value, context)


def _missing(parameter: SearchParameter, value: str, *, always: bool) -> Criterion | None:
    if value not in ("true", "false"):
        raise bad_parameter(parameter.code, f"':missing' takes true or false, not '{value}'.")
    missing = value == "true"
    if always:
        return NothingCriterion() if missing else None
    code = parameter.code
    return MissingCriterion((code, code + LOGICAL, code + PRESENT), missing)


def _token(parameter: SearchParameter, modifier: str, value: str, _context: Context) -> Criterion:
    code = parameter.code + LOGICAL if modifier == IDENTIFIER else parameter.code
    alternatives = tuple(_token_alternative(parameter, v) for v in split(value))
    return TokenCriterion(code, alternatives, negated=modifier == NOT)


def _token_alternative(parameter: SearchParameter, value: str) -> TokenAlternative:
    system, bar, code = partition(value, "|")
    if not bar:
        return TokenAlternative(None, unescape(system))
    if not system and not code:
        raise bad_parameter(parameter.code, "'|' names neither a system nor a code.")
    return TokenAlternative(unescape(system), unescape(code) if code else None)


def _string(parameter: SearchParameter, modifier: str, value: str, _context: Context) -> Criterion:
    texts = [unescape(v) for v in split(value)]
    if modifier == EXACT:
        return StringCriterion(parameter.code, tuple(StringAlternative("exact", text) for text in texts))
    match = "contains" if modifier == CONTAINS else "starts"
    folded = tuple(StringAlternative(match, text) for text in map(fold, texts) if text)
    return StringCriterion(parameter.code, folded) if folded else NothingCriterion()


def _date(parameter: SearchParameter, _modifier: str, value: str, context: Context) -> Criterion:
    alternatives = tuple(_date_alternative(parameter, unescape(v), context) for v in split(value))
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
    alternatives = reference_alternatives(parameter, modifier, value, context)
    if names_member(definition, parameter):
        own = any(found.id == context.patient and found.type in (None, MEMBER_TYPE) for found in alternatives)
        return None if own else NothingCriterion()
    return ReferenceCriterion(parameter.code, alternatives)


def reference_alternatives(
    parameter: SearchParameter, modifier: str, value: str, context: Context
) -> tuple[ReferenceAlternative, ...]:
    """What a reference parameter's value names. Raises FHIRError 400 for what is no reference."""
    return tuple(_reference_alternative(parameter, modifier, unescape(v), context) for v in split(value))


def names_member(definition: ResourceDefinition, parameter: SearchParameter) -> bool:
    """Whether the parameter is the very reference by which resources of the type belong to a member."""
    membership = definition.membership
    path = f"{definition.type}.{membership.path}"
    return membership.kind is MembershipKind.PATH and parameter.expression in (
        path,
        f"{path}.where(resolve() is {MEMBER_TYPE})",
    )


def _reference_alternative(
    parameter: SearchParameter, modifier: str, value: str, context: Context
) -> ReferenceAlternative:
    """A reference value: ``id``, ``Type/id``, an absolute URL of this server, or any other URL (a canonical)."""
    local = value.removeprefix(context.settings.fhir_base + "/")
    if "://" in local or local.startswith("urn:"):
        return ReferenceAlternative(ELSEWHERE, local)
    parts = local.split("/")
    if len(parts) not in (1, 2) or not ID.fullmatch(parts[-1]):
        raise bad_parameter(parameter.code, f"'{value}' is not a reference; send an id, Type/id, or an absolute URL.")
    type = parts[0] if len(parts) == 2 else modifier or None
    if type is None and len(parameter.targets) == 1 and parameter.targets[0] != "Resource":
        type = parameter.targets[0]
    return ReferenceAlternative(type, parts[-1])


_READERS: dict[SearchType, Callable[[SearchParameter, str, str, Context], Criterion]] = {
    SearchType.TOKEN: _token,
    SearchType.REFERENCE: _token,
    SearchType.STRING: _string,
    SearchType.DATE: _date,
}
