"""Checks of this machine's settings and of the files they name.

https://www.rfc-editor.org/rfc/rfc9700 and 45 CFR 164.312 - what `serve` refuses to start with fails here too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.authorization.brands import brands
from server.authorization.provider import Provider
from server.authorization.provider_network import ProviderAnswerError, ProviderUnavailableError
from server.authorization.sensitivity import read_policies
from server.authorization.software_statements import read_issuers
from server.doctor.findings import Finding, MissingError, failed, passed, skipped, warned
from server.doctor.machine import Machine
from server.ingest.enrolment import read_unit_rows
from server.metrics.prior_authorization_items import read_items
from server.production import dangers, is_well_known

OTHERS_MAY = 0o077
"""Permissions of a file for its group and for everybody."""


def settings(machine: Machine) -> Finding:
    """Every setting can be read."""
    if machine.problem:
        return failed(machine.problem, "docs/settings.md has every setting")
    return passed(f"ENVIRONMENT={machine.settings.environment}")


def environment(machine: Machine) -> Finding:
    """The deployment is production, or is meant as a test."""
    if not machine.is_production:
        return warned(
            "ENVIRONMENT is test: nothing counts in the CMS report", "set ENVIRONMENT=production before members come"
        )
    return passed("production")


def base_url(machine: Machine) -> Finding:
    """The public address is https."""
    found = [text for text in dangers(machine.settings) if text.startswith("BASE_URL")]
    base = machine.settings.base_url
    if found:
        return (failed if machine.is_production else warned)(
            found[0], "set BASE_URL to the https address apps are given"
        )
    if not base.startswith("https://"):
        return warned(f"{base} is of this machine only", "set BASE_URL to the https address apps are given")
    return passed(base)


def secret_key(machine: Machine) -> Finding:
    """The secret key is set, long and drawn at random."""
    key = machine.settings.secret_key
    mend = "make one with: openssl rand -hex 32, and keep it outside of the database"
    if key is None:
        if machine.is_production:
            return failed("SECRET_KEY is not set", mend)
        path = machine.settings.secret_key_file
        if path.exists() and path.stat().st_mode & OTHERS_MAY:
            return warned(f"{path} can be read by others", f"chmod 600 {path}")
        return warned("SECRET_KEY is not set; a test deployment keeps its own in SECRET_KEY_FILE", mend)
    if is_well_known(key.get_secret_value()):
        return (failed if machine.is_production else warned)("SECRET_KEY is a well-known or simple value", mend)
    return passed(f"{len(key.get_secret_value())} characters")


def previous_secret_key(machine: Machine) -> Finding:
    """The secret key before it is not kept for longer than its change takes."""
    previous, key = machine.settings.secret_key_previous, machine.settings.secret_key
    if previous is None:
        return passed("unset")
    if key is not None and previous.get_secret_value() == key.get_secret_value():
        return warned("SECRET_KEY_PREVIOUS is SECRET_KEY", "unset SECRET_KEY_PREVIOUS")
    return warned("SECRET_KEY_PREVIOUS is set", "after `patient-access keys rotate` unset it (docs/keys.md)")


def cookies(machine: Machine) -> Finding:
    """The sign-in cookie is sent over https only."""
    found = [text for text in dangers(machine.settings) if text.startswith("COOKIES_SECURE")]
    if found:
        return failed(found[0], "unset COOKIES_SECURE")
    return passed("over https only" if machine.settings.secure_cookies else "over http too, as BASE_URL is http")


def proxies(machine: Machine) -> Finding:
    """The addresses of the proxies in front are known, so that limits count per client."""
    if not machine.settings.base_url.startswith("https://"):
        return skipped("no https, so no proxy in front")
    if not machine.settings.trusted_proxies:
        return warned(
            "TRUSTED_PROXIES is unset: all clients seem to come from one address", "name the proxy's address or network"
        )
    return passed(", ".join(machine.settings.trusted_proxies))


def metrics(machine: Machine) -> Finding:
    """Somebody can watch the server."""
    if machine.settings.metrics_token is None:
        return warned("METRICS_TOKEN is unset: there is no /metrics", "set it, and let Prometheus send it")
    return passed("METRICS_TOKEN is set")


def contact(machine: Machine) -> Finding:
    """Members and developers can ask somebody."""
    if machine.settings.support_contact is None:
        return warned("SUPPORT_CONTACT is unset", "set an e-mail address or a URL; the public pages show it")
    return passed(machine.settings.support_contact)


def brand(machine: Machine) -> Finding:
    """The payer's brand, or BRANDS_FILE, is good."""
    return _good("brand", lambda: f"{len(brands(machine.settings))} brands")


def reporting_units(machine: Machine) -> Finding:
    """REPORTING_UNITS_FILE is good."""
    path = machine.settings.reporting_units_file
    if path is None:
        mend = "set it, and load the Coverages once more (docs/usage-report.md)"
        return warned("REPORTING_UNITS_FILE is unset: the CMS report has no units", mend)
    return _good("REPORTING_UNITS_FILE", lambda: f"{len(list(read_unit_rows(path)))} rows")


def software_statements(machine: Machine) -> Finding:
    """SOFTWARE_STATEMENT_ISSUERS_FILE is good."""
    local = machine.settings.environment != "production"
    return _file(machine.settings.software_statement_issuers_file, lambda path: read_issuers(path, local=local))


def sensitivity(machine: Machine) -> Finding:
    """SENSITIVITY_POLICIES_FILE is good."""
    return _file(machine.settings.sensitivity_policies_file, read_policies)


def prior_authorization_items(machine: Machine) -> Finding:
    """PRIOR_AUTHORIZATION_ITEMS_FILE is good."""
    return _file(machine.settings.prior_authorization_items_file, read_items)


def _file(path: Path | None, read: Callable[[Path], Any]) -> Finding:
    return skipped("unset") if path is None else _good(str(path), lambda: f"{len(list(read(path)))} rows")


def _good(what: str, read: Callable[[], str]) -> Finding:
    try:
        return passed(read())
    except MissingError:
        raise
    except OSError as error:
        return failed(f"{error.filename or what}: {error.strerror}", "name a file that this user can read")
    except Exception as error:  # each reader has an error of its own, which says what is wrong and where
        return failed(" ".join(str(error).split())[:300], "mend the file; nothing is served under a broken one")


def identity_provider(machine: Machine) -> Finding:
    """The payer's OpenID provider answers."""
    if machine.settings.identity != "oidc":
        return skipped("IDENTITY is local")
    try:
        Provider(machine.settings).metadata()
    except (ProviderUnavailableError, ProviderAnswerError) as error:
        return failed(
            f"the provider of OIDC_ISSUER: {error}", "without it nobody signs in; see OIDC_ISSUER and the firewall"
        )
    return passed(f"{machine.settings.oidc_issuer} describes itself")
