"""``patient-access keys``: the keys that sign id_tokens, and their rotation without downtime.

https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
"""

from typing import Annotated

import typer

from server.command_line import migrated_database

keys = typer.Typer(help="The keys that sign id_tokens.", no_args_is_help=True)


@keys.command("list")
def list_keys() -> None:
    """Show every signing key: since when it is published, from when it signs, and until when it is published."""
    from server import clock
    from server.authorization.keys import all_keys

    with migrated_database() as (database, _), database.reading() as transaction:
        found = all_keys(transaction)
    if not found:
        print("No key yet: the first is made when it is needed.")
    for key in found:
        until = "until it is replaced" if key.retired_at is None else f"until {clock.instant(key.retired_at)}"
        print(
            f"{key.kid}  {key.state(clock.now_microseconds()):9}  published {clock.instant(key.created_at)}"
            f"  signs from {clock.instant(key.active_at)}  published {until}"
        )


@keys.command("rotate")
def rotate_keys(
    now: Annotated[
        bool,
        typer.Option("--now", help="Sign with it at once, as when a key became known; apps may fail to verify it."),
    ] = False,
) -> None:
    """Make a new key: apps can fetch it at once, it signs in an hour, and the old one verifies until its last id_token is over.

    What SECRET_KEY_PREVIOUS encrypted is encrypted with SECRET_KEY: after that, SECRET_KEY_PREVIOUS can be unset.
    """
    from server import clock
    from server.authorization.keys import SigningKeys
    from server.authorization.totp import OneTimeCodes

    with migrated_database() as (database, settings), database.transaction() as transaction:
        made = SigningKeys(settings).rotate(transaction, at_once=now)
        OneTimeCodes(settings).encrypt_anew(transaction)
    print(f"{made.kid} signs from {clock.instant(made.active_at)}.")
