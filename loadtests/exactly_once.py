"""Exactly once: several workers under load, one killed with -9 every second; every answer that an app received has one ledger row.

https://man7.org/linux/man-pages/man2/kill.2.html - SIGKILL leaves a process no time to do anything. Run it as
``python -m loadtests.exactly_once``, on SQLite, or with ``--postgresql`` on a PostgreSQL that it starts, and restarts under load, itself;
``--help`` lists the options. Members sign in through the pages; then apps ask without a pause, and note the X-Request-Id of every answer.
At the end these are compared with the ledger, row by row, and its chains are verified. Exit code 0, 1 when anything was not as it must
be, 2 when nothing could be measured.
"""

import argparse
import http.client
import json
import os
import platform
import secrets
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import psycopg
import requests

from loadtests.cases import CALLBACK, USERNAME, sign_in
from loadtests.claims import claim_id, patient_id, write_ndjson
from loadtests.evidence import machine
from loadtests.processes import (
    PostgreSQL,
    ProcessError,
    free_port,
    postgresql_server,
    run,
    server_command,
    serving,
    workers_of,
)
from loadtests.smart_dance import DanceError

WORKERS, APPS, MEMBERS, CLAIMS = 4, 16, 4, 20
KILL_EVERY = 1.0
RESTART_EVERY = 10.0
RECORDED = (200, 404)
"""Answers that leave only with their row; a 503 says that the row could not be written, or that nobody knows."""


@dataclass(slots=True)
class Load:
    """What apps received, and what was done to the server meanwhile."""

    host: str
    port: int
    received: list[tuple[str, int]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    broken: int = 0
    kills: int = 0
    restarts: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def app(self, number: int, token: str) -> None:
        """One app: requests until told to stop, on a connection that is made anew when it breaks."""
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        member = number % MEMBERS
        targets = (
            f"/fhir/Patient/{patient_id(member)}",
            "/fhir/ExplanationOfBenefit?_count=5",
            f"/fhir/ExplanationOfBenefit/{claim_id(member, number)}",
            "/fhir/Coverage",
            "/fhir/ExplanationOfBenefit/unknown",
        )
        while not self.stopped.is_set():
            connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
            try:
                while not self.stopped.is_set():
                    for target in targets:
                        connection.request("GET", target, headers=headers)
                        answer = connection.getresponse()
                        body = answer.read()
                        self._note(answer.getheader("X-Request-Id", ""), answer.status, body)
            except (OSError, http.client.HTTPException):
                self.broken += 1
                time.sleep(0.02)
            finally:
                connection.close()

    def _note(self, request_id: str, status: int, body: bytes) -> None:
        self.received.append((request_id, status))
        if status == 503:
            if json.loads(body).get("resourceType") != "OperationOutcome":
                self.strange.append(f"a 503 whose body is {body[:100]!r}")
        elif status not in RECORDED:
            self.strange.append(f"status {status}: {body[:100]!r}")

    def kill_workers(self, server: int, every: float) -> None:
        """Kill a worker, any of them, again and again."""
        choice = Random(server)
        while not self.stopped.wait(every):
            workers = workers_of(server)
            if workers:
                os.kill(choice.choice(workers), signal.SIGKILL)
                self.kills += 1

    def restart_database(self, database: PostgreSQL, every: float) -> None:
        """Restart the database, again and again."""
        while not self.stopped.wait(every):
            database.restart()
            self.restarts += 1


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at the end: answers by status, rows of answers, and everything that is not as it must be."""

    statuses: dict[int, int]
    rows: int
    unanswered: int
    kills: int
    restarts: int
    broken: int
    verified: str
    problems: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, kill, compare, print, write the evidence; the exit code."""
    options = _options(arguments)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="exactly-once-") as folder, ExitStack() as servers:
            found, database = _run(options, Path(folder), servers)
    except (ProcessError, DanceError, requests.RequestException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = _page(options, found, database, time.monotonic() - started)
    print(text)
    for problem in found.problems:
        print(f"problem: {problem}", file=sys.stderr)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, "utf-8", newline="\n")
        print(f"Wrote {options.output}.", file=sys.stderr)
    return 1 if found.problems else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.exactly_once",
        description="Kill a worker every second under load, and compare what apps received with the ledger. Needs Linux.",
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long (default 600)")
    parser.add_argument(
        "--postgresql",
        action="store_true",
        help="start a PostgreSQL for it, and restart it under load; without it SQLite",
    )
    parser.add_argument(
        "--restart-every",
        type=float,
        default=RESTART_EVERY,
        help=f"seconds between its restarts (default {RESTART_EVERY:g})",
    )
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/exactly_once.md")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace, folder: Path, servers: ExitStack) -> tuple[Found, str]:
    postgres = servers.enter_context(postgresql_server(folder)) if options.postgresql else None
    url = postgres.url if postgres is not None else f"sqlite:///{folder / 'exactly-once.db'}"
    base_url = f"http://127.0.0.1:{free_port()}"
    environment = {
        "DATABASE_URL": url,
        "BASE_URL": base_url,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_REQUESTS": "false",
    }
    client_id, password = _fill(environment, folder)
    command = server_command(urlsplit(base_url).port or 0, WORKERS)
    with serving(command, environment, folder / "server.log", f"{base_url}/fhir/metadata") as server:
        tokens = [sign_in(base_url, number, client_id, password).token for number in range(MEMBERS)]
        load = Load("127.0.0.1", urlsplit(base_url).port or 0)
        threads = [threading.Thread(target=load.app, args=(n, tokens[n % MEMBERS]), daemon=True) for n in range(APPS)]
        threads.append(threading.Thread(target=load.kill_workers, args=(server, KILL_EVERY), daemon=True))
        if postgres is not None:
            threads.append(
                threading.Thread(target=load.restart_database, args=(postgres, options.restart_every), daemon=True)
            )
        for thread in threads:
            thread.start()
        time.sleep(options.seconds)
        load.stopped.set()
        for thread in threads:
            thread.join(60)
    return _compare(load, environment, url), _database(url)


