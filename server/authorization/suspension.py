"""Suspending and refusing apps: only by a published criterion, with evidence, by somebody, with notice and appeal, for ever on record.

42 CFR 422.119(e) and its parallels - the decision is a row that is never changed, and a row of the ledger.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.errors import UnauthorizedClientError
from sqlalchemy import Row

from server import clock
from server.authorization.app_criteria import PATH, criterion
from server.authorization.clients import RegisteredClient, find_client, record
from server.settings import Settings
from server.storage.client_store import (
    DECISIONS,
    DECISIONS_ON,
    INSERT_DECISION,
    REFUSED,
    RESUME_CLIENT,
    SUSPEND_CLIENT,
)
from server.storage.database import Transaction
from server.storage.ledger import EventLedger, LedgerEvent, RecordingTransaction, new_request_id

SUSPENDED, RESUMED, REFUSED_DECISION, ADMITTED = "suspended", "resumed", "refused", "admitted"
SUSPENDED_CODE, REFUSED_CODE = "app-suspended", "app-refused"
"""``error_code`` of the answers that an app gets; both are stable."""
HOST, SOFTWARE = "redirect-host:", "software:"
"""In front of what is refused before it is a client: the host of a redirect URI, or a software_id."""


class SuspendedAppError(UnauthorizedClientError):  # type: ignore[misc]
    """400 unauthorized_client with ``error_code`` app-suspended: the app gets the reason, and the way to appeal."""

    def __init__(self, client: RegisteredClient) -> None:
        # What RFC 6749 lets a description hold: printable ASCII but for quotes and backslashes.
        text = client.suspended_reason.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "?")
        super().__init__(f"This app is suspended: {' '.join(text.split())}")

    def get_body(self) -> list[tuple[str, str]]:
        """The members of the answer."""
        return [*super().get_body(), ("error_code", SUSPENDED_CODE)]


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it is made. ``notice`` is what the app's makers are told beside the criterion; '' when that says it all.

    ``appeal`` '' : the setting's. The evidence is kept, and not told to the app.
    """

    criterion: str
    evidence: str
    decided_by: str
    notice: str = ""
    appeal: str = ""


@dataclass(frozen=True, slots=True)
class AppDecision:
    """A decision as it is recorded. ``subject`` is a client id, or what is refused (``redirect-host:``, ``software:``)."""

    subject: str
    decision: str
    criterion: str
    evidence: str
    decided_by: str
    notice: str
    appeal: str
    decided_at: int


def suspend(ledger: EventLedger, settings: Settings, client_id: str, decision: Decision) -> str:
    """Suspend an app: its tokens give no access from the next request on. Answers what the app is told.

    Raises ValueError when there is none to suspend, or the decision lacks something.
    """
    _check(decision)
    reason = told(settings, decision)
    with ledger.transaction() as transaction:
        client = find_client(transaction, client_id)
        if client is None:
            raise ValueError(f"no client has the id {client_id}")
        now = clock.now_microseconds()
        if transaction.execute(SUSPEND_CLIENT, {"client": client_id, "moment": now, "reason": reason}) == 0:
            raise ValueError(f"client {client_id} is suspended already")
        _decide(transaction, settings, client_id, SUSPENDED, decision)
        record(transaction, settings, client, "suspend", f"{decision.criterion}, decided by {decision.decided_by}")
    return reason


def resume(ledger: EventLedger, settings: Settings, subject: str, decided_by: str, evidence: str = "") -> None:
    """Lift a suspension (tokens in force give access again), or a refusal. Raises ValueError when there is none to lift."""
    if not decided_by.strip():
        raise ValueError("a decision needs the name of who decided it")
    with ledger.transaction() as transaction:
        last = transaction.all(DECISIONS_ON, {"client": subject})
        if subject.startswith((HOST, SOFTWARE)):
            if not last or last[-1].decision != REFUSED_DECISION:
                raise ValueError(f"{subject} is not refused")
            decision = Decision(last[-1].criterion, evidence, decided_by)
            _decide(transaction, settings, subject, ADMITTED, decision)
            _record_rule(transaction, settings, "admit", f"{subject}, decided by {decided_by}")
            return
        client = find_client(transaction, subject)
        if client is None:
            raise ValueError(f"no client has the id {subject}")
        if transaction.execute(RESUME_CLIENT, {"client": subject}) == 0:
            raise ValueError(f"client {subject} is not suspended")
        decision = Decision(last[-1].criterion if last else "", evidence, decided_by)
        _decide(transaction, settings, subject, RESUMED, decision)
        record(transaction, settings, client, "resume", f"decided by {decided_by}")


