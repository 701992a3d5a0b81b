"""An app that registers itself over HTTP, and keys to sign with."""

import json
from typing import Any

from httpx2 import Response
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.testclient import TestClient

REDIRECT_URI = "https://app.example/callback"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-384", {"kid": "ec"})


def public(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """The public halves as a JWK Set."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def registration(web: TestClient, **changes: Any) -> Response:
    """POST /register with good metadata and changes (None: left out)."""
    metadata: dict[str, Any] = {"client_name": "Health Notes", "redirect_uris": [REDIRECT_URI], **changes}
    return web.post("/register", json={name: value for name, value in metadata.items() if value is not None})


def registered(web: TestClient, **changes: Any) -> dict[str, Any]:
    """The client information response."""
    response = registration(web, **changes)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def bearer(information: dict[str, Any]) -> dict[str, str]:
    """The header by which an app manages its registration."""
    return {"Authorization": f"Bearer {information['registration_access_token']}"}


def place(information: dict[str, Any]) -> str:
    """The path of an app's registration."""
    return f"/register/{information['client_id']}"


def statement(key: RSAKey | ECKey, algorithm: str, **claims: Any) -> str:
    """A software statement."""
    return jwt.encode({"alg": algorithm, "kid": key.kid}, json.loads(json.dumps(claims)), key, [algorithm])
