"""A member with very much: every page of ``$everything``, and an ``$export`` from the kick-off to the last byte, with the server's memory.

https://hl7.org/fhir/R4/patient-operation-everything.html and https://hl7.org/fhir/uv/bulkdata/STU2/export.html. Run it as
``python -m loadtests.crawl``, on SQLite, or with ``--postgresql`` on a PostgreSQL that it starts itself; ``--help`` lists the options.
Exit code 0, 1 when a goal was missed, 2 when nothing could be measured.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from loadtests.cases import CALLBACK, USERNAME, Member, sign_in
from loadtests.claims import claim_id, patient_id, write_ndjson
from loadtests.crawl_evidence import Crawl, Download, Export, Measured, render
from loadtests.memory import growth
from loadtests.others import Others
from loadtests.processes import ProcessError, free_port, postgresql, run, server_command, serving
from loadtests.smart_dance import DanceError

WORKERS = 2
CLAIMS, EXPORTED, SIZE = 5_000, 100_000, 3_000
FIRST_PAGES = 20
POLL_SECONDS = 0.2
PIECE = 64 * 1024
CRAWLED, EXPORTING, OTHER = 0, 1, 2
"""The members: who is crawled, who exports, and who reads meanwhile."""


class CrawlError(Exception):
    """An answer was not as it must be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the evidence; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.crawl", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--claims", type=int, default=CLAIMS, help=f"of the member crawled (default {CLAIMS})")
    parser.add_argument("--exported", type=int, default=EXPORTED, help=f"resources to export (default {EXPORTED})")
    parser.add_argument("--size", type=int, default=SIZE, help=f"bytes of a claim (default {SIZE})")
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL for it; without it SQLite")
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/crawl.md")
    options = parser.parse_args(arguments)
    if options.claims < 1 or options.exported < 4 or options.size < 2_500:
        print("error: at least 1 claim, 4 exported resources and 2,500 bytes are needed", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="crawl-") as folder, ExitStack() as servers:
            measured = _measured(options, Path(folder), servers)
    except (CrawlError, ProcessError, DanceError, requests.RequestException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    page = render(measured)
    print(page)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page, "utf-8", newline="\n")
    return 0 if measured.is_reached else 1


def _measured(options: argparse.Namespace, folder: Path, servers: ExitStack) -> Measured:
    started = time.monotonic()
    url = servers.enter_context(postgresql(folder)) if options.postgresql else f"sqlite:///{folder / 'crawl.db'}"
    base_url = f"http://127.0.0.1:{free_port()}"
    environment = {
        "DATABASE_URL": url,
        "BASE_URL": base_url,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PAYER_TIME_ZONE": "UTC",
    }
    password = _load(environment, options, folder)
    took = time.monotonic() - started
    command = server_command(int(base_url.rpartition(":")[2]), WORKERS)
    pid = servers.enter_context(serving(command, environment, folder / "server.log", f"{base_url}/fhir/metadata"))
    members = [sign_in(base_url, number, "crawl-app", password) for number in (CRAWLED, EXPORTING, OTHER)]
    return Measured(
        command=_command(options),
        database="PostgreSQL" if options.postgresql else "SQLite",
        workers=WORKERS,
        size=options.size,
        loaded=took,
        crawl=_crawl(base_url, members[CRAWLED], pid, options.claims),
        export=_export(base_url, members, pid, options.exported),
    )


def _command(options: argparse.Namespace) -> str:
    defaults = {"claims": CLAIMS, "exported": EXPORTED, "size": SIZE}
    given = [
        f"--{name} {getattr(options, name)}" for name, usual in defaults.items() if getattr(options, name) != usual
    ]
    return " ".join(["python -m loadtests.crawl", *given, *(["--postgresql"] if options.postgresql else [])])


def _load(environment: dict[str, str], options: argparse.Namespace, folder: Path) -> str:
    data = folder / "data"
    data.mkdir()
    exported_claims = options.exported - 4  # and the member, their coverage, the organization and the practitioner
    write_ndjson(data, 3, [options.claims, exported_claims, 1], options.size)
    run(environment, "migrate")
    print(f"loading {options.claims + exported_claims + 1:,} claims", file=sys.stderr, flush=True)
    run(environment, "load", str(data))
    for path in data.iterdir():
        path.unlink()
    password = secrets.token_urlsafe(16)
    run(environment, "client", "add", "--name", "Crawl", "--redirect-uri", CALLBACK, "--id", "crawl-app")
    acts_for = [f"--patient={patient_id(number)}" for number in (CRAWLED, EXPORTING, OTHER)]
    why = ["--relationship=self", *["--relationship=guardian"] * 2, "--authority=self", *["--authority=adult"] * 2]
    person = ["--username", USERNAME, "--name", "Sam who crawls", "--password", password]
    run(environment, "account", "add", *person, *acts_for, *why)
    return password


