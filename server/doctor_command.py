"""``patient-access doctor [URL]``: examines this machine's configuration, or a running Patient Access API, ours or anybody's.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html - what is checked, and why: docs/doctor.md
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError

if TYPE_CHECKING:
    from server.doctor.examination import Diagnosis
    from server.doctor.web import Limits


def doctor(
    url: Annotated[
        str | None,
        typer.Argument(help="A FHIR base, or a site that has one at /fhir. Without it: this machine.", metavar="[URL]"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="A file with a member's access token: their records are examined too."),
    ] = None,
    token: Annotated[
        str,
        typer.Option(
            "--token",
            envvar="DOCTOR_TOKEN",
            help="The token itself; others of this machine may see it.",
            show_envvar=True,
        ),
    ] = "",
    patient: Annotated[
        str, typer.Option("--patient", help="The member's Patient id; unset: the search of Patient finds it.")
    ] = "",
    client_id: Annotated[
        str, typer.Option("--client-id", help="An app that is registered there: PKCE is tried with it.")
    ] = "",
    redirect_uri: Annotated[str, typer.Option("--redirect-uri", help="A redirect URI of that app.")] = "",
    origin: Annotated[
        str, typer.Option("--origin", help="The origin of a registered web app; unset: that of --redirect-uri.")
    ] = "",
    authorities: Annotated[
        Path | None, typer.Option("--ca", help="Certificates (PEM) of who else may vouch for the server.")
    ] = None,
    seconds: Annotated[float, typer.Option("--timeout", min=0.1, max=120, help="Longest time for one answer.")] = 10.0,
    total_seconds: Annotated[
        float, typer.Option("--total-timeout", min=1, max=3600, help="And for all of them.")
    ] = 180.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine this machine's configuration, or a running server by its URL. Exit code 1 if a check failed, 2 if there is no server.

    A server is asked a few dozen requests; nothing is written, registered or signed in to. Each check, and the page that asks for it: docs/doctor.md
    """
    import orjson

    from server.doctor.web import Limits

    if url is None:
        diagnosis = _machine()
    else:
        secret = token.strip() if token_file is None else _first_line(token_file)
        if secret and not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise CommandError("the token has characters that no access token has")
        told = {
            "patient": patient,
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "origin": origin,
            "token": secret,
        }
        diagnosis = _site(url, told, Limits(seconds=seconds, total_seconds=total_seconds), authorities)
    if as_json:
        print(orjson.dumps(diagnosis.document(), option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(diagnosis.lines()))
    raise typer.Exit(diagnosis.exit_code)


def _machine() -> "Diagnosis":
    from server.doctor.checks import MACHINE_CHECKS
    from server.doctor.examination import examine
    from server.doctor.machine import Machine

    with Machine() as machine:
        return examine("this machine", machine, MACHINE_CHECKS)


def _site(url: str, told: dict[str, str], limits: "Limits", authorities: Path | None) -> "Diagnosis":
    import ssl

    from server.doctor.checks import SITE_CHECKS
    from server.doctor.examination import examine
    from server.doctor.site import Acquaintance, UnusableError, find
    from server.doctor.web import Web

    try:
        web = Web(limits, authorities)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"{authorities} has no certificates that can be read: {error}") from error
    with web:
        try:
            site = find(web, url, Acquaintance(**told))
        except UnusableError as error:
            raise CommandError(str(error)) from error
        return examine(site.base, site, SITE_CHECKS)


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"cannot read a token from {path}: {getattr(error, 'strerror', None) or 'no text'}"
        ) from error
    if not lines:
        raise CommandError(f"{path} is empty; it must hold an access token")
    return lines[0]
