"""Limits on guessing, held across workers: failures are counted per account and per address in a window of time.

https://www.rfc-editor.org/rfc/rfc9700#section-2 and https://pages.nist.gov/800-63-4/sp800-63b.html#throttle - what is stored is a keyed
hash: no address, no username.
"""

import hmac
import ipaddress
from functools import lru_cache
from hashlib import sha256

from authlib.oauth2.rfc6749 import OAuth2Error
from starlette.requests import Request

from server import clock
from server.authorization.keys import derived_key, secret_key
from server.settings import Settings
from server.storage.database import Database, Transaction
from server.storage.limits import ATTEMPTS_OF, ATTEMPTS_OF_TWO, COUNT_ATTEMPT, DELETE_EXPIRED_ATTEMPTS, FORGET_ATTEMPTS

CLIENT, REGISTRATION_TOKEN = "client", "registration-token"
"""What is guessed: a client's secret, code or refresh token at the token endpoint; a registration access token."""
ADDRESS = "address"
"""Every kind of failed guess from one address."""
REGISTRATION = "registration"
"""Apps registered from one address: not failures, but counted the same way."""
SECOND, MINUTE = 1_000_000, 60_000_000
UNKNOWN_ADDRESS = "-"


class TooManyAttemptsError(OAuth2Error):  # type: ignore[misc]
    """429 with Retry-After, as RFC 6749 JSON or as a page. ``retry_after`` is in seconds."""

    error = "temporarily_unavailable"
    status_code = 429
    code = "too_many_attempts"

    def __init__(self, retry_after: int, description: str) -> None:
        super().__init__(description=description)
        self.retry_after = retry_after

    def get_body(self) -> list[tuple[str, str]]:
        """The members of the answer."""
        return [*super().get_body(), ("error_code", self.code)]

    def get_headers(self) -> list[tuple[str, str]]:
        """JSON headers, and when to come back."""
        return [*super().get_headers(), ("Retry-After", str(self.retry_after))]


class ThrottledError(TooManyAttemptsError):
    """429 with Retry-After: a client has used up its requests of this minute."""

    code = "throttled"

    def __init__(self, retry_after: int) -> None:
        text = f"The app has used up its requests of this minute. Try again in {retry_after} seconds."
        super().__init__(retry_after, text)


def address_of(request: Request) -> str:
    """The network address a request came from: of the last hop that is not a proxy of ours (TRUSTED_PROXIES).

    An IPv6 network of 64 bits counts as one address, since whoever has one address of it has them all.
    """
    host = request.client.host if request.client is not None else UNKNOWN_ADDRESS
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


class AddressAttempts:
    """Wrong guesses by the address they come from, for doors that count those of an account in their own way (sign-in)."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def wait(self, request: Request) -> int:
        """How many seconds to wait before the next try; 0: go on."""
        with self._database.reading() as reading:
            return Attempts(reading, self._settings).check(ADDRESS, address_of(request))

    def guessed_wrong(self, request: Request) -> None:
        """Count a wrong guess."""
        with self._database.transaction() as transaction:
            Attempts(transaction, self._settings).failed(ADDRESS, address_of(request))


class Attempts:
    """The failed guesses counted in a database, as part of a transaction that commits."""

    def __init__(self, transaction: Transaction, settings: Settings) -> None:
        self._transaction = transaction
        self._settings = settings

    def check(self, kind: str, key: str) -> int:
        """How many seconds to wait before the next try; 0: go on."""
        now = clock.now_microseconds()
        values = {"kind": kind, "key": self._hash(kind, key), "moment": now}
        row = self._transaction.first(ATTEMPTS_OF, values)
        if row is None or row.failures < self._most(kind):
            return 0
        return _seconds_until(row.expires_at, now)

    def failed(self, kind: str, key: str) -> int:
        """Count one more; answer how many there were in this window."""
        now = clock.now_microseconds()
        until = now + self._settings.guess_minutes * MINUTE
        values = {"kind": kind, "key": self._hash(kind, key), "moment": now, "until": until}
        count: int = self._transaction.scalar(COUNT_ATTEMPT, values)
        if count == 1:
            self._transaction.execute(DELETE_EXPIRED_ATTEMPTS, {"moment": now})
        return count

    def forget(self, kind: str, key: str) -> None:
        """Forget the failures: who tried has shown who they are."""
        self._transaction.execute(FORGET_ATTEMPTS, {"kind": kind, "key": self._hash(kind, key)})

    def require(self, kind: str, key: str, address: str) -> None:
        """Raises TooManyAttemptsError when either the key or the address has used up its tries."""
        now = clock.now_microseconds()
        values = {
            "kind": kind,
            "key": self._hash(kind, key),
            "other": ADDRESS,
            "other_key": self._hash(ADDRESS, address),
        }
        rows = self._transaction.all(ATTEMPTS_OF_TWO, {**values, "moment": now})
        used_up = [row.expires_at for row in rows if row.failures >= self._most(row.kind)]
        if used_up:
            wait = _seconds_until(max(used_up), now)
            raise TooManyAttemptsError(wait, f"Too many failed attempts. Try again in {wait} seconds.")

    def guessed_wrong(self, kind: str, key: str, address: str) -> None:
        """Count a wrong guess against the key and against the address."""
        self.failed(kind, key)
        self.failed(ADDRESS, address)

    def _most(self, kind: str) -> int:
        settings = self._settings
        if kind == ADDRESS:
            return settings.guesses_per_address
        return settings.registrations_per_address if kind == REGISTRATION else settings.guesses_per_account

    def _hash(self, kind: str, key: str) -> bytes:
        text = f"{kind}|{key.strip().lower()}".encode(errors="replace")
        return hmac.new(_hash_key(secret_key(self._settings)), text, sha256).digest()


def _seconds_until(moment: int, now: int) -> int:
    return max(1, -(-(moment - now) // SECOND))


@lru_cache(maxsize=8)
def _hash_key(secret: bytes) -> bytes:
    return derived_key(secret, "attempts")
