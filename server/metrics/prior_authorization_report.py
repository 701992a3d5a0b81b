"""The prior-authorization report: the nine public measures of a calendar year, by reporting unit, and the payer's clocks.

42 CFR 422.122(c), 431.80, 438.210(f), 457.732 and 45 CFR 156.223 (89 FR 8889). One pass over the year's events; what the figures mean is
in ``prior_authorization_measures``, and what of them is public in docs/prior-authorization-report.md.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from server import clock
from server.metrics.levels import REQUIRED, UNIT_COLUMNS, Place, places
from server.metrics.periods import period
from server.metrics.prior_authorization_clocks import CLOCKS, OUTCOMES, WITH_DECISION_CLOCK
from server.metrics.prior_authorization_document import KIND, LEVEL, PriorAuthorizationReport
from server.metrics.prior_authorization_items import Item, read_items
from server.metrics.prior_authorization_measures import (
    CITATION,
    ITEMS_NUMBER,
    ITEMS_SLUG,
    ITEMS_TITLE,
    MEASURES,
    REQUESTS_RECEIVED,
    Duration,
)
from server.metrics.prior_authorization_requests import requests
from server.metrics.prior_authorization_tally import Tally, is_inconsistent
from server.metrics.usage_document import Figures, InconsistentReportError, canonical
from server.settings import Settings
from server.storage import usage
from server.storage.database import Database
from server.storage.population import Population
from server.storage.prior_authorizations import RequestEvent

SHOWN_BY = "ExplanationOfBenefit"
"""The type of the resources in which members see their requests."""
_MODULUS = 2**256


class _Read:
    """What was read: the number of events, and a digest of them that their order does not change."""

    def __init__(self, environment: str, deployment: str) -> None:
        self.events = self._sum = 0
        self.left_out = 0
        self._environment, self._deployment = environment, deployment

    def of(self, events: Iterable[RequestEvent]) -> Iterator[RequestEvent]:
        """The events of the environment: it is production only if the deployment and the member both are."""
        for event in events:
            marks = {self._deployment, event.environment}
            if ("production" if marks == {"production"} else "test") != self._environment:
                self.left_out += 1
                continue
            self.events += 1
            self._sum = (self._sum + int.from_bytes(sha256(event.hash).digest())) % _MODULUS
            yield event

    @property
    def digest(self) -> str:
        """The sum of the SHA-256 hashes of the events' own, as hex."""
        return f"{self._sum:064x}"


def prior_authorization_report(
    database: Database, settings: Settings, *, year: int, environment: str = "production"
) -> PriorAuthorizationReport:
    """The report of a calendar year as of now. Raises ValueError for an impossible year, ItemsFileError for a list that cannot be
    read, InconsistentReportError for figures that contradict each other."""
    zone, now = settings.time_zone, clock.now_microseconds()
    of, items = period(zone, year), read_items(settings.prior_authorization_items_file)
    starts, ends = of.starts, of.ends
    read = _Read(environment, settings.environment)
    with database.reading() as transaction:
        units = {row.key: row for row in transaction.all(usage.reporting_units())}
        merged = places(LEVEL, units.values())
        place_of = {key: number for number, place in enumerate(merged) for key in place.keys}
        tallies = [Tally(place.unit[0] in WITH_DECISION_CLOCK) for place in merged]
        nowhere = Tally(True)
        total, problems, asked = Tally(True), Counter[str](), Counter[tuple[str, str]]()
        stream = Population(transaction).authorization_requests(SHOWN_BY, starts, ends, now)
        for request in requests(read.of(stream), now):
            if request.drug:
                problems["drug"] += _is_of(request.received, starts, ends)
                continue
            if request.received is None:
                problems["without-receipt"] += 1
            if not _is_of(request.received, starts, ends):
                continue
            problems["decided-before-receipt"] += request.decided is not None and request.took is None
            asked.update(request.items)
            place = None if request.unit is None else place_of.get(request.unit)
            tally = nowhere if place is None else tallies[place]
            tally.add(request, zone, now)
            total.add(request, zone, now, decides=tally.decides)
    if any(is_inconsistent(tally) for tally in (*tallies, nowhere, total)):
        raise InconsistentReportError("more requests are counted as decided than were received")
    content = {
        "report": KIND,
        "payer": settings.payer_name,
        "year": year,
        "environment": environment,
        "time_zone": settings.payer_time_zone,
        "starts": clock.instant(starts),
        "ends_before": clock.instant(ends),
        "level": LEVEL,
        "definition": {**asdict(REQUESTS_RECEIVED), "text": list(REQUESTS_RECEIVED.text)},
        "citation": CITATION,
        "measures": _measures(),
        "events": read.events,
        "event_digest": read.digest,
        "reporting_units": [
            {**_place(place), "items": _items(items, place, units), **tally.figures()}
            for place, tally in zip(merged, tallies, strict=True)
        ],
        "without_reporting_unit": nowhere.figures(),
        "organisation": total.figures(),
        "internal": {
            "note": "For the payer's own use: the rule asks for none of it.",
            "clocks": CLOCKS,
            "outcomes": list(OUTCOMES),
            "reporting_units": [
                {"reporting_unit": _label(place), **tally.clocks()}
                for place, tally in zip(merged, tallies, strict=True)
            ],
            "without_reporting_unit": nowhere.clocks(),
            "organisation": total.clocks(),
            "breaches": sorted(
                [
                    {"reporting_unit": label, **breach}
                    for label, tally in [*zip(map(_label, merged), tallies, strict=True), ("", nowhere)]
                    for breach in tally.breaches
                ],
                key=lambda breach: (breach["started"], breach["authorization"], breach["clock"]),
            ),
            "not_counted": {name: problems[name] for name in ("drug", "without-receipt", "decided-before-receipt")},
            "requested_but_not_listed": _unlisted(asked, items),
        },
        "notes": _notes(year, environment, total, nowhere, read, items),
    }
    as_stored = json.loads(canonical(content))
    return PriorAuthorizationReport(as_stored, starts, ends, known_at=now, generated_at=now)


