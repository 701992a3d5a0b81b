"""How answers leave: in one piece, framed as HTTP asks for, one after the other, and idle connections are closed.

https://www.rfc-editor.org/rfc/rfc9112#section-6 and #section-9.3
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from server.fhir.http_cycle import COPIED_UP_TO
from server.fhir.http_protocol import HTTPProtocol

KEEP_ALIVE = 0.3
LARGE = COPIED_UP_TO + 1


async def application(
    scope: Any, _receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Answers by path; what it says of the length is as the path says."""
    path = scope["path"]
    size = LARGE if path == "/large" else 5
    headers = [(b"x-path", path.encode()), (b"content-length", b"%d" % size)]
    if path == "/pieces":
        headers = headers[:1]
    if path == "/split":
        headers.append((b"x-asked", b"one\r\nx-more: two"))
    if path == "/slow":
        await asyncio.sleep(2 * KEEP_ALIVE)
    await send({"type": "http.response.start", "status": 204 if path == "/nothing" else 200, "headers": headers})
    if path == "/pieces":
        for piece in (b"one ", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": b"x" * (size + {"/long": 1, "/short": -1}.get(path, 0))})


class Connection:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, *lines: str) -> None:
        """Send request heads."""
        self.writer.write("".join(f"{line}\r\nHost: x\r\n\r\n" for line in lines).encode())
        await self.writer.drain()

    async def head(self) -> list[bytes]:
        """The lines of the next answer's head."""
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).split(b"\r\n")[:-2]

    async def rest(self) -> bytes:
        """All until the connection is closed."""
        return await asyncio.wait_for(self.reader.read(), 5)


@asynccontextmanager
async def connected() -> Any:
    config = Config(app=application, http=HTTPProtocol, ws="none", access_log=False, log_level="critical")
    config.timeout_keep_alive = KEEP_ALIVE  # type: ignore[assignment]
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HTTPProtocol(config, state, {}, loop), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        server.close()


def whole(path: str, *, method: str = "GET", version: str = "1.1") -> tuple[list[bytes], bytes]:
    """Head and body of the answer to one request, read until the connection is closed."""

    async def ask() -> tuple[list[bytes], bytes]:
        async with connected() as connection:
            await connection.ask(f"{method} {path} HTTP/{version}")
            return await connection.head(), await connection.rest()

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/small", "/large"])
def test_a_body_follows_its_head_with_the_announced_length(path: str) -> None:
    head, body = whole(path)
    assert head[0] == b"HTTP/1.1 200 OK"
    assert b"content-length: %d" % len(body) in head
    assert body == b"x" * (5 if path == "/small" else LARGE)


def test_a_small_answer_leaves_in_one_piece() -> None:
    written: list[bytes] = []

    async def ask() -> None:
        async with connected() as connection:
            await connection.ask("GET /small HTTP/1.1")
            written.append(await asyncio.wait_for(connection.reader.read(65536), 5))

    asyncio.run(ask())
    assert written[0].endswith(b"\r\n\r\nxxxxx")


def test_a_body_of_unknown_length_is_sent_in_chunks_and_an_empty_piece_does_not_end_it() -> None:
    head, body = whole("/pieces")
    assert b"transfer-encoding: chunked" in head
    assert body == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"


def test_the_answer_to_a_head_request_has_the_length_and_no_body() -> None:
    head, body = whole("/small", method="HEAD")
    assert (b"content-length: 5" in head, body) == (True, b"")


def test_a_header_with_a_line_break_is_not_sent() -> None:
    head, _ = whole("/split")
    assert head[0] == b"HTTP/1.1 500 Internal Server Error"
    assert not [line for line in head if line.startswith(b"x-more")]


@pytest.mark.parametrize("path", ["/long", "/short"])
def test_a_body_of_another_length_than_announced_ends_the_connection(path: str) -> None:
    async def ask() -> bytes:
        async with connected() as connection:
            await connection.ask(f"GET {path} HTTP/1.1", "GET /small HTTP/1.1")
            rest: bytes = await connection.rest()
            return rest

    assert b"x-path: /small" not in asyncio.run(ask())


def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async def ask() -> list[bytes]:
        async with connected() as connection:
            await connection.ask("GET /slow HTTP/1.1", "GET /small HTTP/1.1", "GET /large HTTP/1.1")
            everything: bytes = await connection.rest()
            return [line for line in everything.split(b"\r\n") if b"x-path" in line]

    assert [line.rpartition(b"/")[2] for line in asyncio.run(ask())] == [b"slow", b"small", b"large"]


def test_an_old_client_is_told_that_the_connection_ends() -> None:
    head, body = whole("/small", version="1.0")
    assert (b"connection: close" in head, body) == (True, b"xxxxx")


def test_a_connection_is_closed_when_nothing_came_for_a_while_and_not_before() -> None:
    async def ask() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        async with connected() as connection:
            began = loop.time()
            for _ in range(4):
                await connection.ask("GET /small HTTP/1.1")
                await connection.head()
                await connection.reader.readexactly(5)
                await asyncio.sleep(KEEP_ALIVE / 2)
            last = loop.time() - KEEP_ALIVE / 2
            assert await connection.rest() == b""
            return last - began, loop.time() - last

    busy, idle = asyncio.run(ask())
    assert busy > KEEP_ALIVE
    assert KEEP_ALIVE * 0.8 < idle < KEEP_ALIVE * 3


def test_a_request_that_takes_longer_than_the_pause_between_requests_is_answered() -> None:
    async def ask() -> bytes:
        async with connected() as connection:
            await connection.ask("GET /small HTTP/1.1")
            await connection.head()
            await connection.reader.readexactly(5)
            await connection.ask("GET /slow HTTP/1.1")
            await connection.head()
            body: bytes = await connection.reader.readexactly(5)
            assert await connection.rest() == b""
            return body

    assert asyncio.run(ask()) == b"xxxxx"
