"""/compliance and /metrics (42 CFR 422.119(f)): for staff with the role alone; every number leads to what it counts."""

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import uvicorn
from playwright.sync_api import Browser, Page
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import insert, update
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.accounts import add_account
from server.authorization.roles import COMPLIANCE, set_role
from server.figures import METRICS
from server.metrics.compliance import MINUTE, LatestCompliance
from server.metrics.report_archive import store
from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.smart_app import PASSWORD, SmartApp
from tests.factories import client, organization, patient
from tests.factories import store as load
from tests.pages.test_access_history import words
from tests.pages.test_axe import check
from tests.pages.test_sample_app import SIZES
from tests.storage.ledgers import HOUR, chain, write

TOKEN = "a token for gauges of the tests"
NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
AT = clock.to_microseconds(NOW)
DAY = 24 * HOUR


@pytest.fixture
def staff(app: SmartApp, database: Database) -> SmartApp:
    """Bob, who acts for no member, has the role."""
    set_role(database, "bob", COMPLIANCE)
    app.sign_in("/sign-in", "bob")
    return app


def answers(database: Database) -> None:
    """Two people, one of them on two days; one answer to the payer's own app, one refused."""
    write(database, chain([AT - 40 * DAY, AT - 3 * DAY], patient="p1"), chain([AT - 3 * DAY + 1], patient="p2"))
    write(database, chain([AT - DAY], patient="p3", client_kind="payer"), chain([AT - HOUR], patient="p3", status=403))


# -- who may ---------------------------------------------------------------------------------------------------------


def test_who_is_not_signed_in_is_asked_to_sign_in(app: SmartApp) -> None:
    for path in ("/compliance", "/compliance/reports/x"):
        reply = app.web.get(path)
        assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("username", ["ada", "grace", "bob"])
def test_who_has_no_role_is_told_so_and_nothing_else(app: SmartApp, database: Database, username: str) -> None:
    answers(database)
    app.sign_in("/sign-in", username)
    for path in ("/compliance", "/compliance/reports/x"):
        reply = app.web.get(path)
        assert reply.status_code == 403
        assert "for staff" in reply.text
        assert "Unique patients" not in reply.text
    assert "/compliance" not in app.web.get("/account").text


def test_a_role_taken_away_is_gone_at_once(staff: SmartApp, database: Database) -> None:
    assert staff.web.get("/compliance").status_code == 200
    assert 'href="/compliance"' in staff.web.get("/account").text
    set_role(database, "bob", "")
    assert staff.web.get("/compliance").status_code == 403


def test_a_role_is_for_accounts_that_exist_and_roles_there_are(app: SmartApp, database: Database) -> None:
    with pytest.raises(ValueError, match="no account"):
        set_role(database, "nobody", COMPLIANCE)
    with pytest.raises(ValueError, match="role is one of"):
        set_role(database, "bob", "owner")


# -- what it shows ---------------------------------------------------------------------------------------------------


def test_it_shows_both_measures_exclusions_refusals_and_the_ledger(staff: SmartApp, database: Database) -> None:
    answers(database)
    with clock.set_to(NOW):
        text = words(staff.web.get("/compliance"))
    assert "Unique patients 2 Unique patients, more than once 1 Transfers 3" in text
    assert "The payer's own portal or app 1 1 1" in text
    assert "Refused requests for data 1" in text
    assert re.search(r"Rows today [1-9]", text)
    assert "Last anchored never" in text
    assert "Decided in time 0 0 0 0" in text
    assert "test environment" not in text


def test_every_number_leads_to_its_definition(staff: SmartApp, database: Database) -> None:
    answers(database)
    with clock.set_to(NOW):
        page = staff.web.get("/compliance").text
    defined = set(re.findall(r'<dt id="(definition-[a-z-]+)"', page))
    linked = set(re.findall(r'href="#(definition-[a-z-]+)"', page))
    assert linked <= defined
    cells = re.findall(r"<(?:td|dd)>(.*?)</(?:td|dd)>", page)
    numbers = [cell for cell in cells if re.fullmatch(r"[0-9,]+", re.sub(r"<[^>]*>", "", cell))]
    assert len(numbers) > 40
    assert [cell for cell in numbers if 'href="#definition-' not in cell] == []


def test_charts_are_drawn_here_and_nothing_runs_or_comes_from_elsewhere(staff: SmartApp, database: Database) -> None:
    answers(database)
    with clock.set_to(NOW):
        reply = staff.web.get("/compliance")
    assert reply.text.count("<svg") == 2
    assert "<script" not in reply.text
    assert "script-src" not in reply.headers["content-security-policy"]
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-store"


