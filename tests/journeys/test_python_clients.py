"""Two unmodified clients from PyPI do their natural story against the running server: authlib's client and fhirpy.

https://docs.authlib.org/en/stable/oauth2/client/ and https://github.com/beda-software/fhir-py
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.requests_client import OAuth2Session
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ResourceNotFound
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, RSAKey

from seed_data.generate import resources
from server.authorization.clients import register
from server.specification.audit import AUDIT_EVENT
from server.storage.ledger import EventLedger
from tests.browser import sign_in_and_allow
from tests.factories import ledger_rows
from tests.journeys.conftest import CALLBACK, PASSWORD, Running
from tests.lasting import settings_of
from tests.serving import Server

MEMBER, USERNAME = "member-mbeki-larsen", "mbeki-larsen"
SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"

pytestmark = pytest.mark.parametrize("running", ["postgresql"], indirect=True)


def registered(running: Running, client_id: str, authentication: str = "none") -> str | None:
    """Register an app; its secret, if it has one."""
    ledger, settings = EventLedger(running.database), settings_of("sqlite:///unused", base_url=running.server.base_url)
    return register(ledger, settings, client_id, [CALLBACK], authentication=authentication, client_id=client_id)[1]


def claims_of_member(matching: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, dict[str, Any]]:
    """The member's claims as they were generated, by id."""
    records: list[dict[str, Any]] = list(resources())
    claims = [record for record in records if record["resourceType"] == "ExplanationOfBenefit"]
    return {c["id"]: c for c in claims if c["patient"]["reference"] == f"Patient/{MEMBER}" and matching(c)}


def discovered(server: Server) -> dict[str, Any]:
    """The issuer's own document."""
    return dict(requests.get(f"{server.base_url}/fhir/.well-known/openid-configuration", timeout=10).json())


def allowed(address: str, server: Server) -> str:
    """What a member does at the app's authorization URL; the callback URL that the app receives."""
    return sign_in_and_allow(address, server.base_url, USERNAME, PASSWORD[USERNAME])


@dataclass(frozen=True, slots=True)
class Question:
    """What an app keeps to itself between its question and the answer."""

    verifier: str
    nonce: str

    @classmethod
    def new(cls) -> "Question":
        """A question never asked before."""
        return cls(generate_token(48), generate_token(20))


def checked_id_token(token: str, metadata: dict[str, Any], client_id: str, nonce: str) -> dict[str, Any]:
    """The claims of an id_token, verified with the issuer's published keys as OpenID Connect Core 1.0 section 3.1.3.7 says."""
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
    decoded = jwt.decode(token, keys, algorithms=metadata["id_token_signing_alg_values_supported"])
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": metadata["issuer"]},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    rules.validate(decoded.claims)
    return dict(decoded.claims)


def connected(running: Running, client_id: str, secret: str | None = None) -> tuple[OAuth2Session, Question]:
    """A session of authlib's whose member has signed in and allowed it."""
    metadata = discovered(running.server)
    session = OAuth2Session(
        client_id,
        secret,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    )
    question = Question.new()
    address, state = session.create_authorization_url(
        metadata["authorization_endpoint"],
        code_verifier=question.verifier,
        nonce=question.nonce,
        aud=running.server.fhir_base,
    )
    callback = allowed(address, running.server)
    session.fetch_token(authorization_response=callback, state=state, code_verifier=question.verifier)
    return session, question


def life_of_grant(running: Running, client_id: str) -> list[str]:
    """What the ledger says of an app but for answers and its registration."""
    rows = sorted(ledger_rows(running.database, client_id=client_id), key=lambda row: row.at)
    return [f"{row.kind} {row.interaction}" for row in rows if row.kind not in ("answer", "app")]


