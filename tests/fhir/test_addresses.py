"""Addresses: every link is BASE_URL's, whatever a request says it came by; and odd spellings of a path are the same path or a clear 404.

https://hl7.org/fhir/R4/http.html#general and https://www.rfc-editor.org/rfc/rfc7239#section-8.1
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from server.storage.database import Database
from tests import factories
from tests.asgi import Reply, Served, served
from tests.factories import ledger_rows, patient, store
from tests.lasting import World, lasting_database, settings_of
from tests.serving import serving

HOSTILE = {
    "host": "evil.example",
    "x_forwarded_host": "evil.example",
    "x_forwarded_proto": "gopher",
    "x_forwarded_for": "192.0.2.1",
    "x_forwarded_prefix": "/evil",
    "forwarded": "host=evil.example;proto=gopher",
    "x_original_url": "/evil",
}


def test_links_never_follow_what_a_client_says_of_its_way(world: World) -> None:
    for target in ("Patient", "ExplanationOfBenefit?_count=2", "Patient/anna/_history", "Patient/anna/$everything"):
        reply = world.get("anna", target, **HOSTILE)
        assert reply.status == 200
        assert b"evil" not in reply.raw
        assert b"gopher" not in reply.raw
        assert all(url.startswith(world.settings.fhir_base + "/") for url in reply.links.values())
    for path in ("/fhir/metadata", "/fhir/.well-known/smart-configuration", "/", "/docs", "/authorize"):
        reply = world.served.get(path, **HOSTILE)
        assert b"evil" not in reply.raw
        assert "evil" not in reply.header("location")


@pytest.mark.parametrize(
    "path", ["Patient/anna/", "/Patient/anna", "//Patient/anna//", "Patient%2Fanna", "Patient/%61nna"]
)
def test_slashes_too_many_and_encoded_letters_change_nothing(world: World, path: str) -> None:
    reply = world.get("anna", f"/fhir/{path}")
    assert (reply.status, reply.json["id"]) == (200, "anna")
    assert world.get("ben", f"/fhir/{path}").status == 404
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.interaction, row.resource_type, row.resources) == ("read", "Patient", 1)


@pytest.mark.parametrize(
    "path",
    [
        "Patient//anna",
        "Patient/./anna",
        "Patient/../Patient/anna",
        "Patient/anna%252F",
        "Patient/anna;v=1",
        "PATIENT/anna",
        "patient",
        "Patient/anna/_HISTORY",
        ".well-known/nothing",
        ".well-known",
    ],
)
def test_what_is_spelt_otherwise_is_not_found(world: World, path: str) -> None:
    reply = world.get("anna", f"/fhir/{path}")
    assert reply.status == 404
    assert reply.json["resourceType"] == "OperationOutcome"


def test_the_search_by_post_is_spelt_as_it_is(world: World) -> None:
    for path, status in (("Patient/_search", 200), ("Patient/_search/", 200), ("Patient/_SEARCH", 405)):
        reply = world.served.post(path, world.token("anna"), [("_id", "anna")])
        assert reply.status == status, path
        assert reply.json["resourceType"] == ("Bundle" if status == 200 else "OperationOutcome")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "Application/X-WWW-Form-URLEncoded;charset=utf-8",
    ],
)
def test_the_query_and_the_form_of_a_search_by_post_count_together(world: World, content_type: str) -> None:
    form = [("use", "claim")]
    both = world.served.post("ExplanationOfBenefit/_search?_count=2", world.token("anna"), form, content_type)
    assert both.status == 200
    assert both.json["total"] == 3
    assert len(both.entries()) == 2
    assert "use=claim" in both.links["self"]
    assert "_count=2" in both.links["self"]


@pytest.mark.parametrize("content_type", ["application/json", "application/fhir+json", "text/plain", "", "x"])
def test_a_form_of_another_type_is_refused(world: World, content_type: str) -> None:
    reply = world.served.post("Patient/_search", world.token("anna"), [("_id", "anna")], content_type)
    assert (reply.status, reply.json["resourceType"]) == (415, "OperationOutcome")


def test_parameters_of_another_fhir_version_are_refused(world: World) -> None:
    body = b'{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Patient"}]}'
    for version, status in (("4.0", 200), ("5.0", 415)):
        content_type = f"application/fhir+json; fhirVersion={version}"
        reply = world.served.send(
            "POST", "Patient/anna/$everything", world.token("anna"), body, content_type=content_type
        )
        assert reply.status == status


def test_the_body_of_a_get_is_ignored(world: World) -> None:
    reply = world.served.send(
        "GET", "Patient", world.token("anna"), b"_id=nobody", content_type="application/x-www-form-urlencoded"
    )
    assert (reply.status, reply.json["total"]) == (200, 1)


@pytest.fixture(scope="module", params=["https://x.example/payer", "https://x.example/payer/v1"])
def below(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server whose address has a path."""
    with lasting_database("sqlite", request) as url:
        settings = settings_of(url, base_url=request.param)
        database = Database(settings)
        store(database, settings, [patient("anna")])
        with served(settings) as application:
            yield application
        database.engine.dispose()


