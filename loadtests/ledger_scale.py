"""A year's ledger of a large payer: 20 million rows on PostgreSQL; what the yearly report, its roll-ups and their rebuilding take.

https://www.postgresql.org/docs/current/functions-srf.html - the rows are made by the database itself, a month at a time. Run it as
``python -m loadtests.ledger_scale``; ``--rows`` makes it smaller. Every step is a command of ``patient-access``, timed as who types it
waits. One month is reported from its rows before anything is rolled up, and again from roll-ups: the figures must be the same. The
chains of these rows do not verify: nobody wrote them. Exit code 0, 1 when a goal was missed or figures differ, 2 when nothing could be
measured.
"""

import argparse
import json
import platform
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from loadtests.evidence import machine
from loadtests.processes import ProcessError, postgresql, run

GOAL_SECONDS = 10.0
"""The yearly report from roll-ups."""
YEAR = 2025
SAMPLE_MONTH = 6
REQUESTS = 10
"""Of one synchronisation."""
MEMBERS_PER_ROW = 1 / 100
UNITS = 6
OF_THE_MOMENT = ("generated_at", "known_at")
"""What two reports of the same figures do not share."""

MAKE_MONTH = """
INSERT INTO {table} (writer, sequence, at, kind, request_id, environment, client_id, client_kind, grant_id, patient, actor,
                     interaction, resource_type, status, resources, detail, hash)
SELECT 'writer-' || n % 8, n / 8 + 1, {low} + (n - {first}) * {step}::bigint, 'answer', lpad(to_hex(n), 32, '0'),
       CASE WHEN sync.chance < 0.01 THEN 'test' ELSE 'production' END,
       'app-' || lpad(floor(12 * sync.app ^ 2)::int::text, 2, '0'),
       CASE WHEN sync.chance > 0.98 THEN 'payer' WHEN sync.chance > 0.975 THEN 'probe' ELSE 'third-party' END,
       CASE WHEN sync.chance BETWEEN 0.5 AND 0.51 THEN '' ELSE 'grant-' || sync.member END,
       'member-' || lpad(sync.member::text, 8, '0'), 'self',
       CASE WHEN n % {requests} = 0 THEN 'read' ELSE 'search-type' END, 'ExplanationOfBenefit',
       CASE WHEN n % 37 = 0 THEN 304 WHEN n % 53 = 0 THEN 404 ELSE 200 END,
       CASE WHEN n % 11 = 0 THEN 0 ELSE 1 + n % 50 END, '', sha256(n::text::bytea)
FROM (SELECT number, random() AS chance, random() AS app, floor({members} * random() ^ 2)::int AS member
      FROM generate_series({first} / {requests}, ({after} - 1) / {requests}) AS number) AS sync
CROSS JOIN LATERAL generate_series(greatest(sync.number * {requests}, {first}),
                                   least(sync.number * {requests} + {requests}, {after}) - 1) AS n
"""
"""A month's rows ``first`` to before ``after``: synchronisations of REQUESTS requests, few members with most of them."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was timed, in seconds."""

    title: str
    seconds: float


class MeasureError(Exception):
    """The measurement is worth nothing; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the rows, report, roll up, report again, print, write the evidence; the exit code."""
    options = _options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="ledger-scale-") as folder, ExitStack() as servers:
            url = options.database_url or servers.enter_context(postgresql(Path(folder)))
            text, reached = _measured(url, options.rows)
    except (ProcessError, MeasureError, psycopg.Error) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, "utf-8", newline="\n")
        print(f"Wrote {options.output}.", file=sys.stderr)
    return 0 if reached else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.ledger_scale",
        description="Measure the yearly report of a large ledger on PostgreSQL. 20 million rows take some 10 GB of disk.",
    )
    parser.add_argument(
        "--rows", type=_thousands, default=20_000_000, help="ledger rows of the year (default 20000000)"
    )
    parser.add_argument("--database-url", help="an empty PostgreSQL database to use; without it one is started")
    parser.add_argument("--output", type=Path, help="a file to write as well, e.g. docs/evidence/ledger_scale.md")
    return parser.parse_args(arguments)


