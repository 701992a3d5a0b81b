"""The application asked through ASGI in this process, byte for byte: what uvicorn would hand it, and what it sends.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import gzip
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import brotli
import orjson
import zstandard

from server.app import create_app
from server.settings import Settings

Headers = Mapping[str, str] | Sequence[tuple[bytes, bytes]]
FORM = "application/x-www-form-urlencoded"


def _zstd(raw: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(raw, max_output_size=64 * 1024 * 1024)


DECODE: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": _zstd,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, headers as sent, body as sent."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    raw: bytes

    def header(self, name: str) -> str:
        """The values of a header, or ''."""
        return ", ".join(value.decode("latin-1") for key, value in self.headers if key == name.lower().encode())

    @property
    def body(self) -> bytes:
        """The body without its content encoding."""
        return DECODE[self.header("content-encoding")](self.raw)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    @property
    def request_id(self) -> str:
        """The name of the answer's ledger row."""
        return self.header("x-request-id")

    @property
    def links(self) -> dict[str, str]:
        """Link relation to URL of a Bundle."""
        return {link["relation"]: link["url"] for link in self.json["link"]}

    def entries(self, mode: str = "match") -> list[Any]:
        """The resources of a Bundle's entries with this search mode."""
        return [entry["resource"] for entry in self.json.get("entry", []) if entry["search"]["mode"] == mode]

    def ids(self, mode: str = "match") -> list[str]:
        """``Type/id`` of the entries with this search mode."""
        return [f"{resource['resourceType']}/{resource['id']}" for resource in self.entries(mode)]


class Served:
    """An application with its lifespan begun, and an event loop of its own in which requests run one by one."""

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        self.settings = settings
        self.application = create_app(settings)
        self.runner = runner
        self._lifespan: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._told: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._living: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the lifespan."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._living = asyncio.create_task(self.application(scope, self._lifespan.get, self._told.put))
        await self._lifespan.put({"type": "lifespan.startup"})
        told = await self._told.get()
        assert told["type"] == "lifespan.startup.complete", told

    async def stop(self) -> None:
        """End the lifespan."""
        await self._lifespan.put({"type": "lifespan.shutdown"})
        assert self._living is not None
        await self._living

    async def ask(
        self, method: str, target: str, *, token: str = "", headers: Headers = (), body: bytes = b""
    ) -> Reply:
        """One request; ``target`` is a path with a query string, or an absolute URL of this server."""
        parts = urlsplit(target.removeprefix(self.settings.base_url))
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
        sent = [(k.lower().encode(), v.encode("latin-1")) if isinstance(k, str) else (k, v) for k, v in pairs]  # type: ignore[union-attr]
        if token:
            sent.append((b"authorization", f"Bearer {token}".encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode("utf-8", "surrogateescape"),
            "query_string": parts.query.encode("utf-8", "surrogateescape"),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8000"), *sent],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        messages: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        replies: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if not messages:
                await asyncio.Event().wait()  # the client stays until it has its answer
            return messages.pop(0)

        async def send(message: MutableMapping[str, Any]) -> None:
            replies.append(message)

        await self.application(scope, receive, send)
        start, *rest = replies
        return Reply(start["status"], list(start["headers"]), b"".join(message.get("body", b"") for message in rest))

    def get(self, target: str, token: str = "", **headers: str) -> Reply:
        """A GET; header names are written with underscores. A target without a leading slash is below the FHIR base."""
        return self.send("GET", target, token, b"", **headers)

    def send(self, method: str, target: str, token: str = "", body: bytes = b"", **headers: str) -> Reply:
        """A request by method."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.runner.run(self.ask(method, self._below(target), token=token, headers=named, body=body))

    def post(self, target: str, token: str, form: Sequence[tuple[str, str]], content_type: str = FORM) -> Reply:
        """A search by POST."""
        return self.send("POST", target, token, urlencode(form).encode(), content_type=content_type)

    def together(self, targets: Sequence[str], token: str) -> list[Reply]:
        """GETs that run at the same time."""

        async def all() -> list[Reply]:
            return await asyncio.gather(*(self.ask("GET", self._below(target), token=token) for target in targets))

        return self.runner.run(all())

    @staticmethod
    def _below(target: str) -> str:
        return target if target.startswith(("/", "http")) else f"/fhir/{target}"


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """The application of these settings, for as long as the block lasts."""
    with asyncio.Runner() as runner:
        running = Served(settings, runner)
        runner.run(running.start())
        try:
            yield running
        finally:
            runner.run(running.stop())
