"""The FHIR API with its parts timed: for the Server-Timing header, and for spans that an OpenTelemetry collector gets.

https://www.w3.org/TR/server-timing/ and https://opentelemetry.io/docs/specs/semconv/http/http-spans/ - a span names the interaction and the
type, and never an id, a query, a member or an app. Used only if SERVER_TIMING or OTEL_EXPORTER_OTLP_ENDPOINT asks for it.
"""

from collections.abc import Awaitable
from time import perf_counter

from server import clock
from server.authorization.access import Access
from server.fhir.answer import Answer
from server.fhir.application import FHIRApplication
from server.fhir.routing import Receive, Request, Scope, Send
from server.storage.ledger import AnswerLedger, LedgerEvent
from server.tracing import AUTH, LEDGER, Origin, Timings, Tracer, timings


class TimedLedger(AnswerLedger):
    """Waiting for the commit is a part of the request."""

    async def record(self, event: LedgerEvent) -> None:
        """Return when the row is committed."""
        running = timings.get()
        if running is None:
            await super().record(event)
            return
        began = running.enter()
        try:
            await super().record(event)
        finally:
            running.leave(LEDGER, began)


class ObservedFHIRApplication(FHIRApplication):
    """The same API; ``tracer`` gets a span for every answer."""

    tracer: Tracer | None = None
    ledger_class = TimedLedger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        before = timings.set(Timings())
        try:
            await super().__call__(scope, receive, send)
        finally:
            timings.reset(before)

    async def _authenticate(self, request: Request) -> Access:
        running = timings.get()
        assert running is not None
        began = running.enter()
        try:
            return await super()._authenticate(request)
        finally:
            running.leave(AUTH, began)

    def _send(self, request: Request, answer: Answer, came: Origin, send: Send) -> Awaitable[None]:
        running, now = timings.get(), perf_counter()
        assert running is not None
        if self._settings.server_timing:
            answer.headers = {**answer.headers, "server-timing": running.server_timing(now)}
        if self.tracer is not None:
            came = self._traced(self.tracer, request, answer, came, running, now)
        return super()._send(request, answer, came, send)

    @staticmethod
    def _traced(tracer: Tracer, request: Request, answer: Answer, came: Origin, running: Timings, now: float) -> Origin:
        """Send the span; what the log says of its trace."""
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "http.response.status_code": answer.status,
            "fhir.interaction": answer.interaction,
            "fhir.resource_type": answer.resource_type,
            "patient_access.request_id": request.id,
        }
        trace_id = tracer.record(
            " ".join(["FHIR", *filter(None, (answer.interaction, answer.resource_type))]),
            clock.now_microseconds() * 1000,
            now - running.began,
            attributes,
            came,
            failed=answer.status >= 500,
            parts=[(name, began - running.began, ended - running.began) for name, began, ended in running.parts],
        )
        return Origin(came.request_id, trace_id)
