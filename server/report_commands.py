"""``patient-access report``: what the payer reports to CMS, kept, shown again, and compared.

42 CFR 431.60(f) and its parallels. Exit codes: 0 all is well; 1 the report was made, or refused, and something contradicts itself (a
roll-up, a stored report, a change without explanation); 2 it could not be made. What each is for: docs/usage-report.md
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError, Environment, migrated_database

if TYPE_CHECKING:
    from server.metrics.usage_document import UsageReport

report = typer.Typer(help="What the payer reports to CMS.", no_args_is_help=True)


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class TextFormat(StrEnum):
    """How a list or a difference is written."""

    TABLE = "table"
    JSON = "json"


class LevelName(StrEnum):
    """What a row of a report is."""

    REQUIRED = "required"
    CONTRACT = "contract"
    PLAN = "plan"
    PLAN_IN_PROGRAM = "plan-in-program"
    PROGRAM = "program"
    ISSUER = "issuer"
    STATE = "state"
    UNIT = "unit"


class DefinitionName(StrEnum):
    """What one transfer is."""

    APP_DAY = "app-day"
    REQUEST = "request"
    GRANT = "grant"
    ROLLING_24H = "rolling-24h"


Output = Annotated[Path | None, typer.Option("--output", help="A file to write instead of the screen.")]
Form = Annotated[Format, typer.Option("--format", help="How to write it.")]
Id = Annotated[str, typer.Argument(help="The id of a stored report, or the beginning of it.", metavar="ID")]


@report.command("usage")
def report_usage(
    year: Annotated[int, typer.Option("--year", min=2000, max=9998, help="Calendar year, in PAYER_TIME_ZONE.")],
    month: Annotated[
        int | None, typer.Option("--month", min=1, max=12, help="One month of it, in PAYER_TIME_ZONE.")
    ] = None,
    level: Annotated[
        LevelName, typer.Option("--level", help="What a row is; 'required' is what each line of business owes.")
    ] = LevelName.REQUIRED,
    definition_name: Annotated[
        DefinitionName, typer.Option("--definition", help="What one transfer is; the others are for comparison.")
    ] = DefinitionName.APP_DAY,
    known_at: Annotated[
        str | None,
        typer.Option(
            "--known-at",
            metavar="DATE",
            help="Use only what was recorded by the end of this date in PAYER_TIME_ZONE, or by this instant.",
        ),
    ] = None,
    form: Form = Format.TABLE,
    environment: Annotated[
        Environment, typer.Option("--environment", help="'test' reports what test apps, members or deployments did.")
    ] = Environment.PRODUCTION,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep it in the database, for report show and report diff.")
    ] = True,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="For a scheduled job: keep it, and print one line instead of the report.")
    ] = False,
    output: Output = None,
) -> None:
    """Both CMS measures of a year, per reporting unit: members whose data went to an app, and to an app more than once.

    Exit code 0; 1 if figures or a daily roll-up contradict the ledger; 2 if there is no report.
    """
    from server.metrics.periods import known_at as parse
    from server.metrics.report_archive import store as keep
    from server.metrics.transfer import definition
    from server.metrics.usage_document import InconsistentReportError
    from server.metrics.usage_report import Knowledge, usage_report_with_source

    if snapshot and not store:
        raise CommandError("--snapshot keeps the report; --no-store does not")
    with migrated_database() as (database, settings):
        try:
            figures, source = usage_report_with_source(
                database,
                settings,
                year=year,
                month=month,
                environment=environment.value,
                level=level.value,
                definition=definition(definition_name.value),
                knowledge=Knowledge.at(parse(settings.time_zone, known_at) if known_at else None),
            )
        except InconsistentReportError as error:
            raise _contradiction(error) from error
        if store:
            with database.transaction() as transaction:
                id = keep(transaction, figures, generated_by=_user())
    if snapshot:
        first, repeated = figures.total.values
        print(f"{id}: {first} patients, {repeated} more than once, SHA-256 {figures.sha256}")
    else:
        _write(_form(form, figures), output)
    if store and not snapshot:
        print(f"Stored as {id}.", file=sys.stderr)
    if source.stale:
        some = ", ".join(source.stale[:3]) + (" and more" if len(source.stale) > 3 else "")
        told = f"warning: the ledger has other rows than the roll-up of {some} was built from; those days were read by row."
        print(f"{told} Build them anew with: patient-access ledger roll-up", file=sys.stderr)
        raise typer.Exit(1)


@report.command("show")
def show_report(id: Id, form: Form = Format.TABLE, output: Output = None) -> None:
    """Write a stored report again, in any form. Exit code 1 if it is not what was stored."""
    _write(_form(form, _stored(id)), output)


@report.command("list")
def list_reports(
    form: Annotated[TextFormat, typer.Option("--format", help="How to write it.")] = TextFormat.TABLE,
) -> None:
    """List the stored reports, the newest first."""
    import json

    from server import clock
    from server.metrics.report_archive import listed

    with migrated_database() as (database, _), database.reading() as transaction:
        found = listed(transaction)
    if form is TextFormat.JSON:
        print(json.dumps([dict(row._mapping) for row in found], indent=2))
        return
    for row in found:
        known = clock.instant(row.known_at)
        definition = f"{row.definition} version {row.definition_version}"
        print(f"{row.id}  {row.environment}, {definition}, level {row.level}, known at {known}")
    if not found:
        print("No report is stored.")


@report.command("diff")
def diff_reports(
    before: Id,
    after: Annotated[
        str | None, typer.Argument(help="The id of a later one; without it, the same report as of now.", metavar="ID")
    ] = None,
    form: Annotated[TextFormat, typer.Option("--format", help="How to write it.")] = TextFormat.TABLE,
) -> None:
    """Explain why numbers changed from one stored report to another, or to now, one factor at a time.

    Exit code 0; 1 if a change has no explanation: then rows of the past were changed, or are gone.
    """
    from server.metrics import difference_form
    from server.metrics.report_difference import difference

    earlier, later = _stored(before), None if after is None else _stored(after)
    with migrated_database() as (database, settings):
        found = difference(database, settings, earlier, later)
    write = difference_form.as_json if form is TextFormat.JSON else difference_form.as_text
    sys.stdout.write(write(found))
    if not found.is_explained:
        raise typer.Exit(1)


def _stored(id: str) -> "UsageReport":
    from server.metrics.report_archive import find
    from server.metrics.usage_document import InconsistentReportError

    with migrated_database() as (database, _), database.reading() as transaction:
        try:
            return find(transaction, id)
        except InconsistentReportError as error:
            raise _contradiction(error) from error


def _contradiction(error: Exception) -> typer.Exit:
    print(f"error: {error}", file=sys.stderr)
    return typer.Exit(1)


def _form(form: Format, figures: "UsageReport") -> str:
    from server.metrics import formats

    return {Format.TABLE: formats.as_table, Format.CSV: formats.as_csv, Format.JSON: formats.as_json}[form](figures)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, "utf-8", newline="")
        print(f"Wrote {output}.")


def _user() -> str:
    """Who runs the command, by the name the operating system has for them; '' in a container without one."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return ""
