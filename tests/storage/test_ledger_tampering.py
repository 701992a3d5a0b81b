"""Whatever is changed, deleted, moved, put in or cut off behind an anchor kept outside is found, and its place is named.

Architecture, "One ledger": every row's hash is over the hash before it; anchors say where every chain stood.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from server import clock
from server.metrics.ledger_health import breaks
from server.settings import Settings
from server.storage import anchors_file
from server.storage.database import Database
from server.storage.ledger import DAY, GENESIS, LEDGER, chain_hash
from server.storage.ledger_anchors import ANCHOR, PERIOD, keep, periods, unanchored
from tests.storage.ledgers import HOUR, chain, write

START = clock.to_microseconds(datetime(2026, 10, 30, tzinfo=UTC))
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
DAYS = 6
"""Of the ledger; the first ANCHORED of them, in two periods before and after the end of a month, are anchored and kept outside."""
ANCHORED = 4
UNTIL = START + ANCHORED * DAY
Rows = list[dict[str, Any]]
COLUMNS = [column.name for column in LEDGER.columns if column.name not in ("writer", "sequence")]


def evenly(first: int, last: int, count: int) -> list[int]:
    """Moments from one hour of the ledger to another."""
    return [START + first * HOUR + (last - first) * HOUR * number // count for number in range(count)]


CHAINS: list[Rows] = [
    chain(evenly(1, 24 * DAYS, 18)),  # as long as the ledger
    chain(evenly(2, 30, 5)),  # over long before the last anchor
    chain(evenly(50, 24 * ANCHORED + 20, 7), patient="ben"),
    chain(evenly(24 * ANCHORED + 1, 24 * DAYS, 4)),  # begun after the last anchor
]


@dataclass(frozen=True, slots=True)
class Tampering:
    """What was done to the rows, and what must be named: a part of some break."""

    what: str
    rows: Rows
    named: str


def flat() -> Rows:
    """All rows, as copies."""
    return [dict(row) for rows in CHAINS for row in rows]


def rechained(rows: Rows) -> Rows:
    """The rows of one writer with every hash computed anew, as a forger would."""
    previous = GENESIS
    for row in rows:
        row["hash"] = previous = chain_hash(previous, {name: row[name] for name in LEDGER.columns.keys()})  # noqa: SIM118
    return rows


def place(row: dict[str, Any], sequence: int | None = None) -> str:
    """How a row's place begins in a break."""
    return f"writer {row['writer']}: row {row['sequence'] if sequence is None else sequence}"


@st.composite
def tamperings(draw: Callable[[Any], Any]) -> Tampering:
    """One tampering of any kind, at any place where it can be told."""
    kind = draw(
        st.sampled_from(("change", "delete", "swap", "forge", "put in", "cut", "cut writer", "rewrite", "repeat"))
    )
    rows = flat()
    if kind == "change":
        row = draw(st.sampled_from(rows))
        column = draw(st.sampled_from(COLUMNS))
        row[column] = _another(row[column])
        return Tampering(f"changed {column}", rows, f"{place(row)} (")
    if kind == "delete":
        lost = draw(st.sampled_from([row for its in CHAINS for row in its[:-1]]))
        return Tampering("deleted", [row for row in rows if not _same(row, lost)], f"{place(lost)} is missing")
    if kind == "swap":
        first, second = draw(st.permutations(rows))[:2]
        keys = ("writer", "sequence")
        for key in keys:
            first[key], second[key] = second[key], first[key]
        return Tampering(
            "swapped", rows, f"{place(min(first, second, key=lambda row: (row['writer'], row['sequence'])))} ("
        )
    if kind == "forge":
        forged = chain([START + draw(st.integers(-DAY, ANCHORED * DAY - 1))], patient="forged")
        return Tampering("a writer made up", rows + forged, f"{place(forged[0])} (")
    if kind == "put in":
        its = [dict(row) for row in draw(st.sampled_from(CHAINS[:3]))]
        at = draw(st.integers(0, len([row for row in its if row["at"] < UNTIL]) - 1))
        its[at:at] = [dict(its[at], request_id="forged")]
        for sequence, row in enumerate(its, start=1):
            row["sequence"] = sequence
        others = [row for row in rows if row["writer"] != its[0]["writer"]]
        return Tampering("put in, and written anew", others + rechained(its), f"writer {its[0]['writer']}: row ")
    if kind == "cut":
        its = draw(st.sampled_from(CHAINS[:3]))
        anchored = [row for row in its if row["at"] < UNTIL]
        first = draw(st.sampled_from(anchored))
        left = [row for row in rows if row["writer"] != first["writer"] or row["sequence"] < first["sequence"]]
        return Tampering("a tail cut off", left, f"{place(anchored[-1])}, anchored as the last of")
    if kind == "cut writer":
        its = draw(st.sampled_from(CHAINS[:3]))
        left = [row for row in rows if row["writer"] != its[0]["writer"]]
        return Tampering("a writer cut off", left, f"writer {its[0]['writer']}: row ")
    if kind == "rewrite":
        its = [dict(row) for row in draw(st.sampled_from(CHAINS[:3]))]
        draw(st.sampled_from([row for row in its if row["at"] < UNTIL]))["patient"] = "carla"
        others = [row for row in rows if row["writer"] != its[0]["writer"]]
        return Tampering("a chain written anew", others + rechained(its), f"writer {its[0]['writer']}: row ")
    row = draw(st.sampled_from(rows))
    again = dict(row, at=row["at"] + 1, request_id="again")
    return Tampering("a sequence twice", [*rows, again], f"{place(row)} (")


