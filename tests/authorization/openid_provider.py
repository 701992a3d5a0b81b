"""A payer's OpenID provider on a port of its own: a foreign party that signs what a test tells it to, right or wrong.

https://openid.net/specs/openid-connect-core-1_0.html and OpenID Connect Discovery 1.0
"""

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from server import clock

CLIENT_ID, SECRET = "patient-access", "the secret at the provider"
ACCESS_TOKEN = "an access token of the provider"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
CURVE_KEY = ECKey.generate_key("P-256", {"kid": "curve", "use": "sig"})


@dataclass
class OpenIDProvider:
    """The provider: what it publishes, what it says of who signs in, and what it was asked."""

    issuer: str = ""
    key: RSAKey | ECKey = field(default_factory=lambda: KEY)
    published: list[RSAKey | ECKey] = field(default_factory=lambda: [KEY])
    algorithm: str = "RS256"
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """What its next id_token says beside or instead of the usual; None: left out."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Path to what is answered there instead."""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _, _ in self.asked]

    def discovery(self) -> dict[str, Any]:
        """The discovery document."""
        names = {"authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        names |= {"userinfo_endpoint": "/me", "end_session_endpoint": "/session/end"}
        return {
            "issuer": self.issuer,
            **{name: self.issuer + path for name, path in names.items()},
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "none", "HS256"],
            **self.metadata,
        }

    def sign_in(self, location: str, **answer: str) -> str:
        """The member signs in at an authorization URL of ours; the address they come back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer} | answer
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def id_token(self, asked: dict[str, str]) -> str:
        """A signed id_token for an authorization request."""
        now = clock.now_microseconds() // 1_000_000
        usual = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "subject-1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "auth_time": now,
            "member": "p1",
            "name": "Ada Lovelace",
        }
        claims = {name: value for name, value in (usual | self.claims).items() if value is not None}
        if self.algorithm == "none":
            parts = [json.dumps({"alg": "none"}), json.dumps(claims)]
            return ".".join(urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + "."
        key: Any = OctKey.import_key(SECRET) if self.algorithm == "HS256" else self.key
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid}, claims, key, algorithms=[self.algorithm])

    def answer(self, path: str, sent: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        """What is answered at a path."""
        self.asked.append((path, sent, headers))
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self.discovery()).encode()
        if path == "/jwks":
            return 200, json.dumps({"keys": [key.as_dict(private=False) for key in self.published]}).encode()
        if path == "/me" and headers.get("authorization") == f"Bearer {ACCESS_TOKEN}":
            return 200, json.dumps({"sub": "subject-1"} | self.userinfo).encode()
        if path == "/token":
            asked = self.codes.pop(sent.get("code", ""), None)
            challenge = sha256(sent.get("code_verifier", "").encode()).digest()
            proof = urlsafe_b64encode(challenge).rstrip(b"=").decode()
            if asked is None or asked["code_challenge"] != proof or asked["redirect_uri"] != sent["redirect_uri"]:
                return 400, b'{"error": "invalid_grant"}'
            tokens = {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": self.id_token(asked)}
            return 200, json.dumps(tokens).encode()
        return 404, b"{}"


def basic_credentials(headers: dict[str, str]) -> tuple[str, str]:
    """The client id and secret of an Authorization header (RFC 6749 section 2.3.1)."""
    pair = b64decode(headers["authorization"].removeprefix("Basic ")).decode()
    name, _, secret = pair.partition(":")
    return unquote(name), unquote(secret)


@contextmanager
def running_provider() -> Iterator[OpenIDProvider]:
    """A provider that answers until the end of the block."""
    provider = OpenIDProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(body).items()})

        def _answer(self, sent: dict[str, str]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = provider.answer(urlsplit(self.path).path, sent, headers)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{web.server_port}"
    thread = Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        web.shutdown()
        thread.join()
        web.server_close()
