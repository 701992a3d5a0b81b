"""``patient-access loadtest``: load any SMART payer API with a shape of traffic, on locust's engine.

https://docs.locust.io/ - the load tests know nothing of the server, and run as a program of their own: ``loadtests.run``. How to use it, the
shapes and the forms of the files: docs/load-testing.md
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from server.command_line import CommandError


def loadtest(
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="URL", help="The FHIR base, or the address above it; default: the manifest's."
        ),
    ] = "",
    shape: Annotated[
        str, typer.Option("--shape", metavar="NAME", help="A row of docs/load-testing.md.")
    ] = "steady-day",
    minutes: Annotated[float, typer.Option("--minutes", metavar="M", help="How long; parts are allowed.")] = 1.0,
    users: Annotated[int, typer.Option("--users", metavar="N", help="Users at the shape's peak.")] = 10,
    manifest: Annotated[
        Path, typer.Option("--manifest", metavar="FILE", help="The app and the people; of the sandbox, or yours.")
    ] = Path("var/sandbox.json"),
    sign_in: Annotated[
        str, typer.Option("--sign-in", metavar="NAME", help="own pages, forms of any server, or package.module:Class.")
    ] = "own",
    pace: Annotated[float, typer.Option("--pace", metavar="X", help="Every pause times this.")] = 1.0,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the report is written.")] = Path(
        "var/loadtest"
    ),
    thresholds: Annotated[
        Path | None, typer.Option("--thresholds", metavar="FILE", help="TOML; default: those that come with it.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Stored figures to compare with, JSON.")
    ] = None,
    save_baseline: Annotated[
        bool, typer.Option("--save-baseline", help="Store this run in the --baseline file, if it passes.")
    ] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the server's TLS certificate.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Start and watch it on locust's own page.")] = False,
    web_port: Annotated[int, typer.Option("--web-port", metavar="PORT", help="The port of that page.")] = 8089,
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", help="Load generators on this machine; -1: one per core.")
    ] = 0,
    master: Annotated[bool, typer.Option("--master", help="Wait for workers on other machines.")] = False,
    expect_workers: Annotated[
        int, typer.Option("--expect-workers", metavar="N", help="With --master: start when so many are there.")
    ] = 1,
    worker: Annotated[bool, typer.Option("--worker", help="Generate load for a master.")] = False,
    master_host: Annotated[
        str, typer.Option("--master-host", metavar="HOST", help="With --worker: where the master is.")
    ] = "127.0.0.1",
    master_port: Annotated[
        int, typer.Option("--master-port", metavar="PORT", help="With --master or --worker.")
    ] = 5557,
) -> None:
    """Load a SMART payer API, this one or another, with a shape of traffic: exit code 0, or 1 if it did not pass."""
    if find_spec("locust") is None:
        raise CommandError("load tests need locust: pip install 'patient-access[load]'")
    given = {
        "--target": target,
        "--shape": shape,
        "--minutes": minutes,
        "--users": users,
        "--manifest": manifest,
        "--sign-in": sign_in,
        "--pace": pace,
        "--output": output,
        "--thresholds": thresholds or "",
        "--baseline": baseline or "",
        "--web-port": web_port,
        "--processes": processes,
        "--expect-workers": expect_workers,
        "--master-host": master_host,
        "--master-port": master_port,
    }
    flags = {
        "--save-baseline": save_baseline,
        "--insecure": insecure,
        "--web": web,
        "--master": master,
        "--worker": worker,
    }
    arguments = [f"{name}={value}" for name, value in given.items()]
    arguments += [name for name, is_given in flags.items() if is_given]
    sys.stdout.flush()
    # The load test takes this process's place: signals reach it, and its exit code is the command's.
    os.execv(sys.executable, [sys.executable, "-m", "loadtests.run", *arguments])  # noqa: S606
