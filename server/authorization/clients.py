"""Registered apps: what a client is to the protocol, and how an operator registers one.

https://www.rfc-editor.org/rfc/rfc6749#section-2 and https://www.rfc-editor.org/rfc/rfc7591#section-2
"""

import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from sqlalchemy import Row

from server import clock
from server.authorization import client_metadata
from server.authorization.access import environment_of
from server.authorization.client_metadata import PRIVATE_KEY_JWT, SECRET_BASIC, SECRET_POST
from server.authorization.client_metadata import PUBLIC as PUBLIC
from server.authorization.discovery import GRANT_TYPES
from server.authorization.scopes import SYSTEM_CONTEXTS, narrow
from server.settings import Settings
from server.storage.client_store import CLIENT_BY_ID, INSERT_CLIENT, REDIRECT_URIS_LIKE, UPDATE_CLIENT
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger, LedgerEvent, RecordingTransaction, new_request_id

ACTIVE, DELETED = "active", "deleted"
OPERATOR, SELF = "operator", "self"
"""By whom an app was registered; otherwise by the issuer of its software statement."""
KINDS = ("third-party", "payer", "probe")
ENVIRONMENTS = ("production", "test")
REFRESHING_PUBLIC_CLIENT = "refresh_token"
"""Name of the way in which a public client is found when it refreshes without ``client_id``: by its refresh token."""
OWN_ACCESS_TOKEN = "access_token"  # noqa: S105 - a name, not a secret
"""Name of the way in which a client introspects with one of its own access tokens as bearer token."""

CLIENT_CREDENTIALS = "client_credentials"

_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_COLUMNS = ("name", "kind", "environment", "status", "authentication", "secret_hash", "scope", "suspended_reason")
_NEW_COLUMNS = ("jwks", "jwks_uri", "details", "registration_hash", "registered_by", "created_at")


@dataclass(frozen=True, slots=True)
class RegisteredClient(ClientMixin):  # type: ignore[misc]
    """A client as it is registered, answering what Authlib asks.

    ``jwks`` (JSON) or ``jwks_uri``: the public keys of a private_key_jwt client. ``details``: its other metadata, as JSON.
    ``registration_hash``: of the token by which it manages its registration. ``created_at`` is microseconds.
    """

    client_id: str
    name: str
    kind: str
    environment: str
    status: str
    authentication: str
    secret_hash: bytes | None
    redirect_uris: tuple[str, ...]
    scope: str
    suspended_reason: str
    jwks: str = ""
    jwks_uri: str = ""
    details: str = "{}"
    registration_hash: bytes | None = None
    registered_by: str = OPERATOR
    created_at: int = 0

    @property
    def is_active(self) -> bool:
        """Whether the app is neither suspended nor deleted."""
        return self.status == ACTIVE

    @property
    def metadata(self) -> dict[str, Any]:
        """What else it was registered with (RFC 7591 section 2)."""
        found: dict[str, Any] = json.loads(self.details)
        return found

    @property
    def has_privacy_attestation(self) -> bool:
        """Whether its makers, or the issuer of its software statement, said that it keeps the practices asked for."""
        return self.metadata.get("privacy_attestation") is True

    @property
    def policy_uri(self) -> str:
        """Its privacy policy, an https address that may be linked to, or ''."""
        return client_metadata.linkable(self.metadata.get("policy_uri"))

    @property
    def client_uri(self) -> str:
        """Its home page, an https address that may be linked to, or ''."""
        return client_metadata.linkable(self.metadata.get("client_uri"))

    @property
    def logo_uri(self) -> str:
        """Its logo, an https address, or ''. A browser that loads it tells the app's makers of the visit."""
        return client_metadata.linkable(self.metadata.get("logo_uri"))

    @property
    def title(self) -> dict[str, str]:
        """Its name by language tag, '' the name itself (RFC 7591 section 2.2)."""
        names = {"": self.name}
        for key, value in self.metadata.items():
            if key.startswith("client_name#"):
                names[key.partition("#")[2].lower()] = value
        return names

    def get_client_id(self) -> str:
        """The client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: a redirect_uri is always sent."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What can be granted of a requested scope, or None; nothing requested (all was withheld) is never the whole registration."""
        return narrow(scope or "", self.scope).scope or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact string comparison (RFC 9700 section 2.1)."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Secrets are random, so SHA-256 is enough."""
        return self.secret_hash is not None and hmac.compare_digest(
            self.secret_hash, sha256(client_secret.encode()).digest()
        )

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """A public client has no secret; one with a secret may send it by header or by form; one with a key signs."""
        if method == OWN_ACCESS_TOKEN:
            return True
        if self.authentication in (SECRET_BASIC, SECRET_POST):
            return method in (SECRET_BASIC, SECRET_POST)
        return method == self.authentication or (self.authentication == PUBLIC and method == REFRESHING_PUBLIC_CLIENT)

    def check_response_type(self, response_type: str) -> bool:
        """Every client uses the code flow, and only that."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Every client may refresh (whether it gets a refresh token is a matter of scope); the payer's own jobs need no member."""
        return grant_type in GRANT_TYPES and (grant_type != CLIENT_CREDENTIALS or self.kind == "payer")


