"""The hot path: a read, a search of 10 and one of 50 claims, beside a bare ASGI application returning constants of the same sizes.

https://hl7.org/fhir/R4/http.html#read and #search. Run it as ``python -m loadtests.hot_path``, on SQLite, or with ``--postgresql`` on
a PostgreSQL that it starts itself; ``--help`` lists the options. It makes members and claims in a temporary directory, loads them,
signs members in, and lets wrk (or oha) ask both servers in turn; then the page of 10 with and without gzip. With ``--beside`` it is
compared with another application on the same database instead; with ``--profile`` it is told what the workers were busy with. It ends within three minutes; exit code 0, 1 when a goal was missed,
2 when nothing could be measured.
"""

import argparse
import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import psycopg
import requests

from loadtests.cases import (
    CALLBACK,
    CASES,
    CLAIMS,
    COMPRESSED,
    PLAIN,
    USERNAME,
    Case,
    Member,
    bare_environment,
    bytes_sent,
    sign_in,
    targets,
    verify,
)
from loadtests.claims import patient_id, write_ndjson
from loadtests.evidence import Conditions, Result, render
from loadtests.load_generator import Figures, LoadError, LoadGenerator, Target, median_of
from loadtests.processes import (
    ProcessError,
    bare_command,
    factory_command,
    free_port,
    postgresql,
    run,
    server_command,
    serving,
    workers_of,
)
from loadtests.smart_dance import DanceError
from loadtests.worker_profile import Profile, profile_of, recorded

TOTAL_SECONDS = 170
"""Of everything up to the last check; stopping the servers takes a few more."""
AFTER_MEASURING = 15
"""Seconds kept for the last check."""
ROUNDS = 5
WORKERS = 2
BESIDE_GOAL = 0.75
"""Of the requests/s of the application named with ``--beside``; another one by ``--goal``."""
CONNECTIONS = 64
CLAIM_BYTES = 8192
SIGNED_IN = 8
"""Members for whom the app is allowed; their tokens take turns."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the evidence; the exit code."""
    options = _options(arguments)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(TOTAL_SECONDS)
    try:
        generator = LoadGenerator.find(CONNECTIONS)
        with tempfile.TemporaryDirectory(prefix="hot-path-") as folder, ExitStack() as servers:
            text, reached = _measured(generator, options, Path(folder), started, servers)
            signal.alarm(0)
    except (LoadError, ProcessError, DanceError, requests.RequestException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        signal.alarm(0)
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, "utf-8", newline="\n")
        print(f"Wrote {options.output}.", file=sys.stderr)
    return 0 if reached else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.hot_path",
        description="Measure a read, a search of 10 and one of 50 claims beside a bare ASGI application. Needs wrk or oha.",
    )
    parser.add_argument(
        "--seconds", type=_positive, default=3, help="length of a run (default 3; less if time is short)"
    )
    parser.add_argument(
        "--members", type=_positive, default=100, help=f"members to load, {CLAIMS} claims each (default 100)"
    )
    database = parser.add_mutually_exclusive_group()
    database.add_argument(
        "--postgresql",
        action="store_true",
        help="start a PostgreSQL for it; without it SQLite in a temporary directory",
    )
    database.add_argument("--database-url", help="an empty database to use, e.g. postgresql://…")
    parser.add_argument(
        "--beside",
        metavar="MODULE:FACTORY",
        help="compare with the application that this factory makes, on the same database, instead of the bare one",
    )
    parser.add_argument(
        "--goal", type=float, default=BESIDE_GOAL, help=f"of --beside: the ratio to reach (default {BESIDE_GOAL})"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="sample the workers in a round more of each case, and say what limits it (needs py-spy)",
    )
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/hot_path.md")
    options = parser.parse_args(arguments)
    options.members = max(options.members, SIGNED_IN)
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _stopped(_signal: int, _frame: object) -> NoReturn:
    sys.exit(143)


