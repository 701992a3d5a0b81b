"""The crawl from end to end with small numbers: what is loaded, crawled, exported, checked and written.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html - the figures themselves are measured by hand (docs/evidence/crawl.md).
"""

import mmap
import os
import time
from pathlib import Path

import pytest

from loadtests import crawl
from loadtests.crawl_evidence import Crawl, Download, Export, Measured, render
from loadtests.memory import Growth, growth, resident


@pytest.mark.slow
def test_a_small_member_is_crawled_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "evidence" / "crawl.md"
    code = crawl.main(["--claims", "120", "--exported", "150", "--size", "2500", "--output", str(output)])
    page = output.read_text("utf-8")
    assert code in (0, 1)  # the machine may be busy
    assert page == capsys.readouterr().out.removesuffix("\n")
    assert "python -m loadtests.crawl --claims 120 --exported 150 --size 2500" in page
    assert "`$everything`: 122 resources on 3 pages" in page
    assert page.count("150 lines") == 2


@pytest.mark.parametrize("option", [["--claims", "0"], ["--exported", "3"], ["--size", "100"]])
def test_numbers_that_cannot_be_measured_with_are_refused(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert crawl.main(option) == 2
    assert "needed" in capsys.readouterr().err


def test_memory_that_is_allocated_is_seen_while_it_lasts() -> None:
    with growth(os.getpid()) as found:
        allocated = mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        allocated.write(b"x" * len(allocated))
        time.sleep(0.2)
        allocated.close()
    assert found.megabytes > 48
    assert resident(2**30) == (0, 0)


def measured(first: float = 0.05, grown: int = 10) -> Measured:
    memory = Growth(0, grown * 2**20)
    download = Download("gzip", 1000, 10, 0.001, 1.0, memory)
    return Measured(
        "python -m loadtests.crawl",
        "SQLite",
        2,
        3000,
        10.0,
        Crawl(102, 3, [first], [0.01, 0.02], 0.1, memory),
        Export(1000, 2.0, memory, [download], [0.001], [0.002]),
    )


@pytest.mark.parametrize(
    ("found", "word"), [(measured(), "reached"), (measured(first=0.2), "missed"), (measured(grown=60), "missed")]
)
def test_a_goal_that_is_missed_is_said_and_told(found: Measured, word: str) -> None:
    assert found.is_reached == (word == "reached")
    assert ("| missed |" in render(found)) == (word == "missed")
    assert "| resources written a second | 500 |" in render(found)
