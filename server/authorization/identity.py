"""Who the member is: local accounts, whom they may act for, and the check of a password.

https://pages.nist.gov/800-63-4/sp800-63b.html#password - passwords are argon2; a failure never says whether the account exists.
"""

import re
import secrets
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Row

from server import clock
from server.authorization.access import PRODUCTION, environment_of
from server.authorization.tokens import end_grant, find_grant
from server.settings import Settings
from server.specification.registry import MEMBER_TYPE, REPRESENTATIVE_TYPE
from server.storage.authorization_store import (
    ACCOUNT_BY_USERNAME,
    DELETE_ACCOUNT_MEMBERS,
    DELETE_SESSIONS_OF_ACCOUNT,
    INSERT_ACCOUNT,
    INSERT_ACCOUNT_MEMBER,
    INSERT_MEMBER,
    LIVE_GRANTS_OF_ACCOUNT,
    MEMBER_BY_PATIENT,
    MEMBERS_OF_ACCOUNT,
    SIGN_IN_FAILED,
    SIGN_IN_SUCCEEDED,
    UPDATE_ACCOUNT,
    UPDATE_MEMBER,
)
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger, LedgerEvent, RecordingTransaction, new_request_id

SELF, REPRESENTATIVE = "self", "representative"
FAILURES_BEFORE_PAUSE = 10
PAUSE_MICROSECONDS = 60_000_000
LONGEST_PASSWORD = 256
FAILURE_SECONDS = 0.25
"""How long every failed sign-in takes at least: what was looked up and written in between cannot be told from outside."""
CHECKS_AT_A_TIME, MOST_WAITING = 2, 20
"""Passwords a process checks at the same time, each with 19 MB, and sign-ins that wait for it at most."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))
"""What a password is compared with when there is no such account, so that the answer takes as long."""
_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_checking = threading.BoundedSemaphore(CHECKS_AT_A_TIME)
_places = threading.BoundedSemaphore(CHECKS_AT_A_TIME + MOST_WAITING)


class BusyError(Exception):
    """Too many people sign in at this moment."""


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise BusyError
    try:
        with _checking:
            yield
    finally:
        _places.release()


@dataclass(frozen=True, slots=True)
class ActsFor:
    """A member for whom an account may act. ``related_person`` names the actor's record in the member's compartment, or ''."""

    patient: str
    relationship: str
    related_person: str
    name: str
    environment: str

    @property
    def actor(self) -> str:
        """self or representative."""
        return SELF if self.relationship == SELF else REPRESENTATIVE

    @property
    def fhir_user(self) -> str:
        """The actor's own record, e.g. ``Patient/1``; '' when a representative has none."""
        return f"{MEMBER_TYPE}/{self.patient}" if self.actor == SELF else self.related_person


def sign_in(database: Database, ledger: EventLedger, settings: Settings, username: str, password: str) -> str | None:
    """The account id when the password is right, else None, after the same work in every case. Raises BusyError.

    Whoever asks keeps the answer None back until FAILURE_SECONDS have passed, without holding a thread. After ten wrong passwords in a row an account pauses for a minute after each further one. A wrong password for an account
    that exists is a refusal in the ledger.
    """
    with database.reading() as reading:
        row = reading.first(ACCOUNT_BY_USERNAME, {"username": username.strip().lower()})
    with _one_of_few():
        correct = _verify(_NOBODY if row is None else row.password_hash, password)
    if row is None:
        return None
    now = clock.now_microseconds()
    paused = row.failures >= FAILURES_BEFORE_PAUSE and now < row.failed_at + PAUSE_MICROSECONDS
    if correct and not paused:
        with database.transaction() as transaction:
            transaction.execute(SIGN_IN_SUCCEEDED, {"account": row.id})
        return str(row.id)
    with ledger.transaction() as recording:
        if not paused:
            recording.execute(SIGN_IN_FAILED, {"account": row.id, "moment": now})
        own = [member for member in members(recording, row.id) if member.actor == SELF]
        recording.record(
            LedgerEvent(
                kind="refusal",
                request_id=new_request_id(),
                environment=environment_of(settings, PRODUCTION, own[0].environment if own else None),
                patient=own[0].patient if own else "",
                actor=SELF if own else REPRESENTATIVE,
                interaction="sign-in",
                detail=f"{'paused after failures' if paused else 'wrong password'}, account {row.id}",
            )
        )
    return None


def members(transaction: Transaction, account: str) -> list[ActsFor]:
    """The members an account may act for, the account's own member first."""
    rows = transaction.all(MEMBERS_OF_ACCOUNT, {"account": account})
    return [_acts_for(row) for row in rows]


def _acts_for(row: Row[Any]) -> ActsFor:
    return ActsFor(
        patient=row.patient,
        relationship=row.relationship,
        related_person=row.related_person,
        name=_person_name(row.body) or f"Member {row.patient}",
        environment=row.environment or PRODUCTION,
    )


