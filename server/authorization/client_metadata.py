"""What an app may be registered with, value by value: names, addresses, redirect URIs and public keys.

https://www.rfc-editor.org/rfc/rfc7591#section-2, https://www.rfc-editor.org/rfc/rfc8252#section-7 and RFC 7517
"""

import ipaddress
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from authlib.common.urls import add_params_to_uri
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

PUBLIC, SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT = (
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
)
AUTHENTICATIONS = (PUBLIC, SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT)
MOST_REDIRECT_URIS, LONGEST_URI, MOST_KEYS, LONGEST_JWKS = 20, 2000, 10, 32_768
SMALLEST_RSA, CURVE = 2048, "P-384"

_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")


def check_name(name: str) -> None:
    """Raises ValueError when members could not read it."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise ValueError("an app needs a name of at most 100 printable characters")


def check_authentication(authentication: str) -> None:
    """Raises ValueError when the server does not offer this way of client authentication."""
    if authentication not in AUTHENTICATIONS:
        raise ValueError(f"client authentication is one of: {', '.join(AUTHENTICATIONS)}")


def check_redirect_uris(redirect_uris: Sequence[str], environment: str) -> None:
    """Raises ValueError for the first that cannot be used; a test app may use http anywhere."""
    if not redirect_uris:
        raise ValueError("an app needs at least one redirect URI")
    if len(redirect_uris) > MOST_REDIRECT_URIS:
        raise ValueError(f"an app has at most {MOST_REDIRECT_URIS} redirect URIs")
    for uri in redirect_uris:
        _check_redirect_uri(uri, environment)


def _check_redirect_uri(uri: str, environment: str) -> None:
    if len(uri) > LONGEST_URI:
        raise ValueError(f"a redirect URI has at most {LONGEST_URI} characters: {uri[:100]}...")
    try:
        parts = urlsplit(uri)
        _ = parts.port
        add_params_to_uri(uri, [("code", "code")])
    except ValueError as error:
        raise ValueError(f"not a URL: {uri}") from error
    if not uri.isascii() or not uri.isprintable() or " " in uri or "#" in uri:
        raise ValueError(f"a redirect URI has no spaces, no fragment and only ASCII characters: {uri}")
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.username is not None:
            raise ValueError(f"a redirect URI names its host and no user: {uri}")
        if parts.scheme == "http" and environment != "test" and not is_loopback(parts.hostname):
            raise ValueError(f"a redirect URI uses https, unless it stays on the member's device: {uri}")
    elif not _PRIVATE_SCHEME.fullmatch(parts.scheme):
        raise ValueError(f"a private-use scheme is a reversed domain name, e.g. com.example.app (RFC 8252): {uri}")


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on the device."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(name: str, value: str, *, local: bool = False) -> None:
    """Raises ValueError when it is no https address that may be linked to; ``local`` also takes http on this machine."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{name} is not a URL: {value[:100]}") from error
    if len(value) > LONGEST_URI or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{name} has at most {LONGEST_URI} ASCII characters and no spaces")
    secure = parts.scheme == "https" or (local and parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not secure or not parts.hostname or parts.username is not None:
        raise ValueError(f"{name} is an address that starts with https:// and names its host: {value[:100]}")


def linkable(value: Any) -> str:
    """The address, if a page may link to it, else ''."""
    if not isinstance(value, str):
        return ""
    try:
        check_address("", value)
    except ValueError:
        return ""
    return value


def check_keys(jwks: str, jwks_uri: str, *, local: bool = False) -> None:
    """Raises ValueError unless there is exactly one of a JWK Set (JSON) and the https address of one; see ``public_keys``."""
    if bool(jwks) == bool(jwks_uri):
        raise ValueError("private_key_jwt needs either jwks or jwks_uri, the app's public keys")
    if jwks_uri:
        check_address("jwks_uri", jwks_uri, local=local)
    else:
        public_keys(jwks)


def public_keys(jwks: str) -> KeySet:
    """The keys of a JWK Set: public ones only, RSA of at least 2048 bits or EC P-384 (RS384 and ES384). Raises ValueError."""
    try:
        document = json.loads(jwks)
        keys = document["keys"]
        assert isinstance(keys, list)
        assert all(isinstance(key, dict) for key in keys)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
        raise ValueError('jwks is a JWK Set: a JSON object with an array "keys" (RFC 7517 section 5)') from error
    if not keys or len(keys) > MOST_KEYS or len(jwks) > LONGEST_JWKS:
        raise ValueError(f"jwks holds 1 to {MOST_KEYS} keys")
    if any("d" in key or "k" in key or key.get("kty") == "oct" for key in keys):
        raise ValueError(
            "jwks holds a private or shared key; send the public keys only, and make a new pair: this one is known now"
        )
    try:
        found = KeySet.import_key_set(document)
        strong = [_is_strong(key) for key in found.keys]
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"jwks holds a key that cannot be read: {error}") from error
    if not all(strong):
        raise ValueError(f"a key of jwks is RSA with at least {SMALLEST_RSA} bits, or EC with the curve {CURVE}")
    kids = [key.get("kid") for key in keys]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(kids):
        raise ValueError("each key of jwks needs a kid of its own, which the app's assertions name")
    return found


def _is_strong(key: object) -> bool:
    if isinstance(key, RSAKey):
        return int(key.raw_value.key_size) >= SMALLEST_RSA
    return isinstance(key, ECKey) and key.curve_name == CURVE
