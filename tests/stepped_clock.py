"""The server with a clock that can be stepped while it runs: the processes of a server share eight bytes of a file, the offset.

https://docs.python.org/3/library/mmap.html - the product has no such switch: this factory is given to uvicorn by tests only.
"""

import mmap
import os
import struct
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server import app, clock

FILE = "STEPPED_CLOCK_FILE"
FACTORY = "tests.stepped_clock:create_app"
_MICROSECONDS = struct.Struct("<q")
_LASTING = ExitStack()
"""The clock stays as it is until the process ends."""


class SteppedClock:
    """What a test steps the clocks of a server's processes with; ``settings`` go into their environment."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(_MICROSECONDS.pack(0))
        self._path = path
        self.settings = {FILE: str(path)}

    def step(self, offset: timedelta) -> None:
        """From now on every process is that far ahead of (or behind) the time."""
        with self._path.open("r+b", buffering=0) as file:
            file.write(_MICROSECONDS.pack(offset // timedelta(microseconds=1)))


def create_app() -> app.Application:
    """The application of the environment's settings, by the stepped clock."""
    with Path(os.environ[FILE]).open("rb") as file:
        offset = mmap.mmap(file.fileno(), _MICROSECONDS.size, access=mmap.ACCESS_READ)

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(microseconds=_MICROSECONDS.unpack(offset[:])[0])

    _LASTING.enter_context(clock.set_to(now))
    return app.create_app()
