"""SMART App Launch 2.2, User-access Brands: the Bundle, what leads to it, and what a payer may say in settings or in a file.

https://hl7.org/fhir/smart-app-launch/STU2.2/brands.html
"""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.authorization.brand_bundle import brand_bundle, user_access_brand
from server.authorization.brands import CATEGORIES, BrandsError, brands
from server.fhir.validation import validate
from server.settings import Settings
from tests.authorization.smart_app import SmartApp
from tests.lasting import settings_of

SMART = "http://hl7.org/fhir/smart-app-launch/StructureDefinition/user-access-"
FILE = """
[[brand]]
id = "summit"
name = "Summit Health Plan"
website = "https://www.summit.example/plans"
aliases = ["Summit Mutual"]
logos = ["https://www.summit.example/logo.svg"]
portal_name = "My Summit"
portal_description = "For members of all plans."
addresses = [{ street = "1 Main Street", city = "Denver", state = "CO", postal_code = "80202", country = "US" }]

[[brand]]
id = "summit-dental"
name = "Summit Dental"
website = "https://dental.summit.example"
part_of = "summit"
"""


def of(**settings: Any) -> Settings:
    """Settings with something said of brands."""
    return settings_of("sqlite:///var/no-such.db", **settings)


def in_file(tmp_path: Path, text: str = FILE, **settings: Any) -> Settings:
    """Settings with a file of brands."""
    path = tmp_path / "brands.toml"
    path.write_text(text, "utf-8")
    return of(brands_file=path, **settings)


def bundle(settings: Settings) -> Any:
    """The Bundle as JSON."""
    import orjson

    return orjson.loads(brand_bundle(settings).bodies["/brands"])


def resources(bundle: Any, type: str) -> list[Any]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == type]


def portal(organization: Any) -> dict[str, Any]:
    (found,) = [one for one in organization["extension"] if one["url"].endswith("/organization-portal")]
    return {part["url"]: next(value for name, value in part.items() if name != "url") for part in found["extension"]}


def check(found: Any) -> None:
    """What the profiles and the conformance kit demand of a Bundle."""
    assert validate(found) == []
    assert found["type"] == "collection"
    assert found["timestamp"]
    assert found["meta"]["profile"] == [SMART + "brands-bundle"]
    (endpoint,) = resources(found, "Endpoint")
    assert endpoint["meta"]["profile"] == [SMART + "endpoint"]
    assert {one["url"].rpartition("/")[2]: one["valueCode"] for one in endpoint["extension"]} == {
        "endpoint-fhir-version": "4.0.1"
    }
    assert endpoint["connectionType"]["code"] == "hl7-fhir-rest"
    assert len(endpoint["payloadType"]) == 1
    assert endpoint["payloadType"][0]["coding"][0]["code"] == "none"
    assert any(one["system"] == "url" for one in endpoint["contact"])
    here = {f"Endpoint/{endpoint['id']}"}
    identifiers = []
    for organization in resources(found, "Organization"):
        assert organization["meta"]["profile"] == [SMART + "brand"]
        assert organization["name"]
        assert [one["system"] for one in organization["telecom"]] == ["url"]
        assert {one["reference"] for one in organization["endpoint"]} == here
        assert {coding["code"] for one in organization["type"] for coding in one["coding"]} <= set(CATEGORIES)
        identifiers += [(one["system"], one["value"]) for one in organization["identifier"]]
        for one in organization.get("extension", []):
            if one["url"].endswith("/organization-portal"):
                assert portal(organization)["portalEndpoint"]["reference"] in here
        if "partOf" in organization:
            whole = [f"Organization/{o['id']}" for o in resources(found, "Organization") if "partOf" not in o]
            assert organization["partOf"]["reference"] in whole
    assert len(set(identifiers)) == len(identifiers)
    for entry in found["entry"]:
        assert entry["fullUrl"].endswith(f"/{entry['resource']['resourceType']}/{entry['resource']['id']}")


def test_without_settings_the_payer_is_one_brand() -> None:
    found = bundle(of(payer_name="Summit Health Plan", base_url="https://api.summit.example/plan"))
    check(found)
    (payer,) = resources(found, "Organization")
    assert (payer["name"], payer["telecom"][0]["value"]) == ("Summit Health Plan", "https://api.summit.example/plan")
    assert payer["type"][0]["coding"][0]["code"] == "ins"
    assert portal(payer)["portalUrl"] == "https://api.summit.example/plan/account"
    assert resources(found, "Endpoint")[0]["address"] == "https://api.summit.example/plan/fhir"


def test_settings_say_more_of_it() -> None:
    settings = of(
        brand_website="https://www.summit.example/plans",
        brand_logos="https://www.summit.example/logo.svg",
        brand_aliases="Summit Mutual, Peak",
        brand_categories="ins,pharmacy",
        support_contact="help@summit.example",
    )
    found = bundle(settings)
    check(found)
    (payer,) = resources(found, "Organization")
    assert payer["identifier"] == [{"system": "urn:ietf:rfc:3986", "value": "https://summit.example"}]
    assert payer["alias"] == ["Summit Mutual", "Peak"]
    assert [one["coding"][0]["code"] for one in payer["type"]] == ["ins", "pharmacy"]
    assert payer["extension"][0]["extension"] == [
        {"url": "brandLogo", "valueUrl": "https://www.summit.example/logo.svg"}
    ]
    assert {"system": "email", "value": "help@summit.example"} in resources(found, "Endpoint")[0]["contact"]


