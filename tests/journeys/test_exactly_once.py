"""Exactly once: four workers under load, one killed with -9 every second, the database restarted: no answer without its one row.

How long: EXACTLY_ONCE_SECONDS, by default 60 on SQLite and 15 on PostgreSQL. See ``loadtests/exactly_once.py``.
"""

import os
from pathlib import Path

import pytest

from loadtests import exactly_once

SECONDS = {"sqlite": "60", "postgresql": "15"}
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers")


@needs_proc
@pytest.mark.slow
def test_every_answer_received_has_exactly_one_row_whatever_is_killed(
    database_kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = os.environ.get("EXACTLY_ONCE_SECONDS") or SECONDS[database_kind]
    page = tmp_path / "exactly_once.md"
    options = ["--postgresql", "--restart-every", "5"] if database_kind == "postgresql" else []
    code = exactly_once.main(["--seconds", seconds, *options, "--output", str(page)])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    text = page.read_text("utf-8")
    assert "Every chain is whole" in text
    assert "| what is not as it must be | 0 |" in text
    assert kills(text) >= float(seconds) / 2


def kills(page: str) -> int:
    """How many workers were killed."""
    (line,) = [line for line in page.splitlines() if "killed with -9 |" in line]
    return int(line.split("|")[2].strip().replace(",", ""))
