"""The usage report: both measures per reporting unit and for the organisation, and what was left out, for one calendar year.

42 CFR 431.60(f) and its parallels: annually, for the previous calendar year, by March 31. Computed from the ledger, never from
counters, day by day. Memory: one number per person and reporting unit, one set of persons per exclusion, the enrolment
spells of the patients who appear in the year, and the (patient, app) pairs of one day; rows are never held.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from server import clock
from server.metrics.local_days import local_days
from server.metrics.measures import MEASURES
from server.metrics.transfer import APP_DAY, OTHER_ENVIRONMENT, Exclusion, TransferDefinition, other_environment
from server.settings import Settings
from server.storage import usage
from server.storage.database import Database, Transaction

Person = tuple[str, str]
"""(system, value) of the enterprise identity; ('', Patient id) without one."""
Place = int | None | str
"""Where a transfer counts: the key of a reporting unit, None without one, or TOTAL."""
TOTAL = "total"

UNIT_COLUMNS = ("line_of_business", "contract", "plan", "program", "issuer", "state")


class InconsistentReportError(Exception):
    """The figures contradict each other; the report must not be used."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The values of MEASURES, in their order, for a reporting unit (``level`` unit), for transfers without one (none), or for all
    (organisation). ``unit`` holds the texts of UNIT_COLUMNS, empty where they do not apply."""

    level: str
    unit: tuple[str, ...]
    values: tuple[int, ...]

    @property
    def label(self) -> str:
        """The reporting unit as people read it, e.g. ``medicare-advantage, contract H1234, plan 001``."""
        if self.level == "organisation":
            return "(organisation total)"
        if self.level == "none":
            return "(no reporting unit)"
        named = zip(UNIT_COLUMNS[1:], self.unit[1:], strict=True)
        return ", ".join([*self.unit[:1], *(f"{name} {text}" for name, text in named if text)])


@dataclass(frozen=True, slots=True)
class Removed:
    """What an exclusion removed: answers, the persons they were about, and those of them whom no other answer made count."""

    exclusion: Exclusion
    answers: int
    patients: int
    patients_not_counted: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A usage report. Times are microseconds since 1970 UTC; ``ends`` is the first moment after the year.

    Raises InconsistentReportError when made of figures that contradict each other.
    """

    payer: str
    year: int
    environment: str
    time_zone: str
    starts: int
    ends: int
    definition: TransferDefinition
    ledger_rows: int
    answers: int
    transfers: int
    total: Figures
    units: tuple[Figures, ...]
    removed: tuple[Removed, ...]
    generated_at: int

    def __post_init__(self) -> None:
        if self.transfers + sum(removed.answers for removed in self.removed) != self.answers:
            raise InconsistentReportError("the answers counted and the answers left out are not all the answers")
        for figures in (self.total, *self.units):
            if list(figures.values) != sorted(figures.values, reverse=True):
                raise InconsistentReportError(f"a later measure exceeds an earlier one: {figures}")
            if any(value > most for value, most in zip(figures.values, self.total.values, strict=True)):
                raise InconsistentReportError(f"a reporting unit exceeds the organisation: {figures}")

    @property
    def in_progress(self) -> bool:
        """Whether the year was not over when the report was made."""
        return self.generated_at < self.ends

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about these figures, in sentences."""
        if self.transfers:
            return ()
        left_out = {removed.exclusion.slug: removed.answers for removed in self.removed}
        if other := left_out[OTHER_ENVIRONMENT]:
            environment = other_environment(self.environment)
            return (
                f"No {self.environment} transfers in {self.year}: {other} {environment} answers were left out. "
                f"--environment {environment} shows them.",
            )
        return (f"No {self.environment} transfers in {self.year}.",)

    def content(self) -> dict[str, Any]:
        """The report as JSON, without ``generated_at`` and ``sha256``: the same ledger always gives the same content."""
        return {
            "report": "patient-access-usage",
            "payer": self.payer,
            "year": self.year,
            "environment": self.environment,
            "time_zone": self.time_zone,
            "starts": clock.instant(self.starts),
            "ends_before": clock.instant(self.ends),
            "definition": {
                "slug": self.definition.slug,
                "title": self.definition.title,
                "version": self.definition.version,
                "text": self.definition.text,
            },
            "measures": [
                {"slug": row.slug, "title": row.title, "wording": row.wording, "citation": row.citation}
                for row in MEASURES
            ],
            "ledger_rows": self.ledger_rows,
            "answers": self.answers,
            "transfers": self.transfers,
            "organisation": _values(self.total),
            "reporting_units": [
                {
                    "reporting_unit": row.label,
                    **dict(zip(UNIT_COLUMNS, row.unit, strict=True)),
                    "measures": _values(row),
                }
                for row in self.units
            ],
            "excluded": [
                {
                    "slug": row.exclusion.slug,
                    "title": row.exclusion.title,
                    "reason": row.exclusion.reason,
                    "predicate": str(row.exclusion.predicate),
                    "answers": row.answers,
                    "patients": row.patients,
                    "patients_not_counted": row.patients_not_counted,
                }
                for row in self.removed
            ],
            "notes": list(self.notes),
        }

    @property
    def sha256(self) -> str:
        """SHA-256 of the content as JSON with sorted keys, no spaces, UTF-8."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256(text.encode()).hexdigest()


