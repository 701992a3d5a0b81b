"""/account/codes: a member turns one-time codes on or off.

https://www.rfc-editor.org/rfc/rfc6238 - only with IDENTITY=local; a provider has second factors of its own.
"""

import asyncio
import time

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from server.authorization import identity, totp
from server.authorization.authorization_server import Parameters
from server.authorization.browser import Browser, Session
from server.authorization.discovery import ACCOUNT
from server.authorization.languages import Message
from server.authorization.sign_in_routes import TOO_LATE, WRONG_CODE
from server.authorization.steps import NO_FAILURE, SIGN_IN, Form, Steps
from server.authorization.totp import OneTimeCodes
from server.authorization.web_page import WebPages
from server.settings import Settings
from server.storage.account_store import ACCOUNT_BY_ID
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger

CODES, OFF = ACCOUNT + "/codes", ACCOUNT + "/codes/off"


def create_code_router(database: Database, settings: Settings, ledger: EventLedger) -> APIRouter:
    """``/account/codes``."""
    pages = WebPages(settings)
    steps = Steps(pages)
    codes = OneTimeCodes(settings)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    def has_codes(transaction: Transaction, account: str) -> bool:
        row = transaction.first(ACCOUNT_BY_ID, {"account": account})
        return row is not None and row.totp_secret is not None

    @router.get(CODES)
    def show(request: Request) -> Response:
        """Whether they are on; if not, a new key."""
        browser = pages.browsers.of(request)
        with database.reading() as reading:
            session = pages.browsers.session(reading, browser)
            is_on = session is not None and has_codes(reading, session.account)
        if session is None:
            return steps.onwards(SIGN_IN, None)
        return settings_page(browser) if is_on else set_up_page(browser, session, totp.new_secret())

    @router.post(CODES)
    def turn_on(request: Request, form: Form) -> Response:
        """Turn them on, once the authenticator app shows the right code."""
        browser = pages.browsers.of(request)
        ticket = codes.opened(browser, form.data.get("ticket", ""))
        with database.transaction() as transaction:
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return steps.onwards(SIGN_IN, None)
            if not browser.is_genuine(form.data.get("csrf", "")):
                return pages.form_expired(request)
            if has_codes(transaction, session.account):
                return settings_page(browser)
            if ticket is None or ticket.account != session.account or not ticket.secret:
                return set_up_page(browser, session, totp.new_secret(), TOO_LATE)
            if not codes.turn_on(transaction, session.account, ticket.secret, form.data.get("code", "")):
                return set_up_page(browser, session, ticket.secret, WRONG_CODE)
        return pages.redirect(pages.path(CODES))

    @router.post(OFF)
    async def turn_off(request: Request, form: Form) -> Response:
        """Turn them off, with a code: who finds an open browser cannot."""
        started = time.monotonic()
        response = await run_in_threadpool(check_turn_off, request, form)
        if response.status_code == 400:
            await asyncio.sleep(max(0.0, started + identity.FAILURE_SECONDS - time.monotonic()))
        return response

    def check_turn_off(request: Request, form: Parameters) -> Response:
        browser = pages.browsers.of(request)
        with database.reading() as reading:
            session = pages.browsers.session(reading, browser)
        if session is None:
            return steps.onwards(SIGN_IN, None)
        if not browser.is_genuine(form.data.get("csrf", "")) or settings.require_totp:
            return pages.form_expired(request)
        if not codes.check(database, ledger, session.account, form.data.get("code", "")):
            return settings_page(browser, WRONG_CODE)
        with database.transaction() as transaction:
            codes.turn_off(transaction, session.account)
        return pages.redirect(pages.path(CODES))

    def settings_page(browser: Browser, failure: Message = NO_FAILURE) -> Response:
        return pages.render(
            browser,
            "one_time_code_settings.html",
            status=400 if failure else 200,
            required=settings.require_totp,
            failure=failure,
        )

    def set_up_page(browser: Browser, session: Session, secret: str, failure: Message = NO_FAILURE) -> Response:
        return pages.render(
            browser,
            "one_time_code_set_up.html",
            status=400 if failure else 200,
            action=CODES,
            reference="",
            ticket=codes.ticket(browser, session.account, secret),
            secret=secret,
            picture=totp.picture(codes.uri(secret, session.display_name)),
            required=False,
            failure=failure,
        )

    return router
