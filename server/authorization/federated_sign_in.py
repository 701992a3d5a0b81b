"""The pages around a sign-in at the payer's own OpenID provider: on to it, back from it, and what may go wrong.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth - no secret, no token and no claim is ever logged.
"""

import logging
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.authorization.authorization_server import Parameters
from server.authorization.federation import (
    Federation,
    SignedIn,
    SignInDeclinedError,
    StateLostError,
    UnknownMemberError,
)
from server.authorization.languages import Message
from server.authorization.provider_network import ProviderAnswerError, ProviderUnavailableError
from server.authorization.steps import CONSENT, SIGN_IN, Query, Steps
from server.authorization.web_page import WebPages
from server.storage.database import Database
from server.storage.ledger import EventLedger

START, CALLBACK, SIGNED_OUT = "/sign-in/start", "/sign-in/callback", "/signed-out"
_LOG = logging.getLogger(__name__)


def add_federated_routes(
    router: APIRouter, pages: WebPages, steps: Steps, database: Database, ledger: EventLedger, federation: Federation
) -> None:
    """``/sign-in/start``, ``/sign-in/callback`` and ``/signed-out``."""

    @router.get(START)
    def start(request: Request, query: Query) -> Response:
        """On to the provider, with a state, a nonce and a PKCE verifier bound to this browser."""
        with database.reading() as transaction:
            pending = steps.pending(transaction, query)
        if query.data.get("request") and pending is None:
            return steps.request_over(request)
        try:
            address, begun = federation.begin(pending)
        except ProviderUnavailableError as error:
            return unavailable(request, "" if pending is None else pending.reference, error)
        response = pages.redirect(address)
        pages.browsers.remember(pages.browsers.of(request), response)
        federation.remember(begun, response)
        return response

    @router.get(CALLBACK)
    def callback(request: Request, query: Query) -> Response:
        """Back from the provider: the answer is taken once."""
        state = query.data.get("state", "")
        try:
            begun = federation.begun(request, state)
        except StateLostError:
            text = Message(
                "It began in another browser, or it waited too long. Go back to where you came from and sign in again."
            )
            return problem(request, 400, Message("This sign-in is over"), text, "")
        try:
            person = federation.finish(ledger, begun, query.data)
        except (ProviderUnavailableError, ProviderAnswerError, SignInDeclinedError, UnknownMemberError) as error:
            response = refused(request, begun.reference, error)
        else:
            response = let_in(request, person)
        federation.forget(state, response)
        return response

    def let_in(request: Request, person: SignedIn) -> Response:
        if person.reference:
            response: Response = pages.redirect(f"{pages.path(CONSENT)}?request={quote(person.reference)}")
        else:
            response = steps.after_sign_in(None)
        with ledger.transaction() as transaction:
            pages.browsers.sign_in(
                transaction,
                pages.browsers.of(request),
                person.account,
                response,
                person.authenticated_at,
                person.provider_token,
            )
        return response

    def refused(request: Request, reference: str, error: Exception) -> Response:
        title = Message("You are not signed in")
        if isinstance(error, ProviderUnavailableError):
            return unavailable(request, reference, error)
        if isinstance(error, UnknownMemberError):
            _LOG.warning("somebody whom the OpenID provider knows is not connected with a member here")
            text = Message(
                "Your sign-in worked, but it is not connected with a member record here, so there is nothing to share. Please call the number on the member card."
            )
            return problem(request, 403, Message("We do not find your membership"), text, reference)
        if isinstance(error, SignInDeclinedError):
            _LOG.info("the OpenID provider answered %s", error.code)
            text = Message("The sign-in was broken off. Nothing was shared.")
            return problem(request, 400, title, text, reference)
        _LOG.warning("a sign-in at the OpenID provider was refused: %s", error)
        text = Message("We could not accept the answer of the sign-in service. Please try again.")
        return problem(request, 400, title, text, reference)

    def unavailable(request: Request, reference: str, error: Exception) -> Response:
        _LOG.error("the OpenID provider cannot be used: %s", error)
        text = Message("The sign-in service does not answer just now. Please try again in a few minutes.")
        return problem(request, 503, Message("Sign-in is not available"), text, reference)

    def problem(request: Request, status: int, title: Message, text: Message, reference: str) -> Response:
        browser = pages.browsers.of(request)
        return pages.render(browser, "sign_in_problem.html", status, title=title, text=text, reference=reference)

    @router.get(SIGNED_OUT)
    def signed_out(query: Query) -> Response:
        """Back from the provider's own sign-out."""
        with database.reading() as transaction:
            pending = steps.pending(transaction, Parameters((("request", query.data.get("state", "")),)))
        return steps.onwards(SIGN_IN, pending)
