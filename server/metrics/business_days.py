"""Business days of the payer: Monday to Friday, without the holidays of the federal government.

5 U.S.C. 6103 names the holidays, and the day on which one is kept that falls on a weekend; https://holidays.readthedocs.io/ counts them.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from server import clock

if TYPE_CHECKING:
    from holidays import HolidayBase

SATURDAY = 5


@lru_cache(maxsize=1)
def _federal_holidays() -> "HolidayBase":
    from holidays import country_holidays  # it takes half a second: not for commands that do not need it

    return country_holidays("US")


def is_business_day(day: date) -> bool:
    """Whether it is neither a weekend nor a federal holiday, as observed."""
    return day.weekday() < SATURDAY and day not in _federal_holidays()


@lru_cache(maxsize=4096)
def next_business_day(day: date) -> date:
    """The first business day after a date."""
    day += timedelta(days=1)
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


def local_date(zone: ZoneInfo, moment: int) -> date:
    """The date that a clock on the payer's wall shows at a moment (microseconds since 1970 UTC)."""
    return clock.from_microseconds(moment).astimezone(zone).date()


@lru_cache(maxsize=4096)
def end_of_day(zone: ZoneInfo, day: date) -> int:
    """The first microsecond after a local date."""
    return clock.to_microseconds(datetime.combine(day + timedelta(days=1), time(), zone))
