"""The command line, ``patient-access``: each command imports what it needs, so that starting stays quick.

An error is one line on standard error and exit code 2, never a traceback. https://typer.tiangolo.com/
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from server.account_commands import account
from server.backup_command import backup, restore
from server.client_commands import client
from server.command_line import CommandError, migrated_database
from server.doctor_command import doctor
from server.endpoint_command import endpoint
from server.generate_command import generate
from server.key_commands import keys
from server.ledger_commands import ledger
from server.loadtest_command import loadtest
from server.refusals_command import refusals
from server.report_commands import report

app = typer.Typer(
    name="patient-access",
    help="A payer's Patient Access API: load members' records, serve them to the apps members allow, report the use.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(account, name="account")
app.add_typer(client, name="client")
app.add_typer(keys, name="keys")
app.add_typer(ledger, name="ledger")
app.add_typer(report, name="report")
report.command("refusals")(refusals)


Host = Annotated[str, typer.Option("--host", envvar="HOST", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", envvar="PORT", min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option("--workers", envvar="WORKERS", min=1, max=256, help="Server processes.")]


def main() -> None:
    """The entry point: runs the command, turns every error into one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = _fail("stopped")
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except Exception as error:
        code = _fail(_message(error))
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _message(error: Exception) -> str:
    """One line for an error: the command line's own, a setting's, the database's, or any other's with its type."""
    if hasattr(error, "format_message"):
        return str(error.format_message())
    if type(error).__name__ == "SettingsError":
        return f"a setting cannot be read: {error}"
    if type(error).__module__.startswith("pydantic"):
        wrong = error.errors(include_url=False)[0]  # type: ignore[attr-defined]
        name = "_".join(str(part) for part in wrong["loc"]).upper()
        return f"{name} {str(wrong['msg']).removeprefix('Value error, ')}"
    if type(error).__name__ == "DatabaseUnavailableError":
        return f"the database of DATABASE_URL does not answer: {error}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if type(error).__module__.startswith("server.") or isinstance(error, ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve the Patient Access API and the authorization server."""
    import os

    from server import launcher

    if sys.platform == "linux" and not launcher.MALLOC.keys() <= os.environ.keys():
        launcher.serve_instead(host, port, workers, {})
    base_url = os.environ.setdefault("BASE_URL", launcher.local_base_url(host, port))
    with migrated_database() as (database, settings):
        launcher.check(settings, host, port)
        from server.production import dangers, leftovers

        found = dangers(settings)
        if settings.environment == "production":
            found += leftovers(database)
            if found:
                raise CommandError("this is not fit for production: " + "; ".join(found))
        for text in found:
            launcher.tell(settings, text, "warning")
    if settings.environment == "test":
        launcher.tell(settings, "ENVIRONMENT is test, so nothing served here counts in the CMS usage report")
    elif not base_url.startswith("https://"):
        launcher.tell(settings, f"BASE_URL is {base_url}; members' data belongs behind https", "warning")
    raise typer.Exit(launcher.run(host, port, workers, settings))


@app.command()
def sandbox(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve synthetic members to try things out with (what ``make run`` does)."""
    from server import launcher
    from server.sandbox import prepare

    launcher.serve_instead(host, port, workers, prepare(host, port))


@app.command()
def migrate() -> None:
    """Create the database's tables, or bring them up to this version."""
    from server.settings import Settings
    from server.storage import migrate as migrations
    from server.storage.database import Database

    database = Database(Settings())
    try:
        applied = migrations.upgrade(database)
    finally:
        database.engine.dispose()
    print(f"Migrated to {applied[-1]}." if applied else f"Up to date at {migrations.head()}.")


@app.command()
def load(
    paths: Annotated[
        list[Path],
        typer.Argument(help="NDJSON, Bundles, single resources, .gz, or directories of them.", metavar="PATH..."),
    ],
) -> None:
    """Load members' records: exit code 0, 1 if a record was rejected, 2 if nothing could be read."""
    from server.progress import progress_bar

    _readable(paths)
    with migrated_database() as (database, settings):
        from server.ingest import load as ingest
        from server.ingest.enrolment import read_unit_rows

        if settings.reporting_units_file is not None:
            read_unit_rows(settings.reporting_units_file)  # raises what is wrong with it
        if settings.sensitivity_policies_file is not None:
            from server.authorization.sensitivity import read_policies

            read_policies(settings.sensitivity_policies_file)  # what is loaded under a broken file is not served either
        with progress_bar("Loading") as advance:
            outcome = ingest.load(database, settings, paths, on_progress=advance)
    print(outcome)
    raise typer.Exit(outcome.exit_code)


def _readable(paths: list[Path]) -> None:
    if not any(path.exists() for path in paths):
        raise CommandError(f"{', '.join(map(str, paths))}: no such file or directory")


app.command()(backup)
app.command()(restore)
app.command()(doctor)
app.command()(endpoint)
app.command()(generate)
app.command()(loadtest)


@app.command()
def retract(
    references: Annotated[list[str], typer.Argument(help="What to withdraw, e.g. Coverage/123.", metavar="TYPE/ID...")],
) -> None:
    """Withdraw resources: they are served no more, and are remembered as deleted."""
    with migrated_database() as (database, settings):
        from server.ingest import load as ingest

        outcome = ingest.retract(database, settings, references)
    print(outcome)
    raise typer.Exit(outcome.exit_code)
