"""A FHIR date is an interval: half-open [low, high), whole microseconds since 1970-01-01T00:00:00Z.

https://hl7.org/fhir/R4/search.html#date and https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from server.storage.query import FOREVER, NEVER


class Instant(str):
    """The text of an element of type instant: a point in time without width (https://hl7.org/fhir/R4/search.html#date)."""

    __slots__ = ()


_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 86_400 * _SECOND
_FARTHEST_ZONE_MINUTES = 14 * 60


@lru_cache(maxsize=16384)
def interval(value: str) -> tuple[int, int]:
    """The interval that a FHIR date, dateTime or instant of any precision stands for; without a zone it is UTC.

    A year is a year wide, a second a second, a fraction of n digits 10^-n seconds (microseconds at the finest: what is finer is
    cut off). Raises ValueError, in words a client can be shown, when the value is none of these.
    """
    match = _DATE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a date: expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz")
    part = match.groupdict()
    year = int(part["year"])
    if year == 0:
        raise ValueError(f"{value!r} is not a date: there is no year 0000")
    if part["month"] is None:
        return _days(year, 1, 1) * _DAY, _days(year + 1, 1, 1) * _DAY
    month = _bounded(value, "month", int(part["month"]), 1, 12)
    if part["day"] is None:
        following = (year, month + 1) if month < 12 else (year + 1, 1)
        return _days(year, month, 1) * _DAY, _days(*following, 1) * _DAY
    day = _bounded(value, "day", int(part["day"]), 1, _days_in_month(year, month))
    midnight = _days(year, month, day) * _DAY
    if part["hour"] is None:
        return midnight, midnight + _DAY
    hour = _bounded(value, "hour", int(part["hour"]), 0, 23)
    minute = _bounded(value, "minute", int(part["minute"]), 0, 59)
    low = midnight + (hour * 60 + minute - _zone_minutes(value, part["zone"])) * _MINUTE
    if part["second"] is None:
        return low, low + _MINUTE
    low += _bounded(value, "second", int(part["second"]), 0, 60) * _SECOND  # 60: FHIR allows leap seconds
    if part["fraction"] is None:
        return low, low + _SECOND
    digits = part["fraction"][:6]
    width = int(10 ** (6 - len(digits)))
    low += int(digits) * width
    return low, low + width


def period_interval(period: Mapping[str, Any]) -> tuple[int, int]:
    """The interval of a FHIR Period: from the start of its start to the end of its end; an end that is missing is open.

    Raises ValueError when start or end is not a FHIR date, or when it ends before it starts.
    """
    start, end = period.get("start"), period.get("end")
    low = interval(start)[0] if isinstance(start, str) else NEVER
    high = interval(end)[1] if isinstance(end, str) else FOREVER
    if low >= high:
        raise ValueError(f"the period from {start!r} to {end!r} ends before it starts")
    return low, high


def entries(value: object) -> list[tuple[int, int]]:
    """The intervals that an element is found by: a date, dateTime, Instant, Period, or Timing.

    An Instant is a microsecond wide, the least there is. A Timing is one interval: of its events and bounds only the outer limits
    count. A value without any date in it has none. Raises ValueError for a malformed date.
    """
    if isinstance(value, str):
        low, high = interval(value)
        return [(low, low + 1) if isinstance(value, Instant) else (low, high)]
    if not isinstance(value, Mapping):
        return []
    if "start" in value or "end" in value:
        return [period_interval(value)]
    found: list[tuple[int, int]] = []
    events, repeat = value.get("event"), value.get("repeat")
    if isinstance(events, list):
        found += [interval(event) for event in events if isinstance(event, str)]
    if isinstance(repeat, Mapping) and isinstance(repeat.get("boundsPeriod"), Mapping):
        found += entries(repeat["boundsPeriod"])
    return [(min(low for low, _ in found), max(high for _, high in found))] if found else []


def _bounded(value: str, part: str, number: int, lowest: int, highest: int) -> int:
    if not lowest <= number <= highest:
        raise ValueError(f"{value!r} is not a date: the {part} must be from {lowest:02d} to {highest:02d}")
    return number


def _zone_minutes(value: str, zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), _bounded(value, "zone's minute", int(zone[4:6]), 0, 59)
    offset = hours * 60 + minutes
    if offset > _FARTHEST_ZONE_MINUTES:
        raise ValueError(f"{value!r} is not a date: the zone must be from -14:00 to +14:00")
    return -offset if zone[0] == "-" else offset


def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; arithmetic, because ``datetime`` ends with the year 9999."""
    shifted = year - (month <= 2)  # years that begin in March have their leap day at the end
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719468
