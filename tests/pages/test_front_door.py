"""The front door: where members and developers go from here."""

from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.authorization.smart_app import SmartApp


def test_it_names_the_fhir_base_and_links_to_what_can_be_discovered(app: SmartApp, settings: Settings) -> None:
    page = app.web.get("/").text
    assert f"<code>{settings.fhir_base}</code>" in page
    for path in ("/fhir/metadata", "/fhir/.well-known/smart-configuration", "/fhir/.well-known/openid-configuration"):
        assert f'href="{settings.base_url}{path}"' in page
        assert app.web.get(path).status_code == 200
    assert 'href="/account"' in page
    assert "sandbox" not in page.lower()


def test_a_sandbox_says_that_it_is_one(settings: Settings) -> None:
    sandbox = settings.model_copy(update={"environment": "test"})
    with TestClient(create_app(sandbox), base_url=settings.base_url) as web:
        assert "This is a sandbox." in web.get("/").text
