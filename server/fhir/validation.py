"""Is a record the R4 resource it says it is? Answered by the fhir.resources R4B models, in plain words and without its values.

https://hl7.org/fhir/R4/validation.html and https://hl7.org/fhir/R4/json.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from server.fhir.plain_elements import certainly_valid

_NUMBERS = (bool, int, float, Decimal)
_CONTROL_CHARACTER = re.compile(rb"\\u00[01][0-9a-f]|\\[bf]")
_WORDS = {
    "missing": ("is required and missing", "Add it."),
    "model_field_validation.missing": ("is required and missing", "Add it."),
    "extra_forbidden": ("is not an element of R4 here", "Correct the name, or carry the value in an extension."),
    "string_type": ("must be a string", "Put it in quotation marks."),
    "list_type": ("must be a list without nulls", "Put it in [ ] and leave nulls out."),
    "int_type": ("must be a whole number", "Send a JSON number without a fraction."),
    "int_parsing": ("must be a whole number", "Send a JSON number without a fraction."),
    "int_from_float": ("must be a whole number", "Send a JSON number without a fraction."),
    "bool_type": ("must be true or false", "Send the JSON literal, without quotation marks."),
    "bool_parsing": ("must be true or false", "Send the JSON literal, without quotation marks."),
    "string_pattern_mismatch": (
        "has characters that its datatype does not allow, or is empty",
        "See its datatype at https://hl7.org/fhir/R4/datatypes.html.",
    ),
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: where (``Patient.name[0].family``), what, and how to put it right."""

    path: str
    reason: str
    fix: str


def validate(resource: Mapping[str, Any], body: bytes = b"") -> list[Issue]:
    """What keeps the resource, as parsed from JSON with decimals as Decimal, from being a valid R4 resource; empty if nothing.

    ``body``, its JSON by orjson, lets control characters be found without looking at every string, and tells that it can be written;
    without it the models look at everything.
    """
    type_name = str(resource.get("resourceType"))
    if _CONTROL_CHARACTER.search(body):
        found = next(_control_characters(resource, type_name), None)
        if found is not None:
            return [Issue(found, "has a control character, which FHIR strings may not have", "Remove the character.")]
    for number, contained in enumerate(_mappings(resource.get("contained"))):
        if _model(str(contained.get("resourceType"))) is None:
            return [Issue(f"{type_name}.contained[{number}]", "is not a resource of R4", "Correct its resourceType.")]
    model = _model(type_name)
    if model is None:
        return [Issue("resourceType", "is not a resource type of R4", "Correct the name.")]
    if body and certainly_valid(resource, model):
        return []
    try:
        validated = model.model_validate(resource)
    except RecursionError:
        return [Issue(type_name, "is nested too deeply", "Flatten the extensions or contained resources.")]
    except Exception as error:
        # The models raise more than ValidationError on hopeless input; one record must never stop a load.
        listed = getattr(error, "errors", None)
        if listed is None:
            return [Issue(type_name, "has elements of a form that R4 does not know", "Compare it with R4.")]
        return [_issue(type_name, resource, detail) for detail in listed()]
    return [] if _fits(resource, validated) else list(_misfits(resource, validated, type_name))


@lru_cache(maxsize=256)
def _model(type_name: str) -> Any:
    """The model class of a resource type, or None. Imported late: the models take 0.2 s that a server need not spend."""
    from fhir.resources.R4B import get_fhir_model_class
    from fhir.resources.R4B.resource import Resource

    try:
        model = get_fhir_model_class(type_name)
    except (LookupError, ValueError):
        return None
    return model if issubclass(model, Resource) else None


