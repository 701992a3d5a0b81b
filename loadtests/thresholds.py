"""Pass, warn or fail: what was measured against thresholds.toml and, where there is one, the stored baseline of the same shape.

https://toml.io/en/v1.0.0 - the file's own comments say what each value means.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.summary import Summary

DEFAULT = Path(__file__).with_name("thresholds.toml")
LATENCIES = ("p50", "p95", "p99")
METRICS = (*LATENCIES, "throughput")
P99_NEEDS = 5
"""Times as many requests as the other percentiles: of fewer than 100 the p99 is just the slowest."""


class ThresholdsError(ValueError):
    """A file of thresholds or a baseline that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is allowed; ``levels``: milliseconds by step ("*" for all others) and percentile."""

    allowed: int
    allowed_share: float
    warn: float
    fail: float
    metrics: tuple[str, ...]
    minimum_requests: int
    minimum_milliseconds: float
    levels: Mapping[str, Mapping[str, float]]

    def level(self, step: str) -> Mapping[str, float]:
        """The absolute levels of a step."""
        return self.levels.get(step, self.levels.get("*", {}))


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the pass/fail table; ``verdict``: pass, warn or fail."""

    step: str
    metric: str
    value: str
    limit: str
    verdict: str


def read_thresholds(path: Path) -> Thresholds:
    """The thresholds of a file; what it leaves out is as in the file that comes with the load tests. Raises ThresholdsError."""
    content = _tables(path)
    defaults = _tables(DEFAULT)
    errors, baseline = ({**defaults[name], **content.get(name, {})} for name in ("errors", "baseline"))
    unknown = sorted(set(content) - {"errors", "baseline", "levels"})
    unknown += sorted((set(errors) - set(defaults["errors"])) | (set(baseline) - set(defaults["baseline"])))
    levels = content.get("levels", {})
    unknown += sorted({name for level in levels.values() for name in level} - set(LATENCIES))
    unknown += sorted(set(baseline["metrics"]) - set(METRICS))
    if unknown:
        raise ThresholdsError(f"{path}: {', '.join(unknown)}: not known here; loadtests/thresholds.toml shows what is")
    try:
        found = Thresholds(
            int(errors["allowed"]),
            float(errors["allowed_share"]),
            float(baseline["warn"]),
            float(baseline["fail"]),
            tuple(baseline["metrics"]),
            int(baseline["minimum_requests"]),
            float(baseline["minimum_milliseconds"]),
            {step: {name: float(value) for name, value in level.items()} for step, level in levels.items()},
        )
    except (TypeError, ValueError) as error:
        raise ThresholdsError(f"{path}: a value is not a number: {error}") from error
    if not 1 <= found.warn <= found.fail:
        raise ThresholdsError(f"{path}: 1 <= warn <= fail is needed, not {found.warn:g} and {found.fail:g}")
    return found


def _tables(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ThresholdsError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ThresholdsError(f"{path} is not TOML: {error}") from error
    levels = content.get("levels", {})
    tables = [*content.values(), *(levels.values() if isinstance(levels, dict) else ())]
    if not all(isinstance(table, dict) for table in tables):
        raise ThresholdsError(f"{path}: every value stands in a table: [errors], [baseline] or [levels.STEP]")
    return content


def read_baseline(path: Path, shape: str) -> dict[str, Any]:
    """The stored figures of a shape: {users, steps: {step: {requests, p50, p95, p99, throughput}}}. Raises ThresholdsError."""
    stored = _stored(path)
    if shape not in stored:
        raise ThresholdsError(f"{path} has no baseline of {shape}; --save-baseline stores one")
    found: dict[str, Any] = stored[shape]
    return found


def save_baseline(path: Path, shape: str, summary: Summary) -> None:
    """Store the figures of a run as the shape's baseline; those of other shapes stay."""
    stored = _stored(path) if path.exists() else {}
    stored[shape] = {
        "users": summary.users,
        "steps": {
            step.name: {"requests": step.requests, **{metric: getattr(step, metric) for metric in METRICS}}
            for step in (*summary.steps, summary.whole)
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", "utf-8", newline="\n")


def _stored(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text("utf-8"))
        for one in stored.values():
            for step in one["steps"].values():
                for name in ("requests", *METRICS):
                    float(step[name])
    except OSError as error:
        raise ThresholdsError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ThresholdsError(f"{path} is not a baseline that --save-baseline wrote") from error
    return dict(stored)


def judge(summary: Summary, thresholds: Thresholds, baseline: Mapping[str, Any] | None) -> list[Check]:
    """The pass/fail table: unexpected errors first, then every comparison that can be made."""
    allowed = max(thresholds.allowed, int(thresholds.allowed_share * summary.whole.requests))
    failed = summary.whole.failed
    checks = [
        Check(
            "all steps", "requests", f"{summary.whole.requests:,}", "more than 0", _verdict(summary.whole.requests > 0)
        ),
        Check("all steps", "unexpected errors", f"{failed:,}", f"at most {allowed:,}", _verdict(failed <= allowed)),
    ]
    for step in summary.steps:
        for metric, most in thresholds.level(step.name).items():
            value = getattr(step, metric)
            verdict = _verdict(value <= most)
            checks.append(Check(step.name, metric, f"{value:,.1f} ms", f"at most {most:,.1f} ms", verdict))
    if baseline is not None:
        checks += _compared(summary, thresholds, baseline["steps"])
    return checks


def _verdict(is_good: bool) -> str:
    return "pass" if is_good else "fail"


def _compared(summary: Summary, limits: Thresholds, before: Mapping[str, Any]) -> Iterator[Check]:
    for step in (*summary.steps, summary.whole):
        if step.name not in before:
            continue
        then = before[step.name]
        fewest = min(step.requests, then["requests"])
        for metric in limits.metrics:
            needed = limits.minimum_requests * (P99_NEEDS if metric == "p99" else 1)
            if fewest < needed or (metric == "throughput" and step is not summary.whole):
                continue
            now, was = float(getattr(step, metric)), float(then[metric])
            if metric == "throughput":
                ratio, unit, is_noise = (was / now if now else float("inf")), "requests/s", False
                limit = f"at least {was / limits.fail:,.1f} (was {was:,.1f})"
            else:
                ratio, unit, is_noise = (now / was if was else 1.0), "ms", now - was <= limits.minimum_milliseconds
                limit = f"below {was * limits.fail:,.1f} (was {was:,.1f})"
            verdict = "pass" if is_noise or ratio < limits.warn else "warn" if ratio < limits.fail else "fail"
            yield Check(step.name, metric, f"{now:,.1f} {unit}", limit, verdict)
    for name in sorted(set(before) - {step.name for step in summary.steps} - {summary.whole.name}):
        if before[name]["requests"] >= limits.minimum_requests:
            yield Check(name, "requests", "0", f"some (was {before[name]['requests']:,})", "warn")
