"""An app and a member's browser in one: it does the SMART dance over HTTP, step by step or at once."""

import hashlib
import html
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from argon2 import PasswordHasher
from httpx2 import Response
from sqlalchemy import Table, select
from sqlmodel import Session
from starlette.testclient import TestClient

from server.authorization.clients import register
from server.settings import Settings
from server.storage.authorization_schema import Account, AccountMember
from server.storage.database import Database
from server.storage.ledger import EventLedger
from server.storage.schema import LedgerRow, Resource

SCOPE = "openid fhirUser launch/patient offline_access patient/*.rs"
REDIRECT_URI = "https://app.example/callback"
PASSWORD = "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""As weak as argon2 gets: it is checked some hundred times."""


def challenge_of(verifier: str) -> str:
    """The S256 code challenge of a verifier."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def hidden_fields(page: Response) -> dict[str, str]:
    """The hidden inputs of a page's forms."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
    return {name: html.unescape(value) for name, value in found}


def ticked(page: Response) -> dict[str, str]:
    """The boxes that a page's forms have ticked, and the choices made, as it comes."""
    found = re.findall(r'<input type="(?:checkbox|radio)" name="([^"]*)" value="([^"]*)"[^>]* checked>', page.text)
    return {name: html.unescape(value) for name, value in found}


def redirect_parameters(response: Response) -> dict[str, str]:
    """The query of the URL that a redirect leads to."""
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def events(database: Database, *kinds: str) -> list[LedgerRow]:
    """The ledger's rows of these kinds (all, when none is named), the oldest first."""
    ledger: Table = LedgerRow.__table__  # type: ignore[attr-defined]
    with database.reading() as transaction:
        rows = transaction.all(select(ledger).order_by(ledger.c.at, ledger.c.sequence))
    return [LedgerRow(**row._mapping) for row in rows if not kinds or row.kind in kinds]


def add_people(database: Database) -> None:
    """Ada acts for herself; Grace for herself and two children, one of whom knows her by a record of her own; Bob for nobody."""
    names = {"p1": ("Ada", "Lovelace"), "p2": ("Grace", "Hopper"), "p3": ("Kid", "Hopper"), "p4": ("Baby", "Hopper")}
    birth_dates = {"p1": "1970-12-10", "p2": "1980-12-09", "p3": "2016-02-29", "p4": "2026-01-31"}
    accounts = {"ada": "Ada Lovelace", "grace": "Grace Hopper", "bob": "Bob"}
    acts_for = [
        ("ada", "p1", "self", ""),
        ("grace", "p2", "self", ""),
        ("grace", "p3", "parent", "RelatedPerson/r3"),
        ("grace", "p4", "parent", ""),
    ]
    same = {"version": "1", "last_updated": 0, "loaded_at": 1, "hash": b""}
    with Session(database.engine) as session:
        for id, (given, family) in names.items():
            name = [{"use": "official", "given": [given], "family": family}]
            body = orjson.dumps({"resourceType": "Patient", "id": id, "name": name, "birthDate": birth_dates[id]})
            session.add(Resource(patient=id, type="Patient", id=id, body=body, **same))
        related = orjson.dumps({"resourceType": "RelatedPerson", "id": "r3", "patient": {"reference": "Patient/p3"}})
        session.add(Resource(patient="p3", type="RelatedPerson", id="r3", body=related, **same))
        for username, name in accounts.items():
            session.add(
                Account(id=f"{username}-id", username=username, password_hash=HASH, display_name=name, created_at=0)
            )
        for username, patient, relationship, related in acts_for:
            session.add(
                AccountMember(
                    account=f"{username}-id", patient=patient, relationship=relationship, related_person=related
                )
            )
        session.commit()


