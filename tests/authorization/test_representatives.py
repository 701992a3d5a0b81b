"""45 CFR 164.502(g) and 42 CFR 422.119(a): who represents a member may do so while their authority lasts, and no longer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from server import clock
from server.authorization.accounts import Represented, add_account
from server.authorization.authority import check_authority, comes_of_age, default_authority, members
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import PASSWORD, SmartApp, events, redirect_parameters
from tests.factories import patient, store

KID = "p3"
"""Born on 29 February 2016: of age, at 18, on 1 March 2034."""


def at(day: str, hour: int = 17) -> datetime:
    """Noon in New York on a day, or another hour in UTC."""
    return datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


def acting(database: Database, settings: Settings, account: str = "grace-id") -> list[str]:
    """The Patient ids an account may act for now."""
    with database.reading() as reading:
        return [member.patient for member in members(reading, settings, account)]


def checked(database: Database, settings: Settings, patient: str, actor: str, account: str = "grace-id") -> str:
    """What check_authority says."""
    with database.reading() as reading:
        return check_authority(reading, settings, account, patient, actor)


def represent(database: Database, *represented: Represented) -> None:
    """Let Grace act for herself and these."""
    add_account(database, "grace", PASSWORD, "Grace Hopper", [Represented("p2"), *represented])


@pytest.mark.parametrize(
    ("birth_date", "age", "day"),
    [
        ("2008-05-17", 18, "2026-05-17"),
        ("2008-02-29", 18, "2026-03-01"),
        ("2008-02-29", 20, "2028-02-29"),
        ("2008-05", 18, "2026-05-01"),
        ("2008", 19, "2027-01-01"),
        ("", 18, ""),
        ("soon", 18, ""),
    ],
)
def test_the_day_somebody_comes_of_age(birth_date: str, age: int, day: str) -> None:
    assert comes_of_age(birth_date, age) == day


@pytest.mark.parametrize(
    ("relationship", "authority"),
    [("self", "self"), ("parent", "minor"), ("guardian", "minor"), ("spouse", "consent"), ("sister", "consent")],
)
def test_a_relationship_has_a_usual_authority(relationship: str, authority: str) -> None:
    assert default_authority(relationship) == authority


def test_a_parent_acts_until_the_day_before_the_child_is_of_age(app: SmartApp, database: Database) -> None:
    with clock.set_to(at("2034-02-28")):
        assert KID in acting(database, app.settings)
        assert checked(database, app.settings, KID, "representative") == ""
    with clock.set_to(at("2034-03-01")):
        assert KID not in acting(database, app.settings)
        assert checked(database, app.settings, KID, "representative") == "authority_ended"


def test_the_age_of_majority_is_a_setting(app: SmartApp, database: Database) -> None:
    older = app.settings.model_copy(update={"age_of_majority": 21})
    with clock.set_to(at("2034-03-01")):
        assert KID in acting(database, older)


def test_a_day_ends_in_the_payers_time_zone(app: SmartApp, database: Database) -> None:
    represent(database, Represented(KID, "spouse", until="2027-01-31"))
    with clock.set_to(at("2027-02-01", hour=4)):  # still January in New York
        assert KID in acting(database, app.settings)
    with clock.set_to(at("2027-02-01", hour=5)):
        assert KID not in acting(database, app.settings)


@pytest.mark.parametrize("authority", ["adult", "consent"])
def test_other_authority_does_not_end_with_an_age(app: SmartApp, database: Database, authority: str) -> None:
    represent(database, Represented(KID, "parent", authority=authority))
    with clock.set_to(at("2040-01-01")):
        assert acting(database, app.settings) == ["p2", KID]


def test_without_a_birth_date_a_minor_is_represented_only_until_a_named_day(app: SmartApp, database: Database) -> None:
    newborn = patient("newborn")
    del newborn["birthDate"]
    store(database, app.settings, [newborn])
    represent(database, Represented("newborn", "parent"))
    assert acting(database, app.settings) == ["p2"]
    represent(database, Represented("newborn", "parent", until="9999-12-31"))
    assert acting(database, app.settings) == ["p2", "newborn"]


def test_a_parent_of_three_children_chooses_one_and_is_the_actor(app: SmartApp, database: Database) -> None:
    store(database, app.settings, [patient("third", birthDate="2020-01-01", name=[{"text": "Third Hopper"}])])
    children = [Represented(KID, "parent", "r3"), Represented("p4", "parent"), Represented("third", "parent")]
    represent(database, *children)
    page = app.consent_page("grace")
    for name in ("Grace Hopper", "Kid Hopper", "Baby Hopper", "Third Hopper"):
        assert name in page.text
    answer = app.decide(page, patient="third")
    tokens = app.exchange(redirect_parameters(answer)["code"]).json()
    assert tokens["patient"] == "third"
    assert app.introspect(tokens["access_token"])["patient"] == "third"
    (grant,) = events(database, "grant")
    assert (grant.patient, grant.actor) == ("third", "representative")
    for other in (KID, "p4", "p2"):
        assert app.read(tokens["access_token"], f"Patient/{other}") == 404


def test_nobody_can_choose_a_member_they_do_not_represent(app: SmartApp) -> None:
    response = app.decide(app.consent_page("grace"), patient="p1")
    assert response.status_code == 400


def test_a_refresh_after_the_end_of_the_authority_is_refused_and_ends_the_grant(
    app: SmartApp, database: Database
) -> None:
    with clock.set_to(at("2034-02-28")):
        tokens = app.connect("grace", KID)
    with clock.set_to(at("2034-03-01")):
        refused = app.refresh(tokens["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert refused.json()["error_code"] == "authority_ended"
        assert app.read(tokens["access_token"]) == 401
    (ended,) = events(database, "revocation")
    assert (ended.patient, ended.actor) == (KID, "representative")


def test_a_code_is_worth_nothing_once_the_authority_is_over(app: SmartApp, database: Database) -> None:
    code = app.code("grace", KID)
    represent(database)
    assert app.exchange(code).json()["error"] == "invalid_grant"


def test_who_represented_themself_is_not_who_is_represented(app: SmartApp, database: Database) -> None:
    assert checked(database, app.settings, "p2", "self") == ""
    assert checked(database, app.settings, "p2", "representative") == "authority_ended"
    assert checked(database, app.settings, KID, "self") == "authority_ended"
    assert checked(database, app.settings, "p1", "self") == "authority_ended"
    assert checked(database, app.settings, "", "system") == ""


def test_a_new_relationship_ends_what_was_allowed_as_oneself(app: SmartApp, database: Database) -> None:
    tokens = app.connect("grace", "p2")
    added = add_account(database, "grace", PASSWORD, "Grace Hopper", [Represented("p2", "spouse")])
    assert added.ended_grants == 1
    assert app.read(tokens["access_token"]) == 401


def test_a_member_who_died_is_still_represented(app: SmartApp, database: Database) -> None:
    store(database, app.settings, [patient("late", birthDate="1950-01-01", deceasedDateTime="2026-10-01")])
    represent(database, Represented("late", "executor", authority="adult"))
    assert checked(database, app.settings, "late", "representative") == ""
    assert app.connect("grace", "late")["patient"] == "late"


@pytest.mark.parametrize(
    ("represented", "words"),
    [
        (("p3", "parent", "", "royal"), "none of self, minor, adult, consent"),
        (("p3", "parent", "", "self"), "self goes with"),
        (("p3", "self", "", "minor"), "self goes with"),
        (("p3", "parent", "", "", "2027-02-30"), "no day"),
        (("p3", "parent", "", "", "31.1.2027"), "no day"),
        (("p3", "parent", "", "", "2027-W04"), "no day"),
        (("p3", "x" * 65), "relationship"),
    ],
)
def test_authority_that_cannot_be_is_refused(database: Database, represented: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        add_account(database, "grace", PASSWORD, "Grace Hopper", [represented])
