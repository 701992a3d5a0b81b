"""What wrk and oha print, as figures: units, medians, and failures that spoil a run.

https://github.com/wg/wrk and https://github.com/hatoo/oha
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.load_generator import (
    HOW_TO_GET_ONE,
    Figures,
    LoadError,
    LoadGenerator,
    Target,
    figures_of_oha,
    figures_of_wrk,
    median_of,
)
from tests.serving import ROOT

WRK = """Running 3s test @ http://127.0.0.1:1
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.49ms    3.95ms  65.06ms   87.35%
    Req/Sec    12.35k     1.71k   15.61k    66.67%
  Latency Distribution
     50%  {p50}
     75%    6.51ms
     90%    9.12ms
     99%  {p99}
  36867 requests in 3.01s, 304.15MB read
{more}Requests/sec:  12260.57
Transfer/sec:    101.15MB
"""


def wrk(p50: str = "4.53ms", p99: str = "20.40ms", more: str = "") -> str:
    """What wrk prints."""
    return WRK.format(p50=p50, p99=p99, more=more)


def oha(**changes: object) -> str:
    """What oha prints, as far as it is read."""
    printed: dict[str, object] = {
        "summary": {"requestsPerSec": 12260.5},
        "latencyPercentiles": {"p50": 0.0045, "p99": 0.0204},
        "statusCodeDistribution": {"200": 36000},
        "errorDistribution": {"aborted due to deadline": 64},
    }
    return json.dumps(printed | changes)


def test_wrk_prints_a_rate_and_percentiles() -> None:
    assert figures_of_wrk(wrk()) == Figures(12260.57, 4.53, 20.4, 36867)


@pytest.mark.parametrize(
    ("printed", "milliseconds"), [("912.00us", 0.912), ("4.53ms", 4.53), ("1.20s", 1200.0), ("1.50m", 90_000.0)]
)
def test_latencies_of_wrk_are_milliseconds_whatever_their_unit(printed: str, milliseconds: float) -> None:
    assert figures_of_wrk(wrk(p50=printed)).p50 == pytest.approx(milliseconds)
    assert figures_of_wrk(wrk(p99=printed)).p99 == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "failure",
    ["  Non-2xx or 3xx responses: 1\n", "  Socket errors: connect 0, read 0, write 0, timeout 3\n"],
)
def test_a_run_of_wrk_with_a_failure_is_worth_nothing(failure: str) -> None:
    with pytest.raises(LoadError, match="failures"):
        figures_of_wrk(wrk(more=failure))


@pytest.mark.parametrize(
    "printed", ["", "unable to connect to 127.0.0.1:1 Connection refused", wrk().replace("99%", "98%")]
)
def test_output_without_figures_is_an_error(printed: str) -> None:
    with pytest.raises(LoadError, match="no figures"):
        figures_of_wrk(printed)
    with pytest.raises(LoadError, match="no figures"):
        figures_of_oha(printed)


def test_oha_prints_seconds_and_requests_it_had_to_abandon() -> None:
    assert figures_of_oha(oha()) == Figures(12260.5, 4.5, pytest.approx(20.4), 36000)


@pytest.mark.parametrize(
    "changes",
    [
        {"statusCodeDistribution": {"200": 10, "503": 1}},
        {"statusCodeDistribution": {}},
        {"errorDistribution": {"connection closed before message completed": 1}},
    ],
)
def test_a_run_of_oha_with_a_failure_is_worth_nothing(changes: dict[str, object]) -> None:
    with pytest.raises(LoadError, match="failures"):
        figures_of_oha(oha(**changes))


def test_medians_are_of_each_figure_by_itself() -> None:
    runs = [Figures(100, 5, 9, 10), Figures(300, 1, 50, 30), Figures(200, 9, 10, 20)]
    assert median_of(runs) == Figures(200, 5, 10, 60)


def program(folder: Path, name: str, script: str) -> Path:
    """A program on a PATH of its own."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("found", ["wrk", "oha"])
def test_the_program_on_path_is_used(found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = {"wrk": wrk(), "oha": oha()}[found]
    (tmp_path / "printed").write_text(printed)
    program(tmp_path, found, f'echo "$@" >> {tmp_path}/asked; /bin/cat {tmp_path}/printed')
    monkeypatch.setenv("PATH", str(tmp_path))
    generator = LoadGenerator.find(48)
    targets = [Target("/a", "token-a"), Target("/b", "token-b", "gzip")]
    runs = [generator.run("http://127.0.0.1:1", targets, 2, tmp_path).per_second for _ in targets]
    assert generator.name == found
    assert runs == pytest.approx([12260.5, 12260.5], abs=0.1)
    asked = (tmp_path / "asked").read_text()
    if found == "wrk":
        assert "-c48 -d2s --latency" in asked
        assert (tmp_path / "requests.txt").read_text() == "/a token-a identity\n/b token-b gzip\n"
    else:
        assert "-c 48 -z 2s" in asked
        assert "Bearer token-a -H Accept-Encoding: identity http://127.0.0.1:1/a" in asked
        assert "Bearer token-b -H Accept-Encoding: gzip http://127.0.0.1:1/b" in asked


def test_without_either_program_it_says_in_one_line_how_to_get_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.hot_path"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {HOW_TO_GET_ONE}\n")
