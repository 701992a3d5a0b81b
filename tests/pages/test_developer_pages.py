"""/docs is public, complete and true: what it says is computed from the rows, the settings and the code.

42 CFR 422.119(d) on documentation, and 422.119(g) on what members are told
"""

import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.authorization.scopes import supported_scopes
from server.fhir.error_codes import ERROR_CODES
from server.fhir.everything import SHARED
from server.pages.authorization_errors import AUTHORIZATION_ERRORS
from server.pages.changelog import CHANGELOG, as_json
from server.pages.developer_pages import PAGES
from server.pages.try_page import SCRIPTS, VERSION
from server.settings import Settings
from server.specification.registry import RESOURCES
from tests.authorization.smart_app import SmartApp

ROOT = Path(__file__).parents[2]
PATHS = (*(page.path for page in PAGES), "/docs/members", "/", "/try")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Settings:
    """A production deployment."""
    directory = tmp_path_factory.mktemp("docs")
    shutil.copyfile(sqlite_template, directory / "docs.db")
    return Settings(
        base_url="https://api.example",
        database_url=f"sqlite:///{directory / 'docs.db'}",
        environment="production",
        secret_key="a secret key of the tests, long enough",  # type: ignore[arg-type]
        secret_key_file=directory / "secret.key",
        support_contact="api@plan.example",
        log_requests=False,
    )


@pytest.fixture(scope="module")
def visitor(deployment: Settings) -> Iterator[TestClient]:
    """Somebody without an account."""
    with TestClient(create_app(deployment), base_url=deployment.base_url, follow_redirects=False) as client:
        yield client


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)))


