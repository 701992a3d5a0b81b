"""The period of a report: a calendar year or a month of it, as the payer's wall clock shows it.

42 CFR 431.60(f) and its parallels ask for the previous calendar year; States with enhanced funding report each month.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from server import clock
from server.metrics.local_days import LocalDay, local_days


@dataclass(frozen=True, slots=True)
class Period:
    """The local days of a year or of a month of it (``month`` 1 to 12, or None), in order."""

    year: int
    month: int | None
    days: tuple[LocalDay, ...]

    @property
    def starts(self) -> int:
        """The first microsecond of the period (UTC, since 1970)."""
        return min(low for day in self.days for low, _ in day.spans)

    @property
    def ends(self) -> int:
        """The first microsecond after the period."""
        return max(high for day in self.days for _, high in day.spans)

    @property
    def first(self) -> str:
        """The first date."""
        return self.days[0].date.isoformat()

    @property
    def last(self) -> str:
        """The last date."""
        return self.days[-1].date.isoformat()

    @property
    def months(self) -> tuple[str, ...]:
        """The months of the period, e.g. ``2026-05``."""
        return tuple(dict.fromkeys(day.date.isoformat()[:7] for day in self.days))

    def __str__(self) -> str:
        return f"{self.year}" if self.month is None else f"{self.year}-{self.month:02d}"


def period(zone: ZoneInfo, year: int, month: int | None = None) -> Period:
    """A year, or a month of it, in a time zone. Raises ValueError for an impossible one."""
    if month is not None and not 1 <= month <= 12:
        raise ValueError(f"the month must be between 1 and 12, not {month}")
    days = local_days(zone, year)
    return Period(year, month, tuple(day for day in days if month in (None, day.date.month)))


def until(days: Sequence[LocalDay], moment: int) -> tuple[LocalDay, ...]:
    """Days as they were at a moment: cut after that microsecond, and without those that had not begun."""
    cut = []
    for day in days:
        spans = tuple((low, min(high, moment + 1)) for low, high in day.spans if low <= moment)
        if spans:
            cut.append(LocalDay(day.date, spans))
    return tuple(cut)


def in_order(days: Sequence[LocalDay]) -> list[tuple[int, int, str]]:
    """The spans of days in the order of time: (low, high, date)."""
    return sorted((low, high, day.date.isoformat()) for day in days for low, high in day.spans)


def merged(days: Sequence[LocalDay]) -> list[tuple[int, int]]:
    """The spans of days in the order of time, those that touch as one."""
    whole: list[tuple[int, int]] = []
    for low, high, _ in in_order(days):
        if whole and whole[-1][1] == low:
            whole[-1] = (whole[-1][0], high)
        else:
            whole.append((low, high))
    return whole


def known_at(zone: ZoneInfo, text: str) -> int:
    """The last microsecond of what ``--known-at`` means: a date (to its end, in a zone) or an instant with its offset from UTC.

    It is never later than now. Raises ValueError for anything else, and for a day that has not begun.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"--known-at is a date (2027-03-31) or an instant (2027-03-31T12:00:00Z), not {text!r}"
        ) from error
    now = clock.now()
    is_date = len(text) <= 10
    if not is_date and moment.tzinfo is None:
        raise ValueError(f"--known-at {text} needs its offset from UTC, e.g. {text}Z, or a date alone")
    start = moment.replace(tzinfo=zone) if is_date else moment
    if start > now:
        raise ValueError(f"--known-at {text} is in the future: what will be known then is not known")
    if not is_date:
        return clock.to_microseconds(moment)
    next_day = (moment + timedelta(days=1)).replace(tzinfo=zone)
    return min(clock.to_microseconds(next_day) - 1, clock.to_microseconds(now))