def _another(value: Any) -> Any:
    if isinstance(value, bytes):
        return bytes(32)
    return value + 1 if isinstance(value, int) else value + "x"


def _same(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return (row["writer"], row["sequence"]) == (other["writer"], other["sequence"])


def fill(database: Database, rows: Rows) -> None:
    """The ledger, made of these rows and nothing else."""
    with database.transaction() as transaction:
        for table in (LEDGER, ANCHOR, PERIOD):
            transaction.execute(delete(table))
    write(database, rows)


def anchor(database: Database, path: Path) -> Path:
    """Anchor what is to be anchored, and keep a copy outside."""
    with database.transaction() as transaction:
        keep(transaction, unanchored(transaction, UNTIL - 2 * DAY))
        keep(transaction, unanchored(transaction, UNTIL))
    with database.reading() as transaction:
        path.write_text("".join(anchors_file.lines("Example Health Plan", periods(transaction))), "utf-8")
    return path


def found(database: Database, settings: Settings, anchors: Path | None = None) -> list[str]:
    """What is found to be wrong."""
    with clock.set_to(NOW), database.reading() as transaction:
        return list(breaks(transaction, settings, anchors))


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Path:
    """The ledger as it was written, with its anchors kept in this file."""
    fill(database, flat())
    return anchor(database, tmp_path / "anchors.jsonl")


def test_the_ledger_as_it_was_written_is_whole(database: Database, settings: Settings, kept: Path) -> None:
    assert found(database, settings, kept) == []
    assert found(database, settings) == []


@examples(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tampering=tamperings())
def test_every_tampering_is_found_and_its_place_is_named(
    database: Database, settings: Settings, kept: Path, tampering: Tampering
) -> None:
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER))
        if tampering.rows:
            transaction.execute(insert(LEDGER), tampering.rows)
    named = found(database, settings, kept)
    assert any(tampering.named in line for line in named), (tampering.what, tampering.named, named)


def test_a_tail_cut_off_behind_the_anchors_leaves_no_trace_until_they_are_made_again(
    database: Database, settings: Settings, kept: Path
) -> None:
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.at >= UNTIL))
    assert found(database, settings, kept) == []
    fill(database, flat())
    with database.transaction() as transaction:
        keep(transaction, unanchored(transaction, START + DAYS * DAY))
        transaction.execute(delete(LEDGER).where(LEDGER.c.at >= UNTIL))
    last = [rows[-1] for rows in (CHAINS[0], CHAINS[2], CHAINS[3])]
    named = found(database, settings)
    assert all(any(f"{place(row)}, anchored as the last of" in line for line in named) for row in last)


@pytest.mark.parametrize(
    ("column", "value"), [("first", 0), ("last", 1), ("hash", bytes(32)), ("writer", "nobody"), ("starts", 0)]
)
def test_a_changed_anchor_is_found(
    database: Database, settings: Settings, kept: Path, column: str, value: object
) -> None:
    starts, writer = START, CHAINS[0][0]["writer"]
    with database.transaction() as transaction:
        changed = update(ANCHOR).where(ANCHOR.c.starts == starts, ANCHOR.c.writer == writer)
        assert transaction.execute(changed.values({column: value})) == 1
    for anchors in (None, kept):
        assert any(
            line.startswith("anchors of 2026-10-30 to before 2026-11-01:")
            for line in found(database, settings, anchors)
        )


