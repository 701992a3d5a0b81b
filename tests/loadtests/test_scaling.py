"""The arithmetic of docs/scaling.md: its tables are those that follow from the measured figures, and follow them when these change.

https://spec.commonmark.org/
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests import scaling
from loadtests.scaling import Assumptions, Measures, Reckoning

ROUND = Measures("SQLite", 1_000, 20.0, 10.0, 100.0, 100_000.0, 9_000.0, 8_000.0, 400.0, 1_000.0, 2_000.0, 2)
ASSUMED = Assumptions(
    years=1.0,
    adoption=0.1,
    apps=1.0,
    syncs=1.0,
    requests=10.0,
    busy=2.0,
    storm=1.0,
    use=0.5,
    changes=2.0,
    retention=5.0,
    copied=100.0,
    night=10.0,
)


def test_every_table_of_the_page_is_the_one_that_follows_from_the_measured_figures() -> None:
    page = scaling.PAGE.read_text("utf-8")
    postgresql = Measures.read(scaling.POSTGRESQL) if scaling.POSTGRESQL.exists() else None
    found = scaling.tables(Measures.read(scaling.SQLITE), postgresql, Assumptions())
    assert scaling.rewritten(page, found) == page, "run: python -m loadtests.scaling"


def test_a_million_members_are_reckoned_as_by_hand() -> None:
    one = Reckoning(1_000_000, ROUND, ASSUMED)
    assert one.resources == 20_000_000
    assert one.index_rows == 100_000_000
    assert one.bytes == 100e9
    assert one.connections == 100_000
    assert one.answers == 1_000_000
    assert one.busy_rate == pytest.approx(1_000_000 / 86_400 * 2)
    assert one.storm_rate == pytest.approx(1_000_000 / 3600)
    assert one.cores == 1  # 278 a second of 500 that a core is planned with
    assert one.ledger_rows == 365_000_000 + 12_000_000
    assert one.ledger_bytes == one.ledger_rows * 400
    assert one.kept_bytes == one.bytes + 5 * one.ledger_bytes
    assert one.load_hours == pytest.approx(20_000_000 / 1_000 / 3600)
    assert one.change_hours == pytest.approx(2_000_000 / 1_000 / 3600)
    assert one.loaders == 1
    assert one.copy_hours == pytest.approx((100e9 + 377e6 * 400) / 100e6 / 3600)
    assert one.databases == 1


def test_years_of_claims_multiply_records_and_the_first_load_but_no_requests() -> None:
    one, ten = (Reckoning(1_000, ROUND, replace(ASSUMED, years=years)) for years in (1.0, 10.0))
    assert (ten.resources, ten.index_rows, ten.bytes) == (10 * one.resources, 10 * one.index_rows, 10 * one.bytes)
    assert ten.load_hours == pytest.approx(10 * one.load_hours)
    assert (ten.answers, ten.ledger_rows, ten.change_hours) == (one.answers, one.ledger_rows, one.change_hours)


def test_a_hundred_times_the_members_need_more_machines_databases_and_loaders() -> None:
    one = Reckoning(100_000_000, ROUND, ASSUMED)
    assert one.cores == 56  # 27,778 a second
    assert one.databases == 7  # 69.7 h of backup, 10 h a night
    assert one.loaders == 6  # 55.6 h of changes


def test_a_page_that_lags_behind_its_figures_is_noticed_and_rewritten() -> None:
    page = "# x\n<!-- measured -->\nold\n<!-- /measured -->\n"
    table = scaling.tables(ROUND, None, ASSUMED)["measured"]
    assert scaling.rewritten(page, {"measured": table}) == f"# x\n<!-- measured -->\n{table}\n<!-- /measured -->\n"
    other = scaling.tables(replace(ROUND, per_answer=500.0), None, ASSUMED)["measured"]
    assert scaling.rewritten(page, {"measured": other}) != scaling.rewritten(page, {"measured": table})
    with pytest.raises(ValueError, match="0 places for drivers"):
        scaling.rewritten(page, {"drivers": table})


def test_without_figures_of_postgresql_those_of_sqlite_stand_in_and_it_is_said() -> None:
    assert "| On SQLite |" in scaling.tables(ROUND, None, ASSUMED)["members"]
    other = replace(ROUND, database="PostgreSQL 18.4", bytes=50_000.0)
    assert "| On PostgreSQL 18.4 |" in scaling.tables(ROUND, other, ASSUMED)["members"]


def test_ones_own_number_of_members_is_reckoned_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert scaling.main(["--members", "2000000", "--adoption", "0.2"]) == 0
    printed = capsys.readouterr().out
    assert "| 2 million members |" in printed
    assert re.search(r"^\| connections of a member with an app \| 520,000 \|$", printed, re.MULTILINE)


@pytest.mark.parametrize("options", [["--members", "0"], ["--members", "5", "--use", "0"], ["--adoption", "0.2"]])
def test_numbers_that_cannot_be_reckoned_with_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        scaling.main(options)
    assert stopped.value.code == 2
    assert "error" in capsys.readouterr().err


def test_missing_figures_are_one_line_that_says_how_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scaling, "SQLITE", tmp_path / "scale.json")
    assert scaling.main([]) == 2
    assert "python -m loadtests.scale" in capsys.readouterr().err