def _fill(environment: dict[str, str], folder: Path) -> tuple[str, str]:
    """Fill the database by the command line: the client id, and the password of who acts for the members."""
    data = folder / "data"
    data.mkdir()
    write_ndjson(data, MEMBERS, CLAIMS, 4096)
    run(environment, "migrate")
    run(environment, "load", str(data))
    client_id, password = "exactly-once-app", secrets.token_urlsafe(16)
    run(environment, "client", "add", "--name", "Exactly once", "--redirect-uri", CALLBACK, "--id", client_id)
    person = ["--username", USERNAME, "--name", "Sam of the load", "--password", password]
    acts_for = [f"--patient={patient_id(number)}" for number in range(MEMBERS)]
    others = MEMBERS - 1
    relationships = ["--relationship=self", *["--relationship=guardian"] * others]
    relationships += ["--authority=self", *["--authority=adult"] * others]
    run(environment, "account", "add", *person, *acts_for, *relationships)
    return client_id, password


def _request_ids(url: str) -> Iterator[str]:
    """The request ids of the ledger's answers."""
    query = "SELECT request_id FROM ledger WHERE kind = 'answer'"
    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            for (request_id,) in file.execute(query):
                yield request_id
        finally:
            file.close()
        return
    with psycopg.connect(url) as connection, connection.cursor(name="ids") as cursor:
        for (request_id,) in cursor.execute(query):
            yield request_id


def _compare(load: Load, environment: dict[str, str], url: str) -> Found:
    """What apps received, beside the ledger's rows."""
    rows = Counter(_request_ids(url))
    received = Counter(request_id for request_id, _ in load.received)
    statuses = Counter(status for _, status in load.received)
    recorded = {request_id for request_id, status in load.received if status in RECORDED}
    unanswered = len(rows.keys() - received.keys())
    problems = list(load.strange)
    if missing := len(recorded - rows.keys()):
        problems.append(f"{missing} answers that an app received have no row")
    if doubled := sum(number > 1 for number in rows.values()):
        problems.append(f"{doubled} request ids have more than one row")
    if again := sum(number > 1 for number in received.values()):
        problems.append(f"{again} request ids were received more than once")
    if unanswered > load.broken:
        problems.append(f"{unanswered} rows have no answer, but only {load.broken} connections broke")
    if not load.restarts and statuses[503]:
        problems.append(f"{statuses[503]} answers were 503, though the database was always there")
    if not statuses[200]:
        problems.append("nothing was answered with 200")
    try:
        verified = run(environment, "ledger", "verify").strip()
    except ProcessError as error:
        verified = str(error)
        problems.append(verified)
    numbers = load.kills, load.restarts, load.broken
    return Found(dict(sorted(statuses.items())), rows.total(), unanswered, *numbers, verified, tuple(problems))


def _database(url: str) -> str:
    if url.startswith("sqlite"):
        return f"SQLite {sqlite3.sqlite_version}"
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000}"


def _page(options: argparse.Namespace, found: Found, database: str, took: float) -> str:
    given = f" --seconds {options.seconds:g}" + (" --postgresql" if options.postgresql else "")
    answers = ", ".join(f"{number:,} with {status}" for status, number in found.statuses.items())
    restarts = f", the database was restarted {found.restarts:,} times" if options.postgresql else ""
    return "\n".join(
        [
            f"# Exactly once on {database.split()[0]}: every answer an app received has one ledger row",
            "",
            f"    python -m loadtests.exactly_once{given}",
            "",
            "| | |",
            "|---|---:|",
            f"| workers killed with -9 | {found.kills:,} |",
            *([f"| restarts of the database | {found.restarts:,} |"] if options.postgresql else []),
            *[f"| answers received with {status} | {number:,} |" for status, number in found.statuses.items()],
            f"| rows of answers in the ledger | {found.rows:,} |",
            f"| rows whose answer never arrived | {found.unanswered:,} |",
            f"| connections that broke | {found.broken:,} |",
            f"| what is not as it must be | {len(found.problems)} |",
            "",
            f"{APPS} apps asked {WORKERS} workers for {options.seconds:g} s without a pause, and received {answers}. A worker was killed"
            f" every second{restarts}. Every 200 and 404 has exactly one row, found by its X-Request-Id; a row whose answer never"
            " arrived belongs to a connection that broke with its worker. A 503 may have a row: whether an interrupted commit took"
            " place is known to nobody.",
            "",
            f"`patient-access ledger verify`: {found.verified}",
            "",
            f"- **Server**: `patient-access serve`, {WORKERS} workers, {database}, production settings, LEDGER_DURABILITY=process.",
            f"- **Machine**: {machine()}.",
            f"- **Software**: Python {platform.python_version()}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}; {took:.0f} s in all.",
            *[f"- **Problem**: {problem}" for problem in found.problems],
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
