"""A private_key_jwt client: its keys, its assertions, and a web server of its own that publishes its key set.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from server import clock

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC_KEY = ECKey.generate_key("P-384", {"kid": "ec-1"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "rsa-2"})
ALGORITHMS = {"rsa-1": "RS384", "rsa-2": "RS384", "ec-1": "ES384"}
Key = RSAKey | ECKey


def key_set(*keys: Key) -> str:
    """The public keys as a JWK Set."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


@dataclass
class Signer:
    """Signs assertions for a client."""

    client_id: str
    audience: str
    key: Key = field(default_factory=lambda: RSA_KEY)

    def assertion(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A good assertion with changed claims (None: left out) and header members."""
        now = clock.now_microseconds() // 1_000_000
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "exp": now + 240,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
        }
        kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        alg = ALGORITHMS[str(self.key.kid)]
        members = {"alg": alg, "kid": self.key.kid, **(header or {})}
        members = {name: value for name, value in members.items() if value is not None}
        return jwt.encode(members, kept, self.key, [members["alg"]])

    def proof(self, assertion: str | None = None) -> dict[str, str]:
        """The two form fields of client authentication."""
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion or self.assertion()}


@dataclass
class KeyPage:
    """What a client's web server answers: ``answer`` is (status, headers, body); ``asked`` counts."""

    url: str = ""
    asked: int = 0
    answer: Callable[[], tuple[int, dict[str, str], bytes]] = field(default=lambda: (404, {}, b""))

    def publish(self, *keys: Key) -> None:
        """Answer with a JWK Set."""
        body = key_set(*keys).encode()
        self.answer = lambda: (200, {"Content-Type": "application/json"}, body)


@contextmanager
def publishing(*keys: Key) -> Iterator[KeyPage]:
    """A web server on this machine with a key set, until the end of the block."""
    page = KeyPage()
    page.publish(*keys)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked += 1
            status, headers, body = page.answer()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    page.url = f"http://127.0.0.1:{server.server_port}/jwks"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
