"""What the payer says of a prior authorization at each moment of its life: the review action, the units, and plain words.

https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-extension-reviewAction.html"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from seed_data.authorization_events import EASTERN, Case, Moment
from seed_data.scenarios.authorizations import Reason

ACTIONS = {"approved": "A1", "partially-approved": "A2", "denied": "A3"}
NONE, PENDED, DENIED, CANCELLED = "", "A4", "A3", "C"


@dataclass(frozen=True, slots=True)
class State:
    """What the payer says of a request at a moment: the review action and its date, and the units it allows and were used."""

    at: datetime
    action: str = NONE
    decided: date | None = None  # the day of the review action
    allowed: tuple[int, ...] = ()
    reason: Reason | None = None
    words: str = "We have the request. You will hear from us within the time the law gives us."
    used: int = 0
    claims: tuple[str, ...] = ()
    status: str = "active"
    letter: bool = False

    @property
    def is_decided(self) -> bool:
        return self.action in {"A1", "A2", "A3"}

    @property
    def outcome(self) -> str:
        """`complete` once every line has its answer, also when that is approval in part."""
        return "complete" if self.is_decided or self.action == CANCELLED else "queued"


def said(day: date) -> str:
    return f"{day:%B} {day.day}, {day.year}"


def _after(case: Case, before: State, moment: Moment) -> State:
    """The state that a moment leads to."""
    day, at, letter = moment.at.date(), moment.at, before.letter
    nothing = (0,) * len(case.service.lines)
    match moment.event:
        case "received":
            return State(at, allowed=nothing)
        case "information-requested":
            text = moment.reason.text if moment.reason else "More information asked for"
            words = f"We cannot decide yet. {text}. Your doctor has been told what to send."
            return State(at, PENDED, day, nothing, moment.reason, words, letter=letter)
        case "extended":
            words = "We need more time to decide, at most 14 more days, because that may be in your interest."
            return State(at, PENDED, day, nothing, before.reason, words, letter=letter)
        case "appealed":
            words = f"{before.words} You asked on {said(day)} for this to be looked at again, and we are doing that."
            return State(at, before.action, before.decided, before.allowed, before.reason, words, letter=letter)
        case "cancelled":
            words = f"Cancelled on {said(day)}, because your doctor took the request back."
            return State(at, CANCELLED, day, nothing, words=words, status="cancelled", letter=letter)
        case _:
            words = _decision(case, moment)
            return State(at, ACTIONS[moment.decision], day, moment.allowed, moment.reason, words, letter=True)


def _decision(case: Case, moment: Moment) -> str:
    again = "After your appeal: " if moment.event == "appeal-decided" else ""
    reason = moment.reason.text if moment.reason else ""
    if moment.decision == "approved":
        return f"{again}Approved. You can have this care from the provider named."
    if moment.decision == "denied":
        further = "You can ask for a review by somebody outside the plan." if again else (
            "Your doctor can send more, or you can appeal within 60 days."
        )  # fmt: skip
        return f"{again}Denied. {reason}. {further}"
    rows = zip(case.service.lines, moment.allowed, strict=True)
    parts = [f"{line.text}: {allowed} of {line.units} approved" for line, allowed in rows]
    return f"{again}Partly approved. {'; '.join(parts)}. {reason}. Your doctor can ask for more later."


def valid_until(case: Case, state: State) -> date:
    assert state.decided is not None
    return state.decided + timedelta(days=case.service.days_valid)


def states(case: Case, as_of: date) -> Iterator[State]:
    """Every state of a request in order: after each thing that happened, each use of its units, and its expiry."""
    last_day = as_of - timedelta(days=2)
    state = State(case.moments[0].at)
    steps: list[tuple[datetime, Moment | None]] = [(moment.at, moment) for moment in case.moments]
    steps += [(datetime.combine(use.day, time(17), EASTERN), None) for use in case.uses]
    uses = iter(case.uses)
    for at, moment in sorted(steps, key=lambda step: step[0]):
        if moment is not None:
            state = _after(case, state, moment)
        else:
            use = next(uses)
            claims = (*state.claims, use.claim) if use.claim else state.claims
            state = _with(state, at, used=state.used + use.units, claims=claims)
        yield state
    if any(state.allowed) and valid_until(case, state) < last_day:
        over = valid_until(case, state)
        left = sum(state.allowed) - state.used
        if left:
            words = f"Ended on {said(over)} with {left} of {sum(state.allowed)} not used. Your doctor can ask again."
            yield _with(state, datetime.combine(over + timedelta(days=1), time(1), EASTERN), words=words)


def _with(state: State, at: datetime, used: int | None = None, claims: tuple[str, ...] = (), words: str = "") -> State:
    return State(
        at, state.action, state.decided, state.allowed, state.reason, words or state.words,
        state.used if used is None else used, claims or state.claims, state.status, state.letter,
    )  # fmt: skip
