"""One request of a connection and its answer: head and body leave in one piece, so that the client wakes up once.

https://asgi.readthedocs.io/en/latest/specs/www.html#http and https://www.rfc-editor.org/rfc/rfc9112#section-6
"""

import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

COPIED_UP_TO = 32 * 1024
"""Bytes: the body of a smaller answer is copied behind its head; a larger one is handed over beside it."""
_WITHOUT_BODY = (204, 304)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header has (RFC 9110 section 5.5): a line break would begin another one."""


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, whose ``send`` keeps the head until the first piece of the body is there."""

    _head = b""

    async def send(self, message: Any) -> None:
        """Take the application's next message. Raises RuntimeError for one that is out of turn, and for a body of another length than
        was announced."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        wanted = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != wanted or self.response_complete:
            raise RuntimeError(f"{message['type']} was sent where {wanted} is next, or the answer is complete.")
        if not self.response_started:
            self._head = self._begun(message["status"], [*self.default_headers, *message.get("headers", ())])
            self.response_started, self.waiting_for_100_continue = True, False
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        self._write(self._framed(body, more=more))
        if not more:
            if self.expected_content_length:
                raise RuntimeError("The body is shorter than its Content-Length.")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _begun(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The head of the answer; says how its body is framed."""
        if _CONTROL.search(b"".join([part for header in headers for part in header])):
            raise RuntimeError("A header of the answer has a control character.")
        named = dict(headers)
        if b"content-length" in named:
            self.expected_content_length, self.chunked_encoding = int(named[b"content-length"]), False
        elif self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY:
            self.chunked_encoding = True
            if b"transfer-encoding" not in named:
                headers.append((b"transfer-encoding", b"chunked"))
        if b"connection" in named:
            self.keep_alive = self.keep_alive and b"close" not in named[b"connection"].lower()
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in headers]) + b"\r\n"

    def _framed(self, body: bytes, *, more: bool) -> bytes:
        """A piece of the body as it is sent."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            return b""
        if self.chunked_encoding:
            end = b"" if more else b"0\r\n\r\n"
            return b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        self.expected_content_length -= len(body)
        if self.expected_content_length < 0:
            raise RuntimeError("The body is longer than its Content-Length.")
        return body

    def _write(self, body: bytes) -> None:
        head, self._head = self._head, b""
        if head and len(body) > COPIED_UP_TO:
            self.transport.writelines((head, body))
        elif head or body:
            self.transport.write(head + body if head else body)
