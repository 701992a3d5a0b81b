"""What is taken for certainly valid is valid by the models, whatever is done to it; and what payers send is recognised at sight.

https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/datatypes.html
"""

import copy
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seed_data.dataset import Order, write
from server.fhir.canonical_json import DecimalText, parse
from server.fhir.plain_elements import PRIMITIVES, certainly_valid
from server.fhir.validation import _model, validate

Record = dict[str, Any]
PER_TYPE, MUTANTS = 4, 260
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 2**31, 10**30, DecimalText("0.00"), DecimalText("1E2"), DecimalText("-3.5")),
    *("", " ", "\n", "x", " x", "x ", "a b", "a  b", "a\tb", "é", "5", "true", "a_b", "a" * 65, "http://a.example/b c"),
    *(
        "2026",
        "2026-02",
        "2026-02-29",
        "2024-02-29",
        "2026-02-31",
        "2026-13-01",
        "0000-01-01",
        "2026-1-1",
        "\uff12\uff10\uff12\uff16",
    ),
    *(
        "2026-11-01T10:00:00Z",
        "2026-11-01T10:00:00",
        "2026-11-01T24:00:00Z",
        "2026-11-01T10:00Z",
        "2016-12-31T23:59:60Z",
    ),
    *("2026-11-01T10:00:00.1234567Z", "2026-11-01T10:00:00+15:00", "2026-02-30T10:00:00Z", "10:00:00", "urn:uuid:x"),
    *([], {}, [None], [[]], ["x"], [5], [{}], {"x": 1}, {"extension": []}, {"reference": "Patient/1"}, [{"text": "x"}]),
    *("http://1.2.3", "https://a.example", "http://", "mailto:a@b.example", "YQ==", "\u0085", "x\x1f", "\ufeff"),
)
NAMES = (
    "_status",
    "resourceType",
    "fhir_comments",
    "valueString",
    "value_ext",
    "id",
    "contained",
    "class",
    "class_fhir",
    "X",
)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Record]]:
    """Some resources of each type, as a payer would send them."""
    folder = tmp_path_factory.mktemp("members")
    write(Order(24, 1, date(2026, 11, 1), "full", True), folder)
    found: dict[str, list[Record]] = defaultdict(list)
    for path in sorted(folder.glob("[0-9]*.ndjson")):
        for line in path.read_text("utf-8").splitlines():
            record = parse(line)
            found[record["resourceType"]].append(record)
    return found


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a resource but the top and its type."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        if step != "resourceType":
            yield (*place, step)
            yield from places(inner, (*place, step))


def mutants(record: Record, draw: Random, count: int) -> Iterator[Record]:
    """The resource with one thing done to it: a value replaced, removed, renamed, or doubled into a list."""
    by_path = {tuple(step for step in place if not isinstance(step, int)): place for place in places(record)}
    chosen = sorted(by_path.values(), key=str)
    for _ in range(count):
        changed = copy.deepcopy(record)
        *above, last = draw.choice(chosen)
        inside: Any = changed
        for step in above:
            inside = inside[step]
        done = draw.randrange(8)
        if done == 0:
            del inside[last]
        elif done == 1 and isinstance(inside, dict):
            inside[draw.choice(NAMES)] = inside.pop(last)
        elif done == 2 and isinstance(inside, dict):
            inside[draw.choice(NAMES)] = draw.choice(VALUES)
        elif done == 3:
            inside[last] = [inside[last]]
        elif done == 4 and isinstance(inside[last], list):
            inside[last] = inside[last][0]
        else:
            inside[last] = draw.choice(VALUES)
        yield changed


