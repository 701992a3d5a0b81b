"""Members and their apps, as locust users: each does the whole dance, again and again, with time to read and think in between.

https://docs.locust.io/en/stable/configuration.html - a journey is: discovery, authorize, sign in, consent, token; a sync of Patient,
Coverage and all claims with what they refer to; refresh; a second, short sync; revoke, and a read that must be refused with 401.

Usage, against ``make run`` in another terminal (members and app come from var/sandbox.json, which it writes; for more than some hundred
requests a second start it with ``RATE_LIMIT_PER_MINUTE=0``)::

    .venv/bin/locust -f loadtests/locustfile.py                           # then open http://127.0.0.1:8089
    .venv/bin/locust -f loadtests/locustfile.py --headless -u 20 -r 2 -t 2m --html var/journeys.html

Beside locust's own options (``locust --help``), which do not know this file:

    --manifest FILE       JSON with base_url, fhir_base, client and logins       SANDBOX_MANIFEST   var/sandbox.json
    --think-seconds N     how long a person reads a page, on average;            THINK_SECONDS      2
                          an app pauses a tenth of it between requests
    --host URL            another server than the manifest's, with the same members

``python loadtests/locustfile.py --help`` prints this page. Exit code 1 if any step of any journey failed.
One locust process makes a few thousand requests a second at most: ratios are measured by ``python -m loadtests.hot_path``.
"""

import json
import random
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

# locust puts this file's folder on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from locust import HttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import RescheduleTask

from loadtests.sign_in import OwnPages
from loadtests.smart_dance import CLAIMS_WITH_INCLUDES, Client, DanceError, Response, SmartDance


def options(parser: LocustArgumentParser) -> None:
    """What can be chosen; the page at port 8089 shows it too."""
    group = parser.add_argument_group("Patient Access journeys")
    group.add_argument(
        "--manifest",
        type=_readable,
        default="var/sandbox.json",
        env_var="SANDBOX_MANIFEST",
        help="JSON with base_url, fhir_base, client and logins; 'make run' writes var/sandbox.json",
    )
    group.add_argument(
        "--think-seconds",
        type=float,
        default=2.0,
        env_var="THINK_SECONDS",
        help="how long a person reads a page, on average; an app pauses a tenth of it between requests (default 2)",
    )


def _readable(path: str) -> str:
    try:
        manifest = json.loads(Path(path).read_text("utf-8"))
        if not manifest["logins"] or not manifest["client"]["redirect_uris"] or not manifest["base_url"]:
            raise ArgumentTypeError(f"{path} names no logins, no redirect URI or no base_url")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentTypeError(
            f"{path} is not the manifest of a sandbox ({error}); start one with: make run"
        ) from error
    return path


def prepare(environment: Environment, **_: Any) -> None:
    """Read the manifest; without ``--host`` its own address is loaded."""
    assert environment.parsed_options is not None
    manifest = json.loads(Path(environment.parsed_options.manifest).read_text("utf-8"))
    PatientAccessUser.host = environment.host or manifest["base_url"]
    PatientAccessUser.fhir_base = f"{environment.host.rstrip('/')}/fhir" if environment.host else manifest["fhir_base"]
    PatientAccessUser.client_of_app = Client(manifest["client"]["client_id"], manifest["client"]["redirect_uris"][0])
    PatientAccessUser.logins = cycle(manifest["logins"])


events.init_command_line_parser.add_listener(options)  # type: ignore[no-untyped-call]
events.init.add_listener(prepare)  # type: ignore[no-untyped-call]


class PatientAccessUser(HttpUser):
    """A member with a phone: each journey signs in as the next member of the manifest, in a fresh browser."""

    fhir_base = ""
    client_of_app: Client
    logins: "cycle[dict[str, Any]]"

    def on_start(self) -> None:
        """Nothing is shared yet."""
        self.dance: SmartDance | None = None

    def wait_time(self) -> float:
        """Between two journeys."""
        return self._seconds()

    @task
    def journey(self) -> None:
        """From launch to revocation. A step that fails is a failure in the statistics and ends the journey."""
        login = next(self.logins)
        self.client.cookies.clear()
        self.dance = dance = SmartDance(self, self.fhir_base, self.client_of_app)
        try:
            dance.discover()
            self._read_and_think()
            chosen = login | {"patient": random.choice(login["patients"])}
            dance.exchange(dance.code(OwnPages().sign_in(self, dance.authorization_url(), chosen)))
            dance.read_member()
            dance.sync("search Coverage", "Coverage")
            dance.sync("search ExplanationOfBenefit with includes", CLAIMS_WITH_INCLUDES)
            self._read_and_think()
            dance.refresh()
            dance.sync("search ExplanationOfBenefit of 10", "ExplanationOfBenefit?_count=10")
            dance.revoke()
        except DanceError as error:
            self._failed(error)
        except (KeyError, TypeError, ValueError) as error:
            self._failed(DanceError("answer", f"not as the specification says: {type(error).__name__} {error}"))

    def on_stop(self) -> None:
        """The run is over: whoever is in the middle of a journey stops the app."""
        if self.dance is not None and self.dance.tokens is not None:
            try:
                self.dance.revoke()
            except RescheduleTask:
                return
            except DanceError as error:
                self._failed(error)

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
        """One measured request; a status that is not expected is a failure of that request."""
        if "Authorization" in (headers or {}):
            time.sleep(self._seconds() / 10)
        with self.client.request(
            method, url, name=name, catch_response=True, allow_redirects=False, timeout=30, data=data, headers=headers
        ) as answer:
            if answer.status_code >= 400 if expected is None else answer.status_code not in expected:
                text = " ".join(answer.text.split())[:120] if answer.text else ""
                answer.failure(f"{answer.status_code}: {text}")
                raise RescheduleTask
            answer.success()
            response: Response = answer
        return response

    def _failed(self, error: DanceError) -> None:
        """A request that succeeded, with an answer that is wrong."""
        self.environment.events.request.fire(
            request_type="CHECK", name=error.step, response_time=0, response_length=0, exception=error, context={}
        )

    def _read_and_think(self) -> None:
        time.sleep(self._seconds())

    def _seconds(self) -> float:
        assert self.environment.parsed_options is not None
        return random.uniform(0.5, 1.5) * float(self.environment.parsed_options.think_seconds)


if __name__ == "__main__":
    print(__doc__)
