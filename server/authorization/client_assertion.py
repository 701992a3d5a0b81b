"""Client authentication by a signed assertion (private_key_jwt), each of which is good for one use on one of all workers.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html and https://www.rfc-editor.org/rfc/rfc7523#section-3
"""

import json
import logging
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from joserfc import jwt
from joserfc.errors import JoseError

from server import clock
from server.authorization.client_keys import ClientKeys, KeySetError
from server.authorization.client_metadata import PRIVATE_KEY_JWT
from server.authorization.clients import find_client
from server.authorization.discovery import ASSERTION_ALGORITHMS, TOKEN, issuer
from server.settings import Settings
from server.storage.credential_store import USE_ASSERTION
from server.storage.database import Database, Transaction

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = 300
"""Seconds from now to the ``exp`` of an assertion at most (SMART: five minutes)."""
CLOCK_SKEW = 30
"""Seconds by which a client's clock may differ from ours."""
LONGEST_ASSERTION, LONGEST_JTI = 8192, 255
_LOG = logging.getLogger(__name__)


class ClientNotProvenError(InvalidClientError):  # type: ignore[misc]
    """401 invalid_client, with the challenge that RFC 9110 asks of every 401."""

    status_code = 401
    description = (
        "The client is not known, its secret is wrong, or it authenticates in another way than it registered for."
    )

    def get_headers(self) -> list[tuple[str, str]]:
        """JSON headers and the Basic challenge (RFC 7617)."""
        headers = [header for header in super().get_headers() if header[0] != "WWW-Authenticate"]
        return [*headers, ("WWW-Authenticate", 'Basic realm="clients", charset="UTF-8"')]


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion whose signature and claims are right; only whether it was used before is not known yet."""

    client_id: str
    jti: str
    expires_at: int

    def use(self, transaction: Transaction) -> bool:
        """Use it: one atomic insert. False when it was used before, on whatever worker."""
        values = {"client_id": self.client_id, "jti_hash": sha256(self.jti.encode()).digest()}
        return transaction.first(USE_ASSERTION, {**values, "expires_at": self.expires_at}) is not None


class ClientAssertions:
    """Checks assertions; one per worker. It may fetch a key set, so it is asked before a transaction that writes is opened."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._keys = ClientKeys(settings)

    def check(self, parameters: dict[str, str], endpoint: str) -> Assertion | None:
        """The assertion of a request to an endpoint (its path), or None when there is none. Raises ClientNotProvenError."""
        text, kind = parameters.get("client_assertion", ""), parameters.get("client_assertion_type", "")
        if not text and not kind:
            return None
        if kind != ASSERTION_TYPE:
            raise ClientNotProvenError(f"'client_assertion_type' must be {ASSERTION_TYPE}")
        if not text or len(text) > LONGEST_ASSERTION:
            raise ClientNotProvenError(f"'client_assertion' is a JWT of at most {LONGEST_ASSERTION} characters.")
        header, unproven = _part(text, 0), _part(text, 1)
        client_id, kid = unproven.get("sub"), header.get("kid")
        if not isinstance(client_id, str) or not client_id or unproven.get("iss") != client_id:
            raise ClientNotProvenError("'iss' and 'sub' of the assertion must be the client_id.")
        if parameters.get("client_id", client_id) != client_id:
            raise ClientNotProvenError("The assertion and 'client_id' name different clients.")
        if not isinstance(kid, str) or not kid:
            raise ClientNotProvenError("The assertion's header must name the key that signed it: kid.")
        with self._database.reading() as reading:
            client = find_client(reading, client_id)
        if client is None or client.authentication != PRIVATE_KEY_JWT:
            raise ClientNotProvenError
        if header.get("jku") not in (None, client.jwks_uri):
            raise ClientNotProvenError("'jku' of the assertion's header is not the registered jwks_uri.")
        try:
            key = self._keys.find(client_id, client.jwks, client.jwks_uri, kid)
        except KeySetError as error:
            raise ClientNotProvenError(f"The client's key set {error}.") from error
        if key is None:
            raise ClientNotProvenError("No RSA or P-384 key in the client's key set has the kid of the assertion.")
        try:
            claims = jwt.decode(text, key, algorithms=ASSERTION_ALGORITHMS).claims
            self._registry(client_id, endpoint).validate(claims)
        except (JoseError, ValueError) as error:
            # What is told says which rule was broken, and nothing of what was sent.
            _LOG.info("an assertion of client %s was refused: %s", client_id, type(error).__name__)
            raise ClientNotProvenError(_reason(error)) from error
        return _assertion(client_id, claims)

    def _registry(self, client_id: str, endpoint: str) -> jwt.JWTClaimsRegistry:
        base = self._settings.base_url
        return jwt.JWTClaimsRegistry(
            now=lambda: clock.now_microseconds() // 1_000_000,
            leeway=CLOCK_SKEW,
            iss={"essential": True, "value": client_id},
            sub={"essential": True, "value": client_id},
            aud={"essential": True, "values": [base + TOKEN, issuer(self._settings), base + endpoint]},
            exp={"essential": True},
            jti={"essential": True},
        )


def _reason(error: Exception) -> str:
    claim = getattr(error, "claim", "")
    if claim:
        return f"The claim '{claim}' of the assertion is missing, over, or not what it must be."
    return f"The assertion is not signed by the client's key with {' or '.join(ASSERTION_ALGORITHMS)}."


def _assertion(client_id: str, claims: dict[str, Any]) -> Assertion:
    expires, jti = int(claims["exp"]), claims["jti"]
    if expires > clock.now_microseconds() // 1_000_000 + LONGEST_LIFE + CLOCK_SKEW:
        raise ClientNotProvenError(f"'exp' of the assertion is more than {LONGEST_LIFE} seconds ahead.")
    if len(jti) > LONGEST_JTI:
        raise ClientNotProvenError(f"'jti' of the assertion is longer than {LONGEST_JTI} characters.")
    return Assertion(client_id, jti, (expires + CLOCK_SKEW + 1) * 1_000_000)


def _part(text: str, index: int) -> dict[str, Any]:
    """A part of a JWT, not proven yet, to find out whose it says it is."""
    parts = text.split(".")
    try:
        found = json.loads(urlsafe_b64decode(parts[index] + "==")) if len(parts) == 3 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ClientNotProvenError("'client_assertion' is not a JWT.")
    return found
