"""``patient-access report``: what the payer reports to CMS, kept, shown again, and compared.

42 CFR 431.60(f) and its parallels. Exit codes: 0 all is well; 1 the report was made, or refused, and something contradicts itself (a
roll-up, a stored report, a change without explanation); 2 it could not be made. What each is for: docs/usage-report.md
"""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError, Environment, migrated_database, user
from server.prior_authorization_commands import (
    is_prior_authorization,
    publish_report,
    report_prior_authorization,
    show_prior_authorization,
)
from server.report_forms import Form, Format, Output, refuse_output, write_files, written_files

if TYPE_CHECKING:
    from server.metrics.usage_document import UsageReport

report = typer.Typer(help="What the payer reports to CMS.", no_args_is_help=True)
report.command("prior-authorization")(report_prior_authorization)
report.command("publish")(publish_report)


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
    refuse_output(form, output)
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
        files = () if snapshot else written_files(form, figures, settings, output)
        if store:
            with database.transaction() as transaction:
                id = keep(transaction, figures, generated_by=user())
    if snapshot:
        first, repeated = figures.total.values
        print(f"{id}: {first} patients, {repeated} more than once, SHA-256 {figures.sha256}")
    else:
        write_files(files, form, output)
    if store and not snapshot:
        print(f"Stored as {id}.", file=sys.stderr)
    if source.contradicted:
        told = f"warning: made of daily roll-ups, {source.contradicted}; every day was read by row."
        print(f"{told} Which roll-up was changed: patient-access ledger verify", file=sys.stderr)
        raise typer.Exit(1)
    if source.stale:
        some = ", ".join(source.stale[:3]) + (" and more" if len(source.stale) > 3 else "")
        told = f"warning: the ledger has other rows than the roll-up of {some} was built from; those days were read by row."
        print(f"{told} Build them anew with: patient-access ledger roll-up", file=sys.stderr)
        raise typer.Exit(1)


@report.command("show")
def show_report(id: Id, form: Form = Format.TABLE, output: Output = None) -> None:
    """Write a stored report again, in any form. Exit code 1 if it is not what was stored."""
    from server.settings import Settings

    if is_prior_authorization(id):
        show_prior_authorization(id, form.value, output)
        return
    refuse_output(form, output)
    write_files(written_files(form, _stored(id), Settings(), output), form, output)


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
