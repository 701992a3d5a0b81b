"""The authorization server under load: code exchanges and refreshes a second, with 2 workers, on SQLite or PostgreSQL.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3 and #section-6. Run it as ``python -m loadtests.authorization``, on SQLite, or with
``--postgresql`` on a PostgreSQL that it starts itself. Members sign in through the pages and allow an app again and again, which makes
the codes; the codes are exchanged by several connections at once, and what they gave is refreshed in chains, as apps do. It ends within
three minutes; exit code 0, 1 when the goal was missed, 2 when nothing could be measured.
"""

import argparse
import http.client
import json
import multiprocessing
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode

import requests

from loadtests.evidence import machine
from loadtests.processes import ProcessError, free_port, postgresql, run, server_command, serving
from loadtests.sign_in import OwnPages, PlainSession
from loadtests.smart_dance import Client, DanceError, SmartDance

GOAL = 300
"""Refreshes a second."""
WORKERS, CONNECTIONS = 2, 16
CODES = 160
SECONDS = 8
DANCE_SECONDS = 60
CALLBACK = "http://127.0.0.1:9/callback"
CLIENT = Client("authorization-load", CALLBACK)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class MeasureError(Exception):
    """The measurement is worth nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured: answers, in how many seconds, and the latency in milliseconds below which 50 and 99 of 100 stay."""

    answers: int
    seconds: float
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the evidence; the exit code."""
    options = _options(arguments)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="authorization-") as folder, ExitStack() as servers:
            text, reached = _measured(options, Path(folder), servers, started)
    except (MeasureError, ProcessError, DanceError, requests.RequestException, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, "utf-8", newline="\n")
        print(f"Wrote {options.output}.", file=sys.stderr)
    return 0 if reached else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.authorization", description="Measure code exchanges and refreshes a second."
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"how long to refresh (default {SECONDS})")
    parser.add_argument("--codes", type=int, default=CODES, help=f"codes to exchange (default {CODES})")
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL for it; without it SQLite")
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/authorization.md")
    options = parser.parse_args(arguments)
    if options.seconds < 1 or options.codes < CONNECTIONS:
        parser.error(f"--seconds is at least 1, --codes at least {CONNECTIONS}")
    return options


def _measured(options: argparse.Namespace, folder: Path, servers: ExitStack, started: float) -> tuple[str, bool]:
    url = servers.enter_context(postgresql(folder)) if options.postgresql else f"sqlite:///{folder / 'load.db'}"
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    environment = {
        "DATABASE_URL": url,
        "BASE_URL": base_url,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "RATE_LIMIT_PER_MINUTE": "10000000",
        "AUTHORIZATION_CODE_SECONDS": "300",
    }
    password = secrets.token_urlsafe(16)
    data = folder / "member.ndjson"
    data.write_text(json.dumps({"resourceType": "Patient", "id": "p1", "name": [{"family": "Load"}]}) + "\n", "utf-8")
    run(environment, "migrate")
    run(environment, "load", str(data))
    run(environment, "client", "add", "--name", "Load", "--redirect-uri", CALLBACK, "--id", CLIENT.client_id)
    person = ("--username", "load", "--name", "Sam of the load", "--password", password, "--patient", "p1")
    run(environment, "account", "add", *person)
    log = folder / "server.log"
    servers.enter_context(serving(server_command(port, WORKERS), environment, log, f"{base_url}/fhir/metadata"))
    _say("making codes through the sign-in and consent pages")
    forms, consents = _codes(base_url, password, options.codes)
    _say(f"exchanging {len(forms)} codes")
    exchanged, tokens = _together(_exchange_all, port, forms, 0)
    if len(tokens) != len(forms):
        raise MeasureError(f"{len(forms)} codes gave {len(tokens)} tokens: {log.read_text('utf-8')[-300:]}")
    _say(f"exchanges: {exchanged.per_second:,.0f}/s; refreshing")
    refreshed, left = _together(_refresh_all, port, tokens, options.seconds)
    if len(left) != len(tokens):
        raise MeasureError(f"of {len(tokens)} chains of refreshes {len(left)} held")
    _say(f"refreshes: {refreshed.per_second:,.0f}/s")
    command = "python -m loadtests.authorization" + (" --postgresql" if options.postgresql else "")
    kind = "PostgreSQL" if options.postgresql else "SQLite"
    return _render(command, kind, consents, exchanged, refreshed, time.monotonic() - started), (
        refreshed.per_second >= GOAL
    )


def _codes(base_url: str, password: str, count: int) -> tuple[list[str], float]:
    """The token requests of so many fresh codes, and how many authorizations a second one browser did."""
    forms: list[str] = []
    login = {"username": "load", "password": password}
    started = time.monotonic()
    with PlainSession() as session:
        dance = SmartDance(session, f"{base_url}/fhir", CLIENT)
        dance.discover()
        for _ in range(count):
            redirected = OwnPages().sign_in(session, dance.authorization_url(), login)
            forms.append(urlencode(dance.token_request(dance.code(redirected))))
            if time.monotonic() - started > DANCE_SECONDS and len(forms) >= CONNECTIONS:
                break
    return forms, len(forms) / (time.monotonic() - started)


def _together(work: Any, port: int, items: list[str], seconds: int) -> tuple[Rate, list[str]]:
    """The items divided among processes and their connections: what was measured, and what the answers gave."""
    shares = [(work, port, items[n::CONNECTIONS], seconds) for n in range(CONNECTIONS)]
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(CONNECTIONS) as pool:
        done = pool.starmap(_share, shares, chunksize=1)
    first, last = min(share[0] for share in done), max(share[1] for share in done)
    latencies = [latency for share in done for latency in share[2]]
    failures = [share[4] for share in done if share[4]]
    if failures:
        raise MeasureError(failures[0])
    if len(latencies) < 2 or first < started:
        raise MeasureError("nothing was answered")
    cuts = quantiles(latencies, n=100)
    return Rate(len(latencies), last - first, cuts[49] * 1000, cuts[98] * 1000), [t for share in done for t in share[3]]


def _share(work: Any, port: int, items: list[str], seconds: int) -> tuple[float, float, list[float], list[str], str]:
    """One connection's part: when it began and ended, the latencies, what was given last, and what went wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    latencies: list[float] = []
    begun = time.monotonic()
    try:
        given = work(connection, items, latencies, begun + seconds)
    except (MeasureError, OSError, http.client.HTTPException) as error:
        return begun, time.monotonic(), latencies, [], f"{type(error).__name__}: {error}"
    return begun, time.monotonic(), latencies, given, ""


