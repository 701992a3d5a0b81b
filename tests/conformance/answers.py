"""What every answer of this server keeps to, whatever was asked: the two error vocabularies, a request id, one ledger row.

https://hl7.org/fhir/R4/http.html#errors and https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

import orjson

from server.specification.definitional import DEFINITION_TYPES
from tests.asgi import Reply
from tests.factories import ledger_rows
from tests.lasting import World

FHIR_JSON = "application/fhir+json"
UNLIMITED = {
    "guesses_per_account": 1000,
    "guesses_per_address": 100_000,
    "registrations_per_address": 100_000,
    "rate_limit_per_minute": 0,
}
"""Settings under which a made-up request is answered by what it asks for, not by 429."""
OPEN = ("metadata", *DEFINITION_TYPES)
"""Below the FHIR base, what is answered without a token and so without a ledger row."""


def examined(world: World, path: str, reply: Reply, *, is_known: bool) -> None:
    """Fail unless the answer is one that this server may give. ``is_known``: the request had a valid token."""
    told = f"{reply.status} {dict(reply.headers)} {reply.body[:500]!r}"
    assert reply.status < 500, told
    assert b"Traceback" not in reply.body, told
    if (path == "/fhir" or path.startswith("/fhir/")) and not path.startswith("/fhir/.well-known/"):
        _in_fhir(reply, told)
        if is_known and path.removeprefix("/fhir").strip("/").partition("/")[0] not in OPEN:
            assert len(ledger_rows(world.database, request_id=reply.request_id)) == 1, told
    elif reply.status >= 400 and reply.raw:
        _not_in_fhir(reply, told)


def _in_fhir(reply: Reply, told: str) -> None:
    assert reply.request_id, told
    if reply.raw:
        assert reply.header("content-type").startswith((FHIR_JSON, "application/json")), told
        resource = orjson.loads(reply.body)
        if not 200 <= reply.status < 300:
            assert resource["resourceType"] == "OperationOutcome", told
            assert reply.header("content-type").startswith(FHIR_JSON), told
            assert resource["issue"][0]["diagnostics"], told


def _not_in_fhir(reply: Reply, told: str) -> None:
    """JSON with an ``error`` or a page of ours, which has a policy of what it may load."""
    if reply.header("content-type").startswith("application/json"):
        assert orjson.loads(reply.body).get("error"), told
    else:
        assert reply.header("content-type").startswith("text/html"), told
        assert reply.header("content-security-policy"), told
