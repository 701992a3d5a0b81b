"""What is certainly valid R4, told from the models' own tables without building a model: nearly every record a payer sends.

https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/datatypes.html - the fhir.resources models take 2 to 3 ms for a claim, this
takes a tenth. It accepts only what the models accept; what it does not know at sight (extensions of primitives, contained resources, rare
datatypes, letters beyond ASCII in a code) is left to them, and so is every explanation.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, get_args, get_origin

Check = Callable[[Any], bool]
DEEPEST = 12
"""Elements within elements; what is nested deeper is left to the models."""
PLANS = 512
"""Sets of names, in their order, that an element keeps a plan for."""
_VALIDATORS = {"reject_null_complex_elements", "validate_after_model_construction"}
"""What every model checks beside its fields; a model that checks more is not judged here."""

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?")
_DAY = r"[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
_PARTIAL = r"[1-9][0-9]{3}(?:-(?:0[1-9]|1[0-2]))?"


def certainly_valid(resource: Mapping[str, Any], model: Any) -> bool:
    """Whether the resource, as parsed from JSON, is certainly accepted by its model; False says nothing.

    It must be writable as UTF-8 (no lone surrogates) and without control characters.
    """
    content = {name: value for name, value in resource.items() if name != "resourceType"}
    return _element(model, 0)(content)


class _Element:
    """The check of an object: first that its names are those of the model, then each value."""

    __slots__ = ("_depth", "_model", "_plans")

    def __init__(self, model: Any, depth: int) -> None:
        self._model = model
        self._depth = depth
        self._plans: dict[tuple[str, ...], tuple[Check, ...]] = {}

    def __call__(self, value: Any) -> bool:
        if type(value) is not dict:
            return False
        names = tuple(value)
        plan = self._plans.get(names) or self._planned(names)
        if not plan:
            return False
        for check, item in zip(plan, value.values(), strict=True):  # noqa: SIM110 - a generator costs more than the checks
            if not check(item):
                return False
        return True

    def _planned(self, names: tuple[str, ...]) -> tuple[Check, ...]:
        """The checks of an object with these names; none when the names alone do not say that it is valid."""
        fields = _fields(self._model)
        if self._depth > DEEPEST or not fields.keys() >= set(names) or not _is_complete(self._model, set(names)):
            return ()
        plan = tuple(_check(fields[name], self._depth) for name in names)
        if len(self._plans) < PLANS:
            self._plans[names] = plan
        return plan


class _Each:
    """The check of a list: not empty, and every item."""

    __slots__ = ("_check",)

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(self, value: Any) -> bool:
        if type(value) is not list or not value:
            return False
        check = self._check
        for item in value:  # noqa: SIM110
            if not check(item):
                return False
        return True


@lru_cache(maxsize=4096)
def _element(model: Any, depth: int) -> _Element:
    return _Element(model, depth)


@lru_cache(maxsize=1024)
def _fields(model: Any) -> dict[str, Any]:
    """The types of a model's elements by their names in JSON; none if it has checks that are not known here."""
    decorators = model.__pydantic_decorators__
    if decorators.model_validators.keys() - _VALIDATORS or decorators.field_validators or decorators.validators:
        return {}
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in fields.items() if not name.startswith("_") and name != "fhir_comments"}


def _is_complete(model: Any, names: set[str]) -> bool:
    """Whether nothing required is missing and no choice is made twice."""
    empty = model.model_construct()
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    required |= {name for name, _ in empty.get_required_fields()}
    for choices in empty.get_one_of_many_fields().values():
        first = model.model_fields[choices[0]].json_schema_extra
        made = sum((model.model_fields[choice].alias or choice) in names for choice in choices)
        if made > 1 or (made == 0 and first["one_of_many_required"]):
            return False
    return required <= names


def _check(kind: Any, depth: int) -> Check:
    """The check of a field's type: Optional[…], List[…], an element's type, or a primitive."""
    arguments = [argument for argument in get_args(kind) if argument is not type(None)]
    if get_origin(kind) is list:
        return _Each(_check(arguments[0], depth))
    if hasattr(kind, "__metadata__"):  # Annotated[str, Code()]
        names = [getattr(one, "__visit_name__", "") for one in kind.__metadata__]
        return PRIMITIVES.get(names[-1], _is_not_known)
    if len(arguments) == 1:  # Optional[…]
        return _check(arguments[0], depth)
    if kind is bool:
        return _is_boolean
    model = getattr(kind, "get_model_klass", None)
    if model is None or model().__name__ in ("Resource", "Element"):
        return _is_not_known
    return _element(model(), depth + 1)


def _is_not_known(_value: Any) -> bool:
    return False


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_text(value: Any) -> bool:
    return type(value) is str and not value.isspace() and value != ""


def _is_decimal(value: Any) -> bool:
    return (type(value) is int or isinstance(value, Decimal)) and _DECIMAL.fullmatch(str(value)) is not None


def _of_form(pattern: str) -> Check:
    matches = re.compile(pattern).fullmatch

    def check(value: Any) -> bool:
        return type(value) is str and matches(value) is not None

    return check


def _of_day(pattern: str) -> Check:
    """The check of something that begins with a day, or is a year or month where the pattern allows it."""
    matches = re.compile(pattern).fullmatch

    def check(value: Any) -> bool:
        if type(value) is not str or matches(value) is None:
            return False
        if value[8:10] < "29":
            return True
        try:
            date.fromisoformat(value[:10])
        except ValueError:
            return False
        return True

    return check


def _between(low: int, high: int) -> Check:
    def check(value: Any) -> bool:
        return type(value) is int and low <= value <= high

    return check


PRIMITIVES: dict[str, Check] = {
    "string": _is_text,
    "markdown": _is_text,
    "xhtml": _is_text,
    "code": _of_form(r"[!-~]+(?: [!-~]+)*"),
    "id": _of_form(r"[A-Za-z0-9.-]{1,64}"),
    "uri": _of_form(r"[!-~]+"),
    "canonical": _of_form(r"[!-~]+"),
    "url": _of_form(r"https?://(?:[a-z0-9]+\.)*[a-z]+(?:/[A-Za-z0-9._~/-]*)?"),
    "decimal": _is_decimal,
    "integer": _between(-(2**31), 2**31 - 1),
    "unsignedInt": _between(0, 2**31 - 1),
    "positiveInt": _between(1, 2**31 - 1),
    "date": _of_day(f"{_DAY}|{_PARTIAL}"),
    "dateTime": _of_day(f"{_DAY}(?:T{_TIME}{_ZONE})?|{_PARTIAL}"),
    "instant": _of_day(f"{_DAY}T{_TIME}{_ZONE}"),
    "time": _of_form(_TIME),
}
"""The checks of R4's primitives by name; those not named here are left to the models."""
