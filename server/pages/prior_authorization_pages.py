"""/prior-authorization-metrics: the payer's metrics of prior authorization, public, without an account, year by year.

42 CFR 422.122(c), 431.80, 438.210(f), 457.732 and 45 CFR 156.223: posted on the payer's website by March 31, for the calendar year before.
Nothing is shown but what the rule asks for: no clock, no breach, no request, nothing by code; see docs/prior-authorization-report.md.
"""

import re
from secrets import token_urlsafe
from typing import Any

from fastapi import APIRouter, Request
from pydantic import SecretStr
from starlette.responses import Response

from server.authorization.languages import Message
from server.authorization.web_page import STYLE_SHEET, WebPages
from server.metrics.prior_authorization_document import KIND, PriorAuthorizationReport, public_units, read
from server.metrics.prior_authorization_formats import as_csv, number
from server.pages import TEMPLATES
from server.settings import Settings
from server.storage import stored_reports
from server.storage.database import Database

PATH = "/prior-authorization-metrics"
LINES_OF_BUSINESS = {
    "medicare-advantage": "Medicare Advantage",
    "medicaid-ffs": "Medicaid fee for service",
    "chip-ffs": "CHIP fee for service",
    "medicaid-managed-care": "Medicaid managed care",
    "chip-managed-care": "CHIP managed care",
    "qhp": "Qualified health plans",
}
_NAMES = ("state", "program", "plan", "contract", "issuer")
_TIED_TO_THE_SERVER = re.compile(r'<link rel="(stylesheet|icon)"[^>]*>\n?')


def address(settings: Settings, year: int) -> str:
    """Where the metrics of a year are published."""
    return f"{settings.base_url}{PATH}/{year}"


def create_router(database: Database, settings: Settings) -> APIRouter:
    """The years, a year, and a year as CSV."""
    pages = WebPages(settings, TEMPLATES)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)
    asked = {"kind": KIND, "environment": settings.environment}

    def published(year: str) -> tuple[PriorAuthorizationReport, int] | None:
        """The report and when it was published."""
        if not re.fullmatch(r"[0-9]{4}", year):
            return None
        with database.reading() as transaction:
            row = transaction.first(stored_reports.PUBLISHED_OF_YEAR, {**asked, "year": int(year)})
        return None if row is None else (read(row), row.published_at)

    def nothing(request: Request) -> Response:
        text = Message("There is no such page here.")
        return pages.problem(request, 404, Message("Not found"), text)

    @router.get(PATH)
    def years() -> Response:
        """Every year of which metrics are published."""
        with database.reading() as transaction:
            rows = transaction.all(stored_reports.PUBLISHED_YEARS, asked)
        return pages.public("prior_authorization_years.html", base=PATH, years=rows)

    @router.get(PATH + "/{year}.csv")
    def as_table(request: Request, year: str) -> Response:
        """What the page of a year shows, as CSV."""
        found = published(year)
        if found is None:
            return nothing(request)
        name = f'attachment; filename="prior-authorization-metrics-{year}.csv"'
        headers = {"Content-Disposition": name, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(as_csv(found[0], public=True), media_type="text/csv; charset=utf-8", headers=headers)

    @router.get(PATH + "/{year}")
    def of_year(request: Request, year: str) -> Response:
        """The metrics of a year."""
        found = published(year)
        if found is None:
            return nothing(request)
        return pages.public(
            "prior_authorization_year.html", **_shown(found[0]), published_at=found[1], standalone=False, base=PATH
        )

    return router


def standalone(settings: Settings, report: PriorAuthorizationReport) -> str:
    """The page of a report as one file, with its style and without links into this server."""
    # A page without a form signs nothing: a command that writes it needs no key of the deployment.
    unsigned = settings.model_copy(update={"secret_key": SecretStr(token_urlsafe(32))})
    page = WebPages(unsigned, TEMPLATES).public(
        "prior_authorization_year.html", **_shown(report), published_at=None, standalone=True, base=address(settings, 0)
    )
    text = bytes(page.body).decode()
    style = f"<style>\n{STYLE_SHEET.decode()}</style>\n"
    return _TIED_TO_THE_SERVER.sub("", text).replace("</head>", f"{style}</head>", 1)


def _shown(report: PriorAuthorizationReport) -> dict[str, Any]:
    content = report.content
    units = [
        {
            "title": LINES_OF_BUSINESS[unit["line_of_business"]],
            "names": [f"{name if name != 'state' else 'State'} {unit[name]}" for name in _NAMES if unit[name]],
            "requests": unit["requests"],
            "items": unit["items"],
            "shares": _measured(content, unit, "share"),
            "times": _measured(content, unit, "time"),
        }
        for unit in public_units(content)
    ]
    return {"report": report, "content": content, "units": units}


def _measured(content: Any, unit: Any, kind: str) -> list[dict[str, Any]]:
    """The figures of a kind, as they are written."""
    found = []
    for measure in content["measures"]:
        if measure["kind"] == kind:
            figures = unit["measures"][measure["slug"]]
            written = {name: number(figures[name]) for name in ("percent", "mean", "median") if name in figures}
            counted = {name: f"{figures[name]:,}" for name in ("count", "out_of") if name in figures}
            found.append({**measure, **counted, **written})
    return found
