"""The calendar days of a year in the payer's time zone, as exact spans of UTC microseconds.

Time zones: the IANA database, https://www.iana.org/time-zones. An instant belongs to the day a clock on the payer's wall shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from server.clock import EPOCH, from_microseconds, to_microseconds

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class LocalDay:
    """A local calendar day. ``spans``: half-open [low, high) in UTC microseconds; more than one only where clocks were
    turned back across midnight, so that a day was interrupted by the end of the day before."""

    date: date
    spans: tuple[tuple[int, int], ...]


@lru_cache(maxsize=32)
def local_days(zone: ZoneInfo, year: int) -> tuple[LocalDay, ...]:
    """Every local day of a calendar year, in order. Days are 23 or 25 hours long, or absent, where the zone makes them so.

    Raises ValueError for a year outside 1971 to 9998.
    """
    if not 1971 <= year <= 9998:
        raise ValueError(f"the year must be between 1971 and 9998, not {year}")
    spans: dict[date, list[tuple[int, int]]] = {}
    for low, high, offset in _constant_offsets(zone, year):
        start = low
        while start < high:
            day_number = (start + offset) // _DAY
            end = min(high, (day_number + 1) * _DAY - offset)
            day = EPOCH.date() + timedelta(days=day_number)
            if day.year == year:
                known = spans.setdefault(day, [])
                if known and known[-1][1] == start:
                    known[-1] = (known[-1][0], end)
                else:
                    known.append((start, end))
            start = end
    return tuple(LocalDay(day, tuple(spans[day])) for day in sorted(spans))


def _constant_offsets(zone: ZoneInfo, year: int) -> Iterator[tuple[int, int, int]]:
    """The year, with two days on either side, cut where the zone's offset from UTC changes: (low, high, offset)."""
    low = to_microseconds(datetime(year, 1, 1, tzinfo=UTC)) - 2 * _DAY
    end = to_microseconds(datetime(year + 1, 1, 1, tzinfo=UTC)) + 2 * _DAY
    offset = _offset(zone, low)
    for hour in range(low + _HOUR, end + 1, _HOUR):
        if _offset(zone, hour) != offset:
            change = _first_with_another_offset(zone, hour - _HOUR, hour)
            yield low, change, offset
            low, offset = change, _offset(zone, hour)
    yield low, end, offset


def _first_with_another_offset(zone: ZoneInfo, before: int, after: int) -> int:
    """The microsecond at which the offset changes, between two instants with different offsets."""
    offset = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: ZoneInfo, at: int) -> int:
    local = from_microseconds(at).astimezone(zone)
    offset = local.utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)
