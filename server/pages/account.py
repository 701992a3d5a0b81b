"""/account: what a member shares with apps, grant by grant, and how to stop it.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html (management_endpoint) and 42 CFR 422.119(g)
"""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server.authorization import discovery, protocol
from server.authorization.authority import members
from server.authorization.authorization_server import Parameters
from server.authorization.grant_errors import REVOKED_BY_MEMBER
from server.authorization.languages import Message
from server.authorization.plain_words import why_ended, why_unavailable
from server.authorization.roles import COMPLIANCE, has_role
from server.authorization.steps import SIGN_IN
from server.authorization.tokens import end_grant, find_grant
from server.authorization.web_page import WebPages
from server.pages.access_history_page import MemberNames
from server.pages.shared_grants import member_apps
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger

TEMPLATES = Path(__file__).parent / "templates"
STOP = discovery.ACCOUNT + "/stop"


def create_router(database: Database, settings: Settings, ledger: EventLedger) -> APIRouter:
    """``/account``, where the member sees and stops apps."""
    pages = WebPages(settings, TEMPLATES)
    names = MemberNames(settings)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    @router.get(discovery.ACCOUNT)
    def account(request: Request, query: Annotated[Parameters, Depends(protocol.query_parameters)]) -> Response:
        """The member's connected apps."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            session = pages.browsers.session(transaction, browser)
            if session is None:
                response = pages.redirect(pages.path(SIGN_IN))
                pages.browsers.remember_language(browser.chosen_language, response)
                return response
            acts_for = members(transaction, settings, session.account)
            is_staff = has_role(transaction, session.account, COMPLIANCE)
            shown = [member_apps(transaction, member, session.account) for member in acts_for]
        return pages.render(
            browser,
            "account.html",
            signed_in=session.display_name,
            shown=shown,
            history_of=lambda member: names.of(session.account, member),
            stopped=query.data.get("stopped", "") == "yes",
            is_staff=is_staff,
            has_codes=settings.identity == "local",
            why_ended=why_ended,
            why_unavailable=why_unavailable,
        )

    @router.post(STOP)
    def stop(request: Request, form: Annotated[Parameters, Depends(protocol.form_parameters)]) -> Response:
        """End one grant of a member, or all of an app: its tokens give no access from the next request on."""
        browser = pages.browsers.of(request)
        with ledger.transaction() as transaction:
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return pages.redirect(pages.path(SIGN_IN))
            if not browser.is_genuine(form.data.get("csrf", "")):
                return pages.form_expired(request)
            acts_for = members(transaction, settings, session.account)
            member = next((one for one in acts_for if one.patient == form.data.get("patient", "")), None)
            if member is None:
                text = Message("There is no such member in your account.")
                return pages.problem(request, 404, Message("Not found"), text)
            client_id, grant_id = form.data.get("client", ""), form.data.get("grant", "")
            for app in member_apps(transaction, member, session.account).apps:
                for shared in app.grants:
                    if shared.id == grant_id or (not grant_id and app.client_id == client_id):
                        grant = find_grant(transaction, settings, shared.id)
                        if grant is not None:
                            reason = f"stopped by account {session.account}"
                            end_grant(transaction, grant, "account", reason, REVOKED_BY_MEMBER)
        return pages.redirect(pages.path(discovery.ACCOUNT) + "?stopped=yes")

    return router
