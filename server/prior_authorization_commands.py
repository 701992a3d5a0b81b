"""``patient-access report prior-authorization`` and ``report publish``: the yearly metrics of prior authorization, made and published.

42 CFR 422.122(c), 431.80, 438.210(f), 457.732 and 45 CFR 156.223 (89 FR 8889). Exit codes: 0 all is well; 1 figures contradict each other,
or a stored report is not what was stored; 2 it could not be made. What it counts: docs/prior-authorization-report.md
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError, Environment, migrated_database, user
from server.report_forms import refuse_missing_directory

if TYPE_CHECKING:
    from server.metrics.prior_authorization_document import PriorAuthorizationReport
    from server.settings import Settings

KIND = "prior-authorization"


class PriorAuthorizationFormat(StrEnum):
    """How the prior-authorization report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    HTML = "html"
    MCPAR = "mcpar"


def report_prior_authorization(
    year: Annotated[
        int,
        typer.Option("--year", min=2000, max=9998, help="Calendar year, in PAYER_TIME_ZONE, of the requests received."),
    ],
    form: Annotated[
        PriorAuthorizationFormat, typer.Option("--format", help="How to write it; mcpar is topic XIII, as CSV.")
    ] = PriorAuthorizationFormat.TABLE,
    environment: Annotated[
        Environment, typer.Option("--environment", help="'test' reports requests of test members or deployments.")
    ] = Environment.PRODUCTION,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep it in the database, for report show and report publish.")
    ] = True,
    output: Annotated[Path | None, typer.Option("--output", help="A file to write instead of the screen.")] = None,
) -> None:
    """The public metrics of prior authorization of a year, per reporting unit, and the payer's clocks, for its own use.

    Exit code 0; 1 if figures contradict each other; 2 if there is no report.
    """
    from server.metrics.prior_authorization_document import store as keep
    from server.metrics.prior_authorization_report import prior_authorization_report

    refuse_missing_directory(output)
    with _consistent(), migrated_database() as (database, settings):
        report = prior_authorization_report(database, settings, year=year, environment=environment.value)
        if store:
            with database.transaction() as transaction:
                id = keep(transaction, report, generated_by=user())
    _write(_written(report, form.value, settings), output)
    if store:
        print(f"Stored as {id}.", file=sys.stderr)


def publish_report(
    id: Annotated[str, typer.Argument(help="The id of a stored report, or the beginning of it.", metavar="ID")],
) -> None:
    """Publish a stored prior-authorization report at /prior-authorization-metrics; it replaces the one of its year.

    Exit code 0; 1 if it is not what was stored; 2 if it must not be public: its year was not over, or its list of items is empty.
    """
    from server.metrics.prior_authorization_document import publish
    from server.metrics.report_archive import row_of
    from server.pages.prior_authorization_pages import address

    with _consistent(), migrated_database() as (database, settings), database.transaction() as transaction:
        row = row_of(transaction, id)
        report = publish(transaction, row, environment=settings.environment, published_by=user())
    left = sum(report.content["without_reporting_unit"]["requests"].values())
    if left:
        print(f"warning: {left} requests without a reporting unit are in no published figure", file=sys.stderr)
    print(f"Published {row.id}: {address(settings, report.year)}")


def is_prior_authorization(id: str) -> bool:
    """Whether an id, or the beginning of one, is that of a prior-authorization report."""
    return bool(id) and id.startswith(KIND[: len(id)])


def show_prior_authorization(id: str, form: str, output: Path | None) -> None:
    """Write a stored prior-authorization report again."""
    from server.metrics.prior_authorization_document import read
    from server.metrics.report_archive import row_of

    if form not in list(PriorAuthorizationFormat):
        forms = ", ".join(PriorAuthorizationFormat)
        raise CommandError(f"a prior-authorization report is not written as {form}; --format is one of {forms}")
    with _consistent(), migrated_database() as (database, settings), database.reading() as transaction:
        report = read(row_of(transaction, id))
    _write(_written(report, form, settings), output)


@contextmanager
def _consistent() -> Iterator[None]:
    """What contradicts itself is one line and exit code 1."""
    from server.metrics.usage_document import InconsistentReportError

    try:
        yield
    except InconsistentReportError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def _written(report: "PriorAuthorizationReport", form: str, settings: "Settings") -> str:
    if form == PriorAuthorizationFormat.HTML:
        from server.pages.prior_authorization_pages import standalone

        return standalone(settings, report)
    if form == PriorAuthorizationFormat.MCPAR:
        from server.metrics import prior_authorization_mcpar
        from server.pages.prior_authorization_pages import address

        return prior_authorization_mcpar.as_csv(report, address(settings, report.year))
    from server.metrics import prior_authorization_formats as forms

    return {"table": forms.as_table, "csv": forms.as_csv, "json": forms.as_json}[form](report)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, "utf-8", newline="")
        print(f"Wrote {output}.")
