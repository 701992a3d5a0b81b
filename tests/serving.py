"""The real server as a process of its own: ``patient-access serve`` with several workers, on a free port, on a given database.

https://www.uvicorn.org/deployment/ - it is stopped by its process id.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from loadtests.processes import factory_command, workers_of
from server import launcher
from server.settings import Settings

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from server.cli import main; main()"]
SECRET = "a secret key of the tests, long enough"
REPORTING_UNITS = ROOT / "seed_data" / "reporting_units.toml"
READY_SECONDS = 60


def environment(database_url: str, base_url: str) -> dict[str, str]:
    """The environment of a production deployment: this process's, without any setting of the server, and those."""
    names = {name.upper() for name in Settings.model_fields} | {"HOST", "PORT", "WORKERS"}
    own = {name: value for name, value in os.environ.items() if name not in names}
    return (
        own
        | launcher.MALLOC
        | {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "BASE_URL": base_url,
            "ENVIRONMENT": "production",
            "SECRET_KEY": SECRET,
            "REPORTING_UNITS_FILE": str(REPORTING_UNITS),
            "LOG_REQUESTS": "false",
            "SHUTDOWN_DELAY_SECONDS": "0",
        }
    )


def patient_access(database_url: str, *arguments: str) -> str:
    """What a command of ``patient-access`` prints; it must succeed."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(database_url, "http://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    base_url: str
    process: subprocess.Popen[bytes]

    @property
    def fhir_base(self) -> str:
        """Its FHIR base."""
        return f"{self.base_url}/fhir"

    def workers(self) -> list[int]:
        """The process ids of its workers: children that are Python, not the helper that tracks shared resources."""
        return workers_of(self.process.pid)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    database_url: str, log: Path, workers: int = 2, settings: Mapping[str, str] | None = None, factory: str = ""
) -> Iterator[Server]:
    """A server that answers, until the end of the block. ``settings``: more of its environment. ``factory``: of another application
    (``module:function``), which uvicorn serves with the flags of ``patient-access serve``."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    command = [*COMMAND, "serve", "--port", str(port), "--workers", str(workers)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            factory_command(factory, port, workers) if factory else command,
            env=environment(database_url, base_url) | dict(settings or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(base_url, process)
    try:
        _wait_until_ready(server, log)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: Server, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        assert server.process.poll() is None, log.read_text()
        try:
            if httpx2.get(f"{server.fhir_base}/metadata", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not answer in {READY_SECONDS} s: {log.read_text()}")
