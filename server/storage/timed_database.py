"""A database whose look-ups are timed, for SERVER_TIMING and OpenTelemetry; nothing else uses it, so that nothing else pays for it.

https://www.w3.org/TR/server-timing/
"""

from collections.abc import Sequence

from sqlalchemy import Executable

from server.storage.compiled import Values
from server.storage.database import Database
from server.storage.replicas import Record, Records
from server.tracing import DATABASE, timings


class TimedDatabase(Database):
    """What the asynchronous side is asked is a part of the request that asks."""

    async def fetch(self, statement: Executable, values: Values) -> Sequence[Record]:
        """All rows."""
        running = timings.get()
        if running is None:
            return await super().fetch(statement, values)
        began = running.enter()
        try:
            return await super().fetch(statement, values)
        finally:
            running.leave(DATABASE, began)

    def records(self, patient: str, loaded: int) -> Records:
        """Where one request reads a member's records."""
        found = super().records(patient, loaded)
        return found if found is self else _TimedRecords(found)


class _TimedRecords:
    """What one request reads of replicas, timed."""

    __slots__ = ("_records", "begin", "needs")

    def __init__(self, records: Records) -> None:
        self._records = records
        self.needs, self.begin = records.needs, records.begin

    async def fetch(self, statement: Executable, values: Values) -> Sequence[Record]:
        """All rows."""
        running = timings.get()
        if running is None:
            return await self._records.fetch(statement, values)
        began = running.enter()
        try:
            return await self._records.fetch(statement, values)
        finally:
            running.leave(DATABASE, began)

    async def fetch_one(self, statement: Executable, values: Values) -> Record | None:
        """The first row, or None."""
        rows = await self.fetch(statement, values)
        return rows[0] if rows else None
