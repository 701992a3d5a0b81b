"""Growing stores measured from end to end with a handful of members and a stand-in for wrk: loaded, kept, asked, weighed, compared.

https://hl7.org/fhir/R4/http.html#search - the figures themselves are measured by hand (docs/evidence/scale.md).
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from loadtests import scale
from loadtests.load_generator import Figures
from loadtests.many_members import QUESTIONS, REALITY, WORKLOADS, Asked, requests_of
from loadtests.scale_evidence import Measured, Size, Worker, growths, is_reached, render
from loadtests.stored_compression import Method
from loadtests.stores import Loaded
from loadtests.weights import Part, Weights

PRINTED = """
  Latency Distribution
     50%    1.00ms
     99%    2.00ms
  1000 requests in 1.00s, 1.00MB read
Requests/sec:   1000.00
"""
OPTIONS = ["--members", "20,60", "--rounds", "1", "--seconds", "1"]


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """Where stores and their records are kept from test to test; PostgreSQL, which is not root, may look into it."""
    with TemporaryDirectory(prefix="kept-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program called wrk that notes which store it was to load, and the tokens of its list."""
    asked, program = tmp_path / "asked", tmp_path / "bin" / "wrk"
    program.parent.mkdir()
    (tmp_path / "printed").write_text(PRINTED)
    program.write_text(
        '#!/bin/sh\nif [ "$1" = -v ]; then echo wrk 4; exit; fi\n'
        f'echo "$9" >> {asked}\n'
        f"""cat "$(sed -n 's/.*io.lines("\\(.*\\)").*/\\1/p' "$8")" >> {tmp_path}/requests\n"""
        f"cat {tmp_path}/printed\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(scale, "WORKERS", 1)  # one is enough to see that it answers
    yield tmp_path


def measured_by(options: list[str], folder: Path) -> tuple[int, str, dict[str, Any]]:
    """The exit code, the page and the figures of a run."""
    output = folder / "evidence" / "scale.md"
    code = scale.main([*options, "--output", str(output)])
    return code, output.read_text("utf-8"), json.loads(output.with_suffix(".json").read_text("utf-8"))


@pytest.mark.slow
def test_small_files_are_loaded_asked_and_weighed_as_the_database_says(
    kept: Path, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, page, figures = measured_by([*OPTIONS, "--keep", str(kept)], stand_in)
    assert code == 0
    assert page == capsys.readouterr().out.removesuffix("\n")
    assert page.count("| reached |") == 8
    assert [size["members"] for size in figures["sizes"]] == [20, 60]
    servers = (stand_in / "asked").read_text().split()
    assert len(set(servers)) == 2 and servers.count(servers[0]) == len(servers) / 2
    tokens = {line.split()[1] for line in (stand_in / "requests").read_text().splitlines()}
    assert len(tokens) > 20
    for size in figures["sizes"]:
        with closing(sqlite3.connect(kept / f"sqlite-{size['members']}" / "members.db")) as database:
            claims = "FROM resource WHERE type = 'ExplanationOfBenefit'"
            assert database.execute(f"SELECT count(*), avg(length(body)) {claims}").fetchone() == pytest.approx(
                (size["claims"], size["bytes"]["claim_stored"])
            )
            pages = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")]
            assert size["bytes"]["database"] == pytest.approx((pages[0] - pages[1]) * 8192, rel=0.02)
            assert database.execute("SELECT count(*) FROM ledger").fetchone() == (size["ledger"]["rows"],)
        assert size["bytes"]["claim_stored"] < size["bytes"]["claim_table"] < 2 * size["bytes"]["claim_stored"]
        assert 5 < size["bytes"]["claim_index_rows"] < 50
        assert 20e6 < size["worker"]["allocated"] < 200 * 2**20
        assert size["ledger"]["rows"] > 0


def test_what_was_kept_is_not_loaded_again(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = kept / "sqlite-20"
    if not (store / "members.db").exists():
        assert scale.main(["--members", "20", "--keep", str(kept), "--load-only"]) == 0
    before = (store / "members.db").stat().st_size
    assert scale.main(["--members", "20", "--keep", str(kept), "--load-only"]) == 0
    assert "20 members: loaded before" in capsys.readouterr().err
    assert (store / "members.db").stat().st_size == before


@pytest.mark.slow
def test_postgresql_is_measured_alike_and_is_seen_to_compress_by_itself(kept: Path, stand_in: Path) -> None:
    code, page, figures = measured_by(["--postgresql", *OPTIONS[2:], "--members", "60", "--keep", str(kept)], stand_in)
    assert code == 0
    assert "# As the store grows, on PostgreSQL" in page and "| PostgreSQL, pglz |" in page
    (size,) = figures["sizes"]
    assert size["bytes"]["claim_stored"] < 0.5 * size["bytes"]["claim_json"]
    assert size["bytes"]["ledger"] > 0
    assert size["claims"] > 60


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--members", "5"], "20 or more"),
        (["--members", "many"], "invalid"),
        (["--rounds", "0"], "at least 1"),
        (["--load-only"], "--keep"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        scale.main(options)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def of(members: int, p50: float = 1.0, p99: float = 4.0, megabytes: int = 100) -> Size:
    """A store with the same latency of everything."""
    parts = [Part("resource", "resource", True, 10_000_000, members * 19), Part("ledger", "ledger", True, 3_000, 0)]
    weights = Weights(members * 12, members * 19, 9_000.0, 9_000.0, 10_000.0, 1_500.0, 12.0, parts)
    latency = {
        (question, workload): Figures(1000.0, p50, p99, 1000) for question in QUESTIONS for workload in WORKLOADS
    }
    workers = [Worker(megabytes * 2**20, 50 * 2**20), Worker(90 * 2**20, 60 * 2**20)]
    return Size(members, Loaded(members * 19, 100.0, 10.0), weights, 10, 3_000, workers, 600, latency)


def measured(*sizes: Size) -> Measured:
    """Those stores, measured."""
    methods = [Method("as it is", 9_000.0, 0.0, 0.0), Method("PostgreSQL, lz4", 3_000.0, None, None)]
    return Measured("command", "SQLite", "wrk 4", "2 cores", "2026-11-22", 2, 8, 7, 2, sizes, methods)


def test_the_largest_store_is_compared_with_the_smallest_at_both_percentiles() -> None:
    found = growths(measured(of(1_000), of(10_000, 9.0), of(50_000, 1.25, 6.0)))
    assert len(found) == 2 * len(QUESTIONS) * len(WORKLOADS)
    assert {growth.percentile: growth.times for growth in found} == {"p50": 1.25, "p99": 1.5}
    assert {growth.percentile: growth.is_reached for growth in found} == {"p50": True, "p99": False}


@pytest.mark.parametrize(
    ("largest", "reached"),
    [
        (of(50_000, 1.3, 5.2), True),
        (of(50_000, 1.31), False),
        (of(50_000, 1.0, 5.3), False),
        (of(50_000, megabytes=201), False),
    ],
)
def test_a_goal_that_is_missed_is_said_and_told(largest: Size, reached: bool) -> None:
    found = measured(of(1_000), largest)
    assert is_reached(found) == reached
    page = render(found, 1.0)
    assert ("missed" in page) != reached
    assert "| bytes an answer, with indexes | 300 | 300 |" in page
    assert "| PostgreSQL, lz4 | 3,000 | 33% | in the database | in the database |" in page


def test_one_answer_that_took_long_counts_where_few_members_ask_too() -> None:
    slow = of(50_000)
    slow = replace(slow, latency={**slow.latency, (QUESTIONS[1], REALITY): Figures(1000.0, 9.0, 9.0, 1000)})
    assert [growth.is_reached for growth in growths(measured(of(1_000), slow))].count(False) == 2


def test_few_members_make_most_of_the_requests_in_one_workload_and_all_alike_in_the_other() -> None:
    members = [Asked(f"p{number}", f"token-{number}", f"c{number}") for number in range(1000)]
    for workload, least, most in ((WORKLOADS[0], 0.08, 0.12), (REALITY, 0.5, 0.62)):
        tokens = [target.token for target in requests_of(QUESTIONS[0], workload, members, 1)]
        first = {member.token for member in members[:100]}
        assert least < sum(token in first for token in tokens) / len(tokens) < most
        assert tokens != [target.token for target in requests_of(QUESTIONS[0], workload, members, 2)]
