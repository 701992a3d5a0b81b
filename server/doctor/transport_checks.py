"""Checks of the way to the server: https, its certificate, its TLS versions, HSTS, and how long it takes to answer.

https://www.rfc-editor.org/rfc/rfc9325 and https://www.rfc-editor.org/rfc/rfc6797
"""

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from server import clock
from server.doctor.findings import Finding, MissingError, failed, listed, passed, skipped, warned
from server.doctor.site import Site
from server.doctor.web import is_loopback, origin

FEWEST_DAYS, WARNING_DAYS = 7, 30
"""How long a certificate should last at least: less fails, or warns."""
FAR_TOO_SLOW = 3
"""Times the slow limit."""


def addresses(site: Site) -> dict[str, str]:
    """The FHIR base and the announced endpoints by name."""
    found = {"the FHIR base": site.base}
    try:
        told = site.smart
    except MissingError:
        return found
    for name, value in told.items():
        if name.endswith(("_endpoint", "jwks_uri")) and isinstance(value, str):
            found[name] = value
    return found


def https(site: Site) -> Finding:
    """Every address that apps are sent to is https."""
    plain = {name: url for name, url in addresses(site).items() if urlsplit(url).scheme != "https"}
    far = [name for name, url in plain.items() if not is_loopback(url)]
    if far:
        return failed(f"not https: {listed(far)}", "serve every address over https; a proxy in front may end TLS")
    if plain:
        return skipped("http on this machine only")
    return passed("every address is https")


def certificate(site: Site) -> Finding:
    """The certificates are trusted, and last for a while."""
    left = {}
    for host, port in _secure_hosts(site):
        with _connection(site, host, port, site.web.trust) as connection:
            ends = ssl.cert_time_to_seconds(str((connection.getpeercert() or {})["notAfter"]))
            left[host] = int((ends - clock.now_microseconds() / 1e6) // 86_400)
    soonest = min(left, key=lambda host: left[host])
    found = f"the certificate of {soonest} is valid for {left[soonest]} days"
    if left[soonest] < FEWEST_DAYS:
        return failed(found, "renew it now; after that no app connects")
    if left[soonest] < WARNING_DAYS:
        return warned(found, "renew it, and see that renewal is automatic")
    return passed(found)


def tls_version(site: Site) -> Finding:
    """TLS 1.2 or newer is spoken, and nothing older."""
    versions = []
    for host, port in _secure_hosts(site):
        with _connection(site, host, port, site.web.trust) as connection:
            versions.append(f"{connection.version()} at {host}")
        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE  # nothing is sent: it is a question of versions
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        try:
            with _connection(site, host, port, old) as connection:
                spoken = connection.version()
        except OSError:
            continue
        return failed(f"{host} also speaks {spoken}", "switch TLS 1.0 and 1.1 off (RFC 8996)")
    return passed(listed(versions))


def _secure_hosts(site: Site) -> list[tuple[str, int]]:
    """Hosts with https, each once. Raises MissingError."""
    parts = [urlsplit(url) for url in addresses(site).values() if origin(url).startswith("https://")]
    if not parts:
        raise MissingError("no https")
    return list(dict.fromkeys((part.hostname or "", part.port or 443) for part in parts))


@contextmanager
def _connection(site: Site, host: str, port: int, trust: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((host, port), timeout=site.web.limits.seconds) as plain,
        trust.wrap_socket(plain, server_hostname=host) as connection,
    ):
        yield connection


def strict_transport(site: Site) -> Finding:
    """Browsers are told to use https only."""
    if not site.base.startswith("https://"):
        return skipped("no https")
    told = site.get("/metadata", accept="application/fhir+json").header("strict-transport-security")
    if "max-age=" not in told.lower() or "max-age=0" in told.lower().replace(" ", ""):
        return warned("no Strict-Transport-Security header", "let the proxy send it, e.g. max-age=31536000")
    return passed(f"Strict-Transport-Security: {told}")


def response_time(site: Site) -> Finding:
    """None of the answers kept an app waiting."""
    slowest = max(site.web.answers, key=lambda answer: answer.seconds, default=None)
    if slowest is None:
        return skipped("nothing was asked")
    limit, path = site.web.limits.slow_seconds, urlsplit(slowest.url).path
    if "/Patient/" in path:
        path = path.partition("/Patient/")[0] + "/Patient/..."
    found = f"{len(site.web.answers)} answers, the slowest after {slowest.seconds:.2f} s ({slowest.method} {path})"
    mend = f"an app's user waits; {limit:g} s are a lot for a first page, whatever the size"
    if slowest.seconds > limit * FAR_TOO_SLOW:
        return failed(found, mend)
    return warned(found, mend) if slowest.seconds > limit else passed(found)