def test_whatever_is_done_to_a_resource_the_models_accept_what_was_taken_for_valid(
    records: dict[str, list[Record]],
) -> None:
    draw, taken, left = Random(8), 0, 0
    for some in records.values():
        for record in some[:: max(1, len(some) // PER_TYPE)][:PER_TYPE]:
            for mutant in mutants(record, draw, MUTANTS // PER_TYPE):
                model = _model(str(mutant["resourceType"]))
                if model is not None and certainly_valid(mutant, model):
                    taken += 1
                    assert validate(mutant) == [], json.dumps(mutant, default=str)
                else:
                    left += 1
    assert taken > 300 and left > 2000


@pytest.mark.parametrize("type_name", ["ExplanationOfBenefit", "Coverage", "Patient", "Observation", "Provenance"])
def test_what_a_payer_sends_is_recognised_at_sight(records: dict[str, list[Record]], type_name: str) -> None:
    recognised = [certainly_valid(record, _model(type_name)) for record in records[type_name]]
    assert sum(recognised) >= 0.99 * len(recognised) > 0


def carrying(primitive: str, value: Any) -> Record:
    """A resource with a value of a primitive."""
    if primitive == "xhtml":
        return {"resourceType": "Patient", "text": {"status": "generated", "div": value}}
    name = f"value{primitive[0].upper()}{primitive[1:]}"
    return {"resourceType": "Patient", "extension": [{"url": "http://payer.example/x", name: value}]}


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_odd_values_that_are_taken_for_a_primitive_are_accepted_by_the_models(primitive: str) -> None:
    taken = [value for value in VALUES if PRIMITIVES[primitive](value)]
    assert taken
    for value in taken:
        assert validate(carrying(primitive, value)) == [], repr(value)


DAYS = st.dates(min_value=date(1000, 1, 1)).map(date.isoformat)
ZONES = st.one_of(st.just("Z"), st.from_regex(r"[+-][01][0-9]:[0-6][0-9]", fullmatch=True))
TIMES = st.from_regex(r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,8})?", fullmatch=True)
GUESSES = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.decimals(allow_nan=True).map(str).map(Decimal),
    st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", fullmatch=True),
    DAYS,
    st.builds("{}T{}{}".format, DAYS, TIMES, ZONES),
    TIMES,
    st.from_regex(r"https?://[a-z0-9.-]{1,12}(:[0-9]+)?/?[a-z%?/]{0,4}", fullmatch=True),
)


@settings(max_examples=400, deadline=None)
@given(GUESSES, st.sampled_from(sorted(PRIMITIVES)))
def test_guessed_values_that_are_taken_for_a_primitive_are_accepted_by_the_models(guess: Any, primitive: str) -> None:
    if PRIMITIVES[primitive](guess) and not _has_control_characters(guess):
        assert validate(carrying(primitive, guess)) == []


def _has_control_characters(guess: Any) -> bool:
    """Or lone surrogates: neither comes here, because such a record is refused before, or cannot be written."""
    return isinstance(guess, str) and any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in guess)


def test_an_element_nested_very_deeply_is_left_to_the_models() -> None:
    nested: Record = {"url": "http://payer.example/x", "valueString": "x"}
    shallow = {"resourceType": "Patient", "extension": [nested]}
    for _ in range(40):
        nested = {"url": "http://payer.example/x", "extension": [nested]}
    assert certainly_valid(shallow, _model("Patient"))
    assert not certainly_valid({"resourceType": "Patient", "extension": [nested]}, _model("Patient"))


def test_names_in_ever_new_orders_fill_no_memory_without_end() -> None:
    from server.fhir import plain_elements

    names = ["gender", "active", "birthDate", "language", "id", "implicitRules", "deceasedBoolean"]
    values = ["unknown", True, "1970-01-01", "en", "p1", "http://payer.example/rules", False]
    both = list(zip(names, values, strict=True))
    draw = Random(1)
    for _ in range(2 * plain_elements.PLANS):
        draw.shuffle(both)
        assert certainly_valid({"resourceType": "Patient", **dict(both)}, _model("Patient"))
    assert len(plain_elements._element(_model("Patient"), 0)._plans) <= plain_elements.PLANS
