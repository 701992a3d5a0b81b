"""The life of a prior authorization: what happened to it and when, and the lines of `authorization_events.ndjson` that tell of it.

The columns are explained in docs/authorization-events.md; 42 CFR 422.122(c) says what is reported from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from random import Random

from seed_data.coverage import coverage_on
from seed_data.datatypes import Record
from seed_data.members import Authorization, Member
from seed_data.scenarios.authorizations import COURSES, REASONS, SERVICES, EventType, Reason, Service, Step

EASTERN = timezone(timedelta(hours=-5))


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of the course on the calendar. `allowed`: the units approved, line by line."""

    event: EventType
    at: datetime
    decision: str
    allowed: tuple[int, ...]
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Use:
    """Units that a claim used, on its day; `claim` is the claim's number, "" when the claim is not the payer's to tell of."""

    day: date
    units: int
    claim: str


@dataclass(frozen=True, slots=True)
class Case:
    """One request with everything that happened to it up to as-of, in order."""

    member: Member
    coverage: Record
    number: int  # of the authorization among the member's, from 1
    row: Authorization
    service: Service
    expedited: bool
    moments: tuple[Moment, ...]
    uses: tuple[Use, ...]

    @property
    def id(self) -> str:
        """The id of the ExplanationOfBenefit."""
        return f"preauthorization-{self.member.key}-{self.number:03d}"

    @property
    def asked(self) -> date:
        return self.moments[0].at.date()

    @property
    def priority(self) -> str:
        return "expedited" if self.expedited else "standard"


def _allowed(service: Service, step: Step) -> tuple[int, ...]:
    last = len(step.twelfths) - 1
    shares = [step.twelfths[min(position, last)] for position in range(len(service.lines))]
    return tuple(
        max(1, line.units * share // 12) if share else 0 for line, share in zip(service.lines, shares, strict=True)
    )


def _moments(row: Authorization, service: Service, expedited: bool, draw: Random, as_of: date) -> tuple[Moment, ...]:
    day = as_of - timedelta(days=row.days_ago)
    received = datetime(day.year, day.month, day.day, 8 + draw.randrange(9), draw.randrange(60), tzinfo=EASTERN)
    found: list[Moment] = []
    for step in COURSES[row.course]:
        hours = step.fast if expedited else step.hours
        minutes = draw.randrange(-55, 56) if hours else 0
        at = received + timedelta(hours=hours, minutes=minutes)
        if found and at.date() > as_of - timedelta(days=2):
            break
        allowed = _allowed(service, step)
        if step.decision == "partially-approved" and allowed == tuple(line.units for line in service.lines):
            raise ValueError(
                f"{row.scenario} is too small to be approved in part: give it another course than {row.course}"
            )
        found.append(Moment(step.event, at, step.decision, allowed, REASONS[step.reason] if step.reason else None))
    return tuple(found)


def _uses(member: Member, number: int, row: Authorization, moments: tuple[Moment, ...], as_of: date) -> tuple[Use, ...]:
    """What of the approved units was used: by the claims that name the authorization, or as its row says."""
    approved = [moment for moment in moments if any(moment.allowed)]
    if not approved:
        return ()
    left, start = approved[-1].allowed[0], approved[-1].at.date()
    claims = [
        (as_of - timedelta(days=claim.days_ago), claim_number)
        for claim_number, claim in enumerate(member.claims, 1)
        if claim.authorization == number and not claim.replaced_by and claim.payment != "denied" and not claim.reversed
    ]
    if row.used is None:
        return tuple(Use(day, 1, f"CLM{member.serial}{serial:05d}") for day, serial in sorted(claims)[:left])
    days = [start + timedelta(days=3 * step) for step in range(1, min(row.used, left) + 1)]
    return tuple(Use(day, 1, "") for day in days if day <= as_of - timedelta(days=2))


def cases(member: Member, coverages: list[Record], seed: int, as_of: date, drugs: bool = False) -> Iterator[Case]:
    """The member's requests; those for medicines only with `drugs`. They depend on seed, as-of and member alone."""
    for number, row in enumerate(member.authorizations, 1):
        service = SERVICES[row.scenario]
        if service.drug and not drugs:
            continue
        draw = Random(f"{seed} {member.key} authorization {number}")
        expedited = service.expedited if row.expedited is None else row.expedited
        moments = _moments(row, service, expedited, draw, as_of)
        coverage = coverage_on(coverages, as_of - timedelta(days=row.days_ago))
        uses = _uses(member, number, row, moments, as_of)
        yield Case(member, coverage, number, row, service, expedited, moments, uses)


def _item(case: Case, position: int, moment: Moment) -> Record:
    line = case.service.lines[position]
    system, code = line.code
    found: Record = {"system": system, "code": code, "text": line.text, "unitsRequested": line.units}
    return {**found, "unitsApproved": moment.allowed[position]} if moment.decision else found


def event_lines(case: Case) -> Iterator[Record]:
    """The lines of one request, oldest first, one for each thing that happened."""
    for number, moment in enumerate(case.moments, 1):
        line: Record = {
            "eventType": moment.event,
            "id": f"{case.id}-{number}",
            "at": moment.at.isoformat(),
            "authorization": case.id,
            "authorizationNumber": case.member.authorization_number(case.number),
            "member": case.member.id,
            "coverage": case.coverage["id"],
            "priority": case.priority,
            "drug": case.service.drug,
        }
        if moment.decision:
            line["decision"] = moment.decision
        if moment.reason:
            line["reason"] = {
                "system": "https://codesystem.x12.org/external/886",
                "code": moment.reason.review,
                "text": moment.reason.text,
            }
        line["items"] = [_item(case, position, moment) for position in range(len(case.service.lines))]
        yield line
