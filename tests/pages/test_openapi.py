"""/openapi.json describes what is served: every path of every row, with references that resolve.

https://spec.openapis.org/oas/v3.1.0
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.fhir.error_codes import ERROR_CODES
from server.pages.openapi import openapi_document
from server.settings import Settings
from server.specification.definitional import DEFINITION_TYPES
from server.specification.registry import RESOURCES
from tests.asgi import served
from tests.lasting import settings_of

BASE_URL = "https://api.example/plan"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Settings:
    """A deployment below a path."""
    copy = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("openapi") / "test.db")
    return settings_of(f"sqlite:///{copy}", base_url=BASE_URL)


@pytest.fixture(scope="module")
def document(deployment: Settings) -> dict[str, Any]:
    """The document as it is served."""
    with TestClient(create_app(deployment), base_url="https://api.example") as client:
        response = client.get("/openapi.json")
    assert response.headers["access-control-allow-origin"] == "*"
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for name, text in value.items() if name == "$ref")
        value = list(value.values())
    for child in value if isinstance(value, list) else ():
        yield from references(child)


def test_it_is_openapi_3_1_of_this_server(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": BASE_URL}]
    assert document["info"]["version"]


@pytest.mark.parametrize("type", RESOURCES)
def test_every_row_has_its_paths_and_parameters(document: dict[str, Any], type: str) -> None:
    row, paths = RESOURCES[type], document["paths"]
    search = paths[f"/fhir/{type}"]["get"]
    names = [parameter["name"] for parameter in search["parameters"]]
    assert names[: len(row.search_parameters)] == [parameter.code for parameter in row.search_parameters]
    assert ("_include" in names) == bool(row.includes)
    form = paths[f"/fhir/{type}/_search"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert list(form["schema"]["properties"]) == names
    assert search["security"] == [{"smart": [f"patient/{type}.s"]}]
    for path in (f"/fhir/{type}/{{id}}", f"/fhir/{type}/{{id}}/_history/{{version}}"):
        assert paths[path]["get"]["security"] == [{"smart": [f"patient/{type}.r"]}]


def test_references_resolve_and_names_are_unique(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    for reference in found:
        value = document
        for part in reference.removeprefix("#/").split("/"):
            value = value[part]
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert {"token", "revoke", "introspect", "authorize", "capabilities", "jwks"} <= set(ids)


def test_every_operation_has_a_known_tag_and_declares_the_parameters_of_its_path(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    schemes = document["components"]["securitySchemes"]
    for path, method, operation in operations(document):
        assert set(operation["tags"]) <= tags, path
        assert operation["summary"], path
        in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path)), (path, method)
        for need in operation.get("security", ()):
            for scheme, scopes in need.items():
                offered = schemes[scheme].get("flows", {}).get("authorizationCode", {}).get("scopes", {})
                assert set(scopes) <= set(offered)


def test_every_error_code_stands_at_its_status(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    for row in ERROR_CODES.values():
        if row.severity == "error":
            assert f"[{row.code}]({BASE_URL}{row.page})" in responses[f"Error{row.status}"]["description"]
    used = set(references(document["paths"]))
    assert {f"#/components/responses/{name}" for name in responses} == {name for name in used if "/responses/" in name}


def test_what_is_described_is_served(document: dict[str, Any], deployment: Settings) -> None:
    with served(deployment) as application:
        for path, method, _ in operations(document):
            reply = application.send(method.upper(), re.sub(r"\{\w+\}", "1", path))
            public = path.removeprefix("/fhir/").partition("/")[0] in ("metadata", *DEFINITION_TYPES)
            expected = (401,) if path.startswith("/fhir/") and "." not in path else (200, 400, 401)
            assert reply.status in ((404 if "{" in path else 200,) if public else expected), (method, path)


def test_the_brands_are_described_as_fhir(document: dict[str, Any]) -> None:
    responses = document["paths"]["/brands"]["get"]["responses"]
    assert list(responses["200"]["content"]) == ["application/fhir+json"]
    assert set(responses) == {"200", "304"}


def test_what_describes_the_api_is_described_without_a_token(document: dict[str, Any]) -> None:
    for row in DEFINITION_TYPES.values():
        search = document["paths"][f"/fhir/{row.type}"]["get"]
        assert [one["name"] for one in search["parameters"]] == [*(one.code for one in row.parameters), "_count"]
        assert "security" not in search
        assert "security" not in document["paths"][f"/fhir/{row.type}/{{id}}"]["get"]


def test_the_token_endpoint_lists_its_form(document: dict[str, Any]) -> None:
    body = document["paths"]["/token"]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
    assert schema["required"] == ["grant_type"]
    assert {"code", "code_verifier", "redirect_uri", "refresh_token", "client_id"} <= set(schema["properties"])


def test_a_row_added_at_run_time_is_in_the_document(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(iter(RESOURCES.values()))
    monkeypatch.setitem(
        RESOURCES, "Basic", row.__class__("Basic", "Other records", row.membership, (), row.search_parameters)
    )
    assert "/fhir/Basic/{id}" in openapi_document((), deployment)["paths"]
