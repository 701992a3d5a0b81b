"""The command line, ``patient-access``: each command imports what it needs, so that starting stays quick.

An error is one line on standard error and exit code 2, never a traceback. https://typer.tiangolo.com/
"""

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.generate_command import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.settings import Settings
    from server.storage.database import Database
    from server.storage.ledger import EventLedger

app = typer.Typer(
    name="patient-access",
    help="A payer's Patient Access API: load members' records, serve them to the apps members allow, report the use.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
account = typer.Typer(help="Members' and representatives' sign-ins.", no_args_is_help=True)
client = typer.Typer(help="Apps that may ask members for access.", no_args_is_help=True)
report = typer.Typer(help="What the payer reports to CMS.", no_args_is_help=True)
app.add_typer(account, name="account")
app.add_typer(client, name="client")
app.add_typer(report, name="report")


class Environment(StrEnum):
    """Whether something counts in the CMS report."""

    PRODUCTION = "production"
    TEST = "test"


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Host = Annotated[str, typer.Option("--host", envvar="HOST", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", envvar="PORT", min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option("--workers", envvar="WORKERS", min=1, max=256, help="Server processes.")]


class CommandError(Exception):
    """What a command cannot do; the message is the one line the user sees."""


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


@contextmanager
def _migrated_database() -> "Iterator[tuple[Database, Settings]]":
    """The database of the settings, refused when its schema is not the one this version knows."""
    from server.settings import Settings
    from server.storage import migrate
    from server.storage.database import Database

    settings = Settings()
    path = settings.sqlite_path
    if path is not None and not path.exists():
        raise CommandError(f"there is no database at {path}; make one with: patient-access migrate")
    database = Database(settings)
    try:
        if not migrate.is_current(database):
            raise CommandError(
                "the database's schema is not this version's; bring it up to date: patient-access migrate"
            )
        yield database, settings
    finally:
        database.engine.dispose()


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve the Patient Access API and the authorization server."""
    import os

    from server import launcher

    if sys.platform == "linux" and not launcher.MALLOC.keys() <= os.environ.keys():
        launcher.serve_instead(host, port, workers, {})
    base_url = os.environ.setdefault("BASE_URL", launcher.local_base_url(host, port))
    with _migrated_database() as (_, settings):
        launcher.check(settings, host, port)
    if settings.environment == "test":
        print("note: ENVIRONMENT is test, so nothing served here counts in the CMS usage report", file=sys.stderr)
    elif not base_url.startswith("https://"):
        print(f"warning: BASE_URL is {base_url}; members' data belongs behind https", file=sys.stderr)
    launcher.run(host, port, workers)


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
    with _migrated_database() as (database, settings):
        from server.ingest import load as ingest
        from server.ingest.enrolment import read_unit_rows

        if settings.reporting_units_file is not None:
            read_unit_rows(settings.reporting_units_file)  # raises what is wrong with it
        with progress_bar("Loading") as advance:
            outcome = ingest.load(database, settings, paths, on_progress=advance)
    print(outcome)
    raise typer.Exit(outcome.exit_code)


def _readable(paths: list[Path]) -> None:
    if not any(path.exists() for path in paths):
        raise CommandError(f"{', '.join(map(str, paths))}: no such file or directory")


app.command()(generate)


@app.command()
def retract(
    references: Annotated[list[str], typer.Argument(help="What to withdraw, e.g. Coverage/123.", metavar="TYPE/ID...")],
) -> None:
    """Withdraw resources: they are served no more, and are remembered as deleted."""
    with _migrated_database() as (database, settings):
        from server.ingest import load as ingest

        outcome = ingest.retract(database, settings, references)
    print(outcome)
    raise typer.Exit(outcome.exit_code)


@account.command("add")
def account_add(
    username: Annotated[
        str, typer.Option("--username", help="What the person signs in with; an existing one is updated.")
    ],
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    patients: Annotated[
        list[str], typer.Option("--patient", help="A Patient id the person may act for; repeat it for several.")
    ],
    password: Annotated[
        str | None,
        typer.Option(
            "--password", help="Asked for when not given; without a terminal, the first line of standard input."
        ),
    ] = None,
    relationships: Annotated[
        list[str] | None,
        typer.Option(
            "--relationship", help="What the person is to each --patient, in order: self (default), parent, ..."
        ),
    ] = None,
    related_persons: Annotated[
        list[str] | None,
        typer.Option(
            "--related-person", help="The person's RelatedPerson id for each --patient, in order; '' for none."
        ),
    ] = None,
) -> None:
    """Let a member, or someone who acts for members, sign in."""
    from server.authorization.identity import add_account
    from server.specification.registry import MEMBER_TYPE, REPRESENTATIVE_TYPE
    from server.storage.population import Population

    patients = [patient.removeprefix(f"{MEMBER_TYPE}/") for patient in patients]
    members = zip(
        patients,
        _for_each(patients, relationships, "self", "--relationship"),
        _for_each(patients, related_persons, "", "--related-person"),
        strict=True,
    )
    with _migrated_database() as (database, _):
        added = add_account(database, username, password or _password(), name, tuple(members))
        with database.reading() as transaction:
            for patient in Population(transaction).missing(MEMBER_TYPE, patients):
                print(f"warning: no {MEMBER_TYPE} {patient} is loaded yet", file=sys.stderr)
            persons = [id.removeprefix(f"{REPRESENTATIVE_TYPE}/") for id in related_persons or () if id]
            for person in Population(transaction).missing(REPRESENTATIVE_TYPE, persons):
                print(f"warning: no {REPRESENTATIVE_TYPE} {person} is loaded yet", file=sys.stderr)
    print(f"{username} may sign in and act for {', '.join(patients)}.")
    if added.ended_grants:
        print(f"Ended {added.ended_grants} grants to apps, for members {username} may act for no longer.")
    if added.ended_sessions:
        print(f"Ended {added.ended_sessions} sign-in sessions, as the password is new.")


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _for_each(patients: list[str], given: list[str] | None, default: str, option: str) -> list[str]:
    """The values of an option that goes with each --patient, or the default for all."""
    if not given:
        return [default] * len(patients)
    if len(given) != len(patients):
        raise CommandError(f"{len(patients)} --patient need as many {option}, or none; there are {len(given)}")
    return given


@client.command("add")
def client_add(
    name: Annotated[str, typer.Option("--name", help="The app's name, as members read it.")],
    redirect_uris: Annotated[
        list[str], typer.Option("--redirect-uri", help="Where the app takes its answer; repeat it for several.")
    ],
    confidential: Annotated[
        bool | None,
        typer.Option("--confidential/--public", help="Whether the app keeps a secret, which is printed once."),
    ] = None,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may ask for at most; without it, all that is offered.")
    ] = None,
    environment: Annotated[
        Environment | None,
        typer.Option(
            "--environment", help="production (default) or test; a test app does not count in the CMS report."
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="third-party (default), payer (its own portal) or probe.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option("--id", help="The client id; an existing one is updated, and keeps what is not given.")
    ] = None,
) -> None:
    """Register an app."""
    from server.authorization import clients

    with _migrated_database() as (database, settings):
        made, secret = clients.register(
            _ledger(database),
            settings,
            name,
            redirect_uris,
            authentication={None: None, True: "client_secret_basic", False: "none"}[confidential],
            scope=" ".join(scopes) if scopes else None,
            kind=kind,
            environment=None if environment is None else environment.value,
            client_id=client_id,
        )
        with database.reading() as transaction:
            app_made = clients.find_client(transaction, made)
    print(f"client_id      {made}")
    if secret is not None:
        print(f"client_secret  {secret}")
        print("The secret is not shown again.")
    if app_made is not None and not app_made.is_active:
        print(f"It stays suspended: {app_made.suspended_reason}. Lift that with: patient-access client resume {made}")


@client.command("suspend")
def client_suspend(
    client_id: Annotated[str, typer.Argument(help="The client id.", metavar="ID")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger.")],
) -> None:
    """Suspend an app: its tokens give no access from the next request on."""
    from server.authorization import clients

    with _migrated_database() as (database, settings):
        clients.suspend(_ledger(database), settings, client_id, reason)
    print(f"{client_id} is suspended.")


@client.command("resume")
def client_resume(client_id: Annotated[str, typer.Argument(help="The client id.", metavar="ID")]) -> None:
    """Lift an app's suspension: its tokens in force give access again."""
    from server.authorization import clients

    with _migrated_database() as (database, settings):
        clients.resume(_ledger(database), settings, client_id)
    print(f"{client_id} is active again.")


def _ledger(database: "Database") -> "EventLedger":
    from server.storage.ledger import EventLedger

    return EventLedger(database)


@report.command("usage")
def report_usage(
    year: Annotated[int, typer.Option("--year", min=2000, max=9998, help="Calendar year, in PAYER_TIME_ZONE.")],
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TABLE,
    environment: Annotated[
        Environment, typer.Option("--environment", help="'test' reports what test apps, members or deployments did.")
    ] = Environment.PRODUCTION,
    output: Annotated[Path | None, typer.Option("--output", help="A file to write instead of the screen.")] = None,
) -> None:
    """Both CMS measures of a year, per reporting unit: members whose data went to an app, and to an app more than once."""
    from server.metrics import formats
    from server.metrics.usage_report import usage_report

    with _migrated_database() as (database, settings):
        figures = usage_report(database, settings, year=year, environment=environment.value)
    write = {Format.TABLE: formats.as_table, Format.CSV: formats.as_csv, Format.JSON: formats.as_json}
    text = write[form](figures)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, "utf-8", newline="")
        print(f"Wrote {output}.")