def test_it_is_in_english_for_everybody(staff: SmartApp) -> None:
    staff.web.headers["Accept-Language"] = "es"
    text = staff.web.get("/compliance").text
    assert '<html lang="en">' in text
    assert "Español" not in text


def test_no_member_is_named_on_it(staff: SmartApp, database: Database) -> None:
    write(database, chain([AT - HOUR], patient="patient-id-of-a-member"))
    write(database, chain([AT - HOUR], patient="patient-id-of-a-member", status=403))
    with clock.set_to(NOW):
        assert "patient-id-of-a-member" not in staff.web.get("/compliance").text


def test_stored_reports_are_linked_and_checked_against_their_hash(
    staff: SmartApp, database: Database, settings: Settings
) -> None:
    answers(database)
    with clock.set_to(NOW):
        report = usage_report(database, settings, year=2026)
        with database.transaction() as transaction:
            id = store(transaction, report, generated_by="tests")
        assert f'href="/compliance/reports/{id}"' in staff.web.get("/compliance").text
    reply = staff.web.get(f"/compliance/reports/{id}")
    assert reply.status_code == 200
    assert "attachment" in reply.headers["content-disposition"]
    assert orjson.loads(reply.content) == orjson.loads(orjson.dumps(report.document()))
    assert staff.web.get("/compliance/reports/unknown").status_code == 404
    with database.transaction() as transaction:
        table = METADATA.tables["stored_report"]
        transaction.execute(update(table).values(content='{"forged":true}'))
    assert staff.web.get(f"/compliance/reports/{id}").json()["error"] == "not_as_stored"


def test_it_is_computed_at_most_once_a_minute(database: Database, settings: Settings) -> None:
    latest = LatestCompliance(database, settings)
    with clock.set_to(NOW):
        first = latest.get()
    answers(database)
    with clock.set_to(NOW + timedelta(seconds=59)):
        assert latest.get() is first
    with clock.set_to(NOW + timedelta(microseconds=MINUTE)):
        second = latest.get()
    assert first.usage is not None
    assert second.usage is not None
    assert (first.usage.total.values, second.usage.total.values) == ((0, 0), (2, 1))


def test_while_one_thread_computes_others_get_what_was_there(database: Database, settings: Settings) -> None:
    latest = LatestCompliance(database, settings)
    with clock.set_to(NOW):
        first = latest.get()
    assert latest._lock.acquire()
    try:
        with clock.set_to(NOW + timedelta(hours=1)):
            assert latest.get() is first
    finally:
        latest._lock.release()


def test_a_broken_policies_file_is_told_on_the_page_and_the_rest_is_shown(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    broken = tmp_path / "policies.toml"
    broken.write_text("[[policy]]\nslug = 1\n", "utf-8")
    answers(database)
    with clock.set_to(NOW):
        now = LatestCompliance(database, settings.model_copy(update={"sensitivity_policies_file": broken})).get()
    assert ["refusal register" in problem for problem in now.problems] == [True]
    assert now.usage is not None


# -- gauges ----------------------------------------------------------------------------------------------------------


def gauges(database: Database, settings: Settings, token: str = TOKEN) -> dict[str, float]:
    told = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    with TestClient(create_app(told), base_url=settings.base_url) as web:
        reply = web.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert reply.status_code == 200, reply.text
    families = text_string_to_metric_families(reply.text)
    return {
        "".join(
            [sample.name, *(f" {sample.labels[name]}" for name in ("section",) if name in sample.labels)]
        ): sample.value
        for family in families
        for sample in family.samples
    }


def test_gauges_are_the_figures_of_the_page(database: Database, settings: Settings) -> None:
    answers(database)
    with database.transaction() as transaction:
        period = {
            "starts": AT - 5 * DAY,
            "ends": AT - 4 * DAY,
            "rows": 0,
            "writers": 0,
            "digest": b"",
            "dropped_at": None,
        }
        transaction.execute(insert(METADATA.tables["ledger_period"]), period | {"anchored_at": AT - 90_000_000})
    with clock.set_to(NOW):
        found = gauges(database, settings)
    assert found["patient_access_unique_patients"] == 2
    assert found["patient_access_unique_patients_more_than_once"] == 1
    assert found["patient_access_transfers"] == 3
    assert found["patient_access_ledger_rows_today"] == 1
    assert found["patient_access_ledger_seconds_since_anchor"] == 90
    assert found["patient_access_ledger_days_not_rolled_up"] == 40
    assert found["patient_access_refusals_this_month requests"] == 1
    assert found["patient_access_problems"] == 0


def test_gauges_name_no_app_and_no_member(database: Database, settings: Settings) -> None:
    client(database, "app", name="An app with a name")
    answers(database)
    told = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    with clock.set_to(NOW), TestClient(create_app(told), base_url=settings.base_url) as web:
        text = web.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    labels = {name for family in text_string_to_metric_families(text) for one in family.samples for name in one.labels}
    of_workers = {name for metric in METRICS for name in metric.labels} | {"le"}
    assert labels - of_workers == {"year", "environment", "section", "worker", "version"}
    assert of_workers.isdisjoint({"app", "client", "client_id", "member", "patient", "id", "path", "query"})
    assert "An app" not in text


def test_without_the_setting_there_are_no_gauges(app: SmartApp) -> None:
    assert app.web.get("/metrics").status_code == 404


@pytest.mark.parametrize("sent", ["", "Bearer wrong", TOKEN, f"bearer {TOKEN}x", "Bearer \u00e9"])
def test_who_does_not_send_the_token_gets_nothing(database: Database, settings: Settings, sent: str) -> None:
    told = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    with TestClient(create_app(told), base_url=settings.base_url) as web:
        reply = web.get("/metrics", headers={"Authorization": sent.encode()} if sent else {})
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert "patient_access" not in reply.text


@pytest.mark.parametrize("value", ["short", "\u00e9" * 30])
def test_a_token_that_is_short_or_cannot_be_sent_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="20 characters"):
        Settings(metrics_token=SecretStr(value))
    assert Settings(metrics_token=SecretStr("")).metrics_token is None


