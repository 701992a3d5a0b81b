"""What every answer says when the payer will take this address out of service.

https://www.rfc-editor.org/rfc/rfc9745 (Deprecation) and https://www.rfc-editor.org/rfc/rfc8594 (Sunset)
"""

from datetime import UTC, date, datetime, time

from server import clock
from server.settings import Settings

CHANGELOG = "/docs/changelog"
"""Below BASE_URL: where what replaces the address is written."""


def deprecation(settings: Settings) -> tuple[tuple[bytes, bytes], ...]:
    """The headers, none when neither DEPRECATED_SINCE nor SUNSET_AT is set."""
    headers = []
    link = f'<{settings.base_url}{CHANGELOG}>; rel="{{}}"; type="text/html"'
    if settings.deprecated_since is not None:
        seconds = _midnight(settings.deprecated_since) // 1_000_000
        headers += [(b"deprecation", b"@%d" % seconds), (b"link", link.format("deprecation").encode())]
    if settings.sunset_at is not None:
        when = clock.http_date(_midnight(settings.sunset_at)).encode()
        headers += [(b"sunset", when), (b"link", link.format("sunset").encode())]
    return tuple(headers)


def _midnight(day: date) -> int:
    """The beginning of a day in UTC, in microseconds since 1970."""
    return clock.to_microseconds(datetime.combine(day, time(), UTC))