def test_an_address_with_a_path_is_served_with_it_and_without(below: Served) -> None:
    prefix = urlsplit(below.settings.base_url).path
    database = below.application.database
    token = factories.token(database, "anna").text
    for before in (prefix, ""):
        assert below.get(f"{before}/fhir/Patient/anna", token).json["id"] == "anna"
        links = below.get(f"{before}/fhir/Patient", token).links
        assert links["self"] == f"{below.settings.fhir_base}/Patient"
        smart = below.get(f"{before}/fhir/.well-known/smart-configuration").json
        assert smart["token_endpoint"] == f"{below.settings.base_url}/token"
        assert below.get(f"{before}/fhir/Nothing", token).json["resourceType"] == "OperationOutcome"
        assert below.get(f"{before}/fhir", token).json["resourceType"] == "OperationOutcome"
        page = below.get(f"{before}/docs")
        assert page.status == 200
        for link in re.findall(r'href="(/[^"]*)"', page.body.decode()):
            assert link.startswith(prefix + "/") or link == prefix
        assert below.send("POST", f"{before}/token").status == 400
        assert below.get(f"{before}/readyz").status == 200
    assert below.get(prefix).status == below.get(f"{prefix}/").status == 200
    assert below.get("/payerless/fhir/metadata").status == 404


def test_the_links_of_an_address_with_a_path_lead_to_it(below: Served) -> None:
    token = factories.token(below.application.database, "anna").text
    reply = below.get(below.get("Patient?_count=1", token).links["first"].removeprefix("https://x.example"), token)
    assert (reply.status, reply.json["total"]) == (200, 1)


def test_the_metadata_of_an_issuer_with_a_path_stands_where_rfc_8414_puts_it(below: Served) -> None:
    path = urlsplit(below.settings.fhir_base).path
    found = below.get(f"/.well-known/oauth-authorization-server{path}")
    assert (found.status, found.json["issuer"]) == (200, below.settings.fhir_base)


def addresses_refused(base_url: str) -> list[int]:
    """Statuses of wrong guesses that each say they come from another address."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody"}
    headers = [{"X-Forwarded-For": f"192.0.2.{number}", "X-Forwarded-Host": "evil.example"} for number in range(5)]
    return [httpx2.post(f"{base_url}/token", data=form, headers=one).status_code for one in headers]


def test_forwarded_addresses_are_believed_of_configured_proxies_only(
    sqlite_template: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for proxies, blocked in (("198.51.100.0/24", True), ("127.0.0.0/8", False)):
        with subtests.test(proxies):
            database = tmp_path / f"forwarded-{len(proxies)}.db"
            database.write_bytes(sqlite_template.read_bytes())
            more = {"TRUSTED_PROXIES": proxies, "GUESSES_PER_ACCOUNT": "3", "GUESSES_PER_ADDRESS": "3"}
            with serving(f"sqlite:///{database}", tmp_path / "log", workers=1, settings=more) as server:
                assert (429 in addresses_refused(server.base_url)) == blocked
                metadata = httpx2.get(f"{server.fhir_base}/metadata", headers={"X-Forwarded-Host": "evil.example"})
                assert "evil" not in metadata.text


def test_a_deprecated_address_says_so_with_every_answer(request: pytest.FixtureRequest) -> None:
    with lasting_database("sqlite", request) as url:
        settings = settings_of(url, deprecated_since="2026-11-01", sunset_at="2027-11-01")
        with served(settings) as application:
            token = factories.token(application.application.database, "anna").text
            replies: list[tuple[Reply, int]] = [
                (application.get("metadata"), 200),
                (application.get("Patient", token), 200),
                (application.get("Patient"), 401),
                (application.get("Nothing", token), 404),
            ]
    for reply, status in replies:
        assert reply.status == status
        assert reply.header("deprecation") == "@1793491200"
        assert reply.header("sunset") == "Mon, 01 Nov 2027 00:00:00 GMT"
        for relation in ("deprecation", "sunset"):
            assert f'<{settings.base_url}/docs/changelog>; rel="{relation}"' in reply.header("link")


def test_an_address_in_service_says_nothing_of_its_end(world: World) -> None:
    reply = world.get("anna", "Patient")
    assert reply.header("deprecation") == reply.header("sunset") == reply.header("link") == ""


def test_an_address_ends_after_it_is_deprecated() -> None:
    with pytest.raises(ValueError, match="must not be before DEPRECATED_SINCE"):
        settings_of("sqlite:///x.db", deprecated_since="2026-11-02", sunset_at="2026-11-01")
    assert settings_of("sqlite:///x.db", deprecated_since="", sunset_at="").sunset_at is None
