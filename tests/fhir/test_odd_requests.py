"""Whatever bytes arrive: never a failure of ours, always an OperationOutcome or a Bundle, always a ledger row if it was known who asked.

https://hl7.org/fhir/R4/http.html#errors
"""

from urllib.parse import quote, quote_from_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.factories import ledger_rows
from tests.lasting import World

BOUNDED = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
TYPES = list(RESOURCES)
PARAMETERS = sorted({parameter.code for row in RESOURCES.values() for parameter in row.search_parameters})
CONTROLS = ["_count", "_cursor", "_include", "_revinclude", "_include:iterate", "_format", "_sort", "_has", "", "a:b:c"]
ODD = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")),
    st.text(alphabet="|,\\$%=&:/.*-_ \0\n\r\t'\"<>[](){}0129aZé€💥", max_size=20),
    st.sampled_from(
        ["ge2026", "9999-12-31", "0001", "ap9999-12-31T23:59:60.999999Z", "sa0001-01-01", "Patient/anna", "|", "\0"]
    ),
)
HEADER_NAMES = [
    "accept",
    "prefer",
    "if-none-match",
    "authorization",
    "accept-encoding",
    "content-type",
    "origin",
    "x-odd",
]


def answered(world: World, reply: Reply, authenticated: bool = True) -> None:
    """An answer in FHIR, and one ledger row of it."""
    assert reply.status < 500, reply.body
    if reply.raw:
        assert reply.json["resourceType"] in ("OperationOutcome", "Bundle", "Patient")
        if reply.status >= 400:
            assert reply.json["resourceType"] == "OperationOutcome"
    if authenticated:
        assert len(ledger_rows(world.database, request_id=reply.request_id)) == 1


@BOUNDED
@given(type=st.sampled_from(TYPES), name=st.sampled_from([*PARAMETERS, *CONTROLS]), value=ODD, modifier=ODD)
def test_any_value_of_any_parameter_is_answered(world: World, type: str, name: str, value: str, modifier: str) -> None:
    encoded = quote(value.encode("utf-8", "surrogatepass"), safe="")
    answered(world, world.get("anna", f"{type}?{name}={encoded}"))
    answered(world, world.get("anna", f"{type}?{name}:{quote(modifier, safe='')}={encoded}", prefer="handling=strict"))


@BOUNDED
@given(path=st.binary(max_size=40), query=st.binary(max_size=40))
def test_any_path_and_query_are_answered(world: World, path: bytes, query: bytes) -> None:
    for prefix in ("", "Patient/", "Patient/anna/_history/", "ExplanationOfBenefit/"):
        answered(
            world,
            world.get(
                "anna", f"/fhir/{prefix}{quote_from_bytes(path, safe='/')}?{quote_from_bytes(query, safe='=&%')}"
            ),
        )


@BOUNDED
@given(headers=st.dictionaries(st.sampled_from(HEADER_NAMES), st.binary(max_size=60), max_size=4))
def test_any_headers_are_answered(world: World, headers: dict[str, bytes]) -> None:
    pairs = [(name.encode(), value) for name, value in headers.items()]
    token = "" if "authorization" in headers else world.token("anna")
    for target in ("/fhir/Patient/anna", "/fhir/Patient?_id=anna"):
        reply = world.served.runner.run(world.served.ask("GET", target, token=token, headers=pairs))
        answered(world, reply, authenticated=bool(token))


@BOUNDED
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["application/x-www-form-urlencoded", "x", ""]))
def test_any_body_is_answered(world: World, body: bytes, content_type: str) -> None:
    reply = world.served.send("POST", "Patient/_search", world.token("anna"), body, content_type=content_type)
    answered(world, reply)


def test_bytes_that_are_not_utf_8_are_no_failure(world: World) -> None:
    for target in (
        "Patient/%ff%fe",
        "Patient?name=%ff",
        "Patient?%ff=x",
        "%ff",
        "Patient/%00",
        "Patient?identifier=%00",
    ):
        answered(world, world.get("anna", target))
    raw = world.served.runner.run(world.served.ask("GET", "/fhir/Patient?name=\udcff\udcfe", token=world.token("anna")))
    answered(world, raw)
