"""The accounting of claims, computed again from the written JSON alone, over more than 2,000 generated claims.

https://hl7.org/fhir/us/carin-bb/Common_Payer_Consumer_Data_Set.html"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seed_data.lives.life import life
from seed_data.members import Claim, Spell
from seed_data.ndjson import json_text
from seed_data.records import records as records_of

Record = dict[str, Any]
Amounts = dict[str, Decimal]
AS_OF = date(2026, 11, 1)
MEMBERS = 190
AMOUNTS = {
    "submitted", "discount", "noncovered", "eligible", "deductible", "copay", "coinsurance", "benefit", "memberliability",
}  # fmt: skip
INSTITUTIONAL = "institutional"


def written(seed: int, number: int, as_of: date) -> list[Record]:
    """A drawn member's records without the clinical ones, as a loader reads them."""
    member = life(seed, number, as_of, "claims")
    found = (json_text(record) for record in records_of(member, seed, as_of, "claims"))
    return [json.loads(line, parse_float=Decimal) for line in found]


@pytest.fixture(scope="module")
def members() -> list[list[Record]]:
    return [written(11, number, AS_OF) for number in range(1, MEMBERS + 1)]


def claims_of(records: Iterable[Record]) -> Iterator[Record]:
    return (r for r in records if r["resourceType"] == "ExplanationOfBenefit" and r["use"] == "claim")


@pytest.fixture(scope="module")
def generated(members: list[list[Record]]) -> list[Record]:
    found = list(claims_of(chain.from_iterable(members)))
    assert len(found) >= 2000
    return found


def code_of(concept: Record) -> str:
    code: str = concept["coding"][0]["code"]
    return code


def amounts(elements: list[Record]) -> Amounts:
    found = [(code_of(e["category"]), e["amount"]["value"]) for e in elements if "amount" in e]
    assert len(dict(found)) == len(found)
    return dict(found)


def check_identities(found: Amounts) -> None:
    assert found.keys() >= AMOUNTS
    prior_payer = found.get("priorpayerpaid", Decimal(0))
    shared = found["deductible"] + found["copay"] + found["coinsurance"]
    assert found["eligible"] == found["submitted"] - found["noncovered"] - found["discount"]
    assert found["memberliability"] == shared + found["noncovered"]
    assert found["benefit"] == found["eligible"] - shared - prior_payer
    assert sum(found.get(name, Decimal(0)) for name in ("paidtoprovider", "paidtopatient")) == found["benefit"]
    assert found.get("paidbypatient", shared) == shared
    assert all(value >= 0 and value.as_tuple().exponent == -2 for value in found.values())


def check_money(claim: Record) -> None:
    lines = [amounts(item["adjudication"]) for item in claim["item"] if "adjudication" in item]
    header = amounts(claim["adjudication"])
    total = amounts(claim["total"])
    assert bool(lines) != bool(header)  # at the lines or at the header, never at both
    assert not header or code_of(claim["type"]) == INSTITUTIONAL
    assert not lines or len(lines) == len(claim["item"])
    for found in [*lines, total, *([header] if header else [])]:
        check_identities(found)
    for category, value in total.items():
        assert value == (sum(line.get(category, Decimal(0)) for line in lines) if lines else header[category])
    assert claim["payment"]["amount"]["value"] == total["benefit"]


def limits(coverage: Record) -> Amounts:
    return {code_of(row["type"]): row["valueMoney"]["value"] for row in coverage["costToBeneficiary"]}


def focal(claim: Record) -> str:
    (row,) = (row for row in claim["insurance"] if row["focal"])
    reference: str = row["coverage"]["reference"]
    return reference


def in_order(records: list[Record]) -> Iterator[tuple[tuple[str, str], Record, Amounts]]:
    """The claims that stand, by day and number, each with its Coverage and year."""
    standing = [claim for claim in claims_of(records) if claim["status"] == "active"]
    standing.sort(key=lambda claim: (claim["billablePeriod"]["start"], claim["identifier"][0]["value"]))
    for claim in standing:
        yield (focal(claim), claim["billablePeriod"]["start"][:4]), claim, amounts(claim["total"])


def check_accumulators(records: list[Record]) -> dict[tuple[str, str], Amounts]:
    """Walks through a member's year; answers what was used of the deductible and the yearly limit, by Coverage and year."""
    coverages = {
        f"Coverage/{r['id']}": limits(r) for r in records if r["resourceType"] == "Coverage" and "network" in r
    }
    used: dict[tuple[str, str], Amounts] = defaultdict(lambda: {"deductible": Decimal(0), "maxoutofpocket": Decimal(0)})
    for key, claim, total in in_order(records):
        sums, most = used[key], coverages[key[0]]
        sums["deductible"] += total["deductible"]
        sums["maxoutofpocket"] += total["deductible"] + total["copay"] + total["coinsurance"]
        assert sums["deductible"] <= most["deductible"], claim["id"]
        assert sums["maxoutofpocket"] <= most["maxoutofpocket"], claim["id"]
        if total["coinsurance"]:  # a percentage is asked for only after the deductible
            assert any(sums[name] == most[name] for name in sums), claim["id"]
    return used


