"""A steady load of several members' apps while something is done to the server: every answer is compared with what the member must get.

https://hl7.org/fhir/R4/http.html - an app follows Retry-After of a 503 and asks again on a new connection when one breaks.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from server.storage.database import Database
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify
from tests.factories import ledger_rows
from tests.serving import Server

PAUSE = 0.02
"""Seconds between two requests of an app."""
BEFORE, AFTER = 1.0, 1.0
"""Seconds of load before what is done, and after the server has recovered from it."""
RECOVERY = 10.0
RETRY_OF_TESTS = 0.2
"""Seconds; apps wait as long as Retry-After says, tests have no time for that."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member's app: the token, and what each address must answer: the resources found, by type and id, or None for a 404."""

    patient: str
    token: str
    expected: Mapping[str, Mapping[str, Any] | None]


@dataclass(slots=True)
class SteadyLoad:
    """What apps received: (request id, status, when, patient)."""

    server: Server
    members: list[Member]
    refresh_tokens: list[tuple[str, str]] = field(default_factory=list)
    """(client id, refresh token) of apps that refresh without a pause."""
    received: list[tuple[str, int, float, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    broken: int = 0
    refreshed: int = 0
    refreshes_put_off: int = 0
    last_trouble: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    recovered: float = 0.0
    """Moments (time.monotonic): what was done began and ended, and every app was answered again."""
    _good: dict[int, float] = field(default_factory=dict)
    _stopped: bool = False

    def during(self, fault: Callable[[], None]) -> None:
        """Load the server, and meanwhile do something to it; returns when all apps are answered again. Raises AssertionError when they
        are not within RECOVERY seconds."""
        asyncio.run(self._during(fault))

    @property
    def statuses(self) -> Counter[int]:
        """How many answers had which status."""
        return Counter(status for _, status, _, _ in self.received)

    @property
    def recovered_in(self) -> float:
        """Seconds from the end of the fault to the last app's next good answer."""
        return self.recovered - self.ended

    def answers_between(self, begun: float, ended: float) -> int:
        """How many good answers came in a span of time."""
        return sum(begun < at < ended and status == 200 for _, status, at, _ in self.received)

    async def _during(self, fault: Callable[[], None]) -> None:
        apps = [self._app(number, member) for number, member in enumerate(self.members)]
        apps += [self._refresher(-1 - n, *pair) for n, pair in enumerate(self.refresh_tokens)]
        tasks = [asyncio.create_task(app) for app in apps]
        try:
            await asyncio.sleep(BEFORE)
            self.begun = time.monotonic()
            await asyncio.to_thread(fault)
            self.ended = time.monotonic()
            while not self._all_good(len(tasks)):
                assert time.monotonic() < self.ended + RECOVERY, (
                    f"not recovered: {self.statuses}, {self.broken} broken, {self.refreshed} refreshed, wrong: {self.wrong}"
                )
                await asyncio.sleep(0.02)
            await asyncio.sleep(AFTER)
        finally:
            self._stopped = True
            await asyncio.gather(*tasks)

    def _all_good(self, apps: int) -> bool:
        """Whether every app had a good answer after the end, and none anything else since."""
        after = max(self.ended, self.last_trouble)
        if len(self._good) == apps and all(at > after for at in self._good.values()):
            self.recovered = max(self._good.values())
            return True
        return False

    # -- apps --------------------------------------------------------------------------------------------------------

    async def _app(self, number: int, member: Member) -> None:
        headers = {"authorization": f"Bearer {member.token}"}
        while not self._stopped:
            try:
                async with httpx2.AsyncClient(
                    base_url=f"{self.server.fhir_base}/", headers=headers, timeout=30
                ) as http:
                    while not self._stopped:
                        for target in member.expected:
                            await self._ask(http, number, member, target)
                            await asyncio.sleep(PAUSE)
            except httpx2.TransportError:
                await self._trouble()
                self.broken += 1

    async def _ask(self, http: httpx2.AsyncClient, number: int, member: Member, target: str) -> None:
        answer = await http.get(target)
        now = time.monotonic()
        self.received.append((answer.headers["x-request-id"], answer.status_code, now, member.patient))
        if answer.status_code == 503:
            self._check_503(answer, answer.json().get("resourceType") == "OperationOutcome")
            await self._trouble()
            return
        expected = member.expected[target]
        if answer.status_code != (404 if expected is None else 200):
            self.wrong.append(f"{target} of {member.patient}: {answer.status_code} {answer.text[:200]}")
        elif expected is not None and resources(answer.json()) != expected:
            self.wrong.append(f"{target} of {member.patient}: other resources {sorted(resources(answer.json()))}")
        self._good[number] = now

    async def _refresher(self, number: int, client_id: str, refresh_token: str) -> None:
        """An app that renews its tokens: whatever happens to an answer, one of the tokens it has goes on working."""
        while not self._stopped:
            try:
                async with httpx2.AsyncClient(base_url=self.server.base_url, timeout=30) as http:
                    while not self._stopped:
                        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
                        answer = await http.post("/token", data=form)
                        if answer.status_code == 503:
                            self._check_503(answer, answer.json().get("error") == "temporarily_unavailable")
                            self.refreshes_put_off += 1
                            await self._trouble()
                            continue
                        if answer.status_code != 200:
                            self.wrong.append(f"refresh: {answer.status_code} {answer.text[:200]}")
                            return
                        refresh_token = answer.json()["refresh_token"]
                        self.refreshed += 1
                        self._good[number] = time.monotonic()
                        await asyncio.sleep(5 * PAUSE)
            except httpx2.TransportError:
                await self._trouble()
                self.broken += 1

    def _check_503(self, answer: httpx2.Response, vocabulary: bool) -> None:
        if not vocabulary or int(answer.headers.get("retry-after", "0")) < 1:
            self.wrong.append(f"a 503 without Retry-After or in other words: {answer.text[:200]}")

    async def _trouble(self) -> None:
        self.last_trouble = time.monotonic()
        await asyncio.sleep(RETRY_OF_TESTS)

    # -- afterwards --------------------------------------------------------------------------------------------------

    def check(self, database: Database) -> None:
        """No wrong answer, no answer without its one row of that member, whole chains."""
        assert self.wrong == []
        rows = {row.request_id: row for row in ledger_rows(database, kind="answer")}
        assert len(rows) == len(ledger_rows(database, kind="answer")), "a request has two rows"
        answered = [(id, status, patient) for id, status, _, patient in self.received if status != 503]
        assert len({id for id, _, _ in answered}) == len(answered) > 50
        for id, status, patient in answered:
            assert id in rows, f"an answer {status} has no row"
            assert (rows[id].status, rows[id].patient) == (status, patient)
        with database.reading() as transaction:
            assert verify(transaction.all(rows_in_chain_order())) == []


def resources(answer: dict[str, Any]) -> dict[str, Any]:
    """The resources of an answer, a Bundle's or one, by type and id."""
    found = [entry["resource"] for entry in answer.get("entry", ())] if answer["resourceType"] == "Bundle" else [answer]
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in found}
