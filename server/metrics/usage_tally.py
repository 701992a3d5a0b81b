"""Adding up a usage report, one person after another: how many persons had so many occasions, by place, month and app.

42 CFR 431.60(f) and its parallels. Memory: the enrolments in the period, the patients who are one person with others, and one person.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from server.metrics.transfer import TransferDefinition
from server.storage.period_answers import PART, PIECE
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
        of_merged: dict[Person, list[tuple[str, list[str]]]] = defaultdict(list)
        merged = self.merged
        for patient, transfers, last, text in rows:
            pieces = text.split(PIECE)
            self.transfers += transfers
            if patient in merged:
                of_merged[merged[patient]].append((patient, pieces))
            elif last == COUNTED and self._is_app_day:
                self._add_numbers(*self._app_days(patient, pieces))
            else:
                self._add_person([(patient, pieces)])
        for patients in of_merged.values():
            self._add_person(patients)

    def _add_person(self, patients: list[tuple[str, list[str]]]) -> None:
        left_out = [piece for _, pieces in patients for piece in pieces if piece[0] != _COUNTED]
        counted = patients
        if left_out:
            kept = [(patient, [piece for piece in pieces if piece[0] == _COUNTED]) for patient, pieces in patients]
            counted = [(patient, pieces) for patient, pieces in kept if pieces]
            self._add_excluded(left_out, is_person=patients[0][0] != "", is_counted=bool(counted))
        if not counted:
            return
        if len(counted) == 1 and self._is_app_day:
            self._add_numbers(*self._app_days(*counted[0]))
        else:
            self._add_numbers(*self._occasions(counted))

    def _add_numbers(
        self, total: int, places: Mapping[int, int], months: Mapping[str, int], apps: Mapping[str, int]
    ) -> None:
        self.total[total] += 1
        kinds: tuple[tuple[Any, Any], ...] = (self.by_place, places), (self.by_month, months), (self.by_app, apps)
        for kind, numbers in kinds:
            for name, number in numbers.items():
                kind[name][number] += 1

    def _add_excluded(self, pieces: list[str], *, is_person: bool, is_counted: bool) -> None:
        answers_of: Counter[int] = Counter()
        for piece in pieces:
            outcome, _, answers = piece.partition(":")
            answers_of[int(outcome)] += int(answers)
        for number, sum_of_answers in answers_of.items():
            found = self.excluded[number]
            found[0] += sum_of_answers
            found[1] += is_person
            found[2] += is_person and not is_counted

    def _app_days(self, patient: str, pieces: list[str]) -> "_Numbers":
        """The most frequent case: one Patient id, and an occasion for each day and app, which a piece names."""
        occasions = set(pieces)
        spells = self._enrolled.get(patient, ())
        whole = {place for place, start, until in spells if start == FIRST and until == LAST}
        places: Mapping[int, int] = dict.fromkeys(whole, len(occasions))
        if len(whole) != len({place for place, _, _ in spells} or {NOWHERE}):
            places = Counter(place for piece in occasions for place in _places(spells, piece[1:6]))
        months, apps = Counter([piece[1:3] for piece in occasions]), Counter([piece[6:] for piece in occasions])
        return len(occasions), places, months, apps

    def _occasions(self, patients: list[tuple[str, list[str]]]) -> "_Numbers":
        """The occasions of one person, whatever the definition and however many Patient ids they have."""
        weight: Counter[Any] = Counter()
        places: dict[int, set[Any]] = defaultdict(set)
        months: dict[str, set[Any]] = defaultdict(set)
        apps: dict[str, set[Any]] = defaultdict(set)
        for patient, pieces in patients:
            spells = self._enrolled.get(patient, ())
            for piece in pieces:
                client_id, *details = piece[6:].split(PART)
                told_apart, answers = details or ("", "1")
                day = piece[1:6]
                occasion = self._definition.occasion(patient, client_id, told_apart, day)
                weight[occasion] += int(answers)
                months[day[:2]].add(occasion)
                apps[client_id].add(occasion)
                for place in _places(spells, day):
                    places[place].add(occasion)
        if not self._definition.each_answer:
            weight = Counter(dict.fromkeys(weight, 1))

        def summed(kind: Mapping[Any, set[Any]]) -> dict[Any, int]:
            return {name: sum(weight[occasion] for occasion in occasions) for name, occasions in kind.items()}

        return sum(weight.values()), summed(places), summed(months), summed(apps)


_Numbers = tuple[int, Mapping[int, int], Mapping[str, int], Mapping[str, int]]
"""The occasions of a person: in all, by place, by month, by app."""
_COUNTED = str(COUNTED)


FIRST, LAST = "01-01", "12-31"


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
