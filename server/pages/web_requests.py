"""Requests of everything but the FHIR API: each gets an id, a line in the log, a place in the figures, and a span where spans are asked for.

https://asgi.readthedocs.io/en/latest/specs/www.html - an endpoint is named by the pattern of its path; what stands in the place of the pattern's
names, and the query, is never written.
"""

from collections.abc import MutableMapping
from time import perf_counter
from typing import Any

from server import clock, logs
from server.authorization import discovery
from server.fhir.routing import Receive, Scope, Send
from server.figures import HTTP_REQUESTS, HTTP_SECONDS, Figures
from server.pages.health import LIVE, READY
from server.pages.prometheus import PATH as METRICS_PATH
from server.settings import Settings
from server.storage.ledger import new_request_id
from server.tracing import FROM_PROXY, NOWHERE, Origin, Tracer, origin

ENDPOINTS = frozenset(
    (
        *(discovery.AUTHORIZE, discovery.TOKEN, discovery.REVOKE, discovery.INTROSPECT, discovery.PUSH),
        *(discovery.USERINFO, discovery.JWKS, discovery.REGISTER, discovery.SMART_CONFIGURATION),
        *(discovery.OPENID_CONFIGURATION, discovery.AUTHORIZATION_SERVER_METADATA, LIVE, READY, METRICS_PATH),
    )
)
"""What is counted by its path; everything else is 'page', or 'nothing' where nothing is."""
PROBES = frozenset((LIVE, READY, METRICS_PATH))
"""What is asked every few seconds: written to the log only when it fails."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


class WebRequests:
    """Wraps an ASGI application."""

    def __init__(self, application: Any, settings: Settings, figures: Figures | None, tracer: Tracer | None) -> None:
        self._application = application
        self._log = settings.log_format if settings.log_requests else ""
        self._figures = figures
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or see the application through its life."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        one = _WebRequest(scope, send)
        before = logs.current_request.set(one.id)
        try:
            await self._application(scope, receive, one.send)
        finally:
            if one.status:
                self._answered(scope, one)
            logs.current_request.reset(before)

    def _answered(self, scope: Scope, one: "_WebRequest") -> None:
        pattern = getattr(scope.get("route"), "path", "")
        method = scope["method"] if scope["method"] in METHODS else "other"
        came = one.came
        if self._tracer is not None and pattern not in PROBES:
            attributes = {
                "http.request.method": method,
                "http.response.status_code": one.status,
                "http.route": pattern,
                "patient_access.request_id": one.id,
            }
            ended, is_failure = clock.now_microseconds() * 1000, one.status >= 500
            trace_id = self._tracer.record(
                f"{method} {pattern}".strip(), ended, one.seconds, attributes, came, failed=is_failure
            )
            came = Origin(came.request_id, trace_id)
        if self._figures is not None:
            endpoint = pattern if pattern in ENDPOINTS else "page" if pattern else "nothing"
            self._figures.add(HTTP_REQUESTS, endpoint, method, str(one.status))
            self._figures.observe(HTTP_SECONDS, one.seconds, endpoint)
        if self._log and not (pattern in PROBES and one.status < 400):
            logs.answered(
                *(self._log, one.id, method, one.status, pattern, None, one.length, one.seconds),
                *(came.request_id, came.trace_id),
            )


class _WebRequest:
    """One request, and what is told of its answer."""

    __slots__ = ("_began", "_send", "came", "id", "length", "seconds", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._began = perf_counter()
        self._send = send
        self.id = new_request_id()
        self.came = NOWHERE
        if FROM_PROXY in scope:
            headers = dict(scope["headers"])
            self.came = origin(headers.get(b"x-request-id", b""), headers.get(b"traceparent", b""))
        self.status = self.length = 0
        self.seconds = 0.0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass a message on, with the request's id among the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.seconds = perf_counter() - self._began
            message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", self.id.encode())]}
        else:
            self.length += len(message.get("body", b""))
        await self._send(message)
