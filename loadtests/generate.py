"""The generator: resources a second and memory, and whether a second run and two processes give the same bytes.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON). Run it as ``python -m loadtests.generate --output docs/evidence/generator.md``; ``--help``
lists the options. It runs ``patient-access generate`` as a program of its own and looks at it from outside. Exit code 0, 1 when a
goal was missed, 2 when nothing could be measured.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from subprocess import DEVNULL, Popen

from loadtests.evidence import machine
from loadtests.processes import ProcessError, patient_access

GOAL = 4000
"""Resources a second with two processes."""
MOST_MEGABYTES = 500
CASES = (("claims", 10_000), ("full", 1_000))
LOOK_SECONDS = 0.05
_EVENTS = "authorization_events.ndjson"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: what it wrote, how long it took, and the most memory all its processes had at once."""

    detail: str
    members: int
    processes: int
    resources: int
    size: int  # bytes on disk
    seconds: float
    processor_seconds: float  # of all its processes together
    megabytes: float  # peak resident memory, summed over the processes
    digest: str

    @property
    def per_second(self) -> float:
        """Resources a second, from the start of the command to its end."""
        return self.resources / self.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the evidence; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.generate", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, help="a file to write the evidence to")
    parser.add_argument("--share", type=int, default=1, help="measure with one member in SHARE (for a quick look)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-of", default="2026-11-01")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        found = [case for detail, members in CASES for case in _case(detail, members // options.share, options)]
    except ProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    page = render(found, options.seed, options.as_of, time.monotonic() - started)
    print(page)
    if options.output is not None:
        options.output.write_text(page, "utf-8", newline="\n")
    return 0 if all(_is_reached(runs) for runs in _by_case(found)) else 1


def _case(detail: str, members: int, options: argparse.Namespace) -> list[Run]:
    """Two processes, two processes again, then one."""
    return [measure(detail, members, options.seed, options.as_of, processes) for processes in (2, 2, 1)]


def measure(detail: str, members: int, seed: int, as_of: str, processes: int) -> Run:
    """One run into a directory that is gone afterwards. Raises ProcessError when the command fails."""
    with tempfile.TemporaryDirectory(prefix="generated-") as folder:
        output = Path(folder) / "members"
        command = [patient_access(), "generate", "--members", str(members), "--seed", str(seed), "--as-of", as_of]
        command += ["--detail", detail, "--processes", str(processes), "--output", str(output)]
        log = Path(folder) / "log"
        started, before, peak = time.monotonic(), getrusage(RUSAGE_CHILDREN), 0
        with log.open("wb") as errors:
            process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=errors)
            while process.poll() is None:
                peak = max(peak, _resident(process.pid))
                time.sleep(LOOK_SECONDS)
        seconds, after = time.monotonic() - started, getrusage(RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if process.returncode:
            raise ProcessError(
                f"patient-access generate ended with {process.returncode}: {log.read_text('utf-8')[-300:]}"
            )
        digest = sha256()
        resources = size = 0
        for path in sorted(output.iterdir()):
            content = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + content)
            size += len(content)
            resources += content.count(b"\n") if path.suffix == ".ndjson" and path.name != _EVENTS else 0
        return Run(detail, members, processes, resources, size, seconds, spent, peak / 2**20, digest.hexdigest())


def _resident(pid: int) -> int:
    """Bytes of memory that a process and its children have now; of one that has just ended, none."""
    total, waiting = 0, [pid]
    while waiting:
        number = waiting.pop()
        try:
            fields = Path(f"/proc/{number}/statm").read_text().split()
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        except OSError:
            continue
        total += int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
        waiting += map(int, children)
    return total


def _by_case(runs: Sequence[Run]) -> list[list[Run]]:
    return [[run for run in runs if run.detail == detail] for detail, _ in CASES]


def _is_reached(runs: Sequence[Run]) -> bool:
    return (
        len({run.digest for run in runs}) == 1
        and max(run.megabytes for run in runs) < MOST_MEGABYTES
        and max(run.per_second for run in runs if run.processes == 2) >= GOAL
    )


def render(runs: Sequence[Run], seed: int, as_of: str, took: float) -> str:
    """The page."""
    lines = [
        "# The generator of synthetic members",
        "",
        "    python -m loadtests.generate --output docs/evidence/generator.md",
        "",
        "| detail | members | processes | resources | a member | MB | seconds | resources/s | processor seconds | resources per processor second | peak memory, MB | SHA-256 of all files |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        *(
            f"| {r.detail} | {r.members:,} | {r.processes} | {r.resources:,} | {r.resources / r.members:.1f} | {r.size / 1e6:,.0f} |"
            f" {r.seconds:.1f} | **{r.per_second:,.0f}** | {r.processor_seconds:.1f} | {r.resources / r.processor_seconds:,.0f} | {r.megabytes:.0f} | `{r.digest[:16]}` |"
            for r in runs
        ),
        "",
    ]
    for case in _by_case(runs):
        same = "the same" if len({run.digest for run in case}) == 1 else "DIFFERENT"
        lines.append(
            f"- **{case[0].detail}**: {same} bytes in a second run and with one process as with two; goals"
            f" ({GOAL:,} resources/s with two processes, under {MOST_MEGABYTES} MB): {'reached' if _is_reached(case) else 'missed'}."
        )
    return "\n".join(
        [
            *lines,
            f"- **Command**: `patient-access generate --seed {seed} --as-of {as_of}` with the members, detail and processes of the row,"
            " from its start to its end; memory is the sum over its processes, looked at every 50 ms.",
            "- **Processor seconds** are those of all its processes together: on a machine that is busy otherwise they tell more than the clock.",
            f"- **Machine**: {machine()}; load average at the end {os.getloadavg()[1]:.1f}, this measurement included.",
            f"- **Software**: Python {platform.python_version()}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}; {took:.0f} s in all.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
