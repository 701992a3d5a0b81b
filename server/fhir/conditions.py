"""Conditional reads: whether the client has the version already, by If-None-Match or else by If-Modified-Since.

https://hl7.org/fhir/R4/http.html#cread and https://www.rfc-editor.org/rfc/rfc9110#section-13.1
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

from server import clock

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Conditions:
    """The two headers as they came, b'' for one that was not sent."""

    if_none_match: bytes = b""
    if_modified_since: bytes = b""

    @staticmethod
    def of(headers: Mapping[bytes, bytes]) -> "Conditions":
        """The conditions of a request; ALWAYS, when there are none."""
        if b"if-none-match" not in headers and b"if-modified-since" not in headers:
            return ALWAYS
        return Conditions(headers.get(b"if-none-match", b""), headers.get(b"if-modified-since", b""))

    def names_version(self, version: str) -> bool:
        """Whether If-None-Match names the version, compared weakly (section 13.1.2)."""
        if not self.if_none_match:
            return False
        tags = [tag.strip().removeprefix(b"W/") for tag in self.if_none_match.split(b",")]
        return b"*" in tags or b'"%b"' % version.encode() in tags

    def names_moment(self, last_updated: int) -> bool:
        """Whether If-Modified-Since, without If-None-Match beside it (section 13.1.3), is the second of that moment (microseconds).

        Only that very second: ``lastUpdated`` is the payer's own and can be older than what it replaces, so a later date proves nothing.
        """
        if self.if_none_match or not self.if_modified_since:
            return False
        return _second(self.if_modified_since) == last_updated // SECOND


ALWAYS = Conditions()
"""No condition: the answer is always the whole resource."""


@lru_cache(maxsize=1024)
def _second(value: bytes) -> int | None:
    """An HTTP date as seconds since 1970 UTC, or None when it is none: then the header is ignored."""
    try:
        moment = parsedate_to_datetime(value.decode("latin-1"))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    # asctime, the oldest form, names no time zone and means UTC
    aware = moment.replace(tzinfo=clock.EPOCH.tzinfo) if moment.tzinfo is None else moment
    return clock.to_microseconds(aware) // SECOND
