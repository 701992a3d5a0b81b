"""The personas: members written by hand, one row each, who they are and what their story is, and their sign-ins.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Patient.html; `answers` says what a correct app shows of each."""

from seed_data.members import Member
from seed_data.personas.authorization_stories import AUTHORIZATION_STORIES
from seed_data.personas.claim_stories import CLAIM_STORIES, FIVE_THOUSAND
from seed_data.personas.first import FIRST
from seed_data.personas.life_stories import LIFE_STORIES
from seed_data.personas.sign_ins import Login, logins

__all__ = ["EVERYONE", "FIVE_THOUSAND", "LOGINS", "MEMBER", "MEMBERS", "Login"]

MEMBERS: tuple[Member, ...] = (*FIRST, *AUTHORIZATION_STORIES, *CLAIM_STORIES, *LIFE_STORIES)
"""All but the one with thousands of claims."""

EVERYONE: tuple[Member, ...] = (*MEMBERS, FIVE_THOUSAND)

MEMBER: dict[str, Member] = {member.key: member for member in EVERYONE}

LOGINS: tuple[Login, ...] = logins(EVERYONE)
