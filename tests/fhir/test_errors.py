"""Every answer that is no success is an OperationOutcome with the right status and headers.

https://hl7.org/fhir/R4/http.html#summary and https://www.rfc-editor.org/rfc/rfc6750#section-3
"""

import pytest

from server import clock
from server.specification.registry import RESOURCES
from tests import factories
from tests.asgi import Reply
from tests.lasting import FHIR_BASE, World

SECOND = 1_000_000


def outcome(reply: Reply, status: int) -> str:
    """The diagnostics of an error of this status."""
    assert reply.status == status, reply.body
    assert reply.header("content-type") == "application/fhir+json; charset=utf-8"
    assert reply.request_id
    assert reply.header("x-content-type-options") == "nosniff"
    resource = reply.json
    assert resource["resourceType"] == "OperationOutcome"
    (issue,) = resource["issue"]
    assert issue["severity"] == "error"
    assert issue["code"]
    return str(issue["diagnostics"])


@pytest.mark.parametrize("target", ["Patient", "Patient/anna", "ExplanationOfBenefit?patient=anna", "Nothing", ""])
def test_without_a_token_nothing_is_told(world: World, target: str) -> None:
    reply = world.served.get(target)
    outcome(reply, 401)
    assert reply.header("www-authenticate") == f'Bearer realm="{FHIR_BASE}"'


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic YW5uYTphbm5h", "Bearer nonsense", "bearer a b", "Bearer é", "Token x", ""]
)
def test_what_is_no_token_gets_no_access(world: World, header: str) -> None:
    reply = world.served.get("Patient", authorization=header)
    outcome(reply, 401)
    assert reply.header("www-authenticate").startswith("Bearer realm=")


def test_the_scheme_may_be_written_in_any_case(world: World) -> None:
    assert world.served.get("Patient", authorization=f"bEARER {world.token('anna')}").status == 200


REFUSED = {
    "expired": {"token_expires_at": 1},
    "of an expired grant": {"grant_expires_at": 1},
    "revoked": {"token_revoked_at": 1},
    "of an ended grant": {"grant_ended_at": 1},
}


@pytest.mark.parametrize("columns", REFUSED.values(), ids=REFUSED)
def test_a_token_that_no_longer_holds_is_refused(world: World, columns: dict[str, int]) -> None:
    token = factories.token(world.database, "anna", **columns).text  # type: ignore[arg-type]
    reply = world.served.get("Patient", token)
    outcome(reply, 401)
    assert 'error="invalid_token"' in reply.header("www-authenticate")


def test_a_token_of_a_suspended_app_is_refused(world: World) -> None:
    factories.client(world.database, "suspended", status="suspended")
    token = factories.token(world.database, "anna", client_id="suspended").text
    assert 'error="invalid_token"' in world.served.get("Patient", token).header("www-authenticate")


def test_a_token_expires_at_its_second(world: World) -> None:
    now = clock.now_microseconds()
    token = factories.token(world.database, "anna", token_expires_at=now + 60 * SECOND).text
    with clock.set_to(clock.from_microseconds(now + 60 * SECOND - 1)):
        assert world.served.get("Patient", token).status == 200
    with clock.set_to(clock.from_microseconds(now + 60 * SECOND)):
        assert world.served.get("Patient", token).status == 401


@pytest.mark.parametrize("type", RESOURCES)
def test_an_interaction_without_its_scope_is_forbidden(world: World, type: str) -> None:
    others = " ".join(f"patient/{other}.cruds" for other in RESOURCES if other != type)
    for scope in (others, f"launch/patient openid {others}", f"system/{type}.rs", f"patient/{type}.cud"):
        token = world.token("anna", scope)
        for target in (type, f"{type}/some-id", f"{type}/some-id/_history/1"):
            reply = world.served.get(target, token)
            assert type in outcome(reply, 403)
            assert reply.header("www-authenticate") == 'Bearer error="insufficient_scope"'


@pytest.mark.parametrize("type", RESOURCES)
def test_reading_and_searching_are_different_scopes(world: World, type: str) -> None:
    read, search = world.token("anna", f"patient/{type}.r"), world.token("anna", f"user/{type}.s")
    assert world.served.get(type, search).status == 200
    assert world.served.get(f"{type}/unknown", read).status == 404
    assert world.served.get(type, read).status == 403
    assert world.served.get(f"{type}/unknown", search).status == 403
    assert world.served.get(f"{type}/unknown/_history/1", search).status == 403


@pytest.mark.parametrize("scope", ["patient/*.read", "user/*.rs", "patient/Patient.read", "patient/Patient.*"])
def test_both_spellings_of_a_scope_and_wildcards_permit(world: World, scope: str) -> None:
    token = world.token("anna", scope)
    assert world.served.get("Patient/anna", token).status == world.served.get("Patient", token).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "Nothing",
        "Nothing/1",
        "Observation/1",
        "patient/anna",
        "",
        "Patient/anna/_history/1/_history",
        "Patient/anna/_history/1/2",
        "Patient/anna/$unknown",
        "Patient/anna/name",
        "_histories",
        "$export",
        "_search",
        ".well-known",
    ],
)
def test_what_is_not_there_is_not_found(world: World, target: str) -> None:
    outcome(world.get("anna", target), 404)


@pytest.mark.parametrize("type", RESOURCES)
def test_an_unknown_id_is_not_found(world: World, type: str) -> None:
    for id in (
        "unknown",
        "x" * 64,
        "x" * 65,
        "%00",
        "a%2Fb",
        "%F0%9F%92%A5",
        "anna%20",
        "_search",
        "..",
        "1%27%20or%201",
    ):
        reply = world.get("anna", f"{type}/{id}")
        assert reply.status in (404, 405), id
        outcome(reply, reply.status)


WRONG_METHODS = [
    *((method, target) for method in ("POST", "PUT", "PATCH", "DELETE") for target in ("Patient/anna", "Patient")),
    *((method, "Patient/_search") for method in ("GET", "PUT", "DELETE", "HEAD")),
    ("PUT", "Patient/anna/_history/1"),
    ("BREW", "Patient"),
    ("TRACE", "Patient/anna"),
]


@pytest.mark.parametrize(("method", "target"), WRONG_METHODS)
def test_a_wrong_method_is_answered_with_the_right_ones(world: World, method: str, target: str) -> None:
    reply = world.served.send(method, target, world.token("anna"))
    if method == "HEAD":
        assert (reply.status, reply.raw) == (405, b"")
    else:
        outcome(reply, 405)
    assert reply.header("allow") in ("GET, HEAD", "POST")


def test_a_body_of_another_content_type_is_not_supported(world: World) -> None:
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        reply = world.served.post("Patient/_search", world.token("anna"), [("_id", "anna")], content_type)
        outcome(reply, 415)
    form = world.served.post(
        "Patient/_search", world.token("anna"), [("_id", "anna")], "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"
    )
    assert form.status == 200


def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    reply = world.served.post("Patient/_search", world.token("anna"), [("_id", "x" * 70_000)])
    outcome(reply, 413)


def test_a_token_in_the_query_is_no_token(world: World) -> None:
    outcome(world.served.get(f"Patient?access_token={world.token('anna')}"), 401)