def _out_of_time(_signal: int, _frame: object) -> NoReturn:
    raise LoadError(f"not done after {TOTAL_SECONDS} s, the machine is too slow or too busy; try fewer --members")


def _measured(
    generator: LoadGenerator, options: argparse.Namespace, folder: Path, started: float, servers: ExitStack
) -> tuple[str, bool]:
    """The evidence, and whether every goal was reached."""
    url: str = options.database_url or f"sqlite:///{folder / 'hot-path.db'}"
    if options.postgresql:
        url = servers.enter_context(postgresql(folder))
    server_port, bare_port = free_port(), free_port()
    server, bare = f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{bare_port}"
    environment = {
        "DATABASE_URL": url,
        "BASE_URL": server,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PAYER_TIME_ZONE": "UTC",
        "RATE_LIMIT_PER_MINUTE": "100000000",  # counted, and never reached
    }
    client_id, password = _load(environment, options.members, folder)
    command = server_command(server_port, WORKERS)
    process = servers.enter_context(serving(command, environment, folder / "server.log", f"{server}/fhir/metadata"))
    members = [sign_in(server, number, client_id, password) for number in range(SIGNED_IN)]
    if options.beside:
        command = factory_command(options.beside, bare_port, WORKERS)
        servers.enter_context(serving(command, environment, folder / "beside.log", f"{bare}/fhir/metadata"))
    else:
        constants = bare_environment(server, members)
        command = bare_command(bare_port, WORKERS)
        servers.enter_context(serving(command, constants, folder / "bare.log", f"{bare}/{CASES[0].slug}"))
    left = TOTAL_SECONDS - AFTER_MEASURING - (time.monotonic() - started)
    rounds = 2 * ROUNDS + (1 if options.profile else 0)
    seconds = min(options.seconds, int((left / (len(CASES) + 1) - 5) / rounds))
    if seconds < 1:
        raise LoadError(f"only {left:.0f} s are left to measure in; try fewer --members")
    asked = _Asked(generator, server, members, seconds, folder)
    profiles: list[Profile] = []
    is_postgresql = url.startswith("postgresql")
    results = []
    for case in CASES:
        if options.beside:
            of_other, goal = targets(case, members), options.goal
        else:
            of_other, goal = (
                [Target(f"/{case.slug}", one.token) for one in members],
                case.goal(postgresql=is_postgresql),
            )
        size, measured, beside = asked.beside(case, bare, of_other)
        if options.beside and verify(bare, case, members) != size:
            raise LoadError(f"{case.title}: {options.beside} answers otherwise")
        results.append(_result(case, goal, size, measured, beside))
        if options.profile:
            profiles.append(asked.profile(case, process))
    answered = sum(result.server.answered for result in results)
    compressed = None
    if not options.beside:
        _, measured, beside = asked.beside(COMPRESSED, server, targets(PLAIN, members))
        size = bytes_sent(server, COMPRESSED, members[0])
        compressed = _result(COMPRESSED, COMPRESSED.goal(postgresql=is_postgresql), size, measured, beside)
        answered += measured.answered + beside.answered
    conditions = Conditions(
        command=" ".join(["python -m loadtests.hot_path", *_given(options)]),
        tool=generator.version,
        connections=CONNECTIONS,
        workers=WORKERS,
        rounds=ROUNDS,
        seconds=seconds,
        database=_version_of(url) if is_postgresql else "SQLite",
        members=options.members,
        claims=options.members * CLAIMS,
        tokens=SIGNED_IN,
        answered=answered,
        ledger_rows=_answers_in_ledger(environment, answered),
        took=time.monotonic() - started,
        beside=options.beside or "",
    )
    reached = all(result.is_reached for result in results) and (compressed is None or compressed.is_reached)
    return render(results, compressed, conditions, profiles), reached


