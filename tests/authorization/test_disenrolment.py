"""42 CFR 422.119(a) "current enrollee": disenrolled members lose API access at once and keep their history; and lines of business."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.accounts import add_account, mark_test_member
from server.authorization.authority import check_authority
from server.authorization.enrolment import entitlement, today
from server.settings import Settings
from server.storage.database import Database
from server.storage.enrolment import Spell, Unit, append_spells
from server.storage.schema import METADATA
from tests.authorization.smart_app import PASSWORD, SmartApp, new_app, redirect_parameters
from tests.factories import Record, concept, coverage, identifier, organization, patient, store

UNITS = """
[[unit]]
payor = "https://p.example/payer|11111"
class = "group|MA"
line_of_business = "medicare-advantage"
contract = "H1234"

[[unit]]
payor = "https://p.example/payer|11111"
class = "group|EMPLOYER"
line_of_business = "commercial"
"""
PAYER = organization("payer", identifier=[identifier("11111", "https://p.example/payer")])
ANNA = patient("anna")
CLASS_TYPE = "http://terminology.hl7.org/CodeSystem/coverage-class"
NOON = datetime(2026, 11, 22, 17, tzinfo=UTC)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a unit of a line of business that is not served."""
    path = tmp_path / "units.toml"
    path.write_text(UNITS)
    return settings.model_copy(update={"reporting_units_file": path})


@pytest.fixture
def anna(app: SmartApp, database: Database) -> SmartApp:
    """The app, and Anna who can sign in; nothing says yet that she is enrolled."""
    store(database, app.settings, [PAYER, ANNA])
    add_account(database, "anna", PASSWORD, "Anna Müller", [("anna",)])
    return app


def covered(id: str, group: str = "MA", **period: str) -> Record:
    """Anna's coverage by a group in a period."""
    groups = [{"type": concept(CLASS_TYPE, "group"), "value": group}]
    return coverage(id, ANNA) | {"class": groups, "period": {"start": "2026-01-01"} | period}


def enrolled(database: Database, patient: str = "anna") -> str | None:
    """What the token check reads of a member."""
    member = METADATA.tables["member"]
    with database.reading() as reading:
        row = reading.first(member.select().where(member.c.patient == patient))
    return None if row is None else str(row.enrolled)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", ""),
        ("medicare-advantage|", ""),
        ("medicare-advantage|2026-11-22", ""),
        ("medicare-advantage|2026-11-21", "member_disenrolled"),
        ("withdrawn|0000", "member_disenrolled"),
        ("medicare-advantage|2025-12-31 qhp|", ""),
        ("medicare-advantage|2025-12-31 withdrawn|0000", "member_disenrolled"),
        ("commercial|", "line_of_business_not_served"),
        ("commercial| medicare-advantage|2025-12-31", "line_of_business_not_served"),
        ("commercial| medicaid-ffs|2027-01-01", ""),
        ("commercial|2025-12-31", "member_disenrolled"),
    ],
)
def test_entitlement_is_by_the_spells_that_reach_today(words: str, code: str) -> None:
    assert entitlement(Settings(), words, "2026-11-22") == code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("medicare-advantage|2025-12-31", ""),
        ("withdrawn|0000", ""),
        ("commercial|2025-12-31", "line_of_business_not_served"),
        ("commercial| medicare-advantage|2025-12-31", "line_of_business_not_served"),
    ],
)
def test_former_members_can_be_allowed(words: str, code: str) -> None:
    assert entitlement(Settings(former_members="allow"), words, "2026-11-22") == code


def test_the_lines_of_business_served_are_a_setting() -> None:
    assert entitlement(Settings(served_lines_of_business=("commercial",)), "commercial|", "2026-11-22") == ""
    assert entitlement(Settings(served_lines_of_business=("qhp",)), "medicaid-ffs|", "2026-11-22") != ""


def test_today_is_the_payers() -> None:
    settings = Settings()
    for moment, day in [((2026, 11, 22, 4, 59), "2026-11-21"), ((2026, 11, 22, 5, 0), "2026-11-22")]:
        with clock.set_to(datetime(*moment, tzinfo=UTC)):
            assert today(settings) == day


def test_loading_keeps_what_the_token_check_reads(anna: SmartApp, database: Database) -> None:
    assert enrolled(database) is None
    store(database, anna.settings, [covered("v1", end="2026-06")])
    assert enrolled(database) == "medicare-advantage|2026-06-30"
    store(database, anna.settings, [covered("v2", "EMPLOYER")])
    assert enrolled(database) == "commercial| medicare-advantage|2026-06-30"
    store(database, anna.settings, [covered("v1") | {"status": "cancelled"}])
    assert enrolled(database) == "commercial| withdrawn|0000"


