"""``patient-access ledger``: verify the ledger's chains, anchor them outside the database, roll days up, drop what is old.

Architecture, "One ledger"; 42 CFR 422.119 and its parallels ask for what is counted from it. What each is for: docs/ledger.md
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError, event_ledger, migrated_database

if TYPE_CHECKING:
    from server.metrics.local_days import LocalDay
    from server.settings import Settings
    from server.storage.database import Database, Transaction
    from server.storage.ledger_partitions import Month

ledger = typer.Typer(help="The ledger of answers and events: verify, anchor, roll up, drop.", no_args_is_help=True)

MOST_BREAKS = 1000
"""Breaks that are printed; more are counted."""


@ledger.command("verify")
def verify_ledger(
    anchors: Annotated[
        Path | None, typer.Option("--anchors", help="A file of `ledger anchor --output`, kept outside the database.")
    ] = None,
) -> None:
    """Recompute every chain, and compare it with the anchors: exit code 0, or 1 and a line for every break, naming its place.

    Without --anchors, a tail that was cut off is noticed only where the database's own anchors still tell.
    """
    from server.metrics.ledger_health import breaks

    with migrated_database() as (database, settings), database.reading() as transaction:
        found = 0
        for text in breaks(transaction, settings, anchors):
            found += 1
            if found <= MOST_BREAKS:
                print(text)
        if found > MOST_BREAKS:
            print(f"and {found - MOST_BREAKS} more")
        if found:
            raise typer.Exit(1)
        print(_whole(transaction, anchors))


def _whole(transaction: "Transaction", path: "Path | None") -> str:
    """What a ledger without a break is told."""
    from server.storage.ledger_anchors import date, extent
    from server.storage.rollups import anchored_until

    rows, writers = extent(transaction)
    until = anchored_until(transaction)
    anchored = f"anchored until before {date(until)}" if until else "not anchored yet"
    outside = "" if path is None else f", as in {path}"
    return f"Every chain is whole: {rows:,} rows of {writers:,} writers, {anchored}{outside}."


@ledger.command("anchor")
def anchor_ledger(
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="Anchor to the end of this UTC month.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Anchor to the end of this UTC day.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Write all anchors to this file, to be kept outside the database; JSON lines."),
    ] = None,
) -> None:
    """Anchor the chains to the end of yesterday (UTC): what is anchored cannot be changed, cut or dropped unnoticed.

    Only rows whose chains are whole are anchored; exit code 1 if they are not, or if the file has other anchors than the database.
    """
    from server import clock
    from server.storage.ledger import DAY
    from server.storage.rollups import SAFETY

    over = (clock.now_microseconds() - SAFETY) // DAY * DAY
    until = over if month is None and to is None else _until(month, to)
    if until > over:
        raise CommandError("a period is anchored when it has been over for an hour")
    with migrated_database() as (database, settings):
        _anchor(database, until)
        if output is not None:
            _write_anchors(database, settings, output)


def _until(month: str | None, to: str | None) -> int:
    from datetime import date

    from server.storage.ledger import DAY
    from server.storage.ledger_partitions import Month

    if month is not None and to is not None:
        raise CommandError("--month and --to exclude each other")
    if month is not None:
        return Month.parse(month).ends
    assert to is not None
    try:
        return ((date.fromisoformat(to) - date(1970, 1, 1)).days + 1) * DAY
    except ValueError as error:
        raise CommandError(f"--to is a date, YYYY-MM-DD, not {to!r}") from error


def _anchor(database: "Database", until: int) -> None:
    from server.storage.ledger_anchors import AnchoredMeanwhileError, BrokenChainError, keep, unanchored

    try:
        with database.reading() as transaction:
            made = unanchored(transaction, until)
    except BrokenChainError as error:
        print(error)
        raise typer.Exit(1) from error
    try:
        with database.transaction() as transaction:
            keep(transaction, made)
    except AnchoredMeanwhileError as error:
        raise CommandError(str(error)) from error
    for period in made:
        print(f"Anchored {period}: {period.rows:,} rows of {len(period.anchors):,} writers, {period.digest.hex()}")
    if not made:
        print("Nothing more to anchor.")


def _write_anchors(database: "Database", settings: "Settings", output: Path) -> None:
    """Write the file beside its place and then put it there; one that has other anchors is left as it is."""
    from server.storage import anchors_file
    from server.storage.ledger_anchors import periods
    from server.storage.ledger_verification import differences

    with database.reading() as transaction:
        if output.exists():
            try:
                differing = list(differences(anchors_file.read(output), periods(transaction)))
            except anchors_file.AnchorsFileError as error:
                raise CommandError(f"{error}; it is left as it is") from error
            if differing:
                print(
                    "\n".join([*differing, f"{output} is left as it is; see: patient-access ledger verify --anchors"])
                )
                raise typer.Exit(1)
        beside = output.with_name(output.name + ".new")
        last = ""
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            for line in anchors_file.lines(settings.payer_name, periods(transaction)):
                file.write(line)
                last = line
    beside.replace(output)
    print(f"Wrote {output}; its last line: {last.strip()}")


@ledger.command("roll-up")
def roll_up(
    day: Annotated[
        str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="Only this day, in PAYER_TIME_ZONE.")
    ] = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="Only the days of this month.")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Also days that are rolled up already.")] = False,
) -> None:
    """Roll up the days that are over and not rolled up yet, or have more rows than they had: what reports of a year read instead of rows.

    Nothing is lost without them: reports read the rows of days that are not rolled up, which takes longer.
    """
    from server.progress import progress_bar
    from server.storage import rollups

    if day is not None and month is not None:
        raise CommandError("--day and --month exclude each other")
    with migrated_database() as (database, settings):
        with database.reading() as transaction:
            chosen = _chosen(transaction, settings, day, month)
            due = [one for one in chosen if rebuild or _is_due(transaction, settings, one)]
        rows = 0
        with progress_bar("Rolling up") as advance:
            for number, one in enumerate(due, start=1):
                with database.transaction() as transaction:
                    built = rollups.build(transaction, one.date.isoformat(), one.spans, settings.payer_time_zone)
                rows += built.of.rows
                advance(number, len(due))
    print(f"Rolled up {len(due):,} days, {rows:,} rows; {len(chosen) - len(due):,} days were as they should be.")


def _chosen(transaction: "Transaction", settings: "Settings", day: str | None, month: str | None) -> "list[LocalDay]":
    """The days that are asked for; raises CommandError when one was named that is not there."""
    from datetime import date

    from server.metrics.ledger_health import ledger_days
    from server.storage.ledger_partitions import Month
    from server.storage.rollups import dropped_before

    wanted = None if month is None else str(Month.parse(month))
    if day is not None:
        try:
            wanted = date.fromisoformat(day).isoformat()
        except ValueError as error:
            raise CommandError(f"--day is a date, YYYY-MM-DD, not {day!r}") from error
    gone = dropped_before(transaction)
    days = [
        one for one in ledger_days(transaction, settings) if wanted is None or one.date.isoformat().startswith(wanted)
    ]
    kept = [one for one in days if one.spans[0][0] >= gone]
    if wanted is not None and not kept:
        raise CommandError(f"{wanted} has no day of the ledger that is over by an hour and has its rows")
    return kept


def _is_due(transaction: "Transaction", settings: "Settings", day: "LocalDay") -> bool:
    from server.storage import rollups

    date = day.date.isoformat()
    built = rollups.built_days(transaction, settings.payer_time_zone, date, date)
    return date not in built or rollups.has_other_rows(transaction, built[date], day.spans)


@ledger.command("drop")
def drop_months(
    before: Annotated[str, typer.Option("--before", metavar="YYYY-MM", help="The first month that is kept (UTC).")],
) -> None:
    """Delete the rows of whole months that are older than LEDGER_RETENTION_YEARS, anchored and rolled up; refuses otherwise.

    Their roll-ups and anchors stay. The ledger records that they were dropped.
    """
    from server import clock
    from server.storage import ledger_retention
    from server.storage.database import DatabaseUnavailableError
    from server.storage.ledger_partitions import Month

    with migrated_database() as (database, settings):
        limit, kept = (
            Month.parse(before),
            ledger_retention.kept_from(clock.now_microseconds(), settings.ledger_retention_years),
        )
        if limit > kept:
            raise CommandError(
                f"the ledger is kept for {settings.ledger_retention_years} years (LEDGER_RETENTION_YEARS), from {kept} on;"
                f" --before may be {kept} at the latest"
            )
        with database.reading() as transaction:
            months = ledger_retention.months_to_drop(transaction, limit)
            for month in months:
                days = _days_of(transaction, settings, month)
                if hindrances := ledger_retention.hindrances(transaction, month, days, settings.payer_time_zone):
                    more = f", and {len(hindrances) - 1} more such days" if len(hindrances) > 1 else ""
                    raise CommandError(f"nothing was dropped: {hindrances[0]}{more}")
        writer = event_ledger(database)
        for month in months:
            try:
                rows = ledger_retention.drop(database, writer, month, settings.environment)
            except DatabaseUnavailableError as error:
                raise CommandError(
                    f"{month} could not be dropped; try again when nobody reads all of the ledger: {error}"
                ) from error
            print(f"Dropped {month}: {rows:,} rows.")
    if not months:
        print(f"There is nothing before {limit}.")


def _days_of(
    transaction: "Transaction", settings: "Settings", month: "Month"
) -> "list[tuple[str, tuple[tuple[int, int], ...]]]":
    """The local days of the ledger that have a part in a UTC month."""
    from server.metrics.ledger_health import ledger_days

    return [
        (day.date.isoformat(), day.spans)
        for day in ledger_days(transaction, settings)
        if day.spans[-1][1] > month.starts and day.spans[0][0] < month.ends
    ]
