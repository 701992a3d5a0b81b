"""/compliance, for the payer's staff with that role: both usage measures to date, clocks, refusals and the ledger's health.

42 CFR 422.119(f) and its parallels; every number on the page links to what it counts. English only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from server import clock
from server.authorization.languages import ENGLISH, Message
from server.authorization.roles import COMPLIANCE, has_role
from server.authorization.steps import SIGN_IN
from server.authorization.web_page import HEADERS, WebPages
from server.metrics.compliance import Compliance, LatestCompliance
from server.metrics.forms.bars import Bars, bar_chart
from server.metrics.refusals import SECTIONS
from server.metrics.usage_document import UsageReport, content_hash, precisely
from server.pages import TEMPLATES
from server.settings import Settings
from server.storage.database import Database
from server.storage.stored_reports import REPORT_BY_ID

PATH = "/compliance"
REPORTS = PATH + "/reports"
MOST_BARS = 20
"""More reporting units than this are in the table only."""
OUTCOMES: Mapping[str, str] = {
    "in-time": "In time",
    "late": "Too late",
    "overdue": "Overdue",
    "running": "Still running",
}


def create_router(database: Database, settings: Settings, latest: LatestCompliance) -> APIRouter:
    """The page, and the stored reports it links to."""
    pages = WebPages(settings, TEMPLATES)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    def refusal(request: Request) -> tuple[Response | None, str]:
        """The answer to somebody who may not read this, or None; and who is signed in."""
        browser = pages.browsers.of(request)
        with database.reading() as transaction:
            session = pages.browsers.session(transaction, browser)
            if session is None:
                return pages.redirect(pages.path(SIGN_IN)), ""
            if has_role(transaction, session.account, COMPLIANCE):
                return None, session.display_name
        text = Message("This page is for staff of the health plan whose work it is.")
        return pages.problem(request, 403, Message("Not allowed"), text), ""

    @router.get(PATH)
    def page(request: Request) -> Response:
        """Everything on one page, as of the last minute."""
        refused, name = refusal(request)
        if refused is not None:
            return refused
        now = latest.get()
        return pages.render(
            replace(pages.browsers.of(request), language=ENGLISH),
            "compliance.html",
            signed_in=name,
            now=now,
            usage=now.usage,
            charts=_charts(now.usage),
            sections=SECTIONS,
            outcomes=OUTCOMES,
            clocks=_clocks(now),
            hours_since=_hours_since(now),
        )

    @router.get(REPORTS + "/{id}")
    def report(request: Request, id: str) -> Response:
        """A stored report as JSON, to keep: as it was stored, and checked against its hash."""
        refused, _ = refusal(request)
        if refused is not None:
            return refused
        with database.reading() as transaction:
            row = transaction.first(REPORT_BY_ID, {"report": id})
            if row is None:
                return pages.problem(request, 404, Message("Not found"), Message("There is no such page here."))
        moments = {"known_at": precisely(row.known_at), "generated_at": precisely(row.generated_at)}
        document = {**json.loads(row.content), **moments, "sha256": row.sha256}
        if content_hash(document) != row.sha256:
            told = f"{row.id} is not what was stored: its content has another SHA-256"
            return JSONResponse({"error": "not_as_stored", "error_description": told}, 500, headers=HEADERS)
        disposition = f'attachment; filename="{row.id}.json"'
        return JSONResponse(document, headers={**HEADERS, "Content-Disposition": disposition})

    return router


def _charts(usage: UsageReport | None) -> Mapping[str, Markup]:
    """The measures by month and by reporting unit; a chart of nothing is left out."""
    if usage is None:
        return {}
    titles = tuple(measure.title for measure in usage.measures)
    months = [Bars(share.name, share.values) for share in usage.by_month if share.name <= _month(usage.known_at)]
    charts = {}
    if months:
        words = f"Both measures for each month of {usage.year} so far. The table below has every number."
        charts["months"] = bar_chart("months", "Patients by month", words, titles, months, label_width=90)
    if 0 < len(usage.units) <= MOST_BARS:
        words = "Both measures for each reporting unit. The table below has every number."
        units = [Bars(figures.label, figures.values) for figures in usage.units]
        charts["units"] = bar_chart("units", "Patients by reporting unit", words, titles, units)
    return charts


def _month(moment: int) -> str:
    return clock.instant(moment)[:7]


def _clocks(now: Compliance) -> Sequence[tuple[str, str, Mapping[str, int]]]:
    """(slug, title, numbers by outcome) of the clocks of all prior authorizations together."""
    if now.clocks is None:
        return ()
    counted = now.clocks["organisation"]["clocks"]
    return [(slug, title, counted[slug]) for slug, title in now.clocks["clocks"].items() if counted[slug] is not None]


def _hours_since(now: Compliance) -> int | None:
    """Whole hours since the last anchoring, None if there was none."""
    at = now.ledger.anchored_at
    return (now.made_at - at) // 3_600_000_000 if at else None
