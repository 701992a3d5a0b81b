"""Business days: weekends and the holidays of the federal government as it observes them (5 U.S.C. 6103)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server import clock
from server.metrics.business_days import end_of_day, is_business_day, next_business_day

OF_2027 = ("01-01", "01-18", "02-15", "05-31", "06-18", "07-05", "09-06", "10-11", "11-11", "11-25", "12-24", "12-31")
"""From the calendar of the Office of Personnel Management; three are kept on another day, that of 2028 on the last of the year."""


def test_a_year_has_the_holidays_of_the_federal_calendar() -> None:
    days = [date(2027, 1, 1) + timedelta(days=number) for number in range(365)]
    holidays = [day for day in days if day.weekday() < 5 and not is_business_day(day)]
    assert [day.isoformat()[5:] for day in holidays] == list(OF_2027)


@pytest.mark.parametrize(
    ("day", "following"),
    [
        ("2026-03-02", "2026-03-03"),
        ("2026-03-06", "2026-03-09"),
        ("2026-03-07", "2026-03-09"),
        ("2026-07-02", "2026-07-06"),
        ("2026-12-31", "2027-01-04"),
        ("2021-12-30", "2022-01-03"),
    ],
)
def test_the_next_business_day(day: str, following: str) -> None:
    assert next_business_day(date.fromisoformat(day)) == date.fromisoformat(following)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-07", 5 + 24), ("2026-03-08", 4 + 24), ("2026-11-01", 5 + 24), ("2026-06-01", 4 + 24)]
)
def test_a_day_ends_at_midnight_by_the_payers_clock(day: str, hours: int) -> None:
    expected = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hours)
    assert end_of_day(ZoneInfo("America/New_York"), date.fromisoformat(day)) == clock.to_microseconds(expected)
