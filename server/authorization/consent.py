"""Consent: what the member's answer does. Yes is a grant and a code, no is ``access_denied``; both go to the app by redirect.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#response-4 and RFC 6749 section 4.1.2
"""

from authlib.oauth2.rfc6749 import AccessDeniedError, OAuth2Error

from server.authorization.authority import ActsFor
from server.authorization.authorization_request import PendingRequest, answer_location, consume
from server.authorization.authorization_server import (
    ProtocolRequest,
    ProtocolResponse,
    SmartAuthorizationServer,
    describable,
)
from server.authorization.browser import Session
from server.authorization.clients import RegisteredClient
from server.authorization.consent_question import Choices
from server.authorization.grants import Consent
from server.authorization.scopes import withhold
from server.storage.ledger import LedgerEvent, RecordingTransaction, new_request_id

NOT_ALLOWED = "The member did not allow it."


def allow(
    transaction: RecordingTransaction,
    server: SmartAuthorizationServer,
    pending: PendingRequest,
    session: Session,
    session_hash: bytes,
    member: ActsFor,
    choices: Choices,
) -> ProtocolResponse | None:
    """The member's yes to what they left ticked: a grant and a code. None when the request was answered before."""
    if not consume(transaction, pending):
        return None
    scope = withhold(pending.scope, choices.withheld)
    return _respond(
        server,
        pending.with_scope(scope),
        Consent(
            account=session.account,
            member=member,
            authenticated_at=session.authenticated_at,
            duration=choices.duration,
            withheld=choices.withheld,
            session_hash=session_hash,
        ),
    )


def deny(
    transaction: RecordingTransaction,
    server: SmartAuthorizationServer,
    pending: PendingRequest,
    client: RegisteredClient,
    environment: str,
    member: ActsFor | None,
    reason: str = NOT_ALLOWED,
) -> ProtocolResponse | None:
    """No: ``access_denied`` with the reason to the app, and a refusal in the ledger. None when the request was answered before."""
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
            detail=f"access_denied: {reason}",
        )
    )
    return _respond(server, pending, None, reason)


def _respond(
    server: SmartAuthorizationServer, pending: PendingRequest, consent: Consent | None, reason: str = ""
) -> ProtocolResponse:
    request = ProtocolRequest("GET", {}, pending.parameters)
    response: ProtocolResponse
    try:
        grant = server.get_consent_grant(request, consent)
    except OAuth2Error as error:  # the registration changed while the member was deciding
        response = server.handle_error_response(request, error)
        return response
    if consent is None:
        denied = AccessDeniedError(description=describable(reason))
        state = pending.parameters.data.get("state", "")
        location = answer_location(server.settings, pending.redirect_uri, state, denied)
        return ProtocolResponse(302, "", [("location", location)])
    response = server.create_authorization_response(request, grant_user=consent, grant=grant)
    return response
