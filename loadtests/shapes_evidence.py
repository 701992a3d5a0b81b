"""Every shape for a minute against this server with two workers: no unexpected answer; the page of what it came to.

https://docs.locust.io/ - generated members with clinical records, and one member with 5,000 claims; ``patient-access loadtest`` does the rest.

    python -m loadtests.shapes_evidence --output docs/evidence/shapes.md
    python -m loadtests.shapes_evidence --postgresql --output docs/evidence/shapes_postgresql.md

Exit code 0 when every shape passed, 1 when one did not, 2 when it could not be measured. About fifteen minutes each.
"""

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtests.claims import patient_id, write_ndjson
from loadtests.evidence import machine
from loadtests.processes import ROOT, ProcessError, free_port, postgresql, run, server_command, serving
from loadtests.shapes import SHAPES

WORKERS, USERS, MINUTES, PACE = 2, 40, 1.0, 0.25
MEMBERS, LOGINS, HEAVY_CLAIMS, SIZE = 60, 12, 5_000, 8_192
CALLBACK, CLIENT = "http://127.0.0.1:9/callback", "load-test"


def main(arguments: Sequence[str] | None = None) -> int:
    """Load records, serve them, run every shape, print and write the page."""
    parser = argparse.ArgumentParser(description="Every shape of traffic against this server.")
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL for it; without it SQLite")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of each shape (default {MINUTES:g})")
    parser.add_argument("--users", type=int, default=USERS, help=f"at the peak of each shape (default {USERS})")
    parser.add_argument("--members", type=int, default=MEMBERS, help=f"generated members (default {MEMBERS})")
    parser.add_argument(
        "--claims", type=int, default=HEAVY_CLAIMS, help=f"of the member who has most (default {HEAVY_CLAIMS})"
    )
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/shapes.md")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or min(options.users, options.members, options.claims) < 1:
        print("error: minutes, users, members and claims are more than 0", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="shapes-") as folder, ExitStack() as servers:
            reports = _measured(options, Path(folder), servers)
    except ProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    page = render(reports, options)
    print(page)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page, "utf-8", newline="\n")
    return 0 if all(report["verdict"] != "fail" for report in reports) else 1


def _measured(options: argparse.Namespace, folder: Path, servers: ExitStack) -> list[dict[str, Any]]:
    url = servers.enter_context(postgresql(folder)) if options.postgresql else f"sqlite:///{folder / 'shapes.db'}"
    base_url = f"http://127.0.0.1:{free_port()}"
    environment = {
        "DATABASE_URL": url,
        "BASE_URL": base_url,
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PAYER_TIME_ZONE": "UTC",
        "RATE_LIMIT_PER_MINUTE": "0",
        "FORMER_MEMBERS": "allow",
        "SERVER_TIMING": "true",
    }
    manifest = folder / "manifest.json"
    content = {
        "fhir_base": f"{base_url}/fhir",
        "client": {"client_id": CLIENT, "redirect_uris": [CALLBACK]},
        "logins": _load(environment, options, folder),
    }
    manifest.write_text(json.dumps(content), "utf-8")
    command = server_command(int(base_url.rpartition(":")[2]), WORKERS)
    servers.enter_context(serving(command, environment, folder / "server.log", f"{base_url}/fhir/metadata"))
    return [_run(shape.name, manifest, folder / "reports", options) for shape in SHAPES]