def _crawl(base_url: str, member: Member, pid: int, claims: int) -> Crawl:
    """Every page of everything, from the first to the last, after some first pages."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {member.token}"
        first = f"{base_url}/fhir/Patient/{patient_id(member.number)}/$everything"
        firsts = [_timed(session, first)[0] for _ in range(FIRST_PAGES)]
        seen: set[str] = set()
        latencies: list[float] = []
        started = time.monotonic()
        with growth(pid) as memory:
            following: str | None = first
            while following:
                seconds, page = _timed(session, following)
                latencies.append(seconds)
                seen |= {entry["resource"]["id"] for entry in page["entry"] if entry["search"]["mode"] == "match"}
                following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        took = time.monotonic() - started
    wanted = {claim_id(member.number, claim) for claim in range(claims)}
    wanted |= {patient_id(member.number), f"{patient_id(member.number)}-coverage"}
    if seen != wanted:
        raise CrawlError(f"$everything brought {len(seen)} resources instead of {len(wanted)}, or others")
    return Crawl(len(seen), len(latencies), firsts, latencies, took, memory)


def _timed(session: requests.Session, url: str) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = session.get(url, timeout=60)
    seconds = time.perf_counter() - started
    if answer.status_code != 200:
        raise CrawlError(f"{url}: {answer.status_code}")
    return seconds, answer.json()


def _export(base_url: str, members: Sequence[Member], pid: int, wanted: int) -> Export:
    """Kick-off, waiting, every file compressed and not; another member reads all the while."""
    member = members[EXPORTING]
    reading = f"{base_url}/fhir/ExplanationOfBenefit/{claim_id(OTHER, 0)}"
    with Others(reading, members[OTHER].token) as others:
        time.sleep(2)
        idle = others.take()
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {member.token}"
            with growth(pid) as while_written:
                started = time.monotonic()
                manifest = _wait(session, f"{base_url}/fhir/Patient/{patient_id(member.number)}/$export")
                took = time.monotonic() - started
            busy = others.take()
            counted = sum(one["count"] for one in manifest["output"])
            if counted != wanted:
                raise CrawlError(f"the manifest counts {counted} resources instead of {wanted}")
            downloads = [_downloaded(session, manifest, pid, encoding) for encoding in ("gzip", "identity")]
    return Export(wanted, took, while_written, downloads, idle, busy)


def _wait(session: requests.Session, url: str) -> Any:
    begun = session.get(url, headers={"Prefer": "respond-async"}, timeout=60)
    if begun.status_code != 202:
        raise CrawlError(f"the kick-off was answered with {begun.status_code}")
    while True:
        answer = session.get(begun.headers["content-location"], timeout=60)
        if answer.status_code == 200:
            return answer.json()
        if answer.status_code != 202:
            raise CrawlError(f"the status was answered with {answer.status_code}")
        time.sleep(POLL_SECONDS)


def _downloaded(session: requests.Session, manifest: Any, pid: int, encoding: str) -> Download:
    """All files one after the other, piece by piece, lines counted."""
    first_byte, sent, lines = 0.0, 0, 0
    started = time.monotonic()
    with growth(pid) as memory:
        for one in manifest["output"]:
            asked = time.perf_counter()
            with session.get(one["url"], headers={"Accept-Encoding": encoding}, stream=True, timeout=60) as answer:
                if answer.status_code != 200 or answer.headers.get("content-encoding", "identity") != encoding:
                    raise CrawlError(f"{one['type']}: {answer.status_code}, {answer.headers.get('content-encoding')}")
                found = 0
                for piece in answer.iter_content(PIECE):
                    if not found and not first_byte and one["type"] == "ExplanationOfBenefit":
                        first_byte = time.perf_counter() - asked
                    found += piece.count(b"\n")
                sent += int(answer.headers["content-length"])
                if found != one["count"]:
                    raise CrawlError(f"{one['type']}: {found} lines instead of {one['count']}")
                lines += found
    return Download(encoding, sent, lines, first_byte, time.monotonic() - started, memory)


if __name__ == "__main__":
    sys.exit(main())