def _exchange_all(
    connection: http.client.HTTPConnection, forms: list[str], latencies: list[float], _until: float
) -> list[str]:
    return [_ask(connection, form, latencies) for form in forms]


def _refresh_all(
    connection: http.client.HTTPConnection, tokens: list[str], latencies: list[float], until: float
) -> list[str]:
    kept = list(tokens)
    while time.monotonic() < until:
        for index, token in enumerate(kept):
            sent = {"grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT.client_id}
            kept[index] = _ask(connection, urlencode(sent), latencies)
            if time.monotonic() >= until:
                break
    return kept


def _ask(connection: http.client.HTTPConnection, form: str, latencies: list[float]) -> str:
    """POST /token; the refresh token of the answer."""
    begun = time.monotonic()
    connection.request("POST", "/token", form, FORM)
    answer = connection.getresponse()
    body = answer.read()
    latencies.append(time.monotonic() - begun)
    if answer.status != 200:
        raise MeasureError(f"/token answered {answer.status}: {body[:200].decode('utf-8', 'replace')}")
    return str(json.loads(body)["refresh_token"])


def _render(command: str, kind: str, consents: float, exchanged: Rate, refreshed: Rate, took: float) -> str:
    rows = (("code exchange, with an id_token", exchanged, ""), ("refresh, with rotation", refreshed, str(GOAL)))
    reached = "reached" if refreshed.per_second >= GOAL else "missed"
    return "\n".join(
        [
            f"# Code exchanges and refreshes on {kind}",
            "",
            f"    {command}",
            "",
            "| | answers | a second | p50 / p99, ms | goal | |",
            "|---|---:|---:|---:|---:|---|",
            *[
                f"| {title} | {rate.answers:,} | **{rate.per_second:,.0f}** | {rate.p50:.1f} / {rate.p99:.1f} | {goal} |"
                f" {reached if goal else ''} |"
                for title, rate, goal in rows
            ],
            "",
            f"- **Server**: `patient-access serve`, {WORKERS} workers, production settings, `LEDGER_DURABILITY=process`.",
            f"- **Load**: {CONNECTIONS} connections, each a process that asks one request after the other, 127.0.0.1, on the same machine;"
            f" every answer is checked, and every chain of refreshes holds to its end. The codes came from the pages, {consents:.0f} a second with one browser.",
            f"- **Machine**: {machine()}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}; {took:.0f} s in all.",
            "",
        ]
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
