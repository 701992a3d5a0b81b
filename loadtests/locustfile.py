"""The users of a shape, for locust's engine: one class whose users each take a journey of the shape, and the events that make the report.

https://docs.locust.io/en/stable/extending-locust.html - ``python -m loadtests.run`` (``patient-access loadtest``) starts locust with this
file; locust's own options (``--processes``, ``--master``, ``--worker`` …) mean what locust says. What workers measure travels to the master
with locust's own reports, and the master writes the report. Options of this file: ``locust -f loadtests/locustfile.py --help``.
"""

import logging
import random
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

# locust puts this file's folder on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from locust import FastHttpUser, LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.capability import Capability
from loadtests.journeys import JOURNEYS, App
from loadtests.measurements import Measurements, error_code
from loadtests.options import Options, OptionsError, add_options, read_options
from loadtests.population import Population
from loadtests.report import Report, terminal_lines, write
from loadtests.shapes import RAMP, Share
from loadtests.smart_dance import DanceError, Response
from loadtests.summary import summarize
from loadtests.thresholds import ThresholdsError, judge, save_baseline

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OF_MASTER = ("target", "shape", "minutes", "pace", "insecure")
"""What a worker takes from its master."""
REPORT_KEY = "patient_access"
BUSY = "A load generator used more than 90 % of its core: latencies include waiting for it. Use --processes, or more machines."
BACKOFF_SECONDS = 0.5
"""After a visit that failed, so that a server that is down is not asked in a tight loop."""
NOT_AS_SPECIFIED = (KeyError, IndexError, TypeError, ValueError, AttributeError)


class UnexpectedAnswerError(Exception):
    """A request was answered with a status that its step does not expect; the codes of the answer are all that is kept."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}" if status else code)
        self.status = status
        self.code = code


class Load:
    """What a locust process needs to know and has measured."""

    def __init__(self) -> None:
        self.measurements = Measurements()
        self.capability: Capability | None = None
        self.started = datetime.now(UTC)
        self.took = 0.0
        self.users = 0
        self.generators = 1
        self.is_busy = False
        self.given = Namespace()
        self._began = time.monotonic()

    def prepare(self, options: Options) -> None:
        """Everything that does not change while it runs."""
        self.options = options
        self.population = Population(options.logins, options.shape.skew)
        self.shares: Iterator[Share] = cycle(options.shape.journeys())

    def begin(self) -> None:
        """A test starts: forget the one before."""
        self.measurements.clear()
        self.capability = None
        self.is_busy = False
        self.started, self._began = datetime.now(UTC), time.monotonic()
        self.took = 0.0

    def end(self) -> None:
        """A test has stopped."""
        self.took = self.took or time.monotonic() - self._began


LOAD = Load()


class Requests:
    """A session of a user: requests measured by name, with a pause before each that a person or an app would make."""

    def __init__(self, user: "Member", pause: float, *, of_person: bool) -> None:
        self._user = user
        self._pause = pause
        self._of_person = of_person

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expected: frozenset[int] | None = None,
    ) -> Response:
        """One request; a person looks at a page before they send its form. Raises UnexpectedAnswerError."""
        if self._pause and (not self._of_person or method == "POST"):
            time.sleep(_around(self._pause))
        with self._user.client.request(
            method,
            url,
            name=name,
            data=urlencode(data) if data is not None else None,
            headers={**(headers or {}), **(FORM if data is not None else {})},
            catch_response=True,
            allow_redirects=False,
        ) as answer:
            status = int(answer.status_code or 0)
            if not status or (status >= 400 if expected is None else status not in expected):
                lost = answer.error if not status else None
                error = UnexpectedAnswerError(status, type(lost).__name__ if lost else error_code(answer.content))
                answer.failure(error)
            else:
                error = None
                answer.success()
        if error is not None:
            raise error
        found: Response = answer
        return found


class Member(FastHttpUser):
    """Somebody with an app: signs in with a fresh browser, and visits as the journey says."""

    network_timeout = 60.0
    connection_timeout = 30.0

    def on_start(self) -> None:
        """Nothing is shared yet."""
        self.share = next(LOAD.shares)
        self.app: App | None = None
        self.failed = False

    def wait_time(self) -> float:
        """Between two visits."""
        least = BACKOFF_SECONDS if self.failed else 0.0
        pace, together = LOAD.options.pace, LOAD.options.shape.together * LOAD.options.pace
        if together:
            return max(least, together - time.time() % together)
        return max(least, _around(self.share.between * pace))

    @task
    def visit(self) -> None:
        """One visit. What fails is counted with its step; the next visit begins with a new sign-in."""
        journey = JOURNEYS[self.share.journey]
        try:
            if self.app is None:
                self.app = self._connected()
            self.failed = True
            journey.visit(self.app)
            self.failed = False
        except UnexpectedAnswerError:
            pass
        except DanceError as error:
            self._wrong(error)
        except NOT_AS_SPECIFIED as error:
            self._wrong(DanceError("answers", f"not as the specification says: {type(error).__name__}"))
        if self.failed or not journey.stays:
            self.app = None

    def _connected(self) -> App:
        self.failed = True
        shape, pace, manifest = LOAD.options.shape, LOAD.options.pace, LOAD.options.manifest
        self.client.cookiejar.clear()
        self.client.client.close()
        browser = Requests(self, shape.person * pace, of_person=True)
        session = Requests(self, shape.app * pace, of_person=False)
        if LOAD.capability is None:
            url = f"{manifest.fhir_base}/metadata"
            found = session.request("GET", url, name="metadata", headers={"Accept": "application/fhir+json"})
            LOAD.capability = Capability.of(found.json())
        client = random.choice(manifest.clients)
        app = App(session, browser, client, manifest, LOAD.capability, LOAD.options.adapter)
        app.connect(LOAD.population.meet())
        return app

    def _wrong(self, error: DanceError) -> None:
        """Requests succeeded, but an answer is wrong."""
        self.environment.events.request.fire(
            request_type="CHECK",
            name=error.step,
            response_time=0,
            response_length=0,
            exception=error,
            context={},
            response=None,
            start_time=time.time(),
            url="",
        )


class ShapeOverTime(LoadTestShape):
    """How many users there are: the shape's curve, from the options of this file and locust's ``--users``."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """(users, arrivals a second) now; None when the time is over."""
        assert self.runner is not None
        seconds, users = LOAD.options.minutes * 60, _users(self.runner.environment)
        now = float(self.get_run_time())  # type: ignore[no-untyped-call]
        if now >= seconds:
            LOAD.end()
            if isinstance(self.runner, MasterRunner):
                self.runner.stop()  # and wait for what the workers still have to report
            return None
        return LOAD.options.shape.users_at(now / seconds, users), max(1.0, min(100.0, users / (seconds * RAMP)))


def _around(mean: float) -> float:
    return random.uniform(0.5, 1.5) * mean


def _users(environment: Environment) -> int:
    assert environment.parsed_options is not None
    return int(environment.parsed_options.num_users or 1)


# -- events --------------------------------------------------------------------------------------------------------------


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
    LOAD.users = _users(environment)
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
    options, users = LOAD.options, LOAD.users or _users(environment)
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
