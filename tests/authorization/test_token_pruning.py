"""RFC 9700 section 4.14: what is over is forgotten after a while, and nothing before."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from server import clock
from server.authorization.pruning import Pruning, prune
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.smart_app import SmartApp, hidden_fields

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TABLES = ("access_token", "refresh_token", "pushed_request")


def count(database: Database) -> dict[str, int]:
    with database.reading() as transaction:
        return {name: transaction.scalar(select(func.count()).select_from(METADATA.tables[name])) for name in TABLES}


def test_expired_access_tokens_go_and_the_grant_stays_usable(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        token = app.connect()
        app.post("/par", app.authorization_request())
        assert prune(database) == 0
        assert count(database) == {"access_token": 1, "refresh_token": 1, "pushed_request": 1}
    with clock.set_to(NOW + timedelta(hours=24)):
        assert prune(database) == 0  # the app is still told that it expired
    with clock.set_to(NOW + timedelta(hours=25)):
        assert prune(database) == 2
        assert count(database) == {"access_token": 0, "refresh_token": 1, "pushed_request": 0}
        app.sign_in("/sign-in")
        assert app.client_id in hidden_fields(app.web.get("/account")).values()  # the member still sees the app
        assert app.refresh(token["refresh_token"]).status_code == 200


def test_a_rotated_refresh_token_is_remembered_for_90_days(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        first = app.connect()
        second = app.refresh(first["refresh_token"]).json()
    with clock.set_to(NOW + timedelta(days=91)):
        prune(database)
        assert app.refresh(first["refresh_token"]).json()["error_code"] == "refresh_token_unknown"
        assert app.refresh(second["refresh_token"]).status_code == 200


def test_the_tokens_of_an_ended_grant_are_remembered_for_90_days(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        token = app.connect()
        app.post("/revoke", {"token": token["refresh_token"]})
    with clock.set_to(NOW + timedelta(days=90)):
        prune(database)
        assert app.refresh(token["refresh_token"]).json()["error_code"] == "grant_revoked_by_app"
    with clock.set_to(NOW + timedelta(days=91)):
        prune(database)
        assert count(database)["refresh_token"] == 0


def test_used_assertions_go_with_their_expiry(app: SmartApp, database: Database, settings: Settings) -> None:
    from server.authorization.client_assertion import Assertion

    with clock.set_to(NOW):
        now = clock.now_microseconds()
        assertion = Assertion("client", "jti", now + 1)
        with database.transaction() as transaction:
            assert [assertion.use(transaction) for _ in range(2)] == [True, False]
    with clock.set_to(NOW + timedelta(days=2)):
        assert prune(database) == 1
        with database.transaction() as transaction:
            assert assertion.use(transaction)


def test_it_is_not_due_at_every_request(database: Database) -> None:
    pruning = Pruning(database)
    assert not pruning.is_due
    pruning.run()
    assert not pruning.is_due
