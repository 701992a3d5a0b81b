"""42 CFR 422.122(c): events of prior authorizations are loaded once, kept for ever, and refused with what is wrong."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest

from seed_data.authorization_events import cases, event_lines
from seed_data.coverage import coverages
from seed_data.generate import AS_OF, SEED, resources
from seed_data.ndjson import json_text
from seed_data.personas import MEMBERS
from server.ingest.authorization_events import COLUMNS, TYPE
from server.ingest.report import Outcome
from server.storage.authorization_events import VisibleEvent
from server.storage.population import Population
from tests.ingest.store import Store, outcomes, reasons, without

EXPLANATION = "ExplanationOfBenefit"
FOREVER = 2**62


def a_received(**columns: Any) -> dict[str, Any]:
    return {
        "eventType": "received",
        "id": "authorization-1-1",
        "at": "2026-03-02T14:05:00-05:00",
        "authorization": "authorization-1",
        "member": "member-1",
        "coverage": "coverage-1",
        "priority": "standard",
        "items": [{"system": "http://www.ama-assn.org/go/cpt", "code": "97110", "unitsRequested": 12}],
        **columns,
    }


def a_denial(**columns: Any) -> dict[str, Any]:
    return a_received(
        **{
            "eventType": "decided",
            "id": "authorization-1-2",
            "at": "2026-03-05T09:00:00Z",
            "decision": "denied",
            "reason": {"text": "Not shown to be needed"},
            **columns,
        }
    )


def stored(store: Store, since: int = 0, until: int = FOREVER) -> list[VisibleEvent]:
    with store.database.reading() as transaction:
        return list(Population(transaction).authorization_events(EXPLANATION, since, until))


def test_an_event_is_stored_as_it_came_and_a_second_load_changes_nothing(store: Store) -> None:
    first = store.load(a_received(), a_denial(authorizationNumber="AUTH1", drug=True))
    assert (first.counts[TYPE, Outcome.CREATED], first.exit_code) == (2, 0)
    received, denial = (row.event for row in stored(store))
    assert received.at == 1_772_478_300_000_000
    assert received.items == '[{"system":"http://www.ama-assn.org/go/cpt","code":"97110","unitsRequested":12}]'
    assert (received.patient, received.coverage_id, received.unit, received.priority) == (
        "member-1", "coverage-1", None, "standard",
    )  # fmt: skip
    assert (denial.decision, denial.reason_text, denial.authorization_number, denial.drug) == (
        "denied", "Not shown to be needed", "AUTH1", True,
    )  # fmt: skip
    again = store.load(a_received(), a_denial(authorizationNumber="AUTH1", drug=True))
    assert outcomes(again) == {"unchanged": 2}
    assert len(stored(store)) == 2


def test_the_same_line_twice_in_one_file_is_stored_once(store: Store) -> None:
    assert outcomes(store.load(a_received(), a_received())) == {"created": 1, "unchanged": 1}


def test_events_are_known_by_their_shape_whatever_the_file_is_called_and_beside_resources(store: Store) -> None:
    patient = {"resourceType": "Patient", "id": "member-1"}
    text = "\n".join(json.dumps(value) for value in (patient, a_received(), a_denial()))
    report = store.load_text(gzip.compress(text.encode()), "everything.gz")
    assert report.counts["Patient", Outcome.CREATED] == 1
    assert report.counts[TYPE, Outcome.CREATED] == 2


def test_one_event_in_a_file_of_its_own_may_be_written_over_several_lines(store: Store) -> None:
    assert outcomes(store.load_text(json.dumps(a_received(), indent=2))) == {"created": 1}


def test_an_event_never_changes_and_a_correction_is_a_new_one(store: Store) -> None:
    store.load(a_received())
    report = store.load(a_received(priority="expedited"))
    assert reasons(report) == [
        "input.json: AuthorizationEvent/authorization-1-1: id is stored with other content"
        " -> An event never changes: send a new one with corrects authorization-1-1."
    ]
    assert store.load(a_received(id="c-1", priority="expedited", corrects="authorization-1-1")).exit_code == 0
    assert [row.event.corrects for row in stored(store)] == ["", "authorization-1-1"]


def test_a_correction_of_nothing_stored_or_of_another_authorization_is_rejected(store: Store) -> None:
    unknown = store.load(a_received(corrects="nowhere"))
    assert "corrects names no event that is stored -> Load the event that it corrects first." in reasons(unknown)[0]
    store.load(a_received())
    other = store.load(a_received(id="c-1", authorization="authorization-2", corrects="authorization-1-1"))
    assert "corrects names an event of another authorization" in reasons(other)[0]
    assert len(stored(store)) == 1


def test_an_event_that_never_happened_is_taken_back_by_another(store: Store) -> None:
    lonely = store.load(a_received(eventType="entered-in-error"))
    assert "corrects is missing" in reasons(lonely)[0]
    both = store.load(
        a_received(), a_received(eventType="entered-in-error", id="authorization-1-9", corrects="authorization-1-1")
    )
    assert outcomes(both) == {"created": 2}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("eventType", "granted", "eventType is not known -> Use one of received, "),
        ("id", "no spaces please", "id is not an id -> An id has 1 to 64"),
        ("id", None, "id is missing"),
        ("authorization", None, "authorization is missing"),
        ("member", 7, "member is not an id"),
        ("at", "2026-03-02", "at is not an instant with its zone -> Write date, time and zone"),
        ("at", "2026-03-02T14:05:00", "at is not an instant with its zone"),
        ("at", "2026-02-30T14:05:00Z", "at is no such moment"),
        ("at", None, "at is missing"),
        ("priority", None, "priority is missing -> Use one of standard, expedited."),
        ("coverage", None, "coverage is missing -> Name the Coverage, or give the reporting unit as unit."),
        ("unit", {"contract": "H1234"}, "unit is not a reporting unit -> Write line_of_business"),
        ("unit", {"line_of_business": "qhp", "issuer": 48213}, "unit is not a reporting unit"),
        ("drug", "yes", "drug is not true or false"),
        ("decision", "denied", "decision belongs to no such event"),
        ("reason", "no", "reason is not an object of texts"),
        ("reason", {"words": "no"}, "reason has a name that is not known"),
        ("items", {}, "items is not a list"),
        ("items", [{"text": "Visits"}], "items[0].code is missing"),
        ("items", [{"code": "97110", "price": 1}], "items[0] is not an item"),
        ("items", [{"code": "97110", "unitsRequested": -1}], "items[0].unitsRequested is not a count"),
        ("items", [{"code": "1", "unitsRequested": 8, "unitsApproved": 9}], "items[0].unitsApproved is more than"),
        ("authorizationNumber", 12, "authorizationNumber is not text"),
        ("colour", "blue", "has a column that is not known -> Use only eventType, id, at"),
        ("authorizationNumber", "\ud800", "cannot be written as JSON"),
    ],
)
def test_a_wrong_column_is_rejected_with_what_and_how_to_fix_it(
    column: str, value: Any, reason: str, store: Store
) -> None:
    wrong = without(a_received(), column) if value is None else a_received(**{column: value})
    report = store.load(a_received(id="good"), wrong)
    (told,) = reasons(report)
    assert told.startswith("input.json, line 2: AuthorizationEvent")
    assert reason in told
    assert [row.event.id for row in stored(store)] == ["good"]


def test_a_decision_must_be_told_and_a_denial_must_give_its_reason(store: Store) -> None:
    report = store.load(without(a_denial(), "decision"), a_denial(reason={"code": "0K"}))
    assert "decision is missing -> Use one of approved, partially-approved, denied." in reasons(report)[0]
    assert "reason is missing -> A denial, also in part, has a specific reason" in reasons(report)[1]


def test_an_event_may_name_its_reporting_unit_itself(store: Store) -> None:
    unit = {"line_of_business": "medicare-advantage", "contract": "H1234"}
    store.load({**without(a_received(), "coverage"), "unit": unit}, {**a_denial(), "unit": unit})
    first, second = stored(store)
    assert first.event.unit == second.event.unit
    assert first.event.unit is not None
    assert (first.event.unit.contract, first.event.unit.state) == ("H1234", "")
    assert len(store.rows("reporting_unit")) == 1


def test_events_of_a_time_are_given_by_authorization_in_order(store: Store) -> None:
    store.load(a_denial(), a_received(id="x", authorization="another"), a_received())
    assert [row.event.id for row in stored(store)] == ["x", "authorization-1-1", "authorization-1-2"]
    march_5 = 1_772_668_800_000_000
    assert [row.event.id for row in stored(store, since=march_5)] == ["authorization-1-2"]
    assert [row.event.id for row in stored(store, until=march_5)] == ["x", "authorization-1-1"]


def explanation(last_updated: str, **more: Any) -> dict[str, Any]:
    (found,) = (
        record
        for record in _seeded()
        if record["resourceType"] == EXPLANATION and record["id"] == "preauthorization-abernathy-004"
    )
    return {**found, "id": "authorization-1", "meta": {**found["meta"], "lastUpdated": last_updated}, **more}


def _seeded() -> list[dict[str, Any]]:
    return [json.loads(json_text(record)) for record in resources() if record["resourceType"] == EXPLANATION]


def test_an_event_is_visible_from_the_first_load_of_a_version_that_is_not_older(store: Store) -> None:
    patient = "member-abernathy"
    store.load(a_received(member=patient), a_denial(member=patient))
    assert [row.visible_at for row in stored(store)] == [None, None]
    store.load(explanation("2026-03-02T14:30:00-05:00"))
    requested = store.row(f"{EXPLANATION}/authorization-1").loaded_at
    assert [row.visible_at for row in stored(store)] == [requested, None]
    store.load(explanation("2026-03-05T10:00:00Z", disposition="Denied"))
    denied = store.row(f"{EXPLANATION}/authorization-1").loaded_at
    assert [row.visible_at for row in stored(store)] == [requested, denied]
    assert denied > requested


def test_a_version_that_was_another_members_does_not_make_an_event_visible(store: Store) -> None:
    store.load(a_received(member="somebody-else"), explanation("2026-03-02T14:30:00-05:00"))
    assert [row.visible_at for row in stored(store)] == [None]


def test_the_seeded_events_load_and_the_measures_can_be_computed_from_them(store: Store) -> None:
    lines = [
        line
        for member in MEMBERS
        for case in cases(member, coverages(member, Random(1), AS_OF), SEED, AS_OF)
        for line in event_lines(case)
    ]
    report = store.load(*lines)
    assert outcomes(report) == {"created": len(lines)}
    by_authorization = defaultdict(list)
    for row in stored(store):
        by_authorization[row.event.authorization].append(row.event)
    decided: Counter[str] = Counter()
    days = []
    for events in by_authorization.values():
        assert events[0].event_type == "received"
        for found in events:
            decided[found.decision] += found.decision != ""
            if found.event_type == "decided" and found.priority == "standard":
                days.append((found.at - events[0].at) / 86_400_000_000)
    assert decided["approved"] > 0
    assert decided["denied"] > 0
    assert 0 < median(days) <= 7


def test_every_column_of_the_documentation_exists_and_the_reverse() -> None:
    page = (Path(__file__).parents[2] / "docs" / "authorization-events.md").read_text("utf-8")
    documented = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert [name for name in documented if name in COLUMNS] == list(COLUMNS)
