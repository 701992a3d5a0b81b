"""/account/history: who got information of the signed-in member, or of somebody they act for, page by page and as a file.

42 CFR 422.119(g); the file: CSV (https://www.rfc-editor.org/rfc/rfc4180) or JSON, of the whole history.
"""

import csv
import hmac
import io
from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server import clock
from server.authorization import discovery, protocol
from server.authorization.authority import ActsFor, members
from server.authorization.authorization_server import Parameters
from server.authorization.browser import Session
from server.authorization.keys import derived_key, secret_key
from server.authorization.languages import Message, translate
from server.authorization.steps import SIGN_IN
from server.authorization.web_page import HEADERS, WebPages
from server.pages.access_history import Disclosed, history_page, whole_history
from server.settings import Settings
from server.storage.database import Database, Transaction

TEMPLATES = Path(__file__).parent / "templates"
HISTORY = discovery.ACCOUNT + "/history"
DOWNLOAD = HISTORY + "/download"
COLUMNS = (
    Message("Day"),
    Message("App"),
    Message("App id"),
    Message("What kinds"),
    Message("Records sent"),
    Message("Requests"),
    Message("First request"),
    Message("Last request"),
    Message("Allowed by"),
)
YOU, PAYERS_OWN = Message("you"), Message("nobody: a program of the health plan itself")
SOMEBODY = Message("the member, or who acts for them")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the beginning of a formula."""


class MemberNames:
    """Names a member in an address of the page, so that no Patient id is in one: the same name for an account, and for it alone."""

    def __init__(self, settings: Settings) -> None:
        self._key = derived_key(secret_key(settings), "names of members in addresses")

    def of(self, account: str, member: ActsFor) -> str:
        """The name of a member for an account."""
        return hmac.new(self._key, f"{account}|{member.patient}".encode(), sha256).hexdigest()[:20]

    def find(self, account: str, acts_for: Sequence[ActsFor], name: str) -> ActsFor | None:
        """The member of that name among those the account acts for; without a name, the first."""
        if not name:
            return acts_for[0] if acts_for else None
        return next((one for one in acts_for if hmac.compare_digest(self.of(account, one), name)), None)


def create_router(database: Database, settings: Settings) -> APIRouter:
    """``/account/history`` and its download."""
    pages = WebPages(settings, TEMPLATES)
    names = MemberNames(settings)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    def asked(
        transaction: Transaction, request: Request, query: Parameters
    ) -> tuple[Session, list[ActsFor], ActsFor] | Response:
        """Who is signed in, and the member asked for; or the answer to somebody who is not, or asks for somebody else."""
        browser = pages.browsers.of(request)
        session = pages.browsers.session(transaction, browser)
        if session is None:
            response = pages.redirect(pages.path(SIGN_IN))
            pages.browsers.remember_language(browser.chosen_language, response)
            return response
        acts_for = members(transaction, settings, session.account)
        name = query.data.get("member", "")
        member = names.find(session.account, acts_for, name) if name.isascii() else None
        if member is None:
            text = Message("There is no such member in your account.")
            return pages.problem(request, 404, Message("Not found"), text)
        return session, acts_for, member

    @router.get(HISTORY)
    def history(request: Request, query: Annotated[Parameters, Depends(protocol.query_parameters)]) -> Response:
        """A page of a member's access history."""
        with database.reading() as transaction:
            found = asked(transaction, request, query)
            if isinstance(found, Response):
                return found
            session, acts_for, member = found
            page = history_page(transaction, settings, member, session.account, _day(query.data.get("before", "")))
        return pages.render(
            pages.browsers.of(request),
            "account_history.html",
            signed_in=session.display_name,
            member=member,
            others=[(names.of(session.account, one), one.name) for one in acts_for if one.patient != member.patient],
            name=names.of(session.account, member),
            lines=page.lines,
            before=page.before,
            is_first=not query.data.get("before", ""),
            zone=settings.payer_time_zone,
            you=YOU,
            payers_own=PAYERS_OWN,
            somebody=SOMEBODY,
        )

    @router.get(DOWNLOAD)
    def download(request: Request, query: Annotated[Parameters, Depends(protocol.query_parameters)]) -> Response:
        """All of a member's access history as a file: ``form`` csv (the default) or json."""
        with database.reading() as transaction:
            found = asked(transaction, request, query)
            if isinstance(found, Response):
                return found
            session, _, member = found
            lines = whole_history(transaction, settings, member, session.account)
        language = pages.browsers.of(request).language
        is_json = query.data.get("form", "csv") == "json"
        told = [_told(line, language, settings, session) for line in lines]
        body = _json(member, told, settings) if is_json else _csv(told, language)
        media = "application/json" if is_json else "text/csv; charset=utf-8"
        disposition = f'attachment; filename="access-history.{"json" if is_json else "csv"}"'
        return Response(body, headers={**HEADERS, "Content-Type": media, "Content-Disposition": disposition})

    return router


def _day(text: str) -> date | None:
    """A date of an address; None for what is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _told(line: Disclosed, language: str, settings: Settings, session: Session) -> dict[str, Any]:
    by = session.display_name if line.by_reader else line.allowed_by
    moments = [clock.from_microseconds(at).astimezone(settings.time_zone) for at in (line.first, line.last)]
    return {
        "day": line.day.isoformat(),
        "app": line.app,
        "app_id": line.client_id,
        "kinds": [translate(language, title) for title in line.titles],
        "records": None if line.is_outline else line.records,
        "requests": None if line.is_outline else line.requests,
        "first": moments[0].isoformat(timespec="seconds"),
        "last": moments[1].isoformat(timespec="seconds"),
        "allowed_by": by or translate(language, PAYERS_OWN if line.by_payer else SOMEBODY),
    }


def _json(member: ActsFor, told: list[dict[str, Any]], settings: Settings) -> bytes:
    document = {"member": member.name, "time_zone": settings.payer_time_zone, "history": told}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _csv(told: list[dict[str, Any]], language: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([translate(language, name) for name in COLUMNS])
    for row in told:
        texts = (
            "; ".join(value) if isinstance(value, list) else "" if value is None else str(value)
            for value in row.values()
        )
        writer.writerow([_cell(text) for text in texts])
    return text.getvalue().encode("utf-8-sig")  # so that a spreadsheet reads the accents


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
