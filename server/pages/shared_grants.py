"""What a member shares with apps, and what they shared before: grants as the member's page shows them.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html (management_endpoint) and 42 CFR 422.119(g)
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from server import clock
from server.authorization.authority import REPRESENTATIVE, ActsFor
from server.authorization.consent_question import visible_data
from server.authorization.grant_errors import GRANT_EXPIRED
from server.authorization.tokens import ONLINE, UNTIL_REVOKED
from server.specification.standards import CONSENT_CATEGORIES
from server.storage.database import Transaction
from server.storage.grant_history import GRANTS_OF_MEMBER, LAST_PULLS_OF_MEMBER

DAY = 86_400_000_000
"""Microseconds."""
HISTORY = 731 * DAY
"""How long ended grants are shown: two years."""


@dataclass(frozen=True, slots=True)
class SharedGrant:
    """One grant. Times are microseconds; ``last_pull`` None: nothing yet; ``ended_at`` None: in force, and then ``ended_code`` is ''.

    ``sees`` and ``withheld`` are in plain words. ``allowed_by`` names the person who allowed it, ``by_representative`` whether
    that was somebody who acts for the member, ``by_reader`` whether it is who reads the page.
    """

    id: str
    since: int
    until: int
    has_end: bool
    is_online: bool
    last_pull: int | None
    sees: tuple[str, ...]
    withheld: tuple[str, ...]
    allowed_by: str
    by_representative: bool
    by_reader: bool
    ended_at: int | None
    ended_code: str


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """An app and the grants it has of a member: in force in one list, ended in another."""

    client_id: str
    name: str
    grants: tuple[SharedGrant, ...]


@dataclass(frozen=True, slots=True)
class MemberApps:
    """A member, the apps that see their information, and those that did in the last two years."""

    member: ActsFor
    apps: tuple[ConnectedApp, ...]
    ended: tuple[ConnectedApp, ...]


def member_apps(transaction: Transaction, member: ActsFor, reader: str) -> MemberApps:
    """What a member shares and shared, for the account that reads it; the first connected app first, the last ended grant first."""
    now = clock.now_microseconds()
    rows = transaction.all(GRANTS_OF_MEMBER, {"member": member.patient, "since": now - HISTORY})
    pulls = {row.grant_id: row.last_pull for row in transaction.all(LAST_PULLS_OF_MEMBER, {"member": member.patient})}
    live: dict[str, list[SharedGrant]] = {}
    ended: dict[str, list[SharedGrant]] = {}
    names: dict[str, str] = {}
    for row in rows:
        names[row.client_id] = row.name
        is_over = row.ended_at is not None or row.expires_at <= now
        if is_over or row.has_tokens:  # a code that was not exchanged yet is no connection
            grant = _shared_grant(row, pulls.get(row.id), is_over, reader)
            (ended if is_over else live).setdefault(row.client_id, []).append(grant)
    return MemberApps(
        member,
        tuple(ConnectedApp(id, names[id], tuple(grants)) for id, grants in live.items()),
        tuple(ConnectedApp(id, names[id], tuple(reversed(grants))) for id, grants in ended.items()),
    )


def _shared_grant(row: Row[Any], last_pull: int | None, is_over: bool, reader: str) -> SharedGrant:
    withheld = row.withheld.split()
    end = row.expires_at if row.ended_at is None else row.ended_at
    return SharedGrant(
        id=row.id,
        since=row.created_at,
        until=row.expires_at,
        has_end=row.duration != UNTIL_REVOKED,
        is_online=row.duration == ONLINE,
        last_pull=last_pull,
        sees=visible_data(row.scope),
        withheld=tuple(category.title for category in CONSENT_CATEGORIES if category.slug in withheld),
        allowed_by=row.display_name or "",
        by_representative=row.actor == REPRESENTATIVE,
        by_reader=row.account == reader,
        ended_at=end if is_over else None,
        ended_code="" if not is_over else row.ended_code or (GRANT_EXPIRED if row.ended_at is None else ""),
    )
