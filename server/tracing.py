"""Where the time of a request goes: parts of it as Server-Timing shows them, and spans for an OpenTelemetry collector.

https://www.w3.org/TR/server-timing/, https://www.w3.org/TR/trace-context/ and https://opentelemetry.io/docs/specs/otel/ - nothing of it runs unless a setting asks for it.
"""

import importlib.util
import os
import re
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.context import Context

AUTH, DATABASE, LEDGER, TOTAL = "auth", "db", "ledger", "total"
"""The token check with its look-up; the look-ups of the answer; waiting for the ledger's commit. None holds another."""
EXTRA = "telemetry"
_MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_SECOND = 1_000_000_000


class TelemetryMissingError(Exception):
    """Spans are asked for, and what sends them is not installed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, in the words of a trusted proxy: '' what it did not say, or nobody who is trusted said."""

    request_id: str = ""
    trace_id: str = ""
    parent_id: str = ""
    is_sampled: bool = False


NOWHERE = Origin()
FROM_PROXY = "patient_access.from_proxy"
"""A key of an ASGI scope: the connection comes from one of TRUSTED_PROXIES."""
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[!-~]{0,200})?"
)
_CORRELATION = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What of somebody else's request id is safe to write, and to send back."""


def origin(request_id: bytes, traceparent: bytes) -> Origin:
    """What a trusted proxy's X-Request-Id and traceparent say, b'' where there is none. What is not well-formed is not believed."""
    trace = _TRACEPARENT.fullmatch(traceparent)
    return Origin(
        request_id.decode() if _CORRELATION.fullmatch(request_id) else "",
        trace[1].decode() if trace else "",
        trace[2].decode() if trace else "",
        bool(trace and int(trace[3], 16) & 1),
    )


class Timings:
    """The parts of one request, in seconds of ``perf_counter``."""

    __slots__ = ("_inside", "began", "parts")

    def __init__(self) -> None:
        self.began = perf_counter()
        self.parts: list[tuple[str, float, float]] = []
        self._inside = False

    def enter(self) -> float:
        """A part begins: when, for ``leave``; 0.0 inside of another part, whose time it is."""
        if self._inside:
            return 0.0
        self._inside = True
        return perf_counter()

    def leave(self, name: str, began: float) -> None:
        """The part that ``enter`` began is over."""
        if began:
            self._inside = False
            self.parts.append((name, began, perf_counter()))

    def server_timing(self, now: float) -> str:
        """The header's value: milliseconds of every part that there was, and of all."""
        seconds: dict[str, float] = {}
        for name, began, ended in self.parts:
            seconds[name] = seconds.get(name, 0.0) + ended - began
        seconds[TOTAL] = now - self.began
        return ", ".join([f"{name};dur={spent * 1000:.2f}" for name, spent in seconds.items()])


timings: ContextVar[Timings | None] = ContextVar("timings", default=None)
"""Those of the request in whose work something runs."""


def check_installed() -> None:
    """Raises TelemetryMissingError."""
    for module in _MODULES:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise TelemetryMissingError(
                f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {module} is missing: pip install 'patient-access[{EXTRA}]'"
            )


class Tracer:
    """Sends spans to a collector, in the background; a collector that does not answer costs spans, and no request."""

    def __init__(self, endpoint: str, version: str) -> None:
        """``endpoint``: the collector's base URL. Raises TelemetryMissingError."""
        check_installed()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        own: dict[str, str] = {"service.version": version}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            own["service.name"] = "patient-access"
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("server", version)

    def record(
        self,
        name: str,
        ended: int,
        seconds: float,
        attributes: Mapping[str, str | int],
        came: Origin,
        *,
        failed: bool = False,
        parts: Sequence[tuple[str, float, float]] = (),
    ) -> str:
        """A request that is over at ``ended`` (nanoseconds since 1970 UTC) after so many seconds, with its ``parts`` in seconds since it
        began, under the span that its caller named. Answers the id of its trace."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        began = ended - int(seconds * _SECOND)
        span = self._tracer.start_span(
            name, _context(came), kind=SpanKind.SERVER, attributes=dict(attributes), start_time=began
        )
        if span.is_recording():
            inside = set_span_in_context(span)
            for part, since, until in parts:
                child = self._tracer.start_span(part, inside, start_time=began + int(since * _SECOND))
                child.end(began + int(until * _SECOND))
            if failed:
                span.set_status(StatusCode.ERROR)
        span.end(ended)
        return f"{span.get_span_context().trace_id:032x}"

    def close(self, seconds: float) -> None:
        """Send what is left, if the collector takes it within so many seconds; it is left to itself then."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(seconds)


def _context(came: Origin) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if not came.trace_id:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if came.is_sampled else TraceFlags.DEFAULT)
    parent = SpanContext(int(came.trace_id, 16), int(came.parent_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())
