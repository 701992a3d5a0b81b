"""Formats, FHIR versions and compression: every usual way to ask for JSON is understood, and nothing else is answered.

https://hl7.org/fhir/R4/http.html#mime-type and https://www.rfc-editor.org/rfc/rfc9110#section-12
"""

import pytest

from server.fhir.negotiation import COMPRESSED_FROM
from tests.asgi import Reply
from tests.factories import ledger_rows
from tests.lasting import World

JSON = "application/fhir+json; charset=utf-8"


def not_acceptable(reply: Reply) -> str:
    """The diagnostics of a 406, which is JSON whatever was asked for."""
    assert reply.status == 406
    assert reply.header("content-type") == JSON
    (issue,) = reply.json["issue"]
    assert issue["details"]["coding"][0]["code"] == "format-not-supported"
    return str(issue["diagnostics"])


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+json",
        "application/json+fhir",
        "application/json",
        "text/json",
        "json",
        "*/*",
        "*",
        "application/*",
        "application/*;q=0.1",
        "application/fhir+xml;q=0.9, application/fhir+json;q=0.1",
        "text/html, application/fhir+json; fhirVersion=4.0",
        'application/fhir+json; fhirVersion="4.0.1"',
        "application/fhir+json; fhirVersion=5.0, application/fhir+json; fhirVersion=4.0",
        "application/fhir+json; fhirVersion=5.0, */*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "APPLICATION/FHIR+JSON ; CHARSET=UTF-8",
        "application/fhir+json;q=high",
        "",
        " ",
    ],
)
def test_every_way_to_ask_for_json_is_understood(world: World, accept: str) -> None:
    reply = world.get("anna", "Patient/anna", accept=accept)
    assert reply.status == 200
    assert reply.header("content-type") == JSON
    assert world.served.get("metadata", accept=accept).status == 200


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "application/xml",
        "text/html",
        "text/turtle, application/xml",
        "image/*",
        "text/*",
        "application/fhir+json;q=0",
        "application/fhir+json;q=0, */*",
        "*/*;q=0",
        "nonsense",
        ", ;;",
    ],
)
def test_another_format_is_refused_in_json(world: World, accept: str) -> None:
    assert "application/fhir+json" in not_acceptable(world.get("anna", "Patient", accept=accept))
    not_acceptable(world.served.get("metadata", accept=accept))


@pytest.mark.parametrize("accept", ["application/fhir+json; fhirVersion=5.0", "*/*;fhirVersion=3.0"])
def test_another_version_of_fhir_is_refused_with_its_reason(world: World, accept: str) -> None:
    assert "FHIR 4.0.1" in not_acceptable(world.get("anna", "Patient", accept=accept))
    assert "FHIR 4.0.1" in not_acceptable(world.get("anna", "Patient?_format=application/fhir%2Bjson;fhirVersion=5.0"))


@pytest.mark.parametrize(
    "format",
    [
        "json",
        "application/json",
        "application/fhir%2Bjson",
        "application/fhir+json",
        "application/json%2Bfhir",
        "text/json",
        "JSON",
        "application/fhir%2Bjson;fhirVersion=4.0",
    ],
)
def test_a_format_parameter_beats_the_accept_header(world: World, format: str) -> None:
    for target in ("Patient", "Patient/anna", "Patient/anna/_history", "Patient/anna/$everything"):
        reply = world.get("anna", f"{target}?_format={format}", accept="application/fhir+xml")
        assert (reply.status, reply.header("content-type")) == (200, JSON), target
    assert world.served.get(f"metadata?_format={format}", accept="text/html").status == 200


@pytest.mark.parametrize("format", ["xml", "application/fhir%2Bxml", "text/xml", "ttl", "html", "application/json%20x"])
def test_a_format_parameter_for_something_else_is_refused_whatever_accept_says(world: World, format: str) -> None:
    for target in ("Patient", "Patient/anna", "Patient/anna/$everything"):
        not_acceptable(world.get("anna", f"{target}?_format={format}", accept="application/fhir+json"))
    not_acceptable(world.served.get(f"metadata?_format={format}"))


def test_an_empty_format_parameter_says_nothing(world: World) -> None:
    assert world.get("anna", "Patient?_format=").status == 200
    not_acceptable(world.get("anna", "Patient?_format=", accept="text/html"))


