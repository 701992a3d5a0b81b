"""Why a reported number changed: from one report to another, one factor at a time, each step computed anew.

42 CFR 431.60(f) and its parallels are reported once a year; what is learned later (retro-enrolment, merges) changes what would be
reported now. Exact by construction: the changes of all steps add up to the difference, because each step starts where the last one ended.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from server.metrics.transfer import DEFINITIONS
from server.metrics.usage_document import UsageReport
from server.metrics.usage_report import usage_report
from server.metrics.usage_sources import ALL, Knowledge
from server.settings import Settings
from server.storage.database import Database
from server.storage.usage import ENROLMENT, PERSON_LINK, recorded_between

Numbers = dict[tuple[str, str], int]
"""What a report says: by place (or part of the report) and by measure (or kind of number)."""


@dataclass(frozen=True, slots=True)
class Change:
    """A number that a step changed. A place that is not there counts as zero."""

    place: str
    number: str
    before: int
    after: int

    @property
    def delta(self) -> int:
        """By how much."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Step:
    """One factor: why numbers changed (``slug`` for machines, ``reason`` for people, with its counts), and which. ``explained`` False:
    nothing that may happen by itself explains it."""

    slug: str
    reason: str
    changes: tuple[Change, ...]
    explained: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """Two reports and the steps from one to the other; steps that changed nothing are left out unless something was recorded."""

    before: UsageReport
    after: UsageReport
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]

    @property
    def is_explained(self) -> bool:
        """Whether every change has a reason that may happen by itself."""
        return all(step.explained for step in self.steps)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a report was asked with."""

    year: int
    month: int | None
    environment: str
    level: str
    definition: str
    time_zone: str
    knowledge: Knowledge

    @classmethod
    def of(cls, report: UsageReport, knowledge: Knowledge | None = None) -> "_Asked":
        known = Knowledge.at(report.known_at) if knowledge is None else knowledge
        asked = report.year, report.month, report.environment, report.level, report.definition.slug, report.time_zone
        return cls(*asked, known)


def difference(
    database: Database, settings: Settings, before: UsageReport, after: UsageReport | None = None
) -> Difference:
    """Explain what changed from a stored report to another, or (None) to the same question asked now.

    Raises what ``usage_report`` raises.
    """
    now = after is None
    end = _asked_now(before, settings) if after is None else _Asked.of(after)
    walk = _Walk(database, settings, before)
    walk.through(_Asked.of(before), end)
    if after is None:
        after = walk.computed
        assert after is not None
    walk.arrive(after, is_stored=not now)
    return Difference(before, after, _changes(numbers(before), numbers(after)), tuple(walk.steps))


def _asked_now(before: UsageReport, settings: Settings) -> _Asked:
    return replace(_Asked.of(before, Knowledge()), time_zone=settings.payer_time_zone)


class _Walk:
    """From what one report was asked with to what the other was, changing one thing at a time."""

    def __init__(self, database: Database, settings: Settings, before: UsageReport) -> None:
        self.steps: list[Step] = []
        self.computed: UsageReport | None = None
        self._database = database
        self._settings = settings
        self._numbers = numbers(before)
        self._stored = before

    def through(self, start: _Asked, end: _Asked) -> None:
        """All factors in their order."""
        known = DEFINITIONS.get(start.definition)
        is_same = known is not None and known.version == self._stored.definition.version
        if is_same:
            self._go("earlier", start, self._earlier)
        else:
            # What the old version counted cannot be computed any more: this step holds whatever else changed of the past as well.
            start = replace(start, definition=end.definition)
            version = DEFINITIONS[end.definition].version if end.definition in DEFINITIONS else "?"
            text = f"definition {self._stored.definition.slug} version {self._stored.definition.version} became {end.definition} version {version}"
            self._go("definition", start, lambda _, __: (text, True))
        at = start
        for slug, field in (("time-zone", "time_zone"), ("environment", "environment"), ("definition", "definition")):
            was, is_ = getattr(at, field), getattr(end, field)
            if was != is_:
                at = replace(at, **{field: is_})
                self._go(slug, at, _told(f"{field.replace('_', ' ')} {was} became {is_}"))
        if (at.year, at.month) != (end.year, end.month):
            at = replace(at, year=end.year, month=end.month)
            self._go("period", at, _told(f"another period: {self._stored.period} became {_period(end)}"))
        for slug in ("answers", "persons", "enrolments"):
            was, is_ = getattr(at.knowledge, slug), getattr(end.knowledge, slug)
            if was != is_:
                at = replace(at, knowledge=replace(at.knowledge, **{slug: is_}))
                self._go(slug, at, self._recorded(slug, *sorted((was, is_))))
        if at.level != end.level:
            was, at = at.level, replace(at, level=end.level)
            self._go("level", at, _told(f"level {was} became {at.level}: the places are others"))

    def arrive(self, after: UsageReport, *, is_stored: bool) -> None:
        """What is left between the last computed report and the other as it is."""
        changes = _changes(self._numbers, numbers(after))
        if changes and is_stored:
            text = "the later report does not say what is computed for it now: rows of its past were added, changed or dropped"
            known = DEFINITIONS.get(after.definition.slug)
            if known is None or known.version != after.definition.version:
                text = f"the later report was made with version {after.definition.version} of definition {after.definition.slug}"
            self.steps.append(Step("later", text, changes, explained=known is not None and "version" in text))

    def _go(self, slug: str, asked: _Asked, why: Callable[[Numbers, Numbers], tuple[str, bool]]) -> None:
        settings = self._settings
        if asked.time_zone != settings.payer_time_zone:
            settings = settings.model_copy(update={"payer_time_zone": asked.time_zone})
        report = usage_report(
            self._database,
            settings,
            year=asked.year,
            month=asked.month,
            environment=asked.environment,
            level=asked.level,
            definition=DEFINITIONS[asked.definition],
            knowledge=asked.knowledge,
        )
        found = numbers(report)
        changes = _changes(self._numbers, found)
        reason, explained = why(self._numbers, found)
        if changes:
            self.steps.append(Step(slug, reason, changes, explained))
        self._numbers, self.computed = found, report

    def _earlier(self, was: Numbers, found: Numbers) -> tuple[str, bool]:
        """Why the same question about the same past has another answer."""
        more = found[LEDGER, "rows"] - was[LEDGER, "rows"]
        if more > 0:
            return f"{more:,} rows dated before the report were committed after it was made", True
        if more < 0:
            return f"{-more:,} rows that the report was made of are gone from the ledger", False
        return "the ledger, the persons or the enrolments of the past are not what they were", False

    def _recorded(self, slug: str, low: int, high: int) -> Callable[[Numbers, Numbers], tuple[str, bool]]:
        def why(was: Numbers, found: Numbers) -> tuple[str, bool]:
            if slug == "answers":
                more = found[LEDGER, "answers"] - was[LEDGER, "answers"]
                counting = found[LEDGER, "transfers"] - was[LEDGER, "transfers"]
                return f"{more:+,} answers recorded in between, {counting:+,} of them count", True
            table = PERSON_LINK if slug == "persons" else ENROLMENT
            with self._database.reading() as transaction:
                count = transaction.scalar(recorded_between(table), {"after": low, "until": min(high, ALL)})
            what = "identities (merges, unmerges, new members)" if slug == "persons" else "enrolments and withdrawals"
            return f"{count:,} {what} recorded in between", True

        return why


LEDGER = "(ledger)"


def numbers(report: UsageReport) -> Numbers:
    """Everything a report says that can change: measures by place, answers by exclusion, and what the ledger held."""
    found: Numbers = {}
    for figures in (*report.units, report.total):
        for measure, value in zip(report.measures, figures.values, strict=True):
            found[figures.label, measure.slug] = value
    for removed in report.removed:
        found[f"(left out) {removed.slug}", "answers"] = removed.answers
    found[LEDGER, "rows"] = report.ledger_rows
    found[LEDGER, "answers"] = report.answers
    found[LEDGER, "transfers"] = report.transfers
    return found


def _changes(before: Numbers, after: Numbers) -> tuple[Change, ...]:
    return tuple(_each(before, after))


def _each(before: Numbers, after: Numbers) -> Iterator[Change]:
    for place, number in dict.fromkeys((*before, *after)):
        was, is_ = before.get((place, number), 0), after.get((place, number), 0)
        if was != is_:
            yield Change(place, number, was, is_)


def _told(text: str) -> Callable[[Numbers, Numbers], tuple[str, bool]]:
    return lambda _, __: (text, True)


def _period(asked: _Asked) -> str:
    return f"{asked.year}" if asked.month is None else f"{asked.year}-{asked.month:02d}"
