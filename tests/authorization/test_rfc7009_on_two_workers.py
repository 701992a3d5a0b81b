"""RFC 7009 section 2.1 "the revocation takes place immediately": on the next request, whichever worker answers it."""

from pathlib import Path

import httpx2
import pytest

from server.authorization.clients import register
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.smart_app import REDIRECT_URI, SmartApp, add_people
from tests.serving import Server, serving

REQUESTS = 12
"""Enough, each on a connection of its own, that both workers answer some."""


def statuses(server: Server, access_token: str) -> set[int]:
    headers = {"Authorization": f"Bearer {access_token}"}
    return {httpx2.get(f"{server.fhir_base}/Patient", headers=headers, timeout=30).status_code for _ in range(REQUESTS)}


def test_a_revoked_token_is_401_on_the_next_request_to_either_worker(
    database: Database, settings: Settings, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    add_people(database)
    client_id, _ = register(EventLedger(database), settings, "Health Notes", [REDIRECT_URI])
    with serving(settings.database_url, tmp_path / "server.log", workers=2) as server:
        assert len(server.workers()) == 2
        there = settings.model_copy(update={"base_url": server.base_url})
        with httpx2.Client(base_url=server.base_url, timeout=30) as web:
            app = SmartApp(web, there, client_id)  # type: ignore[arg-type]
            first, second = app.connect(), app.connect()
            with subtests.test("an access token alone"):
                assert statuses(server, first["access_token"]) == {200}
                assert app.post("/revoke", {"token": first["access_token"]}).status_code == 200
                assert statuses(server, first["access_token"]) == {401}
                assert app.refresh(first["refresh_token"]).status_code == 200
            with subtests.test("a refresh token takes its grant along"):
                assert statuses(server, second["access_token"]) == {200}
                assert app.post("/revoke", {"token": second["refresh_token"]}).status_code == 200
                assert statuses(server, second["access_token"]) == {401}
                assert app.refresh(second["refresh_token"]).json()["error_code"] == "grant_revoked_by_app"
            with subtests.test("a code used twice takes its tokens along"):
                code = app.code()
                third = app.exchange(code).json()
                assert statuses(server, third["access_token"]) == {200}
                assert app.exchange(code).status_code == 400
                assert statuses(server, third["access_token"]) == {401}
