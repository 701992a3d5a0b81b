"""Raw requests, whatever their bytes: no failure of ours, no traceback, one vocabulary of errors for each half of the server.

https://hl7.org/fhir/R4/http.html#errors and https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

from collections.abc import Iterator
from urllib.parse import quote_from_bytes, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.specification.registry import RESOURCES
from tests.conformance.answers import UNLIMITED, examined
from tests.factories import client, coverage, explanation_of_benefit, organization, patient
from tests.lasting import World, lasting_world

ANNA = patient("anna")
RECORDS = [organization("payer"), ANNA, coverage("gold", ANNA), explanation_of_benefit("claim", ANNA)]
BOUNDED = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
METHODS = st.sampled_from(
    ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
)
WORDS = [
    b"Patient",
    b"anna",
    b"_history",
    b"_search",
    b"$everything",
    b"$docref",
    b"$export",
    b"metadata",
    b"1",
    b"..",
    b"",
]
SEGMENT = st.one_of(
    st.sampled_from([*WORDS, *(type.encode() for type in RESOURCES)]),
    st.binary(max_size=12),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
PATH = st.lists(SEGMENT, max_size=5).map(b"/".join)
NUMBERS = ["0", "-1", "1e400", "9" * 30, "NaN", "0x10", "1.5", "٣", " 1"]
DATES = [
    "9999-12-31",
    "0001-01-01",
    "10000-01-01",
    "2026-02-30",
    "2026-13",
    "ge-0001",
    "2026-01-01T24:00:00+99:99",
    "sa0000",
]
NAMES = [
    "_count",
    "_since",
    "_type",
    "_lastUpdated",
    "_id",
    "_sort",
    "_include",
    "_cursor",
    "_summary",
    "_elements",
    "_has:a:b:c",
]
PAIR = st.tuples(
    st.one_of(
        st.sampled_from([*NAMES, "patient", "service-date", "start", "_typeFilter", "_outputFormat"]),
        st.text(max_size=8),
    ),
    st.one_of(st.sampled_from([*NUMBERS, *DATES, "", "\0", "Patient/anna", "a|b|c", "\\"]), st.text(max_size=12)),
)
QUERY = st.one_of(
    st.lists(PAIR, max_size=4).map(
        lambda pairs: b"&".join(
            quote_from_bytes(b"%b" % name.encode("utf-8", "surrogatepass"), safe=":").encode()
            + b"="
            + quote_from_bytes(value.encode("utf-8", "surrogatepass")).encode()
            for name, value in pairs
        )
    ),
    st.binary(max_size=40),
    st.sampled_from([b"%", b"%zz=1", b"&&&", b"=", b"a" * 9000, b"%00=%00", b"_count=1&_count=2", b"%ED%A0%80=1"]),
)
HEADER_NAMES = [
    *(
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "content-type",
        "content-length",
        "cookie",
        "dpop",
    ),
    *(
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "origin",
        "prefer",
        "range",
    ),
    *(
        "referer",
        "transfer-encoding",
        "upgrade",
        "x-correlation-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    ),
]
HEADER_VALUES = st.one_of(
    st.sampled_from(
        [
            *(
                b"application/fhir+json",
                b"application/json+fhir; charset=latin-1",
                b"text/html",
                b"*/*;q=0",
                b";;;,,,=",
                b"a" * 5000,
            ),
            *(
                b"bytes=0-",
                b"bytes=5-1",
                b"100-continue",
                b"handling=strict",
                b"respond-async",
                b"return=minimal",
                b'W/"1"',
                b"*",
            ),
            *(
                b"multipart/form-data; boundary=x",
                b"application/x-www-form-urlencoded",
                b"br;q=1.5, zstd;q=abc",
                b"\xff\xfe",
                b"\0",
            ),
            *(
                "übergrößenträger".encode("latin-1"),
                "日本".encode(),
                b"Sun, 06 Nov 1994 08:49:37 GMT",
                b"Sun, 99 Nov 1994",
                b"-1",
            ),
        ]
    ),
    st.binary(max_size=30),
)
HEADERS = st.lists(
    st.tuples(st.sampled_from([name.encode() for name in HEADER_NAMES]), HEADER_VALUES),
    max_size=4,
    unique_by=lambda pair: pair[0],
)
DEEP = 60_000
ODD_BODIES = [
    *(
        b"",
        b"{",
        b"[]",
        b"null",
        b"NaN",
        b"1e400",
        b'"\\ud800"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"\0" * 10,
        b"a=b&a=b",
    ),
    *(b"[" * DEEP, b'{"a":' * 10_000, b"9" * 5000, b'{"resourceType":"Parameters"}', b"x" * 70_000),
    b'{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":' + b"9" * 40 + b"}]}",
    b'{"resourceType":"Parameters","parameter":[{"name":"_since","valueInstant":"\\u0000"}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"\\ud800"}]}',
    b'{"resourceType":"Parameters","parameter":{"name":1}}',
    b'{"redirect_uris":["https://app.example/\\ud800"],"client_name":"\\ud800"}',
    b'{"redirect_uris":["https://app.example/cb"],"client_name":"a\\u0000b"}',
    b'{"redirect_uris":["https://[app.example/cb"],"client_name":"x"}',
    b'{"redirect_uris":["https://app.example/cb"],"client_name":"x","jwks":{"keys":[{"kty":"RSA","n":1}]}}',
    b'{"redirect_uris":["https://app.example/cb"],"client_name":"x","logo_uri":"https://[::1"}',
    b'{"redirect_uris":["https://app.example/cb"],"client_name":"x","software_statement":"a.b.c"}',
    b'{"redirect_uris":[1,{}],"contacts":[null],"scope":[],"client_name":{}}',
]
BODIES = st.one_of(st.sampled_from(ODD_BODIES), st.binary(max_size=60), QUERY)
FORM_NAMES = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
    "token",
]
FORM_NAMES += [
    "client_assertion",
    "client_assertion_type",
    "response_type",
    "state",
    "aud",
    "code_challenge",
    "code_challenge_method",
]
FORM_NAMES += ["request_uri", "nonce", "prompt", "max_age", "login_hint", "token_type_hint", "request", "ui_locales"]
FORM_VALUES = st.one_of(
    st.sampled_from(
        [
            *(
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "app",
                "code",
                "S256",
                "http://127.0.0.1:9/callback",
            ),
            *(
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "a.b.c",
                "e30.e30.e30",
                "eyJhbGciOiJub25lIn0.e30.",
            ),
            *(
                "https://[",
                "http://127.0.0.1:8000/fhir",
                "patient/*.rs openid",
                "patient/Observation.rs?category=|",
                "-1",
                "9" * 40,
            ),
        ]
    ),
    st.text(max_size=12),
)
FORMS = st.lists(st.tuples(st.sampled_from(FORM_NAMES), FORM_VALUES), max_size=8).map(
    lambda pairs: "&".join(
        f"{name}={quote_from_bytes(value.encode('utf-8', 'surrogatepass'))}" for name, value in pairs
    ).encode()
)
ENDPOINTS = [
    "/token",
    "/revoke",
    "/introspect",
    "/par",
    "/register",
    "/register/app",
    "/userinfo",
    "/jwks",
    "/authorize",
    "/brands",
]
ENDPOINTS += [
    "/.well-known/oauth-authorization-server/fhir",
    "/fhir/.well-known/smart-configuration",
    "/openapi.json",
    "/readyz",
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS, **UNLIMITED) as world:
        client(world.database, "app")
        yield world


def ask(
    world: World, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes, *, is_known: bool = False
) -> None:
    """Send a request as it stands and examine the answer."""
    token = world.token("anna") if is_known else ""
    text = target.decode("utf-8", "surrogateescape")
    reply = world.served.runner.run(world.served.ask(method, text, token=token, headers=headers, body=body))
    path = unquote(text.partition("?")[0].partition("#")[0])
    if method == "HEAD" and path.startswith("/fhir/") and ".well-known" not in path:  # elsewhere uvicorn sees to it
        assert reply.raw == b""
    examined(world, path, reply, is_known=is_known and method != "OPTIONS")


@BOUNDED
@given(method=METHODS, path=PATH, query=QUERY, headers=HEADERS, body=BODIES, is_known=st.booleans())
def test_any_request_to_the_fhir_api_is_answered_in_fhir(
    world: World,
    method: str,
    path: bytes,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    is_known: bool,
) -> None:
    target = b"/fhir/" + quote_from_bytes(path, safe="/$").encode() + b"?" + query.replace(b"#", b"%23")
    ask(world, method, target, headers, body, is_known=is_known)


@BOUNDED
@given(
    path=st.sampled_from(
        ["Patient/$everything", "Patient/anna/$everything", "DocumentReference/$docref", "Patient/_search"]
    ),
    body=BODIES,
    content_type=st.sampled_from(
        ["application/fhir+json", "application/json", "application/x-www-form-urlencoded", "x"]
    ),
)
def test_any_body_of_an_operation_or_a_search_is_answered(
    world: World, path: str, body: bytes, content_type: str
) -> None:
    headers = [(b"content-type", content_type.encode())]
    ask(world, "POST", b"/fhir/" + path.encode(), headers, body, is_known=True)


@BOUNDED
@given(
    method=METHODS,
    endpoint=st.sampled_from(ENDPOINTS),
    query=st.one_of(FORMS, QUERY),
    headers=HEADERS,
    authorization=st.one_of(
        st.none(), st.sampled_from([b"Basic", b"Basic ===", b"Basic YXBwOng=", b"Bearer", b"Bearer \xff", b"x"])
    ),
    body=st.one_of(FORMS, BODIES),
    content_type=st.sampled_from([b"application/x-www-form-urlencoded", b"application/json", b""]),
)
def test_any_request_to_the_other_endpoints_is_answered_in_their_terms(
    world: World,
    method: str,
    endpoint: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    authorization: bytes | None,
    body: bytes,
    content_type: bytes,
) -> None:
    sent = [pair for pair in headers if pair[0] != b"content-type" or not content_type]
    sent += [(b"content-type", content_type)] if content_type else []
    sent += [(b"authorization", authorization)] if authorization is not None else []
    ask(world, method, endpoint.encode() + b"?" + query.replace(b"#", b"%23"), sent, body)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("endpoint", [*ENDPOINTS, "/fhir/Patient/$everything", "/fhir/Patient/_search"])
def test_each_odd_body_is_answered_by_each_endpoint(world: World, method: str, endpoint: str) -> None:
    for content_type in (b"application/json", b"application/x-www-form-urlencoded"):
        for body in ODD_BODIES:
            is_fhir = endpoint.startswith("/fhir/Patient")
            ask(world, method, endpoint.encode(), [(b"content-type", content_type)], body, is_known=is_fhir)


@BOUNDED
@given(path=PATH, query=QUERY, method=METHODS)
def test_any_path_beside_the_fhir_api_is_answered(world: World, path: bytes, query: bytes, method: str) -> None:
    target = b"/" + quote_from_bytes(path, safe="$").encode() + b"?" + query.replace(b"#", b"%23")
    ask(world, method, target, [], b"")
