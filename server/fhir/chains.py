"""Searches through references: chained parameters, and ``_has``, over what the token may see anyway.

https://hl7.org/fhir/R4/search.html#chaining and #has - the resources passed through are the member's own or the shared directory's.
"""

from server.fhir.error_codes import SCOPE_MISSING
from server.fhir.outcomes import FHIRError, bad_parameter
from server.fhir.search_values import Context, criterion
from server.specification.definition import ResourceDefinition, SearchType
from server.specification.registry import RESOURCES
from server.storage.query import ChainCriterion, Criterion, HasCriterion, NothingCriterion

HAS = "_has"
LONGEST = 3
"""Links of a chain: more are never needed, and each is a join."""


def is_chain(name: str) -> bool:
    """Whether the name of a parameter goes through a reference."""
    return "." in name or name.startswith(HAS + ":")


def through(
    definition: ResourceDefinition, name: str, value: str, context: Context, depth: int = 1
) -> Criterion | None:
    """The criterion of ``reference[:Type].name=value`` or ``_has:Type:reference:name=value``, or of a plain parameter at the end.

    Raises FHIRError 400 for what names no reference or parameter, or is too long; 403 when it goes through a type that the token
    must not see.
    """
    if depth > LONGEST:
        raise bad_parameter(name, f"a chain may have {LONGEST} links at most.")
    if name.startswith(HAS + ":"):
        return _has(definition, name, value, context, depth)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = definition.parameter(code)
    if parameter is None:
        raise bad_parameter(name, f"'{code}' is not a search parameter of {definition.type}.")
    if not dot:
        return criterion(definition, parameter, modifier, value, context)
    if parameter.type is not SearchType.REFERENCE:
        raise bad_parameter(name, f"'{code}' is not a reference, so nothing can be chained to it.")
    possible = tuple(RESOURCES) if "Resource" in parameter.targets else parameter.targets
    if modifier and modifier not in possible:
        raise bad_parameter(name, f"'{code}' never refers to {modifier}; possible: {', '.join(possible)}.")
    onward = rest.partition(".")[0].partition(":")[0]
    targets = [
        RESOURCES[type]
        for type in ((modifier,) if modifier else possible)
        if type in RESOURCES and (rest.startswith(HAS + ":") or RESOURCES[type].parameter(onward) is not None)
    ]
    if not targets:
        raise bad_parameter(name, f"nothing that '{code}' refers to has a search parameter '{onward}'.")
    visible = [(target, seen) for target in targets if (seen := context.view(target.type)) is not None]
    if not visible:
        raise _out_of_sight(name, [target.type for target in targets])
    alternatives = []
    for target, seen in visible:
        found = through(target, rest, value, context, depth + 1)
        if not isinstance(found, NothingCriterion):
            alternatives.append((target.type, (*seen, *([found] if found is not None else []))))
    return ChainCriterion(code, tuple(alternatives)) if alternatives else NothingCriterion()


def _has(definition: ResourceDefinition, name: str, value: str, context: Context, depth: int) -> Criterion:
    parts = name.split(":", 3)
    if len(parts) != 4 or not parts[3]:
        raise bad_parameter(name, "'_has' is written _has:Type:reference:parameter=value.")
    _, source_type, code, rest = parts
    source = RESOURCES.get(source_type)
    parameter = source.parameter(code) if source is not None else None
    if (
        source is None
        or parameter is None
        or parameter.type is not SearchType.REFERENCE
        or not {definition.type, "Resource"} & set(parameter.targets)
    ):
        raise bad_parameter(name, f"'{source_type}:{code}' is not a reference to {definition.type}.")
    seen = context.view(source_type)
    if seen is None:
        raise _out_of_sight(name, [source_type])
    found = through(source, rest, value, context, depth + 1)
    if isinstance(found, NothingCriterion):
        return found
    return HasCriterion(definition.type, source_type, code, (*seen, *([found] if found is not None else [])))


def _out_of_sight(name: str, types: list[str]) -> FHIRError:
    return FHIRError(
        SCOPE_MISSING,
        f"Search parameter '{name}' goes through {' or '.join(types)}, which the token's scopes do not allow.",
        {"www-authenticate": 'Bearer error="insufficient_scope"'},
        expression=f"http.{name}",
    )
