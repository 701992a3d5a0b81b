"""The part of FHIRPath that search parameter expressions are written in, compiled to functions.

https://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/searchparameter.html: paths through lists, choice elements, ``|``,
``where(url = '…')``, ``where(resolve() is Type)``, ``ofType(Type)``, ``as(Type)``, ``(path as Type)``.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from server.fhir.dates import Instant

Evaluator = Callable[[Mapping[str, Any]], list[Any]]
Step = Callable[[list[Any], Mapping[str, Any]], list[Any]]
"""From the items so far, and the resource they come from, to the next items."""
Condition = Callable[[Any, Mapping[str, Any]], bool]

_LEXER = re.compile(r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|'(?P<text>(?:[^'\\]|\\.)*)'|(?P<sign>[.|()=]))")
_DATATYPES = frozenset(
    [
        "Address",
        "Age",
        "Annotation",
        "Attachment",
        "Base64Binary",
        "Boolean",
        "Canonical",
        "Code",
        "CodeableConcept",
        "Coding",
        "ContactDetail",
        "ContactPoint",
        "Contributor",
        "Count",
        "DataRequirement",
        "Date",
        "DateTime",
        "Decimal",
        "Distance",
        "Dosage",
        "Duration",
        "Expression",
        "HumanName",
        "Id",
        "Identifier",
        "Instant",
        "Integer",
        "Markdown",
        "Meta",
        "Money",
        "Oid",
        "ParameterDefinition",
        "Period",
        "PositiveInt",
        "Quantity",
        "Range",
        "Ratio",
        "Reference",
        "RelatedArtifact",
        "SampledData",
        "Signature",
        "String",
        "Time",
        "Timing",
        "TriggerDefinition",
        "UnsignedInt",
        "Uri",
        "Url",
        "UsageContext",
        "Uuid",
    ]
)
"""What may follow the name of a choice element: https://hl7.org/fhir/R4/datatypes.html#open"""


@lru_cache(maxsize=4096)
def compile_expression(expression: str) -> Evaluator:
    """The expression as a function from a resource to the list of values it finds; lists are flattened, nulls left out.

    Raises ValueError naming the piece that is not supported.
    """
    parser = _Parser(expression)
    steps = parser.union()
    if parser.peek() is not None:
        raise parser.unsupported(parser.peek())
    return lambda resource: steps([resource], resource)


def literal_type(reference: str) -> str:
    """The resource type that a literal reference names (``Patient/1`` under any base, with or without a version), or ''."""
    path = reference.partition("/_history/")[0].rpartition("/")[0]
    return path.rpartition("/")[2]