def _given(options: argparse.Namespace) -> list[str]:
    database = ["--postgresql"] if options.postgresql else ["--database-url …"] if options.database_url else []
    beside = [f"--beside {options.beside}", f"--goal {options.goal}"] if options.beside else []
    profile = ["--profile"] if options.profile else []
    return [f"--seconds {options.seconds}", f"--members {options.members}", *database, *beside, *profile]


def _version_of(url: str) -> str:
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000}"


def _load(environment: dict[str, str], members: int, folder: Path) -> tuple[str, str]:
    """Fill the database by the command line: the client id, and the password of who acts for the members."""
    data = folder / "data"
    data.mkdir()
    write_ndjson(data, members, CLAIMS, CLAIM_BYTES)
    run(environment, "migrate")
    _say(f"loading {members * CLAIMS:,} claims of {members} members")
    run(environment, "load", str(data))
    client_id, password = "hot-path-app", secrets.token_urlsafe(16)
    run(environment, "client", "add", "--name", "Hot path", "--redirect-uri", CALLBACK, "--id", client_id)
    person = ["--username", USERNAME, "--name", "Sam of the hot path", "--password", password]
    acts_for = [f"--patient={patient_id(number)}" for number in range(SIGNED_IN)]
    others = SIGNED_IN - 1  # grown up, so that a parent would have no authority
    relationships = ["--relationship=self", *["--relationship=guardian"] * others]
    relationships += ["--authority=self", *["--authority=adult"] * others]
    run(environment, "account", "add", *person, *acts_for, *relationships)
    return client_id, password


class _Asked:
    """The server, and how its cases are measured: a second to warm up, then it and what it is compared with in turn."""

    def __init__(
        self, generator: LoadGenerator, server: str, members: Sequence[Member], seconds: int, folder: Path
    ) -> None:
        self._generator = generator
        self._server = server
        self._members = members
        self._seconds = seconds
        self._folder = folder

    def beside(self, case: Case, other: str, asked_of_other: Sequence[Target]) -> tuple[int, Figures, Figures]:
        """The size of the body, and the figures of the server and of the other; each counts its warming up as answered too."""
        size = verify(self._server, case, self._members)
        both = ((self._server, targets(case, self._members)), (other, asked_of_other))
        runs: tuple[list[Figures], list[Figures]] = ([], [])
        warm = [self._generator.run(url, asked, 1, self._folder).answered for url, asked in both]
        for number in range(ROUNDS):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                url, asked = both[which]
                runs[which].append(self._generator.run(url, asked, self._seconds, self._folder))
        if verify(self._server, case, self._members) != size:
            raise LoadError(f"{case.title}: the size of the body changed")
        middle = [median_of(figures) for figures in runs]
        measured, compared = (
            replace(figures, answered=figures.answered + warmed) for figures, warmed in zip(middle, warm, strict=True)
        )
        return size, measured, compared

    def profile(self, case: Case, process: int) -> Profile:
        """What the workers of the server are busy with in a round of this case."""
        with recorded(workers_of(process), self._seconds, self._folder) as files:
            self._generator.run(self._server, targets(case, self._members), self._seconds, self._folder)
        return profile_of(case.title, [line for file in files for line in file.read_text("utf-8").splitlines()])


def _result(case: Case, goal: float, size: int, measured: Figures, beside: Figures) -> Result:
    result = Result(case, goal, size, measured, beside)
    _say(f"{case.title}: {measured.per_second:,.0f} requests/s, ratio {result.ratio:.3f}")
    return result


def _answers_in_ledger(environment: dict[str, str], answered: int) -> int:
    """How many answers the usage report finds: at least those the load generator counted, of exactly these members.

    Raises LoadError when there are fewer.
    """
    report = json.loads(run(environment, "report", "usage", "--year", str(datetime.now(UTC).year), "--format", "json"))
    answers, members = int(report["answers"]), report["organisation"]["measures"]["unique-patients"]
    if answers < answered or members != SIGNED_IN:
        raise LoadError(f"{answered} requests were answered, but the ledger has {answers} answers of {members} members")
    return answers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
