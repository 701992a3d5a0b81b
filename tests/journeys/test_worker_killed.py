"""A worker is killed in the middle of a sync: every answer that an app received is in the ledger, exactly once.

https://man7.org/linux/man-pages/man2/kill.2.html - SIGKILL leaves a process no time to do anything.
"""

import asyncio
import os
import signal
from pathlib import Path

import httpx2
import pytest

from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify
from tests.factories import ledger_rows, token
from tests.serving import Server, serving

MEMBERS = ("member-mbeki-larsen", "member-vantongeren", "member-holloway", "member-szabo")
APPS = 16
KILLS, MOST_KILLS = 2, 8
"""At least, and at most: one that has only just started may hold no connection, and then nobody notices."""
TARGETS = ("Patient", "ExplanationOfBenefit?_count=5", "Coverage", "ExplanationOfBenefit/unknown")


class Load:
    """Apps that synchronise without a pause, each on connections of its own, and what they received."""

    def __init__(self, server: Server, tokens: list[str]) -> None:
        self.server = server
        self.tokens = tokens
        self.received: list[tuple[str, int]] = []
        self.lost = 0
        self.kills = 0
        self.stopped = False

    async def app(self, number: int) -> None:
        """One app: requests until told to stop; a connection that breaks is made anew."""
        headers = {"authorization": f"Bearer {self.tokens[number % len(self.tokens)]}"}
        while not self.stopped:
            try:
                async with httpx2.AsyncClient(
                    base_url=f"{self.server.fhir_base}/", headers=headers, timeout=10
                ) as http:
                    while not self.stopped:
                        for target in TARGETS:
                            answer = await http.get(target)
                            self.received.append((answer.headers["x-request-id"], answer.status_code))
            except httpx2.TransportError:
                self.lost += 1
                await asyncio.sleep(0.02)

    async def run(self) -> None:
        """Load, and a worker killed in the middle of it, several times."""
        apps = [asyncio.create_task(self.app(number)) for number in range(APPS)]
        try:
            while self.kills < KILLS or (not self.lost and self.kills < MOST_KILLS):
                await self._until(len(self.received) + 200)
                workers = self.server.workers()
                if not workers:
                    continue  # the one that was killed is being replaced, and so is the other
                os.kill(workers[self.kills % len(workers)], signal.SIGKILL)
                self.kills += 1
                await self._until(len(self.received) + 100)
        finally:
            self.stopped = True
            await asyncio.gather(*apps)

    async def _until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.received) < count:
                await asyncio.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers")
def test_every_answer_received_has_exactly_one_row(payer: Database, settings: Settings, log: Path) -> None:
    tokens = [token(payer, member).text for member in MEMBERS]
    with serving(settings.database_url, log, workers=2) as server:
        assert len(server.workers()) == 2
        load = Load(server, tokens)
        asyncio.run(load.run())
    assert {status for _, status in load.received} == {200, 404}
    assert load.lost > 0, "nobody noticed that a worker was killed"
    rows = [row.request_id for row in ledger_rows(payer, kind="answer")]
    assert len(rows) == len(set(rows))
    received = [id for id, _ in load.received]
    assert len(received) == len(set(received))
    assert set(received) <= set(rows)
    assert len(rows) - len(received) <= load.kills * APPS, "rows without an answer are those that were under way"
    with payer.reading() as transaction:
        written = transaction.all(rows_in_chain_order())
    assert len({row.writer for row in written}) >= 2
    assert verify(written) == []