def test_authlib_session_connects_checks_the_id_token_pages_refreshes_and_is_revoked(running: Running) -> None:
    registered(running, "authlib-public")
    base, metadata = running.server.fhir_base, discovered(running.server)
    session, question = connected(running, "authlib-public")

    claims = checked_id_token(session.token["id_token"], metadata, "authlib-public", question.nonce)
    assert session.get(claims["fhirUser"]).json()["id"] == session.token["patient"] == MEMBER
    with pytest.raises(BadSignatureError):
        jwt.decode(session.token["id_token"], RSAKey.generate_key(2048), algorithms=["RS256"])

    found: list[str] = []
    sizes: list[int] = []
    following: str | None = f"{base}/ExplanationOfBenefit?patient={MEMBER}"
    while following:
        bundle = session.get(following).json()
        sizes.append(len(bundle["entry"]))
        found += [entry["resource"]["id"] for entry in bundle["entry"]]
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    assert sizes == [50, 22]
    assert sorted(found) == sorted(claims_of_member())

    first = dict(session.token)
    refreshed = session.refresh_token(metadata["token_endpoint"])
    assert refreshed["access_token"] != first["access_token"]
    assert refreshed["refresh_token"] != first["refresh_token"]
    assert session.get(f"{base}/Patient/{MEMBER}").status_code == 200

    introspected = session.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"])
    assert introspected.json()["active"] is True
    revoked = session.revoke_token(metadata["revocation_endpoint"], refreshed["refresh_token"], "refresh_token")
    assert revoked.status_code == 200
    assert session.get(f"{base}/Patient/{MEMBER}").status_code == 401
    with pytest.raises(OAuthError) as refused:
        session.refresh_token(metadata["token_endpoint"])
    assert refused.value.error == "invalid_grant"
    assert life_of_grant(running, "authlib-public") == ["grant consent", "revocation revoke", "refusal token"]


@pytest.mark.parametrize("authentication", ["client_secret_basic", "client_secret_post"])
def test_authlib_async_client_with_a_secret_refreshes_by_itself_when_its_token_is_old(
    running: Running, authentication: str
) -> None:
    client_id = f"authlib-{authentication.rpartition('_')[2]}"
    secret = registered(running, client_id, "client_secret_basic")
    base, metadata = running.server.fhir_base, discovered(running.server)
    kept: list[dict[str, Any]] = []

    async def keep(token: dict[str, Any], refresh_token: str | None = None, access_token: str | None = None) -> None:
        assert refresh_token is not None
        kept.append(dict(token))

    async def story() -> None:
        question = Question.new()
        async with AsyncOAuth2Client(
            client_id,
            secret,
            token_endpoint_auth_method=authentication,
            revocation_endpoint_auth_method=authentication,
            scope=SCOPE,
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            token_endpoint=metadata["token_endpoint"],
            update_token=keep,
        ) as client:
            address, state = client.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=question.verifier, nonce=question.nonce, aud=base
            )
            callback = await asyncio.to_thread(allowed, address, running.server)
            await client.fetch_token(authorization_response=callback, state=state, code_verifier=question.verifier)
            checked_id_token(client.token["id_token"], metadata, client_id, question.nonce)
            first = client.token["access_token"]

            client.token["expires_at"] = int(time.time()) - 1
            searches = (client.get(f"{base}/{type}") for type in ("Coverage", "ExplanationOfBenefit", "Patient"))
            answers = await asyncio.gather(*searches)
            assert [answer.status_code for answer in answers] == [200, 200, 200]
            assert [answer.json()["total"] for answer in answers] == [1, 72, 1]
            assert len(kept) == 1
            assert client.token["access_token"] != first

            revoked = await client.revoke_token(metadata["revocation_endpoint"], client.token["access_token"])
            assert revoked.status_code == 200
            assert (await client.get(f"{base}/Patient/{MEMBER}")).status_code == 401
            await client.refresh_token(metadata["token_endpoint"])
            assert (await client.get(f"{base}/Patient/{MEMBER}")).status_code == 200
            await client.revoke_token(metadata["revocation_endpoint"], client.token["refresh_token"])
            assert (await client.get(f"{base}/Patient/{MEMBER}")).status_code == 401

    asyncio.run(story())
    assert life_of_grant(running, client_id) == ["grant consent", "revocation revoke", "revocation revoke"]


