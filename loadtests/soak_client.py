"""The apps of the soak: a mix of reads, searches, $everything and refreshes, as fast as the server can, or at a steady rate.

https://hl7.org/fhir/R4/http.html - at a steady rate the latency counts from the moment at which a request was due, so that a server that stalls
does not hide it by being asked less.
"""

import asyncio
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from json import loads
from random import Random
from urllib.parse import urlencode

from loadtests.claims import claim_id, patient_id

READ, SEARCH, COVERAGE, EVERYTHING, REFRESH = "read", "search of 10", "search of Coverage", "$everything", "refresh"
MIX = {READ: 50, SEARCH: 30, COVERAGE: 8, EVERYTHING: 7, REFRESH: 5}
"""Of a hundred requests; sign-ins go on beside them."""
PATIENCE = 30
"""Seconds after which an answer is not waited for any more."""


@dataclass(slots=True)
class App:
    """An app that a member allowed, with the tokens it has now."""

    member: int
    access_token: str
    refresh_token: str


@dataclass(slots=True)
class Span:
    """What was answered in a span of time: latencies in seconds, FHIR requests only; answers by kind."""

    latencies: array = field(default_factory=lambda: array("f"))  # type: ignore[type-arg]
    answers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def fhir_answers(self) -> int:
        """Answers that are a row of the ledger."""
        return self.answers.total() - self.answers[REFRESH]

    def percentile(self, of_hundred: int) -> float:
        """The latency in milliseconds below which so many of 100 stay; 0.0 without any."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, len(ordered) * of_hundred // 100)] * 1000 if ordered else 0.0


class Connection:
    """One HTTP/1.1 connection to the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request: status and body. Raises OSError, EOFError, TimeoutError, ValueError; then the connection is made anew."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
                reader, writer = self._streams
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                begins = head.index(b"content-length:") + 15
                return int(head[9:12]), await reader.readexactly(int(head[begins : head.index(b"\r", begins)]))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Apps:
    """All apps, and what they received."""

    def __init__(self, port: int, client_id: str, apps: list[App], claims: int, seed: int = 7) -> None:
        self._port = port
        self._client_id = client_id
        self._apps = apps
        self._claims = claims
        self._random = Random(seed)
        self._kinds = Random(seed).choices(list(MIX), weights=list(MIX.values()), k=10_007)
        self._refreshable = deque(apps)
        self._asked = 0
        self.failures: Counter[str] = Counter()
        self.span = Span()
        """What is filled now; whoever looks puts another in its place."""

    async def as_fast_as_possible(self, seconds: float, connections: int) -> float:
        """Each connection asks again as soon as it is answered: requests a second."""
        began, until = time.perf_counter(), time.perf_counter() + seconds
        before = self.span.answers.total()

        async def one(connection: Connection) -> None:
            while time.perf_counter() < until:
                await self._ask(connection, time.perf_counter())

        await self._on(connections, one)
        return (self.span.answers.total() - before) / (time.perf_counter() - began)

    async def at_rate(self, per_second: float, seconds: float, connections: int) -> None:
        """Requests that are due at even distances; who is free takes the next."""
        began = time.perf_counter()
        due: Iterator[float] = (began + number / per_second for number in range(int(per_second * seconds)))

        async def one(connection: Connection) -> None:
            for moment in due:
                wait = moment - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                await self._ask(connection, moment)

        await self._on(connections, one)

    async def _on(self, connections: int, one: Callable[[Connection], Coroutine[None, None, None]]) -> None:
        made = [Connection(self._port) for _ in range(connections)]
        try:
            await asyncio.gather(*(one(connection) for connection in made))
        finally:
            for connection in made:
                connection.close()

    async def _ask(self, connection: Connection, due: float) -> None:
        self._asked += 1
        kind = self._kinds[self._asked % len(self._kinds)]
        if kind == REFRESH and self._refreshable:
            await self._refresh(connection, self._refreshable.popleft())
            return
        app = self._apps[self._asked % len(self._apps)]
        path, expected = self._target(READ if kind == REFRESH else kind, app)
        request = f"GET /fhir/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {app.access_token}\r\n\r\n"
        try:
            status, body = await connection.ask(request.encode())
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.failures[f"{kind}: {type(error).__name__}"] += 1
            return
        self.span.latencies.append(time.perf_counter() - due)
        self.span.answers[kind] += 1
        if status != 200 or expected not in body:
            self.failures[f"{kind}: {status if status != 200 else 'another answer'}"] += 1

    def _target(self, kind: str, app: App) -> tuple[str, bytes]:
        """The path of a request, and what its answer must hold."""
        patient = patient_id(app.member)
        if kind == READ:
            claim = claim_id(app.member, self._random.randrange(self._claims))
            return f"ExplanationOfBenefit/{claim}", f'"{claim}"'.encode()
        if kind == SEARCH:
            return "ExplanationOfBenefit?_count=10", f'"Patient/{patient}"'.encode()
        if kind == COVERAGE:
            return "Coverage", f'"Patient/{patient}"'.encode()
        return f"Patient/{patient}/$everything?_count=50", f'Patient/{patient}"'.encode()

    async def _refresh(self, connection: Connection, app: App) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": app.refresh_token, "client_id": self._client_id}
        body = urlencode(form)
        head = (
            "POST /token HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        try:
            status, answer = await connection.ask((head + body).encode())
            if status != 200:
                self.failures[f"{REFRESH}: {status}"] += 1
                return
            granted = loads(answer)
            app.access_token, app.refresh_token = granted["access_token"], granted["refresh_token"]
        except (OSError, EOFError, TimeoutError, ValueError, KeyError) as error:
            self.failures[f"{REFRESH}: {type(error).__name__}"] += 1
            return
        self.span.answers[REFRESH] += 1
        self._refreshable.append(app)
