"""The prior-authorization report as a table for the eye (100 columns), as CSV and as JSON.

CSV (https://www.rfc-editor.org/rfc/rfc4180) has a row for each measure of each reporting unit, and one for each item or service on its list;
its columns: docs/prior-authorization-report.md. What is for the payer's own use stands in rows whose ``part`` is ``internal``; the CSV that
is published has none of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from server import clock
from server.metrics.formats import WIDTH, row
from server.metrics.forms import spreadsheets
from server.metrics.forms.spreadsheets import Sheet
from server.metrics.levels import UNIT_COLUMNS
from server.metrics.prior_authorization_document import PriorAuthorizationReport, public_units
from server.metrics.prior_authorization_measures import ITEMS_NUMBER, ITEMS_SLUG, ITEMS_TITLE

CSV_COLUMNS = (
    *("year", "environment", "part", "level", "reporting_unit", *UNIT_COLUMNS, "number", "measure", "title", "count"),
    *("out_of", "percent", "mean", "median", "time_unit", "system", "code", "text", "definition", "definition_version"),
    *("time_zone", "starts", "ends_before", "known_at", "generated_at", "events", "event_digest", "sha256"),
)
NOT_AVAILABLE = "n/a"
PUBLIC, INTERNAL = "public", "internal"
_TOTAL = {"reporting_unit": "(organisation total)", "level": "organisation"}
_NOWHERE = {"reporting_unit": "(no reporting unit)", "level": "none"}


def as_json(report: PriorAuthorizationReport) -> str:
    """The whole report. ``sha256`` is of the rest without ``known_at`` and ``generated_at``: JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n"


def number(value: float | None) -> str:
    """A percentage or a time as it is written: two decimals, or n/a of no requests."""
    return NOT_AVAILABLE if value is None else f"{value:,.2f}"


def as_csv(report: PriorAuthorizationReport, *, public: bool = False) -> str:
    """The rows described at the top of this module; ``public``: nothing but what is published."""
    content = report.content
    shared = {
        **{name: content[name] for name in ("year", "environment", "time_zone", "starts", "ends_before")},
        **{name: content[name] for name in ("events", "event_digest")},
        "definition": content["definition"]["slug"],
        "definition_version": content["definition"]["version"],
        "known_at": clock.instant(report.known_at),
        "generated_at": clock.instant(report.generated_at),
        "sha256": report.sha256,
    }
    rows = (cells for cells in _rows(content) if not public or cells["part"] == PUBLIC)
    table = tuple(tuple({**shared, **cells}.get(name, "") for name in CSV_COLUMNS) for cells in rows)
    return spreadsheets.as_csv(Sheet("prior-authorization", CSV_COLUMNS, table))


