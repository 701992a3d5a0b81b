"""The public keys of private_key_jwt clients: by value, or fetched from their own address and kept for a while.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys and RFC 7517
"""

import ipaddress
import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from server import clock
from server.authorization.client_metadata import CURVE, SMALLEST_RSA
from server.settings import Settings

LARGEST_KEY_SET = 65_536
"""Bytes of a fetched key set at most."""
FETCH_SECONDS = 5.0
"""How long a fetch may take in all."""
FETCHES_AT_A_TIME = 4
FRESH_MICROSECONDS = 3600 * 1_000_000
"""How long a fetched key set is used without being fetched anew: a key that a client took back is used no longer."""
PAUSE_MICROSECONDS = 60 * 1_000_000
"""How long a client's key set is not fetched again, whatever happened: an unknown ``kid`` asks for no more than that."""
MOST_KEY_SETS = 1000

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_LOCALLY_TRANSLATED = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")
"""IPv6 networks that stand for IPv4 addresses (RFC 6052, RFC 8215, and RFC 4291 section 2.5.5.1, which nobody routes any more)."""

Key = RSAKey | ECKey
KeySet = Mapping[str, Key]
_LOG = logging.getLogger(__name__)


class KeySetError(Exception):
    """A key set that cannot be had or read; the message says why, and holds nothing of its contents."""

    fit_for_the_log = True


@lru_cache(maxsize=256)
def usable_keys(document: str) -> KeySet:
    """The keys of a JWK Set that can verify RS384 or ES384, by ``kid``; others are passed over (RFC 7517 section 5).

    Raises KeySetError when it is no JWK Set.
    """
    try:
        entries = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise KeySetError("is not a JWK Set") from error
    if not isinstance(entries, list):
        raise KeySetError("is not a JWK Set")
    keys: dict[str, Key] = {}
    for entry in entries[:100]:
        key = _usable(entry)
        if key is not None and key.kid:
            keys.setdefault(key.kid, key)
    return keys


def _usable(entry: object) -> Key | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(
            {name: entry[name] for name in ("kty", "kid", "n", "e", "crv", "x", "y") if name in entry}
        )
        if isinstance(key, RSAKey) and key.raw_value.key_size >= SMALLEST_RSA:
            return key
        return key if isinstance(key, ECKey) and key.curve_name == CURVE else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


@dataclass(slots=True)
class _Kept:
    """A client's fetched key set. ``lock`` lets one fetch it while others wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: KeySet = field(default_factory=dict)
    fetched_at: int = 0
    tried_at: int = 0
    failure: str = ""

    def is_fresh(self, now: int) -> bool:
        """Whether it was fetched lately; where the clock was set back since, nobody knows, and it was not."""
        return 0 <= now - self.fetched_at < FRESH_MICROSECONDS


class ClientKeys:
    """Finds clients' keys; one per worker. Nothing is fetched inside a transaction: ask before you open one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(FETCHES_AT_A_TIME)

    def find(self, client_id: str, jwks: str, jwks_uri: str, kid: str) -> Key | None:
        """The client's key of this ``kid``, or None. Raises KeySetError when the key set cannot be had."""
        if jwks:
            return usable_keys(jwks).get(kid)
        with self._lock:
            if len(self._kept) >= MOST_KEY_SETS:
                self._kept.clear()
            kept = self._kept.setdefault((client_id, jwks_uri), _Kept())
        with kept.lock:
            now = clock.now_microseconds()
            is_fresh = kept.is_fresh(now)
            if not (is_fresh and kid in kept.keys) and not 0 <= now - kept.tried_at < PAUSE_MICROSECONDS:
                self._renew(kept, jwks_uri, now)
                is_fresh = kept.is_fresh(now)
            if not is_fresh:
                raise KeySetError(kept.failure or "could not be read")
            return kept.keys.get(kid)

    def _renew(self, kept: _Kept, jwks_uri: str, now: int) -> None:
        if not self._places.acquire(blocking=False):
            kept.failure = "is not read now, because many others are"
            return
        kept.tried_at = now
        try:
            kept.keys, kept.fetched_at = usable_keys(fetch(self._settings, jwks_uri)), now
        except KeySetError as error:
            kept.failure = str(error)
            _LOG.warning("the key set at %s %s", jwks_uri, error)
        finally:
            self._places.release()


def fetch(settings: Settings, uri: str) -> str:
    """The text at a client's ``jwks_uri``. Raises KeySetError.

    A production deployment asks https only, and only public addresses: the address that was looked at is the one that is asked, so that a
    name cannot lead elsewhere meanwhile. No redirect is followed; size and time are bounded.
    """
    try:
        url = httpx2.URL(uri)
    except (httpx2.InvalidURL, ValueError) as error:
        raise KeySetError("has no proper address") from error
    production = settings.environment == "production"
    if url.scheme not in (("https",) if production else ("https", "http")) or not url.host:
        raise KeySetError("has an address that is not https")
    target, headers = url, {"Accept": "application/jwk-set+json, application/json", "User-Agent": "patient-access"}
    if production:
        target = url.copy_with(host=_public_address(url.host, url.port or 443))
        headers["Host"] = urlsplit(uri).netloc
    started = time.monotonic()
    body = bytearray()
    try:
        with (
            httpx2.Client(timeout=FETCH_SECONDS / 2, trust_env=False, follow_redirects=False) as web,
            web.stream("GET", target, headers=headers, extensions={"sni_hostname": url.host}) as response,
        ):
            if response.status_code != 200:
                raise KeySetError(f"answers with status {response.status_code}")
            for piece in response.iter_bytes(8192):
                body += piece
                if len(body) > LARGEST_KEY_SET:
                    raise KeySetError(f"is larger than {LARGEST_KEY_SET} bytes")
                if time.monotonic() - started > FETCH_SECONDS:
                    raise KeySetError("takes too long")
        return body.decode()
    except (httpx2.HTTPError, httpx2.StreamError, UnicodeDecodeError, OSError) as error:
        raise KeySetError(f"cannot be read: {type(error).__name__}") from error


def _public_address(host: str, port: int) -> str:
    """The first of a host's addresses; every one must be public (SSRF)."""
    try:
        found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        addresses = [ipaddress.ip_address(str(address).partition("%")[0]) for address in found]
    except (OSError, ValueError, UnicodeError) as error:
        raise KeySetError("has an address that cannot be found") from error
    if not addresses or not all(is_public(address) for address in addresses):
        raise KeySetError("has an address that is not public")
    return str(addresses[0])


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the public internet: not private, loopback, link-local, shared, reserved or multicast."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None:
        return is_public(inner)
    if isinstance(address, ipaddress.IPv6Address):
        if address in _TRANSLATED:  # a gateway makes an IPv4 address of the last 32 bits (RFC 6052)
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local or address in _COMPATIBLE:
            return False
    return address.is_global and not address.is_multicast and address not in _LOCALLY_TRANSLATED
