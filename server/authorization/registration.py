"""Apps register themselves, at once and free, and manage their registration with the token they got.

https://www.rfc-editor.org/rfc/rfc7591#section-3 and https://www.rfc-editor.org/rfc/rfc7592#section-2
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc7591 import InvalidClientMetadataError, InvalidRedirectURIError, InvalidSoftwareStatementError

from server import clock
from server.authorization.attempts import ADDRESS, REGISTRATION, REGISTRATION_TOKEN, Attempts, TooManyAttemptsError
from server.authorization.authorization_server import describable
from server.authorization.clients import SELF, RegisteredClient, find_client, record, secret_for, store
from server.authorization.discovery import REGISTER
from server.authorization.registration_metadata import REGISTERED_GRANT_TYPES, Registration, checked
from server.authorization.scopes import supported_scopes
from server.authorization.software_statements import SoftwareStatements
from server.authorization.suspension import REFUSED_CODE, SUSPENDED_CODE, AppDecision, refusal_of, told
from server.authorization.tokens import SECOND, end_grant, find_grant, random_token, token_hash
from server.settings import Settings
from server.storage.client_store import DELETE_CLIENT, LIVE_GRANTS_OF_CLIENT
from server.storage.ledger import EventLedger, LedgerEvent, RecordingTransaction, new_request_id

_NOT_OF_THE_CLIENT = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
"""What an update must not send (RFC 7592 section 2.2)."""


class RefusedAppError(InvalidRedirectURIError):  # type: ignore[misc]
    """400: an operator refused this host or software by a published criterion; the app is told which, and how to appeal."""

    def __init__(self, decision: AppDecision, text: str) -> None:
        super().__init__(describable(f"This app is refused: {text}"))
        self._more = [("error_code", REFUSED_CODE), ("criterion", decision.criterion), ("appeal", decision.appeal)]
        if decision.subject.startswith("software:"):
            self.error = "unapproved_software_statement"

    def get_body(self) -> list[tuple[str, str]]:
        """The members of the answer."""
        return [*super().get_body(), *self._more]


class RegistrationTokenError(OAuth2Error):  # type: ignore[misc]
    """401: no registration access token, or one that is not in force (RFC 7592 section 2)."""

    error = "invalid_token"
    status_code = 401
    description = "The registration access token is not known, or its registration was deleted."

    def get_headers(self) -> list[tuple[str, str]]:
        """JSON headers and the challenge (RFC 6750 section 3)."""
        return [*super().get_headers(), ("WWW-Authenticate", 'Bearer error="invalid_token"')]


@dataclass(frozen=True, slots=True)
class Registered:
    """An app that has just registered or changed itself, and what is shown this once. ``secret`` None: it has none, or keeps it."""

    client: RegisteredClient
    secret: str | None
    token: str


class Registrations:
    """Open registration and its management; one per worker."""

    def __init__(self, ledger: EventLedger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self.statements = SoftwareStatements(settings)

    def register(self, metadata: Mapping[str, Any], address: str) -> Registered:
        """Register an app from a network address.

        Raises an OAuth2Error of RFC 7591 section 3.2.2, or TooManyAttemptsError.
        """
        registration = self._checked(metadata)
        token, client_id = random_token(), secrets.token_urlsafe(16)
        refusal: AppDecision | None = None
        with self._ledger.transaction() as transaction:
            attempts = Attempts(transaction, self._settings)
            wait = attempts.check(REGISTRATION, address)
            if wait:
                raise TooManyAttemptsError(
                    wait, f"Too many apps were registered from this address. Try again in {wait} seconds."
                )
            refusal = self._refusal(transaction, registration)
            if refusal is None:
                attempts.failed(REGISTRATION, address)
                secret_hash, secret = secret_for(registration.authentication, None)
                values = self._values(registration) | {
                    "secret_hash": secret_hash,
                    "registration_hash": token_hash(token),
                }
                values |= {"kind": "third-party", "environment": self._settings.environment}
                client = store(transaction, self._settings, None, client_id, values)
        if refusal is not None:
            raise RefusedAppError(refusal, told(self._settings, refusal))
        return Registered(client, secret, token)

    def read(self, client_id: str, token: str, address: str) -> Registered:
        """The registration as it is (RFC 7592 section 2.1). Raises RegistrationTokenError, TooManyAttemptsError."""
        with self._ledger.transaction() as transaction:
            client = self._authenticated(transaction, client_id, token, address)
        return Registered(_known(client), None, token)

    def update(self, client_id: str, token: str, metadata: Mapping[str, Any], address: str) -> Registered:
        """Replace the registration; what is left out is gone (RFC 7592 section 2.2)."""
        wrong = self._not_for_update(client_id, metadata)
        registration = None if wrong else self._checked(metadata)
        refusal: AppDecision | None = None
        updated: Registered | None = None
        with self._ledger.transaction() as transaction:
            client = self._authenticated(transaction, client_id, token, address)
            sent = metadata.get("client_secret")
            if client is not None and registration is not None:
                if sent is not None and not (isinstance(sent, str) and client.check_client_secret(sent)):
                    wrong = "client_secret is not the one that was issued. Leave it out: it stays as it is."
                else:
                    refusal = self._refusal(transaction, registration)
            if client is not None and registration is not None and not wrong and refusal is None:
                secret_hash, secret = secret_for(registration.authentication, client)
                values = self._values(registration) | {"secret_hash": secret_hash}
                updated = Registered(store(transaction, self._settings, client, client_id, values), secret, token)
        _known(client)
        if wrong:
            raise InvalidClientMetadataError(wrong)
        if refusal is not None:
            raise RefusedAppError(refusal, told(self._settings, refusal))
        assert updated is not None
        return updated

    def delete(self, client_id: str, token: str, address: str) -> None:
        """Delete the registration: the token is dead at once, and every grant ends (RFC 7592 section 2.3)."""
        with self._ledger.transaction() as transaction:
            client = self._authenticated(transaction, client_id, token, address)
            if client is not None:
                live = {"client": client_id, "moment": clock.now_microseconds()}
                for row in transaction.all(LIVE_GRANTS_OF_CLIENT, live):
                    grant = find_grant(transaction, self._settings, row.id)
                    if grant is not None:
                        end_grant(transaction, grant, "registration", "the app deleted its registration")
                record(transaction, self._settings, client, "delete", "deleted by its makers")
                transaction.execute(DELETE_CLIENT, {"client": client_id})
        _known(client)

    def information(self, registered: Registered) -> dict[str, Any]:
        """The client information response (RFC 7591 section 3.2.1): everything that is registered."""
        client = registered.client
        scope = client.scope or " ".join(word for word in supported_scopes() if not word.startswith("system/"))
        information: dict[str, Any] = {
            "client_id": client.client_id,
            "client_id_issued_at": client.created_at // SECOND,
            "client_secret_expires_at": 0,
            "registration_access_token": registered.token,
            "registration_client_uri": f"{self._settings.base_url}{REGISTER}/{client.client_id}",
            "client_name": client.name,
            "redirect_uris": list(client.redirect_uris),
            "token_endpoint_auth_method": client.authentication,
            "grant_types": list(REGISTERED_GRANT_TYPES),
            "response_types": ["code"],
            "scope": scope,
            **client.metadata,
        }
        if registered.secret is not None:
            information["client_secret"] = registered.secret
        if client.jwks:
            information["jwks"] = json.loads(client.jwks)
        if client.jwks_uri:
            information["jwks_uri"] = client.jwks_uri
        if not client.is_active:
            information |= {"error_code": SUSPENDED_CODE, "suspended_reason": client.suspended_reason}
        return information

    def _checked(self, metadata: Mapping[str, Any]) -> Registration:
        """The metadata, with what a software statement says in place of what the app says."""
        statement = metadata.get("software_statement")
        claims: dict[str, Any] = {}
        registered_by = SELF
        if statement is not None:
            if not isinstance(statement, str):
                raise InvalidSoftwareStatementError("software_statement is a text: a signed JWT.")
            claims, issuer = self.statements.verified(statement)
            claims["software_statement"] = statement
            registered_by = issuer.issuer
        try:
            return checked({**metadata, **claims}, self._settings.environment, registered_by)
        except InvalidRedirectURIError:
            raise
        except ValueError as error:
            raise InvalidClientMetadataError(describable(f"{error}.")) from error

    def _values(self, registration: Registration) -> dict[str, Any]:
        return {
            "name": registration.name,
            "authentication": registration.authentication,
            "redirect_uris": "\n".join(registration.redirect_uris),
            "scope": registration.scope,
            "jwks": registration.jwks,
            "jwks_uri": registration.jwks_uri,
            "details": json.dumps(registration.details, sort_keys=True),
            "registered_by": registration.registered_by,
        }

    def _refusal(self, transaction: RecordingTransaction, registration: Registration) -> AppDecision | None:
        """The decision by which this app is refused, with a row in the ledger when there is one."""
        software_id = str(registration.details.get("software_id", ""))
        refusal = refusal_of(transaction, registration.redirect_uris, software_id)
        if refusal is not None:
            event = LedgerEvent(
                kind="refusal",
                request_id=new_request_id(),
                environment=self._settings.environment,
                interaction="register",
                detail=f"{refusal.subject}: {refusal.criterion}",
            )
            transaction.record(event)
        return refusal

    def _authenticated(
        self, transaction: RecordingTransaction, client_id: str, token: str, address: str
    ) -> RegisteredClient | None:
        """The client whose registration access token this is, or None, which is counted as a wrong guess."""
        attempts = Attempts(transaction, self._settings)
        attempts.require(REGISTRATION_TOKEN, address, address)
        client = find_client(transaction, client_id)
        stored = None if client is None else client.registration_hash
        if stored is not None and hmac.compare_digest(stored, token_hash(token)):
            return client
        attempts.failed(REGISTRATION_TOKEN, address)
        attempts.failed(ADDRESS, address)
        return None

    @staticmethod
    def _not_for_update(client_id: str, metadata: Mapping[str, Any]) -> str:
        """What is wrong with an update before its metadata is looked at, or ''."""
        if metadata.get("client_id") != client_id:
            return "client_id must be sent, and be the one of the address."
        extra = [name for name in _NOT_OF_THE_CLIENT if name in metadata]
        return f"An update does not send {', '.join(extra)}." if extra else ""


def _known(client: RegisteredClient | None) -> RegisteredClient:
    if client is None:
        raise RegistrationTokenError
    return client