def _thousands(text: str) -> int:
    number = int(text)
    if number < 10_000:
        raise ValueError(text)
    return number


def _measured(url: str, rows: int) -> tuple[str, bool]:
    """The evidence, and whether the goal was reached and the figures agree."""
    environment = {"DATABASE_URL": url, "SECRET_KEY": secrets.token_urlsafe(48), "ENVIRONMENT": "production"}
    run(environment, "migrate")
    steps = [_timed("rows made by the database, with their indexes", lambda: _fill(url, rows))]
    sample = ("--month", str(SAMPLE_MONTH))
    by_row, took = _report(environment, *sample)
    steps.append(Step(f"report of month {SAMPLE_MONTH}, read from rows", took))
    steps.append(_timed("roll-ups of every day built", lambda: run(environment, "ledger", "roll-up")))
    by_day, took = _report(environment, *sample)
    steps.append(Step(f"report of month {SAMPLE_MONTH}, from roll-ups", took))
    yearly, took = _report(environment)
    steps.append(Step("**report of the year, from roll-ups**", took))
    steps.append(
        _timed("roll-ups of every day built again", lambda: run(environment, "ledger", "roll-up", "--rebuild"))
    )
    again, _ = _report(environment)
    _check(rows, by_row, by_day, yearly, again)
    reached = took < GOAL_SECONDS
    return _page(url, rows, steps, yearly, reached), reached


def _timed(title: str, act: Any) -> Step:
    started = time.monotonic()
    act()
    step = Step(title, time.monotonic() - started)
    print(f"{title}: {step.seconds:.1f} s", file=sys.stderr, flush=True)
    return step


def _report(environment: dict[str, str], *options: str) -> tuple[dict[str, Any], float]:
    """The report as JSON, and the seconds it took."""
    started = time.monotonic()
    text = run(environment, "report", "usage", "--year", str(YEAR), *options, "--format", "json", "--no-store")
    took = time.monotonic() - started
    print(f"report {' '.join(options) or 'of the year'}: {took:.1f} s", file=sys.stderr, flush=True)
    return json.loads(text), took


def _check(
    rows: int, by_row: dict[str, Any], by_day: dict[str, Any], yearly: dict[str, Any], again: dict[str, Any]
) -> None:
    """Raises MeasureError when figures differ, or not every row was considered."""
    for what, one, other in (
        (f"month {SAMPLE_MONTH} from rows and from roll-ups", by_row, by_day),
        ("the year before and after its roll-ups were built again", yearly, again),
    ):
        if differing := [name for name in one if name not in OF_THE_MOMENT and one[name] != other.get(name)]:
            raise MeasureError(f"the figures of {what} are not the same: {', '.join(differing)}")
    if yearly["ledger_rows"] != rows:
        raise MeasureError(f"the report considered {yearly['ledger_rows']} rows of {rows}")
    if not yearly["transfers"]:
        raise MeasureError("nothing counted")


