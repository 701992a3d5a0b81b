"""The clock: the only caller of ``datetime.now``, so that tests can stand still and faults can step it.

Instants are FHIR instants: https://hl7.org/fhir/R4/datatypes.html#instant
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import gmtime, time_ns

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _system() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system


def now() -> datetime:
    """The current time, aware, in UTC."""
    return _source()


def now_microseconds() -> int:
    """The current time as the database keeps it: whole microseconds since 1970-01-01T00:00:00Z."""
    return time_ns() // 1000 if _source is _system else to_microseconds(_source())


def to_microseconds(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970 UTC (exact: no float in between)."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Microseconds since 1970 UTC as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=value)


def instant(value: int) -> str:
    """Microseconds since 1970 UTC as a FHIR instant with milliseconds, e.g. ``2026-11-01T12:00:00.000Z``."""
    return from_microseconds(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(value: int) -> str:
    """Microseconds since 1970 UTC as an HTTP date, e.g. ``Sun, 06 Nov 1994 08:49:37 GMT`` (RFC 9110 section 5.6.7)."""
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(value // 1_000_000)
    return f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month]} {year:04d} {hour:02d}:{minute:02d}:{second:02d} GMT"


@contextmanager
def set_to(source: datetime | Callable[[], datetime]) -> Iterator[None]:
    """Replace the clock for a while (tests and fault drills): a fixed aware datetime, or a function that answers one."""
    global _source  # noqa: PLW0603 - one clock for the process is the point
    previous = _source
    _source = source if callable(source) else lambda: source
    try:
        yield
    finally:
        _source = previous