def refuse(ledger: EventLedger, settings: Settings, subject: str, decision: Decision) -> str:
    """Refuse whatever registers with a redirect host (and all below it) or a software_id; answers what it is told."""
    _check(decision)
    subject = subject.strip().lower() if subject.startswith(HOST) else subject.strip()
    name = subject.partition(":")[2]
    if not subject.startswith((HOST, SOFTWARE)) or not name or any(char in name for char in " /@\n"):
        raise ValueError("name the host of the redirect URIs (malware.example), or a software_id")
    with ledger.transaction() as transaction:
        last = transaction.all(DECISIONS_ON, {"client": subject})
        if last and last[-1].decision == REFUSED_DECISION:
            raise ValueError(f"{subject} is refused already")
        _decide(transaction, settings, subject, REFUSED_DECISION, decision)
        _record_rule(
            transaction, settings, "refuse", f"{subject}, {decision.criterion}, decided by {decision.decided_by}"
        )
    return told(settings, decision)


def refusal_of(transaction: Transaction, redirect_uris: Iterable[str], software_id: str) -> AppDecision | None:
    """The decision by which an app with these cannot be registered, or None."""
    refused = {row.client_id: row for row in transaction.all(REFUSED)}
    if not refused:
        return None
    if f"{SOFTWARE}{software_id}" in refused:
        return _from_row(refused[f"{SOFTWARE}{software_id}"])
    for uri in redirect_uris:
        parts = urlsplit(uri)
        labels = (parts.hostname or parts.scheme).lower().rstrip(".").split(".")
        for length in range(len(labels)):
            row = refused.get(HOST + ".".join(labels[length:]))
            if row is not None:
                return _from_row(row)
    return None


def decisions(transaction: Transaction, subject: str = "") -> list[AppDecision]:
    """Every decision (on one subject), the oldest first."""
    rows = transaction.all(DECISIONS_ON, {"client": subject}) if subject else transaction.all(DECISIONS)
    return [_from_row(row) for row in rows]


def told(settings: Settings, decision: Decision | AppDecision) -> str:
    """What an app's makers are told: the criterion, the notice, and how to appeal."""
    row = criterion(decision.criterion)
    appeal = decision.appeal.strip() or _appeal(settings)
    notice = f" {decision.notice.strip()}" if decision.notice.strip() else ""
    return f"{row.title} ({row.id}).{notice} Criteria: {settings.base_url}{PATH}. Appeal: {appeal}."


def _appeal(settings: Settings) -> str:
    return settings.appeal_contact or settings.support_contact or f"write to {settings.payer_name}"


def _check(decision: Decision) -> None:
    criterion(decision.criterion)
    for name, value in (("evidence", decision.evidence), ("the name of who decided it", decision.decided_by)):
        if not value.strip():
            raise ValueError(f"a decision on an app needs {name}")
    for value in (decision.evidence, decision.decided_by, decision.notice, decision.appeal):
        if "\0" in value or len(value) > 4000:
            raise ValueError("each text of a decision has at most 4000 characters")


def _decide(transaction: RecordingTransaction, settings: Settings, subject: str, decision: str, made: Decision) -> None:
    values: dict[str, Any] = {
        "client_id": subject,
        "decision": decision,
        "criterion": made.criterion,
        "evidence": made.evidence.strip(),
        "decided_by": made.decided_by.strip(),
        "notice": made.notice.strip(),
        "appeal": made.appeal.strip() or _appeal(settings),
        "decided_at": clock.now_microseconds(),
    }
    transaction.execute(INSERT_DECISION, values)


def _record_rule(transaction: RecordingTransaction, settings: Settings, interaction: str, detail: str) -> None:
    environment = settings.environment
    transaction.record(
        LedgerEvent(
            kind="app", request_id=new_request_id(), environment=environment, interaction=interaction, detail=detail
        )
    )


def _from_row(row: Row[Any]) -> AppDecision:
    names = ("decision", "criterion", "evidence", "decided_by", "notice", "appeal", "decided_at")
    return AppDecision(subject=row.client_id, **{name: getattr(row, name) for name in names})