def _person_name(body: bytes | None) -> str:
    """The name people read, of a resource with a ``name``: usual before official before the first (FHIR HumanName)."""
    names = orjson.loads(body).get("name", []) if body else []
    if not names:
        return ""
    uses = ["usual", "official"]
    name = min(names, key=lambda one: uses.index(one["use"]) if one.get("use") in uses else len(uses))
    return str(name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip())


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password[: LONGEST_PASSWORD + 1])
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True, slots=True)
class AddedAccount:
    """An account as it was made or updated, and what the update ended."""

    id: str
    ended_grants: int
    ended_sessions: int


def add_account(
    database: Database,
    username: str,
    password: str,
    display_name: str,
    members: Sequence[tuple[str, str, str]] = (),
) -> AddedAccount:
    """Make an account, or update the one of this username.

    ``members``: (Patient id, relationship, RelatedPerson id or ''); relationship 'self', or what the person is to the member ('parent'). They
    replace those the account had: what it allowed apps for a member it may act for no longer ends, and a new password ends every
    session. Raises ValueError with one line that says what is wrong.
    """
    username = username.strip().lower()
    if not username or len(username) > 200 or not username.isprintable():
        raise ValueError("a username has 1 to 200 printable characters")
    if not 8 <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has 8 to {LONGEST_PASSWORD} characters")
    if not display_name.strip() or not display_name.isprintable():
        raise ValueError("an account needs the person's name, in printable characters")
    rows = [_member_row(*member) for member in members]
    if len({row["patient"] for row in rows}) != len(rows):
        raise ValueError("a member stands twice in the list")
    ended_grants = ended_sessions = 0
    with EventLedger(database).transaction() as transaction:
        before = transaction.first(ACCOUNT_BY_USERNAME, {"username": username})
        values: dict[str, Any] = {"display_name": display_name.strip()}
        if before is None or not _verify(before.password_hash, password):
            values["password_hash"] = _HASHER.hash(password)
        if before is None:
            account = uuid.uuid4().hex
            made = {"id": account, "username": username, "created_at": clock.now_microseconds()}
            transaction.execute(INSERT_ACCOUNT, {**values, **made, "failures": 0, "failed_at": 0})
        else:
            account = str(before.id)
            transaction.execute(UPDATE_ACCOUNT, {"account": account, **values})
            if "password_hash" in values:
                ended_sessions = transaction.execute(DELETE_SESSIONS_OF_ACCOUNT, {"account": account})
            kept = {row["patient"] for row in rows}
            ended_grants = _end_grants(transaction, database.settings, account, kept)
        transaction.execute(DELETE_ACCOUNT_MEMBERS, {"account": account})
        if rows:
            transaction.execute(INSERT_ACCOUNT_MEMBER, [{"account": account, **row} for row in rows])
    return AddedAccount(account, ended_grants, ended_sessions)


def _end_grants(transaction: RecordingTransaction, settings: Settings, account: str, kept: set[str]) -> int:
    """End what an account allowed for every other member than these; answer how many grants that were."""
    live = transaction.all(LIVE_GRANTS_OF_ACCOUNT, {"account": account, "moment": clock.now_microseconds()})
    grants = [find_grant(transaction, settings, row.id) for row in live if row.patient not in kept]
    reason = f"account {account} may act for the member no longer"
    return sum(end_grant(transaction, grant, "account", reason) for grant in grants if grant is not None)


def _member_row(patient: str, relationship: str, related_person: str) -> dict[str, str]:
    patient = patient.removeprefix(f"{MEMBER_TYPE}/")
    related_person = related_person.removeprefix(f"{REPRESENTATIVE_TYPE}/")
    relationship = relationship.strip().lower()
    if not patient or not relationship:
        raise ValueError("a member is named by a Patient id and a relationship ('self', 'parent', ...)")
    if not _FHIR_ID.fullmatch(patient) or (related_person and not _FHIR_ID.fullmatch(related_person)):
        raise ValueError("an id has 1 to 64 letters, digits, - and . (FHIR R4 id)")
    if relationship == SELF and related_person:
        raise ValueError(f"member {patient}: who acts for themself has no {REPRESENTATIVE_TYPE}")
    reference = f"{REPRESENTATIVE_TYPE}/{related_person}" if related_person else ""
    return {"patient": patient, "relationship": relationship, "related_person": reference}


def mark_test_member(database: Database, patient: str, environment: str = "test") -> None:
    """Mark a member test (or production again): ledger rows of a test member never count in the CMS report."""
    patient = patient.removeprefix(f"{MEMBER_TYPE}/")
    if not patient:
        raise ValueError("a member is named by a Patient id")
    if environment not in (PRODUCTION, "test"):
        raise ValueError("the environment of a member is production or test")
    with database.transaction() as transaction:
        if transaction.first(MEMBER_BY_PATIENT, {"member": patient}) is None:
            transaction.execute(INSERT_MEMBER, {"patient": patient, "environment": environment})
        else:
            transaction.execute(UPDATE_MEMBER, {"member": patient, "mark": environment})
