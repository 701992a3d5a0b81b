"""OpenID Connect Core 1.0 section 10.1.1: signing keys are rotated, and the secret key that keeps them, without downtime."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import SecretStr

from server import clock
from server.authorization.keys import SigningKeys, all_keys
from server.authorization.totp import OneTimeCodes, new_secret
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.smart_app import add_people

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Worker:
    """One of several processes: it signs, and shows what it publishes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.keys = SigningKeys(settings)

    def sign(self) -> str:
        with self.database.transaction() as transaction:
            key = self.keys.current(transaction)
        return jwt.encode({"alg": "RS256", "kid": key.kid}, {"sub": "x"}, key, ["RS256"])

    def published(self) -> KeySet:
        return KeySet.import_key_set(self.keys.jwks(self.database))

    def kids(self) -> set[str]:
        return {str(key.kid) for key in self.published()}


@pytest.fixture
def workers(database: Database, settings: Settings) -> list[Worker]:
    return [Worker(database, settings), Worker(database, settings)]


def rotate(worker: Worker, at_once: bool = False) -> str:
    with worker.database.transaction() as transaction:
        return worker.keys.rotate(transaction, at_once).kid


def kid_of(worker: Worker) -> str:
    """The key with which a worker signs now; whoever fetches the key set of either worker now can verify it."""
    token = worker.sign()
    return str(jwt.decode(token, worker.published(), ["RS256"]).header["kid"])


def test_a_whole_rotation_seen_by_two_workers_and_an_app_that_fetches_keys_hourly(
    workers: list[Worker], settings: Settings
) -> None:
    first, second = workers
    with clock.set_to(NOW):
        old = kid_of(first)
        assert kid_of(second) == old
        assert first.kids() == second.kids() == {old}
        new = rotate(first)
        assert first.kids() == second.kids() == {old, new}  # published at once
        assert kid_of(first) == kid_of(second) == old  # and not signing yet
        fetched_by_app = second.published()
    with clock.set_to(NOW + HOUR - timedelta(seconds=1)):
        assert kid_of(first) == kid_of(second) == old
        last_of_old = second.sign()
    with clock.set_to(NOW + HOUR):
        assert kid_of(first) == kid_of(second) == new
        assert jwt.decode(first.sign(), fetched_by_app, ["RS256"]).claims  # an hour old, and it knows the new key
    lifetime = timedelta(seconds=settings.access_token_seconds)
    with clock.set_to(NOW + HOUR + lifetime - timedelta(seconds=1)):
        assert jwt.decode(last_of_old, first.published(), ["RS256"]).claims
    with clock.set_to(NOW + HOUR + lifetime):
        assert first.kids() == second.kids() == {new}


def test_at_once_the_new_key_signs_and_the_old_one_still_verifies(workers: list[Worker]) -> None:
    first, second = workers
    with clock.set_to(NOW):
        before = first.sign()
        new = rotate(second, at_once=True)
        assert kid_of(first) == kid_of(second) == new
        assert jwt.decode(before, first.published(), ["RS256"]).claims
    with clock.set_to(NOW + HOUR):
        assert first.kids() == {new}


def test_two_rotations_in_a_row_leave_a_key_to_sign_with(workers: list[Worker]) -> None:
    with clock.set_to(NOW):
        old = kid_of(workers[0])
        middle = rotate(workers[0])
    with clock.set_to(NOW + timedelta(minutes=30)):
        newest = rotate(workers[1])
        assert workers[0].kids() == {old, middle, newest}
    signing = []
    for minutes in (59, 60, 89, 90, 149, 150, 151, 1000):
        with clock.set_to(NOW + timedelta(minutes=minutes)):
            signing.append(kid_of(workers[0]))
    assert signing == [old, middle, middle, *[newest] * 5]


def test_a_rotation_before_any_key_makes_one(workers: list[Worker]) -> None:
    with clock.set_to(NOW):
        new = rotate(workers[0])
        assert new in workers[1].kids()
        assert kid_of(workers[1]) in workers[0].kids()
    with clock.set_to(NOW + HOUR):
        assert kid_of(workers[0]) == new


def test_what_becomes_of_every_key_is_kept(workers: list[Worker], database: Database) -> None:
    with clock.set_to(NOW):
        old = kid_of(workers[0])
        new = rotate(workers[0])
    later = clock.to_microseconds(NOW + 3 * HOUR)
    with database.reading() as transaction:
        keys = all_keys(transaction)
    assert [(key.kid, key.state(clock.to_microseconds(NOW)), key.state(later)) for key in keys] == [
        (new, "published", "in use"),
        (old, "in use", "retired"),
    ]


def test_the_secret_key_can_be_changed_too(database: Database, settings: Settings) -> None:
    assert settings.secret_key is not None
    old = Worker(database, settings)
    kid = kid_of(old)
    both = settings.model_copy(
        update={
            "secret_key": SecretStr("another secret key, just as long as it must be"),
            "secret_key_previous": settings.secret_key,
        }
    )
    changed = Worker(database, both)
    assert kid_of(changed) == kid  # read with the previous key
    new = rotate(changed)
    alone = Worker(database, both.model_copy(update={"secret_key_previous": None}))
    assert alone.kids() == {kid, new}  # and written with the present one
    assert kid_of(alone) == kid


def test_one_time_codes_outlive_the_secret_key_they_were_set_up_under(database: Database, settings: Settings) -> None:
    add_people(database)
    changed = settings.model_copy(
        update={
            "secret_key": SecretStr("another secret key, just as long as it must be"),
            "secret_key_previous": settings.secret_key,
        }
    )
    secret = new_secret()
    ledger = EventLedger(database)
    with clock.set_to(NOW), database.transaction() as transaction:
        code = pyotp.TOTP(secret).at(int(NOW.timestamp()))
        assert OneTimeCodes(settings).turn_on(transaction, "ada-id", secret, code)
    with database.transaction() as transaction:
        assert OneTimeCodes(changed).encrypt_anew(transaction) == 1
    alone = OneTimeCodes(changed.model_copy(update={"secret_key_previous": None}))
    with clock.set_to(NOW + HOUR):
        assert alone.check(database, ledger, "ada-id", pyotp.TOTP(secret).at(int((NOW + HOUR).timestamp())))