def usage_report(
    database: Database,
    settings: Settings,
    *,
    year: int,
    environment: str = "production",
    definition: TransferDefinition = APP_DAY,
) -> UsageReport:
    """Compute the usage report of a calendar year in the payer's time zone, from one snapshot of the ledger.

    Raises ValueError for an unknown environment or an impossible year, DatabaseUnavailableError, InconsistentReportError.
    """
    generated_at = clock.now_microseconds()
    exclusions = definition.exclusions_for(environment)
    days = local_days(settings.time_zone, year)
    spans = [span for day in days for span in day.spans]
    period = {"low": min(low for low, _ in spans), "high": max(high for _, high in spans)}
    predicates = [(exclusion.slug, exclusion.predicate) for exclusion in exclusions]
    statement = usage.answers_by_patient(predicates, definition.occasion_columns)
    with database.reading() as transaction:
        tally = _Tally(transaction, period)
        for day in days:
            for low, high in day.spans:
                for row in transaction.all(statement, {"low": low, "high": high}):
                    tally.add(day.date.isoformat(), tuple(row))
            tally.end_day()
        counts = transaction.first(usage.ledger_rows(), period)
        units = transaction.all(usage.reporting_units())
    assert counts is not None
    figures = [
        Figures("unit", tuple(getattr(unit, name) for name in UNIT_COLUMNS), tally.values(unit.key)) for unit in units
    ]
    nowhere = ("",) * len(UNIT_COLUMNS)
    return UsageReport(
        payer=settings.payer_name,
        year=year,
        environment=environment,
        time_zone=settings.payer_time_zone,
        starts=period["low"],
        ends=period["high"],
        definition=definition,
        ledger_rows=counts.rows,
        answers=counts.answers,
        transfers=tally.answers[usage.COUNTED],
        total=Figures("organisation", nowhere, tally.values(TOTAL)),
        units=(*figures, Figures("none", nowhere, tally.values(None))),
        removed=tuple(tally.removed(exclusion) for exclusion in exclusions),
        generated_at=generated_at,
    )


class _Tally:
    """Distinct transfer occasions by place and person, added up day by day; and the answers and persons by outcome."""

    def __init__(self, transaction: Transaction, period: dict[str, int]) -> None:
        self.answers: dict[str, int] = defaultdict(int)
        self._persons: dict[str, Person] = {}
        for link in transaction.stream(usage.latest_persons(), period):
            if link.value:
                self._persons[link.patient] = (link.system, link.value)
        self._spells: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for spell in transaction.stream(usage.latest_enrolments(), period):
            self._spells[spell.patient].append((spell.unit, spell.start, spell.until))
        self._occasions: dict[Place, dict[Person, int]] = defaultdict(lambda: defaultdict(int))
        self._removed: dict[str, set[Person]] = defaultdict(set)
        self._today: dict[Place, set[tuple[Person, tuple[str, ...]]]] = defaultdict(set)

    def add(self, date: str, row: tuple[Any, ...]) -> None:
        """Add a row of ``answers_by_patient`` that fell on a local date."""
        outcome, patient, *occasion, answers = row
        self.answers[outcome] += answers
        person = self._persons.get(patient, ("", patient))
        if outcome != usage.COUNTED:
            if patient:
                self._removed[outcome].add(person)
            return
        for place in (TOTAL, *self._units(patient, date)):
            self._today[place].add((person, tuple(occasion)))

    def _units(self, patient: str, date: str) -> set[int] | tuple[None]:
        spells = self._spells.get(patient, ())
        return {unit for unit, start, until in spells if start <= date and (not until or date <= until)} or (None,)

    def end_day(self) -> None:
        """Add up the day's distinct occasions."""
        for place, occasions in self._today.items():
            of_place = self._occasions[place]
            for person, _ in occasions:
                of_place[person] += 1
        self._today.clear()

    def values(self, place: Place) -> tuple[int, ...]:
        """The values of MEASURES in a place."""
        occasions = self._occasions.get(place, {}).values()
        return tuple(sum(map(measure.counts, occasions)) for measure in MEASURES)

    def removed(self, exclusion: Exclusion) -> Removed:
        """What an exclusion removed."""
        persons = self._removed.get(exclusion.slug, set())
        counted = self._occasions.get(TOTAL, {})
        uncounted = sum(person not in counted for person in persons)
        return Removed(exclusion, self.answers.get(exclusion.slug, 0), len(persons), uncounted)


def _values(figures: Figures) -> dict[str, int]:
    return {measure.slug: value for measure, value in zip(MEASURES, figures.values, strict=True)}
