"""Web apps of any origin may call the FHIR API, send every usual header, and read what they need of the answer.

https://fetch.spec.whatwg.org/#http-cors-protocol; why any origin: docs/decisions/0002-cross-origin-requests.md
"""

import pytest

from tests.lasting import World

ORIGIN = "https://app.example"


def words(header: str) -> set[str]:
    """The members of a list header, in lower case."""
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize(
    "header",
    [
        *("Authorization", "Accept", "Content-Type", "Prefer", "If-None-Match", "If-Modified-Since", "X-Request-Id"),
        *("Cache-Control", "Pragma", "X-Requested-With"),
    ],
)
@pytest.mark.parametrize("target", ["Patient/anna", "metadata", "Patient/_search", "Patient/anna/$everything", "x/y/z"])
def test_a_preflight_allows_every_header_that_an_app_may_send(world: World, header: str, target: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        reply = world.served.send(
            "OPTIONS",
            target,
            origin=ORIGIN,
            access_control_request_method=method,
            access_control_request_headers=header.lower(),
        )
        assert (reply.status, reply.raw) == (204, b"")
        assert reply.header("access-control-allow-origin") == "*"
        assert method in reply.header("access-control-allow-methods")
        assert header.lower() in words(reply.header("access-control-allow-headers"))
        assert reply.header("access-control-allow-credentials") == ""
        assert "origin" in words(reply.header("vary"))


def test_every_answer_can_be_read_from_anywhere(world: World) -> None:
    for reply, status in (
        (world.get("anna", "Patient", origin=ORIGIN), 200),
        (world.get("anna", "Patient/anna", origin="null"), 200),
        (world.served.get("Patient", origin=ORIGIN), 401),
        (world.get("anna", "Nothing", origin=ORIGIN), 404),
        (world.get("anna", "Patient", origin=ORIGIN, accept="text/html"), 406),
        (world.served.get("metadata", origin=ORIGIN), 200),
    ):
        assert reply.status == status
        assert reply.header("access-control-allow-origin") == "*"
        assert reply.header("access-control-allow-credentials") == ""
        exposed = words(reply.header("access-control-expose-headers"))
        assert {
            "x-request-id",
            "etag",
            "last-modified",
            "retry-after",
            "www-authenticate",
            "x-correlation-id",
        } <= exposed
        assert {"content-location", "x-progress", "expires"} <= exposed


def test_who_is_no_web_app_gets_no_such_headers(world: World) -> None:
    assert not [name for name, _ in world.get("anna", "Patient").headers if name.startswith(b"access-control")]


def test_a_request_id_is_the_servers_and_the_clients_comes_back_beside_it(world: World) -> None:
    reply = world.get("anna", "Patient/anna", x_request_id="5f2c-app.1")
    assert reply.request_id != "5f2c-app.1"
    assert reply.header("x-correlation-id") == "5f2c-app.1"
    assert world.get("anna", "Patient/anna").header("x-correlation-id") == ""


@pytest.mark.parametrize("odd", ["", "x" * 65, "a b", "<script>", "a\r\nset-cookie: x", "é", "a,b"])
def test_a_request_id_that_is_not_plain_is_not_sent_back(world: World, odd: str) -> None:
    reply = world.get("anna", "Patient/anna", x_request_id=odd)
    assert reply.status == 200
    assert reply.header("x-correlation-id") == ""