def test_a_format_in_the_form_of_a_search_counts_too(world: World) -> None:
    token = world.token("anna")
    not_acceptable(world.served.post("Patient/_search", token, [("_format", "xml")]))
    assert world.served.post("Patient/_search", token, [("_format", "json")]).status == 200


def test_a_header_sent_twice_is_one_list(world: World) -> None:
    def asked(*headers: tuple[bytes, bytes]) -> Reply:
        return world.served.runner.run(
            world.served.ask("GET", "/fhir/Patient/anna", token=world.token("anna"), headers=headers)
        )

    assert asked((b"accept", b"application/fhir+json"), (b"accept", b"text/html")).status == 200
    assert asked((b"accept", b"application/xml"), (b"accept", b"text/html")).status == 406
    assert asked((b"authorization", b"Bearer nonsense")).status == 401


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("br;q=0.5, gzip;q=0.9, zstd;q=0.1", "gzip"),
        ("br, gzip;q=0.8", "br"),
        ("gzip;q=0", ""),
        ("gzip ; q=0.000, br", "br"),
        ("gzip;q=0.1", "gzip"),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
        ("*;q=0", ""),
        ("gzip, *;q=0", "gzip"),
        ("identity", ""),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0", ""),
        ("deflate, compress", ""),
        ("gzip;q=much", "gzip"),
        ("gzip;q=nan", "gzip"),
        (",;=,", ""),
        ("", ""),
    ],
)
def test_a_long_answer_is_compressed_as_the_client_prefers(world: World, accepted: str, coding: str) -> None:
    plain = world.get("carla", "ExplanationOfBenefit")
    packed = world.get("carla", "ExplanationOfBenefit", accept_encoding=accepted)
    assert plain.header("content-encoding") == ""
    assert packed.header("content-encoding") == coding
    assert packed.header("content-length") == str(len(packed.raw))
    assert packed.json["entry"] == plain.json["entry"]
    assert (len(packed.raw) < len(plain.raw) / 4) == bool(coding)


@pytest.mark.parametrize("accepted", ["gzip", "br", "zstd", "*"])
def test_a_short_answer_is_compressed_only_for_who_refuses_it_plain(world: World, accepted: str) -> None:
    plain = world.get("anna", "Patient/anna", accept_encoding=accepted)
    assert len(plain.raw) < COMPRESSED_FROM
    assert plain.header("content-encoding") == ""
    packed = world.get("anna", "Patient/anna", accept_encoding=f"{accepted}, identity;q=0")
    assert packed.header("content-encoding") in ("gzip", "br", "zstd")
    assert packed.json == plain.json


def test_caches_are_told_what_an_answer_depends_on(world: World) -> None:
    for reply in (world.get("anna", "Patient/anna"), world.get("anna", "Nothing"), world.served.get("metadata")):
        varies = {name.strip() for name in reply.header("vary").split(",")}
        assert varies == {"accept", "accept-encoding", "authorization", "origin", "prefer"}


TARGETS = [
    "ExplanationOfBenefit/january",
    "ExplanationOfBenefit",
    "ExplanationOfBenefit/january/_history",
    "ExplanationOfBenefit/january/_history/1",
    "Patient/anna/$everything",
    "ExplanationOfBenefit/unknown",
    "ExplanationOfBenefit?_format=xml",
    "ExplanationOfBenefit?use=x:y&use:z=1",
    "Nothing",
]


@pytest.mark.parametrize("accepted", ["identity", "gzip, br, zstd"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_head_has_the_headers_of_the_get_and_no_body(world: World, target: str, accepted: str) -> None:
    get, head = (
        world.served.send(method, target, world.token("anna"), accept_encoding=accepted, origin="https://a.example")
        for method in ("GET", "HEAD")
    )

    def headers(reply: Reply) -> dict[bytes, bytes]:
        return {name: value for name, value in reply.headers if name not in (b"x-request-id", b"content-length")}

    assert (head.status, head.raw) == (get.status, b"")
    assert headers(head) == headers(get)
    # A Bundle's id is its request's, and other letters compress to another length.
    assert abs(int(head.header("content-length")) - len(get.raw)) <= (0 if accepted == "identity" else 16)
    (row,) = ledger_rows(world.database, request_id=head.request_id)
    assert (row.status, row.resources) == (get.status, 0)


def test_a_head_of_the_metadata_has_its_length(world: World) -> None:
    get, head = (world.served.send(method, "metadata") for method in ("GET", "HEAD"))
    assert (head.status, head.raw, head.header("content-length")) == (200, b"", str(len(get.raw)))
