"""Sign in and sign out: with a password and perhaps a one-time code, or at the payer's own OpenID provider.

https://www.rfc-editor.org/rfc/rfc9700#section-4.7 and OpenID Connect RP-Initiated Logout 1.0 - every form carries a CSRF token.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from fastapi import APIRouter, Request
from sqlalchemy import Row
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from server.authorization import identity, totp
from server.authorization.attempts import AddressAttempts
from server.authorization.authorization_request import PendingRequest
from server.authorization.authorization_server import Parameters
from server.authorization.browser import Browser
from server.authorization.clients import RegisteredClient, find_client
from server.authorization.enrolment import served_plans
from server.authorization.federated_sign_in import add_federated_routes
from server.authorization.federation import Federation
from server.authorization.identity import BusyError, sign_in
from server.authorization.languages import Message
from server.authorization.provider_network import ProviderUnavailableError
from server.authorization.steps import NO_FAILURE, SIGN_IN, SIGN_OUT, Form, Query, Steps
from server.authorization.tokens import end_online_grants, token_hash
from server.authorization.totp import OneTimeCodes
from server.authorization.web_page import WebPages
from server.settings import Settings
from server.storage.account_store import ACCOUNT_BY_ID
from server.storage.database import Database
from server.storage.ledger import EventLedger

CODE, SET_UP = "/sign-in/code", "/sign-in/set-up"
WRONG = Message(
    "The username or the password is not right. Please try again. After several wrong tries, wait a minute."
)
WRONG_CODE = Message(
    "That code is not right, or it was used already. Please wait for the next one. After several wrong tries, wait a minute."
)
TOO_MANY = (
    Message("Too many wrong tries"),
    Message("They came from your network, perhaps not from you. Please wait a few minutes and try again."),
)
TOO_LATE = Message("That took too long. Please sign in again.")
_LOG = logging.getLogger(__name__)


def create_sign_in_router(database: Database, settings: Settings, ledger: EventLedger) -> APIRouter:
    """``/sign-in`` and ``/sign-out``, and what belongs to them by the setting IDENTITY."""
    pages = WebPages(settings)
    steps = Steps(pages)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)
    federation = Federation(settings) if settings.identity == "oidc" else None

    @router.get(SIGN_IN)
    def show_sign_in(request: Request, query: Query) -> Response:
        """The sign-in page; who is signed in already goes on."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            pending = steps.pending(transaction, query)
            session = pages.browsers.session(transaction, browser)
            client = None if pending is None else find_client(transaction, pending.client_id)
        if query.data.get("request") and pending is None:
            return steps.request_over(request)
        if session is not None and (pending is None or not pending.wants_new_sign_in(session.authenticated_at)):
            return steps.after_sign_in(pending)
        return sign_in_page(browser, pending, client, username="" if pending is None else pending.login_hint)

    def sign_in_page(
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
            federated=federation is not None,
            plans=served_plans(settings),
            note=settings.lines_not_served_note,
        )

    @router.post(SIGN_OUT)
    def sign_out(request: Request, form: Form) -> Response:
        """End the session, here and at the provider, and go back to sign in as somebody else."""
        browser = pages.browsers.of(request)
        if not browser.is_genuine(form.data.get("csrf", "")):
            return pages.form_expired(request)
        with ledger.transaction() as transaction:
            pending = steps.pending(transaction, form)
            session = pages.browsers.session(transaction, browser)
            response = steps.onwards(SIGN_IN, pending)
            pages.browsers.sign_out(transaction, browser, response)
            end_online_grants(transaction, settings, token_hash(browser.session_token))
        if federation is None or session is None:
            return response
        try:
            address = federation.sign_out_url(session.provider_token, "" if pending is None else pending.reference)
        except ProviderUnavailableError as error:
            _LOG.warning("nobody can be signed out at the OpenID provider: %s", error)
            address = ""
        if address:  # a page, not a redirect: browsers hold redirects behind a form against its page's form-action
            response = pages.render(browser, "leaving.html", address=address)
            pages.browsers.drop_session(response)
        return response

    if federation is None:
        _add_local_routes(router, pages, steps, database, settings, ledger, sign_in_page)
    else:
        add_federated_routes(router, pages, steps, database, ledger, federation)
    return router


