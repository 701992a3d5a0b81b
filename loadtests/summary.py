"""What a run came to: throughput and percentiles per step, answers by status, kinds of errors, the server's own timings.

https://docs.locust.io/en/stable/retrieving-stats.html
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.measurements import Latencies, Measurements, Step

CHART_POINTS = 60
"""Points of the chart of requests over the time."""


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step; latencies in milliseconds, ``throughput`` in requests a second, ``size`` in bytes a request."""

    name: str
    requests: int
    failed: int
    throughput: float
    p50: float
    p95: float
    p99: float
    size: int
    statuses: str


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Unexpected answers of one kind; status 0 is no answer, or an answer whose content was wrong."""

    step: str
    status: int
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Timing:
    """What the server says of its own time for a step, in milliseconds."""

    step: str
    name: str
    answers: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One run. ``seconds`` it took; ``per_second``: (second since the start, requests a second), for a chart."""

    users: int
    seconds: float
    steps: tuple[StepFigures, ...]
    whole: StepFigures
    errors: tuple[ErrorKind, ...]
    timings: tuple[Timing, ...]
    per_second: tuple[tuple[float, float], ...]


def summarize(measured: Measurements, users: int, seconds: float) -> Summary:
    """Figures of what was measured in so many seconds."""
    whole = Step()
    for step in measured.steps.values():
        whole.latencies.buckets.update(step.latencies.buckets)
        whole.statuses.update(step.statuses)
        whole.failed += step.failed
        whole.bytes += step.bytes
    return Summary(
        users,
        seconds,
        tuple(_figures(name, step, seconds) for name, step in measured.steps.items()),
        _figures("all steps", whole, seconds),
        tuple(ErrorKind(*kind, count) for kind, count in measured.errors.most_common()),
        tuple(_timing(step, name, found) for step, by in measured.timings.items() for name, found in by.items()),
        tuple(_over_time(measured)),
    )


def _figures(name: str, step: Step, seconds: float) -> StepFigures:
    requests = step.latencies.count
    return StepFigures(
        name,
        requests,
        step.failed,
        requests / seconds if seconds else 0.0,
        *_percentiles(step.latencies),
        round(step.bytes / requests) if requests else 0,
        ", ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(step.statuses.items())),
    )


def _timing(step: str, name: str, found: Latencies) -> Timing:
    return Timing(step, name, found.count, *_percentiles(found))


def _percentiles(latencies: Latencies) -> tuple[float, float, float]:
    return latencies.percentile(0.5), latencies.percentile(0.95), latencies.percentile(0.99)


def _over_time(measured: Measurements) -> Sequence[tuple[float, float]]:
    """Requests a second, averaged over as many seconds as make a chart of CHART_POINTS."""
    if not measured.seconds:
        return []
    first, last = min(measured.seconds), max(measured.seconds)
    if last - first > 2:
        last -= 1  # the last second was not a whole one
    width = max(1, -(-(last - first + 1) // CHART_POINTS))
    return [
        (float(start - first), sum(measured.seconds[start + n] for n in range(width)) / width)
        for start in range(first, last + 1, width)
    ]
