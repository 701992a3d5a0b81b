"""Registered apps: public and confidential clients, their registration and suspension.

https://www.rfc-editor.org/rfc/rfc6749#section-2 and https://www.rfc-editor.org/rfc/rfc7591#section-2
"""

import hmac
import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import ClientMixin
from sqlalchemy import Row

from server import clock
from server.authorization.discovery import CLIENT_AUTHENTICATIONS, GRANT_TYPES
from server.authorization.scopes import narrow
from server.settings import Settings
from server.storage.authorization_store import (
    CLIENT_BY_ID,
    INSERT_CLIENT,
    REDIRECT_URIS_LIKE,
    RESUME_CLIENT,
    SUSPEND_CLIENT,
    UPDATE_CLIENT,
)
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger, LedgerEvent, RecordingTransaction, new_request_id

PUBLIC = "none"
KINDS = ("third-party", "payer", "probe")
ENVIRONMENTS = ("production", "test")
REFRESHING_PUBLIC_CLIENT = "refresh_token"
"""Name of the way in which a public client is found when it refreshes without ``client_id``: by its refresh token."""
OWN_ACCESS_TOKEN = "access_token"  # noqa: S105 - a name, not a secret
"""Name of the way in which a client introspects with one of its own access tokens as bearer token."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")


@dataclass(frozen=True, slots=True)
class RegisteredClient(ClientMixin):  # type: ignore[misc]
    """A client as it is registered, answering what Authlib asks."""

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

    @property
    def is_active(self) -> bool:
        """Whether the app is not suspended."""
        return self.status == "active"

    def get_client_id(self) -> str:
        """The client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: a redirect_uri is always sent."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What can be granted of a requested scope, or None."""
        return narrow(scope or self.scope, self.scope).scope or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact string comparison (RFC 9700 section 2.1)."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Secrets are random, so SHA-256 is enough."""
        return self.secret_hash is not None and hmac.compare_digest(
            self.secret_hash, sha256(client_secret.encode()).digest()
        )

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """A public client has no secret; a confidential one may send its own by header or by form."""
        if method == OWN_ACCESS_TOKEN:
            return True
        return (method in (PUBLIC, REFRESHING_PUBLIC_CLIENT)) == (self.authentication == PUBLIC)

    def check_response_type(self, response_type: str) -> bool:
        """Every client uses the code flow, and only that."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Every client may refresh; whether it gets a refresh token is a matter of scope."""
        return grant_type in GRANT_TYPES


def find_client(transaction: Transaction, client_id: str) -> RegisteredClient | None:
    """The client of this id, suspended or not, or None."""
    row = transaction.first(CLIENT_BY_ID, {"client": client_id})
    return None if row is None else _from_row(row)


def _from_row(row: Row[Any]) -> RegisteredClient:
    values = row._mapping
    same = ("name", "kind", "environment", "status", "authentication", "secret_hash", "scope", "suspended_reason")
    return RegisteredClient(
        client_id=values["id"],
        redirect_uris=tuple(values["redirect_uris"].split("\n")),
        **{name: values[name] for name in same},
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
) -> tuple[str, str | None]:
    """Register an app; answer its client id and, when confidential, its secret (shown this once).

    ``scope`` '' allows whatever the server offers. With the id of a client that exists, that client is updated, and keeps its secret
    (then the secret answered is None) and what is None here; a new one is then a public third-party app of production. Raises ValueError with one line that says what is wrong.
    """
    if client_id is not None and not _CLIENT_ID.fullmatch(client_id):
        raise ValueError("a client id has 1 to 64 letters, digits and . _ ~ -")
    with ledger.transaction() as transaction:
        before = find_client(transaction, client_id) if client_id else None
        if authentication is None:
            authentication = PUBLIC if before is None else before.authentication
        if scope is None:
            scope = "" if before is None else before.scope
        if kind is None:
            kind = "third-party" if before is None else before.kind
        if environment is None:
            environment = "production" if before is None else before.environment
        _check(name, redirect_uris, authentication, scope, kind, environment)
        secret = None
        secret_hash = before.secret_hash if before is not None else None
        if authentication == PUBLIC:
            secret_hash = None
        elif secret_hash is None:
            secret = secrets.token_urlsafe(32)
            secret_hash = sha256(secret.encode()).digest()
        values: dict[str, Any] = {
            "name": name.strip(),
            "kind": kind,
            "environment": environment,
            "authentication": authentication,
            "secret_hash": secret_hash,
            "redirect_uris": "\n".join(dict.fromkeys(redirect_uris)),
            "scope": scope,
        }
        client_id = client_id or secrets.token_urlsafe(16)
        if before is not None:
            if before == _updated(before, values):
                return client_id, None
            transaction.execute(UPDATE_CLIENT, {"client": client_id, **values})
        else:
            created = {"id": client_id, "status": "active", "suspended_reason": "", "suspended_at": None}
            transaction.execute(INSERT_CLIENT, {**values, **created, "created_at": clock.now_microseconds()})
        client = find_client(transaction, client_id)
        assert client is not None
        _record(transaction, settings, client, "register" if before is None else "update", client.name)
    return client_id, secret


