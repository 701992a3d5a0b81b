"""/metrics: what all workers count, and gauges of what /compliance shows, for Prometheus; only with METRICS_TOKEN, and only to who sends it.

https://prometheus.io/docs/instrumenting/exposition_formats/ - counts of the whole organisation alone: no member, no app, no reporting unit.
The rows of what is here stand in docs/observability.md.
"""

import hmac
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from starlette.responses import JSONResponse, Response

from server import __version__
from server.figures import BOUNDS, COUNTER, GAUGE, HISTOGRAM, METRICS, SUM, Figures, Metric
from server.metrics.compliance import Compliance, LatestCompliance
from server.metrics.measures import MEASURES
from server.settings import Settings
from server.storage.database import Database, DatabaseUnavailableError
from server.storage.export_store import open_jobs

PATH = "/metrics"
PATIENCE_SECONDS = 3.0
"""How long a scrape waits for the database, and for the figures of /compliance: what is not there by then comes with a later one."""
SECOND = 1_000_000
"""Microseconds."""
T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_NO_STORE = {"Cache-Control": "no-store"}
_OF = ("year", "environment")


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return Metric(f"patient_access_{name}", GAUGE, labels, help)


BUILD = _gauge("build_info", "1; the version is a label.", "version")
DATABASE_UP = _gauge("database_up", f"1 if the database answered within {PATIENCE_SECONDS:g} seconds of the scrape.")
EXPORTS_OPEN = _gauge("exports_open", "Exports of all workers that are not written to their end.")
ROWS_TODAY = _gauge("ledger_rows_today", "Rows written to the ledger since midnight in PAYER_TIME_ZONE.")
ROWS_NOT_ANCHORED = _gauge("ledger_rows_not_anchored", "Rows behind the last anchor, counted up to a million.")
NOT_ANCHORED = _gauge(
    "ledger_seconds_not_anchored", "Age of the ledger's first row that no anchor covers, 0 if there is none."
)
SINCE_ANCHOR = _gauge("ledger_seconds_since_anchor", "Seconds since a period of the ledger was anchored.")
DAYS_NOT_ROLLED_UP = _gauge("ledger_days_not_rolled_up", "Days of the ledger that are over and not rolled up.")
NOT_ROLLED_UP = _gauge(
    "ledger_seconds_not_rolled_up", "Seconds since the end of the oldest day that is over and not rolled up."
)
TRANSFERS = _gauge("transfers", "Answers that count as transfers, of the year to date.", *_OF)
REFUSALS = _gauge("refusals_this_month", "Refusals of the month to date.", "section")
PROBLEMS = _gauge("problems", "Figures that could not be computed.")
COMPUTED = _gauge("computed_timestamp_seconds", "When the figures of the ledger and the reports were computed.")
OF_MEASURES = {
    measure.slug: _gauge(
        measure.slug.replace("-", "_"), f"{measure.title}, of the year to date, as reported to CMS.", *_OF
    )
    for measure in MEASURES
}
ASKED = (
    *(BUILD, DATABASE_UP, EXPORTS_OPEN, ROWS_TODAY, ROWS_NOT_ANCHORED, NOT_ANCHORED, SINCE_ANCHOR),
    *(DAYS_NOT_ROLLED_UP, NOT_ROLLED_UP, *OF_MEASURES.values(), TRANSFERS, REFUSALS, PROBLEMS, COMPUTED),
)
"""What is asked of the database, once for all workers; of the ledger and the reports at most once a minute."""
Samples = Iterator[tuple[Metric, tuple[str, ...], float]]


def create_router(database: Database, settings: Settings, latest: LatestCompliance, figures: Figures) -> APIRouter:
    """The address, if METRICS_TOKEN is set; without it there is nothing there."""
    router = APIRouter(include_in_schema=False)
    if settings.metrics_token is None:
        return router
    expected = f"Bearer {settings.metrics_token.get_secret_value()}".encode()
    compliance = _Patience(latest.get)
    exports = _Patience(lambda: _open_exports(database))

    @router.get(PATH)
    def metrics(request: Request) -> Response:
        """The workers' figures of this moment, and those of the ledger as of the last minute."""
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            challenge = {"WWW-Authenticate": 'Bearer realm="metrics"', **_NO_STORE}
            told = {"error": "invalid_token", "error_description": "Send METRICS_TOKEN as a bearer token."}
            return JSONResponse(told, 401, headers=challenge)
        open_exports = exports.get()
        text = exposition(figures, open_exports, compliance.get() if open_exports is not None else None)
        return Response(text, headers={**_NO_STORE, "Content-Type": CONTENT_TYPE_LATEST})

    return router


