"""Two unmodified clients that nobody registered: openid-client from npm and authlib from PyPI discover, register, connect and leave.

https://www.rfc-editor.org/rfc/rfc7591#section-3, https://github.com/panva/openid-client and https://docs.authlib.org/en/stable/oauth2/client/
"""

from pathlib import Path

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from tests.browser import sign_in_and_allow
from tests.journeys.conftest import CALLBACK, PASSWORD, Running
from tests.journeys.test_node_clients import MEMBER, SCOPE, USERNAME, life_of_grant, packages, story, workshop
from tests.journeys.test_python_clients import Question, checked_id_token, discovered

__all__ = ["packages", "workshop"]


@pytest.mark.parametrize("running", ["sqlite"], indirect=True)
@pytest.mark.parametrize("authentication", ["none", "client_secret_basic", "client_secret_post"])
def test_openid_client_registers_itself_connects_refreshes_and_is_revoked(
    running: Running, workshop: Path, authentication: str
) -> None:
    seen = story(workshop, "openid_client_registration.mjs", running, authentication)
    client = seen["client"]
    assert client["token_endpoint_auth_method"] == authentication
    assert ("client_secret" in client) == (authentication != "none")
    assert seen["audience"] == client["client_id"]
    assert seen["patient"] == seen["again"] == MEMBER
    assert seen["isNewToken"] is True
    assert seen["refused"] == 401
    assert seen["notRefreshed"] == {"status": 400, "error": "invalid_grant"}
    assert life_of_grant(running, client["client_id"]) == ["grant consent", "revocation revoke", "refusal token"]


@pytest.mark.parametrize("running", ["postgresql"], indirect=True)
def test_authlib_registers_itself_connects_refreshes_is_revoked_and_deletes_its_registration(running: Running) -> None:
    metadata = discovered(running.server)
    made = requests.post(
        metadata["registration_endpoint"], json={"client_name": "Authlib", "redirect_uris": [CALLBACK]}, timeout=30
    )
    assert made.status_code == 201, made.text
    client = made.json()
    session = OAuth2Session(
        client["client_id"],
        client["client_secret"],
        token_endpoint_auth_method=client["token_endpoint_auth_method"],
        revocation_endpoint_auth_method=client["token_endpoint_auth_method"],
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    )
    base, question = running.server.fhir_base, Question.new()
    address, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=question.verifier, nonce=question.nonce, aud=base
    )
    callback = sign_in_and_allow(address, running.server.base_url, USERNAME, PASSWORD[USERNAME])
    session.fetch_token(authorization_response=callback, state=state, code_verifier=question.verifier)
    claims = checked_id_token(session.token["id_token"], metadata, client["client_id"], question.nonce)
    assert session.get(claims["fhirUser"]).json()["id"] == MEMBER

    first = session.token["access_token"]
    refreshed = session.refresh_token(metadata["token_endpoint"])
    assert refreshed["access_token"] != first
    assert session.get(f"{base}/Patient/{MEMBER}").status_code == 200
    session.revoke_token(metadata["revocation_endpoint"], refreshed["refresh_token"], "refresh_token")
    assert session.get(f"{base}/Patient/{MEMBER}").status_code == 401
    with pytest.raises(OAuthError) as refused:
        session.refresh_token(metadata["token_endpoint"])
    assert refused.value.error == "invalid_grant"

    own = {"Authorization": f"Bearer {client['registration_access_token']}"}
    place = client["registration_client_uri"]
    assert requests.get(place, headers=own, timeout=30).json()["client_id"] == client["client_id"]
    assert requests.delete(place, headers=own, timeout=30).status_code == 204
    assert requests.get(place, headers=own, timeout=30).status_code == 401
