"""The rows of a member's life: who they are, how they were enrolled, what ails them, and what it left behind.

Every day is counted in days before as-of, so that a row tells the same story on any as-of date. Hand-written personas
(`seed_data.personas`) and drawn lives (`seed_data.lives`) are the same rows; claims and clinical records are both made from them.
https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Patient.html"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

ClaimKind = Literal["inpatient", "outpatient", "professional", "oral", "pharmacy"]
Payment = Literal["paid", "denied", "partiallypaid"]
Plan = Literal["advantage-001", "advantage-002", "medicaid", "chip", "marketplace", "marketplace-bronze"]


@dataclass(frozen=True, slots=True)
class Spell:
    """One enrolment spell in a plan, first and last day included.

    `learned`: the day the payer was told, when that was long after `since` (a retroactive enrolment); else a few days after."""

    plan: Plan
    since: int
    until: int | None = None  # None: enrolled still
    learned: int | None = None


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A condition of the member's: a row of `seed_data.conditions.CONDITIONS`, from when, and till when if it is over."""

    condition: str
    since: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of a member's story, and the visit, stay or fill that it bills: what happened and how the payer answered.

    `scenario` is a row of the claim type's catalogue (VISITS, INPATIENT, OUTPATIENT, SITTINGS, DRUGS). `replaces` and
    `replaced_by` count claims of the same member from 1; a claim with `replaced_by` was followed by another of the same event."""

    kind: ClaimKind
    scenario: str
    days_ago: int
    payment: Payment = "paid"
    in_network: bool = True
    replaces: int = 0
    replaced_by: int = 0
    reversed: bool = False  # taken back, and nothing came in its place: a medicine that nobody collected
    conditions: tuple[str, ...] = ()  # rows of CONDITIONS it was for, when not those of the scenario
    practitioner: str = ""  # a row of the directory, when not the scenario's own
    provider: str = ""  # a row of the directory's organizations, when not the scenario's own
    capitated: bool = False  # the practice has a monthly fee for the member, and is paid nothing for this visit
    other_payer: str = ""  # a payer of the directory outside this one that paid first
    primary: int = (
        0  # the number of the member's claim, under another plan of this payer, that was paid before this one
    )
    authorization: int = 0  # the number, from 1, of the member's authorization that allowed it
    refill: int | None = None  # which refill of a medicine it was, when not as the scenario says
    security: str = ""  # v3-ActCode of a sensitive matter, written to meta.security, when not that of its conditions
    refusal: str = (
        ""  # a row of REASONS (`seed_data.adjudication`): why it was not paid, or not wholly, when not as usual
    )


@dataclass(frozen=True, slots=True)
class Unbilled:
    """A visit that left no claim behind: planned (days_ago below zero), called off, or paid for by somebody else."""

    scenario: str
    days_ago: int
    conditions: tuple[str, ...] = ()
    practitioner: str = ""
    provider: str = ""
    status: Literal["planned", "finished", "cancelled"] = "finished"


@dataclass(frozen=True, slots=True)
class Authorization:
    """One prior authorization: what became of the request (a row of COURSES), for what (a row of SERVICES), asked for when.

    Both are in `seed_data.scenarios.authorizations`. Its units are used by the claims that name it, unless `used` says how many."""

    course: str
    scenario: str
    days_ago: int
    expedited: bool | None = None  # None: as the service says
    used: int | None = None
    renews: int = 0  # the number, from 1, of the member's authorization that it follows


@dataclass(frozen=True, slots=True)
class Representative:
    """A person who acts for a member, other than the guardian of a child: what they are to the member, and by what right.

    `role` is the relationship in v3-RoleCode; `authority` and `until` (the last day, None: open) are the payer's own knowledge."""

    person: "Member"  # a row, which need not be a member
    relationship: str
    role: str
    authority: Literal["minor", "adult", "consent"]
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `number` is unique within `series` ("" for personas, the seed for drawn lives); `key` is unique everywhere.

    Enrolment is either `spells`, or `plans` by calendar years: the last one is the current one, each earlier one ended with the
    year before it."""

    number: int
    key: str
    given: tuple[str, ...]
    family: str
    gender: Literal["female", "male"]
    birth_date: date
    story: str
    plans: tuple[Plan, ...]
    race: tuple[str, str]  # OMB category code and its name
    line: str
    city: str
    postal_code: str
    hispanic: bool = False
    language: str = "en"
    claims: tuple[Claim, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    guardian: "Member | None" = None  # who acts for a child; a row, which need not be a member
    died_days_ago: int = 0
    member_id: str = ""
    series: str = ""
    spells: tuple[Spell, ...] = ()
    conditions: tuple[Diagnosed, ...] = ()
    visits: tuple[Unbilled, ...] = ()
    primary_care: str = ""  # the practitioner the member returns to; "" as the scenario says
    representatives: tuple[Representative, ...] = ()
    charted: bool = True  # False: the payer keeps claims, and no clinical records

    @property
    def parent(self) -> str:
        """The key of the guardian, or "" when the member acts alone."""
        return self.guardian.key if self.guardian else ""

    @property
    def id(self) -> str:
        return f"member-{self.key}"

    @property
    def name(self) -> str:
        return f"{self.given[0]} {self.family}"

    @property
    def serial(self) -> str:
        """The digits that claim, authorization and account numbers begin with: unique among all members of all series."""
        return f"{self.series}{self.number:06d}" if self.series else f"{self.number:04d}"

    @property
    def card_number(self) -> str:
        """What the member's card says, the MB identifier."""
        if self.member_id:
            return self.member_id
        return f"MHP{self.series}{self.number:06d}"

    @property
    def person(self) -> str:
        """The enterprise person, the um identifier."""
        return f"P{self.series}{self.number * 7919:08d}"

    def authorization_number(self, number: int) -> str:
        """What the payer calls the member's authorization of that number, from 1; a claim under it names it (preAuthRef)."""
        return f"AUTH{self.serial}{number:03d}"
