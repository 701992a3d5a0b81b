"""The refusal register: what was refused to whom, by which criterion, on what evidence and basis, when and how often.

42 CFR 422.119(e) and its parallels: apps are refused by objective, verifiable criteria only. What a member withholds or declines is their
own decision and shown apart; a request without a known app (an unknown token) is nobody's and not in the ledger.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Row

from server.authorization import app_criteria
from server.authorization.access import REFUSED_ACCESS, SUSPENDED, SYSTEM
from server.authorization.consent import NOT_ALLOWED
from server.authorization.sensitivity import Policy, policies_in_force
from server.metrics.exclusions import ENVIRONMENTS
from server.metrics.periods import period
from server.settings import Settings
from server.storage.access_history import client_names
from server.storage.database import Database
from server.storage.refusals import decided, recorded

DECISIONS, AUTHORIZATION, REQUESTS, WITHHELD, MEMBERS = (
    *("app-decisions", "authorization", "requests", "withheld"),
    "members-own",
)
SECTIONS: Mapping[str, str] = {
    DECISIONS: "Decisions on apps",
    AUTHORIZATION: "Refused by the authorization server",
    REQUESTS: "Refused requests for data",
    WITHHELD: "Records withheld by sensitivity policies",
    MEMBERS: "Members' own decisions (no refusal by the payer)",
}
"""Slug to title, in order."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line. ``app``: a client id, what is refused before it is a client, or '' ; ``app_name`` '' where it has none. Moments are
    microseconds since 1970 UTC; ``count``: how often, of withheld records how many."""

    section: str
    what: str
    app: str
    criterion: str
    evidence: str
    basis: str
    first: int
    last: int
    count: int
    app_name: str = ""
    decided_by: str = ""
    notice: str = ""
    appeal: str = ""


_CONSENT, _REGISTER, _SIGN_IN = "consent", "register", "sign-in"
_BY_STATUS = {
    401: (
        "access-ended",
        "The access had ended",
        "The member's permission, or the authority of who gave it, was over.",
    ),
    403: (
        "scope-missing",
        "The permission does not cover what was asked",
        "42 CFR 422.119(a): with the approval of the enrollee; the scopes that were granted.",
    ),
    429: (
        "throttled",
        "More requests in a minute than the published limit",
        "RATE_LIMIT_PER_MINUTE, published at /docs/limits.",
    ),
}
"""Criterion, its title, and the basis, by HTTP status."""


def refusals(
    database: Database,
    settings: Settings,
    *,
    year: int,
    month: int | None = None,
    environment: str = "production",
) -> tuple[Refusal, ...]:
    """The register of a calendar year, or of a month of it, in the payer's time zone: by section, the oldest first.

    Raises ValueError for an unknown environment or an impossible period; SensitivityPoliciesFileError.
    """
    if environment not in ENVIRONMENTS:
        raise ValueError(f"the environment is one of {', '.join(ENVIRONMENTS)}, not {environment!r}")
    of = period(settings.time_zone, year, month)
    policies = {policy.slug: policy for policy in policies_in_force(settings)}
    with database.reading() as transaction:
        lines = [_decision(row) for row in decided(transaction, of.starts, of.ends)]
        lines += _of_ledger(recorded(transaction, environment, of.starts, of.ends), policies)
        names = client_names(transaction, {line.app for line in lines if line.app})
    order = list(SECTIONS)
    lines.sort(key=lambda line: (order.index(line.section), line.first, line.app, line.what, line.criterion))
    return tuple(replace(line, app_name=names.get(line.app, "")) for line in lines)


def _decision(row: Row[Any]) -> Refusal:
    known = app_criteria.CRITERIA.get(row.criterion)
    return Refusal(
        DECISIONS,
        row.decision,
        row.client_id,
        f"{row.criterion}: {known.title}" if known is not None else row.criterion,
        row.evidence,
        app_criteria.CITATION,
        row.decided_at,
        row.decided_at,
        1,
        decided_by=row.decided_by,
        notice=row.notice,
        appeal=row.appeal,
    )


def _of_ledger(rows: Any, policies: Mapping[str, Policy]) -> Iterator[Refusal]:
    merged: dict[tuple[str, ...], Refusal] = {}
    for row in rows:
        for line in _lines(row, policies):
            key = (line.section, line.what, line.app, line.criterion, line.evidence)
            before = merged.get(key)
            merged[key] = line if before is None else _joined(before, line)
    yield from merged.values()


def _joined(one: Refusal, other: Refusal) -> Refusal:
    return replace(
        one, first=min(one.first, other.first), last=max(one.last, other.last), count=one.count + other.count
    )


def _lines(row: Row[Any], policies: Mapping[str, Policy]) -> Iterator[Refusal]:
    if row.kind == "refusal":
        yield _refused(row)
        return
    if row.status in _BY_STATUS:
        criterion, title, basis = _BY_STATUS[row.status]
        what = " ".join(filter(None, (row.interaction or "a request", row.resource_type)))
        evidence = f"HTTP {row.status} in the ledger"
        yield Refusal(
            REQUESTS, what, row.client_id, f"{criterion}: {title}", evidence, basis, row.first, row.last, row.times
        )
    for slug, number in _withheld(row.told).items():
        policy = policies.get(slug)
        title = policy.title if policy is not None else "(no longer in the policies file)"
        basis = policy.legal_basis if policy is not None else "(no longer in the policies file)"
        who = "a program of the payer's own" if row.actor == SYSTEM else row.actor or "not told"
        yield Refusal(
            WITHHELD,
            f"records, from: {who}",
            row.client_id,
            f"{slug}: {title}",
            "security labels of the records",
            basis,
            row.first,
            row.last,
            number * row.times,
        )


def _refused(row: Row[Any]) -> Refusal:
    code, _, description = row.told.partition(": ")
    section, what, basis = (
        AUTHORIZATION,
        row.interaction,
        "RFC 6749 and SMART App Launch 2.2: the request was not valid.",
    )
    app = row.client_id
    if row.interaction == _SIGN_IN:
        code, description = "sign-in-failed", "a password or one-time code was wrong"
        basis = "45 CFR 164.312: who asks must be who they say."
    elif row.interaction == REFUSED_ACCESS:
        section, what = REQUESTS, "a request"
        basis = app_criteria.CITATION if code == SUSPENDED else "42 CFR 422.119(a): data of current enrollees."
    elif row.interaction == _CONSENT and description == NOT_ALLOWED:
        section, what, description = MEMBERS, "declined to share", ""
        basis = "The member's own choice."
    elif row.interaction == _CONSENT:
        basis = "42 CFR 422.119(a): current enrollees, or their personal representatives."
    elif row.interaction == _REGISTER:
        app, _, code = row.told.rpartition(": ")
        description, basis = "registration refused by an earlier decision", app_criteria.CITATION
    return Refusal(section, what, app, code, description, basis, row.first, row.last, row.times)


def _withheld(detail: str) -> Mapping[str, int]:
    if not detail.startswith("{"):
        return {}
    found: Mapping[str, int] = orjson.loads(detail).get("withheld", {})
    return found
