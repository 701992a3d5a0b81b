"""OpenID Connect Core 1.0 sections 2 and 3.1.3, SMART App Launch 2.2 "Scopes for requesting identity data"."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import SecretStr
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.keys import MissingSecretKeyError, secret_key
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SCOPE, SmartApp

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def hash_of(access_token: str) -> str:
    """``at_hash`` (OpenID Connect Core 1.0 section 3.1.3.6)."""
    return urlsafe_b64encode(sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode()


def claims_of(app: SmartApp, token: dict[str, Any]) -> dict[str, Any]:
    keys = KeySet.import_key_set(app.web.get("/jwks").json())
    return dict(jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims)


def test_the_id_token_is_signed_with_a_published_key(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        token = app.connect()
    claims = claims_of(app, token)
    issued = int(NOW.timestamp())
    assert 0 < len(claims.pop("sub")) < 256
    assert claims.pop("at_hash") == hash_of(token["access_token"])
    assert claims == {
        "iss": settings.fhir_base,
        "aud": app.client_id,
        "iat": issued,
        "exp": issued + 3600,
        "auth_time": issued,
        "nonce": "n-0S6_WzA2Mj",
        "fhirUser": f"{settings.fhir_base}/Patient/p1",
    }


def test_the_subject_is_stable_per_account(app: SmartApp) -> None:
    first, again = claims_of(app, app.connect())["sub"], claims_of(app, app.connect())["sub"]
    app.web.cookies.clear()
    other = claims_of(app, app.connect("grace", "p2"))["sub"]
    assert first == again
    assert first != other


def test_without_a_nonce_there_is_none(app: SmartApp) -> None:
    assert "nonce" not in claims_of(app, app.connect(nonce=None))


def test_a_representative_is_a_related_person_of_the_member(app: SmartApp, settings: Settings) -> None:
    token = app.connect("grace", "p3")
    assert token["patient"] == "p3"
    assert claims_of(app, token)["fhirUser"] == f"{settings.fhir_base}/RelatedPerson/r3"


def test_a_representative_without_a_record_is_not_named(app: SmartApp) -> None:
    token = app.connect("grace", "p4")
    assert token["scope"] == SCOPE.replace("fhirUser ", "")
    assert "fhirUser" not in claims_of(app, token)


def test_fhir_user_needs_its_scope_and_an_id_token_openid(app: SmartApp) -> None:
    assert "fhirUser" not in claims_of(app, app.connect(scope="openid patient/Patient.rs"))
    assert "fhirUser" in claims_of(app, app.connect(scope="openid profile patient/Patient.rs"))
    assert "id_token" not in app.connect(scope="fhirUser patient/Patient.rs")


def test_public_keys_hold_no_private_part(app: SmartApp) -> None:
    (key,) = app.web.get("/jwks").json()["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


def test_every_worker_signs_with_the_same_key(app: SmartApp, settings: Settings) -> None:
    token = app.connect()
    with TestClient(create_app(settings), base_url=settings.base_url) as second:
        assert second.get("/jwks").json() == app.web.get("/jwks").json()
    assert claims_of(app, token)


def test_another_secret_key_means_another_signing_key(app: SmartApp, settings: Settings) -> None:
    before = app.web.get("/jwks").json()["keys"]
    changed = settings.model_copy(update={"secret_key": SecretStr("another secret key, just as long as it must be")})
    with TestClient(create_app(changed), base_url=settings.base_url) as second:
        (key,) = second.get("/jwks").json()["keys"]
    assert key["kid"] != before[0]["kid"]


def test_a_production_deployment_does_not_start_without_a_secret_key(settings: Settings) -> None:
    with pytest.raises(MissingSecretKeyError, match="SECRET_KEY is not set"):
        create_app(settings.model_copy(update={"secret_key": None}))


def test_a_test_deployment_keeps_its_secret_key_for_itself(tmp_path: Path, database: Database) -> None:
    settings = Settings(database_url=database.settings.database_url, secret_key_file=tmp_path / "new" / "secret.key")
    key = secret_key(settings)
    assert len(key) >= 32
    assert secret_key(settings) == key
    assert settings.secret_key_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.secret_key_file.parent.iterdir()] == ["secret.key"]
