"""The period of a report, and the moment whose knowledge it uses."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from server import clock
from server.metrics.levels import places
from server.metrics.local_days import LocalDay
from server.metrics.periods import known_at, merged, period, until
from server.metrics.transfer import definition

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)


def test_a_month_is_of_the_payers_wall_clock() -> None:
    march = period(ZONE, 2026, 3)
    assert (clock.instant(march.starts), clock.instant(march.ends)) == (
        "2026-03-01T05:00:00.000Z",
        "2026-04-01T04:00:00.000Z",
    )
    assert (march.first, march.last, march.months, str(march)) == ("2026-03-01", "2026-03-31", ("2026-03",), "2026-03")


def test_a_year_has_twelve_months() -> None:
    assert len(period(ZONE, 2026).months) == 12
    assert str(period(ZONE, 2026)) == "2026"


def test_there_is_no_thirteenth_month() -> None:
    with pytest.raises(ValueError, match="between 1 and 12, not 13"):
        period(ZONE, 2026, 13)


def test_days_are_cut_after_the_moment_that_is_known() -> None:
    days = period(ZONE, 2026, 3).days
    cut = until(days, days[1].spans[0][0])
    assert cut == (days[0], LocalDay(days[1].date, ((days[1].spans[0][0], days[1].spans[0][0] + 1),)))


def test_days_that_touch_are_one_span() -> None:
    march = period(ZONE, 2026, 3)
    assert merged(march.days) == [(march.starts, march.ends)]
    assert len(merged((march.days[0], march.days[2]))) == 2


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("2026-07-31", datetime(2026, 8, 1, 3, 59, 59, 999999, tzinfo=UTC)),
        ("2026-03-08", datetime(2026, 3, 9, 3, 59, 59, 999999, tzinfo=UTC)),  # 23 hours
        ("2026-11-22", NOW),  # today: what is known by now
        ("2026-07-31T12:00:00Z", datetime(2026, 7, 31, 12, tzinfo=UTC)),
        ("2026-07-31T12:00:00.000001-04:00", datetime(2026, 7, 31, 16, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_known_at_is_the_end_of_a_date_or_an_instant(text: str, known: datetime) -> None:
    with clock.set_to(NOW):
        assert known_at(ZONE, text) == clock.to_microseconds(known)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("yesterday", "is a date"),
        ("2026-11-23", "in the future"),
        ("2026-11-22T18:00:00Z", "in the future"),
        ("2026-07-31T12:00:00", "offset from UTC"),
    ],
)
def test_another_known_at_is_refused(text: str, wrong: str) -> None:
    with clock.set_to(NOW), pytest.raises(ValueError, match=wrong):
        known_at(ZONE, text)


def test_an_unknown_level_or_definition_is_refused() -> None:
    with pytest.raises(ValueError, match="one of required, contract"):
        places("county", ())
    with pytest.raises(ValueError, match="one of app-day, request, grant, rolling-24h"):
        definition("session")
