"""Latency, bytes and memory as the store grows: 1,000, 10,000 and 50,000 members, each in a database of its own, measured in one run.

https://hl7.org/fhir/R4/http.html#read and #search. Run it as ``python -m loadtests.scale``, on SQLite, or with ``--postgresql`` on one that
it starts itself. Members are generated and loaded by the commands; with ``--keep`` what was loaded is found again next time. Servers of
all sizes are up at once, warm, and take turns in short runs, so that whatever else the machine does hits all sizes alike; who asks are
thousands of members at random. Exit code 0, 1 when a goal was missed, 2 when nothing could be measured.
"""

import argparse
import json
import secrets
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import psycopg
import requests

from loadtests.evidence import machine
from loadtests.load_generator import Figures, LoadError, LoadGenerator, median_of
from loadtests.many_members import QUESTIONS, WORKLOADS, Asked, Question, Workload, allowed, requests_of, verify
from loadtests.memory import resident
from loadtests.processes import (
    ProcessError,
    free_port,
    postgresql_server,
    server_command,
    serving,
    workers_of,
)
from loadtests.scale_evidence import Measured, Size, Worker, is_reached, render
from loadtests.stored_compression import methods
from loadtests.stores import Store, StoreError, made
from loadtests.weights import ledger_growth, weigh

MEMBERS = (1_000, 10_000, 50_000)
WORKERS, CONNECTIONS = 2, 8
ROUNDS, SECONDS, WARM_SECONDS = 15, 1, 4
FEWEST = 20
_BYTES_AT_ONCE = 2**24


@dataclass(frozen=True, slots=True)
class Running:
    """A store with its server, and who asks."""

    store: Store
    environment: dict[str, str]
    url: str
    server: int
    members: list[Asked]


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, measure, print, write the evidence and its figures; the exit code."""
    options = _options(arguments)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _stopped)
    try:
        generator = LoadGenerator.find(CONNECTIONS)
        with ExitStack() as servers:
            folder = options.keep or Path(servers.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
            folder.mkdir(parents=True, exist_ok=True)
            stores = _stores(options, folder, servers)
            if options.load_only:
                return 0
            measured = _measured(generator, options, stores, folder, servers)
    except (LoadError, ProcessError, StoreError, requests.RequestException, psycopg.Error, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    text = render(measured, time.monotonic() - started)
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, "utf-8", newline="\n")
        figures = options.output.with_suffix(".json")
        figures.write_text(json.dumps(measured.figures(), indent=1) + "\n", "utf-8", newline="\n")
        print(f"Wrote {options.output} and {figures}.", file=sys.stderr)
    return 0 if is_reached(measured) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.scale", description="Measure reads and searches as the store grows. Needs wrk."
    )
    parser.add_argument(
        "--members",
        type=_sizes,
        default=MEMBERS,
        metavar="N,N,…",
        help="how many members each store has (default 1000,10000,50000: 9 GB and half an hour to load)",
    )
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL for it; without it SQLite")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what is loaded here, and use what was")
    parser.add_argument("--load-only", action="store_true", help="with --keep: load what is missing, measure nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"runs of each kind (default {ROUNDS})")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"length of a run (default {SECONDS})")
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/scale.md")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    if options.load_only and options.keep is None:
        parser.error("--load-only needs --keep, or what is loaded is lost")
    return options


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({int(part) for part in text.split(",")}))
    if not sizes or sizes[0] < FEWEST:
        raise argparse.ArgumentTypeError(f"members are {FEWEST} or more")
    return sizes


def _stores(options: argparse.Namespace, folder: Path, servers: ExitStack) -> list[Store]:
    server_url = None
    if options.postgresql:
        server_url = servers.enter_context(postgresql_server(folder, keep=options.keep is not None)).url
    return [made(folder, members, _environment("", ""), server_url, _say) for members in options.members]


def _measured(
    generator: LoadGenerator, options: argparse.Namespace, stores: Sequence[Store], folder: Path, servers: ExitStack
) -> Measured:
    running = [_running(store, folder, servers) for store in stores]
    for one in running:
        _warm(generator, one, folder)
    figures = _in_turn(generator, running, options.rounds, options.seconds, folder)
    memory = [[Worker(*resident(pid)) for pid in workers_of(one.server) or [one.server]] for one in running]
    sizes = [
        Size(
            one.store.members,
            one.store.loaded,
            weigh(one.store),
            *ledger_growth(one.store),
            workers,
            len(one.members),
            figures[one.store.members],
        )
        for one, workers in zip(running, memory, strict=True)
    ]
    _say("trying ways to compress what is stored")
    return Measured(
        command=" ".join(["python -m loadtests.scale", *_given(options)]),
        database="SQLite" if stores[0].is_sqlite else _version_of(stores[0].url),
        tool=generator.version,
        machine=machine(),
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        workers=WORKERS,
        connections=CONNECTIONS,
        rounds=options.rounds,
        seconds=options.seconds,
        sizes=sizes,
        methods=methods(stores[-1]),
    )


def _given(options: argparse.Namespace) -> list[str]:
    database = ["--postgresql"] if options.postgresql else []
    return [*database, f"--members {','.join(map(str, options.members))}"]


def _version_of(url: str) -> str:
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000}"


def _environment(url: str, base_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": url or "sqlite:///unused.db",
        "BASE_URL": base_url or "http://127.0.0.1:9",
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PAYER_TIME_ZONE": "UTC",
        "RATE_LIMIT_PER_MINUTE": "100000000",  # counted, and never reached
    }


def _running(store: Store, folder: Path, servers: ExitStack) -> Running:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = _environment(store.url, url)
    members = allowed(store, environment)
    _say(f"{store.members:,} members: {len(members):,} of them have a token")
    log = folder / f"server-{store.members}.log"
    command = server_command(port, WORKERS)
    server = servers.enter_context(serving(command, environment, log, f"{url}/fhir/metadata"))
    for question in QUESTIONS:
        verify(url, question, members)
    return Running(store, environment, url, server, members)


def _warm(generator: LoadGenerator, one: Running, folder: Path) -> None:
    """Have the file in the system's cache, and every worker's connections, statements and caches at work."""
    if one.store.is_sqlite:
        with one.store.path.open("rb") as file:
            while file.read(_BYTES_AT_ONCE):
                pass
    for question in QUESTIONS:
        generator.run(one.url, requests_of(question, WORKLOADS[0], one.members, 0), WARM_SECONDS, folder)


def _in_turn(
    generator: LoadGenerator, running: Sequence[Running], rounds: int, seconds: int, folder: Path
) -> dict[int, dict[tuple[Question, Workload], Figures]]:
    """The medians by store; in each round every store is asked everything, in an order that moves on from round to round."""
    runs: dict[tuple[int, Question, Workload], list[Figures]] = defaultdict(list)
    for number in range(rounds):
        for question in QUESTIONS:
            for workload in WORKLOADS:
                for place in range(len(running)):
                    one = running[(place + number) % len(running)]
                    targets = requests_of(question, workload, one.members, number + 1)
                    figures = generator.run(one.url, targets, seconds, folder)
                    runs[one.store.members, question, workload].append(figures)
        _say(f"round {number + 1} of {rounds} is done")
    found: dict[int, dict[tuple[Question, Workload], Figures]] = defaultdict(dict)
    for (members, question, workload), several in runs.items():
        found[members][question, workload] = median_of(several)
    return found


def _stopped(_signal: int, _frame: object) -> NoReturn:
    sys.exit(143)  # through the blocks that stop the servers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
