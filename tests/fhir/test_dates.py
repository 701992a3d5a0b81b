"""A FHIR date is an interval: https://hl7.org/fhir/R4/search.html#date"""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.clock import to_microseconds
from server.fhir.dates import Instant, entries, interval, period_interval
from server.storage.query import FOREVER, NEVER

DAY = 86_400_000_000


def at(*parts: int) -> int:
    return to_microseconds(datetime(*parts, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("2020", at(2020, 1, 1), at(2021, 1, 1)),
        ("2020-02", at(2020, 2, 1), at(2020, 3, 1)),
        ("2020-12", at(2020, 12, 1), at(2021, 1, 1)),
        ("2020-02-29", at(2020, 2, 29), at(2020, 3, 1)),
        ("2020-02-29T10:30", at(2020, 2, 29, 10, 30), at(2020, 2, 29, 10, 31)),
        ("2020-02-29T10:30:05Z", at(2020, 2, 29, 10, 30, 5), at(2020, 2, 29, 10, 30, 6)),
        ("2020-02-29T10:30:05+02:00", at(2020, 2, 29, 8, 30, 5), at(2020, 2, 29, 8, 30, 6)),
        ("2020-01-01T00:30:00-05:30", at(2020, 1, 1, 6), at(2020, 1, 1, 6, 0, 1)),
        ("2020-01-01T00:00:00.5Z", at(2020, 1, 1, 0, 0, 0, 500_000), at(2020, 1, 1, 0, 0, 0, 600_000)),
        ("2020-01-01T00:00:00.123Z", at(2020, 1, 1, 0, 0, 0, 123_000), at(2020, 1, 1, 0, 0, 0, 124_000)),
        ("2020-01-01T00:00:00.123456789Z", at(2020, 1, 1, 0, 0, 0, 123_456), at(2020, 1, 1, 0, 0, 0, 123_457)),
        ("1969-12-31", -DAY, 0),
        ("0001", at(1, 1, 1), at(2, 1, 1)),
        ("9999-12-31", at(9999, 12, 31), at(9999, 12, 31) + DAY),
        ("9999", at(9999, 1, 1), at(9999, 12, 31) + DAY),
    ],
)
def test_a_date_of_any_precision_is_a_half_open_interval(value: str, low: int, high: int) -> None:
    assert interval(value) == (low, high)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 2020",
        "2020-1-1",
        "2020-00",
        "2020-13",
        "2020-02-30",
        "2021-02-29",
        "1900-02-29",
        "0000",
        "20200101",
        "2020-01-01T10",
        "2020-01-01T24:00:00Z",
        "2020-01-01T10:60:00Z",
        "2020-01-01T10:00:61Z",
        "2020-01-01T10:00:00+15:00",
        "2020-01-01T10:00:00.Z",
        "2020-01-01 10:00:00",
        "2020-01-01Z",
        "now",
        "٢٠٢٠",
        "2020\n",
    ],
)
def test_anything_else_is_refused_with_the_value_in_the_message(value: str) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        interval(value)


@given(st.dates())
def test_every_calendar_day_is_one_day_wide_inside_its_month_and_year(day: date) -> None:
    low, high = interval(day.isoformat())
    assert low == (day - date(1970, 1, 1)).days * DAY
    assert high - low == DAY
    for wider in (day.isoformat()[:7], day.isoformat()[:4]):
        assert interval(wider)[0] <= low < high <= interval(wider)[1]


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),  # noqa: DTZ001 - naive, the zone is added below
    st.integers(min_value=-14 * 60, max_value=14 * 60),
    st.integers(min_value=1, max_value=6),
)
def test_an_instant_lies_in_the_interval_of_its_text_in_every_zone(moment: datetime, offset: int, digits: int) -> None:
    local = moment + timedelta(minutes=offset)
    sign, zone = ("-" if offset < 0 else "+"), divmod(abs(offset), 60)
    fraction = f"{moment.microsecond:06d}"[:digits]
    low, high = interval(
        f"{local.strftime('%Y').zfill(4)}{local:-%m-%dT%H:%M:%S}.{fraction}{sign}{zone[0]:02d}:{zone[1]:02d}"
    )
    assert low <= to_microseconds(moment.replace(tzinfo=UTC)) < high
    assert high - low == 10 ** (6 - digits)


def test_a_period_runs_from_the_start_of_its_start_to_the_end_of_its_end() -> None:
    assert period_interval({"start": "2020-02", "end": "2020-03-05"}) == (at(2020, 2, 1), at(2020, 3, 6))
    assert period_interval({"start": "2020"}) == (at(2020, 1, 1), FOREVER)
    assert period_interval({"end": "2020"}) == (NEVER, at(2021, 1, 1))
    assert period_interval({}) == (NEVER, FOREVER)


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        period_interval({"start": "2020-02-02", "end": "2020-02-01"})


def test_an_instant_is_a_point_in_time() -> None:
    low, high = at(2020, 1, 1, 10), at(2020, 1, 1, 10, 0, 1)
    assert entries("2020-01-01T10:00:00Z") == [(low, high)]
    assert (
        entries(Instant("2020-01-01T10:00:00Z")) == entries(Instant("2020-01-01T11:00:00.0+01:00")) == [(low, low + 1)]
    )


def test_of_a_timing_only_the_outer_limits_of_its_events_and_its_bounds_count() -> None:
    assert entries({"event": ["2021-01-01", "2019"]}) == [(at(2019, 1, 1), at(2021, 1, 2))]
    assert entries({"repeat": {"boundsPeriod": {"start": "2020"}}}) == [(at(2020, 1, 1), FOREVER)]


def test_a_value_without_a_date_has_no_entries() -> None:
    assert entries({"extension": []}) == []
    assert entries(5) == []
    assert entries({"repeat": {"frequency": 1}}) == []