def test_a_test_member_stays_one_when_enrolled(anna: SmartApp, database: Database) -> None:
    mark_test_member(database, "anna")
    store(database, anna.settings, [covered("v1")])
    mark_test_member(database, "anna")
    member = METADATA.tables["member"]
    with database.reading() as reading:
        row = reading.first(member.select().where(member.c.patient == "anna"))
    assert row is not None
    assert (row.environment, row.enrolled) == ("test", "medicare-advantage|")


def test_many_spells_of_many_members_are_kept_apart(database: Database) -> None:
    unit = Unit("qhp", issuer="1", state="OH")
    with database.transaction() as transaction:
        append_spells(transaction, [Spell("a", "1", unit, "", "2026-01-31"), Spell("b", "1", unit)], 1)
        append_spells(transaction, [Spell("a", "2", unit), Spell("b", "1", None)], 2)
    assert (enrolled(database, "a"), enrolled(database, "b")) == ("qhp| qhp|2026-01-31", "withdrawn|0000")


def test_who_has_no_enrolment_recorded_has_access(anna: SmartApp) -> None:
    assert anna.read(anna.connect("anna")["access_token"]) == 200


def test_the_last_day_of_the_coverage_is_the_last_day_of_access(anna: SmartApp, database: Database) -> None:
    store(database, anna.settings, [covered("v1", end="2026-11-22")])
    with clock.set_to(NOON):
        tokens = anna.connect("anna")
        assert anna.read(tokens["access_token"]) == 200
    with clock.set_to(NOON.replace(day=23, hour=5)):
        fresh = anna.refresh(tokens["refresh_token"])
        assert (fresh.json()["error"], fresh.json()["error_code"]) == ("invalid_grant", "member_disenrolled")


def test_access_ends_with_the_next_request_after_a_load_that_ends_the_coverage(
    anna: SmartApp, database: Database
) -> None:
    store(database, anna.settings, [covered("v1")])
    tokens = anna.connect("anna")
    store(database, anna.settings, [covered("v1", end="2026-10-31")])
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    refused = anna.web.get("/fhir/Patient", headers=headers)
    assert refused.status_code == 401
    assert "coverage has ended" in refused.text


def test_a_member_who_is_enrolled_again_needs_no_new_consent(anna: SmartApp, database: Database) -> None:
    store(database, anna.settings, [covered("v1")])
    tokens = anna.connect("anna")
    store(database, anna.settings, [covered("v1", end="2026-10-31")])
    assert anna.read(tokens["access_token"]) == 401
    assert anna.refresh(tokens["refresh_token"]).status_code == 400
    store(database, anna.settings, [covered("v2", start="2026-11-01")])
    assert anna.read(tokens["access_token"]) == 200
    assert anna.read(anna.refresh(tokens["refresh_token"]).json()["access_token"]) == 200


def test_a_former_member_keeps_their_history_and_can_allow_nothing_new(anna: SmartApp, database: Database) -> None:
    store(database, anna.settings, [covered("v1")])
    anna.connect("anna")
    store(database, anna.settings, [covered("v1", end="2026-10-31")])
    account = anna.web.get("/account")
    assert account.status_code == 200
    assert "Health Notes" in account.text
    page = anna.consent_page("anna")
    assert anna.decide(page, patient="anna").status_code != 303
    denied = redirect_parameters(anna.decide(page, "deny"))
    assert denied["error"] == "access_denied"
    assert "member_disenrolled" in denied["error_description"]


def test_a_representative_loses_access_with_the_member(anna: SmartApp, database: Database) -> None:
    store(database, anna.settings, [covered("v1", end="2026-10-31")])
    add_account(database, "bert", PASSWORD, "Bert", [("anna", "spouse")])
    with database.reading() as reading:
        account = reading.scalar(
            METADATA.tables["account"].select().where(METADATA.tables["account"].c.username == "bert")
        )
        code = check_authority(reading, anna.settings, account, "anna", "representative")
    assert code == "member_disenrolled"


def test_members_of_other_lines_of_business_are_told_before_they_sign_in(
    anna: SmartApp, database: Database, settings: Settings
) -> None:
    note = "Employer plans: use the employer portal."
    own = settings.model_copy(
        update={"served_lines_of_business": ("medicare-advantage", "special-kids"), "lines_not_served_note": note}
    )
    with TestClient(create_app(own), base_url=own.base_url, follow_redirects=False) as web:
        page = web.get(new_app(web, database, own).authorize().headers["location"])
    assert "For members of these plans: Medicare Advantage, special kids." in " ".join(page.text.split())
    assert note in page.text


def test_a_member_of_a_line_of_business_not_served_is_told_and_so_is_the_app(
    anna: SmartApp, database: Database
) -> None:
    store(database, anna.settings, [covered("v1", "EMPLOYER")])
    page = anna.consent_page("anna")
    denied = redirect_parameters(anna.decide(page, "deny"))
    assert denied["error"] == "access_denied"
    assert "line_of_business_not_served" in denied["error_description"]
