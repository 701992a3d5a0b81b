"""Adding up a usage report, one person after another: how many persons had so many occasions, by place, month and app.

42 CFR 431.60(f) and its parallels. Memory: the enrolments in the period, the patients who are one person with others, and one person.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from server.metrics.transfer import TransferDefinition
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
        self._enrolled = enrolled

    def add_all(self, rows: Iterable[Any]) -> None:
        """Add the rows of ``period_answers.by_patient``."""
        of_merged: dict[Person, list[Any]] = defaultdict(list)
        for patient, answers in groupby(rows, key=attrgetter("patient")):
            if patient in self.merged:
                of_merged[self.merged[patient]].extend(answers)
            else:
                self._add_person(list(answers), is_nobody=not patient)
        for several in of_merged.values():
            self._add_person(several)

    def _add_person(self, rows: Sequence[Any], *, is_nobody: bool = False) -> None:
        counted = [row for row in rows if row.outcome == COUNTED]
        if len(counted) != len(rows):
            left_out: Counter[int] = Counter()
            for row in rows:
                if row.outcome != COUNTED:
                    left_out[row.outcome] += int(row.answers)
            for outcome, answers in left_out.items():
                found = self.excluded[outcome]
                found[0] += answers
                found[1] += not is_nobody
                found[2] += not is_nobody and not counted
        if not counted:
            return
        self.transfers += sum(int(row.answers) for row in counted)
        kinds: tuple[Any, ...] = (self.total, self.by_place, self.by_month, self.by_app)
        for kind, numbers in zip(kinds, self._occasions(counted), strict=True):
            for name, number in numbers.items():
                (kind if kind is self.total else kind[name])[number] += 1

    def _occasions(self, rows: Sequence[Any]) -> tuple[Mapping[Any, int], ...]:
        """The occasions of one person: in all (under ''), by place, by month and by app."""
        if self._definition.is_app_day and len({row.patient for row in rows}) == 1:
            return self._app_days(rows)
        weight: dict[Any, int] = {}
        where: tuple[defaultdict[Any, set[Any]], ...] = tuple(defaultdict(set) for _ in range(4))
        total, places, months, apps = where
        for row in rows:
            spells = self._enrolled.get(row.patient, ())
            for day, answers in _days(row.days):
                occasion = self._definition.occasion(row.patient, row.client_id, row.occasion, day)
                weight[occasion] = answers if self._definition.each_answer else 1
                total[""].add(occasion)
                months[day[:2]].add(occasion)
                apps[row.client_id].add(occasion)
                for place in _places(spells, day):
                    places[place].add(occasion)
        return tuple(
            {name: sum(weight[occasion] for occasion in occasions) for name, occasions in kind.items()}
            for kind in where
        )

    def _app_days(self, rows: Sequence[Any]) -> tuple[Mapping[Any, int], ...]:
        """The same for the most frequent case: one Patient id, an occasion for each app and day."""
        spells = self._enrolled.get(rows[0].patient, ())
        whole = {place for place, start, until in spells if start == FIRST and until == LAST}
        is_simple = bool(whole) and len(whole) == len({place for place, _, _ in spells})
        places: Counter[int] = Counter()
        months: Counter[str] = Counter()
        apps: Counter[str] = Counter()
        for row in rows:
            days = {token[:5] for token in row.days.split(",")}
            apps[row.client_id] += len(days)
            for day in days:
                months[day[:2]] += 1
                if not is_simple:
                    places.update(_places(spells, day))
        total = sum(apps.values())
        return {"": total}, dict.fromkeys(whole, total) if is_simple else places, months, apps


FIRST, LAST = "01-01", "12-31"


def _days(tokens: str) -> Iterator[tuple[str, int]]:
    """Each day once, with all its answers."""
    found: Counter[str] = Counter()
    for token in tokens.split(","):
        day, _, answers = token.partition(":")
        found[day] += int(answers)
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
