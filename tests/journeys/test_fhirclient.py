"""An unmodified fhirclient (client-py, from PyPI) does the whole story against the running server.

https://docs.smarthealthit.org/client-py/ - it finds the endpoints in the CapabilityStatement and does PKCE by itself.
"""

from typing import Any

import pytest
import requests
from fhirclient.client import FHIRClient  # type: ignore[import-untyped]
from fhirclient.models.coverage import Coverage  # type: ignore[import-untyped]
from fhirclient.models.explanationofbenefit import ExplanationOfBenefit  # type: ignore[import-untyped]
from fhirclient.models.patient import Patient  # type: ignore[import-untyped]
from fhirclient.server import FHIRNotFoundException, FHIRUnauthorizedException  # type: ignore[import-untyped]

from seed_data.generate import resources
from tests.browser import Browser, sign_in_and_allow
from tests.factories import ledger_rows
from tests.journeys.conftest import CALLBACK, PASSWORD, Running
from tests.serving import Server

SCOPE = "openid fhirUser offline_access patient/Patient.read patient/ExplanationOfBenefit.read patient/Coverage.rs"
MEMBER = "member-mbeki-larsen"


def connected(server: Server, username: str, **choice: str) -> Any:
    """A client whose member has signed in and allowed it."""
    client = FHIRClient(
        settings={
            "app_id": "health-notes",
            "api_base": server.fhir_base,
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
        }
    )
    assert not client.prepare()
    assert "code_challenge_method=S256" in client.authorize_url
    callback = sign_in_and_allow(client.authorize_url, server.base_url, username, PASSWORD[username], **choice)
    assert callback.startswith(f"{CALLBACK}?")
    client.handle_callback(callback)
    assert client.ready
    return client


def claims_of(member: str) -> set[str]:
    """The ids of a member's claims as they were generated."""
    reference = {"reference": f"Patient/{member}"}
    return {
        str(record["id"])
        for record in resources()
        if record["resourceType"] == "ExplanationOfBenefit" and record["patient"]["reference"] == reference["reference"]  # type: ignore[index]
    }


def revoke(client: Any) -> requests.Response:
    """What client-py leaves to the app: RFC 7009, at the address that smart-configuration tells."""
    told = requests.get(f"{client.server.base_uri}.well-known/smart-configuration", timeout=10).json()
    form = {"token": client.server.auth.refresh_token, "client_id": client.app_id}
    return requests.post(told["revocation_endpoint"], data=form, timeout=10)


def test_client_py_connects_reads_pages_refreshes_and_is_revoked(running: Running) -> None:
    client = connected(running.server, "mbeki-larsen")

    assert client.patient_id == MEMBER
    assert client.patient.name[0].family == "Mbeki-Larsen"
    assert client.patient.as_json()["id"] == MEMBER

    bundles = list(ExplanationOfBenefit.where({"patient": client.patient_id}).perform_iter(client.server))
    assert [len(bundle.entry) for bundle in bundles] == [50, 22]
    assert {bundle.total for bundle in bundles} == {72}
    found = [entry.resource.id for bundle in bundles for entry in bundle.entry]
    assert len(found) == len(set(found))
    assert set(found) == claims_of(MEMBER)
    small_pages = ExplanationOfBenefit.where({"_count": "7"}).perform_resources_iter(client.server)
    assert [claim.id for claim in small_pages] == found
    covered = list(Coverage.where({"beneficiary": MEMBER}).perform_resources_iter(client.server))
    assert [coverage.beneficiary.reference for coverage in covered] == [f"Patient/{MEMBER}"]

    before = client.server.auth.access_token
    assert client.reauthorize()
    assert client.server.auth.access_token != before
    assert client.patient_id == MEMBER
    assert ExplanationOfBenefit.read(found[0], client.server).id == found[0]

    assert revoke(client).status_code == 200
    with pytest.raises(FHIRUnauthorizedException):
        Patient.read(MEMBER, client.server)
    with pytest.raises(requests.HTTPError) as refused:
        client.reauthorize()
    assert refused.value.response is not None
    assert refused.value.response.json()["error"] == "invalid_grant"

    rows = sorted(ledger_rows(running.database, patient=MEMBER), key=lambda row: row.at)
    assert {row.client_id for row in rows} == {"health-notes"}
    assert [row.kind for row in rows if row.kind != "answer"] == ["grant", "revocation"]


def test_a_parent_chooses_a_child_and_the_app_sees_that_child_only(running: Running) -> None:
    client = connected(running.server, "castellanos", patient="member-castellanos-inez")
    assert client.patient_id == "member-castellanos-inez"
    claims = list(ExplanationOfBenefit.where({}).perform_resources_iter(client.server))
    assert {claim.patient.reference for claim in claims} == {"Patient/member-castellanos-inez"}
    assert {claim.id for claim in claims} == claims_of("member-castellanos-inez")
    with pytest.raises(FHIRNotFoundException):
        Patient.read("member-castellanos", client.server)


def test_a_member_who_declines_gives_the_app_nothing(running: Running) -> None:
    client = FHIRClient(
        settings={
            "app_id": "health-notes",
            "api_base": running.server.fhir_base,
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
        }
    )
    client.prepare()
    with Browser(running.server.base_url) as browser:
        page = browser.open(client.authorize_url)
        page = browser.press(page, "Sign in", username="vantongeren", password=PASSWORD["vantongeren"])
        page = browser.press(page, "Don't allow")
    assert page.query["error"] == "access_denied"
    with pytest.raises(Exception, match="did not allow"):
        client.handle_callback(page.url)
    assert not client.ready
    assert ledger_rows(running.database, kind="grant", patient="member-vantongeren") == []
