"""The member's way through an authorization: /authorize, and consent after the sign-in.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - without JavaScript; every form carries a CSRF token.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server.authorization import authorization_request, consent, consent_question, protocol
from server.authorization.access import environment_of
from server.authorization.authority import REASONS_OF_AUTHORITY, ActsFor, members
from server.authorization.authorization_request import Asked, PendingRequest
from server.authorization.authorization_server import Parameters, ProtocolResponse, SmartAuthorizationServer
from server.authorization.browser import Browser, Session
from server.authorization.clients import find_client
from server.authorization.consent_question import Choices, Question
from server.authorization.discovery import AUTHORIZE
from server.authorization.keys import SigningKeys
from server.authorization.languages import Message, supported
from server.authorization.plain_words import why_unavailable
from server.authorization.pushed_request import pulled
from server.authorization.steps import CONSENT, NO_FAILURE, SIGN_IN, Form, Query, Steps
from server.authorization.tokens import token_hash
from server.authorization.web_page import WebPages
from server.settings import Settings
from server.specification.standards import DEMOGRAPHICS
from server.storage.database import Database
from server.storage.ledger import EventLedger

NOBODY_CHOSEN = Message("Please choose whose information to share.")


def create_member_router(database: Database, settings: Settings, ledger: EventLedger, keys: SigningKeys) -> APIRouter:
    """The routes that people's browsers visit."""
    pages = WebPages(settings)
    steps = Steps(pages)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    @router.get(AUTHORIZE)
    @router.post(AUTHORIZE)
    def authorize(
        request: Request, parameters: Annotated[Parameters, Depends(protocol.authorize_parameters)]
    ) -> Response:
        """Check the request; keep it; send the member on to sign in or to decide."""
        with ledger.transaction() as transaction:
            client = find_client(transaction, parameters.data.get("client_id", ""))
            parameters = pulled(transaction, parameters)
            session = pages.browsers.session(transaction, pages.browsers.of(request))
            asked = Asked(settings, parameters, client, None if session is None else session.authenticated_at)
            refusal = authorization_request.refusal(asked)
            if refusal is not None:
                if client is not None:
                    server = SmartAuthorizationServer(transaction, settings, keys, "authorize")
                    server.record_refusal(client, refusal.error)
                if refusal.location:
                    return pages.redirect(refusal.location)
                text = Message(
                    "The app sent you here with a request that we cannot accept. Nothing was shared. Please tell the app's makers."
                )
                return pages.problem(
                    request,
                    400,
                    Message("This app cannot be connected"),
                    text,
                    code=refusal.error.error,
                    detail=refusal.error.get_error_description(),
                )
            pending = authorization_request.keep(transaction, asked)
        response = steps.onwards(
            SIGN_IN if session is None or pending.wants_new_sign_in(session.authenticated_at) else CONSENT, pending
        )
        pages.browsers.remember_language(supported(pending.ui_locales), response)
        return response

    @router.get(CONSENT)
    def show_consent(request: Request, query: Query) -> Response:
        """What the app asks for, in plain words."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            pending = steps.pending(transaction, query)
            if pending is None:
                return steps.request_over(request)
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return steps.onwards(SIGN_IN, pending)
            if pending.wants_new_sign_in(session.authenticated_at):
                return steps.onwards(SIGN_IN, pending)
            client = find_client(transaction, pending.client_id)
            acts_for = members(transaction, settings, session.account)
        if client is None or not client.is_active:
            return steps.request_over(request)
        question = consent_question.question(settings, client, pending.scope, browser.language)
        return _consent_page(browser, pending, session, question, acts_for, consent_question.first_choices(question))

    @router.post(CONSENT)
    def decide(request: Request, form: Form) -> Response:
        """The member's answer."""
        browser = pages.browsers.of(request)
        with ledger.transaction() as transaction:
            session = pages.browsers.session(transaction, browser)
            pending = steps.pending(transaction, form)
            if pending is None:
                return steps.request_over(request)
            if session is None or pending.wants_new_sign_in(session.authenticated_at):
                return steps.onwards(SIGN_IN, pending)
            if not browser.is_genuine(form.data.get("csrf", "")):
                return pages.form_expired(request)
            client = find_client(transaction, pending.client_id)
            if client is None or not client.is_active:
                return steps.request_over(request)
            acts_for = members(transaction, settings, session.account)
            chosen = _chosen(acts_for, form.data.get("patient", ""))
            server = SmartAuthorizationServer(transaction, settings, keys, "consent")
            if form.data.get("decision") == "allow":
                question = consent_question.question(settings, client, pending.scope, browser.language)
                choices = consent_question.choices(question, form.data)
                failure = NOBODY_CHOSEN if chosen is None else consent_question.complaint(question, choices)
                if chosen is None or failure:
                    return _consent_page(browser, pending, session, question, acts_for, choices, failure)
                session_hash = token_hash(browser.session_token)
                answer = consent.allow(transaction, server, pending, session, session_hash, chosen, choices)
            else:
                nobody = bool(acts_for) and all(member.unavailable for member in acts_for)
                named = acts_for[0] if nobody else chosen
                mark = named.environment if named is not None else None
                environment = environment_of(settings, client.environment, mark)
                reason = _why_not(acts_for)
                answer = consent.deny(transaction, server, pending, client, environment, named, reason)
        return steps.request_over(request) if answer is None else _to_app(request, answer)

    def _consent_page(
        browser: Browser,
        pending: PendingRequest,
        session: Session,
        question: Question,
        acts_for: list[ActsFor],
        choices: Choices,
        failure: Message = NO_FAILURE,
    ) -> Response:
        return pages.render(
            browser,
            "consent.html",
            status=400 if failure else 200,
            leaves=True,
            reference=pending.reference,
            question=question,
            choices=choices,
            members=acts_for,
            signed_in=session.display_name,
            failure=failure,
            nothing_left=failure == consent_question.NOTHING_LEFT,
            no_duration=failure == consent_question.NO_DURATION,
            share=consent_question.SHARE,
            demographics=DEMOGRAPHICS,
            why_unavailable=why_unavailable,
        )

    def _to_app(request: Request, answer: ProtocolResponse) -> Response:
        if answer.location is None:
            body = answer.body if isinstance(answer.body, dict) else {}
            text = Message(
                "The app's registration changed meanwhile. Nothing was shared. Go back to the app and connect again."
            )
            return pages.problem(
                request, 400, Message("This app cannot be connected"), text, code=body.get("error", "")
            )
        return pages.redirect(answer.location)

    return router


def _chosen(acts_for: list[ActsFor], patient: str) -> ActsFor | None:
    """The member chosen on the page, or the only one there is; never one of whom nothing can be shared."""
    if len(acts_for) == 1 and not patient:
        patient = acts_for[0].patient
    return next((member for member in acts_for if member.patient == patient and not member.unavailable), None)


def _why_not(acts_for: list[ActsFor]) -> str:
    """What the app is told of a no: the member's own, or why there was nobody whose information could be shared."""
    if not acts_for:
        return "no_member: The account that signed in is not connected with a member."
    code = acts_for[0].unavailable
    if not all(member.unavailable for member in acts_for):
        return consent.NOT_ALLOWED
    return f"{code}: {REASONS_OF_AUTHORITY.get(code, 'Nothing of the member can be shared now.')}"
