"""The usage report: both measures per reporting unit and for the organisation, how they spread, and what was left out.

42 CFR 431.60(f) and its parallels: annually, for the previous calendar year, by March 31. Computed from the ledger, never from
counters, in one snapshot of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from server import clock
from server.metrics.exclusions import OTHER_ENVIRONMENT, Exclusion, other_environment
from server.metrics.levels import AS_REQUIRED, UNIT_COLUMNS, Place, places
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
from server.metrics.usage_tally import NOWHERE, Frequencies, Tally, enrolments
from server.settings import Settings
from server.storage import period_answers, usage
from server.storage.database import Database, Transaction
from server.storage.rollups import RowsDroppedError

__all__ = ["Figures", "InconsistentReportError", "Knowledge", "Removed", "UsageReport", "usage_report"]
_NOWHERE = ("",) * len(UNIT_COLUMNS)
_EVERYTHING = Knowledge()


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
    """The usage report, and what it was read from. As ``usage_report``.

    When figures from roll-ups contradict each other, somebody changed a roll-up: then every day is read by row, and the source says so.
    """

    def computed(with_rollups: bool) -> tuple[UsageReport, Source]:
        return _computed(
            database, settings, period(zone, year, month), environment, level, definition, knowledge, with_rollups
        )

    zone = ZoneInfo(settings.payer_time_zone)
    try:
        return computed(use_rollups)
    except InconsistentReportError as contradiction:
        if not (use_rollups and definition.from_rollups):
            raise
        try:
            report, source = computed(False)
        except RowsDroppedError:
            raise contradiction from None
        return report, replace(source, contradicted=str(contradiction))


def _computed(
    database: Database,
    settings: Settings,
    of: Period,
    environment: str,
    level: str,
    definition: TransferDefinition,
    knowledge: Knowledge,
    use_rollups: bool,
) -> tuple[UsageReport, Source]:
    generated_at = clock.now_microseconds()
    exclusions = definition.exclusions_for(environment)
    zone = ZoneInfo(settings.payer_time_zone)
    predicates = [exclusion.predicate for exclusion in exclusions]
    with database.reading() as transaction:
        period_answers.prepare(transaction)
        merged = places(level, transaction.all(usage.reporting_units()))
        tally = _tally(transaction, definition, of, merged, knowledge)
        source = gather(transaction, zone, of, definition, predicates, knowledge, tally, use_rollups=use_rollups)
    removed = tuple(_removed(row, tally.excluded.get(number)) for number, row in enumerate(exclusions, start=1))
    units = [_figures(place.level, place.unit, tally.by_place[number]) for number, place in enumerate(merged, start=1)]
    report = UsageReport(
        payer=settings.payer_name,
        year=of.year,
        month=of.month,
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
        transfers=tally.transfers,
        total=_figures("organisation", _NOWHERE, tally.total),
        units=(*units, _figures("none", _NOWHERE, tally.by_place[NOWHERE])),
        by_month=tuple(_share(name, tally.by_month[name[5:]]) for name in of.months),
        by_app=tuple(_share(name, tally.by_app[name]) for name in sorted(tally.by_app)),
        removed=removed,
        notes=_notes(of, environment, tally.transfers, removed),
        known_at=generated_at if knowledge.answers == ALL else knowledge.answers,
        generated_at=generated_at,
    )
    return report, source


def _tally(
    transaction: Transaction, definition: TransferDefinition, of: Period, merged: Sequence[Place], knowledge: Knowledge
) -> Tally:
    """A tally that knows who is one person, and who was enrolled where."""
    place_of = {key: number for number, place in enumerate(merged, start=1) for key in place.keys}
    links = transaction.stream(period_answers.merged_patients(), {"known": knowledge.persons})
    persons = {row.patient: (row.system, row.value) for row in links}
    span = {"known": knowledge.enrolments, "first": of.first, "last": of.last}
    enrolled = enrolments(transaction.stream(period_answers.spells(), span), place_of, of.year)
    return Tally(definition, persons, enrolled)


def _values(found: Frequencies) -> tuple[int, ...]:
    return tuple(
        sum(persons for occasions, persons in found.items() if measure.counts(occasions)) for measure in MEASURES
    )


def _occasions(found: Frequencies) -> int:
    return sum(occasions * persons for occasions, persons in found.items())


def _figures(level: str, unit: tuple[str, ...], found: Frequencies) -> Figures:
    spread = tuple(
        sum(persons for count, persons in found.items() if low <= count and (high is None or count <= high))
        for low, high in BUCKETS
    )
    return Figures(level, unit, _values(found), spread, _occasions(found))


def _share(name: str, found: Frequencies) -> Share:
    return Share(name, _values(found), _occasions(found))


def _removed(exclusion: Exclusion, counts: Sequence[int] | None) -> Removed:
    answers, persons, uncounted = counts or (0, 0, 0)
    predicate = str(exclusion.predicate)
    return Removed(exclusion.slug, exclusion.title, exclusion.reason, predicate, answers, persons, uncounted)


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