class _Patience(Generic[T]):
    """Asks what may take long in a thread, one at a time, and waits for the answer only so long."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answer: T | None = None

    def get(self) -> T | None:
        """The answer of now; None when there is none, or not yet."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(PATIENCE_SECONDS)
        return None if thread.is_alive() else self._answer

    def _run(self) -> None:
        self._answer = None
        try:
            self._answer = self._ask()
        except DatabaseUnavailableError as error:
            _LOG.warning("no figures of the database: %s", error)
        except Exception:
            _LOG.exception("no figures of the database")


def _open_exports(database: Database) -> int:
    with database.reading() as transaction:
        return open_jobs(transaction)


def exposition(figures: Figures, open_exports: int | None, now: Compliance | None) -> bytes:
    """Everything in Prometheus' text format. ``open_exports`` None: the database does not answer. What is not known is left out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector([*_of_workers(figures), *_of_database(open_exports, now)]))
    return generate_latest(registry)


class _Collector:
    """Families that are there already."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return self._families


def _of_workers(figures: Figures) -> Iterator[Family]:
    found = figures.everything()
    for metric in METRICS:
        series = [(key[1:], values) for key, values in found.items() if key[0] == metric.name]
        if metric.kind == HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, values in series:
                histogram.add_metric(labels, _buckets(values), values[SUM])
            yield histogram
        elif metric.kind == COUNTER:
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, values in series:
                counter.add_metric(labels, values[0])
            yield counter
        else:
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=(*metric.labels, "worker"))
            for labels, values in series:
                gauge.add_metric(labels, values[0])
            yield gauge


def _buckets(values: list[float]) -> list[tuple[str, float]]:
    found, total = [], 0.0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), values[:SUM], strict=True):
        total += count
        found.append((bound, total))
    return found


def _of_database(open_exports: int | None, now: Compliance | None) -> Iterator[Family]:
    families: dict[str, GaugeMetricFamily] = {}
    for metric, labels, value in _asked(open_exports, now):
        family = families.get(metric.name)
        if family is None:
            family = families[metric.name] = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        family.add_metric(labels, value)
    yield from families.values()


def _asked(open_exports: int | None, now: Compliance | None) -> Samples:
    yield BUILD, (__version__,), 1
    yield DATABASE_UP, (), float(open_exports is not None)
    if open_exports is not None:
        yield EXPORTS_OPEN, (), open_exports
    if now is None:
        return
    of = (str(now.year), now.environment)
    if now.usage is not None:
        for measure, value in zip(now.usage.measures, now.usage.total.values, strict=True):
            yield OF_MEASURES[measure.slug], of, value
        yield TRANSFERS, of, now.usage.transfers
    ledger = now.ledger
    yield ROWS_TODAY, (), ledger.rows_today
    yield ROWS_NOT_ANCHORED, (), ledger.rows_not_anchored
    yield NOT_ANCHORED, (), _age(now, ledger.not_anchored_since)
    if ledger.anchored_at:
        yield SINCE_ANCHOR, (), _age(now, ledger.anchored_at)
    yield DAYS_NOT_ROLLED_UP, (), ledger.health.days_not_rolled_up
    yield NOT_ROLLED_UP, (), _age(now, ledger.not_rolled_up_since)
    for section, count in now.refused_by_section.items():
        yield REFUSALS, (section,), count
    yield PROBLEMS, (), len(now.problems)
    yield COMPUTED, (), now.made_at / SECOND


def _age(now: Compliance, moment: int) -> float:
    return max(0.0, (now.made_at - moment) / SECOND) if moment else 0.0
