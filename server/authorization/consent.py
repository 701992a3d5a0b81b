"""Consent: what the member is asked in plain words, and what their answer does.

https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html and 42 CFR 422.119(g) on what members are told
"""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import OAuth2Error

from server import clock
from server.authorization.authorization_request import PendingRequest, consume
from server.authorization.authorization_server import ProtocolRequest, ProtocolResponse, SmartAuthorizationServer
from server.authorization.browser import Session
from server.authorization.clients import RegisteredClient
from server.authorization.grants import Consent
from server.authorization.authority import ActsFor
from server.authorization.permissions import permissions
from server.authorization.tokens import FHIR_USER_SCOPES, grant_lifetime
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.specification.standards import LAUNCH_SCOPES
from server.storage.ledger import LedgerEvent, RecordingTransaction, new_request_id


@dataclass(frozen=True, slots=True)
class Question:
    """What the consent page asks: ``sees`` and ``may`` are lines in plain words; ``until`` is microseconds since 1970."""

    app: str
    is_payers_own: bool
    sees: tuple[str, ...]
    may: tuple[str, ...]
    is_lasting: bool
    until: int
    minutes: int


def question(settings: Settings, client: RegisteredClient, pending: PendingRequest) -> Question:
    """The question that a pending request puts to the member."""
    words = pending.scope.split()
    lifetime = grant_lifetime(settings, pending.scope)
    return Question(
        app=client.name,
        is_payers_own=client.kind == "payer",
        sees=visible_data(pending.scope),
        may=tuple(row.consent for row in LAUNCH_SCOPES if row.consent and row.scope in words),
        is_lasting="offline_access" in words,
        until=clock.now_microseconds() + lifetime,
        minutes=settings.access_token_seconds // 60,
    )


def visible_data(scope: str) -> tuple[str, ...]:
    """The titles of what a scope lets an app see, the member's own records before the shared directory."""
    rows = [RESOURCES[type] for type in permissions(scope).resource_types]
    return tuple(row.title for row in sorted(rows, key=lambda row: row.is_directory))


def allow(
    transaction: RecordingTransaction,
    server: SmartAuthorizationServer,
    pending: PendingRequest,
    session: Session,
    member: ActsFor,
) -> ProtocolResponse | None:
    """The member's yes: a grant and a code, and the redirect to the app. None when the request was answered before."""
    if not consume(transaction, pending):
        return None
    if not member.fhir_user:  # a representative without a record of their own cannot be named to the app
        pending = _without_fhir_user(pending)
    return _respond(server, pending, Consent(session.account, member, session.authenticated_at))


def deny(
    transaction: RecordingTransaction,
    server: SmartAuthorizationServer,
    pending: PendingRequest,
    client: RegisteredClient,
    environment: str,
    member: ActsFor | None,
) -> ProtocolResponse | None:
    """The member's no: ``access_denied`` to the app, and a refusal in the ledger. None when the request was answered before."""
    if not consume(transaction, pending):
        return None
    transaction.record(
        LedgerEvent(
            kind="refusal",
            request_id=new_request_id(),
            environment=environment,
            client_id=client.client_id,
            client_kind=client.kind,
            patient=member.patient if member is not None else "",
            actor=member.actor if member is not None else "",
            interaction="consent",
            detail="access_denied: the member did not allow it",
        )
    )
    return _respond(server, pending, None)


def _respond(server: SmartAuthorizationServer, pending: PendingRequest, consent: Consent | None) -> ProtocolResponse:
    request = ProtocolRequest("GET", {}, pending.parameters)
    response: ProtocolResponse
    try:
        grant = server.get_consent_grant(request, consent)
    except OAuth2Error as error:  # the registration changed while the member was deciding
        response = server.handle_error_response(request, error)
    else:
        response = server.create_authorization_response(request, grant_user=consent, grant=grant)
    return response


def _without_fhir_user(pending: PendingRequest) -> PendingRequest:
    return pending.with_scope(" ".join(word for word in pending.scope.split() if word not in FHIR_USER_SCOPES))