class _Parser:
    """Recursive descent: union := operand ('|' operand)*; operand := path ('as' Type)?; path := start ('.' step)*."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens: list[tuple[str, str]] = []
        position, end = 0, len(expression.rstrip())
        while position < end:
            match = _LEXER.match(expression, position)
            if match is None:
                raise self.unsupported(("sign", expression[position:].strip()[:20]))
            kind = str(match.lastgroup)
            self.tokens.append((kind, re.sub(r"\\(.)", r"\1", match[kind]) if kind == "text" else match[kind]))
            position = match.end()
        self.position = 0

    def unsupported(self, token: tuple[str, str] | None) -> ValueError:
        found = "it ends too early" if token is None else f"{token[1]!r} is not supported"
        return ValueError(f"FHIRPath expression {self.expression!r}: {found}")

    def peek(self, ahead: int = 0) -> tuple[str, str] | None:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def accept(self, *token: str) -> bool:
        if self.peek() != token:
            return False
        self.position += 1
        return True

    def expect(self, *token: str) -> None:
        if not self.accept(*token):
            raise self.unsupported(self.peek())

    def take(self, kind: str) -> str:
        token = self.peek()
        if token is None or token[0] != kind:
            raise self.unsupported(token)
        self.position += 1
        return token[1]

    def union(self) -> Step:
        operands = [self.operand()]
        while self.accept("sign", "|"):
            operands.append(self.operand())
        return operands[0] if len(operands) == 1 else _union(operands)

    def operand(self) -> Step:
        steps, last = self.path()
        if self.accept("name", "as"):
            steps[-1] = self.typed(last, self.take("name"))
        return _chain(steps)

    def path(self) -> tuple[list[Step], str]:
        """The steps of a path, and the name of its last step if that is an element ('' otherwise)."""
        last = ""
        if self.accept("sign", "("):
            steps = [self.union()]
            self.expect("sign", ")")
        else:
            name = self.take("name")
            if name[0].isupper():
                steps = [_of_resource_type(name)]
            else:
                last, steps = name, [_child(name)]
        while self.accept("sign", "."):
            name = self.take("name")
            if not self.accept("sign", "("):
                last = name
                steps.append(_child(name))
                continue
            if name == "where":
                last = ""
                steps.append(_where(self.condition()))
            elif name in ("ofType", "as"):
                steps[-1] = self.typed(last, self.take("name"))
                last = ""
            else:
                raise self.unsupported(("name", f"{name}()"))
            self.expect("sign", ")")
        return steps, last

    def typed(self, element: str, type_name: str) -> Step:
        if not element:
            raise self.unsupported(("name", f"{type_name} here: only an element can be narrowed to a type"))
        return _choice_of_type(element, type_name)

    def condition(self) -> Condition:
        if (self.peek(), self.peek(1)) == (("name", "resolve"), ("sign", "(")):
            self.position += 2
            self.expect("sign", ")")
            self.expect("name", "is")
            return _refers_to(self.take("name"))
        path = self.operand()
        self.expect("sign", "=")
        literal = self.peek()
        if literal in (("name", "true"), ("name", "false")):
            self.position += 1
            return _equals(path, literal[1] == "true")
        return _equals(path, self.take("text"))


def _chain(steps: list[Step]) -> Step:
    if len(steps) == 1:
        return steps[0]

    def follow(items: list[Any], resource: Mapping[str, Any]) -> list[Any]:
        for step in steps:
            if not items:
                break
            items = step(items, resource)
        return items

    return follow


def _union(operands: list[Step]) -> Step:
    def unite(items: list[Any], resource: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        for operand in operands:
            found += [item for item in operand(items, resource) if item not in found]
        return found

    return unite


def _of_resource_type(name: str) -> Step:
    any_type = name in ("Resource", "DomainResource")
    return lambda items, _: [item for item in items if any_type or item.get("resourceType") == name]


def _add(found: list[Any], value: Any) -> None:
    if isinstance(value, list):
        found += [item for item in value if item is not None]
    elif value is not None:
        found.append(value)


def _child(name: str) -> Step:
    width = len(name)

    def descend(items: list[Any], _: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        for item in items:
            if not isinstance(item, Mapping):
                continue
            if name in item:
                _add(found, item[name])
                continue
            for key, value in item.items():
                if key.startswith(name) and key[width:] in _DATATYPES:
                    _add(found, Instant(value) if key[width:] == "Instant" and isinstance(value, str) else value)
        return found

    return descend


def _choice_of_type(element: str, type_name: str) -> Step:
    key = element + type_name[0].upper() + type_name[1:]

    def descend(items: list[Any], _: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = []
        for item in items:
            if isinstance(item, Mapping):
                _add(found, item.get(key))
                resources: list[Any] = []
                _add(resources, item.get(element))
                found += [r for r in resources if isinstance(r, Mapping) and r.get("resourceType") == type_name]
        return found

    return descend


def _where(condition: Condition) -> Step:
    return lambda items, resource: [item for item in items if condition(item, resource)]


def _equals(path: Step, literal: str | bool) -> Condition:
    return lambda item, resource: literal in path([item], resource)


def _refers_to(type_name: str) -> Condition:
    def refers(item: Any, resource: Mapping[str, Any]) -> bool:
        if not isinstance(item, Mapping):
            return False
        reference = item.get("reference")
        if not isinstance(reference, str):
            return bool(item.get("type") == type_name)
        if reference.startswith("#"):
            contained = resource.get("contained") or []
            return any(c.get("id") == reference[1:] and c.get("resourceType") == type_name for c in contained)
        return literal_type(reference) == type_name

    return refers
