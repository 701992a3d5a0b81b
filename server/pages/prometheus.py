"""/metrics: gauges of what /compliance shows, for Prometheus; only with METRICS_TOKEN, and only to who sends it.

https://prometheus.io/docs/instrumenting/exposition_formats/ - counts of the whole organisation alone: no member, no app, no reporting unit.
"""

import hmac

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from server.metrics.compliance import Compliance, LatestCompliance
from server.settings import Settings
from server.storage.database import DatabaseUnavailableError

PATH = "/metrics"
SECOND = 1_000_000
"""Microseconds."""
_NO_STORE = {"Cache-Control": "no-store"}


def create_router(settings: Settings, latest: LatestCompliance) -> APIRouter:
    """The address, if METRICS_TOKEN is set; without it there is nothing there."""
    router = APIRouter(include_in_schema=False)
    if settings.metrics_token is None:
        return router
    expected = f"Bearer {settings.metrics_token.get_secret_value()}".encode()

    @router.get(PATH)
    def metrics(request: Request) -> Response:
        """The gauges as of the last minute."""
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            challenge = {"WWW-Authenticate": 'Bearer realm="metrics"', **_NO_STORE}
            told = {"error": "invalid_token", "error_description": "Send METRICS_TOKEN as a bearer token."}
            return JSONResponse(told, 401, headers=challenge)
        try:
            text = exposition(latest.get())
        except DatabaseUnavailableError:
            return PlainTextResponse("the database does not answer\n", 503, headers={**_NO_STORE, "Retry-After": "5"})
        return Response(text, headers={**_NO_STORE, "Content-Type": CONTENT_TYPE_LATEST})

    return router


def exposition(now: Compliance) -> bytes:
    """The gauges in Prometheus' text format. What is not known is left out."""
    registry = CollectorRegistry()

    def gauge(name: str, words: str, value: float, **labels: str) -> None:
        own = Gauge(f"patient_access_{name}", words, list(labels), registry=registry)
        (own.labels(**labels) if labels else own).set(value)

    of = {"year": str(now.year), "environment": now.environment}
    if now.usage is not None:
        for measure, value in zip(now.usage.measures, now.usage.total.values, strict=True):
            gauge(
                measure.slug.replace("-", "_"), f"{measure.title}, of the year to date, as reported to CMS", value, **of
            )
        gauge("transfers", "Answers that count as transfers, of the year to date", now.usage.transfers, **of)
    gauge("ledger_rows_today", "Rows written to the ledger since midnight in PAYER_TIME_ZONE", now.ledger.rows_today)
    if now.ledger.anchored_at:
        seconds = (now.made_at - now.ledger.anchored_at) / SECOND
        gauge("ledger_seconds_since_anchor", "Seconds since a period of the ledger was anchored", seconds)
    behind = now.ledger.health.days_not_rolled_up
    gauge("ledger_days_not_rolled_up", "Days of the ledger that are over and not rolled up", behind)
    refused = Gauge(
        "patient_access_refusals_this_month", "Refusals of the month to date", ["section"], registry=registry
    )
    for section, count in now.refused_by_section.items():
        refused.labels(section=section).set(count)
    gauge("problems", "Figures that could not be computed", len(now.problems))
    gauge("computed_timestamp_seconds", "When these figures were computed", now.made_at / SECOND)
    return generate_latest(registry)
