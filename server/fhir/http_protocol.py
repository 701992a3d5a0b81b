"""The connection: requests that are no HTTP, or whose head is too large, get an OperationOutcome too, before any application runs.

https://www.rfc-editor.org/rfc/rfc9112#section-3 and https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

import asyncio
from functools import lru_cache
from urllib.parse import unquote

import httptools

from server import lifecycle
from server.fhir import error_codes
from server.fhir.answer import FHIR_JSON
from server.fhir.connection_end import EndingProtocol
from server.fhir.http_cycle import Cycle
from server.fhir.outcomes import FHIRError, Outcomes
from server.settings import Settings

LARGEST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers, counted when they do not come in one piece; a proxy in front allows a fraction."""
_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


@lru_cache(maxsize=1)
def _outcomes() -> Outcomes:
    return Outcomes(Settings())  # those of the environment, as the application of a worker has them


class HTTPProtocol(EndingProtocol):
    """uvicorn's protocol, with this server's errors and a limit to the head of a request."""

    _received = 0
    _idle_since = 0.0
    """When the last answer was complete, by the loop's clock; 0: a request is under way."""
    _timer: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._received = 0

    def on_headers_complete(self) -> None:
        """Its head is complete: the application is called, or will be when what was asked before on this connection is answered."""
        self._in_head = False
        scope, version = self.scope, self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["http_version"] = version
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode() + url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive() and not lifecycle.is_ending(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_response_complete(self) -> None:
        """The answer is sent: the next request of the connection, or else the time begins after which it is closed.

        A timer runs on while requests come; only when it is over it looks how long nothing came.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._time_is_over)

    def _time_is_over(self) -> None:
        self._timer = None
        if self.transport.is_closing() or not self._idle_since:
            return  # the answer that is under way begins it again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(left, self._time_is_over)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        """Bytes arrived. Only a head that did not come in one piece is counted, so that usual requests cost nothing more."""
        self._idle_since = 0.0
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._received += len(data)
            if self._received > LARGEST_HEAD:
                self._refuse(
                    FHIRError(
                        error_codes.HEAD_TOO_LARGE,
                        f"The first line and the headers of the request are larger than {LARGEST_HEAD} bytes.",
                    )
                )

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP request."""
        self._refuse(FHIRError(error_codes.REQUEST_MALFORMED, "What was sent cannot be read as an HTTP request."))

    def _refuse(self, error: FHIRError) -> None:
        body = _outcomes().of(error)
        head = (
            (b"content-type", FHIR_JSON),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        )
        lines = [b"HTTP/1.1 %d %b" % (error.status, _REASONS[error.status]), *(b": ".join(one) for one in head)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()
