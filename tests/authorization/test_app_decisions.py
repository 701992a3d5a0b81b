"""42 CFR 422.119(e): an app is suspended or refused by a published criterion, on record, and is told why and where to appeal."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.authorization.clients import register
from server.authorization.suspension import Decision, decisions, refuse, resume, suspend
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.registering import registered, registration
from tests.authorization.smart_app import SmartApp, add_people, events, new_app

EVIDENCE = "seen at paste.example on 2026-11-20"
DECISION = Decision("credentials-exposed", EVIDENCE, "Sam Lee", notice='Replace the "secret".')


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A payer that says where to appeal."""
    return settings.model_copy(update={"appeal_contact": "appeals@payer.example"})


@pytest.fixture
def ledger(database: Database) -> EventLedger:
    return EventLedger(database)


@pytest.fixture
def served(database: Database, settings: Settings) -> Iterator[TestClient]:
    """The same as ``web``, with these settings."""
    add_people(database)
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as client:
        yield client


@pytest.fixture
def app(served: TestClient, database: Database, settings: Settings) -> SmartApp:
    return new_app(served, database, settings)


def test_a_suspended_app_is_told_the_criterion_the_notice_and_the_appeal_by_every_door(
    app: SmartApp, ledger: EventLedger, settings: Settings
) -> None:
    token = app.connect()
    suspend(ledger, settings, app.client_id, DECISION)

    refused = app.refresh(token["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert refused.json()["error_code"] == "app-suspended"
    read = app.web.get("/fhir/Patient/p1", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert read.status_code == 401
    issue = read.json()["issue"][0]
    assert issue["details"]["coding"][0]["code"] == "app-suspended"
    page = app.authorize()
    assert page.status_code == 400
    for text in (refused.json()["error_description"], issue["diagnostics"], page.text.replace("&#39;", "'")):
        assert "credentials-exposed" in text
        assert "Replace the 'secret'." in text
        assert "appeals@payer.example" in text
        assert f"{settings.base_url}/docs/app-criteria" in text
        assert EVIDENCE not in text


def test_a_decision_is_recorded_for_ever_and_in_the_ledger(
    app: SmartApp, ledger: EventLedger, settings: Settings, database: Database
) -> None:
    suspend(ledger, settings, app.client_id, DECISION)
    resume(ledger, settings, app.client_id, "Kim", "a new secret was made")
    suspend(ledger, settings, app.client_id, Decision("impersonation", "the logo", "Kim", appeal="call 555-0100"))
    with database.reading() as transaction:
        rows = decisions(transaction, app.client_id)
    assert [(row.decision, row.criterion, row.evidence, row.decided_by, row.appeal) for row in rows] == [
        ("suspended", "credentials-exposed", EVIDENCE, "Sam Lee", "appeals@payer.example"),
        ("resumed", "credentials-exposed", "a new secret was made", "Kim", "appeals@payer.example"),
        ("suspended", "impersonation", "the logo", "Kim", "call 555-0100"),
    ]
    assert [(row.interaction, row.detail) for row in events(database, "app")][1:] == [
        ("suspend", "credentials-exposed, decided by Sam Lee"),
        ("resume", "decided by Kim"),
        ("suspend", "impersonation, decided by Kim"),
    ]


def test_a_decision_that_lacks_something_is_none(
    ledger: EventLedger, settings: Settings, database: Database, subtests: pytest.Subtests
) -> None:
    register(ledger, settings, "App", ["https://app.example/cb"], client_id="app-1")
    for client_id, decision, words in [
        ("nobody", DECISION, "no client"),
        ("app-1", Decision("bad-privacy-policy", EVIDENCE, "Sam"), "credentials-exposed"),
        ("app-1", Decision("", EVIDENCE, "Sam"), "no published criterion"),
        ("app-1", Decision("credentials-exposed", " ", "Sam"), "evidence"),
        ("app-1", Decision("credentials-exposed", EVIDENCE, ""), "decided"),
        ("app-1", Decision("credentials-exposed", "x" * 4001, "Sam"), "4000"),
    ]:
        with subtests.test(words=words), pytest.raises(ValueError, match=words):
            suspend(ledger, settings, client_id, decision)
    with pytest.raises(ValueError, match="not suspended"):
        resume(ledger, settings, "app-1", "Sam")
    suspend(ledger, settings, "app-1", DECISION)
    with pytest.raises(ValueError, match="already"):
        suspend(ledger, settings, "app-1", DECISION)
    with pytest.raises(ValueError, match="name"):
        resume(ledger, settings, "app-1", " ")
    with database.reading() as transaction:
        assert len(decisions(transaction)) == 1


def test_a_refused_host_cannot_be_registered_and_the_app_is_told_why(
    served: TestClient, ledger: EventLedger, settings: Settings, database: Database
) -> None:
    rule = Decision("malicious-software", "two lists", "Sam", notice="Clean the host.")
    refuse(ledger, settings, "redirect-host:Malware.example", rule)
    for uri in ("https://malware.example/cb", "https://cdn.malware.example/cb", "https://MALWARE.example:8443/cb"):
        response = registration(served, redirect_uris=["https://good.example/cb", uri])
        assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri")
        told = response.json()
        assert (told["error_code"], told["criterion"]) == ("app-refused", "malicious-software")
        assert told["appeal"] == "appeals@payer.example"
        assert "Clean the host." in told["error_description"]
        assert "two lists" not in response.text
    assert registration(served, redirect_uris=["https://notmalware.example/cb"]).status_code == 201
    row = events(database, "refusal")[-1]
    assert (row.interaction, row.detail) == ("register", "redirect-host:malware.example: malicious-software")


def test_a_refused_software_id_cannot_be_registered_and_neither_changed_into(
    served: TestClient, ledger: EventLedger, settings: Settings
) -> None:
    refuse(ledger, settings, "software:evil-1", Decision("attack-on-systems", "requests", "Sam"))
    response = registration(served, software_id="evil-1")
    assert (response.status_code, response.json()["error"]) == (400, "unapproved_software_statement")
    information = registered(served, software_id="good")
    sent = {
        "client_id": information["client_id"],
        "redirect_uris": information["redirect_uris"],
        "software_id": "evil-1",
    }
    headers = {"Authorization": f"Bearer {information['registration_access_token']}"}
    changed = served.put(f"/register/{information['client_id']}", json=sent, headers=headers)
    assert (changed.status_code, changed.json()["error_code"]) == (400, "app-refused")


def test_a_refusal_is_lifted(served: TestClient, ledger: EventLedger, settings: Settings, database: Database) -> None:
    subject = "redirect-host:malware.example"
    refuse(ledger, settings, subject, Decision("malicious-software", "two lists", "Sam"))
    with pytest.raises(ValueError, match="already"):
        refuse(ledger, settings, subject, Decision("malicious-software", "two lists", "Sam"))
    resume(ledger, settings, subject, "Kim", "both lists removed it")
    with pytest.raises(ValueError, match="not refused"):
        resume(ledger, settings, subject, "Kim")
    assert registration(served, redirect_uris=["https://malware.example/cb"]).status_code == 201
    with database.reading() as transaction:
        assert [row.decision for row in decisions(transaction, subject)] == ["refused", "admitted"]
    assert [row.interaction for row in events(database, "app")] == ["refuse", "admit", "register"]


@pytest.mark.parametrize("subject", ["redirect-host:", "redirect-host:https://x/", "a-client", "redirect-host:a b"])
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_only_a_host_or_a_software_id_can_be_refused(ledger: EventLedger, settings: Settings, subject: str) -> None:
    with pytest.raises(ValueError, match="redirect URIs"):
        refuse(ledger, settings, subject, Decision("malicious-software", "two lists", "Sam"))
