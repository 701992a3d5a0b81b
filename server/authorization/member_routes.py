"""The member's way through an authorization: /authorize, sign in, consent, sign out.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - without JavaScript; every form carries a CSRF token.
"""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from server.authorization import authorization_request, consent, consent_question, identity, protocol
from server.authorization.access import environment_of
from server.authorization.authority import REASONS_OF_AUTHORITY, ActsFor, members
from server.authorization.authorization_request import Asked, PendingRequest
from server.authorization.authorization_server import Parameters, ProtocolResponse, SmartAuthorizationServer
from server.authorization.browser import Browser, Session
from server.authorization.clients import RegisteredClient, find_client
from server.authorization.consent_question import Choices, Question
from server.authorization.discovery import ACCOUNT, AUTHORIZE
from server.authorization.identity import BusyError, sign_in
from server.authorization.keys import SigningKeys
from server.authorization.languages import Message, supported
from server.authorization.plain_words import why_unavailable
from server.authorization.pushed_request import pulled
from server.authorization.tokens import end_online_grants, token_hash
from server.authorization.web_page import WebPages
from server.settings import Settings
from server.specification.standards import DEMOGRAPHICS
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger

SIGN_IN, CONSENT, SIGN_OUT = "/sign-in", "/consent", "/sign-out"
WRONG = Message(
    "The username or the password is not right. Please try again. After several wrong tries, wait a minute."
)
NO_FAILURE = Message("")
NOBODY_CHOSEN = Message("Please choose whose information to share.")

Form = Annotated[Parameters, Depends(protocol.form_parameters)]
Query = Annotated[Parameters, Depends(protocol.query_parameters)]


def create_member_router(database: Database, settings: Settings, ledger: EventLedger, keys: SigningKeys) -> APIRouter:
    """The routes that people's browsers visit."""
    pages = WebPages(settings)
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
        response = _onwards(
            SIGN_IN if session is None or pending.wants_new_sign_in(session.authenticated_at) else CONSENT, pending
        )
        pages.browsers.remember_language(supported(pending.ui_locales), response)
        return response

    @router.get(SIGN_IN)
    def show_sign_in(request: Request, query: Query) -> Response:
        """The sign-in page; who is signed in already goes on."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            pending = _pending(transaction, query)
            session = pages.browsers.session(transaction, browser)
            client = None if pending is None else find_client(transaction, pending.client_id)
        if query.data.get("request") and pending is None:
            return _request_over(request)
        if session is not None and (pending is None or not pending.wants_new_sign_in(session.authenticated_at)):
            return _onwards(ACCOUNT if pending is None else CONSENT, pending)
        return _sign_in_page(browser, pending, client, username="" if pending is None else pending.login_hint)

    @router.post(SIGN_IN)
    async def do_sign_in(request: Request, form: Form) -> Response:
        """Check username and password; a failure waits here, where it holds no thread."""
        started = time.monotonic()
        response = await run_in_threadpool(check_sign_in, request, form)
        if response.status_code == 400:
            await asyncio.sleep(max(0.0, started + identity.FAILURE_SECONDS - time.monotonic()))
        return response

    def check_sign_in(request: Request, form: Parameters) -> Response:
        browser = pages.browsers.of(request)
        if not browser.is_genuine(form.data.get("csrf", "")):
            return pages.form_expired(request)
        with database.reading() as reading:
            pending = _pending(reading, form)
            client = None if pending is None else find_client(reading, pending.client_id)
        if form.data.get("request") and pending is None:
            return _request_over(request)
        username, password = form.data.get("username", ""), form.data.get("password", "")
        try:
            account = sign_in(database, ledger, settings, username, password)
        except BusyError:
            text = Message("Many people sign in at this moment. Go back and try again in a few seconds.")
            return pages.problem(request, 503, Message("We are busy, try again"), text)
        if account is None:
            return _sign_in_page(browser, pending, client, username=username, failure=WRONG)
        response = _onwards(ACCOUNT if pending is None else CONSENT, pending)
        with database.transaction() as transaction:
            pages.browsers.sign_in(transaction, browser, account, response)
        return response

    @router.get(CONSENT)
    def show_consent(request: Request, query: Query) -> Response:
        """What the app asks for, in plain words."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            pending = _pending(transaction, query)
            if pending is None:
                return _request_over(request)
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return _onwards(SIGN_IN, pending)
            if pending.wants_new_sign_in(session.authenticated_at):
                return _onwards(SIGN_IN, pending)
            client = find_client(transaction, pending.client_id)
            acts_for = members(transaction, settings, session.account)
        if client is None or not client.is_active:
            return _request_over(request)
        question = consent_question.question(settings, client, pending.scope, browser.language)
        return _consent_page(browser, pending, session, question, acts_for, consent_question.first_choices(question))

    @router.post(CONSENT)
    def decide(request: Request, form: Form) -> Response:
        """The member's answer."""
        browser = pages.browsers.of(request)
        with ledger.transaction() as transaction:
            session = pages.browsers.session(transaction, browser)
            pending = _pending(transaction, form)
            if pending is None:
                return _request_over(request)
            if session is None or pending.wants_new_sign_in(session.authenticated_at):
                return _onwards(SIGN_IN, pending)
            if not browser.is_genuine(form.data.get("csrf", "")):
                return pages.form_expired(request)
            client = find_client(transaction, pending.client_id)
            if client is None or not client.is_active:
                return _request_over(request)
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
        return _request_over(request) if answer is None else _to_app(request, answer)

    @router.post(SIGN_OUT)
    def sign_out(request: Request, form: Form) -> Response:
        """End the session, and go back to sign in as somebody else."""
        browser = pages.browsers.of(request)
        if not browser.is_genuine(form.data.get("csrf", "")):
            return pages.form_expired(request)
        with ledger.transaction() as transaction:
            pending = _pending(transaction, form)
            response = _onwards(SIGN_IN, pending)
            pages.browsers.sign_out(transaction, browser, response)
            end_online_grants(transaction, settings, token_hash(browser.session_token))
        return response

    def _pending(transaction: Transaction, parameters: Parameters) -> PendingRequest | None:
        reference = parameters.data.get("request", "")
        return authorization_request.find(transaction, reference) if reference else None

    def _onwards(path: str, pending: PendingRequest | None) -> Response:
        query = "" if pending is None else f"?request={pending.reference}"
        return pages.redirect(pages.path(path) + query)

    def _sign_in_page(
        browser: Browser,
        pending: PendingRequest | None,
        client: RegisteredClient | None,
        username: str = "",
        failure: Message = NO_FAILURE,
    ) -> Response:
        return pages.render(
            browser,
            "sign_in.html",
            status=400 if failure else 200,
            reference="" if pending is None else pending.reference,
            app="" if client is None else client.name,
            username=username,
            failure=failure,
        )

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

    def _request_over(request: Request) -> Response:
        text = Message(
            "It was answered already, or it waited too long. Go back to the app and connect again; nothing is lost."
        )
        return pages.problem(request, 400, Message("This request is over"), text)

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