@pytest.mark.parametrize("column", ["ends", "digest"])
def test_a_changed_period_is_found(database: Database, settings: Settings, kept: Path, column: str) -> None:
    with database.transaction() as transaction:
        value = START + DAY if column == "ends" else bytes(32)
        transaction.execute(update(PERIOD).where(PERIOD.c.starts == START).values({column: value}))
    for anchors in (None, kept):
        assert any(line.startswith("anchors of 2026-10-30") for line in found(database, settings, anchors))


def test_anchors_deleted_with_their_rows_are_found_by_those_kept_outside(
    database: Database, settings: Settings, kept: Path
) -> None:
    with database.transaction() as transaction:
        for table in (LEDGER, ANCHOR, PERIOD):
            transaction.execute(delete(table))
    assert found(database, settings) == []
    named = found(database, settings, kept)
    assert "anchors of 2026-10-30 to before 2026-11-01: the database does not have this period" in named
    assert any(line.startswith(f"writer {CHAINS[1][0]['writer']}: row 5, anchored as the last of") for line in named)


def test_a_period_deleted_without_retention_is_found(database: Database, settings: Settings, kept: Path) -> None:
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.at < START + 2 * DAY))
    for anchors in (None, kept):
        named = found(database, settings, anchors)
        assert any("rows 1 to" in line for line in named)
        assert any(line.startswith(f"writer {CHAINS[1][0]['writer']}: row 5, anchored") for line in named)


def test_a_period_that_is_called_dropped_before_its_time_is_found(
    database: Database, settings: Settings, kept: Path
) -> None:
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.at < START + 2 * DAY))
        transaction.execute(
            update(PERIOD).where(PERIOD.c.starts == START).values(dropped_at=clock.to_microseconds(NOW))
        )
    for anchors in (None, kept):
        assert found(database, settings, anchors) == [
            "the rows of 2026-10-30 to before 2026-11-01 were dropped at 2026-11-05T12:00:00.000Z, before they were 6 years old"
        ]


def test_after_a_period_was_dropped_in_time_chains_continue_from_its_anchors(
    database: Database, settings: Settings, kept: Path
) -> None:
    later = clock.to_microseconds(NOW + timedelta(days=366 * 6))
    with database.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.at < START + 2 * DAY))
        transaction.execute(update(PERIOD).where(PERIOD.c.starts == START).values(dropped_at=later))
    for anchors in (None, kept):
        assert found(database, settings, anchors) == []
    with database.transaction() as transaction:
        its = sorted((row for row in CHAINS[0] if row["at"] >= START + 2 * DAY), key=lambda row: row["sequence"])
        transaction.execute(
            delete(LEDGER).where(LEDGER.c.writer == its[0]["writer"], LEDGER.c.sequence == its[0]["sequence"])
        )
    assert any(f"{place(its[0])} is missing" in line for line in found(database, settings, kept))


def test_a_file_of_anchors_that_was_changed_is_named(database: Database, settings: Settings, kept: Path) -> None:
    lines = kept.read_text("utf-8").splitlines(keepends=True)
    kept.write_text("".join(lines[:3] + lines[4:]), "utf-8")
    assert f"{kept} is not as it was written: its last line is not the SHA-256 of the lines before it" in found(
        database, settings, kept
    )


@pytest.mark.parametrize("content", ["", "nonsense\n", "[]\n", '{"anchors":"others","format":1}\n', '{"sha256":""}\n'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other"
    path.write_text(content, "utf-8")
    with pytest.raises(anchors_file.AnchorsFileError, match="other"):
        anchors_file.read(path)


def test_a_file_of_anchors_is_read_as_it_was_written(database: Database, kept: Path) -> None:
    with database.reading() as transaction:
        there = list(periods(transaction))
    read = anchors_file.read(kept)
    assert [(one.starts, one.ends, one.digest, one.anchors) for one in read] == [
        (one.starts, one.ends, one.digest, one.anchors) for one in there
    ]
    assert [str(one) for one in read] == [
        "2026-10-30 to before 2026-11-01",
        "2026-11-01 to before 2026-11-03",
    ]
