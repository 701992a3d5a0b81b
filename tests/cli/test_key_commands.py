"""``patient-access keys``: what is rotated, and what it says."""

from datetime import UTC, datetime

from server import clock
from server.authorization.keys import SigningKeys
from server.settings import Settings
from server.storage.database import Database
from tests.cli.command import PatientAccess

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_before_the_first_key_there_is_nothing_to_list(patient_access: PatientAccess) -> None:
    outcome = patient_access("keys", "list")
    assert (outcome.code, outcome.out) == (0, "No key yet: the first is made when it is needed.\n")


def test_a_rotation_is_announced_and_listed(
    patient_access: PatientAccess, database: Database, settings: Settings
) -> None:
    keys = SigningKeys(settings)
    with clock.set_to(NOW):
        (old,) = [key["kid"] for key in keys.jwks(database)["keys"]]
        rotated = patient_access("keys", "rotate")
        new = next(str(key["kid"]) for key in keys.jwks(database)["keys"] if key["kid"] != old)
        assert (rotated.code, rotated.out) == (0, f"{new} signs from 2026-11-01T13:00:00.000Z.\n")
        lines = patient_access("keys", "list").out.splitlines()
    assert lines == [
        f"{new}  published  published 2026-11-01T12:00:00.000Z  signs from 2026-11-01T13:00:00.000Z"
        "  published until it is replaced",
        f"{old}  in use     published 2026-11-01T12:00:00.000Z  signs from 2026-11-01T12:00:00.000Z"
        "  published until 2026-11-01T14:00:00.000Z",
    ]


def test_now_is_now(patient_access: PatientAccess) -> None:
    with clock.set_to(NOW):
        outcome = patient_access("keys", "rotate", "--now")
    assert outcome.code == 0
    assert outcome.out.endswith(" signs from 2026-11-01T12:00:00.000Z.\n")
