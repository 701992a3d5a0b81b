"""How the server's processes run and end: told to end, they say so at /readyz, serve on for a moment, finish what is under way, and go.

https://www.uvicorn.org/deployment/ and https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination - within
SHUTDOWN_SECONDS at most, and with exit code 0 unless something had to be killed.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from server import lifecycle, logs
from server.app import Application, create_app
from server.settings import Settings

BEYOND_SECONDS = 2.0
"""How long after SHUTDOWN_SECONDS a process that still runs is killed."""
_ENDED = (0, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of workers that ended when they were told to; by the signal itself only while they started."""
_LOG = logging.getLogger(__name__)


def create_worker() -> Application:
    """The application of a worker process, by the settings of its environment; uvicorn calls it in the worker's event loop."""
    settings = Settings()
    logs.configure(settings.log_format)
    application = create_app(settings)
    asyncio.get_running_loop()  # uvicorn must have one by now: what follows is its
    end = _End(application)
    for number in (signal.SIGTERM, signal.SIGINT):
        end.follow(number)
    return application


class _End:
    """The end of a worker, in the order in which a load balancer notices it."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None

    def follow(self, number: signal.Signals) -> None:
        """Come before uvicorn's own handler of a signal."""
        server = getattr(signal.getsignal(number), "__self__", None)
        if not isinstance(server, uvicorn.Server):
            raise RuntimeError("uvicorn handles signals in another way than this version knows")

        def handle(number: int, _frame: FrameType | None) -> None:
            self._loop.call_soon_threadsafe(self._told, server, number)

        signal.signal(number, handle)

    def _told(self, server: uvicorn.Server, number: int) -> None:
        settings = self._application.settings
        if not lifecycle.begin_to_end(settings.shutdown_seconds):
            if number == signal.SIGINT:  # a second Ctrl-C: whoever sits there waits no longer
                server.should_exit = server.force_exit = True
            return
        _LOG.info("told to end by %s", signal.Signals(number).name, extra={"event": "stopping"})
        last = threading.Timer(settings.shutdown_seconds + BEYOND_SECONDS / 2, _cut)
        last.daemon = True
        last.start()
        self._stopping = self._loop.create_task(self._application.fhir.export_runner.stop())
        delay = settings.shutdown_delay_seconds if number == signal.SIGTERM else 0.0
        self._loop.call_later(delay, self._accept_no_more, server)

    @staticmethod
    def _accept_no_more(server: uvicorn.Server) -> None:
        # Not through its handler: uvicorn would raise the signal again at the end, and that would be the exit code.
        server.config.timeout_graceful_shutdown = max(1, round(lifecycle.seconds_left()))
        server.should_exit = True


def _cut() -> None:
    """What still runs after SHUTDOWN_SECONDS does not end by itself; every answer that left is in the ledger."""
    _LOG.error("cut: something still ran after SHUTDOWN_SECONDS", extra={"event": "cut"})
    os._exit(1)


class Supervisor(Multiprocess):
    """The parent of several workers: one that dies is followed by another; at the end none outlives SHUTDOWN_SECONDS by much."""

    def __init__(self, config: uvicorn.Config, sockets: list[Any], settings: Settings) -> None:
        super().__init__(config, sockets)
        self._settings = settings
        self.killed = 0
        """Workers that did not end by themselves."""

    def join_all(self) -> None:
        """Wait for the workers."""
        # Connections that came too late for every worker are refused, and not kept waiting.
        accepting = threading.Timer(self._settings.shutdown_delay_seconds + 0.5, self._close_sockets)
        accepting.daemon = True
        accepting.start()
        until = time.monotonic() + self._settings.shutdown_seconds + BEYOND_SECONDS
        for one in self.processes:
            one.process.join(max(0.0, until - time.monotonic()))
            if one.process.exitcode is None:
                one.process.kill()
                one.process.join()
            self.killed += one.process.exitcode not in _ENDED
        accepting.cancel()

    def _close_sockets(self) -> None:
        for one in self.sockets:
            one.close()


def run(config: uvicorn.Config, settings: Settings) -> int:
    """Serve until a signal arrives; the exit code."""
    if config.workers > 1:
        supervisor = Supervisor(config, [config.bind_socket()], settings)
        supervisor.run()
        return 1 if supervisor.killed else 0
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 3
