"""What was measured: latencies and answers per step, errors by kind, the server's own timings, requests by second; made to be added up.

https://www.w3.org/TR/server-timing/ - what workers measured travels to the master as plain data. Latencies are kept in buckets
that are 2 % wide, so that percentiles are right to 1 %, however many requests there are and however many workers.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WIDTH = math.log(1.02)
SMALLEST = 0.01
"""Milliseconds; what is faster counts as this."""
CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
"""What a code may look like, so that nothing else of an answer gets into a report."""
MOST_KINDS = 200
"""Kinds of errors that are told apart."""


@dataclass(slots=True)
class Latencies:
    """Milliseconds, in buckets."""

    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, milliseconds: float) -> None:
        """One more."""
        self.buckets[max(0, round(math.log(max(milliseconds, SMALLEST) / SMALLEST) / WIDTH))] += 1

    @property
    def count(self) -> int:
        """How many there are."""
        return self.buckets.total()

    def percentile(self, share: float) -> float:
        """The milliseconds in which this share (0 to 1) was done, by nearest rank; 0 when there are none."""
        rank, seen = math.ceil(share * self.count), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return SMALLEST * math.exp(bucket * WIDTH)
        return 0.0


@dataclass(slots=True)
class Step:
    """The requests of one name. ``statuses``: answers by HTTP status, 0 for none."""

    latencies: Latencies = field(default_factory=Latencies)
    statuses: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Measurements:
    """Everything of one run, or of one worker since its last report. ``errors``: by (step, status, code); ``timings``: by step and the
    name the server gave; ``seconds``: requests by second of the clock."""

    steps: dict[str, Step] = field(default_factory=dict)
    errors: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    timings: dict[str, dict[str, Latencies]] = field(default_factory=dict)
    seconds: Counter[int] = field(default_factory=Counter)

    def record(
        self, step: str, status: int, milliseconds: float, size: int, second: int, server_timing: str = ""
    ) -> None:
        """One answer, whatever it was; ``size`` in bytes, unpacked."""
        measured = self.steps.setdefault(step, Step())
        measured.latencies.add(milliseconds)
        measured.statuses[status] += 1
        measured.bytes += size
        self.seconds[second] += 1
        for name, duration in server_timings(server_timing):
            self.timings.setdefault(step, {}).setdefault(name, Latencies()).add(duration)

    def fail(self, step: str, status: int, code: str) -> None:
        """An answer, or the lack of one, that was not expected."""
        key = (step, status, code)
        if key not in self.errors and len(self.errors) >= MOST_KINDS:
            key = (step, 0, "other kinds of errors")
        self.errors[key] += 1
        self.steps.setdefault(step, Step()).failed += 1

    def to_data(self) -> dict[str, Any]:
        """Plain data, for a message or a file."""
        return {
            "steps": {
                name: {
                    "latencies": _strings(step.latencies.buckets),
                    "statuses": _strings(step.statuses),
                    "failed": step.failed,
                    "bytes": step.bytes,
                }
                for name, step in self.steps.items()
            },
            "errors": [[step, status, code, count] for (step, status, code), count in self.errors.items()],
            "timings": {
                step: {name: _strings(latencies.buckets) for name, latencies in named.items()}
                for step, named in self.timings.items()
            },
            "seconds": _strings(self.seconds),
        }

    def add(self, data: Mapping[str, Any]) -> None:
        """Add what ``to_data`` of others gave."""
        for name, one in data["steps"].items():
            step = self.steps.setdefault(name, Step())
            step.latencies.buckets.update(_numbers(one["latencies"]))
            step.statuses.update(_numbers(one["statuses"]))
            step.failed += one["failed"]
            step.bytes += one["bytes"]
        for step_name, status, code, count in data["errors"]:
            self.errors[(step_name, status, code)] += count
        for step_name, named in data["timings"].items():
            for name, buckets in named.items():
                timings = self.timings.setdefault(step_name, {}).setdefault(name, Latencies())
                timings.buckets.update(_numbers(buckets))
        self.seconds.update(_numbers(data["seconds"]))

    def take(self) -> dict[str, Any]:
        """``to_data``, and start again from nothing."""
        data = self.to_data()
        self.clear()
        return data

    def clear(self) -> None:
        """Start again from nothing."""
        self.steps, self.timings = {}, {}
        self.errors, self.seconds = Counter(), Counter()


def _strings(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(key): count for key, count in counts.items()}


def _numbers(counts: Mapping[str, int]) -> dict[int, int]:
    return {int(key): count for key, count in counts.items()}


def server_timings(header: str) -> Iterator[tuple[str, float]]:
    """The (name, milliseconds) of a ``Server-Timing`` header; metrics without a duration are left out."""
    for metric in header.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "dur" and CODE.fullmatch(name):
                try:
                    yield name, float(value.strip().strip('"'))
                except ValueError:
                    continue


def error_code(content: bytes | None) -> str:
    """What an error answer says of itself: the codes of an OperationOutcome's first issue, an OAuth error, or that it says neither.

    Only codes: never its text, which could name somebody.
    """
    try:
        answer = json.loads(content or b"")
    except ValueError:
        return "no JSON"
    if not isinstance(answer, dict):
        return "no JSON object"
    if answer.get("resourceType") == "OperationOutcome":
        issues = answer.get("issue")
        issue = issues[0] if isinstance(issues, list) and issues and isinstance(issues[0], dict) else {}
        details = issue.get("details")
        codings = details.get("coding") if isinstance(details, dict) else None
        coding = codings[0] if isinstance(codings, list) and codings and isinstance(codings[0], dict) else {}
        codes = [code for code in (issue.get("code"), coding.get("code")) if isinstance(code, str)]
        return " ".join(["OperationOutcome", *filter(CODE.fullmatch, codes)])
    codes = [answer[name] for name in ("error", "error_code") if isinstance(answer.get(name), str)]
    found = list(filter(CODE.fullmatch, codes))
    return " ".join(["OAuth", *found]) if found else "no OperationOutcome and no OAuth error"
