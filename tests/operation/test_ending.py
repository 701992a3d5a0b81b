"""A server that is told to end says so, finishes what is under way, loses no row of the ledger, and is gone in time with exit code 0.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

import asyncio
import json
import signal
import socket
import time
from pathlib import Path

import httpx2
import pytest

from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify
from tests.factories import explanation_of_benefit, ledger_rows, patient, store, token
from tests.serving import Server, serving

APPS = 12
TARGETS = ("Patient/p1", "ExplanationOfBenefit?_count=50", "Patient/p1/$everything", "Patient/unknown")


class Load:
    """Apps that ask without a pause on connections that are kept, until the load balancer in front of them hears that the server ends."""

    def __init__(self, server: Server, bearer: str) -> None:
        self.server = server
        self.bearer = bearer
        self.received: list[tuple[str, int]] = []
        self.broken: list[str] = []
        self.said_so = False
        """/readyz answered that the server ends."""
        self.closed = 0
        """Answers that said that the connection closes."""

    async def app(self) -> None:
        """One app. A connection that the server closed with its answer is followed by a new one."""
        headers = {"authorization": f"Bearer {self.bearer}"}
        async with httpx2.AsyncClient(base_url=f"{self.server.fhir_base}/", headers=headers, timeout=20) as http:
            while not self.said_so:
                for target in TARGETS:
                    try:
                        answer = await http.get(target)
                    except httpx2.TransportError as error:
                        self.broken.append(f"{type(error).__name__}: {error}")
                        return
                    self.closed += answer.headers.get("connection") == "close"
                    self.received.append((answer.headers["x-request-id"], answer.status_code))

    async def balancer(self) -> None:
        """Asks whether the server is ready, and takes it out when it is not."""
        async with httpx2.AsyncClient(base_url=self.server.base_url, timeout=20) as http:
            while True:
                answer = await http.get("/readyz")
                if answer.status_code == 503 and answer.json() == {"status": "stopping"}:
                    self.said_so = True
                    return
                await asyncio.sleep(0.05)

    async def run(self) -> float:
        """Load, the signal twice in the middle of it, and until the process is gone: how many seconds after the first one."""
        tasks = [asyncio.create_task(one) for one in (*(self.app() for _ in range(APPS)), self.balancer())]
        async with asyncio.timeout(60):
            while len(self.received) < 150:
                await asyncio.sleep(0.02)
            told = time.monotonic()
            self.server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            self.server.process.send_signal(signal.SIGTERM)  # whoever stops a process group may do it twice
            await asyncio.gather(*tasks)
            await asyncio.to_thread(self.server.process.wait, 30)
        return time.monotonic() - told


def test_nothing_that_is_under_way_is_broken_off(database: Database, settings: Settings, tmp_path: Path) -> None:
    member = patient("p1")
    store(database, settings, [member, *(explanation_of_benefit(f"e{number}", member) for number in range(120))])
    ending = {"SHUTDOWN_DELAY_SECONDS": "1", "SHUTDOWN_SECONDS": "12"}
    log = tmp_path / "log"
    with serving(settings.database_url, log, workers=2, settings=ending) as server:
        load = Load(server, token(database, "p1").text)
        seconds = asyncio.run(load.run())
    assert load.broken == []
    assert {status for _, status in load.received} == {200, 404}
    assert load.closed > 0, "no answer said that the connection closes"
    assert 1.0 <= seconds < 12
    assert server.process.returncode == 0
    rows = [row.request_id for row in ledger_rows(database, kind="answer")]
    assert len(rows) == len(set(rows))
    assert {id for id, _ in load.received} <= set(rows)
    assert len(rows) == len(load.received)
    with database.reading() as transaction:
        assert verify(transaction.all(rows_in_chain_order())) == []
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (events.count("started"), events.count("stopping"), events.count("stopped")) == (2, 2, 2)
    assert "cut" not in events


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_request_that_does_not_end_is_cut_in_time_and_not_answered(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    bearer = token(database, "p1").text
    ending = {"SHUTDOWN_SECONDS": "3"}
    with serving(settings.database_url, tmp_path / "log", workers=1, settings=ending) as server:
        host, port = server.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = f"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            body = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname="
            connection.sendall((head + body).encode())  # and no more of it
            time.sleep(0.5)
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(20)
            seconds = time.monotonic() - told
            try:
                answer = connection.recv(1000)
            except ConnectionResetError:
                answer = b""
    assert answer == b"", "an answer that the ledger does not know"
    assert 2 <= seconds < 5
    assert server.process.returncode == 0


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_connection_without_a_request_does_not_keep_the_server(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    with serving(settings.database_url, tmp_path / "log", workers=1) as server, httpx2.Client() as http:
        assert http.get(f"{server.base_url}/livez").status_code == 200
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        assert time.monotonic() - told < 3
    assert server.process.returncode == 0
