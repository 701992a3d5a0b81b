"""Where there is nothing, people get a page and programs JSON, and neither gets the framework's own words.

https://www.rfc-editor.org/rfc/rfc9110#section-15.5.5 and #section-15.5.6
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.authorization.endpoint_forms import REFUSED
from tests.lasting import BASE_URL, settings_of


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[TestClient]:
    """Somebody without an account."""
    path = tmp_path_factory.mktemp("nothing") / "nothing.db"
    shutil.copyfile(sqlite_template, path)
    with TestClient(create_app(settings_of(f"sqlite:///{path}")), base_url=BASE_URL, follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/nothing", "/docs/nothing/here", "/Patient", "/token/", "/%00", "//fhir/Patient"])
def test_a_program_is_told_in_json_that_nothing_is_there(visitor: TestClient, path: str) -> None:
    answer = visitor.get(BASE_URL + path, headers={"accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": "There is nothing at this address; see /docs.",
    }


def test_a_person_is_told_on_a_page_that_nothing_is_there(visitor: TestClient) -> None:
    answer = visitor.get("/nothing", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, "There is no such page here." in answer.text) == (404, True)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/token", "/register", "/docs", "/openapi.json", "/"])
@pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
def test_a_method_that_nothing_here_has_is_refused_in_json(visitor: TestClient, method: str, path: str) -> None:
    answer = visitor.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (405, "invalid_request")
    assert answer.headers["allow"]


def test_the_document_says_how_the_authorization_endpoints_refuse(visitor: TestClient) -> None:
    document = visitor.get("/openapi.json").json()
    for path in ("/token", "/revoke", "/introspect", "/par", "/register"):
        responses = document["paths"][path]["post"]["responses"]
        assert {str(status) for status in REFUSED} <= responses.keys()
        assert "422" not in responses
    assert document["components"]["schemas"]["Refusal"]["required"] == ["error"]