@dataclass
class SmartApp:
    """A registered app. ``secret`` None: a public client."""

    web: TestClient
    settings: Settings
    client_id: str
    secret: str | None = None
    redirect_uri: str = REDIRECT_URI
    authentication: str = "none"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def authorization_request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of a good authorization request, with changes (None: left out)."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": "a state/with ?&= and é",
            "aud": self.settings.fhir_base,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "nonce": "n-0S6_WzA2Mj",
        }
        return {name: value for name, value in {**parameters, **changes}.items() if value is not None}

    def authorize(self, **changes: str | None) -> Response:
        """GET /authorize."""
        return self.web.get("/authorize", params=self.authorization_request(**changes))

    def sign_in(self, location: str, username: str = "ada", password: str = PASSWORD) -> Response:
        """Open the sign-in page and send its form."""
        page = self.web.get(location)
        return self.web.post("/sign-in", data={**hidden_fields(page), "username": username, "password": password})

    def decide(
        self,
        page: Response,
        decision: str = "allow",
        patient: str | None = None,
        withheld: Collection[str] = (),
        duration: str | None = None,
    ) -> Response:
        """Send the consent form as it comes, but for whose information, the categories to take the tick from, and how long."""
        data = {**hidden_fields(page), **ticked(page), "decision": decision}
        data |= {} if patient is None else {"patient": patient}
        data |= {} if duration is None else {"duration": duration}
        for category in withheld:
            del data[f"share-{category}"]
        return self.web.post("/consent", data=data)

    def consent_page(self, username: str = "ada", **changes: str | None) -> Response:
        """Authorize and sign in, as far as the consent page."""
        response = self.authorize(**changes)
        if "/sign-in" in response.headers["location"]:
            response = self.sign_in(response.headers["location"], username)
        return self.web.get(response.headers["location"])

    def code(self, username: str = "ada", patient: str | None = None, **changes: str | None) -> str:
        """An authorization code."""
        return redirect_parameters(self.decide(self.consent_page(username, **changes), patient=patient))["code"]

    def post(self, path: str, parameters: dict[str, Any], **options: Any) -> Response:
        """A form POST with the app's own client authentication."""
        if self.authentication == "client_secret_basic":
            options.setdefault("auth", (self.client_id, self.secret))
        elif self.authentication == "client_secret_post":
            parameters = {"client_id": self.client_id, "client_secret": self.secret, **parameters}
        else:
            parameters = {"client_id": self.client_id, **parameters}
        sent = {name: value for name, value in parameters.items() if value is not None}
        return self.web.post(path, data=sent, **options)

    def exchange(self, code: str, /, **changes: str | None) -> Response:
        """POST /token with a code."""
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return self.post("/token", {**parameters, **changes})

    def refresh(self, refresh_token: str, /, **changes: str | None) -> Response:
        """POST /token with a refresh token."""
        return self.post("/token", {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def introspect(self, token: str) -> dict[str, Any]:
        """What the server says of a token."""
        answer: dict[str, Any] = self.post("/introspect", {"token": token}).json()
        return answer

    def connect(self, username: str = "ada", patient: str | None = None, **changes: str | None) -> dict[str, Any]:
        """The whole dance; the token response."""
        response = self.exchange(self.code(username, patient, **changes))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def share(
        self, username: str = "ada", withheld: Collection[str] = (), duration: str | None = None, **changes: str | None
    ) -> dict[str, Any]:
        """The whole dance of a member who takes ticks away or chooses how long; the token response."""
        answer = self.decide(self.consent_page(username, **changes), withheld=withheld, duration=duration)
        response = self.exchange(redirect_parameters(answer)["code"])
        assert response.status_code == 200, response.text
        token: dict[str, Any] = response.json()
        return token

    def read(self, access_token: str, path: str = "Patient") -> int:
        """The status of a FHIR request with a token."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.web.get(f"/fhir/{path}", headers=headers).status_code


def new_app(web: TestClient, database: Database, settings: Settings, **options: Any) -> SmartApp:
    """Register an app."""
    name = options.pop("name", "Health Notes")
    redirect_uris = options.pop("redirect_uris", [REDIRECT_URI])
    client_id, secret = register(EventLedger(database), settings, name, redirect_uris, **options)
    return SmartApp(
        web, settings, client_id, secret, redirect_uris[0], authentication=options.get("authentication", "none")
    )
