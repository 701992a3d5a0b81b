"""The programs that make the load, wrk or oha: how to run them, and what they print as figures.

https://github.com/wg/wrk and https://github.com/hatoo/oha
"""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HOW_TO_GET_ONE = "neither wrk nor oha is on PATH; get one: apt-get install wrk, brew install wrk, or cargo install oha"
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
_DEADLINE = "aborted due to deadline"
"""How oha names the requests that were under way when its time was over."""

# Each request is built once, before the clock runs; the connections take them in turn.
_SCRIPT = """local requests, next_one = {}, 0
function init()
  for line in io.lines("@LIST@") do
    local path, token, encoding = line:match("^(%S+) (%S+) (%S+)$")
    local headers = {["Authorization"] = "Bearer " .. token, ["Accept-Encoding"] = encoding}
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end
function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
"""


class LoadError(Exception):
    """The measurement is worth nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """One request that is made: a path with its query, the bearer token it is made with, and its Accept-Encoding."""

    path: str
    token: str
    encoding: str = "identity"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run measured: requests a second, the latency in milliseconds that 50 and 99 of 100 stay below, and how many
    requests were answered."""

    per_second: float
    p50: float
    p99: float
    answered: int


def median_of(runs: Sequence[Figures]) -> Figures:
    """The medians of several runs, each figure by itself; ``answered`` is the sum."""
    return Figures(
        median(run.per_second for run in runs),
        median(run.p50 for run in runs),
        median(run.p99 for run in runs),
        sum(run.answered for run in runs),
    )


def figures_of_wrk(output: str) -> Figures:
    """The figures of what ``wrk --latency`` printed. Raises LoadError when an answer was no success, or it is no such output."""
    failed = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", output)
    if failed:
        raise LoadError(f"wrk saw failures ({failed[0]})")
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    latency = {
        int(percent): float(value) * _MILLISECONDS[unit]
        for percent, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", output, re.MULTILINE)
    }
    answered = re.search(r"^\s+(\d+) requests in ", output, re.MULTILINE)
    if rate is None or answered is None or latency.keys() != {50, 99} or float(rate[1]) == 0:
        raise LoadError(f"wrk printed no figures: {' '.join(output.split())[:300]}")
    return Figures(float(rate[1]), latency[50], latency[99], int(answered[1]))


def figures_of_oha(output: str) -> Figures:
    """The figures of oha's JSON. Raises LoadError when an answer was no success, or it is no such output."""
    try:
        found = json.loads(output)
        statuses, errors = found["statusCodeDistribution"], found["errorDistribution"]
        rate, latency = found["summary"]["requestsPerSec"], found["latencyPercentiles"]
        figures = Figures(float(rate), latency["p50"] * 1000, latency["p99"] * 1000, sum(statuses.values()))
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"oha printed no figures: {' '.join(output.split())[:300]}") from error
    if statuses.keys() != {"200"} or errors.keys() - {_DEADLINE}:
        raise LoadError(f"oha saw failures ({statuses}, {errors})")
    return figures


class LoadGenerator:
    """wrk, which sends many different requests in turn, or else oha, which repeats one a run (the next run the next one)."""

    def __init__(self, name: str, program: str, connections: int) -> None:
        self.name = name
        self._program = program
        self._connections = connections
        self._runs = 0

    @classmethod
    def find(cls, connections: int) -> "LoadGenerator":
        """The one that is on PATH. Raises LoadError, with how to get one, when none is."""
        for name in ("wrk", "oha"):
            program = shutil.which(name)
            if program is not None:
                return cls(name, program, connections)
        raise LoadError(HOW_TO_GET_ONE)

    @property
    def version(self) -> str:
        """What it calls itself."""
        option = "-v" if self.name == "wrk" else "--version"
        done = subprocess.run([self._program, option], capture_output=True, text=True, timeout=10, check=False)
        return " ".join((done.stdout or done.stderr).split("\n")[0].split()[:2])

    def run(self, base_url: str, targets: Sequence[Target], seconds: int, folder: Path) -> Figures:
        """Load ``base_url`` for whole seconds. Raises LoadError when an answer was no success."""
        self._runs += 1
        if self.name == "oha":
            return figures_of_oha(
                self._output(self._oha(base_url, targets[self._runs % len(targets)], seconds), seconds)
            )
        listed, script = folder / "requests.txt", folder / "requests.lua"
        lines = [f"{target.path} {target.token} {target.encoding}\n" for target in targets]
        listed.write_text("".join(lines), "utf-8")
        script.write_text(_SCRIPT.replace("@LIST@", str(listed)), "utf-8")
        command = ["-t1", f"-c{self._connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
        return figures_of_wrk(self._output([*command, "-s", str(script), base_url], seconds))

    def _oha(self, base_url: str, target: Target, seconds: int) -> list[str]:
        options = subprocess.run([self._program, "--help"], capture_output=True, text=True, timeout=10, check=False)
        as_json = ["--output-format", "json"] if "--output-format" in options.stdout else ["--json"]
        load = ["-c", str(self._connections), "-z", f"{seconds}s", "--disable-compression", "--no-tui", *as_json]
        headers = ["-H", f"Authorization: Bearer {target.token}", "-H", f"Accept-Encoding: {target.encoding}"]
        return [*load, *headers, base_url + target.path]

    def _output(self, arguments: list[str], seconds: int) -> str:
        command = [self._program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
        if done.returncode:
            raise LoadError(f"{self.name} failed: {' '.join((done.stderr or done.stdout).split())[:300]}")
        return done.stdout
