"""How a connection ends with the server: no request that is under way, or on its way, is broken off; and who is at its other end.

https://www.rfc-editor.org/rfc/rfc9112#section-9.6 - answers say Connection: close as soon as the server is told to end.
"""

import asyncio
from functools import lru_cache
from ipaddress import ip_address, ip_network

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server import lifecycle
from server.settings import Settings
from server.tracing import FROM_PROXY

LAST_CALL_SECONDS = 0.3
"""How long an idle connection of a server that ends stays open: a request may be on its way."""
FLUSH_SECONDS, FLUSH_SHARE = 2.0, 0.2
"""What of SHUTDOWN_SECONDS is kept for what comes after the last request, and its share where those are few."""


def seconds_for_requests() -> float:
    """How long requests that are under way may still take, in a server that ends."""
    left = lifecycle.seconds_left()
    return left - min(FLUSH_SECONDS, FLUSH_SHARE * left)


@lru_cache(maxsize=4096)
def _is_proxy(address: str) -> bool:
    """Whether an address is one of TRUSTED_PROXIES, as the environment has them for the application of a worker too."""
    try:
        known = ip_address(address)
    except ValueError:
        return False
    return any(known in ip_network(network, strict=False) for network in Settings().trusted_proxies)


class EndingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes its connections in time, and says of requests whether a trusted proxy sent them."""

    _in_head = False
    """A request has begun to arrive, and its head is not complete."""
    _from_proxy = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection begins."""
        super().connection_made(transport)
        self._from_proxy = self.client is not None and _is_proxy(self.client[0])

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        if self._from_proxy:
            self.scope[FROM_PROXY] = True  # type: ignore[literal-required]

    def shutdown(self) -> None:
        """The server accepts no more connections."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(LAST_CALL_SECONDS, self._close_if_idle)
        self.loop.call_later(seconds_for_requests(), self._cut)

    def _close_if_idle(self) -> None:
        if not self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    def _cut(self) -> None:
        """Nobody can wait any longer. The connections go first, so that no request is answered with what is not in the ledger."""
        for connection in list(self.connections):
            connection.transport.abort()
        for task in list(self.tasks):
            task.cancel()
