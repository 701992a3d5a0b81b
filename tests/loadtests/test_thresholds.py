"""Pass, warn or fail: what is compared with what, and which files are refused.

https://toml.io/en/v1.0.0
"""

from pathlib import Path

import pytest

from loadtests.measurements import Measurements
from loadtests.summary import Summary, summarize
from loadtests.thresholds import (
    DEFAULT,
    Check,
    Thresholds,
    ThresholdsError,
    judge,
    read_baseline,
    read_thresholds,
    save_baseline,
)


def run_of(milliseconds: float, requests: int = 200, seconds: float = 10.0, failed: int = 0) -> Summary:
    """A run whose only step took always as long."""
    measured = Measurements()
    for number in range(requests):
        measured.record("read Patient", 200, milliseconds, 100, number // 20)
    for _ in range(failed):
        measured.fail("read Patient", 500, "no JSON")
    return summarize(measured, 4, seconds)


def written(folder: Path, text: str) -> Thresholds:
    """Thresholds of a file with this text."""
    path = folder / "thresholds.toml"
    path.write_text(text, "utf-8")
    return read_thresholds(path)


def compared(folder: Path, now: Summary, before: Summary, text: str = "") -> dict[tuple[str, str], Check]:
    """The checks of a run against another as its baseline."""
    path = folder / "baseline.json"
    save_baseline(path, "steady-day", before)
    checks = judge(now, written(folder, text), read_baseline(path, "steady-day"))
    return {(check.step, check.metric): check for check in checks}


@pytest.mark.parametrize(("now", "verdict"), [(149, "pass"), (155, "warn"), (195, "warn"), (205, "fail"), (20, "pass")])
def test_a_step_warns_at_150_per_cent_of_its_baseline_and_fails_at_200(
    tmp_path: Path, now: float, verdict: str
) -> None:
    checks = compared(tmp_path, run_of(now), run_of(100.0))
    assert {checks["read Patient", metric].verdict for metric in ("p50", "p95", "p99")} == {verdict}


def test_throughput_fails_when_it_falls_to_half(tmp_path: Path) -> None:
    for seconds, verdict in ((10.0, "pass"), (16.0, "warn"), (21.0, "fail")):
        checks = compared(tmp_path, run_of(1.0, seconds=seconds), run_of(1.0))
        assert checks["all steps", "throughput"].verdict == verdict


def test_milliseconds_that_are_noise_are_no_news(tmp_path: Path) -> None:
    assert compared(tmp_path, run_of(4.0), run_of(1.0))["read Patient", "p50"].verdict == "pass"
    strict = "[baseline]\nminimum_milliseconds = 0.5\n"
    assert compared(tmp_path, run_of(4.0), run_of(1.0), strict)["read Patient", "p50"].verdict == "fail"


def test_few_requests_are_not_compared_and_p99_needs_more(tmp_path: Path) -> None:
    few = compared(tmp_path, run_of(500.0, requests=19), run_of(1.0))
    assert set(few) == {("all steps", "requests"), ("all steps", "unexpected errors")}
    some = compared(tmp_path, run_of(500.0, requests=99), run_of(1.0))
    assert ("read Patient", "p95") in some
    assert ("read Patient", "p99") not in some


def test_a_step_that_is_not_done_any_more_warns(tmp_path: Path) -> None:
    other = Measurements()
    other.record("read Coverage", 200, 1.0, 10, 1)
    check = compared(tmp_path, summarize(other, 1, 1.0), run_of(1.0))["read Patient", "requests"]
    assert check.verdict == "warn"


def test_one_unexpected_error_fails_unless_it_is_allowed(tmp_path: Path) -> None:
    def verdict(text: str) -> str:
        checks = judge(run_of(1.0, failed=1), written(tmp_path, text), None)
        return next(check.verdict for check in checks if check.metric == "unexpected errors")

    assert verdict("") == "fail"
    assert verdict("[errors]\nallowed = 1\n") == "pass"
    assert verdict("[errors]\nallowed_share = 0.005\n") == "pass"
    assert verdict("[errors]\nallowed_share = 0.004\n") == "fail"


def test_a_run_without_a_request_fails(tmp_path: Path) -> None:
    assert judge(summarize(Measurements(), 4, 1.0), written(tmp_path, ""), None)[0].verdict == "fail"


def test_levels_hold_by_step_and_a_star_for_all_others(tmp_path: Path) -> None:
    def verdicts(text: str) -> list[str]:
        return [check.verdict for check in judge(run_of(30.0), written(tmp_path, text), None) if check.metric == "p95"]

    assert verdicts("") == []
    assert verdicts('[levels."*"]\np95 = 40\n') == ["pass"]
    assert verdicts('[levels."*"]\np95 = 20\n') == ["fail"]
    assert verdicts('[levels."*"]\np95 = 20\n[levels."read Patient"]\np95 = 40\n') == ["pass"]


def test_the_file_that_comes_with_the_load_tests_is_complete() -> None:
    found = read_thresholds(DEFAULT)
    assert (found.warn, found.fail, found.allowed, found.allowed_share, dict(found.levels)) == (1.5, 2.0, 0, 0.0, {})
    assert found.metrics == ("p50", "p95", "p99", "throughput")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[errors\n", "not TOML"),
        ("warn = 1.5\n", "in a table"),
        ("[error]\nallowed = 1\n", "error: not known"),
        ("[errors]\nalowed = 1\n", "alowed: not known"),
        ("[levels.token]\np90 = 1\n", "p90: not known"),
        ("[levels]\ntoken = 1\n", "in a table"),
        ('[baseline]\nmetrics = ["p42"]\n', "p42: not known"),
        ('[baseline]\nwarn = "much"\n', "not a number"),
        ("[baseline]\nwarn = 3\n", "1 <= warn <= fail"),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ThresholdsError, match=why):
        written(tmp_path, text)


@pytest.mark.parametrize("text", ["{", "[]", '{"steady-day": {}}', '{"steady-day": {"steps": {"token": {"p50": 1}}}}'])
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ThresholdsError, match="is not a baseline"):
        read_baseline(path, "steady-day")


def test_a_baseline_keeps_the_figures_of_other_shapes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "baseline.json"
    save_baseline(path, "steady-day", run_of(1.0))
    save_baseline(path, "launch-day", run_of(2.0))
    assert read_baseline(path, "steady-day")["users"] == 4
    assert read_baseline(path, "launch-day")["steps"]["read Patient"]["requests"] == 200
    with pytest.raises(ThresholdsError, match="no baseline of dead-token; --save-baseline"):
        read_baseline(path, "dead-token")
