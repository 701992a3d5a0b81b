"""The check of a local sign-in: a password, and a pause after wrong ones.

https://pages.nist.gov/800-63-4/sp800-63b.html#password - a failure never says whether the account exists.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row

from server import clock
from server.authorization.access import PRODUCTION, environment_of
from server.authorization.authority import REPRESENTATIVE, SELF, members
from server.authorization.passwords import NOBODY, is_password
from server.settings import Settings
from server.storage.account_store import (
    ACCOUNT_BY_ID,
    ACCOUNT_BY_USERNAME,
    COUNT_GUESS,
    SIGN_IN_FAILED,
    SIGN_IN_SUCCEEDED,
)
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger, LedgerEvent, new_request_id

PAUSE_MICROSECONDS = 60_000_000
FAILURE_SECONDS = 0.25
"""How long every failed sign-in takes at least: what was looked up and written in between cannot be told from outside."""
CHECKS_AT_A_TIME, MOST_WAITING = 2, 20
"""Passwords a process checks at the same time, each with 19 MB, and sign-ins that wait for it at most."""

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


def sign_in(database: Database, ledger: EventLedger, settings: Settings, username: str, password: str) -> str | None:
    """The account id when the password is right, else None, after the same work in every case. Raises BusyError.

    Whoever asks keeps the answer None back until FAILURE_SECONDS have passed, without holding a thread. After GUESSES_PER_ACCOUNT wrong passwords in a
    row an account pauses for a minute after each further one. A wrong password for an account that exists is a refusal in the
    ledger. An account with one-time codes is signed in only by its code (``totp``), which also forgets the failures.
    """
    with database.reading() as reading:
        row = reading.first(ACCOUNT_BY_USERNAME, {"username": username.strip().lower()})
    has_password = row is not None and bool(row.password_hash)
    with _one_of_few():
        correct = is_password(row.password_hash if row is not None and has_password else NOBODY, password)
    if row is None or not has_password:
        return None
    with database.reading() as reading:  # again: while this one waited, others may have been wrong
        row = reading.first(ACCOUNT_BY_ID, {"account": row.id}) or row
    paused = is_paused(settings, row)
    if correct and not paused:
        if row.totp_secret is None:
            with database.transaction() as transaction:
                transaction.execute(SIGN_IN_SUCCEEDED, {"account": row.id})
        return str(row.id)
    record_failure(ledger, settings, row, "paused after failures" if paused else "wrong password", counts=not paused)
    return None


def is_paused(settings: Settings, account: Row[Any]) -> bool:
    """Whether an account does not sign anybody in just now, after too many failures."""
    # Both ways: where the clock was set back since, the pause does not last for hours.
    is_recent = abs(clock.now_microseconds() - account.failed_at) < PAUSE_MICROSECONDS
    return bool(account.failures >= settings.guesses_per_account and is_recent)


def count_guess(transaction: Transaction, settings: Settings, account: str) -> bool:
    """Count a guess as wrong before it is looked at, so that parallel ones get no further; False when the account pauses."""
    now = clock.now_microseconds()
    values = {
        "account": account,
        "most": settings.guesses_per_account,
        "rested": now - PAUSE_MICROSECONDS,
        "ahead": now + PAUSE_MICROSECONDS,
        "moment": now,
    }
    return transaction.execute(COUNT_GUESS, values) == 1


def record_failure(ledger: EventLedger, settings: Settings, account: Row[Any], what: str, counts: bool) -> None:
    """A refusal in the ledger; ``counts``: one more failure in a row."""
    with ledger.transaction() as recording:
        if counts:
            recording.execute(SIGN_IN_FAILED, {"account": account.id, "moment": clock.now_microseconds()})
        own = [member for member in members(recording, settings, account.id) if member.actor == SELF]
        recording.record(
            LedgerEvent(
                kind="refusal",
                request_id=new_request_id(),
                environment=environment_of(settings, PRODUCTION, own[0].environment if own else None),
                patient=own[0].patient if own else "",
                actor=SELF if own else REPRESENTATIVE,
                interaction="sign-in",
                detail=f"{what}, account {account.id}",
            )
        )