def test_the_amounts_of_every_generated_claim_add_up(generated: list[Record]) -> None:
    for claim in generated:
        check_money(claim)
    print(f"the accounting of {len(generated):,} generated claims holds")


def test_the_amounts_of_every_persona_add_up(claims: list[Record]) -> None:
    for claim in claims:
        check_money(claim)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999_999), number=st.integers(1, 999_999), as_of=st.dates(date(2024, 1, 1), date(2030, 12, 31))
)
def test_the_amounts_add_up_for_any_seed_member_and_date(seed: int, number: int, as_of: date) -> None:
    found = written(seed, number, as_of)
    for claim in claims_of(found):
        check_money(claim)
    check_accumulators(found)


def test_deductible_and_yearly_limit_accumulate_by_coverage_and_year_and_stop_there(
    members: list[list[Record]],
) -> None:
    years = [check_accumulators(records) for records in members]
    assert any(len({year for _, year in found}) > 1 for found in years)
    assert any(sums["deductible"] > 1000 for found in years for sums in found.values())


def test_deductible_and_limit_are_reached_and_begin_anew_with_the_year() -> None:
    """Two stays a year under a plan with a deductible of 4,500 and a limit of 9,100."""
    stays = tuple(Claim("inpatient", "heart", days_ago) for days_ago in (600, 560, 200, 160))
    member = replace(life(11, 1, AS_OF), spells=(Spell("marketplace", 1000),), claims=stays, authorizations=())
    found = [json.loads(json_text(r), parse_float=Decimal) for r in records_of(member, 11, AS_OF, "claims")]
    used = check_accumulators(found)
    assert {year: tuple(map(int, sums.values())) for (_, year), sums in used.items()} == {
        "2025": (4500, 9100),
        "2026": (4500, 9100),
    }


def test_a_claim_that_does_not_stand_says_so(generated: list[Record]) -> None:
    by_number = {claim["identifier"][0]["value"]: claim for claim in generated}
    replaced = reversed_ = 0
    for claim in generated:
        kinds = {code_of(row["relationship"]): row["reference"]["value"] for row in claim.get("related", [])}
        if "replacedby" in kinds:
            replaced += 1
            successor = by_number[kinds["replacedby"]]
            assert successor["created"] >= claim["created"]
            assert amounts(successor["total"])["submitted"] == amounts(claim["total"])["submitted"]
        elif claim["status"] == "cancelled":
            reversed_ += 1
        assert ("replacedby" not in kinds) or claim["status"] == "cancelled"
    assert replaced > 20
    assert reversed_ > 5


def test_a_second_payer_counts_what_the_first_one_paid(generated: list[Record]) -> None:
    firsts = {
        (focal(claim), json.dumps(claim["billablePeriod"]), amounts(claim["total"])["submitted"]): claim
        for claim in generated
    }
    within = outside = 0
    for claim in generated:
        total = amounts(claim["total"])
        if not total.get("priorpayerpaid"):
            continue
        (other,) = (row["coverage"]["reference"] for row in claim["insurance"] if not row["focal"])
        first = firsts.get((other, json.dumps(claim["billablePeriod"]), total["submitted"]))
        if first is None:  # a carrier outside this payer: it keeps the first claim itself
            outside += 1
        else:
            within += 1
            assert amounts(first["total"])["benefit"] == total["priorpayerpaid"]
    assert within > 10
    assert outside > 3


def test_a_visit_within_the_monthly_fee_costs_the_plan_nothing(generated: list[Record]) -> None:
    capitated = [c for c in generated if "monthly fee" in c["processNote"][0]["text"]]
    assert len(capitated) > 10
    for claim in capitated:
        assert claim["payment"]["amount"]["value"] == 0
        assert all("24" in adjustment_reasons(item) for item in claim["item"])


def adjustment_reasons(item: Record) -> set[str]:
    return {code_of(row["reason"]) for row in item["adjudication"] if code_of(row["category"]) == "adjustmentreason"}


def test_a_refused_line_says_why_and_allows_no_units(generated: list[Record]) -> None:
    refused = 0
    for claim in generated:
        for item in claim["item"]:
            found = amounts(item.get("adjudication", []))
            if not found or found["noncovered"] != found["submitted"] or code_of(claim["type"]) == "pharmacy":
                continue
            refused += 1
            assert adjustment_reasons(item)
            assert [row["value"] for row in item["adjudication"] if code_of(row["category"]) == "allowedunits"] == [0]
    assert refused > 30