def find_client(transaction: Transaction, client_id: str) -> RegisteredClient | None:
    """The client of this id, suspended or not; None when there is none, or no more."""
    if not client_id.isprintable():  # NUL and half a surrogate pair, which databases refuse, are in no id
        return None
    row = transaction.first(CLIENT_BY_ID, {"client": client_id})
    return None if row is None or row.status == DELETED else _from_row(row)


def _from_row(row: Row[Any]) -> RegisteredClient:
    values = row._mapping
    return RegisteredClient(
        client_id=values["id"],
        redirect_uris=tuple(values["redirect_uris"].split("\n")),
        **{name: values[name] for name in (*_COLUMNS, *_NEW_COLUMNS)},
    )


def origin(uri: str) -> str:
    """The origin of a URL (RFC 6454)."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def is_origin_of_client(database: Database, value: str) -> bool:
    """Whether an active client has a redirect URI with this origin (CORS)."""
    if not value.startswith(("http://", "https://")) or len(value) > 300:
        return False
    with database.reading() as transaction:
        rows = transaction.all(REDIRECT_URIS_LIKE, {"origin": value})
    return any(origin(uri) == value for row in rows for uri in row.redirect_uris.split("\n"))


def register(
    ledger: EventLedger,
    settings: Settings,
    name: str,
    redirect_uris: Sequence[str],
    *,
    authentication: str | None = None,
    scope: str | None = None,
    kind: str | None = None,
    environment: str | None = None,
    client_id: str | None = None,
    jwks: str | None = None,
    jwks_uri: str | None = None,
) -> tuple[str, str | None]:
    """Register an app as its operator; answer its client id and, when it has one, its secret (shown this once).

    ``scope`` '' allows whatever the server offers. ``jwks`` (JSON) or ``jwks_uri``: the public keys of a private_key_jwt client. With the
    id of a client that exists, that client is updated, and keeps its secret (then the secret answered is None) and what is None
    here; a new one is then a public third-party app of production. Raises ValueError with one line that says what is wrong.
    """
    if client_id is not None and not _CLIENT_ID.fullmatch(client_id):
        raise ValueError("a client id has 1 to 64 letters, digits and . _ ~ -")
    with ledger.transaction() as transaction:
        row = transaction.first(CLIENT_BY_ID, {"client": client_id}) if client_id else None
        before = None if row is None else _from_row(row)
        if before is not None and before.status == DELETED:
            raise ValueError(f"the client {client_id} was deleted by its makers; choose another id")
        if jwks is None and jwks_uri is None and before is not None:
            jwks, jwks_uri = before.jwks, before.jwks_uri

        def kept(given: str | None, column: str, default: str) -> str:
            return given if given is not None else default if before is None else str(getattr(before, column))

        values: dict[str, Any] = {
            "name": name.strip(),
            "kind": kept(kind, "kind", "third-party"),
            "environment": kept(environment, "environment", "production"),
            "authentication": kept(authentication, "authentication", PUBLIC),
            "redirect_uris": "\n".join(dict.fromkeys(redirect_uris)),
            "scope": kept(scope, "scope", ""),
        }
        keys = values["authentication"] == PRIVATE_KEY_JWT
        values |= {"jwks": jwks or "" if keys else "", "jwks_uri": jwks_uri or "" if keys else ""}
        _check(name, redirect_uris, values, local=settings.environment != "production")
        values["secret_hash"], secret = secret_for(values["authentication"], before)
        client_id = client_id or secrets.token_urlsafe(16)
        store(transaction, settings, before, client_id, values)
    return client_id, secret


def secret_for(authentication: str, before: RegisteredClient | None) -> tuple[bytes | None, str | None]:
    """The hash of a client's secret, and the secret itself when it is a new one; one that it has stays."""
    if authentication not in (SECRET_BASIC, SECRET_POST):
        return None, None
    if before is not None and before.secret_hash is not None:
        return before.secret_hash, None
    secret = secrets.token_urlsafe(32)
    return sha256(secret.encode()).digest(), secret