def _issue(type_name: str, resource: Mapping[str, Any], detail: Mapping[str, Any]) -> Issue:
    location = [step for step in detail["loc"] if step != "root"]
    path, kind, message = _path(type_name, location), str(detail["type"]), str(detail["msg"])
    if kind in _WORDS:
        return Issue(path, *_WORDS[kind])
    if kind == "model_validation_format":
        name = (detail.get("ctx") or {}).get("model_class", "JSON")
        return Issue(path, f"must be {_article(name)} {name} object", "Put its elements in { }.")
    message = message.removeprefix("Value error, ")
    if "spec regex" in message:
        name = message.split()[0].lower()
        return Issue(path, f"is not {_article(name)} {name} as FHIR writes it", "Correct the format.")
    choice = re.search(r"from this list \[(.*)\]", message)
    if choice is not None:
        names = re.findall(r"'(\w+)'", choice[1])
        given = [name for name in names if name in _element(resource, location)]
        if given:
            return Issue(path, f"may have only one of {', '.join(given)}", "Leave the others out.")
        return Issue(path, f"needs one of {', '.join(names[:6])}", "Add one of them.")
    return Issue(path, f"is not valid R4: {message}", "Correct the value.")


def _article(name: str) -> str:
    return "an" if name[:1] in "AEIOaeio" else "a"


def _path(type_name: str, location: Sequence[Any]) -> str:
    return type_name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _element(resource: Any, location: Sequence[Any]) -> Mapping[str, Any]:
    """The element at a location, or nothing where the location is not one of an object."""
    for step in location:
        try:
            resource = resource[step]
        except (KeyError, IndexError, TypeError):
            return {}
    return resource if isinstance(resource, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item if isinstance(item, Mapping) else {} for item in value] if isinstance(value, list) else []


def _control_characters(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if any(character < " " and character not in "\t\r\n" for character in value):
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _control_characters(name, path)
            yield from _control_characters(item, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _control_characters(item, f"{path}[{number}]")


def _misfits(value: Mapping[str, Any], model: Any, path: str) -> Iterator[Issue]:
    """What the models accept but JSON FHIR does not: '5' for a number, 1 for true, numbers for dates, null for an element."""
    for name, item in value.items():
        if name == "resourceType":
            continue
        if item is None or item == [] or item == {}:
            yield Issue(f"{path}.{name}", "is null or empty", "Leave the element out.")
        elif name == "fhir_comments":
            yield Issue(f"{path}.{name}", *_WORDS["extra_forbidden"])
        else:
            yield from _misfit(item, _parsed(model.__dict__, name), f"{path}.{name}")


def _misfit(item: Any, parsed: Any, path: str) -> Iterator[Issue]:
    if _fits(item, parsed):  # almost always, and without a path being written for every element
        return
    if isinstance(item, dict):
        yield from _misfits(item, parsed, path)
    elif isinstance(item, list):
        for number, (one, its) in enumerate(zip(item, parsed, strict=True)):
            yield from _misfit(one, its, f"{path}[{number}]")
    elif isinstance(item, str):
        yield Issue(path, "must not be a string", "Remove the quotation marks.")
    elif isinstance(item, bool):
        yield Issue(path, "must not be true or false", "Send the value its datatype asks for.")
    elif isinstance(parsed, int) and not isinstance(parsed, bool):
        yield Issue(path, *_WORDS["int_type"])
    else:
        yield Issue(path, "must not be a number", "Send the value its datatype asks for.")


def _fits(item: Any, parsed: Any) -> bool:
    """Whether a JSON value is of the kind that its model holds."""
    kind = type(item)
    if kind is str:
        return not isinstance(parsed, _NUMBERS)
    if kind is dict:
        fields = getattr(parsed, "__dict__", None)
        return fields is None or all(
            name == "resourceType"
            or (
                item is not None
                and item != []
                and item != {}
                and name != "fhir_comments"
                and _fits(item, _parsed(fields, name))
            )
            for name, item in item.items()
        )
    if kind is list:
        if type(parsed) is not list or len(parsed) != len(item):
            return True
        return all(one is None or _fits(one, its) for one, its in zip(item, parsed, strict=True))
    if kind is bool:
        return type(parsed) is bool
    if kind is int:
        return type(parsed) is not bool and isinstance(parsed, _NUMBERS)
    return item is None or (isinstance(parsed, _NUMBERS) and not isinstance(parsed, int))


def _parsed(fields: Mapping[str, Any], name: str) -> Any:
    """The model's value of an element; Python and the models keep some names for themselves, and primitives' extensions."""
    value = fields.get(name)
    return value if value is not None else fields.get(f"{name}_fhir") or fields.get(f"{name[1:]}__ext")
