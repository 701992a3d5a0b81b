"""The soak: two workers at 70 % of what they can, for a long time: memory, latency, descriptors and the ledger must not creep.

https://man7.org/linux/man-pages/man5/proc.5.html. Run it as ``python -m loadtests.soak``, on SQLite, or with ``--postgresql`` on a PostgreSQL that
it starts itself; ``--help`` lists the options. It finds the peak first, by asking as fast as it is answered, and then holds 70 % of that rate, whatever
happens. Exit code 0, 1 when a goal was missed, 2 when nothing could be measured. Needs Linux.
"""

import argparse
import asyncio
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

import psycopg
import requests
import uvloop

from loadtests.cases import CALLBACK, USERNAME
from loadtests.claims import patient_id, write_ndjson
from loadtests.processes import ProcessError, free_port, postgresql, run, server_command, serving, workers_of
from loadtests.sign_in import OwnPages, PlainSession
from loadtests.smart_dance import Client, DanceError, SmartDance, Tokens
from loadtests.soak_client import App, Apps, Span
from loadtests.soak_evidence import Ledger, Sample, Soak, render

WORKERS, CONNECTIONS = 2, 64
MEMBERS, CLAIMS, CLAIM_BYTES = 8, 40, 8192
SHARE_OF_PEAK = 0.7
WARM_UP = 0.1
"""Of the time, in no figure."""
TENTHS = 10
LONGEST_PEAK = 20.0
SIGN_IN_EVERY = 2.0
CLIENT_ID = "soak-app"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print, write the evidence; the exit code."""
    options = _options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder, ExitStack() as servers:
            soak = _run(options, Path(folder), servers)
    except (ProcessError, DanceError, requests.RequestException, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = render(soak)
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, "utf-8", newline="\n")
        print(f"Wrote {options.output}.", file=sys.stderr)
    return 0 if soak.is_reached else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.soak", description="Hold 70 % of peak for a long time, and watch what creeps."
    )
    parser.add_argument("--minutes", type=float, default=20, help="how long (default 20)")
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL for it; without it SQLite")
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/soak.md")
    options = parser.parse_args(arguments)
    if not 0.05 <= options.minutes <= 10_000:
        parser.error("--minutes is at least 0.05 (three seconds) and at most 10000")
    return options


def _run(options: argparse.Namespace, folder: Path, servers: ExitStack) -> Soak:
    url = servers.enter_context(postgresql(folder)) if options.postgresql else f"sqlite:///{folder / 'soak.db'}"
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    environment = {
        "DATABASE_URL": url,
        "BASE_URL": base_url,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_REQUESTS": "false",
    }
    password = _fill(environment, folder)
    command = server_command(port, WORKERS)
    server = servers.enter_context(serving(command, environment, folder / "server.log", f"{base_url}/fhir/metadata"))
    apps = []
    for number in range(MEMBERS):
        tokens = sign_in(base_url, number, password)
        apps.append(App(number, tokens.access_token, tokens.refresh_token))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_soaked(options, url, base_url, password, server, Apps(port, CLIENT_ID, apps, CLAIMS)))


def _fill(environment: dict[str, str], folder: Path) -> str:
    """Fill the database by the command line: the password of who acts for the members."""
    data = folder / "data"
    data.mkdir()
    write_ndjson(data, MEMBERS, CLAIMS, CLAIM_BYTES)
    run(environment, "migrate")
    run(environment, "load", str(data))
    run(environment, "client", "add", "--name", "Soak", "--redirect-uri", CALLBACK, "--id", CLIENT_ID)
    password = secrets.token_urlsafe(16)
    person = ["--username", USERNAME, "--name", "Sam of the soak", "--password", password]
    acts_for = [f"--patient={patient_id(number)}" for number in range(MEMBERS)]
    relationships = ["--relationship=self", *["--relationship=guardian"] * (MEMBERS - 1)]
    relationships += ["--authority=self", *["--authority=adult"] * (MEMBERS - 1)]
    run(environment, "account", "add", *person, *acts_for, *relationships)
    return password


def sign_in(base_url: str, number: int, password: str) -> Tokens:
    """The whole dance for one of the members, in a fresh browser. Raises DanceError."""
    login = {"username": USERNAME, "password": password, "patient": patient_id(number)}
    with PlainSession() as session:
        dance = SmartDance(session, f"{base_url}/fhir", Client(CLIENT_ID, CALLBACK))
        dance.discover()
        return dance.exchange(dance.code(OwnPages().sign_in(session, dance.authorization_url(), login)))


class _SignIns:
    """People who sign in and allow the app, one after the other, beside the load."""

    def __init__(self, base_url: str, password: str, failures: dict[str, int]) -> None:
        self._of = base_url, password
        self._failures = failures
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.took: list[float] = []
        self._thread.start()

    def _run(self) -> None:
        base_url, password = self._of
        while not self._stopped.wait(SIGN_IN_EVERY):
            began = time.perf_counter()
            try:
                sign_in(base_url, len(self.took) % MEMBERS, password)
            except (DanceError, requests.RequestException) as error:
                what = f"sign-in: {error}"
                self._failures[what] = self._failures.get(what, 0) + 1
            self.took.append(time.perf_counter() - began)

    def stop(self) -> None:
        """Wait for the one that is under way."""
        self._stopped.set()
        self._thread.join()


async def _soaked(options: argparse.Namespace, url: str, base_url: str, password: str, server: int, apps: Apps) -> Soak:
    seconds = options.minutes * 60
    at_first = workers_of(server)
    await apps.as_fast_as_possible(min(LONGEST_PEAK / 4, seconds / 8), CONNECTIONS)
    peak = await apps.as_fast_as_possible(min(LONGEST_PEAK, seconds / 4), CONNECTIONS)
    rate = SHARE_OF_PEAK * peak
    _say(f"peak {peak:,.0f}/s; {rate:,.0f}/s for {options.minutes:g} minutes")
    signing_in = _SignIns(base_url, password, apps.failures)
    load = asyncio.create_task(apps.at_rate(rate, seconds, CONNECTIONS))
    try:
        await asyncio.sleep(seconds * WARM_UP)
        samples, spans, ledgers = await _watched(url, server, apps, seconds * (1 - WARM_UP) - 0.5)
        await load
    finally:
        load.cancel()
        await asyncio.to_thread(signing_in.stop)
    return Soak(
        command="python -m loadtests.soak"
        + (f" --minutes {options.minutes:g}" if options.minutes != 20 else "")
        + (" --postgresql" if options.postgresql else ""),
        database=_database(url),
        workers=WORKERS,
        connections=CONNECTIONS,
        minutes=options.minutes,
        peak=peak,
        rate=rate,
        spans=spans,
        samples=samples,
        ledgers=ledgers,
        failures=dict(apps.failures),
        sign_ins=len(signing_in.took),
        sign_in_seconds=median(signing_in.took or [0.0]),
        replaced=len(set(at_first) - set(workers_of(server))),
    )


async def _watched(url: str, server: int, apps: Apps, seconds: float) -> tuple[list[Sample], list[Span], list[Ledger]]:
    """What is sampled while the load goes on."""
    samples: list[Sample] = []
    spans: list[Span] = []
    apps.span = Span()
    ledgers = [await asyncio.to_thread(_ledger, url, 0)]
    answers, pause = apps.span.fhir_answers, min(5.0, seconds / TENTHS / 5)
    for number in range(TENTHS):
        span, began = Span(), time.perf_counter()
        apps.span = span
        while time.perf_counter() - began < seconds / TENTHS:
            await asyncio.sleep(pause)
            samples.append(_sample(server))
        span.seconds = time.perf_counter() - began
        spans.append(span)
        apps.span = Span()
        answers += span.fhir_answers
        if number in (TENTHS // 2 - 1, TENTHS - 1):
            ledgers.append(await asyncio.to_thread(_ledger, url, answers))
            answers += apps.span.fhir_answers  # while it was looked at
        _say(f"{number + 1} of {TENTHS}: p99 {span.percentile(99):.1f} ms, {samples[-1].allocated / 2**20:.1f} MB")
    return samples, spans, ledgers


def _sample(server: int) -> Sample:
    """The workers now; one that has just ended counts as nothing."""
    allocated = mapped = descriptors = 0
    for pid in workers_of(server):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        sizes = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Rss"))
        allocated += int(sizes["RssAnon"].split()[0]) * 1024
        mapped += int(sizes["RssFile"].split()[0]) * 1024
    return Sample(time.perf_counter(), allocated, mapped, descriptors)


def _ledger(url: str, answers: int) -> Ledger:
    query = "SELECT count(*) FROM ledger WHERE kind = 'answer'"
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(path)) as file:
            rows = file.execute(query).fetchone()[0]
        return Ledger(rows, answers, path.stat().st_size + path.with_name(path.name + "-wal").stat().st_size)
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT ({query}), pg_database_size(current_database())").fetchone()
    assert row is not None
    return Ledger(int(row[0]), answers, int(row[1]))


def _database(url: str) -> str:
    if url.startswith("sqlite"):
        return f"SQLite {sqlite3.sqlite_version}"
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
