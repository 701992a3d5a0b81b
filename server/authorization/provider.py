"""The payer's own OpenID provider, as this server asks it: discovery, code exchange, id_token, userinfo, logout.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, OpenID Connect Discovery 1.0 and RP-Initiated Logout 1.0
"""

import json
import threading
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from server import clock
from server.authorization.provider_network import ProviderAnswerError, ProviderNetwork, ProviderUnavailableError
from server.authorization.tokens import SECOND
from server.settings import Settings

METADATA_SECONDS = 600
FAILURE_SECONDS = 2.0
"""How long nobody waits again for a provider that has just failed to describe itself."""
KEY_SET_SECONDS, KEY_SET_PAUSE_SECONDS = 3600, 10
"""How long a key set is used, and how soon it may be asked for again when a token names a key that is not in it."""
SMALLEST_RSA = 2048
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
SIGNATURES = (*sorted(_RSA), *_CURVES, "EdDSA")
"""Signatures of an id_token that are taken at all: with a public key. Never none, never HS*."""

Key = RSAKey | ECKey | OKPKey


class Provider:
    """One per worker. Nothing here may be called inside a transaction: every method but ``logout_url`` may ask the provider."""

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        self._settings = settings
        self.issuer, self.client_id = settings.oidc_issuer, settings.oidc_client_id
        self.redirect_uri = f"{settings.base_url}/sign-in/callback"
        self._secret = "" if settings.oidc_client_secret is None else settings.oidc_client_secret.get_secret_value()
        self._lock = threading.Lock()
        self._network = ProviderNetwork()
        self._metadata: dict[str, Any] = {}
        self._metadata_at = 0
        self._failed_until = 0.0
        self._keys: list[Key] = []
        self._keys_at = 0

    # -- what the browser is sent to ---------------------------------------------------------------------------------

    def authorization_url(self, state: str, nonce: str, verifier: str, hints: Mapping[str, str]) -> str:
        """Where a member signs in. ``hints``: prompt, max_age, login_hint, ui_locales, as far as the app sent them."""
        challenge = b64url(sha256(verifier.encode()).digest())
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self._settings.oidc_scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **{name: value for name, value in hints.items() if value},
        }
        return _with_query(self._endpoint("authorization_endpoint"), parameters)

    def logout_url(self, id_token: str, after: str, state: str) -> str:
        """Where the member signs out of the provider too, or '' when it has no such address or is not known now."""
        endpoint = self._metadata.get("end_session_endpoint", "")
        if not self._is_address(endpoint):
            return ""
        parameters = {
            "id_token_hint": id_token,
            "client_id": self.client_id,
            "post_logout_redirect_uri": after,
            "state": state,
        }
        return _with_query(endpoint, {name: value for name, value in parameters.items() if value})

    # -- what the provider answers -----------------------------------------------------------------------------------

    @property
    def names_itself(self) -> bool:
        """Whether its answers always carry ``iss`` (RFC 9207)."""
        return self.metadata().get("authorization_response_iss_parameter_supported") is True

    def metadata(self) -> dict[str, Any]:
        """The discovery document. Raises ProviderUnavailableError."""
        with self._lock:
            now = clock.now_microseconds()
            if not self._metadata or not 0 <= now - self._metadata_at < METADATA_SECONDS * SECOND:
                if time.monotonic() < self._failed_until:
                    raise ProviderUnavailableError("the provider did not answer a moment ago")
                self._failed_until = time.monotonic() + FAILURE_SECONDS
                address = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
                try:
                    document = self._network.ask("GET", address)
                except ProviderAnswerError as error:
                    raise ProviderUnavailableError(str(error)) from error
                if document.get("issuer") != self.issuer:
                    raise ProviderUnavailableError("the discovery document names another issuer than OIDC_ISSUER")
                self._metadata, self._metadata_at, self._failed_until = document, now, 0.0
            return self._metadata

    def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        """The token response for a code. Raises ProviderAnswerError, ProviderUnavailableError."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        methods = self.metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._secret and "client_secret_basic" in methods:
            pair = f"{quote(self.client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        elif self._secret:
            form |= {"client_id": self.client_id, "client_secret": self._secret}
        else:
            form["client_id"] = self.client_id
        answer = self._network.ask("POST", self._endpoint("token_endpoint"), form, headers)
        if not isinstance(answer.get("id_token"), str):
            raise ProviderAnswerError("the token response has no id_token")
        return answer

    def verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id_token, once everything of OpenID Connect Core 1.0 section 3.1.3.7 holds.

        Raises ProviderAnswerError, ProviderUnavailableError.
        """
        header = _header(id_token)
        algorithm = header.get("alg")
        offered = self.metadata().get("id_token_signing_alg_values_supported", ["RS256"])
        if algorithm not in SIGNATURES or algorithm not in offered:
            raise ProviderAnswerError("the id_token is not signed with an algorithm that the provider announces")
        claims = self._signed_claims(id_token, str(algorithm), header.get("kid"))
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        now, skew = clock.now_microseconds() // SECOND, self._settings.oidc_clock_skew_seconds
        subject = claims.get("sub")
        checks = (
            (claims.get("iss") == self.issuer, "is of another issuer"),
            (self.client_id in audiences, "is for another client"),
            (len(audiences) == 1 or "azp" in claims, "is for several clients and names no authorized party"),
            (claims.get("azp", self.client_id) == self.client_id, "names another authorized party"),
            (isinstance(subject, str) and 0 < len(subject) <= 255, "has no proper subject"),
            (_seconds(claims, "exp") > now - skew, "has expired"),
            (_seconds(claims, "iat") <= now + skew, "is from the future"),
            (_seconds(claims, "nbf", 0) <= now + skew, "is not valid yet"),
            (nonce != "" and claims.get("nonce") == nonce, "does not carry our nonce"),
        )
        for holds, what in checks:
            if not holds:
                raise ProviderAnswerError(f"the id_token {what}")
        return claims

    def userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        """The claims of the userinfo endpoint, {} when there is none. Raises ProviderAnswerError, ProviderUnavailableError."""
        endpoint = self.metadata().get("userinfo_endpoint", "")
        if not access_token or not self._is_address(endpoint):
            return {}
        claims = self._network.ask("GET", endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if claims.get("sub") != subject:
            raise ProviderAnswerError("the userinfo is of another subject than the id_token")
        return claims

    # -- keys --------------------------------------------------------------------------------------------------------

    def _signed_claims(self, id_token: str, algorithm: str, kid: Any) -> dict[str, Any]:
        fetched = False
        while True:
            keys = [
                key for key in self._key_set(anew=fetched) if (kid is None or key.kid == kid) and _fits(key, algorithm)
            ]
            if len(keys) == 1:
                try:
                    return dict(jwt.decode(id_token, keys[0], algorithms=[algorithm]).claims)
                except BadSignatureError as error:
                    if fetched:
                        raise ProviderAnswerError("the id_token's signature is wrong") from error
                except (JoseError, ValueError, TypeError) as error:
                    raise ProviderAnswerError("the id_token cannot be read") from error
            elif fetched:
                raise ProviderAnswerError("the id_token is signed with a key that the provider does not publish")
            fetched = True  # the provider may have changed its keys: look once more

    def _key_set(self, anew: bool) -> Sequence[Key]:
        with self._lock:
            age = clock.now_microseconds() - self._keys_at
            longest = KEY_SET_PAUSE_SECONDS if anew else KEY_SET_SECONDS
            if self._keys_at and 0 <= age < longest * SECOND:
                return self._keys
        document = self._network.ask("GET", self._endpoint("jwks_uri"))
        entries = document.get("keys")
        if not isinstance(entries, list):
            raise ProviderUnavailableError("the key set is no JWK Set")
        keys = [key for key in map(_public_key, entries[:100]) if key is not None]
        with self._lock:
            self._keys, self._keys_at = keys, clock.now_microseconds()
        return keys

    # -- addresses ---------------------------------------------------------------------------------------------------

    def _endpoint(self, name: str) -> str:
        address = self.metadata().get(name)
        if not self._is_address(address):
            raise ProviderUnavailableError(f"the discovery document has no proper {name}")
        return str(address)

    def _is_address(self, value: Any) -> bool:
        """An address we send people or secrets to: https, unless the issuer itself is on this machine."""
        schemes = ("https://",) if self.issuer.startswith("https://") else ("https://", "http://")
        return isinstance(value, str) and value.startswith(schemes) and bool(urlsplit(value).hostname)


def b64url(value: bytes) -> str:
    """base64url without padding (RFC 7636 appendix A)."""
    return b64encode(value, b"-_").rstrip(b"=").decode()


def _with_query(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _header(id_token: str) -> dict[str, Any]:
    first = id_token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError) as error:
        raise ProviderAnswerError("the id_token is no JWT") from error
    if not isinstance(header, dict):
        raise ProviderAnswerError("the id_token is no JWT")
    return header


def _seconds(claims: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise ProviderAnswerError(f"the id_token has no proper {name}")
    return int(value)


def _public_key(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    names = ("kty", "kid", "n", "e", "crv", "x", "y")
    try:
        key = JWKRegistry.import_key({name: entry[name] for name in names if name in entry})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _fits(key: Key, algorithm: str) -> bool:
    if isinstance(key, RSAKey):
        return algorithm in _RSA and key.raw_value.key_size >= SMALLEST_RSA
    if isinstance(key, ECKey):
        return key.curve_name == _CURVES.get(algorithm)
    return algorithm == "EdDSA"
