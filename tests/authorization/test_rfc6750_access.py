"""RFC 6750: what a bearer token gives, now; the check that every FHIR request makes."""

import asyncio
from hashlib import sha256

import pytest

from server.authorization.access import Access, TokenRefusedError, authenticate
from server.authorization.accounts import mark_test_member
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp


def check(settings: Settings, token: str) -> Access:
    async def run() -> Access:
        database = Database(settings)
        await database.open()
        try:
            return await authenticate(database, settings, token)
        finally:
            await database.close()
            database.engine.dispose()

    return asyncio.run(run())


def test_a_token_in_force_says_who_asks_for_whom(app: SmartApp, settings: Settings) -> None:
    token = app.connect("grace", "p3", scope="launch/patient patient/Coverage.r")
    access = check(settings, token["access_token"])
    assert (access.client_id, access.client_kind, access.patient, access.actor, access.environment, access.scope) == (
        *(app.client_id, "third-party", "p3", "representative", "production", "launch/patient patient/Coverage.r"),
    )
    assert access.grant_id
    assert access.permissions.permits("Coverage", "r")
    assert not access.permissions.permits("Coverage", "s")
    assert not access.permissions.permits("Patient", "r")


def test_a_mark_on_the_member_holds_from_the_next_request(
    app: SmartApp, settings: Settings, database: Database
) -> None:
    token = app.connect()["access_token"]
    assert check(settings, token).environment == "production"
    mark_test_member(database, "p1")
    assert check(settings, token).environment == "test"
    mark_test_member(database, "p1", "production")
    assert check(settings, token).environment == "production"


def test_neither_refresh_token_nor_hash_nor_code_gives_access(app: SmartApp, settings: Settings) -> None:
    code = app.code()
    token = app.exchange(code).json()
    for wrong in (
        token["refresh_token"],
        sha256(token["access_token"].encode()).hexdigest(),
        code,
        "",
        "é",
        "x" * 9999,
    ):
        with pytest.raises(TokenRefusedError, match="not known"):
            check(settings, wrong)


def test_a_refused_token_is_401_invalid_token(app: SmartApp) -> None:
    response = app.web.get("/fhir/Patient", headers={"Authorization": "Bearer nothing"})
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
