"""Writing resources with their index rows, in batches: statements that the sync executor runs once for many rows.

Versions and tombstones: https://hl7.org/fhir/R4/http.html#versions and https://hl7.org/fhir/R4/http.html#delete
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from server import clock
from server.storage.database import Transaction
from server.storage.query import IndexEntries
from server.storage.resource_lookup import (
    AWAITED,
    REFERENCE,
    RESOURCE,
    TOKEN,
    VERSION,
    Awaited,
    CurrentVersion,
    Identity,
    current_versions,
)
from server.storage.schema import DateIndex, LoadClock, StringIndex

DATE: Any = DateIndex.__table__  # type: ignore[attr-defined]
STRING: Any = StringIndex.__table__  # type: ignore[attr-defined]
CLOCK: Any = LoadClock.__table__  # type: ignore[attr-defined]

_LOCK_CLOCK = update(CLOCK).values(loaded_at=CLOCK.c.loaded_at)
_READ_CLOCK = select(CLOCK.c.loaded_at)
_START_CLOCK = insert(CLOCK).values(id=1, loaded_at=0)
_SET_CLOCK = update(CLOCK).values(loaded_at=bindparam("now"))

_KEY: Any = bindparam("k")
_HISTORY = [column.name for column in VERSION.columns if column.name != "key"]
_SUPERSEDE = insert(VERSION).from_select(
    _HISTORY, select(*[RESOURCE.c[name] for name in _HISTORY]).where(RESOURCE.c.key == _KEY)
)
_TOMBSTONE = insert(VERSION)
_INSERT = insert(RESOURCE)
_CHANGED = ("patient", "version", "last_updated", "loaded_at", "deleted", "hash", "body")
_UPDATE = update(RESOURCE).where(RESOURCE.c.key == _KEY).values({name: bindparam(f"new_{name}") for name in _CHANGED})
_ASSIGN = (
    update(RESOURCE)
    .where(RESOURCE.c.key == _KEY)
    .values(patient=bindparam("new_patient"), loaded_at=bindparam("new_loaded_at"))
)
_INDEXES = (TOKEN, REFERENCE, DATE, STRING)
_UNINDEX = {table: delete(table).where(table.c.resource == _KEY) for table in (*_INDEXES, AWAITED)}
_ASSIGN_INDEX = [
    update(table).where(table.c.resource == _KEY).values(patient=bindparam("new_patient")) for table in _INDEXES
]
_INDEX = {table: insert(table) for table in (*_INDEXES, AWAITED)}


MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class ResourceWrite:
    """A version to become the current one. ``deleted``: a tombstone without body and entries.

    ``replaces`` is the current version so far; ``tombstone``, a version id of its own, is left with the former member when the
    resource moves to another one.
    """

    patient: str
    type: str
    id: str
    version: str
    last_updated: int
    hash: bytes
    body: bytes
    entries: IndexEntries
    awaited: frozenset[Awaited] = frozenset()
    replaces: CurrentVersion | None = None
    tombstone: str = ""
    deleted: bool = False


class ResourceWriter:
    """Writes inside one transaction. Writers wait for each other from the start, so ``loaded_at`` grows in commit order."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        if not transaction.execute(_LOCK_CLOCK):
            transaction.execute(_START_CLOCK)
        self._loaded_at: int | None = None
        self._written: set[Identity] = set()

    @property
    def loaded_at(self) -> int:
        """The moment of this load: now, or just after the load before it, in whole milliseconds, so that it is the same in a
        FHIR instant. Asking for it advances the clock."""
        if self._loaded_at is None:
            earliest = max(clock.now_microseconds(), self._transaction.scalar(_READ_CLOCK) + 1)
            self._loaded_at = -(-earliest // MILLISECOND) * MILLISECOND
            self._transaction.execute(_SET_CLOCK, {"now": self._loaded_at})
        return self._loaded_at

    def moment(self, identities: Collection[Identity]) -> int:
        """``loaded_at`` of the next write of these resources: a later one than so far if one of them was written at it, because
        two versions of one moment could not be told apart by age."""
        if not self._written.isdisjoint(identities):
            self._written.clear()
            self._loaded_at = None
        return self.loaded_at

    def write(self, writes: Sequence[ResourceWrite]) -> None:
        """Make each write the current version of its resource; a resource may stand in the list once only."""
        if not writes:
            return
        self._written.update((write.type, write.id) for write in writes)
        known = {(write.type, write.id): write.replaces.key for write in writes if write.replaces is not None}
        self._run(_SUPERSEDE, [{"k": key} for key in known.values()])
        self._run(_TOMBSTONE, [self._tombstone(write) for write in writes if write.tombstone])
        self._run(_UPDATE, [self._changed(known, write) for write in writes if write.replaces is not None])
        for statement in _UNINDEX.values():
            self._run(statement, [{"k": key} for key in known.values()])
        created = [write for write in writes if write.replaces is None]
        self._run(_INSERT, [self._row(write) for write in created])
        stored = current_versions(self._transaction, [(write.type, write.id) for write in created])
        keys = known | {identity: version.key for identity, version in stored.items()}
        rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in _INDEX}
        for write in writes:
            if not write.deleted:
                _add_index_rows(rows, keys[write.type, write.id], write)
        for table in _INDEX:
            self._fill(table, rows[table])

    def await_targets(self, key: int, awaited: Collection[Awaited]) -> None:
        """Replace what a resource waits for."""
        self._run(_UNINDEX[AWAITED], [{"k": key}])
        self._run(_INDEX[AWAITED], list(_awaited_rows(key, awaited)))

    def assign(self, key: int, patient: str) -> None:
        """Give a resource whose member was not known to its member (or to the directory); it is served from now on."""
        self._run(_ASSIGN, [{"k": key, "new_patient": patient, "new_loaded_at": self.loaded_at}])
        for statement in _ASSIGN_INDEX:
            self._run(statement, [{"k": key, "new_patient": patient}])

    def _run(self, statement: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._transaction.execute(statement, rows)

    def _fill(self, table: Any, rows: list[dict[str, Any]]) -> None:
        """Insert many rows; by COPY on PostgreSQL, which is several times faster there than INSERT."""
        connection = self._transaction.connection
        if connection.dialect.name != "postgresql" or not rows:
            self._run(_INDEX[table], rows)
            return
        names = list(rows[0])
        driver: Any = connection.connection.driver_connection
        statement, failure = f"COPY {table.name} ({', '.join(names)}) FROM STDIN", connection.dialect.loaded_dbapi.Error
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row([row[name] for name in names])
        except failure as error:  # as SQLAlchemy would have raised it, so that callers need not know of COPY
            raise DBAPIError.instance(statement, None, error, failure, dialect=connection.dialect) from error

    def _row(self, write: ResourceWrite) -> dict[str, Any]:
        return {
            "patient": write.patient,
            "type": write.type,
            "id": write.id,
            "version": write.version,
            "last_updated": write.last_updated,
            "loaded_at": self.loaded_at,
            "deleted": write.deleted,
            "hash": write.hash,
            "body": write.body,
        }

    def _changed(self, keys: dict[Identity, int], write: ResourceWrite) -> dict[str, Any]:
        row = self._row(write)
        return {"k": keys[write.type, write.id]} | {f"new_{name}": row[name] for name in _CHANGED}

    def _tombstone(self, write: ResourceWrite) -> dict[str, Any]:
        assert write.replaces is not None
        left = {
            "patient": write.replaces.patient,
            "version": write.tombstone,
            "deleted": True,
            "hash": b"",
            "body": b"",
        }
        return self._row(write) | left | {"last_updated": self.loaded_at}


def _add_index_rows(rows: dict[Any, list[dict[str, Any]]], key: int, write: ResourceWrite) -> None:
    entries, patient = write.entries, write.patient
    rows[TOKEN] += [
        {"resource": key, "parameter": e.parameter, "code": e.code, "system": e.system, "patient": patient}
        for e in entries.tokens
    ]
    rows[REFERENCE] += [
        {
            "resource": key,
            "parameter": e.parameter,
            "target_type": e.type,
            "target_id": e.id,
            "target_version": e.version,
            "patient": patient,
        }
        for e in entries.references
    ]
    rows[DATE] += [
        {"resource": key, "parameter": e.parameter, "low": e.low, "high": e.high, "patient": patient}
        for e in entries.dates
    ]
    rows[STRING] += [
        {"resource": key, "parameter": e.parameter, "exact": e.exact, "folded": e.folded, "patient": patient}
        for e in entries.strings
    ]
    rows[AWAITED] += _awaited_rows(key, write.awaited)


def _awaited_rows(key: int, awaited: Collection[Awaited]) -> Iterator[dict[str, Any]]:
    for target in sorted(awaited):
        yield {"resource": key, "target_type": target.type, "system": target.system, "value": target.value}