def _rows(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    posted = [unit["reporting_unit"] for unit in public_units(content)]
    for unit in content["reporting_units"]:
        part = PUBLIC if unit["reporting_unit"] in posted else INTERNAL
        place = {name: unit[name] for name in ("reporting_unit", "level", *UNIT_COLUMNS)} | {"part": part}
        for item in unit["items"]:
            yield {**place, "number": ITEMS_NUMBER, "measure": ITEMS_SLUG, "title": ITEMS_TITLE, **item}
        yield from (place | cells for cells in _measures(content, unit))
    for place, figures in ((_NOWHERE, content["without_reporting_unit"]), (_TOTAL, content["organisation"])):
        yield from ({"part": INTERNAL} | place | cells for cells in _measures(content, figures))
    internal = content["internal"]
    for unit in internal["reporting_units"]:
        yield from ({"reporting_unit": unit["reporting_unit"]} | cells for cells in _clocks(internal, unit))
    for place, figures in ((_NOWHERE, internal["without_reporting_unit"]), (_TOTAL, internal["organisation"])):
        yield from (place | cells for cells in _clocks(internal, figures))


def _measures(content: Mapping[str, Any], figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for measure in content["measures"][1:]:
        found = figures["measures"][measure["slug"]]
        own = {
            "number": measure["number"],
            "measure": measure["slug"],
            "title": measure["title"],
            "out_of": found["out_of"],
        }
        if measure["kind"] == "time":
            times = {name: number(found[name]) for name in ("mean", "median")}
            yield {**own, **times, "time_unit": measure["unit"]}
        else:
            yield {**own, "count": found["count"], "percent": number(found["percent"])}


def _clocks(internal: Mapping[str, Any], figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, title in internal["clocks"].items():
        for outcome, count in (figures["clocks"][name] or {}).items():
            yield {"part": INTERNAL, "measure": f"{name}:{outcome}", "title": title, "count": count}
    for what, by_priority in figures["undecided"].items():
        for priority, count in by_priority.items():
            yield {
                "part": INTERNAL,
                "measure": f"{what}:{priority}",
                "title": "Requests without a decision",
                "count": count,
            }


def as_table(report: PriorAuthorizationReport) -> str:
    """The report as plain text, at most 100 columns wide."""
    return "\n".join(line.rstrip() for line in _lines(report)) + "\n"


def _lines(report: PriorAuthorizationReport) -> Iterator[str]:
    content = report.content
    yield from wrap(f"Prior-authorization report {report.year} · {content['payer']}", WIDTH)
    yield "=" * WIDTH
    yield f"Environment   {report.environment}"
    yield f"Received      {content['starts']} to before {content['ends_before']} ({content['time_zone']})"
    known = "" if report.is_of_a_complete_year else " (the year is not over: figures to date)"
    yield f"Known at      {clock.instant(report.known_at)}{known}"
    yield f"Events        {content['events']:,}"
    for note in content["notes"]:
        yield ""
        yield from wrap(note, WIDTH)
    places = [*content["reporting_units"], {**_NOWHERE, **content["without_reporting_unit"]}]
    for unit in [*places, {**_TOTAL, **content["organisation"]}]:
        if unit["level"] != "none" or any(unit["requests"].values()):
            yield ""
            yield from _unit(content, unit)
    yield ""
    yield from _internal(content["internal"])
    yield ""
    yield f"Definition {content['definition']['slug']}, version {content['definition']['version']}: {content['definition']['title']}"
    for text in (*content["definition"]["text"], content["citation"]):
        yield from wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"Event digest            {content['event_digest']}"
    yield f"SHA-256 of the content  {report.sha256}"


def _unit(content: Mapping[str, Any], unit: Mapping[str, Any]) -> Iterator[str]:
    received = unit["requests"]
    first = f"{unit['reporting_unit']}: {received['standard']:,} standard, {received['expedited']:,} expedited"
    yield from wrap(first, WIDTH, subsequent_indent="  ")
    yield row("-" * 60, "-" * 12, "-" * 12, "-" * 12)
    if "items" in unit:
        yield row(f"1  {ITEMS_TITLE}", f"{len(unit['items']):,}", "", "")
    yield row("", "Count", "Out of", "Percent")
    shares = [measure for measure in content["measures"] if measure["kind"] == "share"]
    yield from _measured(shares, unit, ("count", "out_of", "percent"))
    yield row("", "Out of", "Mean", "Median")
    times = [measure for measure in content["measures"] if measure["kind"] == "time"]
    yield from _measured(times, unit, ("out_of", "mean", "median"))


def _measured(measures: Sequence[Any], unit: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for measure in measures:
        found = unit["measures"][measure["slug"]]
        cells = [f"{found[name]:,}" if name in ("count", "out_of") else number(found[name]) for name in names]
        title = f"{measure['number']}  {measure['title']}" + (f", {measure['unit']}" if "unit" in measure else "")
        yield row(title, *cells)


def _internal(internal: Mapping[str, Any]) -> Iterator[str]:
    yield from wrap(internal["note"], WIDTH)
    yield row("Clock, of all units", *internal["outcomes"])
    yield row("-" * 60, *["-" * 9] * len(internal["outcomes"]))
    for name, title in internal["clocks"].items():
        counts = internal["organisation"]["clocks"][name]
        yield row(title, *[f"{counts[outcome]:,}" for outcome in internal["outcomes"]])
    for what, by_priority in internal["organisation"]["undecided"].items():
        yield f"Not decided, {what}: {by_priority['standard']:,} standard, {by_priority['expedited']:,} expedited"
    left = internal["not_counted"]
    yield f"Not counted: {left['drug']:,} for drugs, {left['without-receipt']:,} without a receipt. " + (
        f"Decided before receipt, no time: {left['decided-before-receipt']:,}"
    )
    yield f"Codes requested but not on the list: {len(internal['requested_but_not_listed']):,}"
    breaches = [breach for breach in internal["breaches"] if breach["clock"] == "decision"]
    yield f"Decisions too late: {len(breaches):,}; every breach, with its authorization, is in the JSON"
    for breach in breaches[:20]:
        named = breach["authorization_number"] or breach["authorization"]
        yield f"  {named}, {breach['priority']}: due before {breach['due_before']}, decided {breach['stopped'] or 'not yet'}"