def _fill(url: str, rows: int) -> None:
    """A year of the ledger, in partitions as a server made them, and the enrolments of its members."""
    members = max(100, int(rows * MEMBERS_PER_ROW))
    months = [int(datetime(YEAR, month, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000 for month in range(1, 13)]
    months.append(int(datetime(YEAR + 1, 1, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000)  # midnight in New York
    step = (months[-1] - months[0]) // rows
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SELECT setseed(0.5)")
        for number in range(13):
            start = datetime(YEAR + number // 12, number % 12 + 1, 1, tzinfo=UTC)
            end = datetime(YEAR + (number + 1) // 12, (number + 1) % 12 + 1, 1, tzinfo=UTC)
            low, high = (int(moment.timestamp()) * 1_000_000 for moment in (start, end))
            first, after = (min(rows, max(0, -((months[0] - at) // step))) for at in (low, high))
            table = f"ledger_{start:%Y_%m}"
            connection.execute(f"CREATE TABLE {table} (LIKE ledger INCLUDING DEFAULTS)")
            if after > first:
                moment = {"low": months[0] + first * step, "step": step, "first": first, "after": after}
                connection.execute(MAKE_MONTH.format(table=table, members=members, requests=REQUESTS, **moment))
            connection.execute(f"ALTER TABLE ledger ATTACH PARTITION {table} FOR VALUES FROM ({low}) TO ({high})")
        _enrol(connection, members)
        connection.execute("VACUUM (ANALYZE)")


def _enrol(connection: psycopg.Connection[Any], members: int) -> None:
    """Every member in a reporting unit, some in two one after the other; every fiftieth is the same person as the one before."""
    recorded = int(datetime(YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    for unit in range(UNITS):
        connection.execute(
            "INSERT INTO reporting_unit (line_of_business, contract, plan, program, issuer, state)"
            " VALUES ('medicare-advantage', %s, '001', '', '', '')",
            [f"H{1000 + unit}"],
        )
    of_units = "(SELECT array_agg(key ORDER BY key) AS keys FROM reporting_unit) AS unit"
    patient = "'member-' || lpad(n::text, 8, '0')"
    connection.execute(
        "INSERT INTO enrolment (patient, coverage_id, unit, start, until, recorded_at)"
        f" SELECT {patient}, 'first-' || n, unit.keys[n %% {UNITS} + 1], '2024-01-01',"
        f" CASE WHEN n %% 10 = 0 THEN '{YEAR}-06-30' ELSE '' END, %s FROM generate_series(0, %s) AS n, {of_units}",
        [recorded, members - 1],
    )
    connection.execute(
        "INSERT INTO enrolment (patient, coverage_id, unit, start, until, recorded_at)"
        f" SELECT {patient}, 'second-' || n, unit.keys[(n + 1) %% {UNITS} + 1], '{YEAR}-07-01', '', %s"
        f" FROM generate_series(0, %s, 10) AS n, {of_units}",
        [recorded, members - 1],
    )
    connection.execute(
        "INSERT INTO person_link (patient, system, value, recorded_at)"
        f" SELECT {patient}, 'https://payer.example/person', CASE WHEN n %% 50 = 1 THEN n - 1 ELSE n END, %s"
        " FROM generate_series(0, %s) AS n",
        [recorded, members - 1],
    )


def _page(url: str, rows: int, steps: Sequence[Step], yearly: dict[str, Any], reached: bool) -> str:
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
        sizes = connection.execute(
            "SELECT pg_database_size(current_database()), pg_total_relation_size('ledger_day'),"
            " (SELECT count(*) FROM ledger_day), (SELECT count(*) FROM ledger_day_built)"
        ).fetchone()
    assert sizes is not None
    measures = yearly["organisation"]["measures"]
    return "\n".join(
        [
            f"# The yearly report of a ledger of {rows:,} rows",
            "",
            f"    python -m loadtests.ledger_scale --rows {rows}",
            "",
            "| | seconds |",
            "|---|---:|",
            *[f"| {step.title} | {step.seconds:.1f} |" for step in steps],
            "",
            f"Goal: the report of the year in less than {GOAL_SECONDS:g} s: {'reached' if reached else 'missed'}. Seconds are those"
            " of the whole command, as who types it waits.",
            "",
            f"- **Rows**: {rows:,} answers in {YEAR}, {REQUESTS} requests a synchronisation, of {max(100, int(rows * MEMBERS_PER_ROW)):,} members"
            " and 12 apps, few of them with most of the use; test deployments, the payer's own app, probes, failed and empty answers"
            f" among them. {yearly['transfers']:,} answers count. The database takes {sizes[0] / 1e9:.1f} GB, of which {sizes[1] / 1e9:.2f} GB"
            f" are {sizes[2]:,} lines of roll-ups of {sizes[3]:,} days.",
            f"- **Figures**: {measures['unique-patients']:,} patients, {measures['unique-patients-more-than-once']:,} more than once."
            f" Those of month {SAMPLE_MONTH} are the same from rows and from roll-ups, those of the year the same after rebuilding.",
            "- **Not shown**: the chains of these rows do not verify, because the database made them.",
            f"- **Database**: PostgreSQL {version // 10_000}.{version % 10_000} with the settings it comes with.",
            f"- **Machine**: {machine()}.",
            f"- **Software**: Python {platform.python_version()}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
