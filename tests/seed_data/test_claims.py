"""The seeded claims and prior authorizations: their stories are the ones promised. Their money: test_accounting.py."""

from collections import Counter, defaultdict
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest

Record = dict[str, Any]


def amounts(elements: list[Record]) -> dict[str, Decimal]:
    rows = ((e["category"]["coding"][0]["code"], e["amount"]["value"]) for e in elements if "amount" in e)
    return dict(rows)


def test_a_denied_claim_pays_nothing_and_a_partly_paid_one_refuses_something(claims: list[Record]) -> None:
    paid = Counter[str]()
    for claim in claims:
        status = claim["payment"]["type"]["coding"][0]["code"]
        total = amounts(claim["total"])
        paid[status] += 1
        assert total["benefit"] == 0 or status != "denied"
        assert (total["noncovered"] == total["submitted"]) == (status == "denied")
        assert (total["noncovered"] > 0) == (status != "paid")
    assert paid.keys() == {"paid", "denied", "partiallypaid"}


def test_the_insurer_is_the_payor_of_the_focal_coverage(records: list[Record], claims: list[Record]) -> None:
    coverages = {f"Coverage/{r['id']}": r for r in records if r["resourceType"] == "Coverage"}
    explanations = [r for r in records if r["resourceType"] == "ExplanationOfBenefit"]
    assert len(explanations) > len(claims)
    for explanation in explanations:
        (focal,) = (row for row in explanation["insurance"] if row["focal"])
        coverage = coverages[focal["coverage"]["reference"]]
        assert explanation["insurer"]["reference"] == coverage["payor"][0]["reference"]
        assert coverage["beneficiary"]["reference"] == explanation["patient"]["reference"]
        start = explanation["billablePeriod"]["start"]
        assert coverage["period"]["start"] <= start <= coverage["period"].get("end", "9999")


def test_a_replaced_claim_and_its_replacement_name_each_other(claims: list[Record]) -> None:
    by_number = {claim["identifier"][0]["value"]: claim for claim in claims}
    relationships = Counter[str]()
    for number, claim in by_number.items():
        for row in claim.get("related", []):
            kind = row["relationship"]["coding"][0]["code"]
            relationships[kind] += 1
            other = by_number[row["reference"]["value"]]
            assert number in {back["reference"]["value"] for back in other["related"]}
            assert other["billablePeriod"] == claim["billablePeriod"]
            kinds = {back["relationship"]["coding"][0]["code"] for back in claim["related"]}
            assert (claim["status"] == "cancelled") == ("replacedby" in kinds)
    assert relationships["prior"] == relationships["replacedby"] >= 5


def kind_of(claim: Record) -> str:
    kind = claim["subType"] if "subType" in claim else claim["type"]
    code: str = kind["coding"][0]["code"]
    return "professional" if code == "vision" else code


def test_the_members_have_the_stories_promised(claims: list[Record], authorizations: list[Record]) -> None:
    kinds = defaultdict(set)
    counted = Counter[str]()
    for claim in chain(claims, authorizations):
        member = claim["patient"]["reference"]
        counted[member] += 1
        kinds[member].add("authorization" if claim["use"] == "preauthorization" else kind_of(claim))
    every = {"inpatient", "outpatient", "professional", "oral", "pharmacy"}
    assert every | {"authorization"} in kinds.values()
    for only in [*every, "authorization"]:
        assert {only} in kinds.values(), only
    assert max(counted.values()) > 60


@pytest.mark.parametrize(
    ("action", "outcome"), [("A1", "complete"), ("A2", "complete"), ("A3", "complete"), ("A4", "queued")]
)
def test_an_answer_and_its_date_hang_on_the_line(action: str, outcome: str, authorizations: list[Record]) -> None:
    found = [a for a in authorizations if action_of(a) == action]
    assert found
    for authorization in found:
        assert authorization["outcome"] == outcome
        line = authorization["item"][0]
        urls = {e["url"].rsplit("/", 1)[-1] for e in line["adjudication"][0]["extension"]}
        assert urls == {"extension-reviewAction", "base-ext-when-adjudicated"}
        assert "extension-itemTraceNumber" in {e["url"].rsplit("/", 1)[-1] for e in line["extension"]}
        note = authorization["processNote"][0]
        assert note["number"] == line["noteNumber"][0]


def action_of(authorization: Record) -> str:
    """The review action of the first line, or "" before there is any answer."""
    first = authorization["item"][0]["adjudication"][0]
    if "extension" not in first:
        return ""
    review = first["extension"][0]["extension"]
    code: Record = next(e for e in review if e["url"].endswith("extension-reviewActionCode"))
    action: str = code["valueCodeableConcept"]["coding"][0]["code"]
    return action


def test_a_denial_has_a_reason_code_and_plain_words(authorizations: list[Record]) -> None:
    for denied in (a for a in authorizations if action_of(a) == "A3"):
        categories = {a["category"]["coding"][0]["code"]: a for a in denied["item"][0]["adjudication"]}
        assert categories["denialreason"]["reason"]["coding"][0]["code"]
        review = denied["item"][0]["adjudication"][0]["extension"][0]["extension"]
        assert any(e["url"] == "reasonCode" for e in review)
        assert len(denied["processNote"][0]["text"]) > 60


def test_an_approval_says_how_much_until_when(authorizations: list[Record]) -> None:
    for approved in (a for a in authorizations if action_of(a) in {"A1", "A2"}):
        units = {a["category"]["coding"][0]["code"]: a.get("value") for a in approved["item"][0]["adjudication"]}
        assert units["allowedunits"] >= units["consumedunits"] >= 0
        (period,) = approved["preAuthRefPeriod"]
        assert period["start"] < period["end"]
