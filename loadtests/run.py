"""``patient-access loadtest``: check what was asked for, find the server, and hand over to locust's own engine.

https://docs.locust.io/en/stable/running-without-web-ui.html - exit code 0 when the run passes, 1 when there were unexpected errors or a
threshold failed, 2 for options, files or a server that cannot be used (one line on standard error).

    python -m loadtests.run --target http://127.0.0.1:8000/fhir --shape steady-day --minutes 5 --users 50
"""

import argparse
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from loadtests.options import Options, OptionsError, add_options, read_options
from loadtests.report import without_secrets

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
NEEDS_LOCUST = "load tests need locust: pip install 'patient-access[load]'"
SECONDS = 10


def parser() -> argparse.ArgumentParser:
    """Its options: those of ``loadtests.options`` and those for locust's engine."""
    found = argparse.ArgumentParser(
        prog="patient-access loadtest", description="Load a SMART payer API with a shape of traffic."
    )
    add_options(found)
    found.add_argument("--users", type=int, default=10, metavar="N", help="users at the shape's peak (default 10)")
    found.add_argument(
        "--web", action="store_true", help="start and watch it on locust's own page, http://127.0.0.1:8089"
    )
    found.add_argument("--web-port", type=int, default=8089, metavar="PORT", help="the port of that page")
    found.add_argument(
        "--processes", type=int, default=0, metavar="N", help="load generators on this machine; -1: one per core"
    )
    found.add_argument("--master", action="store_true", help="wait for workers on other machines, and report for all")
    found.add_argument(
        "--expect-workers", type=int, default=1, metavar="N", help="with --master: start when so many are there"
    )
    found.add_argument("--worker", action="store_true", help="generate load for a master; the other options as there")
    found.add_argument("--master-host", default="127.0.0.1", metavar="HOST", help="with --worker: where the master is")
    found.add_argument("--master-port", type=int, default=5557, metavar="PORT", help="with --master or --worker")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a load test: does not come back when locust starts; 2 when it cannot."""
    given = parser().parse_args(arguments)
    if find_spec("locust") is None:
        return _fail(NEEDS_LOCUST)
    try:
        if given.users < 1 or given.processes < -1 or given.expect_workers < 1:
            raise OptionsError("--users and --expect-workers are 1 or more, --processes is -1 or more")
        if given.master + given.worker + bool(given.processes) > 1:
            raise OptionsError("--master, --worker and --processes exclude each other")
        if given.expect_workers > 1 and not given.master:
            raise OptionsError("--expect-workers is the master's: give --master too")
        options = read_options(given)
        given.target = fhir_base(options)
        if not given.worker:  # its master writes the report
            options.output.mkdir(parents=True, exist_ok=True)
    except OptionsError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    return _become([sys.executable, "-m", "locust", *_locust(given)])


def _become(command: list[str]) -> NoReturn:
    """Locust takes this process's place, so that signals and its exit code are its own."""
    sys.stdout.flush()
    os.execv(command[0], command)


def _fail(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def fhir_base(options: Options) -> str:
    """The FHIR base that answers: the target, or /fhir below it. Raises OptionsError when none does."""
    target = options.manifest.fhir_base
    own = options.manifest.configuration_url
    tried = [own] if own else [f"{base}/.well-known/smart-configuration" for base in (target, f"{target}/fhir")]
    found = ""
    for url in tried:
        found = _configuration_error(url, options.insecure)
        if not found:
            return target if own else url.removesuffix("/.well-known/smart-configuration")
    raise OptionsError(f"{without_secrets(target)} is not a SMART server that answers: {found}")


def _configuration_error(url: str, insecure: bool) -> str:
    """What keeps a configuration from being used; '' when nothing does."""
    context = ssl._create_unverified_context() if insecure else None
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        return f"{without_secrets(url)} answers {error.code}"
    except (OSError, ValueError) as error:
        return f"{without_secrets(url)}: {getattr(error, 'reason', None) or error}"
    missing = {"authorization_endpoint", "token_endpoint"} - set(content if isinstance(content, dict) else ())
    return f"{without_secrets(url)} names no {' and no '.join(sorted(missing))}" if missing else ""


def _locust(given: argparse.Namespace) -> list[str]:
    """The options for locust itself."""
    own = [
        *(
            "--target",
            given.target,
            "--shape",
            given.shape,
            "--minutes",
            str(given.minutes),
            "--manifest",
            given.manifest,
        ),
        *("--sign-in", given.sign_in, "--pace", str(given.pace), "--output", given.output),
        *("--thresholds", given.thresholds, "--baseline", given.baseline),
        *(["--save-baseline"] if given.save_baseline else []),
        *(["--insecure"] if given.insecure else []),
    ]
    engine = ["-f", str(LOCUSTFILE), "-u", str(given.users), "--loglevel", "WARNING", "--only-summary"]
    if given.worker:
        return [*engine, "--worker", "--master-host", given.master_host, "--master-port", str(given.master_port), *own]
    engine += ["--web-host", "127.0.0.1", "--web-port", str(given.web_port)] if given.web else ["--headless"]
    if given.master:
        engine += [
            "--master",
            "--master-bind-port",
            str(given.master_port),
            "--expect-workers",
            str(given.expect_workers),
        ]
    elif given.processes:
        engine += ["--processes", str(given.processes), "--master-bind-host", "127.0.0.1"]
        engine += ["--master-bind-port", str(given.master_port), "--master-port", str(given.master_port)]
    return [*engine, *own]


if __name__ == "__main__":
    sys.exit(main())
