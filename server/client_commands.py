"""``patient-access client``: what an operator does with apps. Registering is everybody's; refusing needs a published criterion.

42 CFR 422.119(e) and its parallels - a decision names its criterion, its evidence and who decided it, and is kept for ever.
"""

from pathlib import Path
from typing import Annotated

import typer

from server.command_line import CommandError, Environment, event_ledger, migrated_database

client = typer.Typer(help="Apps that may ask members for access.", no_args_is_help=True)

Subject = Annotated[str, typer.Argument(help="The client id.", metavar="ID")]
Criterion = Annotated[str, typer.Option("--criterion", help="The id of a published criterion; see /docs/app-criteria.")]
Evidence = Annotated[str, typer.Option("--evidence", help="What shows that it is met; kept, and not told to the app.")]
DecidedBy = Annotated[str, typer.Option("--decided-by", help="Who decided it.")]
Notice = Annotated[str, typer.Option("--notice", help="What the app's makers are told beside the criterion.")]
Appeal = Annotated[str, typer.Option("--appeal", help="Where they appeal; without it, APPEAL_CONTACT.")]


@client.command("add")
def add(
    name: Annotated[str, typer.Option("--name", help="The app's name, as members read it.")],
    redirect_uris: Annotated[
        list[str] | None,
        typer.Option(
            "--redirect-uri",
            help="Where the app takes its answer; repeat it for several. A job (--kind payer, with system scopes) needs none.",
        ),
    ] = None,
    confidential: Annotated[
        bool | None,
        typer.Option("--confidential/--public", help="Whether the app keeps a secret, which is printed once."),
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option("--jwks", help="A file with the app's public keys (JWKS): it signs with private_key_jwt."),
    ] = None,
    jwks_uri: Annotated[
        str | None,
        typer.Option("--jwks-uri", help="The address of the app's public keys: it signs with private_key_jwt."),
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

    authentication = {None: None, True: "client_secret_basic", False: "none"}[confidential]
    if jwks is not None or jwks_uri is not None:
        if confidential is not None or (jwks is not None and jwks_uri is not None):
            raise CommandError("choose one of --confidential, --public, --jwks and --jwks-uri")
        authentication = "private_key_jwt"
    with migrated_database() as (database, settings):
        made, secret = clients.register(
            event_ledger(database),
            settings,
            name,
            redirect_uris or [],
            authentication=authentication,
            scope=" ".join(scopes) if scopes else None,
            kind=kind,
            environment=None if environment is None else environment.value,
            client_id=client_id,
            jwks=None if jwks is None else jwks.read_text("utf-8"),
            jwks_uri=jwks_uri,
        )
        with database.reading() as transaction:
            app_made = clients.find_client(transaction, made)
    print(f"client_id      {made}")
    if secret is not None:
        print(f"client_secret  {secret}")
        print("The secret is not shown again.")
    if app_made is not None and not app_made.is_active:
        print(f"It stays suspended: {app_made.suspended_reason} Lift that with: patient-access client resume {made}")


@client.command("suspend")
def suspend(
    client_id: Subject,
    criterion: Criterion,
    evidence: Evidence,
    decided_by: DecidedBy,
    notice: Notice = "",
    appeal: Appeal = "",
) -> None:
    """Suspend an app by a published criterion: its tokens give no access from the next request on."""
    from server.authorization import suspension

    decision = suspension.Decision(criterion, evidence, decided_by, notice, appeal)
    with migrated_database() as (database, settings):
        told = suspension.suspend(event_ledger(database), settings, client_id, decision)
    print(f"{client_id} is suspended. It is told: {told}")


@client.command("resume")
def resume(
    client_id: Annotated[
        str, typer.Argument(help="The client id, or what 'client refuse' named, e.g. redirect-host:HOST.", metavar="ID")
    ],
    decided_by: DecidedBy,
    evidence: Annotated[str, typer.Option("--evidence", help="What shows that the reason is gone.")] = "",
) -> None:
    """Lift an app's suspension or refusal: its tokens in force give access again."""
    from server.authorization import suspension

    with migrated_database() as (database, settings):
        suspension.resume(event_ledger(database), settings, client_id, decided_by, evidence)
    print(f"{client_id} is active again.")


@client.command("refuse")
def refuse(
    criterion: Criterion,
    evidence: Evidence,
    decided_by: DecidedBy,
    redirect_host: Annotated[
        str, typer.Option("--redirect-host", help="Refuse redirect URIs of this host and of all below it.")
    ] = "",
    software_id: Annotated[str, typer.Option("--software-id", help="Refuse this software_id (RFC 7591).")] = "",
    notice: Notice = "",
    appeal: Appeal = "",
) -> None:
    """Refuse registrations by a published criterion. Apps that are registered already are suspended one by one."""
    from server.authorization import suspension

    if bool(redirect_host) == bool(software_id):
        raise CommandError("name one of --redirect-host and --software-id")
    subject = suspension.HOST + redirect_host if redirect_host else suspension.SOFTWARE + software_id
    decision = suspension.Decision(criterion, evidence, decided_by, notice, appeal)
    with migrated_database() as (database, settings):
        told = suspension.refuse(event_ledger(database), settings, subject, decision)
    print(f"{subject} is refused. Whoever registers with it is told: {told}")


@client.command("decisions")
def decisions(
    client_id: Annotated[
        str, typer.Argument(help="Only those on this client id, or on what 'client refuse' named.", metavar="[ID]")
    ] = "",
) -> None:
    """Every decision on apps, the oldest first: when, what, on whom, by which criterion, evidence and person."""
    from server import clock
    from server.authorization import suspension

    with migrated_database() as (database, _), database.reading() as transaction:
        rows = suspension.decisions(transaction, client_id)
    for row in rows:
        print(f"{clock.instant(row.decided_at)}  {row.decision}  {row.subject}  {row.criterion or '-'}")
        print(f"    decided by {row.decided_by}; evidence: {row.evidence or '-'}")
        print(f"    notice: {row.notice or '-'}; appeal: {row.appeal or '-'}")
    if not rows:
        print("No decision on any app is recorded." if not client_id else f"No decision on {client_id} is recorded.")