@pytest.mark.parametrize("path", PATHS)
def test_a_page_needs_no_account_and_leaves_no_cookie(visitor: TestClient, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert ("script-src 'self'" in policy) == (path == "/try")
    assert "sandbox-confidential" not in response.text


def test_every_link_leads_somewhere(visitor: TestClient, deployment: Settings) -> None:
    seen: set[str] = set()
    waiting = list(PATHS)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        response = visitor.get(path)
        assert response.status_code in (200, 303), path
        if not response.headers.get("content-type", "").startswith("text/html"):
            continue
        links = re.findall(r'(?:href|src)="([^"#]+)', response.text)
        local = [unescape(link).removeprefix(deployment.base_url) or "/" for link in links]
        waiting += [link for link in local if link.startswith("/")]
    assert {f"/docs/searches/{type}" for type in RESOURCES} <= seen
    assert {row.page for row in ERROR_CODES.values()} <= seen


@pytest.mark.parametrize("type", RESOURCES)
def test_every_resource_type_is_described_with_everything_its_row_says(visitor: TestClient, type: str) -> None:
    row, page = RESOURCES[type], visitor.get(f"/docs/searches/{type}").text
    for parameter in row.search_parameters:
        assert f'id="parameter-{parameter.code}"' in page
        assert unescape(page).count(parameter.expression)
    for value in (*row.includes, *row.revincludes, *(profile.canonical for profile in row.profiles)):
        assert f"<code>{value}</code>" in page
    assert row.title in text_of(page)
    assert f"patient/{type}.rs" in visitor.get("/docs/scopes").text


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_code_has_a_page(visitor: TestClient, code: str) -> None:
    row, text = ERROR_CODES[code], text_of(visitor.get(f"/docs/errors/{code}").text)
    for words in (row.title, row.meaning, row.remedy, str(row.status), row.issue_type):
        assert words in text
    assert row.title in text_of(visitor.get("/docs/errors").text)


@pytest.mark.parametrize("path", ["/docs/errors/unknown", "/docs/searches/Nothing", "/docs/searches/patient"])
def test_what_is_not_there_is_a_page_too(visitor: TestClient, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 404
    assert "Not found" in response.text


def test_the_authorization_errors_are_those_the_server_answers_with(app: SmartApp) -> None:
    listed = {row.code for row in AUTHORIZATION_ERRORS}
    source = "".join(path.read_text("utf-8") for path in (ROOT / "server" / "authorization").glob("*.py"))
    raised = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for name in re.findall(r"raise (?:\w+\.)?(\w+)Error\(", source)
        if name in {"InvalidRequest", "InvalidScope", "InvalidGrant", "UnauthorizedClient", "ConsentRequired"}
        or name in {"UnsupportedResponseType", "RequestNotSupported", "InvalidClient", "AccessDenied"}
    }
    assert raised <= listed
    answered = {
        app.post("/token", {"grant_type": "password"}).json()["error"],
        app.post("/token", {"grant_type": "refresh_token", "refresh_token": "x"}).json()["error"],
        app.post("/token", {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "x"}).json()["error"],
        app.post("/token", {}).json()["error"],
    }
    assert answered == {"unsupported_grant_type", "invalid_grant", "invalid_client", "invalid_request"}
    assert answered <= listed


def test_limits_are_the_settings_of_this_server(deployment: Settings) -> None:
    unusual = deployment.model_copy(
        update={
            "page_size": 17,
            "page_size_limit": 123,
            "access_token_seconds": 660,
            "refresh_token_days": 77,
            "rate_limit_per_minute": 4321,
        }
    )
    with TestClient(create_app(unusual), base_url=deployment.base_url) as client:
        text = text_of(client.get("/docs/limits").text)
    for words in (
        "17; with _count , up to 123",
        "11 minutes",
        "77 days",
        "4,321 requests a minute",
    ):
        assert words in text


def test_scopes_are_all_that_are_offered(visitor: TestClient) -> None:
    page = visitor.get("/docs/scopes").text
    for scope in supported_scopes():
        assert f"<code>{scope}</code>" in page


def test_the_changelog_is_there_for_programs_too(visitor: TestClient) -> None:
    reply = visitor.get("/docs/changelog.json")
    assert reply.headers["access-control-allow-origin"] == "*"
    told = reply.json()
    assert told["current"] == told["versions"][0]["version"]
    text = " ".join(CHANGELOG.read_text("utf-8").split())
    changes = [change for version in told["versions"] for change in version["changes"]]
    assert len(changes) == len(re.findall(r"^- ", CHANGELOG.read_text("utf-8"), re.MULTILINE))
    for part in (*changes, *(version["summary"] for version in told["versions"])):
        assert part in text
    assert 'href="/docs/changelog.json"' in visitor.get("/docs/changelog").text


def test_versions_of_the_changelog_have_their_dates() -> None:
    text = "# Changelog\n\n## 0.2.0 (unreleased)\n\nMore.\n\n- One\n  thing.\n- Another.\n\n## 0.1.0 (2026-11-22)\n\n- First.\n"
    newest, oldest = as_json(text)["versions"]
    assert newest == {"version": "0.2.0", "date": None, "summary": "More.", "changes": ["One thing.", "Another."]}
    assert (oldest["version"], oldest["date"], oldest["changes"]) == ("0.1.0", "2026-11-22", ["First."])
    with pytest.raises(ValueError, match="Next"):
        as_json("## Next\n\n- Soon.\n")


def test_the_recipes_of_keeping_in_sync_name_every_request_and_every_shared_type(visitor: TestClient) -> None:
    page = unescape(re.sub(r"</?var>", "", visitor.get("/docs/sync").text))
    asked = (
        "Patient/$everything",
        "_history?_since=watermark",
        "Patient/$everything?_since=watermark",
        "Type/_history",
    )
    for address in (*asked, "Type/_history?_since=watermark", "Patient/id/$export"):
        assert f"GET https://api.example/fhir/{address}</code>" in page
    for type in SHARED:
        assert f"<code>{type}</code>" in page
    for word in ("meta.lastUpdated", "transactionTime", "resource-deleted", "DELETE"):
        assert f"<code>{word}</code>" in page


def test_the_changelog_is_the_project_s_and_its_html_is_harmless(visitor: TestClient) -> None:
    assert CHANGELOG.resolve() == ROOT / "CHANGELOG.md"
    page = visitor.get("/docs/changelog").text
    for heading in re.findall(r"^## (.*)$", CHANGELOG.read_text("utf-8"), re.MULTILINE):
        assert f"<h2>{heading}</h2>" in page


def test_members_read_where_to_complain_and_whom_to_ask(visitor: TestClient) -> None:
    text = text_of(visitor.get("/docs/members").text)
    for words in ("HIPAA", "Federal Trade Commission", "1-877-382-4357", "Office for Civil Rights", "1-800-368-1019"):
        assert words in text
    for words in ("no longer our member", "privacy policy", "advertising", "api@plan.example"):
        assert words in text


def test_consent_and_account_lead_to_what_members_should_know(app: SmartApp) -> None:
    assert 'href="/docs/members"' in app.consent_page().text
    assert 'href="/docs/members"' in app.web.get("/account").text


# -- the sandbox's sign-ins, and the sample app --

LOGINS = {"logins": [{"username": "jo", "password": "jo-made-up", "name": "Jo Made-Up", "story": "Pays for all."}]}


@pytest.mark.parametrize("path", ["/", "/try", "/docs/sandbox"])
def test_sign_ins_are_shown_in_a_sandbox_and_never_in_production(
    deployment: Settings, tmp_path: Path, path: str
) -> None:
    file = tmp_path / "sandbox.json"
    file.write_text(json.dumps(LOGINS), "utf-8")
    for environment, shown in (("test", path != "/try"), ("production", False)):
        changed = deployment.model_copy(update={"environment": environment, "sandbox_file": file})
        with TestClient(create_app(changed), base_url=deployment.base_url) as client:
            assert ("jo-made-up" in client.get(path).text) is shown  # /try shows them when its app is registered


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"logins": [{"username": "jo"}]}', '{"logins": 1}'])
def test_a_sandbox_that_does_not_describe_itself_shows_none(
    deployment: Settings, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "sandbox.json"
    if content is not None:
        file.write_text(content, "utf-8")
    changed = deployment.model_copy(update={"environment": "test", "sandbox_file": file})
    with TestClient(create_app(changed), base_url=deployment.base_url) as client:
        assert client.get("/").status_code == 200
        assert "Password" not in client.get("/").text


def test_where_the_sample_app_is_not_registered_it_says_how(visitor: TestClient, deployment: Settings) -> None:
    page = unescape(visitor.get("/try").text)
    assert "patient-access client add --id sandbox-app" in page
    assert f"--redirect-uri {deployment.base_url}/try/callback" in page
    assert "<script" not in page


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_served_under_their_version(visitor: TestClient, name: str) -> None:
    response = visitor.get(f"/static/try/{VERSION}/{name}")
    assert response.headers.get("content-type", "").startswith("text/javascript")
    assert "immutable" in response.headers["cache-control"]
    assert response.content == SCRIPTS[name]
    assert visitor.get(f"/static/try/older/{name}").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["none.js", "..%2F..%2Ftry_page.py", "%2e%2e"])
def test_nothing_but_the_scripts_is_served(visitor: TestClient, name: str) -> None:
    assert visitor.get(f"/static/try/{VERSION}/{name}").status_code == 404


def test_a_contact_is_an_address(deployment: Settings) -> None:
    assert Settings(support_contact="https://plan.example/help").support_contact
    with pytest.raises(ValueError, match="e-mail address"):
        Settings(support_contact="call us")
