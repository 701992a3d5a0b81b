"""An application served over HTTP in this process, and a layer in front of it that makes one thing wrong at a time.

https://asgi.readthedocs.io/en/latest/specs/www.html - what stands behind is the whole server; the layer changes what goes in or comes out.
"""

import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
import uvicorn

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@dataclass
class Asked:
    """A request, to be changed in place."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Answered:
    """An answer, to be changed in place."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self, change: Callable[[Any], Any]) -> None:
        """Change the body's object."""
        content = orjson.loads(self.body)
        change(content)
        self.body = orjson.dumps(content)


@dataclass(frozen=True)
class Fault:
    """``check``: the row that must notice. ``where`` it happens; ``asked`` and ``answered`` say what. ``seconds``: of delay."""

    check: str
    what: str
    where: Callable[[Asked], bool]
    asked: Callable[[Asked], Any] | None = None
    answered: Callable[[Answered], Any] | None = None
    seconds: float = 0.0


class Faulty:
    """The layer. Compresses nothing unless gzip alone is asked for, so that bodies can be changed."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.fault: Fault | None = None

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        if headers.get("accept-encoding") != "gzip":
            headers.pop("accept-encoding", None)
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        asked = Asked(scope["method"], scope["path"], query, headers)
        fault = self.fault if self.fault is not None and self.fault.where(asked) else None
        if fault is not None and fault.asked is not None:
            fault.asked(asked)
        sent = {
            **scope,
            "method": asked.method,
            "query_string": urlencode(asked.query).encode(),
            "headers": [(key.encode(), value.encode("latin-1")) for key, value in asked.headers.items()],
        }
        replies: list[Message] = []

        async def keep(message: Message) -> None:
            replies.append(message)

        await self.application(sent, receive, keep)
        start, body = replies[0], b"".join(message.get("body", b"") for message in replies[1:])
        told = {key.decode().lower(): value.decode("latin-1") for key, value in start["headers"]}
        answer = Answered(start["status"], told, body)
        if fault is not None:
            time.sleep(fault.seconds)
            if fault.answered is not None:
                fault.answered(answer)
        answer.headers.pop("content-length", None)
        if answer.status not in (204, 304):
            answer.headers["content-length"] = str(len(answer.body))
        pairs = [(key.encode(), value.encode("latin-1")) for key, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body})


@dataclass
class Listening:
    """A socket that a server will answer on, so that its address is known before."""

    at: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.at.getsockname()[1])


@contextmanager
def over_http(application: Application, listening: Listening, certificate: Path | None = None) -> Iterator[None]:
    """The application answers until the end of the block. ``certificate``: PEM with the key: over https, TLS 1.2 and newer."""
    told: dict[str, Any] = {"ssl_certfile": certificate} if certificate else {}
    config = uvicorn.Config(application, log_level="error", lifespan="on", **told)  # type: ignore[arg-type]
    if certificate:
        config.load()
        assert config.ssl is not None
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening.at]})
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        assert server.started
        yield
    finally:
        server.should_exit = True
        thread.join()
        listening.at.close()
