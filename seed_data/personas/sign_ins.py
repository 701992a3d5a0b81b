"""The sandbox's accounts: members who sign in themselves, and people who act for members.

45 CFR 164.502(g) (personal representatives)"""

from collections.abc import Iterator
from dataclasses import dataclass

from seed_data.members import Member
from seed_data.patients import related_person_id

WITHOUT_ACCOUNT = {"silva-rowe-luz", "okonjo-amara", "okonjo-kofi", "okonjo-esi"}
"""Children who do not sign in themselves."""


@dataclass(frozen=True, slots=True)
class ActsFor:
    """A member whom an account acts for. `authority` is self, minor, adult or consent; `until` its last day in ISO, or ''."""

    patient: str
    relationship: str = "self"
    related_person: str = ""
    authority: str = "self"
    until: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """One sandbox sign-in: a username, its password, and the members it may choose from at launch."""

    username: str
    password: str
    display_name: str
    acts_for: tuple[ActsFor, ...]

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """Patient ids, each with the relationship to it."""
        return tuple((row.patient, row.relationship) for row in self.acts_for)


def logins(members: tuple[Member, ...]) -> tuple[Login, ...]:
    """The accounts of these members and of those who act for them, members first."""
    own = {member.key for member in members}
    others = {person.key: person for member in members for person in _people(member) if person.key not in own}
    people = [member for member in members if member.key not in WITHOUT_ACCOUNT] + list(others.values())
    return tuple(
        Login(person.key, f"{person.key}-sandbox", person.name, tuple(_acts_for(person, members))) for person in people
    )


def _people(member: Member) -> Iterator[Member]:
    if member.guardian:
        yield member.guardian
    for row in member.representatives:
        yield row.person


def _acts_for(person: Member, members: tuple[Member, ...]) -> Iterator[ActsFor]:
    if any(member is person for member in members):
        yield ActsFor(person.id)
    for member in members:
        if member.guardian is person:
            yield ActsFor(member.id, "parent", related_person_id(person, member), "minor")
        for row in member.representatives:
            if row.person is person:
                until = row.until.isoformat() if row.until else ""
                yield ActsFor(member.id, row.relationship, related_person_id(person, member), row.authority, until)
