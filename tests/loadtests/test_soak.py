"""The soak from end to end in some seconds: the peak is found, the rate is held, what creeps is found and told.

https://man7.org/linux/man-pages/man5/proc.5.html - the figures themselves are measured by hand (docs/evidence/soak.md).
"""

from array import array
from collections import Counter
from pathlib import Path

import pytest

from loadtests import soak
from loadtests.soak_client import READ, REFRESH, Span
from loadtests.soak_evidence import MEGABYTE, Ledger, Sample, Soak, render


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers")
def test_a_soak_of_some_seconds_finds_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "evidence" / "soak.md"
    code = soak.main(["--minutes", "0.08", "--output", str(output)])
    page = output.read_text("utf-8")
    assert code in (0, 1)  # so short a time shows no trend
    assert page == capsys.readouterr().out.removesuffix("\n")
    assert page.startswith("# 0.08 minutes at 70 % of peak, on SQLite\n\n    python -m loadtests.soak --minutes 0.08\n")
    assert "| failures, workers that ended | 0, 0 | 0, 0 | reached |" in page
    assert "- **Failure**" not in page
    assert page.count("\n| ") == 1 + 7 + 1 + 10


@pytest.mark.parametrize("minutes", ["0", "-1", "20000", "soon"])
def test_a_time_that_cannot_be_measured_in_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        soak.main(["--minutes", minutes])
    assert stop.value.code == 2
    assert "--minutes" in capsys.readouterr().err


def span(milliseconds: float = 2.0, answers: int = 600) -> Span:
    latencies = array("f", [0.001] * (answers - answers // 50) + [milliseconds / 1000] * (answers // 50))
    return Span(latencies, Counter({READ: answers, REFRESH: 10}), 10.0)


def soaked(
    grown: float = 1.0,
    slower: float = 1.0,
    opened: int = 0,
    rows: int = 3000,
    bytes: int = 1_000_000,
    failures: dict[str, int] | None = None,
    replaced: int = 0,
    rate: float = 60.0,
) -> Soak:
    """Ten tenths of ten seconds, in which something may creep."""
    samples = [
        Sample(at, int(200 * MEGABYTE * (grown if at >= 75 else 1)), 50 * MEGABYTE, 100 + (opened if at >= 75 else 0))
        for at in range(100)
    ]
    spans = [span(2.0 * (slower if number > 6 else 1)) for number in range(10)]
    ledgers = [
        Ledger(10, 0, 5_000_000),
        Ledger(3010, 3000, 6_000_000),
        Ledger(3010 + rows, 6000, 6_000_000 + bytes),
    ]
    machine = "python -m loadtests.soak", "SQLite 3.45", 2, 64, 20.0, 90.0, rate
    return Soak(*machine, spans, samples, ledgers, failures or {}, 5, 0.2, replaced)


def missed(of: Soak) -> list[str]:
    """The first words of what was missed."""
    assert of.is_reached == ("| missed |" not in render(of))
    return [what.partition(",")[0] for what, _, _, reached in of.rows if not reached]


def test_what_stays_as_it_is_reaches_every_goal() -> None:
    assert missed(soaked(grown=1.04, slower=1.4, opened=2, rows=3020, bytes=1_200_000)) == []


@pytest.mark.parametrize(
    ("found", "goal"),
    [
        (soaked(grown=1.06), "memory of the workers (RssAnon)"),
        (soaked(slower=1.6), "p99"),
        (soaked(opened=3), "open descriptors"),
        (soaked(rows=2900), "ledger rows an answer"),
        (soaked(bytes=1_300_000), "bytes of the database a row"),
        (soaked(rate=70.0), "requests a second"),
        (soaked(failures={"read: 503": 1}), "failures"),
        (soaked(replaced=1), "failures"),
    ],
)
def test_what_creeps_is_told(found: Soak, goal: str) -> None:
    assert missed(found) == [goal]


def test_a_failure_is_named_in_the_page() -> None:
    assert "- **Failure**: read: 503, 7 times" in render(soaked(failures={"read: 503": 7}))
