"""For whom an account may act: themself, or members they represent, while their authority lasts.

45 CFR 164.502(g) (personal representatives) and 42 CFR 422.119(a): "the approval of a current enrollee or the enrollee's personal representative"
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from sqlalchemy import Row

from server.authorization.access import PRODUCTION
from server.authorization.enrolment import REASONS, entitlement, today
from server.settings import Settings
from server.specification.registry import MEMBER_TYPE
from server.storage.account_store import MEMBER_OF_ACCOUNT, MEMBERS_OF_ACCOUNT
from server.storage.database import Transaction

SELF, REPRESENTATIVE = "self", "representative"
MINOR, ADULT, CONSENT = "minor", "adult", "consent"
AUTHORITIES = (SELF, MINOR, ADULT, CONSENT)
OF_MINORS = frozenset(("parent", "mother", "father", "guardian", "stepparent", "grandparent", "foster-parent"))
"""Relationships whose authority is over a minor, unless it is said to be another."""
AUTHORITY_ENDED = "authority_ended"
REASONS_OF_AUTHORITY = {
    **REASONS,
    AUTHORITY_ENDED: "The person who allowed the access may not act for the member any more.",
}
"""What apps are told, by code."""


@dataclass(frozen=True, slots=True)
class ActsFor:
    """A member for whom an account may act. ``related_person`` names the actor's record in the member's compartment, or ''.

    ``unavailable``: why nothing of the member can be shared now (``member_disenrolled``, ``line_of_business_not_served``), or ''.
    ``until``: the last day of the authority, ISO, '' when none is set.
    """

    patient: str
    relationship: str
    related_person: str
    name: str
    environment: str
    unavailable: str = ""
    authority: str = SELF
    until: str = ""

    @property
    def actor(self) -> str:
        """self or representative."""
        return SELF if self.relationship == SELF else REPRESENTATIVE

    @property
    def fhir_user(self) -> str:
        """The actor's own record, e.g. ``Patient/1``; '' when a representative has none."""
        return f"{MEMBER_TYPE}/{self.patient}" if self.actor == SELF else self.related_person


def members(transaction: Transaction, settings: Settings, account: str) -> list[ActsFor]:
    """The members an account may act for today, the account's own member first; also those of whom nothing can be shared now."""
    day = today(settings)
    rows = transaction.all(MEMBERS_OF_ACCOUNT, {"account": account})
    return [_acts_for(settings, row, day) for row in rows if _is_in_force(settings, row, day)]


def check_authority(transaction: Transaction, settings: Settings, account: str, patient: str, actor: str) -> str:
    """'' while an account may act for a member as it did, and the member is entitled to the API; else the error code why not.

    ``actor`` is the grant's: self or representative; ``system`` acts for nobody and is always fine. The codes:
    ``authority_ended``, ``member_disenrolled``, ``line_of_business_not_served``. A member's death ends nothing by itself: a personal representative
    goes on (45 CFR 164.502(g)(4)), and the end of the coverage ends the access.
    """
    if actor not in (SELF, REPRESENTATIVE):
        return ""
    day = today(settings)
    row = transaction.first(MEMBER_OF_ACCOUNT, {"account": account, "member": patient})
    if row is None or _actor(row) != actor or not _is_in_force(settings, row, day):
        return AUTHORITY_ENDED
    return entitlement(settings, row.enrolled or "", day)


def default_authority(relationship: str) -> str:
    """The authority that goes with a relationship when none is named."""
    if relationship == SELF:
        return SELF
    return MINOR if relationship in OF_MINORS else CONSENT


def comes_of_age(birth_date: str, age: int) -> str:
    """The day on which a person reaches an age, ISO; '' when the birth date is not known.

    Of a birth date that is only a year or a month, the first day counts; who was born on 29 February comes of age on 1 March of a
    year without that day.
    """
    try:
        born = date.fromisoformat((birth_date + "-01-01"[len(birth_date) - 4 :])[:10])
    except ValueError:
        return ""
    try:
        return born.replace(year=born.year + age).isoformat()
    except ValueError:
        return date(born.year + age, 3, 1).isoformat()


def _actor(row: Row[Any]) -> str:
    return SELF if row.relationship == SELF else REPRESENTATIVE


def _authority(row: Row[Any]) -> str:
    """A representative's row that says self was written before authorities were: its relationship tells."""
    if row.authority == SELF and row.relationship != SELF:
        return default_authority(row.relationship)
    return str(row.authority)


def _is_in_force(settings: Settings, row: Row[Any], day: str) -> bool:
    if row.until and row.until < day:
        return False
    if _authority(row) != MINOR:
        return True
    of_age = comes_of_age(_content(row).get("birthDate", ""), settings.age_of_majority)
    # Without a birth date nobody can see that the member is a minor: then the authority needs an end of its own.
    return day < of_age if of_age else bool(row.until)


def _acts_for(settings: Settings, row: Row[Any], day: str) -> ActsFor:
    return ActsFor(
        patient=row.patient,
        relationship=row.relationship,
        related_person=row.related_person,
        name=_person_name(_content(row)) or f"Member {row.patient}",
        environment=row.environment or PRODUCTION,
        unavailable=entitlement(settings, row.enrolled or "", day),
        authority=_authority(row),
        until=row.until,
    )


def _content(row: Row[Any]) -> dict[str, Any]:
    return orjson.loads(row.body) if row.body else {}


def _person_name(person: dict[str, Any]) -> str:
    """The name people read, of a resource with a ``name``: usual before official before the first (FHIR HumanName)."""
    names = person.get("name", [])
    if not names:
        return ""
    uses = ["usual", "official"]
    name = min(names, key=lambda one: uses.index(one["use"]) if one.get("use") in uses else len(uses))
    return str(name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip())