def _add_local_routes(
    router: APIRouter,
    pages: WebPages,
    steps: Steps,
    database: Database,
    settings: Settings,
    ledger: EventLedger,
    sign_in_page: Callable[..., Response],
) -> None:
    codes = OneTimeCodes(settings)
    attempts = AddressAttempts(database, settings)

    async def answered(
        check: Callable[[Request, Parameters], Response], request: Request, form: Parameters
    ) -> Response:
        """The answer to a guess; a failure waits here, where it holds no thread."""
        started = time.monotonic()
        wait = await run_in_threadpool(attempts.wait, request)
        if wait:
            refusal = pages.problem(request, 429, *TOO_MANY)
            refusal.headers["Retry-After"] = str(wait)
            return refusal
        response = await run_in_threadpool(check, request, form)
        if response.status_code == 400:
            await asyncio.sleep(max(0.0, started + identity.FAILURE_SECONDS - time.monotonic()))
        return response

    @router.post(SIGN_IN)
    async def do_sign_in(request: Request, form: Form) -> Response:
        """Check username and password."""
        return await answered(check_password, request, form)

    @router.post(CODE)
    async def do_code(request: Request, form: Form) -> Response:
        """Check the one-time code that an account asks for after the password."""
        return await answered(check_code, request, form)

    @router.post(SET_UP)
    async def do_set_up(request: Request, form: Form) -> Response:
        """Begin with one-time codes, where they are required, by showing that the authenticator app works."""
        return await answered(check_set_up, request, form)

    def asked(request: Request, form: Parameters) -> Response | tuple[PendingRequest | None, RegisteredClient | None]:
        """The app's request that a form goes with, or the answer to a form that is not good."""
        if not pages.browsers.of(request).is_genuine(form.data.get("csrf", "")):
            return pages.form_expired(request)
        with database.reading() as reading:
            pending = steps.pending(reading, form)
            client = None if pending is None else find_client(reading, pending.client_id)
        if form.data.get("request") and pending is None:
            return steps.request_over(request)
        return pending, client

    def check_password(request: Request, form: Parameters) -> Response:
        found = asked(request, form)
        if isinstance(found, Response):
            return found
        pending, client = found
        browser = pages.browsers.of(request)
        username, password = form.data.get("username", ""), form.data.get("password", "")
        try:
            account = sign_in(database, ledger, settings, username, password)
        except BusyError:
            text = Message("Many people sign in at this moment. Go back and try again in a few seconds.")
            return pages.problem(request, 503, Message("We are busy, try again"), text)
        if account is None:
            attempts.guessed_wrong(request)
            return sign_in_page(browser, pending, client, username=username, failure=WRONG)
        row = account_row(account)
        if row is not None and row.totp_secret is not None:
            return code_page(browser, pending, codes.ticket(browser, account))
        if row is not None and settings.require_totp:
            secret = totp.new_secret()
            return set_up_page(browser, pending, codes.ticket(browser, account, secret), secret, row.username)
        return let_in(browser, pending, account)

    def check_code(request: Request, form: Parameters) -> Response:
        found = asked(request, form)
        if isinstance(found, Response):
            return found
        pending, client = found
        browser = pages.browsers.of(request)
        ticket = codes.opened(browser, form.data.get("ticket", ""))
        if ticket is None or ticket.secret:
            return sign_in_page(browser, pending, client, failure=TOO_LATE)
        if not codes.check(database, ledger, ticket.account, form.data.get("code", "")):
            attempts.guessed_wrong(request)
            return code_page(browser, pending, form.data["ticket"], WRONG_CODE)
        return let_in(browser, pending, ticket.account)

    def check_set_up(request: Request, form: Parameters) -> Response:
        found = asked(request, form)
        if isinstance(found, Response):
            return found
        pending, client = found
        browser = pages.browsers.of(request)
        ticket = codes.opened(browser, form.data.get("ticket", ""))
        row = None if ticket is None else account_row(ticket.account)
        if ticket is None or not ticket.secret or row is None:
            return sign_in_page(browser, pending, client, failure=TOO_LATE)
        with database.transaction() as transaction:
            is_on = codes.turn_on(transaction, ticket.account, ticket.secret, form.data.get("code", ""))
        if not is_on:
            return set_up_page(browser, pending, form.data["ticket"], ticket.secret, row.username, WRONG_CODE)
        return let_in(browser, pending, ticket.account)

    def let_in(browser: Browser, pending: PendingRequest | None, account: str) -> Response:
        response = steps.after_sign_in(pending)
        with database.transaction() as transaction:
            pages.browsers.sign_in(transaction, browser, account, response)
        return response

    def account_row(account: str) -> Row[tuple[object, ...]] | None:
        with database.reading() as reading:
            return reading.first(ACCOUNT_BY_ID, {"account": account})

    def code_page(
        browser: Browser, pending: PendingRequest | None, ticket: str, failure: Message = NO_FAILURE
    ) -> Response:
        return pages.render(
            browser,
            "one_time_code.html",
            status=400 if failure else 200,
            reference="" if pending is None else pending.reference,
            ticket=ticket,
            failure=failure,
        )

    def set_up_page(
        browser: Browser,
        pending: PendingRequest | None,
        ticket: str,
        secret: str,
        username: str,
        failure: Message = NO_FAILURE,
    ) -> Response:
        return pages.render(
            browser,
            "one_time_code_set_up.html",
            status=400 if failure else 200,
            action=SET_UP,
            reference="" if pending is None else pending.reference,
            ticket=ticket,
            secret=secret,
            picture=totp.picture(codes.uri(secret, username)),
            required=True,
            failure=failure,
        )
