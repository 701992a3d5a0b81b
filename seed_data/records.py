"""Every record of one member: enrolment, claims, prior authorizations, clinical records, and who wrote them.

https://hl7.org/fhir/us/carin-bb/ and https://hl7.org/fhir/us/davinci-pdex/ say what the records have to be."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random
from typing import Literal

from seed_data.account import decide
from seed_data.adjudication import Amounts
from seed_data.authorization_events import cases, event_lines
from seed_data.claim import Setting
from seed_data.clinical.generate import clinical
from seed_data.coverage import Cover, coverages, covers, other_coverage
from seed_data.datatypes import Record
from seed_data.events import event
from seed_data.institutional import institutional
from seed_data.members import ClaimKind, Member
from seed_data.oral import oral
from seed_data.patients import patient, related_person, representative
from seed_data.pharmacy import pharmacy
from seed_data.prior_authorizations import prior_authorizations
from seed_data.professional import professional
from seed_data.provenance import provenance

Detail = Literal["full", "claims"]
"""full: everything; claims: everything but the clinical records."""

TOGETHER = 500
"""Records that one Provenance is of, at most."""

CLAIMS: dict[ClaimKind, Callable[[Setting, Random], Record]] = {
    "inpatient": institutional,
    "outpatient": institutional,
    "professional": professional,
    "oral": oral,
    "pharmacy": pharmacy,
}


def records(member: Member, seed: int, as_of: date, detail: Detail = "full", drugs: bool = False) -> Iterator[Record]:
    """A member's records, each Patient before what refers to it; they depend on these arguments alone. With `drugs` the prior
    authorizations of medicines are among them.

    Raises LookupError when a claim of the row falls on a day without enrolment."""
    draw = Random(f"{seed} {member.key}")
    people, guardian, spells, others = _enrolment(member, draw, as_of)
    decided = decide(member, spells, draw, as_of)
    claims = _claims(member, spells, others, guardian, decided, draw, as_of)
    covered = [cover.record for cover in spells]
    batches = {"enrolment": [*people, *covered, *others.values()], **claims}
    payer = covered[-1]["payor"][0]
    for name, batch in batches.items():
        yield from batch
        for number, first in enumerate(range(0, len(batch), TOGETHER), 1):
            identity = f"{member.key}-{name}" + (f"-{number}" if first else "")
            yield provenance(identity, batch[first : first + TOGETHER], payer)
    yield from prior_authorizations(list(cases(member, covered, seed, as_of, drugs)), as_of)
    if detail == "full" and member.charted:
        yield from clinical(member, seed, as_of)


def decisions(member: Member, seed: int, as_of: date) -> tuple[list[Cover], dict[int, tuple[Amounts, ...]]]:
    """A member's enrolment, and how each claim was decided, by its number from 1: the amounts that the claims' records tell."""
    draw = Random(f"{seed} {member.key}")
    spells = _enrolment(member, draw, as_of)[2]
    return spells, decide(member, spells, draw, as_of)


def authorization_event_lines(member: Member, seed: int, as_of: date, drugs: bool = False) -> Iterator[Record]:
    """What happened to the member's prior authorizations, a line for each event (docs/authorization-events.md)."""
    if member.authorizations:
        covered = coverages(member, Random(f"{seed} {member.key}"), as_of)
        for case in cases(member, covered, seed, as_of, drugs):
            yield from event_lines(case)


def _enrolment(
    member: Member, draw: Random, as_of: date
) -> tuple[list[Record], Record | None, list[Cover], dict[str, Record]]:
    """The member and who acts for them, the guardian among those, the spells, and the Coverages of other carriers."""
    person = patient(member, draw, as_of)
    guardian = related_person(member, draw, as_of) if member.guardian else None
    spells = covers(member, draw, as_of)
    others = _other_coverages(member, draw, as_of)
    further = [representative(member, row, draw, as_of) for row in member.representatives]
    return [person, *([guardian] if guardian else []), *further], guardian, spells, others


def _other_coverages(member: Member, draw: Random, as_of: date) -> dict[str, Record]:
    """The plans of carriers outside this payer, from the first claim that one of them paid first."""
    since: dict[str, int] = {}
    for claim in member.claims:
        if claim.other_payer:
            since[claim.other_payer] = max(claim.days_ago, since.get(claim.other_payer, 0))
    return {payer: other_coverage(member, payer, as_of - timedelta(days=days), draw) for payer, days in since.items()}


def _claims(
    member: Member,
    spells: list[Cover],
    others: dict[str, Record],
    guardian: Record | None,
    decided: dict[int, tuple[Amounts, ...]],
    draw: Random,
    as_of: date,
) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for number, claim in enumerate(member.claims, 1):
        setting = Setting(member, spells, others, guardian, as_of, claim, number, event(claim), decided[number])
        found.setdefault(claim.kind, []).append(CLAIMS[claim.kind](setting, draw))
    return found
