"""What locust is started with: the users of a shape, and the events by which what they measure becomes the report.

https://docs.locust.io/en/stable/extending-locust.html - ``python -m loadtests.run`` (``patient-access loadtest``) starts locust with this
file; locust's own options (``--processes``, ``--master``, ``--worker`` …) mean what locust says. What workers measure travels to the master
with locust's own reports, and the master writes the report. Options of this file: ``locust -f loadtests/locustfile.py --help``.
"""

import logging
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

# locust puts this file's folder on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.options import OptionsError, add_options, read_options
from loadtests.report import Report, terminal_lines, write
from loadtests.summary import summarize
from loadtests.thresholds import ThresholdsError, judge, save_baseline
from loadtests.users import LOAD, Member, ShapeOverTime, UnexpectedAnswerError, users_of

__all__ = ["Member", "ShapeOverTime"]

OF_MASTER = ("target", "shape", "minutes", "pace", "insecure")
"""What a worker takes from its master."""
REPORT_KEY = "patient_access"
BUSY = "A load generator used more than 90 % of its core: latencies include waiting for it. Use --processes, or more machines."


def _init(environment: Environment, **_: Any) -> None:
    """Read the options; what is wrong with them is one line and exit code 2."""
    assert environment.parsed_options is not None
    LOAD.given = Namespace(**vars(environment.parsed_options))
    try:
        _prepare(environment, LOAD.given)
    except OptionsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    logging.getLogger("locust.stats_logger").disabled = True
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.quitting.add_listener(_report)  # type: ignore[no-untyped-call]


def _prepare(environment: Environment, options: Namespace) -> None:
    read = read_options(options)
    LOAD.prepare(read)
    environment.host = Member.host = read.manifest.fhir_base
    Member.insecure = read.insecure


def _begin(environment: Environment, **_: Any) -> None:
    """A test starts, with what the master or locust's page says by now; files are a worker's own."""
    assert environment.parsed_options is not None
    given = vars(environment.parsed_options)
    if isinstance(environment.runner, WorkerRunner):
        given = vars(LOAD.given) | {name: given[name] for name in OF_MASTER}
    try:
        _prepare(environment, Namespace(**given))
    except OptionsError as error:
        print(f"error: {error}; as before", file=sys.stderr)
    LOAD.begin()


def _stopped(environment: Environment, **_: Any) -> None:
    LOAD.end()
    LOAD.users = users_of(environment)
    if isinstance(environment.runner, MasterRunner):
        LOAD.generators = max(1, len(environment.runner.clients))


def _measured(
    name: str, response_time: float, response_length: int, exception: Exception | None, request_type: str, **more: Any
) -> None:
    """One request of any user."""
    if request_type == "CHECK":
        LOAD.measurements.fail(name, 0, str(exception).removeprefix(f"{name}: "))
        return
    response = more.get("response")
    status = int(getattr(response, "status_code", 0) or 0)
    headers = getattr(response, "headers", None) or {}
    timing = str(headers.get("server-timing", ""))
    LOAD.measurements.record(name, status, response_time, response_length, int(time.time()), timing)
    if exception is not None:
        code = exception.code if isinstance(exception, UnexpectedAnswerError) else type(exception).__name__
        LOAD.measurements.fail(name, status, code)


def _send(client_id: str, data: dict[str, Any], **_: Any) -> None:
    data[REPORT_KEY] = {"measured": LOAD.measurements.take(), "is_busy": LOAD.is_busy}


def _receive(client_id: str, data: dict[str, Any], **_: Any) -> None:
    LOAD.measurements.add(data[REPORT_KEY]["measured"])
    LOAD.is_busy = LOAD.is_busy or data[REPORT_KEY]["is_busy"]


def _busy(**_: Any) -> None:
    """locust says that this process uses more than 90 % of a core."""
    LOAD.is_busy = True


def _report(environment: Environment, **_: Any) -> None:
    """Write and print the report; the exit code says whether it is good."""
    LOAD.end()
    options, users = LOAD.options, LOAD.users or users_of(environment)
    summary = summarize(LOAD.measurements, users, LOAD.took)
    checks = judge(summary, options.thresholds, None if options.saves_baseline else options.baseline)
    report = Report(
        options.shape,
        options.manifest.fhir_base,
        LOAD.started,
        options.minutes,
        LOAD.generators,
        summary,
        checks,
        (*options.notes, BUSY) if LOAD.is_busy else options.notes,
    )
    try:
        written = write(report, options.output)
        if options.saves_baseline and report.is_good and options.baseline_file is not None:
            save_baseline(options.baseline_file, options.shape.name, summary)
    except (OSError, ThresholdsError) as error:
        print(f"error: {error}", file=sys.stderr)
        environment.process_exit_code = 2
        return
    print("\n".join(terminal_lines(report)))
    print("\n".join(str(path) for path in written))
    environment.process_exit_code = 0 if report.is_good else 1


def _options(parser: LocustArgumentParser) -> None:
    add_options(parser.add_argument_group("Patient Access load test"))


events.init_command_line_parser.add_listener(_options)  # type: ignore[no-untyped-call]
events.init.add_listener(_init)  # type: ignore[no-untyped-call]
events.test_start.add_listener(_begin)  # type: ignore[no-untyped-call]
events.test_stop.add_listener(_stopped)  # type: ignore[no-untyped-call]
events.request.add_listener(_measured)  # type: ignore[no-untyped-call]
events.report_to_master.add_listener(_send)  # type: ignore[no-untyped-call]
events.cpu_warning.add_listener(_busy)  # type: ignore[no-untyped-call]
events.worker_report.add_listener(_receive)  # type: ignore[no-untyped-call]
