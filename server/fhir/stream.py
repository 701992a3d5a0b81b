"""A body that is sent piece by piece, so that its size costs no memory.

https://asgi.readthedocs.io/en/latest/specs/www.html#response-body-send-event - the length is known beforehand and sent.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from server.storage.database import DatabaseUnavailableError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_LOG = logging.getLogger("patient_access.fhir")


class StreamBrokenError(Exception):
    """What was to be sent is not there any more; the connection is cut, so that the client notices."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A body to come: its media type, its length in bytes, its content coding (b'' none), its pieces, and how to hear that the client
    has gone."""

    content_type: bytes
    length: int
    coding: bytes
    pieces: AsyncIterator[bytes]
    receive: Receive

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What says how to read it."""
        told = [(b"content-type", self.content_type)]
        return [*told, (b"content-encoding", self.coding)] if self.coding else told

    async def send_to(self, send: Send, request_id: str) -> None:
        """Send the pieces as fast as the client takes them, until it has gone. A body that breaks off is left incomplete."""
        gone = asyncio.ensure_future(self._disconnected())
        try:
            async for piece in self.pieces:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (StreamBrokenError, DatabaseUnavailableError) as error:
            _LOG.error("an answer broke off: %s", error, extra={"request_id": request_id})
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
