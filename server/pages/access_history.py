"""A member's access history as values: which app got what kinds of their records on which day, how many, and who allowed it.

42 CFR 422.119(g) (what members are told of sharing); the ledger's rows are merged by app, day and who allowed it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from server import clock
from server.authorization.access import SYSTEM
from server.authorization.authority import REPRESENTATIVE, ActsFor
from server.authorization.consent_question import categories_of
from server.authorization.languages import Message
from server.authorization.sensitivity import ACTORS, policies_in_force
from server.settings import Settings
from server.specification.audit import AUDIT_EVENT
from server.specification.definition import HISTORY_SYSTEM
from server.specification.operations import EVERYTHING, EXPORT
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES
from server.storage.access_history import client_names, disclosures, grants_of
from server.storage.database import Transaction

PAGE = 40
"""Lines of a page, at least; a day is never cut in two."""
END_OF_TIME = 1 << 62
OF_EVERYTHING = (HISTORY_SYSTEM, f"${EVERYTHING.code}", f"${EXPORT.code}")
"""Interactions whose answers hold records of every kind that the app may see."""
ALL_KINDS = Message("All that the app may see")
HISTORY_ITSELF = Message("Who got your information")


@dataclass(slots=True)
class Disclosed:
    """What an app got on a local day under one person's permission. Times are microseconds; ``records`` counts what was sent, so that
    a record sent twice counts twice. ``allowed_by`` is a name, '' for nobody (``by_payer``: a program of the payer's own).
    ``is_outline``: kinds and counts are not for the reader, who could infer from them what a sensitivity policy withholds."""

    day: date
    client_id: str
    allowed_by: str
    by_reader: bool
    by_representative: bool
    by_payer: bool
    is_outline: bool
    first: int
    last: int
    app: str = ""
    requests: int = 0
    records: int = 0
    kinds: dict[str, None] = field(default_factory=dict)

    @property
    def titles(self) -> tuple[str, ...]:
        """The kinds of records in plain English, in the order of the consent page."""
        order = [category.title for category in CONSENT_CATEGORIES]
        return tuple(
            sorted(self.kinds, key=lambda title: (order.index(title) if title in order else len(order), title))
        )


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Lines of a member's history, the newest day first; ``before``: the day whose lines are there, and all older ones are not; None
    on the last page."""

    lines: tuple[Disclosed, ...]
    before: date | None


def history_page(
    transaction: Transaction, settings: Settings, member: ActsFor, reader: str, before: date | None
) -> HistoryPage:
    """A page of what apps got of a member before a local day (None: until now), as the account ``reader`` sees it."""
    lines: list[Disclosed] = []
    days = _days(transaction, settings, member, reader, before)
    for day in days:
        lines += day
        if len(lines) >= PAGE:
            more = next(days, None) is not None
            return HistoryPage(_named(transaction, lines), lines[-1].day if more else None)
    return HistoryPage(_named(transaction, lines), None)


def whole_history(transaction: Transaction, settings: Settings, member: ActsFor, reader: str) -> tuple[Disclosed, ...]:
    """All that the ledger holds of it."""
    days = _days(transaction, settings, member, reader, None)
    return _named(transaction, [line for day in days for line in day])


def _days(
    transaction: Transaction, settings: Settings, member: ActsFor, reader: str, before: date | None
) -> Iterator[list[Disclosed]]:
    """The lines of one day after the other; nothing is read of the ledger behind the day asked for."""
    zone = settings.time_zone
    is_withheld_from = any(ACTORS[word] == member.actor for one in policies_in_force(settings) for word in one.audience)
    grants = grants_of(transaction, member.patient)
    known: dict[tuple[str, str, str], frozenset[str]] = {}
    until = END_OF_TIME
    if before is not None:
        until = clock.to_microseconds(datetime(before.year, before.month, before.day, tzinfo=zone))
    lines: dict[tuple[str, str], Disclosed] = {}
    current: date | None = None
    for row in disclosures(transaction, member.patient, until):
        day = clock.from_microseconds(row.at).astimezone(zone).date()
        if day != current and lines:
            yield list(lines.values())
            lines = {}
        current = day
        grant = grants.get(row.grant_id)
        is_outline = is_withheld_from and (grant is None or grant.account != reader)
        new = _line(row, grant, day, reader, is_outline=is_outline)
        line = lines.setdefault((row.client_id, "" if grant is None else grant.account), new)
        line.first = row.at
        if is_outline:
            line.kinds[ALL_KINDS] = None
            continue
        line.requests += 1
        line.records += row.resources
        asked = (row.interaction, row.resource_type, row.grant_id)
        if asked not in known:
            known[asked] = kinds_of(row.interaction, row.resource_type, "" if grant is None else grant.scope)
        line.kinds |= dict.fromkeys(known[asked])
    if lines:
        yield list(lines.values())


def _line(row: Row[Any], grant: Row[Any] | None, day: date, reader: str, *, is_outline: bool) -> Disclosed:
    return Disclosed(
        day=day,
        client_id=row.client_id,
        allowed_by="" if grant is None else grant.display_name or "",
        by_reader=grant is not None and grant.account == reader,
        by_representative=row.actor == REPRESENTATIVE,
        by_payer=row.actor == SYSTEM,
        is_outline=is_outline,
        first=row.at,
        last=row.at,
    )


def kinds_of(interaction: str, resource_type: str, scope: str) -> frozenset[str]:
    """What kinds of records an answer held, as titles for people. Of a type whose records belong to several kinds, those that the
    grant's ``scope`` lets the app see; '' : it is not known."""
    visible = list(categories_of(scope)) if scope else list(CONSENT_CATEGORIES)
    definition = RESOURCES.get(resource_type)
    if resource_type == AUDIT_EVENT.type:
        return frozenset((HISTORY_ITSELF,))
    if definition is None or interaction in OF_EVERYTHING:
        return frozenset(category.title for category in visible) if scope else frozenset((ALL_KINDS,))
    slugs = {part.category for part in definition.categories}
    titles = [category.title for category in visible if category.slug in slugs]
    titles = titles or [category.title for category in CONSENT_CATEGORIES if category.slug in slugs]
    return frozenset(titles or [definition.title])


def _named(transaction: Transaction, lines: list[Disclosed]) -> tuple[Disclosed, ...]:
    names: Mapping[str, str] = client_names(transaction, {line.client_id for line in lines})
    for line in lines:
        line.app = names.get(line.client_id, line.client_id)
    return tuple(lines)
