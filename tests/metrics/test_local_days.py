"""The days of a year: every instant is in the day a wall clock shows, whatever the zone does."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server import clock
from server.metrics.local_days import local_days

STRANGE = [
    ("America/New_York", 2026),
    ("Asia/Kathmandu", 2026),
    ("Australia/Lord_Howe", 2026),  # clocks move by half an hour
    ("Asia/Beirut", 2022),  # clocks go forward at midnight
    ("America/Havana", 2026),  # clocks go back to midnight
    ("America/Goose_Bay", 2010),  # clocks go back from 00:01 to 23:01 of the day before
    ("America/Toronto", 1971),
    ("Africa/Monrovia", 1972),  # an offset with seconds
]


@pytest.mark.parametrize(("zone", "year"), STRANGE)
def test_every_quarter_of_an_hour_and_every_edge_is_in_the_day_the_wall_clock_shows(zone: str, year: int) -> None:
    days = local_days(ZoneInfo(zone), year)
    spans = sorted((low, high, day.date) for day in days for low, high in day.spans)
    moments = [edge + shift for low, high, _ in spans for edge in (low, high) for shift in (-1, 0)]
    start = clock.to_microseconds(datetime(year, 1, 1, tzinfo=UTC) - timedelta(days=1))
    moments += [start + step * 900_000_000 for step in range(368 * 96)]
    place = 0
    for moment in sorted(moments):
        while place < len(spans) and spans[place][1] <= moment:
            place += 1
        inside = place < len(spans) and spans[place][0] <= moment
        shown = clock.from_microseconds(moment).astimezone(ZoneInfo(zone)).date()
        assert (spans[place][2] if inside else None) == (shown if shown.year == year else None)


def test_a_day_that_the_zone_skipped_is_not_there() -> None:
    dates = [day.date for day in local_days(ZoneInfo("Pacific/Apia"), 2011)]
    assert date(2011, 12, 30) not in dates
    assert len(dates) == 364


def test_days_are_as_long_as_the_clocks_make_them() -> None:
    hours = {day.date: sum(high - low for low, high in day.spans) // 3_600_000_000
             for day in local_days(ZoneInfo("America/New_York"), 2026)}  # fmt: skip
    assert hours[date(2026, 3, 8)] == 23
    assert hours[date(2026, 11, 1)] == 25
    assert sum(hours.values()) == 365 * 24


def test_a_day_interrupted_by_the_day_before_has_two_spans() -> None:
    days = {day.date: day.spans for day in local_days(ZoneInfo("America/Goose_Bay"), 2010)}
    assert len(days[date(2010, 11, 7)]) == 2


def test_an_impossible_year_is_refused() -> None:
    with pytest.raises(ValueError, match="between 1971 and 9998"):
        local_days(ZoneInfo("UTC"), 20260)
