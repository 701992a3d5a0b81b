"""The life of a prior authorization: every course, its records over time, and the events that tell the same story."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from seed_data.authorization_documents import documents
from seed_data.authorization_events import Case, cases, event_lines
from seed_data.authorization_states import states
from seed_data.coverage import coverages
from seed_data.dataset import Order, block
from seed_data.generate import AS_OF, EVENTS, SEED
from seed_data.members import Authorization, Claim, Member
from seed_data.personas import MEMBER
from seed_data.prior_authorizations import history, prior_authorizations
from seed_data.scenarios.authorizations import COURSES, SERVICES

Record = dict[str, Any]
CLINICAL = {"QuestionnaireResponse", "DocumentReference"}


def a_member(*rows: Authorization, claims: tuple[Claim, ...] = ()) -> Member:
    return replace(MEMBER["abernathy"], authorizations=rows, claims=claims)


def covered(member: Member, as_of: date = AS_OF) -> list[Record]:
    return coverages(member, Random("coverage"), as_of)


def a_case(
    course: str, service: str = "therapy", days_ago: int = 90, claims: tuple[Claim, ...] = (), **more: Any
) -> Case:
    member = a_member(Authorization(course, service, days_ago, **more), claims=claims)
    (found,) = cases(member, covered(member), SEED, AS_OF)
    return found


def current(case: Case) -> Record:
    return list(history(case, AS_OF))[-1][1]


def every_case() -> Iterator[Case]:
    for course in COURSES:
        for service, row in SERVICES.items():
            small = all(line.units == 1 for line in row.lines)
            if not row.drug and not (course == "partial" and small):
                for expedited in (False, True):
                    yield a_case(course, service, expedited=expedited)


def category(element: Record) -> str:
    code: str = element["category"]["coding"][0]["code"]
    return code


def walk(value: Any) -> Iterator[Record]:
    if isinstance(value, dict):
        yield value
        for found in value.values():
            yield from walk(found)
    elif isinstance(value, list):
        for found in value:
            yield from walk(found)


def action(adjudication: list[Record]) -> str:
    for node in walk(adjudication[0].get("extension", [])):
        if str(node.get("url", "")).endswith("extension-reviewActionCode"):
            code: str = node["valueCodeableConcept"]["coding"][0]["code"]
            return code
    return ""


def values(item: Record) -> dict[str, int]:
    return {category(a): int(a["value"]) for a in item["adjudication"] if "value" in a}


def test_every_state_of_every_course_is_a_valid_record_of_the_same_id() -> None:
    model = get_fhir_model_class("ExplanationOfBenefit")
    for case in every_case():
        for _, record in history(case, AS_OF):
            assert record["id"] == case.id
            model.model_validate(record)


def test_the_moments_of_a_history_and_their_last_updated_go_forward_and_lie_before_as_of() -> None:
    for case in every_case():
        found = list(history(case, AS_OF))
        assert len(found) >= len(case.moments)
        for (at, earlier), (later_at, later) in pairwise(found):
            assert at < later_at
            assert datetime.fromisoformat(earlier["meta"]["lastUpdated"]) < datetime.fromisoformat(
                later["meta"]["lastUpdated"]
            )
        for at, record in found:
            assert at < datetime.fromisoformat(record["meta"]["lastUpdated"])
            assert datetime.fromisoformat(record["meta"]["lastUpdated"]).date() < AS_OF


def test_an_answer_and_its_date_always_have_a_host_with_an_amount() -> None:
    for case in every_case():
        for _, record in history(case, AS_OF):
            for host in [record["adjudication"], *(item["adjudication"] for item in record["item"])]:
                assert "amount" in host[0]
                urls = {e["url"].rsplit("/", 1)[-1] for e in host[0].get("extension", [])}
                assert urls in (set(), {"extension-reviewAction", "base-ext-when-adjudicated"})
                assert all("extension" not in other for other in host[1:])


@pytest.mark.parametrize(
    ("course", "service", "expected"),
    [
        ("requested", "therapy", ("", "queued", "active")),
        ("pended", "therapy", ("A4", "queued", "active")),
        ("in-extension", "therapy", ("A4", "queued", "active")),
        ("approved", "therapy", ("A1", "complete", "active")),
        ("partial", "therapy", ("A2", "complete", "active")),
        ("denied", "imaging", ("A3", "complete", "active")),
        ("appealed", "imaging", ("A3", "complete", "active")),
        ("overturned", "imaging", ("A1", "complete", "active")),
        ("upheld", "imaging", ("A3", "complete", "active")),
        ("extended", "surgery", ("A1", "complete", "active")),
        ("cancelled", "therapy", ("C", "complete", "cancelled")),
        ("withdrawn", "therapy", ("C", "complete", "cancelled")),
    ],
)
def test_each_course_ends_in_its_own_action_outcome_and_status(
    course: str, service: str, expected: tuple[str, str, str]
) -> None:
    record = current(a_case(course, service))
    assert (action(record["adjudication"]), record["outcome"], record["status"]) == expected


def test_a_partial_approval_allows_eight_of_twelve_and_says_why_not_more() -> None:
    record = current(a_case("partial"))
    (item,) = record["item"]
    assert item["quantity"]["value"] == 12
    assert values(item) == {"allowedunits": 8, "consumedunits": 0}
    reason = next(a for a in item["adjudication"] if category(a) == "denialreason")["reason"]
    assert reason["coding"][0]["system"].startswith("https://x12.org/codes/")
    assert reason["text"] in record["disposition"]
    assert "8 of 12" in record["disposition"]


def test_a_request_of_two_lines_can_be_approved_for_one_and_denied_for_the_other() -> None:
    surgery, visits = current(a_case("partial", "surgery"))["item"]
    assert action(surgery["adjudication"]) == "A2"
    assert values(surgery)["allowedunits"] == 1
    assert action(visits["adjudication"]) == "A3"
    assert values(visits) == {}


def test_a_denial_gives_its_reason_as_a_code_and_in_plain_words() -> None:
    for course in ("denied", "denied-not-covered", "denied-late", "upheld", "appealed"):
        record = current(a_case(course, "imaging"))
        for host in [record["adjudication"], *(item["adjudication"] for item in record["item"])]:
            reason = next(a for a in host if category(a) == "denialreason")["reason"]
            assert reason["coding"][0]["code"]
            assert reason["text"] in record["processNote"][0]["text"]


def test_what_is_not_wholly_approved_can_never_be_more_than_was_asked_for() -> None:
    for case in every_case():
        for state in states(case, AS_OF):
            asked = [line.units for line in case.service.lines]
            assert all(0 <= allowed <= units for allowed, units in zip(state.allowed, asked, strict=True))
            assert 0 <= state.used <= sum(state.allowed)
            assert (state.action in {"A1", "A2"}) == any(state.allowed)


def test_the_claims_that_name_an_authorization_use_its_units_and_are_named_by_it() -> None:
    visits = tuple(Claim("outpatient", "clinic", 70 - 5 * n, authorization=1) for n in range(4))
    unrelated = (Claim("outpatient", "clinic", 9), Claim("outpatient", "clinic", 12, "denied", authorization=1))
    case = a_case("partial", claims=visits + unrelated)
    record = current(case)
    assert values(record["item"][0]) == {"allowedunits": 8, "consumedunits": 4}
    named = [row["reference"]["value"] for row in record["related"]]
    assert named == [f"CLM{case.member.serial}{number:05d}" for number in (1, 2, 3, 4)]
    assert {category(row) for row in record["total"]} == {"eligible", "utilized"}
    consumed = [values(version["item"][0]).get("consumedunits", 0) for _, version in history(case, AS_OF)]
    assert consumed == sorted(consumed)
    assert set(consumed) == {0, 1, 2, 3, 4}


def test_more_claims_than_units_use_no_more_than_the_units_there_are() -> None:
    visits = tuple(Claim("outpatient", "clinic", 80 - 3 * n, authorization=1) for n in range(11))
    assert values(current(a_case("partial", claims=visits))["item"][0])["consumedunits"] == 8


def test_a_row_may_say_how_much_was_used() -> None:
    assert values(current(a_case("approved", used=6))["item"][0]) == {"allowedunits": 12, "consumedunits": 6}


def test_an_approval_that_nobody_used_in_time_says_when_it_ended() -> None:
    record = current(a_case("approved", "imaging", days_ago=150))
    (valid,) = record["preAuthRefPeriod"]
    assert date.fromisoformat(valid["end"]) < AS_OF
    assert record["disposition"].startswith("Ended on ")
    assert "1 of 1 not used" in record["disposition"]
    assert current(a_case("approved", "imaging", days_ago=30))["disposition"].startswith("Approved.")


def test_an_approval_that_follows_another_names_the_number_of_the_first() -> None:
    member = a_member(
        Authorization("approved", "therapy", 150, used=12), Authorization("approved", "therapy", 20, renews=1)
    )
    first, second = cases(member, covered(member), SEED, AS_OF)
    numbers = [
        node["valueString"]
        for case in (first, second)
        for node in current(case)["item"][0]["extension"]
        if node["url"].endswith("extension-authorizationNumber")
    ]
    assert numbers == [f"{member.authorization_number(1)}-1"] * 2
    assert current(second)["preAuthRef"] == [member.authorization_number(2)]


def test_a_medicine_is_left_out_unless_asked_for() -> None:
    member = a_member(Authorization("approved", "infusion", 60), Authorization("approved", "therapy", 60))
    assert [case.number for case in cases(member, covered(member), SEED, AS_OF)] == [2]
    both = list(cases(member, covered(member), SEED, AS_OF, drugs=True))
    assert [case.service.drug for case in both] == [True, False]
    assert [next(event_lines(case))["drug"] for case in both] == [True, False]


def test_generated_lives_ask_for_medicines_only_when_that_was_ordered() -> None:
    order = Order(60, 5, AS_OF, "claims")
    for drugs in (False, True):
        _, files = block(replace(order, drugs=drugs), 1, 60)
        lines = [json.loads(line) for line in files[EVENTS].splitlines()]
        shown = {json.loads(line)["id"] for name in files if "Explanation" in name for line in files[name].splitlines()}
        assert any(line["drug"] for line in lines) == drugs
        assert {line["authorization"] for line in lines} <= shown


def test_what_was_sent_and_the_letter_are_linked_and_exist() -> None:
    kinds: set[str] = set()
    for case in every_case():
        sent = {f"{record['resourceType']}/{record['id']}" for record in documents(case, AS_OF)}
        linked = {row["valueReference"]["reference"] for row in current(case).get("supportingInfo", [])}
        assert linked == sent
        for record in documents(case, AS_OF):
            get_fhir_model_class(record["resourceType"]).model_validate(record)
            assert record["subject"]["reference"] == f"Patient/{case.member.id}"
        kinds |= {reference.split("/")[0] for reference in linked}
    assert kinds == CLINICAL


def test_every_record_of_the_authorizations_is_the_target_of_a_provenance() -> None:
    member = a_member(*(Authorization(course, "therapy", 90) for course in COURSES))
    found = list(prior_authorizations(list(cases(member, covered(member), SEED, AS_OF)), AS_OF))
    targets = {t["reference"] for r in found if r["resourceType"] == "Provenance" for t in r["target"]}
    assert targets == {f"{r['resourceType']}/{r['id']}" for r in found if r["resourceType"] != "Provenance"}
    assert len(targets) > 2 * len(COURSES)


def test_a_course_too_large_for_its_service_is_refused_when_the_row_is_read() -> None:
    with pytest.raises(ValueError, match="too small to be approved in part"):
        a_case("partial", "imaging")


def test_the_events_are_in_order_and_begin_with_the_receipt() -> None:
    for case in every_case():
        lines = list(event_lines(case))
        assert lines[0]["eventType"] == "received"
        moments = [datetime.fromisoformat(line["at"]) for line in lines]
        assert all(earlier < later for earlier, later in pairwise(moments))
        assert len({line["id"] for line in lines}) == len(lines)
        assert {line["authorization"] for line in lines} == {case.id}


def test_the_events_agree_with_the_record_they_lead_to() -> None:
    actions = {"approved": "A1", "partially-approved": "A2", "denied": "A3"}
    decided = 0
    for case in every_case():
        lines = [line for line in event_lines(case) if "decision" in line]
        versions = {at.isoformat(): record for at, record in history(case, AS_OF)}
        for line in lines:
            decided += 1
            record = versions[line["at"]]
            assert action(record["adjudication"]) == actions[line["decision"]]
            assert record["patient"]["reference"] == f"Patient/{line['member']}"
            assert record["insurance"][0]["coverage"]["reference"] == f"Coverage/{line['coverage']}"
            for item, told in zip(record["item"], line["items"], strict=True):
                assert item["quantity"]["value"] == told["unitsRequested"]
                assert values(item).get("allowedunits", 0) == told["unitsApproved"]
            if line["decision"] != "approved":
                assert line["reason"]["text"] in record["disposition"]
    assert decided > 100


def test_standard_and_expedited_requests_are_decided_within_their_times_but_for_the_late_and_extended_ones() -> None:
    limits = {"standard": timedelta(days=7), "expedited": timedelta(hours=72)}
    late = set()
    for case in every_case():
        lines = {line["eventType"]: datetime.fromisoformat(line["at"]) for line in event_lines(case)}
        if "decided" in lines and lines["decided"] - lines["received"] > limits[case.priority]:
            late.add(case.row.course)
    assert late == {"approved-late", "denied-late", "extended", "extended-denied"}


def test_the_priority_of_a_request_is_that_of_its_record() -> None:
    for expedited, level, priority in ((True, "U", "stat"), (False, "E", "normal")):
        case = a_case("approved", expedited=expedited)
        record = current(case)
        assert record["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == level
        assert record["priority"]["coding"][0]["code"] == priority
        assert next(event_lines(case))["priority"] == ("expedited" if expedited else "standard")


def test_what_has_not_happened_by_as_of_is_not_told() -> None:
    asked_yesterday = a_case("overturned", "imaging", days_ago=3)
    assert [moment.event for moment in asked_yesterday.moments] == ["received"]
    assert current(asked_yesterday)["outcome"] == "queued"
    assert "adjudication" in current(asked_yesterday)
