"""What an app that registers itself says of itself: checked, and what is kept of it.

https://www.rfc-editor.org/rfc/rfc7591#section-2 - what is not known here is ignored, names and addresses in other languages are kept.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc7591 import InvalidRedirectURIError

from server.authorization.client_metadata import (
    AUTHENTICATIONS,
    PRIVATE_KEY_JWT,
    SECRET_BASIC,
    check_address,
    check_keys,
    check_name,
    check_redirect_uris,
)
from server.authorization.scopes import narrow

REGISTERED_GRANT_TYPES = ("authorization_code", "refresh_token")
"""What every app that registers itself has, whichever of them it names."""
ATTESTATION = "privacy_attestation"
"""Extension of the metadata, a boolean: the makers say that the app keeps the privacy practices asked for. Never a condition."""
_ADDRESSES = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
_TEXTS = ("software_id", "software_version")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
_LONGEST_TEXT, _MOST_CONTACTS, _LONGEST_SCOPE, _LARGEST_DETAILS = 200, 10, 4000, 40_000


@dataclass(frozen=True, slots=True)
class Registration:
    """Checked metadata of an app that registers itself. ``details``: what is kept as it was sent, for JSON."""

    name: str
    redirect_uris: tuple[str, ...]
    authentication: str
    scope: str
    jwks: str
    jwks_uri: str
    details: dict[str, Any]
    registered_by: str


def checked(metadata: Mapping[str, Any], environment: str, registered_by: str) -> Registration:
    """The metadata of RFC 7591 section 2 as it is registered; what is not known here is ignored, null counts as left out.

    Raises InvalidRedirectURIError, or ValueError with what is wrong and what to send instead.
    """
    sent = {name: value for name, value in metadata.items() if value is not None}
    local = environment != "production"
    redirect_uris = tuple(dict.fromkeys(_texts(sent, "redirect_uris")))
    try:
        check_redirect_uris(redirect_uris, environment)
    except ValueError as error:
        raise InvalidRedirectURIError(_printable(f"redirect_uris: {error}.")) from error
    authentication = _text(sent, "token_endpoint_auth_method", SECRET_BASIC)
    if authentication not in AUTHENTICATIONS:
        raise ValueError(f"token_endpoint_auth_method is one of: {', '.join(AUTHENTICATIONS)}")
    _only(sent, "grant_types", REGISTERED_GRANT_TYPES)
    _only(sent, "response_types", ("code",))
    jwks, jwks_uri = _keys(sent, authentication, local=local)
    name = _text(sent, "client_name", "") or _name_of(sent, redirect_uris[0])
    check_name(name)
    return Registration(
        name=name.strip(),
        redirect_uris=redirect_uris,
        authentication=authentication,
        scope=_scope(_text(sent, "scope", "")),
        jwks=jwks,
        jwks_uri=jwks_uri,
        details=_details(sent, local=local),
        registered_by=registered_by,
    )


def _keys(sent: Mapping[str, Any], authentication: str, *, local: bool) -> tuple[str, str]:
    if "jwks" in sent and "jwks_uri" in sent:
        raise ValueError("send either jwks or jwks_uri, not both")
    jwks, jwks_uri = sent.get("jwks"), _text(sent, "jwks_uri", "")
    if jwks is not None and not isinstance(jwks, dict):
        raise ValueError('jwks is a JSON object with an array "keys" (RFC 7517 section 5)')
    if authentication != PRIVATE_KEY_JWT:
        return "", ""
    text = "" if jwks is None else json.dumps(jwks)
    check_keys(text, jwks_uri, local=local)
    return text, jwks_uri


def _details(sent: Mapping[str, Any], *, local: bool) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for key, value in sent.items():
        name, mark, language = key.partition("#")
        if mark and not _LANGUAGE.fullmatch(language):
            continue
        if name in _ADDRESSES:
            check_address(key, _text(sent, key, ""), local=local)
        elif name == "client_name" and mark:
            check_name(_text(sent, key, ""))
        elif name in _TEXTS and not mark:
            if len(_text(sent, key, "")) > _LONGEST_TEXT:
                raise ValueError(f"{key} has at most {_LONGEST_TEXT} characters")
        elif key == "contacts":
            contacts = _texts(sent, key)
            if len(contacts) > _MOST_CONTACTS or any(len(contact) > _LONGEST_TEXT for contact in contacts):
                raise ValueError(f"contacts are at most {_MOST_CONTACTS} texts of at most {_LONGEST_TEXT} characters")
        elif key == ATTESTATION:
            if not isinstance(value, bool):
                raise ValueError(f"{ATTESTATION} is true or false")
        elif key != "software_statement":
            continue
        details[key] = value
    if len(json.dumps(details)) > _LARGEST_DETAILS:
        raise ValueError("the metadata is too long")
    return details


def _scope(scope: str) -> str:
    """The scopes that an app of its members can have, of those asked for; '' asks for all that are offered."""
    if len(scope) > _LONGEST_SCOPE:
        raise ValueError(f"scope has at most {_LONGEST_SCOPE} characters")
    wanted = " ".join(word for word in scope.split() if not word.startswith("system/"))
    found = narrow(wanted, "").scope if wanted else ""
    if scope.split() and not found:
        raise ValueError(
            "none of these scopes is offered to an app that registers itself; leave scope out to get what is offered"
        )
    return found


def _name_of(sent: Mapping[str, Any], redirect_uri: str) -> str:
    """What members read of an app that names itself nowhere: where it lives."""
    parts = urlsplit(_text(sent, "client_uri", "") or redirect_uri)
    return (parts.hostname or parts.scheme)[:100]


def _text(sent: Mapping[str, Any], name: str, default: str) -> str:
    value = sent.get(name, default)
    if not isinstance(value, str) or not (value.isprintable() or not value):
        raise ValueError(f"{name} is a text without line breaks")
    return value


def _texts(sent: Mapping[str, Any], name: str) -> list[str]:
    value = sent.get(name, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.isprintable() for entry in value):
        raise (
            InvalidRedirectURIError(f"{name} is an array of texts.")
            if name == "redirect_uris"
            else ValueError(f"{name} is an array of texts without line breaks")
        )
    return value


def _only(sent: Mapping[str, Any], name: str, offered: Sequence[str]) -> None:
    others = [entry for entry in _texts(sent, name) if entry not in offered]
    if others:
        raise ValueError(
            f"{name}: {', '.join(others)[:100]} is not offered to an app that registers itself; send {', '.join(offered)}"
        )


def _printable(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "?").replace("\n", " ")
