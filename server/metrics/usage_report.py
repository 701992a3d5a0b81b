"""The usage report: both measures per reporting unit and for the organisation, how they spread, and what was left out.

42 CFR 431.60(f) and its parallels: annually, for the previous calendar year, by March 31. Computed from the ledger, never from
counters, in one snapshot of it. The database adds up; only frequencies come here, so that memory does not grow with the members.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server import clock
from server.metrics.exclusions import OTHER_ENVIRONMENT, Exclusion, other_environment
from server.metrics.levels import AS_REQUIRED, UNIT_COLUMNS, places
from server.metrics.measures import MEASURES
from server.metrics.periods import Period, period
from server.metrics.transfer import APP_DAY, TransferDefinition
from server.metrics.usage_document import (
    BUCKETS,
    DefinitionText,
    Figures,
    InconsistentReportError,
    Removed,
    Share,
    UsageReport,
)
from server.metrics.usage_sources import ALL, Knowledge, Source, gather
from server.settings import Settings
from server.storage import transfer_tables, usage
from server.storage.database import Database, Transaction

__all__ = ["Figures", "InconsistentReportError", "Knowledge", "Removed", "UsageReport", "usage_report"]
_NOWHERE = ("",) * len(UNIT_COLUMNS)
_EVERYTHING = Knowledge()


@dataclass(frozen=True, slots=True)
class _Frequencies:
    """How many persons (values) had so many transfer occasions (keys) in a place."""

    persons: Mapping[int, int]

    @property
    def values(self) -> tuple[int, ...]:
        return tuple(
            sum(persons for occasions, persons in self.persons.items() if measure.counts(occasions))
            for measure in MEASURES
        )

    @property
    def occasions(self) -> int:
        return sum(occasions * persons for occasions, persons in self.persons.items())

    def figures(self, level: str, unit: tuple[str, ...]) -> Figures:
        spread = tuple(
            sum(number for count, number in self.persons.items() if low <= count and (high is None or count <= high))
            for low, high in BUCKETS
        )
        return Figures(level, unit, self.values, spread, self.occasions)

    def share(self, name: str) -> Share:
        return Share(name, self.values, self.occasions)


def usage_report(
    database: Database,
    settings: Settings,
    *,
    year: int,
    month: int | None = None,
    environment: str = "production",
    level: str = AS_REQUIRED,
    definition: TransferDefinition = APP_DAY,
    knowledge: Knowledge = _EVERYTHING,
    use_rollups: bool = True,
) -> UsageReport:
    """Compute the usage report of a calendar year, or of a month of it, in the payer's time zone, from one snapshot of the ledger.

    ``use_rollups`` False reads every row: the figures are the same. Raises ValueError for an unknown environment or level or an
    impossible period, DatabaseUnavailableError, InconsistentReportError, RowsDroppedError.
    """
    return usage_report_with_source(
        database,
        settings,
        year=year,
        month=month,
        environment=environment,
        level=level,
        definition=definition,
        knowledge=knowledge,
        use_rollups=use_rollups,
    )[0]


def usage_report_with_source(
    database: Database,
    settings: Settings,
    *,
    year: int,
    month: int | None = None,
    environment: str = "production",
    level: str = AS_REQUIRED,
    definition: TransferDefinition = APP_DAY,
    knowledge: Knowledge = _EVERYTHING,
    use_rollups: bool = True,
) -> tuple[UsageReport, Source]:
    """The usage report, and what it was read from. As ``usage_report``."""
    generated_at = clock.now_microseconds()
    exclusions = definition.exclusions_for(environment)
    of = period(settings.time_zone, year, month)
    predicates = [exclusion.predicate for exclusion in exclusions]
    with database.reading() as transaction:
        merged = places(level, transaction.all(usage.reporting_units()))
        place_of = {key: number for number, place in enumerate(merged, start=1) for key in place.keys}
        with transfer_tables.working_tables(transaction, is_sqlite=database.is_sqlite, places=place_of):
            source = gather(
                transaction, settings.time_zone, of, definition, predicates, knowledge, use_rollups=use_rollups
            )
            transfer_tables.count_up(transaction, is_sqlite=database.is_sqlite)
            became = {row.outcome: row for row in transaction.all(transfer_tables.outcomes())}
            total = _frequencies(transaction, definition, "")[transfer_tables.NOWHERE]
            by_place = _frequencies(transaction, definition, "place")
            by_month = _frequencies(transaction, definition, "month")
            by_app = _frequencies(transaction, definition, "client_id")
    removed = tuple(_removed(row, became.get(number)) for number, row in enumerate(exclusions, start=1))
    transfers = int(became[usage.COUNTED].answers) if usage.COUNTED in became else 0
    units = [by_place[number].figures(place.level, place.unit) for number, place in enumerate(merged, start=1)]
    report = UsageReport(
        payer=settings.payer_name,
        year=year,
        month=month,
        environment=environment,
        level=level,
        time_zone=settings.payer_time_zone,
        starts=of.starts,
        ends=of.ends,
        definition=DefinitionText(
            definition.slug, definition.title, definition.version, definition.text, definition.citation
        ),
        measures=MEASURES,
        ledger_rows=source.rows,
        ledger_digest=source.digest,
        answers=source.answers,
        transfers=transfers,
        total=total.figures("organisation", _NOWHERE),
        units=(*units, by_place[transfer_tables.NOWHERE].figures("none", _NOWHERE)),
        by_month=tuple(by_month[month].share(month) for month in of.months),
        by_app=tuple(by_app[client_id].share(client_id) for client_id in sorted(by_app)),
        removed=removed,
        notes=_notes(of, environment, transfers, removed),
        known_at=generated_at if knowledge.answers == ALL else knowledge.answers,
        generated_at=generated_at,
    )
    return report, source


def _frequencies(transaction: Transaction, definition: TransferDefinition, by: str) -> dict[Any, _Frequencies]:
    statement = transfer_tables.frequencies(by, definition.occasion_columns, each_answer=definition.each_answer)
    found: dict[Any, dict[int, int]] = defaultdict(dict)
    for row in transaction.all(statement):
        found[row.place][int(row.occasions)] = row.persons
    answer: dict[Any, _Frequencies] = defaultdict(lambda: _Frequencies({}))
    answer.update({place: _Frequencies(persons) for place, persons in found.items()})
    return answer


def _removed(exclusion: Exclusion, row: Any) -> Removed:
    counts = (0, 0, 0) if row is None else (int(row.answers), row.persons, row.uncounted)
    return Removed(exclusion.slug, exclusion.title, exclusion.reason, str(exclusion.predicate), *counts)


def _notes(of: Period, environment: str, transfers: int, removed: Sequence[Removed]) -> tuple[str, ...]:
    """What a reader must know about these figures, in sentences."""
    if transfers:
        return ()
    other = next(row.answers for row in removed if row.slug == OTHER_ENVIRONMENT)
    if other:
        elsewhere = other_environment(environment)
        return (
            f"No {environment} transfers in {of}: {other} {elsewhere} answers were left out. "
            f"--environment {elsewhere} shows them.",
        )
    return (f"No {environment} transfers in {of}.",)
