"""Software statements: what an issuer that the payer trusts says, and signs, about an app.

https://www.rfc-editor.org/rfc/rfc7591#section-2.3 - the issuers are rows of a TOML file; what a statement says goes before what the app says.
"""

import json
import threading
import tomllib
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc7591 import InvalidSoftwareStatementError, UnapprovedSoftwareStatementError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from server import clock
from server.authorization.client_keys import KeySetError, fetch
from server.authorization.client_metadata import SMALLEST_RSA, check_address
from server.settings import Settings

ALGORITHMS = ["RS256", "RS384", "ES256", "ES384"]
LONGEST_STATEMENT = 20_000
CLOCK_SKEW = 60
"""Seconds by which an issuer's clock may differ from ours."""
SECOND = 1_000_000
FRESH, PAUSE = 3600 * SECOND, 60 * SECOND
"""Microseconds for which a fetched key set is used, and for which it is not fetched again."""
_CLAIMS_OF_JWT = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti"))


@dataclass(frozen=True, slots=True)
class StatementIssuer:
    """Who may sign: ``issuer`` is the ``iss`` of its statements; its keys by value (JSON), or the address of them."""

    issuer: str
    name: str
    jwks: str
    jwks_uri: str


def read_issuers(path: Path, *, local: bool = False) -> dict[str, StatementIssuer]:
    """The issuers of the file, by ``iss``. Raises ValueError with one line that says what is wrong with which row."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    rows = document.get("issuer", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path} has no [[issuer]] rows")
    issuers: dict[str, StatementIssuer] = {}
    for number, row in enumerate(rows, start=1):
        try:
            issuer = _issuer(row, local=local)
        except ValueError as error:
            raise ValueError(f"{path}, issuer {number}: {error}") from error
        if issuer.issuer in issuers:
            raise ValueError(f"{path}, issuer {number}: {issuer.issuer} stands twice")
        issuers[issuer.issuer] = issuer
    return issuers


def _issuer(row: dict[str, Any], *, local: bool) -> StatementIssuer:
    unknown = set(row) - {"issuer", "name", "jwks", "jwks_uri"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    given = {name: row.get(name, "") for name in ("issuer", "name", "jwks", "jwks_uri")}
    if isinstance(given["jwks"], dict):
        given["jwks"] = json.dumps(given["jwks"])
    if not all(isinstance(value, str) for value in given.values()) or not given["issuer"]:
        raise ValueError("issuer, name and jwks_uri are texts; jwks is a table or a text with JSON")
    if bool(given["jwks"]) == bool(given["jwks_uri"]):
        raise ValueError("needs either jwks or jwks_uri")
    if given["jwks_uri"]:
        check_address("jwks_uri", given["jwks_uri"], local=local)
    else:
        _key_set(given["jwks"])
    return StatementIssuer(**{**given, "name": given["name"] or given["issuer"]})


def _key_set(document: str) -> KeySet:
    """The public keys of a JWK Set. Raises ValueError."""
    try:
        keys = KeySet.import_key_set(json.loads(document))
        if any(isinstance(key, RSAKey) and key.raw_value.key_size < SMALLEST_RSA for key in keys.keys):
            raise ValueError(f"jwks has an RSA key below {SMALLEST_RSA} bits")
        if not keys.keys or any(key.is_private or not isinstance(key, RSAKey | ECKey) for key in keys.keys):
            raise ValueError("jwks holds public RSA and EC keys, at least one")
    except (JoseError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"jwks is not a JWK Set: {error}") from error
    return keys


@dataclass(slots=True)
class _Fetched:
    document: str = ""
    fetched_at: int = 0
    tried_at: int = 0


class SoftwareStatements:
    """Verifies statements; one per worker. It may fetch a key set, so ask before you open a transaction.

    Raises ValueError when the file of SOFTWARE_STATEMENT_ISSUERS_FILE cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        path = settings.software_statement_issuers_file
        self.issuers = {} if path is None else read_issuers(path, local=settings.environment != "production")
        self._fetched: dict[str, _Fetched] = {}
        self._lock = threading.Lock()

    def verified(self, statement: str) -> tuple[dict[str, Any], StatementIssuer]:
        """The client metadata that a statement asserts, and who asserts it.

        Raises UnapprovedSoftwareStatementError for an issuer that is not configured, InvalidSoftwareStatementError for every other fault.
        """
        header, unproven = _part(statement, 0), _part(statement, 1)
        issuer = self.issuers.get(str(unproven.get("iss", "")))
        if issuer is None:
            known = ", ".join(row.name for row in self.issuers.values()) or "none is"
            raise UnapprovedSoftwareStatementError(
                "The software statement's iss is not an issuer that is trusted here. Register without the statement, or with one of"
                f" a trusted issuer ({known})."
            )
        try:
            claims = self._decoded(statement, issuer, header.get("kid"))
        except KeySetError as error:
            raise InvalidSoftwareStatementError(
                f"The keys of {issuer.name}: the key set {error}. Try again later."
            ) from error
        except (JoseError, ValueError, TypeError, KeyError) as error:
            claim = getattr(error, "claim", "")
            text = (
                f"its claim {claim} is missing or over"
                if claim
                else f"it is not signed by {issuer.name} with {', '.join(ALGORITHMS)}"
            )
            raise InvalidSoftwareStatementError(
                f"The software statement is refused: {text}. Ask its issuer for a new one."
            ) from error
        return {name: value for name, value in claims.items() if name not in _CLAIMS_OF_JWT}, issuer

    def _decoded(self, statement: str, issuer: StatementIssuer, kid: object) -> dict[str, Any]:
        keys = _key_set(issuer.jwks or self._document(issuer, kid))
        now = clock.now_microseconds() // SECOND
        registry = jwt.JWTClaimsRegistry(
            now=lambda: now,
            leeway=CLOCK_SKEW,
            iss={"essential": True, "value": issuer.issuer},
            iat={"essential": True},
            exp={"essential": True},
        )
        claims = jwt.decode(statement, keys, algorithms=ALGORITHMS).claims
        registry.validate(claims)
        return dict(claims)

    def _document(self, issuer: StatementIssuer, kid: object) -> str:
        """The issuer's key set: fetched once an hour, and when it does not have the key, but at most once a minute."""
        with self._lock:
            kept = self._fetched.setdefault(issuer.issuer, _Fetched())
            now = clock.now_microseconds()
            stale = now >= kept.fetched_at + FRESH or (isinstance(kid, str) and f'"{kid}"' not in kept.document)
            if stale and now >= kept.tried_at + PAUSE:
                kept.tried_at = now
                kept.document, kept.fetched_at = fetch(self._settings, issuer.jwks_uri), now
            if not kept.document or now >= kept.fetched_at + FRESH + PAUSE:
                raise KeySetError("cannot be had just now")
            return kept.document


def _part(statement: str, index: int) -> dict[str, Any]:
    parts = statement.split(".")
    try:
        found = (
            json.loads(urlsafe_b64decode(parts[index] + "=="))
            if len(parts) == 3 and len(statement) <= LONGEST_STATEMENT
            else None
        )
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidSoftwareStatementError("The software statement is not a signed JWT.")
    return found