def suspend(ledger: EventLedger, settings: Settings, client_id: str, reason: str) -> None:
    """Suspend an app: its tokens give no access from the next request on. Raises ValueError when there is none to suspend."""
    if not reason.strip():
        raise ValueError("a suspension needs its reason")
    with ledger.transaction() as transaction:
        client = find_client(transaction, client_id)
        if client is None:
            raise ValueError(f"no client has the id {client_id}")
        values = {"client": client_id, "moment": clock.now_microseconds(), "reason": reason.strip()}
        if transaction.execute(SUSPEND_CLIENT, values) == 0:
            raise ValueError(f"client {client_id} is suspended already")
        _record(transaction, settings, client, "suspend", reason.strip())


def resume(ledger: EventLedger, settings: Settings, client_id: str) -> None:
    """Lift an app's suspension: its tokens in force give access again. Raises ValueError when there is none to lift."""
    with ledger.transaction() as transaction:
        client = find_client(transaction, client_id)
        if client is None:
            raise ValueError(f"no client has the id {client_id}")
        if transaction.execute(RESUME_CLIENT, {"client": client_id}) == 0:
            raise ValueError(f"client {client_id} is not suspended")
        _record(transaction, settings, client, "resume", f"was suspended: {client.suspended_reason}")


def _updated(client: RegisteredClient, values: dict[str, Any]) -> RegisteredClient:
    same = {"client_id": client.client_id, "status": client.status, "suspended_reason": client.suspended_reason}
    return RegisteredClient(**{**values, **same, "redirect_uris": tuple(values["redirect_uris"].split("\n"))})


def _record(
    transaction: RecordingTransaction, settings: Settings, client: RegisteredClient, interaction: str, detail: str
) -> None:
    production = settings.environment == client.environment == "production"
    transaction.record(
        LedgerEvent(
            kind="app",
            request_id=new_request_id(),
            environment="production" if production else "test",
            client_id=client.client_id,
            client_kind=client.kind,
            interaction=interaction,
            detail=detail,
        )
    )


def _check(
    name: str,
    redirect_uris: Sequence[str],
    authentication: str,
    scope: str,
    kind: str,
    environment: str,
) -> None:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise ValueError("an app needs a name of at most 100 printable characters")
    if authentication not in CLIENT_AUTHENTICATIONS:
        raise ValueError(f"client authentication is one of: {', '.join(CLIENT_AUTHENTICATIONS)}")
    if kind not in KINDS:
        raise ValueError(f"the kind of a client is one of: {', '.join(KINDS)}")
    if environment not in ENVIRONMENTS:
        raise ValueError(f"the environment of a client is one of: {', '.join(ENVIRONMENTS)}")
    if not redirect_uris:
        raise ValueError("an app needs at least one redirect URI")
    for uri in redirect_uris:
        _check_redirect_uri(uri, environment)
    if scope and not narrow(scope, "").scope:
        raise ValueError(f"none of these scopes is offered: {scope}")


def _check_redirect_uri(uri: str, environment: str) -> None:
    try:
        parts = urlsplit(uri)
        add_params_to_uri(uri, [("code", "code")])
    except ValueError as error:
        raise ValueError(f"not a URL: {uri}") from error
    if not uri.isascii() or not uri.isprintable() or " " in uri or "#" in uri:
        raise ValueError(f"a redirect URI has no spaces, no fragment and only ASCII characters: {uri}")
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.username is not None:
            raise ValueError(f"a redirect URI names its host and no user: {uri}")
        if parts.scheme == "http" and environment != "test" and not _is_loopback(parts.hostname):
            raise ValueError(f"a redirect URI uses https, unless it stays on the member's device: {uri}")
    elif not _PRIVATE_SCHEME.fullmatch(parts.scheme):
        raise ValueError(f"a private-use scheme is a reversed domain name, e.g. com.example.app (RFC 8252): {uri}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
