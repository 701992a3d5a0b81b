"""What a server's workers spend their time on while they are loaded: samples of their stacks, told apart by room.

https://github.com/benfred/py-spy - it looks from outside, so that what is measured is the server as it is. A sample is told by the first
room that any frame of its stack names, so that a library counts for the room that called it.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.processes import ProcessError

HOW_TO_GET_IT = "py-spy is neither on PATH nor beside the interpreter; get it: pip install py-spy"
PER_SECOND = 250
"""Samples of each worker."""
MOST_FUNCTIONS = 12
ROOMS = (
    ("ledger: row, chain, commit", ("storage/ledger.py",)),
    ("rate limit", ("storage/permits.py",)),
    ("token check", ("authorization/access.py",)),
    ("records: SQL and driver", ("storage/",)),
    ("compression", ("fhir/negotiation.py",)),
    ("Bundle: splicing, links, cursor", ("fhir/bundle.py",)),
    ("answer: head, log line, socket", ("fhir/answer.py", "fhir/http_cycle.py", "server/logs.py")),
    ("FHIR: routing, parameters, permissions", ("fhir/application.py", "fhir/observed.py", "server/app.py")),
    ("connection: HTTP parser, tasks", ("uvicorn/protocols/", "fhir/http_protocol.py")),
    ("event loop: sockets, wake-ups", ("asyncio/", "uvloop")),
)
"""In this order: what a frame's file must name."""
OTHER = "other"
_WAITING = "always_pong"
"""The thread in which uvicorn's worker waits for its supervisor."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Shares of the time, the largest first: by room, and by the function that was running."""

    case: str
    samples: int
    rooms: tuple[tuple[str, float], ...]
    functions: tuple[tuple[str, float], ...]


@contextmanager
def recorded(workers: Sequence[int], seconds: int, folder: Path) -> Iterator[list[Path]]:
    """Samples the workers for so many seconds from now; at the end of the block the files have their stacks. Raises ProcessError."""
    # Beside the interpreter first: an environment that is not activated is not on PATH.
    program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise ProcessError(HOW_TO_GET_IT)
    files = [folder / f"profile-{pid}.txt" for pid in workers]
    command = [
        program,
        "record",
        "--rate",
        str(PER_SECOND),
        "--duration",
        str(seconds),
        "--format",
        "raw",
        "--nonblocking",
    ]
    running = [
        subprocess.Popen(
            [*command, "--output", str(file), "--pid", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for pid, file in zip(workers, files, strict=True)
    ]
    try:
        yield files
        for one in running:
            _, errors = one.communicate(timeout=seconds + 30)
            if one.returncode:
                raise ProcessError(f"py-spy cannot look: {' '.join(errors.decode('utf-8', 'replace').split())[-300:]}")
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
                one.wait()


def profile_of(case: str, stacks: Sequence[str]) -> Profile:
    """The shares of lines ``outermost;…;innermost count``, as py-spy's raw format has them. Raises ProcessError when there are none."""
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if not stack or _WAITING in stack:
            continue
        rooms[_room(stack)] += int(count)
        functions[_function(stack.rpartition(";")[2])] += int(count)
    samples = rooms.total()
    if not samples:
        raise ProcessError(f"{case}: py-spy saw no worker do anything")
    return Profile(
        case,
        samples,
        tuple((name, number / samples) for name, number in rooms.most_common()),
        tuple((name, number / samples) for name, number in functions.most_common(MOST_FUNCTIONS)),
    )


def _room(stack: str) -> str:
    return next((name for name, marks in ROOMS if any(mark in stack for mark in marks)), OTHER)


def _function(frame: str) -> str:
    """``name (file)`` without the line, and of the file what says enough."""
    name, _, place = frame.rstrip(")").rpartition(" (")
    file = place.rpartition(":")[0] or place
    return f"`{name}` ({'/'.join(Path(file).parts[-2:])})"


def section(profiles: Sequence[Profile]) -> list[str]:
    """The lines of the evidence."""
    names = list(dict.fromkeys(name for profile in profiles for name, _ in profile.rooms))
    shares = [dict(profile.rooms) for profile in profiles]
    lines = [
        "",
        "## What limits it",
        "",
        f"Where the workers were in a round of its own, looked at {PER_SECOND} times a second from outside (py-spy); shares of the samples."
        " A worker that waits for a core is counted where it stands: behind the write that woke up the load generator, as a rule.",
        "",
        f"| | {' | '.join(profile.case for profile in profiles)} |",
        f"|---|{'---:|' * len(profiles)}",
        *[f"| {name} | {' | '.join(f'{100 * share.get(name, 0):.0f} %' for share in shares)} |" for name in names],
    ]
    for profile in profiles:
        most = ", ".join(f"{name} {100 * share:.0f} %" for name, share in profile.functions)
        lines += ["", f"The functions running most often, {profile.case} ({profile.samples:,} samples): {most}."]
    return lines
