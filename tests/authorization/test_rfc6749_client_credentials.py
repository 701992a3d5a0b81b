"""RFC 6749 section 4.4 and SMART App Launch 2.2 "Backend services": the payer's own jobs, about no member."""

from datetime import UTC, datetime
from typing import Any

import pytest

from server import clock
from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.signing_app import RSA_KEY, Signer, key_set
from tests.authorization.smart_app import SmartApp, events, new_app

GRANT = "client_credentials"
BASIC = {"authentication": "client_secret_basic"}


def job(app: SmartApp, database: Database, settings: Settings, **options: Any) -> SmartApp:
    return new_app(
        app.web,
        database,
        settings,
        **{"name": "Nightly job", "kind": "payer", "scope": "system/*.rs", **BASIC, **options},
    )


def test_a_job_gets_a_short_token_and_no_refresh_token(app: SmartApp, database: Database, settings: Settings) -> None:
    response = job(app, database, settings).post("/token", {"grant_type": GRANT, "scope": "system/*.rs"})
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    token = response.json()
    assert set(token) == {"access_token", "token_type", "expires_in", "scope"}
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 300, "system/*.rs")


def test_a_job_may_sign(app: SmartApp, database: Database, settings: Settings) -> None:
    keys = {"authentication": "private_key_jwt", "jwks": key_set(RSA_KEY)}
    client = job(app, database, settings, **keys)
    signer = Signer(client.client_id, f"{settings.base_url}/token")
    response = app.web.post("/token", data={"grant_type": GRANT, **signer.proof()})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("registered", "asked", "given"),
    [
        ("system/*.rs", "system/Patient.rs", "system/Patient.rs"),
        ("system/*.rs", None, "system/*.rs"),
        ("system/Patient.rs", "system/*.rs", "system/Patient.rs"),
        ("system/Patient.r", "system/Patient.rs", "system/Patient.r"),
        ("system/*.rs", "system/Patient.rs patient/*.rs offline_access openid", "system/Patient.rs"),
    ],
)
def test_the_scope_is_what_was_registered_at_most(
    app: SmartApp, database: Database, settings: Settings, registered: str, asked: str | None, given: str
) -> None:
    client = job(app, database, settings, scope=registered)
    assert client.post("/token", {"grant_type": GRANT, "scope": asked}).json()["scope"] == given


@pytest.mark.parametrize("asked", ["patient/*.rs", "system/Coverage.rs", "openid", "system/Nothing.rs"])
def test_nothing_beyond_it_is_given(app: SmartApp, database: Database, settings: Settings, asked: str) -> None:
    client = job(app, database, settings, scope="system/Patient.rs")
    response = client.post("/token", {"grant_type": GRANT, "scope": asked})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


def test_apps_get_no_token_without_a_member(
    app: SmartApp, database: Database, settings: Settings, subtests: pytest.Subtests
) -> None:
    for client in [
        app,
        new_app(app.web, database, settings, **BASIC),
        new_app(app.web, database, settings, kind="probe", **BASIC),
        new_app(app.web, database, settings, kind="payer", **BASIC),
        new_app(app.web, database, settings, kind="payer", scope="patient/*.rs", **BASIC),
    ]:
        with subtests.test(client=client.client_id):
            response = client.post("/token", {"grant_type": GRANT, "scope": "system/*.rs"})
            assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


def test_an_app_that_registered_itself_is_no_job(app: SmartApp, database: Database, settings: Settings) -> None:
    from sqlalchemy import update

    from server.storage.schema import METADATA

    client = job(app, database, settings)
    table = METADATA.tables["client"]
    with database.transaction() as transaction:
        transaction.execute(update(table).where(table.c.id == client.client_id).values(registered_by="self"))
    response = client.post("/token", {"grant_type": GRANT})
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


def test_a_job_proves_itself(app: SmartApp, database: Database, settings: Settings) -> None:
    client = job(app, database, settings)
    for auth in (None, (client.client_id, "wrong")):
        data = {"grant_type": GRANT, "client_id": client.client_id}
        response = app.web.post("/token", data=data, auth=auth)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    with pytest.raises(ValueError, match="proves itself"):
        job(app, database, settings, authentication="none")


def test_a_job_sends_no_member_to_consent(app: SmartApp, database: Database, settings: Settings) -> None:
    client = job(app, database, settings, redirect_uris=["https://app.example/callback"])
    assert "error=invalid_scope" in client.authorize().headers["location"]


def test_its_grant_is_in_the_ledger_and_never_counted(app: SmartApp, database: Database, settings: Settings) -> None:
    client = job(app, database, settings)
    with clock.set_to(datetime(2026, 11, 1, 12, tzinfo=UTC)):
        token = client.post("/token", {"grant_type": GRANT}).json()["access_token"]
        app.read(token, "Patient")
    (grant,) = events(database, "grant")
    assert (grant.client_id, grant.client_kind, grant.patient, grant.actor, grant.detail) == (
        *(client.client_id, "payer", "", "system", "system/*.rs"),
    )
    with clock.set_to(datetime(2027, 1, 1, 12, tzinfo=UTC)):
        report = usage_report(database, settings, year=2026, environment="production")
    assert (report.answers, report.transfers, set(report.total.values)) == (1, 0, {0})


def test_introspection_says_whose_token_it_is(app: SmartApp, database: Database, settings: Settings) -> None:
    client = job(app, database, settings)
    token = client.post("/token", {"grant_type": GRANT}).json()["access_token"]
    answer = client.introspect(token)
    assert (answer["active"], answer["client_id"], answer["sub"], answer["scope"]) == (
        *(True, client.client_id, client.client_id, "system/*.rs"),
    )
    assert not {"patient", "fhirUser", "access_grant_expiration"} & set(answer)


def test_a_jobs_token_may_introspect(app: SmartApp, database: Database, settings: Settings) -> None:
    token = job(app, database, settings).post("/token", {"grant_type": GRANT}).json()["access_token"]
    member = app.connect()
    headers = {"Authorization": f"Bearer {token}"}
    answer = app.web.post("/introspect", data={"token": member["access_token"]}, headers=headers).json()
    assert (answer["active"], answer["patient"]) == (True, "p1")
