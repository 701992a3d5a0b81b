"""The connection: requests that are no HTTP, or whose head is too large, get an OperationOutcome too, before any application runs.

https://www.rfc-editor.org/rfc/rfc9112#section-3 and https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.fhir import error_codes
from server.fhir.answer import FHIR_JSON
from server.fhir.outcomes import FHIRError, Outcomes
from server.settings import Settings

LARGEST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers, counted when they do not come in one piece; a proxy in front allows a fraction."""
_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


@lru_cache(maxsize=1)
def _outcomes() -> Outcomes:
    return Outcomes(Settings())  # those of the environment, as the application of a worker has them


class HTTPProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with this server's errors and a limit to the head of a request."""

    _in_head = False
    _received = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._received = True, 0

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        super().on_headers_complete()
        self._in_head = False

    def data_received(self, data: bytes) -> None:
        """Bytes arrived. Only a head that did not come in one piece is counted, so that usual requests cost nothing more."""
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