def store(
    transaction: RecordingTransaction,
    settings: Settings,
    before: RegisteredClient | None,
    client_id: str,
    values: dict[str, Any],
) -> RegisteredClient:
    """Write a checked registration and its ledger row, unless nothing changes; the client as it is then."""
    if before is None:
        created = {"id": client_id, "status": ACTIVE, "suspended_reason": "", "suspended_at": None}
        created |= {"details": "{}", "registration_hash": None, "registered_by": OPERATOR}
        transaction.execute(INSERT_CLIENT, {**created, **values, "created_at": clock.now_microseconds()})
    elif all(_stored(before, column) == value for column, value in values.items()):
        return before
    else:
        transaction.execute(UPDATE_CLIENT, {"client": client_id, **values})
    client = find_client(transaction, client_id)
    assert client is not None
    record(transaction, settings, client, "register" if before is None else "update", client.name)
    return client


def _stored(client: RegisteredClient, column: str) -> Any:
    return "\n".join(client.redirect_uris) if column == "redirect_uris" else getattr(client, column)


def record(
    transaction: RecordingTransaction, settings: Settings, client: RegisteredClient, interaction: str, detail: str
) -> None:
    """One ledger row about an app."""
    transaction.record(
        LedgerEvent(
            kind="app",
            request_id=new_request_id(),
            environment=environment_of(settings, client.environment, None),
            client_id=client.client_id,
            client_kind=client.kind,
            interaction=interaction,
            detail=detail,
        )
    )


def _check(name: str, redirect_uris: Sequence[str], values: dict[str, str], *, local: bool) -> None:
    client_metadata.check_name(name)
    client_metadata.check_authentication(values["authentication"])
    if values["kind"] not in KINDS:
        raise ValueError(f"the kind of a client is one of: {', '.join(KINDS)}")
    if values["environment"] not in ENVIRONMENTS:
        raise ValueError(f"the environment of a client is one of: {', '.join(ENVIRONMENTS)}")
    scope = values["scope"]
    is_job = values["kind"] == "payer" and scope.startswith("system/")
    if scope.startswith("system/") and not is_job and not redirect_uris:
        raise ValueError("of clients with system scopes only those of the kind payer need no redirect URI")
    if redirect_uris or not is_job:
        client_metadata.check_redirect_uris(redirect_uris, values["environment"])
    if is_job and values["authentication"] == PUBLIC:
        raise ValueError("a client with system scopes proves itself, by a secret or a key")
    if values["authentication"] == PRIVATE_KEY_JWT:
        client_metadata.check_keys(values["jwks"], values["jwks_uri"], local=local)
    if scope and not (narrow(scope, scope, SYSTEM_CONTEXTS) if is_job else narrow(scope, "")).scope:
        raise ValueError(f"none of these scopes is offered: {scope}")
