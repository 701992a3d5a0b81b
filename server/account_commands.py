"""``patient-access account``: who may sign in, for whom they may act, and a lost second factor. Only with IDENTITY=local.

45 CFR 164.502(g) - a representative's authority has a kind and perhaps a last day.
"""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from server.command_line import CommandError, migrated_database


class RoleName(StrEnum):
    """What an account may do beyond a member's own matters."""

    COMPLIANCE = "compliance"
    NONE = "none"


account = typer.Typer(help="Members' and representatives' sign-ins.", no_args_is_help=True)


@account.command("add")
def add(
    username: Annotated[
        str, typer.Option("--username", help="What the person signs in with; an existing one is updated.")
    ],
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    patients: Annotated[
        list[str] | None,
        typer.Option(
            "--patient", help="A Patient id the person may act for; repeat it for several. Staff act for nobody."
        ),
    ] = None,
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
    authorities: Annotated[
        list[str] | None,
        typer.Option(
            "--authority",
            help="Why they may act for each --patient, in order: self, minor (ends when the member is of age), adult (court order or power "
            "of attorney), consent; '' what goes with the relationship: minor for a parent or guardian, else consent.",
        ),
    ] = None,
    untils: Annotated[
        list[str] | None,
        typer.Option(
            "--until", help="The last day they may act for each --patient, in order, e.g. 2027-01-31; '' for none."
        ),
    ] = None,
) -> None:
    """Let a member, or someone who acts for members, sign in."""
    from server.authorization.accounts import Represented, add_account
    from server.authorization.authority import members as acting
    from server.specification.registry import MEMBER_TYPE, REPRESENTATIVE_TYPE
    from server.storage.population import Population

    patients = [patient.removeprefix(f"{MEMBER_TYPE}/") for patient in patients or ()]
    members = [
        Represented(*values)
        for values in zip(
            patients,
            _for_each(patients, relationships, "self", "--relationship"),
            _for_each(patients, related_persons, "", "--related-person"),
            _for_each(patients, authorities, "", "--authority"),
            _for_each(patients, untils, "", "--until"),
            strict=True,
        )
    ]
    with migrated_database() as (database, settings):
        added = add_account(database, username, password or _password(), name, members)
        with database.reading() as transaction:
            missing = Population(transaction).missing(MEMBER_TYPE, patients)
            persons = [id.removeprefix(f"{REPRESENTATIVE_TYPE}/") for id in related_persons or () if id]
            unknown = Population(transaction).missing(REPRESENTATIVE_TYPE, persons)
            in_force = {member.patient for member in acting(transaction, settings, added.id)}
    for patient in missing:
        print(f"warning: no {MEMBER_TYPE} {patient} is loaded yet", file=sys.stderr)
    for person in unknown:
        print(f"warning: no {REPRESENTATIVE_TYPE} {person} is loaded yet", file=sys.stderr)
    for patient in patients:
        if patient not in in_force and patient not in missing:
            reason = "its last day is over, or the member is of age or has no birth date"
            print(f"warning: the authority for {patient} is not in force: {reason}", file=sys.stderr)
    print(f"{username} may sign in and act for {', '.join(patients) or 'nobody'}.")
    if added.ended_grants:
        print(f"Ended {added.ended_grants} grants to apps, for members {username} may act for no longer.")
    if added.ended_sessions:
        print(f"Ended {added.ended_sessions} sign-in sessions, as the password is new.")


@account.command("totp")
def totp(
    username: Annotated[str, typer.Option("--username", help="The account.")],
    reset: Annotated[
        bool, typer.Option("--reset", help="Turn its one-time codes off, for somebody who lost their device.")
    ] = False,
) -> None:
    """Turn an account's one-time codes off. The member turns them on at /account/codes."""
    from server.authorization.accounts import reset_totp

    if not reset:
        raise CommandError("say --reset: there is nothing else to do; members turn one-time codes on at /account/codes")
    with migrated_database() as (database, _):
        ended = reset_totp(database, username)
    print(f"{username} signs in without one-time codes now. Ended {ended} sign-in sessions.")


@account.command("role")
def role(
    username: Annotated[str, typer.Argument(help="The account.", metavar="USERNAME")],
    named: Annotated[RoleName, typer.Argument(help="What it may do; 'none' takes the role away.", metavar="ROLE")],
) -> None:
    """Give an account of the payer's staff a role: compliance reads /compliance."""
    from server.authorization.roles import set_role

    with migrated_database() as (database, settings):
        set_role(database, username, "" if named is RoleName.NONE else named.value)
    if named is RoleName.NONE:
        print(f"{username} has no role now.")
    else:
        print(f"{username} has the role {named.value}: it reads {settings.base_url}/{named.value}.")


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
