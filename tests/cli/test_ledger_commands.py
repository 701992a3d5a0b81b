"""``patient-access ledger``: what is verified, anchored, rolled up and dropped, and what is refused.

Architecture, "One ledger": periods can be dropped when they are anchored; a report can be computed for ever.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, text, update

from server import clock
from server.storage.database import Database
from server.storage.ledger import DAY, LEDGER
from server.storage.ledger_partitions import Month, ensure
from server.storage.rollups import BUILT
from tests.cli.command import Outcome, PatientAccess
from tests.factories import ledger_rows
from tests.storage.ledgers import HOUR, all_rows, chain, write

START = clock.to_microseconds(datetime(2026, 10, 30, tzinfo=UTC))
NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
A_YEAR_LATER = datetime(2027, 11, 15, 12, tzinfo=UTC)
ONE_YEAR = {"LEDGER_RETENTION_YEARS": "1"}


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    with clock.set_to(moment):
        yield


@pytest.fixture
def filled(database: Database) -> Database:
    """Two chains over the end of October 2026, until the 5th of November at ten."""
    write(
        database,
        chain([START + hour * HOUR for hour in range(0, 6 * 24 + 10, 7)]),
        chain([START + hour * HOUR for hour in range(3, 90, 11)], patient="ben"),
    )
    return database


def count(database: Database) -> int:
    with database.reading() as transaction:
        return int(transaction.scalar(select(func.count()).select_from(LEDGER)))


def lines(outcome: Outcome) -> list[str]:
    return outcome.out.splitlines()


def test_a_whole_ledger_verifies(patient_access: PatientAccess, filled: Database) -> None:
    with at(NOON):
        outcome = patient_access("ledger", "verify")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"Every chain is whole: {count(filled)} rows of 2 writers, not anchored yet.\n"


def test_an_empty_ledger_verifies_and_has_nothing_to_anchor_roll_up_or_drop(
    patient_access: PatientAccess, database: Database
) -> None:
    assert patient_access("ledger", "verify").out == "Every chain is whole: 0 rows of 0 writers, not anchored yet.\n"
    assert patient_access("ledger", "anchor").out == "Nothing more to anchor.\n"
    assert patient_access("ledger", "roll-up").out == "Rolled up 0 days, 0 rows; 0 days were as they should be.\n"
    with at(A_YEAR_LATER):
        dropped = patient_access("ledger", "drop", "--before", "2026-11", **ONE_YEAR)
    assert dropped.out == "There is nothing before 2026-11.\n"


def test_what_was_anchored_is_kept_outside_and_compared(
    patient_access: PatientAccess, filled: Database, tmp_path: Path
) -> None:
    path = tmp_path / "anchors.jsonl"
    with at(NOON):
        made = patient_access("ledger", "anchor", "--output", str(path))
        assert made.code == 0
        assert [line.split(",")[0] for line in lines(made)[:-1]] == [
            "Anchored 2026-10-30 to before 2026-11-01: 12 rows of 2 writers",
            "Anchored 2026-11-01 to before 2026-11-05: 17 rows of 2 writers",
        ]
        written = path.read_text("utf-8").splitlines()
        assert lines(made)[-1] == f"Wrote {path}; its last line: {written[-1]}"
        assert sorted(json.loads(written[0])) == ["anchors", "format", "payer", "written_at"]
        assert len(written) == 1 + 2 + 4 + 1
        assert "anna" not in path.read_text("utf-8")
        verified = patient_access("ledger", "verify", "--anchors", str(path))
        assert verified.out.endswith(f"rows of 2 writers, anchored until before 2026-11-05, as in {path}.\n")
        again = patient_access("ledger", "anchor", "--output", str(path))
        assert lines(again)[0] == "Nothing more to anchor."
    with filled.transaction() as transaction:
        transaction.execute(delete(LEDGER).where(LEDGER.c.at >= START + 5 * DAY))
    with at(NOON):
        cut = patient_access("ledger", "verify", "--anchors", str(path))
    assert (cut.code, cut.err) == (1, "")
    assert len(lines(cut)) == 1
    assert "anchored as the last of 2026-11-01 to before 2026-11-05, is missing" in cut.out


def test_anchors_go_as_far_as_told(patient_access: PatientAccess, filled: Database) -> None:
    with at(NOON):
        assert "2026-10-30 to before 2026-10-31:" in patient_access("ledger", "anchor", "--to", "2026-10-30").out
        assert "2026-10-31 to before 2026-11-01:" in patient_access("ledger", "anchor", "--month", "2026-10").out
        assert patient_access("ledger", "anchor", "--month", "2026-10").out == "Nothing more to anchor.\n"
        for too_far in (("--month", "2026-11"), ("--to", "2026-11-05")):
            refused = patient_access("ledger", "anchor", *too_far)
            assert (refused.code, refused.err) == (2, "error: a period is anchored when it has been over for an hour\n")
        wrong: tuple[tuple[tuple[str, ...], str], ...] = (
            (("--month", "November"), "a month is written YYYY-MM, not 'November'"),
            (("--to", "5.11."), "--to is a date, YYYY-MM-DD, not '5.11.'"),
            (("--to", "2026-11-01", "--month", "2026-10"), "--month and --to exclude each other"),
        )
        for options, message in wrong:
            refused = patient_access("ledger", "anchor", *options)
            assert (refused.code, refused.err) == (2, f"error: {message}\n")
    with at(datetime(2026, 11, 6, 0, 59, tzinfo=UTC)):
        assert "2026-11-01 to before 2026-11-05" in patient_access("ledger", "anchor").out
    with at(datetime(2026, 11, 6, 1, tzinfo=UTC)):
        assert "2026-11-05 to before 2026-11-06" in patient_access("ledger", "anchor").out


def test_a_broken_chain_is_not_anchored(patient_access: PatientAccess, filled: Database) -> None:
    with filled.transaction() as transaction:
        transaction.execute(update(LEDGER).where(LEDGER.c.sequence == 4).values(patient="carla"))
    with at(NOON):
        outcome = patient_access("ledger", "anchor")
        assert outcome.code == 1
        assert "row 4 is not what follows row 3; nothing was anchored" in outcome.out
        verified = patient_access("ledger", "verify")
    assert verified.code == 1
    assert len(lines(verified)) == 2
    assert all(": row 4 (answer " in line for line in lines(verified))


def test_a_file_with_other_anchors_is_left_as_it_is(
    patient_access: PatientAccess, filled: Database, tmp_path: Path
) -> None:
    path = tmp_path / "anchors.jsonl"
    with at(NOON):
        patient_access("ledger", "anchor", "--output", str(path))
    kept = path.read_bytes()
    with filled.transaction() as transaction:
        transaction.execute(text("DELETE FROM ledger_anchor"))
        transaction.execute(text("DELETE FROM ledger_period"))
    with at(NOON):
        outcome = patient_access("ledger", "anchor", "--to", "2026-10-30", "--output", str(path))
        assert outcome.code == 1
        assert f"{path} is left as it is" in outcome.out
    assert path.read_bytes() == kept
    path.write_text("mine\n", "utf-8")
    with at(NOON):
        refused = patient_access("ledger", "anchor", "--output", str(path))
    assert (refused.code, refused.err) == (2, f"error: {path}: line 1 is not JSON; it is left as it is\n")


def test_a_file_of_anchors_that_is_not_there_is_an_error(patient_access: PatientAccess, filled: Database) -> None:
    outcome = patient_access("ledger", "verify", "--anchors", "nowhere.jsonl")
    assert (outcome.code, outcome.err) == (2, "error: nowhere.jsonl: No such file or directory\n")


def test_more_breaks_than_anyone_reads_are_counted(
    patient_access: PatientAccess, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.ledger_commands.MOST_BREAKS", 3)
    with filled.transaction() as transaction:
        transaction.execute(update(LEDGER).values(patient="carla"))
    with at(NOON):
        outcome = patient_access("ledger", "verify")
    assert outcome.code == 1
    assert len(lines(outcome)) == 4
    assert lines(outcome)[-1] == f"and {count(filled) - 3} more"


def test_days_that_are_over_are_rolled_up_once(patient_access: PatientAccess, filled: Database) -> None:
    with at(NOON):
        first = patient_access("ledger", "roll-up")
        assert (first.code, first.out) == (0, "Rolled up 7 days, 30 rows; 0 days were as they should be.\n")
        assert patient_access("ledger", "roll-up").out == "Rolled up 0 days, 0 rows; 7 days were as they should be.\n"
        assert patient_access("ledger", "verify").code == 0
    write(filled, chain([START + 30 * HOUR]))
    with at(NOON):
        stale = patient_access("ledger", "verify")
        assert stale.code == 1
        assert stale.out == (
            "roll-up of 2026-10-31: the rows give another;"
            " build it anew with: ledger roll-up --rebuild --day 2026-10-31\n"
        )
        assert patient_access("ledger", "roll-up").out.startswith("Rolled up 1 days, ")
        assert patient_access("ledger", "verify").code == 0
        assert patient_access("ledger", "roll-up", "--rebuild").out.startswith("Rolled up 7 days, 31 rows; 0 days")
        assert patient_access("ledger", "roll-up", "--rebuild", "--month", "2026-10").out.startswith(
            "Rolled up 3 days,"
        )
        assert patient_access("ledger", "roll-up", "--rebuild", "--day", "2026-11-01").out.startswith(
            "Rolled up 1 days,"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--day", "2026-11-05"), "2026-11-05 has no day of the ledger that is over by an hour and has its rows"),
        (("--month", "2026-09"), "2026-09 has no day of the ledger that is over by an hour and has its rows"),
        (("--day", "yesterday"), "--day is a date, YYYY-MM-DD, not 'yesterday'"),
        (("--day", "2026-11-01", "--month", "2026-11"), "--day and --month exclude each other"),
    ],
)
def test_a_day_that_cannot_be_rolled_up_is_refused(
    patient_access: PatientAccess, filled: Database, options: tuple[str, ...], message: str
) -> None:
    with at(NOON):
        outcome = patient_access("ledger", "roll-up", *options)
    assert (outcome.code, outcome.err) == (2, f"error: {message}\n")


# -- retention -------------------------------------------------------------------------------------------------------


def prepared(patient_access: PatientAccess, database: Database) -> None:
    """Anchored and rolled up, a year later, which is how long it is kept; on PostgreSQL with partitions, as a server made them then."""
    with database.transaction() as transaction:
        ensure(transaction, START)
    with at(A_YEAR_LATER):
        assert patient_access("ledger", "anchor", **ONE_YEAR).code == 0
        assert patient_access("ledger", "roll-up", "--month", "2026-10").code == 0
        assert patient_access("ledger", "roll-up", "--month", "2026-11").code == 0


def test_old_months_are_dropped_and_their_roll_ups_and_anchors_stay(
    patient_access: PatientAccess, filled: Database
) -> None:
    prepared(patient_access, filled)
    old = sum(row.at < Month(2026, 11).starts for row in all_rows(filled))
    rows = count(filled)
    with at(A_YEAR_LATER):
        outcome = patient_access("ledger", "drop", "--before", "2026-11")
        assert (outcome.code, outcome.out) == (0, f"Dropped 2026-10: {old} rows.\n")
        assert count(filled) == rows - old + 1
        (event,) = ledger_rows(filled, kind="ledger")
        assert (event.interaction, event.detail, event.environment) == ("drop", f"2026-10, {old} rows", "production")
        verified = patient_access("ledger", "verify")
        assert verified.code == 0, verified.out
        assert patient_access("ledger", "drop", "--before", "2026-11").out == "There is nothing before 2026-11.\n"
        refused = patient_access("ledger", "roll-up", "--rebuild", "--day", "2026-10-30")
        assert (refused.code, refused.out) == (2, "")
        assert patient_access("ledger", "roll-up", "--rebuild", "--month", "2026-11").code == 0
    with filled.reading() as transaction:
        days = {row.day for row in transaction.all(select(BUILT))}
    assert {"2026-10-29", "2026-10-30", "2026-10-31", "2026-11-01"} <= days


@pytest.mark.parametrize(
    ("before", "moment"),
    [("2026-11", NOON), ("2020-12", NOON), ("2026-11", A_YEAR_LATER), ("2021-11", A_YEAR_LATER - timedelta(days=16))],
)
def test_what_is_not_old_enough_is_not_dropped(
    patient_access: PatientAccess, filled: Database, before: str, moment: datetime
) -> None:
    rows = count(filled)
    with at(moment):
        outcome = patient_access("ledger", "drop", "--before", before)
        assert outcome.code == 2
        assert outcome.err.startswith("error: the ledger is kept for 6 years (LEDGER_RETENTION_YEARS), from ")
    assert count(filled) == rows


def test_what_is_not_anchored_is_not_dropped(patient_access: PatientAccess, filled: Database) -> None:
    rows = count(filled)
    with at(A_YEAR_LATER):
        patient_access("ledger", "roll-up", "--month", "2026-10", **ONE_YEAR)
        patient_access("ledger", "anchor", "--to", "2026-10-30")
        outcome = patient_access("ledger", "drop", "--before", "2026-11")
    assert outcome.code == 2
    assert "nothing was dropped: 2026-10 is not anchored to its end" in outcome.err
    assert count(filled) == rows


def test_what_is_not_rolled_up_is_not_dropped(patient_access: PatientAccess, filled: Database) -> None:
    rows = count(filled)
    with at(A_YEAR_LATER):
        patient_access("ledger", "anchor", **ONE_YEAR)
        outcome = patient_access("ledger", "drop", "--before", "2026-11")
        assert "nothing was dropped: 2026-10-29 is not rolled up" in outcome.err
        patient_access("ledger", "roll-up", "--month", "2026-10")
        with filled.transaction() as transaction:
            transaction.execute(text("UPDATE ledger_day SET answers = answers + 1 WHERE day = '2026-10-31'"))
        outcome = patient_access("ledger", "drop", "--before", "2026-11")
        assert "nothing was dropped: 2026-10-31 has other rows than were rolled up" in outcome.err
    assert count(filled) == rows


def test_a_drop_that_was_interrupted_is_finished_by_the_next(patient_access: PatientAccess, filled: Database) -> None:
    prepared(patient_access, filled)
    with filled.transaction() as transaction:  # marked, and not all rows deleted
        transaction.execute(
            text("UPDATE ledger_period SET dropped_at = 1 WHERE ends <= :ends"), {"ends": START + 2 * DAY}
        )
        transaction.execute(delete(LEDGER).where(LEDGER.c.at < START + DAY))
    with at(A_YEAR_LATER):
        assert patient_access("ledger", "drop", "--before", "2026-11").code == 0
    assert min(row.at for row in all_rows(filled)) >= START + 2 * DAY


def test_a_month_is_not_dropped_while_somebody_reads_the_ledger(
    patient_access: PatientAccess, filled: Database
) -> None:
    prepared(patient_access, filled)
    if filled.is_sqlite:
        return  # there readers and writers do not wait for each other
    with at(A_YEAR_LATER):
        with filled.reading() as transaction:
            transaction.all(select(LEDGER.c.at).limit(1))
            outcome = patient_access("ledger", "drop", "--before", "2026-11")
        assert outcome.code == 2
        assert "2026-10 could not be dropped; try again" in outcome.err
        assert not ledger_rows(filled, kind="ledger")
        assert patient_access("ledger", "drop", "--before", "2026-11").code == 0


def test_the_ledger_is_kept_as_long_as_the_setting_says(patient_access: PatientAccess, filled: Database) -> None:
    prepared(patient_access, filled)
    with at(A_YEAR_LATER):
        refused = patient_access("ledger", "drop", "--before", "2026-11", LEDGER_RETENTION_YEARS="2")
        assert "the ledger is kept for 2 years" in refused.err
        assert patient_access("ledger", "drop", "--before", "2026-11", LEDGER_RETENTION_YEARS="1").code == 0
        verified = patient_access("ledger", "verify", LEDGER_RETENTION_YEARS="2")
    assert verified.code == 1
    assert "before they were 2 years old" in verified.out
