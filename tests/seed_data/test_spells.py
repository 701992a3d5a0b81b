"""Rows of a life and what becomes of them: enrolment spells as Coverages, events, chains, two payers, money of each situation."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from seed_data.events import event
from seed_data.members import Claim, Member, Spell
from seed_data.ndjson import json_text
from seed_data.personas import MEMBER
from seed_data.records import records as records_of

Record = dict[str, Any]
AS_OF = date(2026, 11, 1)


def member_with(*claims: Claim, spells: tuple[Spell, ...] = (Spell("advantage-001", 900),)) -> Member:
    return replace(MEMBER["quillfeather"], spells=spells, claims=claims, authorizations=())


def written(member: Member) -> list[Record]:
    found = (json_text(record) for record in records_of(member, 1, AS_OF, "claims"))
    return [json.loads(line, parse_float=Decimal) for line in found]


def of_type(resource_type: str, found: list[Record]) -> list[Record]:
    return [record for record in found if record["resourceType"] == resource_type]


def total(claim: Record, category: str) -> Decimal:
    (value,) = [e["amount"]["value"] for e in claim["total"] if e["category"]["coding"][0]["code"] == category]
    return Decimal(value)


def test_a_claim_names_the_coverage_of_its_day() -> None:
    spells = (Spell("medicaid", 700, 301), Spell("marketplace", 300))
    claims = (Claim("professional", "office", 301), Claim("professional", "office", 300))
    first, second = of_type("ExplanationOfBenefit", written(member_with(*claims, spells=spells)))
    assert first["insurance"][0]["coverage"]["reference"].endswith("-1")
    assert second["insurance"][0]["coverage"]["reference"].endswith("-2")
    assert first["insurer"] != second["insurer"]


def test_a_claim_on_a_day_without_enrolment_is_a_mistake_in_the_row() -> None:
    gap = (Spell("medicaid", 700, 301), Spell("medicaid", 200))
    with pytest.raises(LookupError, match=r"member-quillfeather had no coverage on 2026-02-24"):
        written(member_with(Claim("professional", "office", 250), spells=gap))


def test_a_spell_that_ended_says_so_by_its_period_and_is_no_less_active() -> None:
    for until in (1, 0, -30, None):
        (coverage,) = of_type("Coverage", written(member_with(spells=(Spell("chip", 400, until),))))
        assert coverage["status"] == "active"
        assert ("end" in coverage["period"]) == (until is not None)


def test_a_retroactive_enrolment_was_written_when_the_payer_was_told() -> None:
    (coverage,) = of_type("Coverage", written(member_with(spells=(Spell("medicaid", 300, None, 120),))))
    assert coverage["period"]["start"] == "2026-01-05"
    assert coverage["meta"]["lastUpdated"].startswith("2026-07-04")


def test_with_two_plans_each_claim_is_decided_by_both_and_the_second_pays_what_was_left() -> None:
    spells = (Spell("advantage-001", 900), Spell("medicaid", 800))
    claims = (Claim("outpatient", "clinic", 100), Claim("outpatient", "clinic", 100, primary=1))
    first, second = of_type("ExplanationOfBenefit", written(member_with(*claims, spells=spells)))
    assert [row["focal"] for row in first["insurance"]] == [True, False]
    assert first["insurance"][0]["coverage"]["reference"] == second["insurance"][1]["coverage"]["reference"]
    assert second["insurance"][1]["coverage"]["display"] == first["insurer"]["display"]
    assert total(second, "priorpayerpaid") == total(first, "benefit") > 0
    assert total(second, "benefit") == total(first, "deductible") + total(first, "copay") + total(first, "coinsurance")
    assert total(second, "memberliability") == 0


def test_a_carrier_outside_this_payer_has_a_coverage_that_claims_name() -> None:
    found = written(member_with(Claim("professional", "cardiology", 90, other_payer="brightwater")))
    own, other = of_type("Coverage", found)
    (claim,) = of_type("ExplanationOfBenefit", found)
    assert other["payor"][0]["reference"] == "Organization/organization-brightwater"
    assert [row["coverage"]["reference"] for row in claim["insurance"]] == [
        f"Coverage/{own['id']}",
        f"Coverage/{other['id']}",
    ]
    assert claim["insurer"] == own["payor"][0]
    assert total(claim, "priorpayerpaid") == total(claim, "eligible") * 7 // Decimal("0.1") / 100


def test_a_chain_of_five_leads_from_the_first_to_the_one_that_stands() -> None:
    chain = tuple(
        Claim(
            "professional",
            "office",
            200,
            "paid" if n == 5 else "partiallypaid",
            replaces=n - 1,
            replaced_by=n + 1 if n < 5 else 0,
        )
        for n in range(1, 6)
    )
    claims = of_type("ExplanationOfBenefit", written(member_with(*chain)))
    by_number = {claim["identifier"][0]["value"]: claim for claim in claims}
    seen, claim = [], claims[0]
    while True:
        seen.append(claim["status"])
        following = [
            row["reference"]["value"]
            for row in claim.get("related", [])
            if row["relationship"]["coding"][0]["code"] == "replacedby"
        ]
        if not following:
            break
        assert by_number[following[0]]["created"] > claim["created"]
        claim = by_number[following[0]]
    assert seen == ["cancelled"] * 4 + ["active"]


def test_a_claim_taken_back_counts_for_nothing() -> None:
    """Under a plan with a deductible of 7,500: without the first claim, the second pays into it from the beginning."""
    spells = (Spell("marketplace-bronze", 900),)
    stay = Claim("inpatient", "knee", 150)
    for first, deductible in ((replace(stay, reversed=True, days_ago=200), 7500), (replace(stay, days_ago=200), 0)):
        claims = of_type("ExplanationOfBenefit", written(member_with(first, stay, spells=spells)))
        assert total(claims[1], "deductible") == deductible


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (Claim("professional", "office", 9), ("lakeshore", "okafor")),
        (Claim("professional", "office", 9, practitioner="mwangi"), ("old-mill", "mwangi")),
        (Claim("inpatient", "heart", 9, provider="saint-brannoc"), ("saint-brannoc", "achebe")),
        (Claim("outpatient", "imaging", 9, practitioner="tesfaye"), ("clearpath", "tesfaye")),
        (Claim("professional", "ambulance", 9, provider="redstone"), ("redstone", "rourke")),
        (
            Claim("pharmacy", "metformin", 9, practitioner="mwangi", provider="corner-pharmacy"),
            ("corner-pharmacy", "mwangi"),
        ),
        (Claim("oral", "crown", 9, practitioner="cho"), ("maple-dental", "cho")),
    ],
)
def test_another_person_or_place_takes_the_place_of_the_usual_ones(claim: Claim, expected: tuple[str, str]) -> None:
    found = event(claim)
    assert (found.provider, found.practitioner) == expected


def test_the_conditions_of_a_row_take_the_place_of_the_scenarios() -> None:
    assert event(Claim("professional", "follow-up", 9)).diagnoses == (("I10", "High blood pressure"),)
    assert event(Claim("professional", "follow-up", 9, conditions=("thyroid", "asthma"))).diagnoses == (
        ("E03.9", "Underactive thyroid"),
        ("J45.909", "Asthma"),
    )


def test_a_claim_under_an_authorization_names_it() -> None:
    member = MEMBER["vantongeren"]
    assert member.authorizations
    found = written(replace(member, claims=(Claim("professional", "therapy", 60, authorization=1),)))
    (claim,) = [r for r in of_type("ExplanationOfBenefit", found) if r["use"] == "claim"]
    numbers = {
        r["identifier"][0]["value"] for r in of_type("ExplanationOfBenefit", found) if r["use"] == "preauthorization"
    }
    assert set(claim["insurance"][0]["preAuthRef"]) <= numbers