def test_a_file_says_it_of_several_brands(tmp_path: Path) -> None:
    settings = in_file(tmp_path, brand_aliases="not of the file", brand_website="https://other.example")
    found = bundle(settings)
    check(found)
    summit, dental = resources(found, "Organization")
    assert summit["alias"] == ["Summit Mutual"]
    assert summit["address"][0]["postalCode"] == "80202"
    assert summit["address"][0]["line"] == ["1 Main Street"]
    assert portal(summit)["portalName"] == "My Summit"
    assert dental["partOf"] == {"reference": "Organization/summit"}
    assert "extension" not in dental
    assert "alias" not in dental


def test_the_identifier_of_smart_configuration_is_of_exactly_one_brand(tmp_path: Path) -> None:
    for settings in (
        of(),
        of(brand_identifier="http://hl7.org/fhir/sid/us-npi|1234567893"),
        in_file(tmp_path),
        in_file(
            tmp_path,
            FILE.replace('website = "https://www', 'identifiers = ["https://id.example|7"]\nwebsite = "https://www'),
        ),
    ):
        named = user_access_brand(settings)
        assert named["user_access_brand_bundle"] == f"{settings.base_url}/brands"
        matching = [
            organization
            for organization in resources(bundle(settings), "Organization")
            if named["user_access_brand_identifier"] in organization["identifier"]
        ]
        assert len(matching) == 1


def test_it_is_served_to_anyone_from_anywhere_and_cached_by_its_tag(app: SmartApp) -> None:
    smart = app.web.get("/fhir/.well-known/smart-configuration").json()
    path = smart["user_access_brand_bundle"].removeprefix(app.settings.base_url)
    response = app.web.get(path, headers={"Origin": "https://app.example"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/fhir+json")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["etag"].startswith('W/"')
    assert "ETag" in response.headers["access-control-expose-headers"]
    assert response.headers["last-modified"].endswith("GMT")
    check(response.json())
    for tag in (response.headers["etag"], f'"other", {response.headers["etag"]}', "*"):
        again = app.web.get(path, headers={"If-None-Match": tag, "Origin": "https://app.example"})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["access-control-allow-origin"] == "*"
    assert app.web.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert app.web.head(path).status_code == 200
    assert app.web.post(path).status_code == 405
    preflight = app.web.options(path, headers={"Origin": "https://app.example"})
    assert "If-None-Match" in preflight.headers["access-control-allow-headers"]


def test_every_entry_stands_at_its_address_and_the_endpoint_answers(app: SmartApp) -> None:
    for entry in app.web.get("/brands").json()["entry"]:
        assert app.web.get(entry["fullUrl"].removeprefix(app.settings.base_url)).json() == entry["resource"]
        if entry["resource"]["resourceType"] == "Endpoint":
            address = entry["resource"]["address"].removeprefix(app.settings.base_url)
            assert app.web.get(f"{address}/metadata").json()["resourceType"] == "CapabilityStatement"
    assert app.web.get("/brands/Organization/unknown").status_code == 404


def test_the_tag_changes_with_the_contents_and_the_time_with_the_file(tmp_path: Path) -> None:
    settings = in_file(tmp_path)
    first, again = brand_bundle(settings), brand_bundle(settings)
    assert (first.etag, first.last_modified) == (again.etag, again.last_modified)
    assert settings.brands_file is not None
    os.utime(settings.brands_file, (1_700_000_000, 1_700_000_000))
    touched = brand_bundle(settings)
    assert (touched.etag, touched.last_modified) == (first.etag, "Tue, 14 Nov 2023 22:13:20 GMT")
    assert bundle(settings)["timestamp"].startswith("2023-11-14T22:13:20")
    assert brand_bundle(in_file(tmp_path, FILE.replace("Mutual", "United"))).etag != first.etag


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no"),
        ("brand = 1", "has no"),
        ("[[brand", "brands.toml"),
        ('[[brand]]\ncolour = "red"', "brand 1: unknown: colour"),
        ('[[brand]]\nid = "a b"', "id (1 to 64"),
        ("[[brand]]\nname = 7", "are texts"),
        ('[[brand]]\naliases = "Summit"', "are lists"),
        ('[[brand]]\nwebsite = "summit.example"', "website must be"),
        ('[[brand]]\nportal_url = "javascript:alert(1)"', "portal_url must be"),
        ('[[brand]]\nlogos = ["http://summit.example/logo.svg"]', "a logo must"),
        ('[[brand]]\ncategories = ["payer"]', "payer is no category"),
        ('[[brand]]\nidentifiers = ["7"]', "system|value"),
        ('[[brand]]\naddresses = [{ planet = "Earth" }]', "addresses are"),
        ('[[brand]]\npart_of = "payer"', "the payer's own"),
        ('[[brand]]\n[[brand]]\nid = "b"\nname = "B"', "brand 2: website"),
        (FILE.replace('id = "summit-dental"', 'id = "summit"'), "the id summit stands twice"),
        (FILE.replace("//dental.", "//"), "identifier urn:ietf:rfc:3986|https://summit.example stands twice"),
        (FILE.replace('part_of = "summit"', 'part_of = "summit-dental"'), "part_of of summit-dental"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BrandsError) as told:
        brands(in_file(tmp_path, text))
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_and_mistakes_in_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(BrandsError, match="BRANDS_FILE"):
        brands(of(brands_file=tmp_path / "missing.toml"))
    with pytest.raises(BrandsError, match="BRAND settings: doctor is no category"):
        brands(of(brand_categories="doctor"))
    with pytest.raises(ValidationError, match="must start with https"):
        of(brand_website="summit.example")
