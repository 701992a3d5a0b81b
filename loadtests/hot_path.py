"""The hot path: a read, a search of 10 and one of 50 claims, beside a bare ASGI application returning constants of the same sizes.

https://hl7.org/fhir/R4/http.html#read and #search. Run it as ``python -m loadtests.hot_path``; ``--help`` lists the options. It makes
members and claims in a temporary directory, loads them, signs members in, and lets wrk (or oha) ask both servers in turn. It ends
within three minutes; exit code 0, 1 when a goal was missed, 2 when nothing could be measured.
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

import requests

from loadtests.cases import CALLBACK, CASES, CLAIMS, USERNAME, Member, bare_environment, sign_in, targets, verify
from loadtests.claims import patient_id, write_ndjson
from loadtests.evidence import Conditions, Result, render
from loadtests.load_generator import Figures, LoadError, LoadGenerator, Target, median_of
from loadtests.processes import ProcessError, bare_command, free_port, run, server_command, serving
from loadtests.smart_dance import DanceError

TOTAL_SECONDS = 170
"""Of everything up to the last check; stopping the servers takes a few more."""
AFTER_MEASURING = 15
"""Seconds kept for the last check."""
ROUNDS = 5
WORKERS = 2
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
    parser.add_argument(
        "--database-url",
        help="an empty database to use, e.g. postgresql://…; without it SQLite in a temporary directory",
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
    server_port, bare_port = free_port(), free_port()
    server, bare = f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{bare_port}"
    environment = {
        "DATABASE_URL": options.database_url or f"sqlite:///{folder / 'hot-path.db'}",
        "BASE_URL": server,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PAYER_TIME_ZONE": "UTC",
    }
    client_id, password = _load(environment, options.members, folder)
    command = server_command(server_port, WORKERS)
    servers.enter_context(serving(command, environment, folder / "server.log", f"{server}/fhir/metadata"))
    members = [sign_in(server, number, client_id, password) for number in range(SIGNED_IN)]
    constants = bare_environment(server, members)
    command = bare_command(bare_port, WORKERS)
    servers.enter_context(serving(command, constants, folder / "bare.log", f"{bare}/{CASES[0].slug}"))
    left = TOTAL_SECONDS - AFTER_MEASURING - (time.monotonic() - started)
    seconds = min(options.seconds, int((left / len(CASES) - 5) / (2 * ROUNDS)))
    if seconds < 1:
        raise LoadError(f"only {left:.0f} s are left to measure in; try fewer --members")
    results = _measure(generator, server, bare, members, seconds, folder)
    answered = sum(result.server.answered for result in results)
    conditions = Conditions(
        command=" ".join(["python -m loadtests.hot_path", *_given(options)]),
        tool=generator.version,
        connections=CONNECTIONS,
        workers=WORKERS,
        rounds=ROUNDS,
        seconds=seconds,
        database="PostgreSQL" if options.database_url and "postgresql" in options.database_url else "SQLite",
        members=options.members,
        claims=options.members * CLAIMS,
        tokens=SIGNED_IN,
        answered=answered,
        ledger_rows=_answers_in_ledger(environment, answered),
        took=time.monotonic() - started,
    )
    return render(results, conditions), all(result.is_reached for result in results)


def _given(options: argparse.Namespace) -> list[str]:
    given = [f"--seconds {options.seconds}", f"--members {options.members}"]
    return [*given, "--database-url …"] if options.database_url else given


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
    relationships = ["--relationship=self", *["--relationship=parent"] * (SIGNED_IN - 1)]
    run(environment, "account", "add", *person, *acts_for, *relationships)
    return client_id, password


def _measure(
    generator: LoadGenerator, server: str, bare: str, members: Sequence[Member], seconds: int, folder: Path
) -> list[Result]:
    """Every case: a second to warm up, then the server and the bare application in turn, five times each."""
    results = []
    for case in CASES:
        size = verify(server, case, members)
        asked = {server: targets(case, members), bare: [Target(f"/{case.slug}", member.token) for member in members]}
        runs: dict[str, list[Figures]] = {server: [], bare: []}
        warm = {url: generator.run(url, asked[url], 1, folder) for url in (server, bare)}
        for number in range(ROUNDS):
            for url in (server, bare) if number % 2 == 0 else (bare, server):
                runs[url].append(generator.run(url, asked[url], seconds, folder))
        if verify(server, case, members) != size:
            raise LoadError(f"{case.title}: the size of the body changed")
        middle = median_of(runs[server])
        figures = replace(middle, answered=middle.answered + warm[server].answered)
        results.append(Result(case, size, figures, median_of(runs[bare])))
        _say(f"{case.title}: {figures.per_second:,.0f} requests/s, ratio {results[-1].ratio:.3f}")
    return results


def _answers_in_ledger(environment: dict[str, str], answered: int) -> int:
    """How many answers the usage report finds: at least those the load generator counted, of exactly these members.

    Raises LoadError when there are fewer.
    """
    report = json.loads(run(environment, "report", "usage", "--year", str(datetime.now(UTC).year), "--format", "json"))
    answers, members = int(report["answers"]), report["organisation"]["unique-patients"]
    if answers < answered or members != SIGNED_IN:
        raise LoadError(f"{answered} requests were answered, but the ledger has {answers} answers of {members} members")
    return answers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
