"""What ``make run`` starts: the sandbox, as a process of its own, twice. ``.ci/run`` does the same from a clean clone.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - what a developer is told is what a launch needs.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from server.settings import Settings
from tests.journeys.newcomer import first_request

ROOT = Path(__file__).parents[2]
SANDBOX = [sys.executable, "-c", "from server.cli import main; main()", "sandbox"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**values: str) -> dict[str, str]:
    """This process's environment without any setting of the server."""
    settings = {name.upper() for name in Settings.model_fields} | {"HOST", "PORT", "WORKERS"}
    own = {name: value for name, value in os.environ.items() if name not in settings}
    return own | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SANDBOX_HEAVY": "false"} | values


def processor_seconds() -> float:
    """What child processes that have ended have used of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def sandbox(directory: Path, port: int, log: Path, **values: str) -> Iterator[None]:
    """A running sandbox that answers."""
    begin = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            SANDBOX, cwd=directory, env=environment(PORT=str(port), **values), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/fhir/metadata") as answer:
                    assert answer.status == 200
                    break
            except URLError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() - begin < 240, log.read_text()
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.slow
def test_the_sandbox_is_what_the_readme_says_and_starts_at_once_the_second_time(tmp_path: Path) -> None:
    port = free_port()
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    with sandbox(tmp_path, port, first, SANDBOX_HEAVY="true"):
        manifest = json.loads((tmp_path / "var" / "sandbox.json").read_text("utf-8"))
        answers = first_request(port)
    assert '"family": "Vantongeren"' in answers
    assert '"resourceType": "ExplanationOfBenefit"' in answers
    said = first.read_text("utf-8")
    assert f"http://127.0.0.1:{port}/fhir" in said
    assert "sandbox-app" in said
    assert "README" in said
    assert "Loading" in said
    logins = {login["username"]: login["password"] for login in manifest["logins"]}
    assert sum(f" {name} " in said and f" {password} " in said for name, password in logins.items()) == 3
    assert len(logins) >= 40
    expected = json.loads((tmp_path / "var" / "expected.json").read_text("utf-8"))
    assert {one["username"] for member in expected["members"] for one in member["seenBy"]} == set(logins)
    assert manifest["base_url"] == f"http://127.0.0.1:{port}"
    assert f"http://127.0.0.1:{port}/try/callback" in manifest["client"]["redirect_uris"]
    assert (tmp_path / "var" / "sandbox.json").stat().st_mode & 0o077 == 0
    other = free_port()
    before = processor_seconds()
    with sandbox(tmp_path, other, second, SANDBOX_HEAVY="true"):
        again = json.loads((tmp_path / "var" / "sandbox.json").read_text("utf-8"))
    assert "Loading" not in second.read_text("utf-8")
    # Tests run side by side: the work is measured here, the time on the clock by the check of a clean clone.
    assert processor_seconds() - before < 5
    assert again["confidential_client"]["client_secret"] == manifest["confidential_client"]["client_secret"] != ""
    assert f"http://127.0.0.1:{other}/try/callback" in again["client"]["redirect_uris"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"PORT": "eighty"}, "PORT"),
        ({"DATABASE_URL": "oracle://host/name"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/name"}, "DATABASE_URL"),
        ({"ENVIRONMENT": "production"}, "never a production deployment"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, values: dict[str, str], expected: str) -> None:
    values = {"PORT": str(free_port())} | values
    outcome = subprocess.run(
        SANDBOX, cwd=tmp_path, env=environment(**values), capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") == 1
    assert expected in outcome.stderr


def test_a_port_in_use_is_noticed_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        outcome = subprocess.run(
            SANDBOX, cwd=tmp_path, env=environment(PORT=port), capture_output=True, text=True, timeout=60
        )
    assert outcome.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "var").exists()