def _load(environment: dict[str, str], options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Members of all kinds, and one with thousands of claims; the logins that see them."""
    data = folder / "data"
    _say(f"generating and loading {options.members} members and a member with {options.claims:,} claims")
    run(environment, "generate", "--members", str(options.members), "--output", str(data))
    heavy = folder / "heavy"
    heavy.mkdir()
    write_ndjson(heavy, 1, options.claims, SIZE)
    run(environment, "migrate")
    run(environment, "load", str(data), str(heavy))
    (patients,) = data.glob("*-Patient.ndjson")
    members = [str(json.loads(line)["id"]) for line in patients.read_text("utf-8").splitlines()]
    run(environment, "client", "add", "--name", "Load test", "--redirect-uri", CALLBACK, "--id", CLIENT)
    logins = [_login(environment, f"person-{n}", members[n::LOGINS]) for n in range(min(LOGINS, len(members)))]
    return [*logins, _login(environment, "heavy", [patient_id(0)]) | {"heavy": True}]


def _login(environment: dict[str, str], username: str, patients: Sequence[str]) -> dict[str, Any]:
    password = secrets.token_urlsafe(16)
    acts_for = [option for patient in patients for option in (f"--patient={patient}", "--relationship=guardian")]
    authority = ["--authority=adult"] * len(patients)
    person = ["--username", username, "--name", "Somebody", "--password", password]
    run(environment, "account", "add", *person, *acts_for, *authority)
    return {"username": username, "password": password, "patients": list(patients)}


def _run(shape: str, manifest: Path, output: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One shape; its report. Raises ProcessError when there is none."""
    _say(f"{shape}, {options.minutes:g} minutes")
    command = [sys.executable, "-m", "loadtests.run", "--manifest", str(manifest), "--shape", shape]
    command += ["--minutes", str(options.minutes), "--users", str(options.users), "--pace", str(PACE)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [*command, "--output", str(output)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    file = output / f"{shape}.json"
    if done.returncode not in (0, 1) or not file.exists():
        raise ProcessError(f"{shape} ended with {done.returncode}: {' '.join(done.stderr.split())[-500:]}")
    if done.returncode:
        print(done.stdout, file=sys.stderr, flush=True)
    report: dict[str, Any] = json.loads(file.read_text("utf-8"))
    time.sleep(1)
    return report


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def render(reports: Sequence[dict[str, Any]], options: argparse.Namespace) -> str:
    """The page."""
    database = "PostgreSQL" if options.postgresql else "SQLite"
    defaults = {"minutes": MINUTES, "users": USERS, "members": MEMBERS, "claims": HEAVY_CLAIMS}
    given = [
        f"--{name} {getattr(options, name):g}" for name, usual in defaults.items() if getattr(options, name) != usual
    ]
    command = " ".join(
        ["python -m loadtests.shapes_evidence", *(["--postgresql"] if options.postgresql else []), *given]
    )
    rows = [
        f"| `{report['shape']}` | {report['users']:,} | {report['whole']['requests']:,} |"
        f" {report['whole']['throughput']:,.1f} | {report['whole']['failed']:,} | {report['whole']['p50']:,.1f} |"
        f" {report['whole']['p95']:,.1f} | {report['whole']['p99']:,.1f} | {_slowest(report)} | {report['verdict']} |"
        for report in reports
    ]
    kinds = [
        f"- `{report['shape']}`: {error['step']}, status {error['status'] or 'none'}, {error['code']}: {error['count']:,}"
        for report in reports
        for error in report["errors"]
    ]
    good = sum(report["verdict"] != "fail" for report in reports)
    return "\n".join(
        [
            f"# Every shape of traffic on {database}",
            "",
            f"    {command}",
            "",
            f"{good} of {len(reports)} shapes passed: no answer that was not expected. Milliseconds that the app or browser waited,"
            " over all steps of a shape, sign-in pages with their slow password hash included.",
            "",
            "| Shape | Users | Requests | Requests/s | Unexpected errors | p50 | p95 | p99 | Slowest step by p95 | Verdict |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            *(["Unexpected answers:", "", *kinds, ""] if kinds else []),
            f"- **Server**: {WORKERS} workers, every answer in the ledger, no limit of requests a minute, `SERVER_TIMING` on.",
            f"- **Data**: {options.members:,} generated members with clinical records, and one member with {options.claims:,} claims"
            f" of {SIZE:,} bytes; {min(LOGINS, options.members) + 1} people sign in.",
            f"- **Load**: one locust process on the same machine, {options.minutes:g} min a shape, pauses {PACE:g} times those of"
            " docs/load-testing.md. It takes its share of the cores, so these figures tell stories, not limits.",
            f"- **Machine**: {machine()}; Python {platform.python_version()}, locust {version('locust')}.",
            f"- **Day**: {datetime.now(UTC).date().isoformat()}.",
            "",
        ]
    )


def _slowest(report: dict[str, Any]) -> str:
    slowest = max(report["steps"], key=lambda step: step["p95"], default=None)
    return f"{slowest['name']}, {slowest['p95']:,.1f}" if slowest else ""


if __name__ == "__main__":
    sys.exit(main())
