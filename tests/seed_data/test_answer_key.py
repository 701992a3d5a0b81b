"""The answer key: a row for each persona, in step with the rows it was written for; the API is asked in tests/journeys.

https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-priorauthorization.html"""

import json
from pathlib import Path
from typing import Any

import pytest

from seed_data.expected import COLUMNS, expected
from seed_data.personas import EVERYONE, LOGINS
from seed_data.personas.answers import ANSWERS

STORIES = {
    "denied": "ravensworth",
    "half used": "mwale",
    "expired": "kowalczyk",
    "dental only": "tran-whitley",
    "pharmacy only": "gallagher-ruiz",
    "authorizations only": "abernathy",
    "newborn": "silva-rowe-luz",
    "deceased": "fairweather",
    "disenrolled": "hallorann",
    "five thousand claims": "overbrook",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As a program reads it."""
    found: dict[str, Any] = json.loads(json.dumps(expected()))
    return found


def of(document: dict[str, Any], key: str) -> dict[str, Any]:
    (member,) = [member for member in document["members"] if member["key"] == key]
    return dict(member)


def test_every_persona_has_an_answer(document: dict[str, Any]) -> None:
    assert ANSWERS.keys() == {member.key for member in EVERYONE}
    assert {member["key"] for member in document["members"]} == ANSWERS.keys()
    assert set(STORIES.values()) <= ANSWERS.keys()


def test_every_column_is_explained(document: dict[str, Any]) -> None:
    assert set(document) == {name for name in COLUMNS if "." not in name}
    named = {name.partition(".")[2] for name in COLUMNS if "." in name}
    for member in document["members"]:
        assert set(member) - {"birthDate"} == named


def test_the_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "synthetic-members.md").read_text("utf-8")
    assert all(f"| `{name}` | {meaning} |" in page for name, meaning in COLUMNS.items())


def test_who_may_see_a_member_is_who_has_an_account_that_acts_for_it(document: dict[str, Any]) -> None:
    accounts = {(row.patient, login.username, row.relationship) for login in LOGINS for row in login.acts_for}
    told = {
        (member["patient"], one["username"], one["relationship"])
        for member in document["members"]
        for one in member["seenBy"]
    }
    assert told == accounts


def test_passwords_follow_the_rule() -> None:
    assert all(login.password == f"{login.username}-sandbox" for login in LOGINS)


def test_every_authorization_of_a_row_has_its_answer() -> None:
    for member in EVERYONE:
        numbers = [member.authorization_number(number) for number in range(1, len(member.authorizations) + 1)]
        assert [row.number for row in ANSWERS[member.key].authorizations] == numbers, member.key


def test_a_chain_of_six_leaves_one_claim(document: dict[str, Any]) -> None:
    assert of(document, "vandermolen")["claims"] == {"Professional-NonClinician": {"active": 1, "cancelled": 5}}


def test_one_member_for_each_profile_has_one_claim_of_it_and_nothing_else(document: dict[str, Any]) -> None:
    single = [m for m in document["members"] if sum(row["active"] for row in m["claims"].values()) == 1]
    alone = {profile for m in single if m["resources"]["ExplanationOfBenefit"] == 1 for profile in m["claims"]}
    assert alone == {
        "Inpatient-Institutional",
        "Outpatient-Institutional",
        "Professional-NonClinician",
        "Oral",
        "Pharmacy",
    }


def test_after_the_yearly_limit_nothing_is_owed(document: dict[str, Any]) -> None:
    assert of(document, "yoon")["totals"]["coverage-yoon-1"]["memberLiability"] == "9450.00"
