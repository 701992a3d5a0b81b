"""Adding up a usage report, one person after another: how many persons had so many occasions, by place, month and app.

42 CFR 431.60(f) and its parallels. Memory: the enrolments in the period, the patients who are one person with others, and one person.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from server.metrics.transfer import TransferDefinition
from server.storage.period_answers import GROUP, PART
from server.storage.usage import COUNTED

Person = tuple[str, str]
"""(system, value) of the enterprise identity."""
Spells = tuple[tuple[int, str, str], ...]
"""A patient's enrolments: place, first and last day in the year (``05-04``)."""
Frequencies = Counter[int]
"""How many persons (values) had so many occasions (keys)."""
NOWHERE = 0
"""The place of a transfer on a day without enrolment; places of reporting units count from 1."""


class Tally:
    """What a report counts. ``excluded``: by outcome, [answers, persons, persons of whom no answer counted]."""

    def __init__(
        self, definition: TransferDefinition, merged: Mapping[str, Person], enrolled: Mapping[str, Spells]
    ) -> None:
        self.merged = merged
        self.transfers = 0
        self.total: Frequencies = Counter()
        self.by_place: dict[int, Frequencies] = defaultdict(Counter)
        self.by_month: dict[str, Frequencies] = defaultdict(Counter)
        self.by_app: dict[str, Frequencies] = defaultdict(Counter)
        self.excluded: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._definition = definition
        self._is_app_day = definition.is_app_day
        self._enrolled = enrolled

    def add_all(self, rows: Iterable[Any]) -> None:
        """Add the rows of ``period_answers.by_patient``."""
        of_merged: dict[Person, list[_Group]] = defaultdict(list)
        merged, enrolled = self.merged, self._enrolled
        for patient, text in rows:
            spells = enrolled.get(patient, ())
            groups = [_Group(patient, spells, *group.split(PART)) for group in text.split(GROUP)]
            if patient in merged:
                of_merged[merged[patient]].extend(groups)
            else:
                self._add_person(groups, is_one=True)
        for several in of_merged.values():
            self._add_person(several, is_one=False)

    def _add_person(self, groups: list["_Group"], *, is_one: bool) -> None:
        counted = [group for group in groups if group.outcome == _COUNTED]
        if len(counted) != len(groups):
            self._add_excluded(groups, is_counted=bool(counted))
        if not counted:
            return
        for group in counted:
            self.transfers += int(group.answers)
        if is_one and self._is_app_day:
            total, places, months, apps = _app_days(counted)
        else:
            total, places, months, apps = self._occasions(counted)
        self.total[total] += 1
        kinds: tuple[tuple[Any, Any], ...] = (self.by_place, places), (self.by_month, months), (self.by_app, apps)
        for kind, numbers in kinds:
            for name, number in numbers.items():
                kind[name][number] += 1

    def _add_excluded(self, groups: list["_Group"], *, is_counted: bool) -> None:
        left_out: Counter[int] = Counter()
        for group in groups:
            if group.outcome != _COUNTED:
                left_out[int(group.outcome)] += int(group.answers)
        is_person = groups[0].patient != ""
        for outcome, answers in left_out.items():
            found = self.excluded[outcome]
            found[0] += answers
            found[1] += is_person
            found[2] += is_person and not is_counted

    def _occasions(self, groups: list["_Group"]) -> "_Numbers":
        """The occasions of one person, whatever the definition and however many Patient ids they have."""
        weight: dict[Any, int] = {}
        places, months, apps = defaultdict(set), defaultdict(set), defaultdict(set)
        for group in groups:
            for day, answers in _days(group.days):
                occasion = self._definition.occasion(group.patient, group.client_id, group.occasion, day)
                weight[occasion] = answers if self._definition.each_answer else 1
                months[day[:2]].add(occasion)
                apps[group.client_id].add(occasion)
                for place in _places(group.spells, day):
                    places[place].add(occasion)

        def summed(kind: Mapping[Any, set[Any]]) -> dict[Any, int]:
            return {name: sum(weight[occasion] for occasion in occasions) for name, occasions in kind.items()}

        return sum(weight.values()), summed(places), summed(months), summed(apps)


class _Group(NamedTuple):
    """The answers of a patient that agree in outcome, app and what else tells occasions apart."""

    patient: str
    spells: Spells
    outcome: str
    client_id: str
    occasion: str
    answers: str
    days: str


_Numbers = tuple[int, Mapping[int, int], Mapping[str, int], Mapping[str, int]]
"""The occasions of a person: in all, by place, by month, by app."""
_COUNTED = str(COUNTED)


def _app_days(groups: list[_Group]) -> _Numbers:
    """The most frequent case: one Patient id, and an occasion for each app and day. No app comes twice."""
    spells = groups[0].spells
    whole = {place for place, start, until in spells if start == FIRST and until == LAST}
    is_simple = bool(whole) and len(whole) == len({place for place, _, _ in spells})
    places: dict[int, int] = {}
    months: dict[str, int] = {}
    apps: dict[str, int] = {}
    total = 0
    for group in groups:
        days = set(group.days.split(","))
        apps[group.client_id] = len(days)
        total += len(days)
        for day in days:
            month = day[:2]
            months[month] = months.get(month, 0) + 1
            if not is_simple:
                for place in _places(spells, day):
                    places[place] = places.get(place, 0) + 1
    return total, dict.fromkeys(whole, total) if is_simple else places, months, apps


FIRST, LAST = "01-01", "12-31"


def _days(tokens: str) -> Iterator[tuple[str, int]]:
    """Each day once, with all its answers."""
    found: Counter[str] = Counter()
    for token in tokens.split(","):
        day, _, answers = token.partition(":")
        found[day] += int(answers or 1)
    return iter(found.items())


def _places(spells: Spells, day: str) -> set[int]:
    return {place for place, start, until in spells if start <= day <= until} or {NOWHERE}


def enrolments(rows: Iterable[Any], places: Mapping[int, int], year: int) -> dict[str, Spells]:
    """Spells by patient, of rows (patient, unit, start, until) that touch the year; equal ones are kept once in memory."""
    first, last = f"{year:04d}-{FIRST}", f"{year:04d}-{LAST}"
    same: dict[Spells, Spells] = {}
    found: dict[str, Spells] = {}
    for row in rows:
        start, until = max(row.start, first), min(row.until or last, last)
        if start <= until:
            spells = (*found.get(row.patient, ()), (places[row.unit], start[5:], until[5:]))
            found[row.patient] = same.setdefault(spells, spells)
    return found