def test_fhirpy_counts_pages_includes_resolves_and_is_refused_after_revocation(running: Running) -> None:
    registered(running, "fhirpy-sync")
    session, _ = connected(running, "fhirpy-sync")
    client = SyncFHIRClient(running.server.fhir_base, authorization=f"Bearer {session.token['access_token']}")

    patient = client.resources("Patient").get()
    assert patient.id == session.token["patient"] == MEMBER
    claims = client.resources("ExplanationOfBenefit").search(patient=patient)
    assert claims.count() == 72
    fetched = claims.limit(30).fetch_all()
    assert [type(claim).__name__ for claim in fetched[:1]] == ["SyncFHIRResource"]
    assert len(fetched) == 72
    assert {claim.id for claim in fetched} == set(claims_of_member())
    first = claims.first()
    assert first is not None
    assert first.id == fetched[0].id

    since, until = date(2026, 3, 1), date(2026, 6, 1)
    starts = claims.search(service_start_date__ge=since, service_start_date__lt=until)
    expected = claims_of_member(lambda claim: str(since) <= claim["billablePeriod"]["start"] < str(until))
    assert starts.count() == len(expected) > 0
    assert {claim.id for claim in starts.fetch_all()} == set(expected)
    pharmacy = claims.search(type="http://terminology.hl7.org/CodeSystem/claim-type|pharmacy")
    assert pharmacy.count() == 36
    assert claims.search(type__not="pharmacy").count() == 36

    bundle = (
        pharmacy.include("ExplanationOfBenefit", "provider")
        .include("ExplanationOfBenefit", "coverage")
        .revinclude("Provenance", "target")
        .limit(5)
        .fetch_raw()
    )
    modes = {(entry.search.mode, entry.resource.resource_type) for entry in bundle.entry}
    assert modes == {
        ("match", "ExplanationOfBenefit"),
        ("include", "Organization"),
        ("include", "Coverage"),
        ("include", "Provenance"),
    }

    claim = client.reference("ExplanationOfBenefit", fetched[0].id).to_resource()
    assert dict(claim) == dict(fetched[0])
    assert claim["patient"].to_resource().id == MEMBER
    coverage = claim["insurance"][0]["coverage"].to_resource()
    assert coverage["beneficiary"].reference == f"Patient/{MEMBER}"
    assert coverage["payor"][0].to_resource().resource_type == "Organization"
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "member-castellanos").to_resource()
    assert client.resources("Patient").search(_id="member-castellanos").first() is None

    session.refresh_token(discovered(running.server)["token_endpoint"])
    client.authorization = f"Bearer {session.token['access_token']}"
    assert client.resources("Coverage").search(beneficiary=patient).count() == 1
    session.revoke_token(discovered(running.server)["revocation_endpoint"], session.token["refresh_token"])
    with pytest.raises(AuthorizationError):
        client.resources("Patient").get()
    assert life_of_grant(running, "fhirpy-sync") == ["grant consent", "revocation revoke"]


def test_fhirpy_async_reads_every_type_that_the_server_says_it_serves(running: Running) -> None:
    registered(running, "fhirpy-async")
    session, _ = connected(running, "fhirpy-async")

    async def story() -> dict[str, int]:
        client = AsyncFHIRClient(running.server.fhir_base, authorization=f"Bearer {session.token['access_token']}")
        capabilities = await client.execute("metadata", method="get")
        offered = [row["type"] for row in capabilities["rest"][0]["resource"]]
        types = [type for type in offered if type != AUDIT_EVENT.type]  # an auditor's, as its documentation says
        counts = dict(zip(types, await asyncio.gather(*(client.resources(t).count() for t in types)), strict=True))
        for type in types:
            fetched = [resource.id async for resource in client.resources(type).limit(100)]
            assert len(fetched) == len(set(fetched)) == counts[type], type
        return counts

    counts = asyncio.run(story())
    assert counts["ExplanationOfBenefit"] == 72
    assert {type for type, count in counts.items() if count} >= {"Patient", "Coverage", "Observation", "Encounter"}

    session.revoke_token(discovered(running.server)["revocation_endpoint"], session.token["refresh_token"])

    async def refused() -> None:
        client = AsyncFHIRClient(running.server.fhir_base, authorization=f"Bearer {session.token['access_token']}")
        with pytest.raises(AuthorizationError):
            await client.resources("Patient").fetch_all()

    asyncio.run(refused())