def _is_of(moment: int | None, starts: int, ends: int) -> bool:
    return moment is not None and starts <= moment < ends


def _measures() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = [{"number": ITEMS_NUMBER, "slug": ITEMS_SLUG, "title": ITEMS_TITLE, "kind": "list",
               "definition": "What the payer lists; prior authorization of drugs is not part of it."}]  # fmt: skip
    for measure in MEASURES:
        kind = {"kind": "time", "unit": measure.unit_name} if isinstance(measure, Duration) else {"kind": "share"}
        own = {name: getattr(measure, name) for name in ("number", "slug", "title", "definition")}
        listed.append({**own, **kind})
    return listed


def _label(place: Place) -> str:
    return Figures(place.level, place.unit, (), (), 0).label


def _place(place: Place) -> dict[str, Any]:
    return {
        "reporting_unit": _label(place),
        "level": place.level,
        "is_public": place.unit[0] in REQUIRED,
        **dict(zip(UNIT_COLUMNS, place.unit, strict=True)),
    }


def _items(items: Sequence[Item], place: Place, units: Mapping[int, Any]) -> list[dict[str, str]]:
    own = [tuple(getattr(units[key], name) for name in UNIT_COLUMNS) for key in place.keys]
    found = {(row.system, row.code): row.text for row in reversed(items) if any(map(row.is_for, own))}
    return [{"system": system, "code": code, "text": text} for (system, code), text in sorted(found.items())]


def _unlisted(asked: Mapping[tuple[str, str], int], items: Sequence[Item]) -> list[dict[str, Any]]:
    listed = {(row.system, row.code) for row in items}
    return [
        {"system": system, "code": code, "requests": count}
        for (system, code), count in sorted(asked.items())
        if (system, code) not in listed
    ]


def _notes(year: int, environment: str, total: Tally, nowhere: Tally, read: _Read, items: Sequence[Item]) -> list[str]:
    """What a reader must know about these figures, in sentences."""
    notes = []
    if not total.requests:
        notes.append(f"No {environment} requests were received in {year}.")
    if read.left_out and not total.requests:
        other = "test" if environment == "production" else "production"
        notes.append(f"Events of {other} left out: {read.left_out}. --environment {other} shows them.")
    if nowhere.requests:
        notes.append(
            f"Requests without a reporting unit: {nowhere.requests}. Neither their events nor a Coverage that is loaded name one; "
            "they are in no unit's figures."
        )
    if not items:
        notes.append(
            "The list of items and services is empty: PRIOR_AUTHORIZATION_ITEMS_FILE is not set, or holds none."
        )
    return notes
