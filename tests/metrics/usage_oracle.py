"""A brute-force oracle for the usage report: plain Python over every row of a world; it shares no code with what it checks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.metrics.worlds import PAYER_ZONE, UNITS, Answer, Unit, World

Person = tuple[str, str]
CLASSES = {
    "1": range(1, 2),
    "2": range(2, 3),
    "3-5": range(3, 6),
    "6-10": range(6, 11),
    "11-20": range(11, 21),
    "21-50": range(21, 51),
    "51 or more": range(51, 10**9),
}
OWED = {
    "medicare-advantage": ("contract",),
    "medicaid-ffs": ("state",),
    "chip-ffs": ("state",),
    "medicaid-managed-care": ("state", "program", "plan"),
    "qhp": ("issuer",),
}
BY_LEVEL = {
    "contract": ("contract",),
    "plan": ("contract", "plan"),
    "program": ("state", "program"),
    "issuer": ("issuer",),
    "state": ("state",),
    "plan-in-program": ("state", "program", "plan"),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """What the report must say. Places are frozensets of the names of the units merged in them, or None without a unit."""

    total: tuple[int, int]
    places: dict[frozenset[str] | None, tuple[int, int]]
    spread: dict[str, int]
    months: dict[str, tuple[int, int, int]]
    apps: dict[str, tuple[int, int, int]]
    removed: dict[str, tuple[int, int, int]]
    answers: int
    transfers: int


def why_not(answer: Answer, environment: str) -> str:
    """The first reason why an answer does not count, or an empty text."""
    if answer.environment != environment:
        return "other-environment"
    if answer.kind != "third-party":
        return {"payer": "own-portal", "probe": "probe", "system": "sibling-api"}.get(answer.kind, "not-third-party")
    if not answer.grant:
        return "no-grant"
    if not answer.patient:
        return "no-patient"
    if answer.status // 100 != 2:
        return "failed"
    return "" if answer.resources else "empty"


def last_by_key(rows: Iterable[Any], known: datetime, key: Callable[[Any], Any]) -> dict[Any, Any]:
    """The row recorded last for each key up to a moment; of those recorded together, the later in the list."""
    return {key(row): row for row in sorted(rows, key=lambda row: row.recorded) if row.recorded <= known}


def place_of(level: str, name: str) -> frozenset[str]:
    """The names of the units that one unit is merged with at a level."""
    unit = UNITS[name]

    def key(other: Unit) -> tuple[str, ...] | None:
        columns = OWED.get(other.line_of_business) if level == "required" else BY_LEVEL.get(level)
        if columns is None or not getattr(other, columns[-1]):
            return None
        return (other.line_of_business, *(getattr(other, column) for column in columns))

    own = key(unit)
    return frozenset([name] if own is None else [other for other in UNITS if key(UNITS[other]) == own])


def occasions(
    definition: str, answers: list[tuple[Answer, Person, date, int]]
) -> list[tuple[Answer, Person, date, Any]]:
    """The counted answers, each with what names its occasion among those of its person."""
    match definition:
        case "app-day":
            return [(answer, person, day, (answer.app, day)) for answer, person, day, _ in answers]
        case "request":
            return [(answer, person, day, number) for answer, person, day, number in answers]
        case "grant":
            return [(answer, person, day, answer.grant) for answer, person, day, _ in answers]
    found = []
    start: dict[tuple[Person, str], datetime] = {}
    for answer, person, day, _ in sorted(answers, key=lambda each: each[0].at):
        pair = person, answer.app
        if pair not in start or answer.at - start[pair] > timedelta(hours=24):
            start[pair] = answer.at
        found.append((answer, person, day, (answer.app, start[pair])))
    return found


def count(
    world: World, *, month: int | None, environment: str, level: str, definition: str, known: datetime
) -> Counted:
    """Go through every row of a world and count 2026, or a month of it, as known at a moment."""
    links = last_by_key(world.links, known, lambda link: link.patient)
    spells = last_by_key(world.spells, known, lambda spell: (spell.patient, spell.coverage)).values()
    removed: Counter[str] = Counter()
    removed_persons: dict[str, set[Person]] = defaultdict(set)
    kept: list[tuple[Answer, Person, date, int]] = []
    number = 0
    for answer in world.answers:
        day = answer.at.astimezone(PAYER_ZONE).date()
        if day.year != 2026 or month not in (None, day.month) or answer.at > known:
            continue
        link = links.get(answer.patient)
        person = (link.system, link.value) if link and link.value else ("", answer.patient)
        reason = why_not(answer, environment)
        for _ in range(answer.times):
            number += 1
            if reason:
                removed[reason] += 1
                if answer.patient:
                    removed_persons[reason].add(person)
            else:
                kept.append((answer, person, day, number))
    of: dict[Any, dict[Person, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for answer, person, day, occasion in occasions(definition, kept):
        units = {
            place_of(level, spell.unit)
            for spell in spells
            if spell.patient == answer.patient and spell.unit and spell.start <= str(day) <= (spell.until or "9999")
        }
        where = [
            ("total",),
            ("month", str(day)[:7]),
            ("app", answer.app),
            *(("unit", unit) for unit in units or {None}),
        ]
        for place in where:
            of[place][person].add(occasion)

    def both(place: Any) -> tuple[int, int]:
        return len(of[place]), sum(len(each) > 1 for each in of[place].values())

    def shares(kind: str) -> dict[str, tuple[int, int, int]]:
        return {place[1]: (*both(place), sum(map(len, of[place].values()))) for place in list(of) if place[0] == kind}

    total = both(("total",))
    sizes = [len(each) for each in of[("total",)].values()]
    return Counted(
        total=total,
        places={place[1]: both(place) for place in list(of) if place[0] == "unit"},
        spread={name: sum(size in sizes_of for size in sizes) for name, sizes_of in CLASSES.items()},
        months=shares("month"),
        apps=shares("app"),
        removed={
            reason: (answers, len(removed_persons[reason]), len(removed_persons[reason] - set(of[("total",)])))
            for reason, answers in removed.items()
        },
        answers=number,
        transfers=len(kept),
    )
