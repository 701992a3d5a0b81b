"""The pipeline: records in batches, one transaction each; what cannot be stored is told, what can is.

https://hl7.org/fhir/R4/http.html#transaction - a batch is about 500 records, or one Bundle, which is never torn apart.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from server.ingest.batch import Batch, changed
from server.ingest.bundles import Item, Record, rejected, retraction
from server.ingest.enrolment import Enrolments, ReportingUnitsFileError
from server.ingest.records import drafted
from server.ingest.report import LoadReport
from server.ingest.sources import read
from server.settings import Settings
from server.specification.registry import MEMBER_TYPE
from server.storage import resource_lookup
from server.storage.database import Database, DatabaseUnavailableError

BATCH_SIZE = 500
OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""A claim is a few hundred objects, none in a circle: looking for circles after every 700 would take a third of a load's time."""


def load(
    database: Database,
    settings: Settings,
    paths: Sequence[Path],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> LoadReport:
    """Load files and directories; ``on_progress`` is told the bytes read so far and the bytes there are.

    Never raises for anything in the files; a database that is down loses the batch at hand, which the report names.
    """
    report = LoadReport()
    enrolments = _enrolments(settings, report)
    if enrolments is not None:
        with _collecting_seldom():
            _load(database, settings, enrolments, read(paths, report, on_progress), report)
        if not enrolments.rows:
            report.notes.append("no REPORTING_UNITS_FILE is set: no enrolment was derived from Coverage")
    return report


def retract(database: Database, settings: Settings, references: Sequence[str]) -> LoadReport:
    """Retract resources named ``Type/id``: they are gone for readers, their earlier versions stay. One not stored is rejected."""
    report = LoadReport(records=len(references))
    enrolments = _enrolments(settings, report)
    if enrolments is None:
        return report
    items = [retraction(reference) for reference in references]
    try:
        items = [_stored(database, item) for item in items]
    except DatabaseUnavailableError as error:
        report.not_loaded.append(f"{', '.join(references)}: {error}")
        return report
    _load(database, settings, enrolments, [items], report)
    return report


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """https://docs.python.org/3/library/gc.html#gc.set_threshold"""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _enrolments(settings: Settings, report: LoadReport) -> Enrolments | None:
    try:
        return Enrolments(settings)
    except ReportingUnitsFileError as error:
        report.not_loaded.append(f"anything: REPORTING_UNITS_FILE {error}")
        return None


def _stored(database: Database, item: Item) -> Item:
    if isinstance(item, Record):
        identity = (item.type, item.id)
        with database.reading() as transaction:
            if identity not in resource_lookup.current_versions(transaction, [identity]):
                return rejected(item.place, "is not stored", "Name a stored resource.", type=item.type, id=item.id)
    return item


def _load(
    database: Database, settings: Settings, enrolments: Enrolments, pieces: Iterable[Sequence[Item]], report: LoadReport
) -> None:
    unknown: set[str] = set()
    for items in _batches(pieces):
        unknown |= _unknown(database, _load_batch(database, settings, enrolments, items, report))
    for id in sorted(_unknown(database, unknown)):
        report.warn(f"{MEMBER_TYPE}/{id} is not loaded: this member's records are stored, but the member is not known")


def _batches(pieces: Iterable[Sequence[Item]]) -> Iterator[list[Item]]:
    items: list[Item] = []
    for piece in pieces:
        items += piece
        if len(items) >= BATCH_SIZE:
            yield items
            items = []
    if items:
        yield items


def _load_batch(
    database: Database, settings: Settings, enrolments: Enrolments, items: Sequence[Item], report: LoadReport
) -> set[str]:
    """Load a batch in one transaction; answer the members its records name. A record the database refuses is loaded alone."""
    try:
        with database.reading() as reading:
            arrived = changed(reading, items)
        prepared = {record: drafted(record, settings.fhir_base) for record in arrived}
        with database.transaction() as transaction:
            batch = Batch(transaction, enrolments, settings.fhir_base, prepared)
            batch.load(items)
    except DatabaseUnavailableError as error:
        report.not_loaded.append(f"{items[0].place} to {items[-1].place} ({len(items)} records): {error}")
        return set()
    except Exception as error:
        # Whatever one record does to the database or to this program, the others load: each is tried alone.
        if len(items) > 1:
            members = [_load_batch(database, settings, enrolments, [item], report) for item in items]
            return set().union(*members)
        item, kind = items[0], type(getattr(error, "orig", error)).__name__
        report.add(rejected(item.place, f"cannot be stored ({kind})", "Report this.", type=item.type, id=item.id))
        return set()
    report.merge(batch.report)
    return batch.members_named


def _unknown(database: Database, members: set[str]) -> set[str]:
    """Those of the members whose Patient is not stored."""
    try:
        with database.reading() as transaction:
            stored = resource_lookup.current_versions(transaction, [(MEMBER_TYPE, id) for id in members])
    except DatabaseUnavailableError:
        return members
    return {id for id in members if (MEMBER_TYPE, id) not in stored or stored[MEMBER_TYPE, id].deleted}
