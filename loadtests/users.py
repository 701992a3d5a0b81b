"""The users of a shape: each takes a journey of it, every request measured by name; and how many there are at what time.

https://docs.locust.io/en/stable/writing-a-locustfile.html - ``loadtests.locustfile`` gives them to locust, and makes the report.
"""

import random
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import cycle
from urllib.parse import urlencode

from locust import FastHttpUser, LoadTestShape, task
from locust.env import Environment
from locust.runners import MasterRunner

from loadtests.capability import Capability
from loadtests.journeys import JOURNEYS, App
from loadtests.measurements import Measurements, error_code
from loadtests.options import Options
from loadtests.population import Population
from loadtests.shapes import RAMP, Share
from loadtests.smart_dance import DanceError, Response

BACKOFF_SECONDS = 0.5
"""After a visit that failed, so that a server that is down is not asked in a tight loop."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
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
        seconds, users = LOAD.options.minutes * 60, users_of(self.runner.environment)
        now = float(self.get_run_time())  # type: ignore[no-untyped-call]
        if now >= seconds:
            LOAD.end()
            if isinstance(self.runner, MasterRunner):
                self.runner.stop()  # and wait for what the workers still have to report
            return None
        return LOAD.options.shape.users_at(now / seconds, users), max(1.0, min(100.0, users / (seconds * RAMP)))


def _around(mean: float) -> float:
    return random.uniform(0.5, 1.5) * mean


def users_of(environment: Environment) -> int:
    """How many users there are at the shape's peak."""
    assert environment.parsed_options is not None
    return int(environment.parsed_options.num_users or 1)
