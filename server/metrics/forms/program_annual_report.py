"""Topic XIV of the Managed Care Program Annual Report (MCPAR): the items D1.XIV.1 to .5, per plan within a program.

42 CFR 438.242(b)(5)(iii); the items, as they are worded: https://github.com/Enterprise-CMCS/macpro-mdct-mcr (the application in which States type them).
"""

import json
from typing import Any

from server import clock
from server.metrics.forms.due import Addresses, made_of, of_a_year, places_due, remarks
from server.metrics.forms.spreadsheets import Cell, Sheet
from server.metrics.levels import UNIT_COLUMNS
from server.metrics.usage_document import Figures, UsageReport

LINES_OF_BUSINESS = ("medicaid-managed-care",)
ITEMS = (
    ("D1.XIV.1", "Number of unique beneficiaries with at least one data transfer"),
    ("D1.XIV.2", "Number of unique beneficiaries with multiple data transfers"),
    ("D1.XIV.3", "URL for Patient Access API"),
    ("D1.XIV.4", "URL for patient educational resources for Patient Access API"),
    ("D1.XIV.5", "Provider Access and Payer-to-Payer API patient educational resources URL"),
)
COLUMNS = ("Year", "State", "Program", "Plan", "Contract", "Item", "Label", "Value", "Comment")
_NAME = "MCPAR topic XIV"


def as_sheet(report: UsageReport, addresses: Addresses) -> Sheet:
    """A row for each item of each plan in each program. Raises FormError when nothing is due on this form."""
    rows: list[tuple[Cell, ...]] = []
    comment = " ".join((*remarks(report), made_of(report)))
    for figures in _plans(report):
        place = [_named(figures)[name] for name in ("state", "program", "plan", "contract")]
        for (item, label), value in zip(ITEMS, _values(figures, addresses), strict=True):
            rows.append((report.year, *place, item, label, value, comment))
    return Sheet("MCPAR D1.XIV", COLUMNS, tuple(rows))


def as_json(report: UsageReport, addresses: Addresses) -> str:
    """The same by program and plan: ``programs`` [``state``, ``program``, ``plans`` [``plan``, ``contract``, ``items`` by number]].

    Raises FormError when nothing is due on this form.
    """
    programs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for figures in _plans(report):
        place = _named(figures)
        items = {
            item: {"label": label, "value": value}
            for (item, label), value in zip(ITEMS, _values(figures, addresses), strict=True)
        }
        plan = {"plan": place["plan"], "contract": place["contract"], "items": items}
        programs.setdefault((place["state"], place["program"]), []).append(plan)
    document = {
        "form": "MCPAR D1.XIV",
        "year": report.year,
        "environment": report.environment,
        "in_progress": report.in_progress,
        "remarks": list(remarks(report)),
        "definition": report.definition.slug,
        "definition_version": report.definition.version,
        "known_at": clock.instant(report.known_at),
        "report_sha256": report.sha256,
        "programs": [
            {"state": state, "program": program, "plans": plans} for (state, program), plans in programs.items()
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _plans(report: UsageReport) -> tuple[Figures, ...]:
    of_a_year(report, _NAME)
    return places_due(report, LINES_OF_BUSINESS, _NAME)


def _values(figures: Figures, addresses: Addresses) -> tuple[int | str, ...]:
    return (*figures.values, addresses.api, addresses.for_members, addresses.for_members_on_siblings)


def _named(figures: Figures) -> dict[str, str]:
    return dict(zip(UNIT_COLUMNS, figures.unit, strict=True))
