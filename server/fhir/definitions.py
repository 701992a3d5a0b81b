"""The resources that describe this API: SearchParameters, OperationDefinitions and the member's CompartmentDefinition, computed from the rows.

https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/operationdefinition.html - their ``url`` is the canonical that the
CapabilityStatement tells, which is that of the guide where a guide defines it; what they say is what this server does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.fhir.search_values import MISSING, MODIFIERS, names_member
from server.settings import Settings
from server.specification.audit import AUDIT_TYPES
from server.specification.definition import (
    ANY_TYPE,
    DATE_COMPARATORS,
    MembershipKind,
    Operation,
    ResourceDefinition,
    SearchParameter,
    SearchType,
)
from server.specification.definitional import (
    COMPARTMENT_DEFINITION,
    DEFINITION_TYPES,
    OPERATION_DEFINITION,
    SEARCH_PARAMETER,
)
from server.specification.registry import MEMBER_TYPE, RESOURCES

Resource = dict[str, Any]
MEMBER = "member"
"""The id of the one CompartmentDefinition."""
_ITSELF = "{def}"
"""How a CompartmentDefinition writes that a resource is the compartment's own."""


@dataclass(slots=True)
class _Told:
    """What the rows say of one canonical: the types that have it, and the parts of a union."""

    code: str
    type: str
    bases: list[str]
    expressions: list[str]
    targets: list[str]
    modifiers: tuple[str, ...]


def definitions(settings: Settings) -> Mapping[str, Mapping[str, Resource]]:
    """Type to id to resource, in the order of the rows."""
    return {
        SEARCH_PARAMETER.type: {resource["id"]: resource for resource in _search_parameters()},
        OPERATION_DEFINITION.type: {resource["id"]: resource for resource in _operations()},
        COMPARTMENT_DEFINITION.type: {MEMBER: _compartment(settings)},
    }


def modifiers_of(parameter: SearchParameter) -> tuple[str, ...]:
    """The modifiers of a parameter as a SearchParameter names them; ``type``: the target type of a reference."""
    if parameter.code == "_id":
        return (MISSING,)
    return (*MODIFIERS[parameter.type], *(("type",) if parameter.targets else ()))


def documentation_of(parameter: SearchParameter) -> str:
    """A parameter in a sentence or two: what it searches, and how values are written."""
    said = f"Searches {parameter.expression}."
    if parameter.targets:
        said += f" It refers to {', '.join(parameter.targets)}."
    if parameter.type is SearchType.DATE:
        said += f" Prefixes: {', '.join(DATE_COMPARATORS)}."
    return f"{said} Modifiers: {', '.join(f':{modifier}' for modifier in modifiers_of(parameter))}."


def _search_parameters() -> Iterator[Resource]:
    told: dict[str, _Told] = {}
    for row in (*RESOURCES.values(), *AUDIT_TYPES.values()):
        for parameter in row.search_parameters:
            said = told.setdefault(
                parameter.canonical,
                _Told(parameter.code, str(parameter.type), [], [], [], modifiers_of(parameter)),
            )
            _add(said, row.type, parameter.expression, parameter.targets)
    for definition in DEFINITION_TYPES.values():
        for each in definition.parameters:
            said = told.setdefault(each.canonical, _Told(each.code, each.type, [], [], [], (MISSING,)))
            _add(said, definition.type, f"{ANY_TYPE if each.code == '_id' else definition.type}.{each.element}", ())
    for canonical, said in told.items():
        yield _search_parameter(canonical, said)


def _add(said: _Told, base: str, expression: str, targets: tuple[str, ...]) -> None:
    said.bases.append(base)
    said.expressions += [expression] if expression not in said.expressions else []
    said.targets += [target for target in targets if target not in said.targets]


def _search_parameter(canonical: str, said: _Told) -> Resource:
    resource = _head(SEARCH_PARAMETER.type, canonical)
    resource |= {
        "description": f"Finds {', '.join(said.bases)} by {said.code}.",
        "code": said.code,
        "base": said.bases,
        "type": said.type,
        "expression": " | ".join(said.expressions),
        "multipleOr": True,
        "multipleAnd": True,
    }
    if said.targets:
        resource["target"] = said.targets
        chained = tuple(RESOURCES) if ANY_TYPE in said.targets else said.targets
        rows = [RESOURCES[type] for type in chained if type in RESOURCES]
        resource["chain"] = list(dict.fromkeys(parameter.code for row in rows for parameter in row.search_parameters))
    if said.type == SearchType.DATE:
        resource["comparator"] = list(DATE_COMPARATORS)
    if said.modifiers:
        resource["modifier"] = list(said.modifiers)
    return {name: value for name, value in resource.items() if value != []}


def _operations() -> Iterator[Resource]:
    types: dict[Operation, list[str]] = {}
    for row in RESOURCES.values():
        for operation in row.operations:
            types.setdefault(operation, []).append(row.type)
    for operation, bases in types.items():
        yield _head(OPERATION_DEFINITION.type, operation.canonical) | {
            "title": operation.title,
            "kind": "operation",
            "affectsState": False,
            "description": f"{operation.title}.",
            "code": operation.code,
            "resource": bases,
            "system": False,
            "type": operation.on_type,
            "instance": operation.on_instance,
            "parameter": list(_operation_parameters(operation)),
        }


def _operation_parameters(operation: Operation) -> Iterator[Resource]:
    for parameter in operation.parameters:
        yield {
            "name": parameter.name,
            "use": "in",
            "min": int(parameter.required),
            "max": "1",
            "documentation": parameter.documentation,
            "type": parameter.type,
        }
    if operation.returns:
        yield {"name": "return", "use": "out", "min": 1, "max": "1", "type": operation.returns}


def _compartment(settings: Settings) -> Resource:
    url = f"{settings.fhir_base}/{COMPARTMENT_DEFINITION.type}/{MEMBER}"
    return _head(COMPARTMENT_DEFINITION.type, url) | {
        "id": MEMBER,
        "description": "The records that belong to a member: those that a token given for the member can reach.",
        "code": MEMBER_TYPE,
        "search": False,
        "resource": [_linked(row) for row in RESOURCES.values()],
    }


def _linked(row: ResourceDefinition) -> Resource:
    membership = row.membership
    if membership.kind is MembershipKind.SELF:
        return {"code": row.type, "param": [_ITSELF], "documentation": "The member."}
    if membership.kind is MembershipKind.DIRECTORY:
        return {"code": row.type, "documentation": "Shared by all members; in nobody's compartment."}
    if membership.kind is MembershipKind.NAMED:
        naming = " or ".join(membership.named_by)
        return {"code": row.type, "documentation": f"Belongs to every member a record of whose names it: {naming}."}
    path = f"{row.type}.{membership.path}"
    codes = [one.code for one in row.search_parameters if one.expression == path or names_member(row, one)]
    words = f"Belongs to the member that {path} names."
    if membership.kind is MembershipKind.VIA:
        words = f"Belongs to whoever has what {path} names."
    return {"code": row.type, "param": codes, "documentation": words}


def _head(type: str, canonical: str) -> Resource:
    id = canonical.rpartition("/")[2]
    name = "".join(part[:1].upper() + part[1:] for part in id.split("-"))
    return {"resourceType": type, "id": id, "url": canonical, "name": name, "status": "active"}
