"""/account: a member's connected apps, since when, their last pull, and how to stop them.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html (management_endpoint) and 42 CFR 422.119(g)
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server import clock
from server.authorization import discovery, protocol
from server.authorization.authority import ActsFor, members
from server.authorization.authorization_server import Parameters
from server.authorization.consent_question import visible_data
from server.authorization.languages import Message
from server.authorization.member_routes import SIGN_IN
from server.authorization.tokens import end_grant, find_grant
from server.authorization.web_page import WebPages
from server.settings import Settings
from server.storage.authorization_store import LAST_PULLS_OF_MEMBER, LIVE_GRANTS_OF_MEMBER
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger

TEMPLATES = Path(__file__).parent / "templates"
STOP = discovery.ACCOUNT + "/stop"


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """All live grants of one app for one member, as one line. Times are microseconds; ``last_pull`` None: nothing yet."""

    client_id: str
    name: str
    since: int
    until: int
    last_pull: int | None
    sees: tuple[str, ...]
    grants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberApps:
    """A member and the apps that see their information."""

    member: ActsFor
    apps: tuple[ConnectedApp, ...]


def connected_apps(transaction: Transaction, patient: str) -> tuple[ConnectedApp, ...]:
    """The apps that a member shares with now, the first connected first."""
    live = transaction.all(LIVE_GRANTS_OF_MEMBER, {"member": patient, "moment": clock.now_microseconds()})
    pulls = {row.grant_id: row.last_pull for row in transaction.all(LAST_PULLS_OF_MEMBER, {"member": patient})}
    by_client: dict[str, list[int]] = {}
    for index, row in enumerate(live):
        by_client.setdefault(row.client_id, []).append(index)
    apps = []
    for client_id, indexes in by_client.items():
        rows = [live[index] for index in indexes]
        apps.append(
            ConnectedApp(
                client_id=client_id,
                name=rows[0].name,
                since=min(row.created_at for row in rows),
                until=max(row.expires_at for row in rows),
                last_pull=max((pulls[row.id] for row in rows if row.id in pulls), default=None),
                sees=visible_data(" ".join(row.scope for row in rows)),
                grants=tuple(row.id for row in rows),
            )
        )
    return tuple(apps)


def create_router(database: Database, settings: Settings, ledger: EventLedger) -> APIRouter:
    """``/account``, where the member sees and stops apps."""
    pages = WebPages(settings, TEMPLATES)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    @router.get(discovery.ACCOUNT)
    def account(request: Request, query: Annotated[Parameters, Depends(protocol.query_parameters)]) -> Response:
        """The member's connected apps."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return pages.redirect(pages.path(SIGN_IN))
            acts_for = members(transaction, settings, session.account)
            shown = [MemberApps(member, connected_apps(transaction, member.patient)) for member in acts_for]
        return pages.render(
            browser,
            "account.html",
            signed_in=session.display_name,
            shown=shown,
            stopped=query.data.get("stopped", "") == "yes",
        )

    @router.post(STOP)
    def stop(request: Request, form: Annotated[Parameters, Depends(protocol.form_parameters)]) -> Response:
        """End every live grant of an app for a member: its tokens give no access from the next request on."""
        browser = pages.browsers.of(request)
        with ledger.transaction() as transaction:
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return pages.redirect(pages.path(SIGN_IN))
            if not browser.is_genuine(form.data.get("csrf", "")):
                return pages.form_expired(request)
            patient, client_id = form.data.get("patient", ""), form.data.get("client", "")
            if patient not in {member.patient for member in members(transaction, settings, session.account)}:
                return pages.problem(
                    request, 404, Message("Not found"), Message("There is no such member in your account.")
                )
            for app in connected_apps(transaction, patient):
                for grant_id in app.grants if app.client_id == client_id else ():
                    grant = find_grant(transaction, settings, grant_id)
                    if grant is not None:
                        end_grant(transaction, grant, "account", f"stopped by account {session.account}")
        return pages.redirect(pages.path(discovery.ACCOUNT) + "?stopped=yes")

    return router