# -- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running server with two members who shared, a staff account that also acts for one of them, and a ledger of half a year."""
    path = tmp_path_factory.mktemp("compliance") / "test.db"
    shutil.copyfile(sqlite_template, path)
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        database_url=f"sqlite:///{path}",
        environment="production",
        secret_key=SecretStr("a secret key of the tests, long enough"),
        reporting_units_file=Path(__file__).parents[2] / "seed_data" / "reporting_units.toml",
        log_requests=False,
    )
    database = Database(settings)
    load(database, settings, [organization("payer"), patient("anna"), patient("ben")])
    add_account(database, "officer", PASSWORD, "Olive Officer", [("anna", "self"), ("ben", "parent", "", "adult")])
    set_role(database, "officer", COMPLIANCE)
    client(database, "app", name="Health Notes")
    now = clock.now_microseconds()
    moments = [now - number * 5 * DAY for number in range(30, 0, -1)]
    write(
        database,
        chain(moments, resource_type="Coverage"),
        chain(moments[::3], patient="ben", resource_type="Condition"),
    )
    refused = chain([now - HOUR], status=403, resources=0, resource_type="Condition", interaction="search-type")
    write(database, refused, chain([now - HOUR], client_kind="payer", patient="ben"))
    with database.transaction() as transaction:
        store(transaction, usage_report(database, settings, year=clock.now().year), generated_by="tests")
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield settings
    server.should_exit = True
    thread.join()
    database.engine.dispose()


@pytest.fixture(params=SIZES)
def page(browser: Browser, served: Settings, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in as the officer."""
    context = browser.new_context(viewport=SIZES[request.param])  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{served.base_url}/sign-in")
    page.fill("#username", "officer")
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.locator("main button[type=submit]").click()
    yield page
    context.close()


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in SCREENSHOTS, when that names a directory."""
    directory = os.environ.get("SCREENSHOTS")
    if directory:
        width = (page.viewport_size or {"width": 0})["width"]
        page.screenshot(path=str(Path(directory) / f"{name}-{width}.png"), full_page=True)


def test_axe_finds_nothing_on_compliance(page: Page, axe: str, served: Settings) -> None:
    page.goto(f"{served.base_url}/compliance")
    assert page.locator("svg .bar").count() > 5
    check(page, axe)
    picture(page, "compliance")


@pytest.mark.parametrize("language", ["en", "es"])
def test_axe_finds_nothing_on_the_access_history(page: Page, axe: str, served: Settings, language: str) -> None:
    page.goto(f"{served.base_url}/account?language={language}")
    check(page, axe)
    page.locator("a[href*='/account/history']").first.click()
    page.wait_for_selector("h1")
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator(".app").count() >= 20
    check(page, axe)
    picture(page, f"history-{language}")
