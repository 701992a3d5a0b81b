"""The date table: each precision of a search value, with each prefix, against each way in which an element's time can lie to it.

https://hl7.org/fhir/R4/search.html#prefix and #date - what is expected is computed here, with datetimes, from the words there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest

from server import clock
from tests.factories import Record, concept, patient, record, reference
from tests.lasting import World, lasting_world

NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
EVER, NEVER = datetime(9000, 1, 1, tzinfo=UTC), datetime(1000, 1, 1, tzinfo=UTC)
"""Later and earlier than all else here: a Period without a boundary."""
MICROSECOND = timedelta(microseconds=1)
INDIA = timezone(timedelta(hours=5, minutes=30))
AS_STORED = re.compile(r"[0-9-]{4,10}(T..:..:..(\.[0-9]+)?(Z|[+-]..:..))?")
"""A dateTime in a record has no minutes without seconds, and no time without a zone: https://hl7.org/fhir/R4/datatypes.html#dateTime"""
PREFIXES = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
MEMBER = patient("anna")


@dataclass(frozen=True, slots=True)
class Range:
    """From ``start`` up to, and without, ``end``."""

    start: datetime
    end: datetime


def at(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


MINUTE = Range(at(2024, 2, 29, 23, 30), at(2024, 2, 29, 23, 31))
SECOND = Range(at(2024, 2, 29, 23, 30, 15), at(2024, 2, 29, 23, 30, 16))
TENTH = Range(at(2024, 2, 29, 23, 30, 15, 200_000), at(2024, 2, 29, 23, 30, 15, 300_000))
THOUSANDTH = Range(at(2024, 2, 29, 23, 30, 15, 250_000), at(2024, 2, 29, 23, 30, 15, 251_000))
VALUES = {
    "2024": Range(at(2024, 1, 1), at(2025, 1, 1)),
    "2024-02": Range(at(2024, 2, 1), at(2024, 3, 1)),
    "2024-12": Range(at(2024, 12, 1), at(2025, 1, 1)),
    "2024-02-29": Range(at(2024, 2, 29), at(2024, 3, 1)),
    "2024-02-29T23:30Z": MINUTE,
    "2024-03-01T05:00+05:30": MINUTE,
    "2024-02-29T23:30": MINUTE,
    "2024-02-29T23:30:15Z": SECOND,
    "2024-02-29T16:30:15-07:00": SECOND,
    "2024-02-29T23:30:15": SECOND,
    "2024-02-29T23:30:15.2Z": TENTH,
    "2024-03-01T05:00:15.2+05:30": TENTH,
    "2024-02-29T23:30:15.2": TENTH,
    "2024-02-29T23:30:15.250Z": THOUSANDTH,
    "2024-02-29T18:30:15.250-05:00": THOUSANDTH,
    "2024-02-29T23:30:15.250": THOUSANDTH,
}
"""Search values and the range that each stands for: as long as its precision; without a zone it is the server's, UTC."""
ELEMENTS: dict[str, str] = {
    "the same text": "effectiveDateTime",
    "the same": "effectivePeriod",
    "inside": "effectivePeriod",
    "around": "effectivePeriod",
    "over its start": "effectivePeriod",
    "over its end": "effectivePeriod",
    "from its start to beyond": "effectivePeriod",
    "from before to its end": "effectivePeriod",
    "before": "effectivePeriod",
    "after": "effectivePeriod",
    "up to its start": "effectivePeriod",
    "from its end": "effectivePeriod",
    "open, from inside": "effectivePeriod",
    "open, from its end": "effectivePeriod",
    "open, from long before": "effectivePeriod",
    "open, until inside": "effectivePeriod",
    "open, until its start": "effectivePeriod",
    "open, until long after": "effectivePeriod",
    "a timing inside": "effectiveTiming",
    "a timing around": "effectiveTiming",
    "a timing with bounds over its end": "effectiveTiming",
    "an instant at its start": "effectiveInstant",
    "an instant at its last microsecond": "effectiveInstant",
    "an instant at its end": "effectiveInstant",
    "an instant before": "effectiveInstant",
}
"""How an element lies to a search value, and which element it is."""


def ranges(value: Range) -> dict[str, Range]:
    """The range of each element, for one search value."""
    start, end = value.start, value.end
    width, quarter = end - start, (end - start) / 4
    return {
        "the same text": value,
        "the same": value,
        "inside": Range(start + quarter, end - quarter),
        "around": Range(start - width, end + width),
        "over its start": Range(start - width, start + quarter),
        "over its end": Range(end - quarter, end + width),
        "from its start to beyond": Range(start, end + width),
        "from before to its end": Range(start - width, end),
        "before": Range(start - 3 * width, start - 2 * width),
        "after": Range(end + 2 * width, end + 3 * width),
        "up to its start": Range(start - width, start),
        "from its end": Range(end, end + width),
        "open, from inside": Range(start + quarter, EVER),
        "open, from its end": Range(end, EVER),
        "open, from long before": Range(start - 9 * width, EVER),
        "open, until inside": Range(NEVER, end - quarter),
        "open, until its start": Range(NEVER, start),
        "open, until long after": Range(NEVER, end + 9 * width),
        "a timing inside": Range(start + quarter, end - quarter),
        "a timing around": Range(start - width, end + width),
        "a timing with bounds over its end": Range(end - quarter, end + width),
        "an instant at its start": Range(start, start + MICROSECOND),
        "an instant at its last microsecond": Range(end - MICROSECOND, end),
        "an instant at its end": Range(end, end + MICROSECOND),
        "an instant before": Range(start - width, start - width + MICROSECOND),
    }


def written(moment: datetime) -> str:
    """A moment to the microsecond, with an offset where that makes a difference to read."""
    return moment.astimezone(INDIA if moment.second % 2 else UTC).isoformat(timespec="microseconds")


def element(text: str, relation: str, lies: Range) -> Mapping[str, Any]:
    """The element as a record has it. The end of a Period is inclusive: its last microsecond."""
    name = ELEMENTS[relation]
    first, last = written(lies.start), written(lies.end - MICROSECOND)
    if name == "effectiveDateTime":
        return {name: text} if AS_STORED.fullmatch(text) else {}
    if name == "effectiveInstant":
        return {name: first}
    period = {} if lies.start == NEVER else {"start": first}
    period |= {} if lies.end == EVER else {"end": last}
    if name == "effectivePeriod":
        return {name: period}
    if "bounds" in relation:
        return {name: {"repeat": {"boundsPeriod": period, "frequency": 1}}}
    between = written(lies.start + (lies.end - lies.start) / 2)
    return {name: {"event": [between, last, first]}}


def expected(prefix: str, value: Range, lies: Range) -> bool:
    """Whether an element's range satisfies the prefix; ``ap`` is a tenth of the gap between now and the value."""
    contains = value.start <= lies.start and lies.end <= value.end
    reaches_above, reaches_below = lies.end > value.end, lies.start < value.start
    gap = abs(NOW - value.start) / 10
    verdicts = {
        "eq": contains,
        "ne": not contains,
        "gt": reaches_above,
        "ge": reaches_above or contains,
        "lt": reaches_below,
        "le": reaches_below or contains,
        "sa": lies.start >= value.end,
        "eb": lies.end <= value.start,
        "ap": lies.start < value.end + gap and lies.end > value.start - gap,
    }
    return verdicts[prefix or "eq"]


def _records() -> Iterator[tuple[tuple[str, str], Record]]:
    for number, (text, value) in enumerate(VALUES.items()):
        for place, (relation, lies) in enumerate(ranges(value).items()):
            effective = element(text, relation, lies)
            if effective:
                yield (
                    (text, relation),
                    record(
                        "Observation",
                        f"o-{number}-{place}",
                        status="final",
                        code=concept("https://payer.example/codes", "any"),
                        subject=reference(MEMBER),
                        **effective,
                    ),
                )


RECORDS = dict(_records())
CASES = [(prefix, text, relation) for text, relation in RECORDS for prefix in PREFIXES]


@dataclass(frozen=True, slots=True)
class Table:
    """The observations, served, and what each search has found."""

    world: World
    answers: dict[str, frozenset[str]] = field(default_factory=dict)

    def found(self, asked: str) -> frozenset[str]:
        """The ids that a search by date finds."""
        if asked not in self.answers:
            with clock.set_to(NOW):
                target = f"Observation?date={quote(asked)}&_count=500"
                self.answers[asked] = frozenset(self.world.found(MEMBER["id"], target))
        return self.answers[asked]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """All observations of the table."""
    with lasting_world(request.param, request, [MEMBER, *RECORDS.values()]) as world:
        yield Table(world)


@pytest.mark.parametrize(("prefix", "text", "relation"), CASES)
def test_a_prefix_compares_the_value_s_range_with_the_element_s(
    table: Table, prefix: str, text: str, relation: str
) -> None:
    value = VALUES[text]
    found = RECORDS[text, relation]["id"] in table.found(f"{prefix}{text}")
    assert found == expected(prefix, value, ranges(value)[relation])


@pytest.mark.parametrize("text", VALUES)
@pytest.mark.parametrize("prefix", ["", *PREFIXES])
def test_a_prefix_finds_everything_that_satisfies_it_and_nothing_else(table: Table, prefix: str, text: str) -> None:
    wanted = {
        each["id"]
        for (other, relation), each in RECORDS.items()
        if expected(prefix, VALUES[text], ranges(VALUES[other])[relation])
    }
    assert table.found(f"{prefix}{text}") == wanted


def test_the_table_is_large_enough() -> None:
    assert len(CASES) > 3000
    assert {relation for _, _, relation in CASES} == set(ELEMENTS) == set(ranges(MINUTE))


@pytest.mark.parametrize("asked", ["le2024-01-31,ge2024-12-05", "2024-02-29T23:30:15Z,sa2024-12-20"])
def test_any_value_of_a_list_is_enough(table: Table, asked: str) -> None:
    alone = [table.found(each) for each in asked.split(",")]
    assert table.found(asked) == alone[0] | alone[1]
    assert all(alone)
