"""Accounts as the payer keeps them: who may sign in, and for which members they may act.

45 CFR 164.502(g) - what an account may no longer do ends at once what it allowed apps.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from server import clock
from server.authorization.access import PRODUCTION
from server.authorization.authority import AUTHORITIES, AUTHORITY_ENDED, SELF, default_authority
from server.authorization.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, hash_password, is_password
from server.authorization.tokens import end_grant, find_grant
from server.settings import Settings
from server.specification.registry import MEMBER_TYPE, REPRESENTATIVE_TYPE
from server.storage.account_store import (
    ACCOUNT_BY_SUBJECT,
    ACCOUNT_BY_USERNAME,
    CLEAR_TOTP,
    DELETE_ACCOUNT_MEMBERS,
    DELETE_SESSIONS_OF_ACCOUNT,
    INSERT_ACCOUNT,
    INSERT_ACCOUNT_MEMBER,
    INSERT_ACCOUNT_ONCE,
    INSERT_MEMBER,
    LIVE_GRANTS_OF_ACCOUNT,
    MEMBER_BY_PATIENT,
    UPDATE_ACCOUNT,
    UPDATE_MEMBER,
)
from server.storage.database import Database
from server.storage.ledger import EventLedger, RecordingTransaction

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Represented(NamedTuple):
    """A member an account acts for. ``relationship``: 'self', or what the person is to the member ('parent', 'spouse', ...).

    ``authority``: self, minor, adult or consent; '' what goes with the relationship. ``until``: its last day, ISO, '' open.
    """

    patient: str
    relationship: str = SELF
    related_person: str = ""
    authority: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class AddedAccount:
    """An account as it was made or updated, and what the update ended."""

    id: str
    ended_grants: int
    ended_sessions: int


def add_account(
    database: Database, username: str, password: str, display_name: str, members: Sequence[tuple[str, ...]] = ()
) -> AddedAccount:
    """Make an account, or update the one of this username.

    ``members``: each a Represented, or a tuple of its first values. They replace those the account had: what it allowed apps for a member
    it may act for no longer ends, and a new password ends every session. Raises ValueError with one line that says what is wrong.
    """
    username = username.strip().lower()
    if not username or len(username) > 200 or not username.isprintable():
        raise ValueError("a username has 1 to 200 printable characters")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if not display_name.strip() or not display_name.isprintable():
        raise ValueError("an account needs the person's name, in printable characters")
    rows = member_rows([Represented(*member) for member in members])
    ended_grants = ended_sessions = 0
    with EventLedger(database).transaction() as transaction:
        before = transaction.first(ACCOUNT_BY_USERNAME, {"username": username})
        values: dict[str, Any] = {"display_name": display_name.strip()}
        if before is not None and before.issuer:
            raise ValueError(
                f"{username} is an account of the OpenID provider {before.issuer}; choose another username"
            )
        if before is None or not is_password(before.password_hash, password):
            values["password_hash"] = hash_password(password)
        if before is None:
            account = uuid.uuid4().hex
            made = {"id": account, "username": username, "created_at": clock.now_microseconds()}
            transaction.execute(INSERT_ACCOUNT, {**values, **made, "failures": 0, "failed_at": 0})
        else:
            account = str(before.id)
            transaction.execute(UPDATE_ACCOUNT, {"account": account, **values})
            if "password_hash" in values:
                ended_sessions = transaction.execute(DELETE_SESSIONS_OF_ACCOUNT, {"account": account})
        ended_grants = replace_members(transaction, database.settings, account, rows)
    return AddedAccount(account, ended_grants, ended_sessions)


def provision(
    transaction: RecordingTransaction,
    settings: Settings,
    issuer: str,
    subject: str,
    display_name: str,
    members: Sequence[Represented],
) -> str:
    """The account of a person whom an OpenID provider has signed in, made if need be and kept equal to what the provider says.

    Answers its id. What it allowed for a member whom the provider no longer names ends. Raises ValueError.
    """
    rows = member_rows(members)
    row = transaction.first(ACCOUNT_BY_SUBJECT, {"issuer": issuer, "subject": subject})
    if row is not None:
        account = str(row.id)
        transaction.execute(UPDATE_ACCOUNT, {"account": account, "display_name": display_name})
    else:
        # One and the same id for a person, so that two first sign-ins at the same moment make one account.
        account = uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer}\n{subject}").hex
        transaction.execute(
            INSERT_ACCOUNT_ONCE,
            {
                "id": account,
                "username": f"{issuer}#{subject}",
                "password_hash": "",
                "display_name": display_name,
                "created_at": clock.now_microseconds(),
                "failures": 0,
                "failed_at": 0,
                "issuer": issuer,
                "subject": subject,
            },
        )
    replace_members(transaction, settings, account, rows)
    return account


def replace_members(
    transaction: RecordingTransaction, settings: Settings, account: str, rows: Sequence[dict[str, str]]
) -> int:
    """Let an account act for these members and no others; answer how many grants that ended."""
    kept = {(row["patient"], row["relationship"] == SELF) for row in rows}
    live = transaction.all(LIVE_GRANTS_OF_ACCOUNT, {"account": account, "moment": clock.now_microseconds()})
    grants = [find_grant(transaction, settings, row.id) for row in live]
    lost = [grant for grant in grants if grant is not None and (grant.patient, grant.actor == SELF) not in kept]
    reason = f"account {account} may act for the member no longer"
    ended = sum(end_grant(transaction, grant, "account", reason, AUTHORITY_ENDED) for grant in lost)
    transaction.execute(DELETE_ACCOUNT_MEMBERS, {"account": account})
    if rows:
        transaction.execute(INSERT_ACCOUNT_MEMBER, [{"account": account, **row} for row in rows])
    return ended


def member_rows(members: Sequence[Represented]) -> list[dict[str, str]]:
    """The rows of members as they are stored. Raises ValueError with one line that says what is wrong."""
    rows = [_member_row(member) for member in members]
    if len({row["patient"] for row in rows}) != len(rows):
        raise ValueError("a member stands twice in the list")
    return rows


def _member_row(member: Represented) -> dict[str, str]:
    patient = member.patient.removeprefix(f"{MEMBER_TYPE}/")
    related_person = member.related_person.removeprefix(f"{REPRESENTATIVE_TYPE}/")
    relationship = member.relationship.strip().lower()
    if not patient or not relationship:
        raise ValueError("a member is named by a Patient id and a relationship ('self', 'parent', ...)")
    if not _FHIR_ID.fullmatch(patient) or (related_person and not _FHIR_ID.fullmatch(related_person)):
        raise ValueError("an id has 1 to 64 letters, digits, - and . (FHIR R4 id)")
    if len(relationship) > 64 or not relationship.isprintable():
        raise ValueError(f"member {patient}: a relationship has 1 to 64 printable characters")
    if relationship == SELF and related_person:
        raise ValueError(f"member {patient}: who acts for themself has no {REPRESENTATIVE_TYPE}")
    authority = member.authority or default_authority(relationship)
    if authority not in AUTHORITIES:
        raise ValueError(f"member {patient}: the authority {authority!r} is none of {', '.join(AUTHORITIES)}")
    if (authority == SELF) != (relationship == SELF):
        raise ValueError(f"member {patient}: the authority self goes with the relationship self, and no other with it")
    return {
        "patient": patient,
        "relationship": relationship,
        "related_person": f"{REPRESENTATIVE_TYPE}/{related_person}" if related_person else "",
        "authority": authority,
        "until": _day(patient, member.until),
    }


def _day(patient: str, until: str) -> str:
    if not until:
        return ""
    try:
        if _DAY.fullmatch(until):
            return date.fromisoformat(until).isoformat()
    except ValueError:
        pass
    raise ValueError(f"member {patient}: {until!r} is no day; until is the last day of the authority, e.g. 2027-01-31")


def reset_totp(database: Database, username: str) -> int:
    """Turn an account's one-time codes off, for somebody who lost their device; answer how many sessions that ended.

    Raises ValueError when there is no such account, or it has none.
    """
    with database.transaction() as transaction:
        row = transaction.first(ACCOUNT_BY_USERNAME, {"username": username.strip().lower()})
        if row is None:
            raise ValueError(f"no account has the username {username}")
        if row.totp_secret is None:
            raise ValueError(f"the account {username} uses no one-time codes")
        transaction.execute(CLEAR_TOTP, {"account": row.id})
        return transaction.execute(DELETE_SESSIONS_OF_ACCOUNT, {"account": row.id})


def mark_test_member(database: Database, patient: str, environment: str = "test") -> None:
    """Mark a member test (or production again): ledger rows of a test member never count in the CMS report."""
    patient = patient.removeprefix(f"{MEMBER_TYPE}/")
    if not patient:
        raise ValueError("a member is named by a Patient id")
    if environment not in (PRODUCTION, "test"):
        raise ValueError("the environment of a member is production or test")
    with database.transaction() as transaction:
        if transaction.first(MEMBER_BY_PATIENT, {"member": patient}) is None:
            transaction.execute(INSERT_MEMBER, {"patient": patient, "environment": environment, "enrolled": ""})
        else:
            transaction.execute(UPDATE_MEMBER, {"member": patient, "mark": environment})
