"""/livez and /readyz say the truth: a process that runs, and a server that can serve, are two things.

https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4
"""

from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database


def visitor(settings: Settings) -> TestClient:
    """Somebody without an account."""
    return TestClient(create_app(settings), base_url=settings.base_url)


def test_a_server_that_can_serve_is_ready(database: Database, settings: Settings) -> None:
    with visitor(settings) as web:
        for path, body in (
            ("/livez", {"status": "ok"}),
            ("/readyz", {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "signing key": "ok"}}),
        ):
            reply = web.get(path)
            assert (reply.status_code, reply.json(), reply.headers["cache-control"]) == (200, body, "no-store")
            head = web.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == reply.headers["content-length"]
        assert web.get("/jwks").json()["keys"]


def test_a_database_that_was_not_migrated_is_not_ready(empty_database_url: str, settings: Settings) -> None:
    with visitor(settings.model_copy(update={"database_url": empty_database_url})) as web:
        reply = web.get("/readyz")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert reply.json() == {"status": "not ready", "checks": {"database": "failed"}}
        assert web.get("/livez").status_code == 200


def test_a_database_of_an_earlier_version_is_not_ready(database: Database, settings: Settings) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with visitor(settings) as web:
        reply = web.get("/readyz")
        assert (reply.status_code, reply.json()["checks"]) == (503, {"database": "ok", "migrations": "failed"})


def test_a_process_stays_ready_when_a_newer_version_has_migrated_the_database(
    database: Database, settings: Settings
) -> None:
    with visitor(settings) as web:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        assert web.get("/readyz").status_code == 200


def test_a_database_that_does_not_answer_is_not_ready_and_nothing_is_told_of_why(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "soon-broken.db"
    with visitor(settings.model_copy(update={"database_url": f"sqlite:///{path}"})) as web:
        path.write_bytes(b"not a database at all" * 999)
        reply = web.get("/readyz")
        assert reply.status_code == 503
        assert reply.json() == {"status": "not ready", "checks": {"database": "failed"}}
        assert str(tmp_path) not in reply.text
    assert "not ready: database" in caplog.text


def test_keys_that_this_secret_key_cannot_read_are_replaced_before_it_is_ready(
    database: Database, settings: Settings
) -> None:
    with visitor(settings) as web:
        assert web.get("/readyz").status_code == 200
        (former,) = web.get("/jwks").json()["keys"]
    with visitor(settings.model_copy(update={"secret_key": SecretStr("another secret key, long enough too")})) as web:
        assert web.get("/readyz").json()["checks"]["signing key"] == "ok"
        (key,) = web.get("/jwks").json()["keys"]
    assert key["kid"] != former["kid"]
