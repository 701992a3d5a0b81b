"""What can be wrong with a server: one fault per row, with the check that must notice it, and no other may.

https://hl7.org/fhir/smart-app-launch/STU2.2/ and the pages that ``server/doctor/checks.py`` cites
"""

from collections.abc import Callable
from typing import Any

from server.doctor.authorization_checks import ELSEWHERE
from server.doctor.site import NOBODY
from tests.doctor.faulty import Answered, Asked, Fault
from tests.doctor.payer import CLIENT_ID, MEMBER, REDIRECT_URI

SMART, METADATA = "/fhir/.well-known/smart-configuration", "/fhir/metadata"
OAUTH, OPENID = "/.well-known/oauth-authorization-server/fhir", "/fhir/.well-known/openid-configuration"
CLAIMS = "/fhir/ExplanationOfBenefit"
HTML = "<html><body><h1>Not here</h1></body></html>"
FOREIGN_PATIENT = b'{"resourceType":"Patient","id":"member-somebody-else"}'


def at(path: str, method: str = "GET") -> Callable[[Asked], bool]:
    """At one address."""
    return lambda asked: asked.path == path and asked.method == method


def with_token(path: str, *parameters: str) -> Callable[[Asked], bool]:
    """A search with the member's token and exactly these parameters, as it comes without compression."""

    def is_there(asked: Asked) -> bool:
        token = asked.headers.get("authorization", "")
        plain = bool(token) and NOBODY not in token and "accept-encoding" not in asked.headers
        return plain and asked.path == path and set(asked.query) == set(parameters)

    return is_there


def document(*paths: str, **members: Any) -> Any:
    """Where, and what changes in JSON documents: members set, or left out (None)."""

    def change(content: Any) -> None:
        for name, value in members.items():
            if value is None:
                del content[name]
            else:
                content[name] = value

    return {"where": lambda asked: asked.path in paths, "answered": lambda answer: answer.json(change)}


def without(header: str) -> Callable[[Answered], Any]:
    """An answer without a header."""
    return lambda answer: answer.headers.pop(header, None)


def forgetting(*parameters: str, path: str = CLAIMS) -> Any:
    """A search that does not know parameters."""
    return {
        "where": lambda asked: asked.path == path and bool(set(parameters) & set(asked.query)),
        "asked": lambda asked: [asked.query.pop(name, None) for name in parameters],
    }


def replaced(status: int, body: str | bytes, media_type: str, **headers: str) -> Callable[[Answered], Any]:
    """Another answer altogether."""

    def change(answer: Answered) -> None:
        answer.status = status
        answer.body = body.encode() if isinstance(body, str) else body
        answer.headers["content-type"] = media_type
        answer.headers.update(headers)

    return change


def authorize(**parameters: str) -> Callable[[Asked], bool]:
    """An authorization request with these parameters ('': absent)."""
    return lambda asked: (
        asked.path == "/authorize"
        and "client_id" in asked.query
        and all(asked.query.get(name, "") == value for name, value in parameters.items())
    )


def every_resource(answer: Answered, change: Callable[[Any], Any]) -> None:
    """Change each announced resource type."""
    answer.json(lambda statement: [change(entry) for entry in statement["rest"][0]["resource"]])


def _without_service_date(entry: Any) -> None:
    entry["searchParam"] = [one for one in entry["searchParam"] if one["name"] != "service-date"]


def _other_token_endpoint(statement: Any) -> None:
    for part in statement["rest"][0]["security"]["extension"][0]["extension"]:
        if part["url"] == "token":
            part["valueUri"] = "https://elsewhere.example/token"


def _two_people(bundle: Any) -> None:
    entry = bundle["entry"][0]
    bundle["entry"].append({**entry, "resource": {**entry["resource"], "id": "member-somebody-else"}})


def _another_s_coverage(bundle: Any) -> None:
    bundle["entry"][0]["resource"]["beneficiary"] = {"reference": "Patient/member-somebody-else"}


def _private_key(content: Any) -> None:
    content["keys"][0]["d"] = "c2VjcmV0"


def _weak_key(content: Any) -> None:
    content["keys"][0]["n"] = "A" * 170


def _next_to_itself(bundle: Any) -> None:
    own = next(link["url"] for link in bundle["link"] if link["relation"] == "self")
    bundle["link"] = [link for link in bundle["link"] if link["relation"] != "next"]
    bundle["link"].append({"relation": "next", "url": own})


def _next_elsewhere(bundle: Any) -> None:
    for link in bundle["link"]:
        if link["relation"] == "next":
            link["url"] = "http://elsewhere.example/page"


def _first_page_again(bundle: Any) -> None:
    bundle["entry"] = [bundle["entry"][0]] * 2


def _another_total(bundle: Any) -> None:
    bundle["total"] += 1


def _trace(answer: Answered) -> None:
    answer.json(lambda outcome: outcome["issue"][0].update(diagnostics="Traceback (most recent call last): x"))


_PAGE = with_token(CLAIMS, "patient", "_count")

FAULTS = (
    Fault("smart-configuration", "a required member is missing", **document(SMART, grant_types_supported=None)),
    Fault("smart-capabilities", "apps cannot be launched", **document(SMART, capabilities=["permission-patient"])),
    Fault("oauth-metadata", "it names another endpoint", **document(OAUTH, token_endpoint="https://x.example/token")),
    Fault("openid-configuration", "its issuer has a slash more", **document(OPENID, issuer="http://127.0.0.1/fhir/")),
    Fault("openid-configuration", "it is not there", at(OPENID), answered=replaced(404, HTML, "text/html")),
    Fault("endpoints", "one is not there", at("/revoke", "POST"), answered=replaced(404, HTML, "text/html")),
    Fault("key-set", "a private key is published", at("/jwks"), answered=lambda answer: answer.json(_private_key)),
    Fault("key-set", "a key is weak", at("/jwks"), answered=lambda answer: answer.json(_weak_key)),
    Fault("id-token-algorithms", "none", **document(OPENID, id_token_signing_alg_values_supported=["none", "RS256"])),
    Fault("capability-statement", "a required element is missing", **document(METADATA, format=None)),
    Fault("fhir-version", "R4B", **document(METADATA, fhirVersion="4.3.0")),
    Fault(
        "security-endpoints",
        "another token endpoint",
        at(METADATA),
        answered=lambda answer: answer.json(_other_token_endpoint),
    ),
    Fault(
        "required-searches",
        "no service-date",
        at(METADATA),
        answered=lambda answer: every_resource(answer, _without_service_date),
    ),
    Fault(
        "content-types",
        "FHIR as plain JSON",
        at(METADATA),
        answered=lambda answer: answer.headers.update({"content-type": "application/json"}),
    ),
    Fault(
        "accepted-types",
        "one kind of Accept only",
        lambda asked: asked.path == METADATA and asked.headers.get("accept") == "application/json",
        answered=replaced(406, "", "text/plain"),
    ),
    Fault(
        "pkce-announced",
        "plain too",
        **document(SMART, OAUTH, OPENID, code_challenge_methods_supported=["S256", "plain"]),
    ),
    Fault(
        "unknown-client",
        "an open redirector",
        authorize(client_id=NOBODY),
        answered=replaced(302, "", "text/html", location=f"{ELSEWHERE}?error=unauthorized_client"),
    ),
    Fault(
        "good-request",
        "a registered app is refused",
        authorize(client_id=CLIENT_ID, redirect_uri=REDIRECT_URI, code_challenge_method="S256"),
        answered=replaced(400, HTML, "text/html"),
    ),
    Fault(
        "unregistered-redirect",
        "the code goes anywhere",
        authorize(client_id=CLIENT_ID, redirect_uri=ELSEWHERE),
        answered=replaced(302, "", "text/html", location=f"{ELSEWHERE}?code=x"),
    ),
    Fault(
        "pkce-required",
        "without a challenge",
        authorize(client_id=CLIENT_ID, code_challenge=""),
        asked=lambda asked: asked.query.update(code_challenge="x" * 43, code_challenge_method="S256"),
    ),
    Fault(
        "pkce-plain",
        "plain is taken",
        authorize(code_challenge_method="plain"),
        asked=lambda asked: asked.query.update(code_challenge_method="S256"),
    ),
    Fault(
        "no-token",
        "no challenge",
        lambda asked: asked.path == "/fhir/Patient" and "authorization" not in asked.headers,
        answered=without("www-authenticate"),
    ),
    Fault(
        "no-token",
        "data without a token",
        lambda asked: asked.path == "/fhir/Patient" and asked.method == "GET" and "authorization" not in asked.headers,
        answered=replaced(200, FOREIGN_PATIENT, "application/fhir+json"),
    ),
    Fault(
        "wrong-token",
        "the challenge does not say why",
        lambda asked: NOBODY in asked.headers.get("authorization", ""),
        answered=lambda answer: answer.headers.update({"www-authenticate": "Bearer"}),
    ),
    Fault(
        "unknown-type",
        "HTML",
        lambda asked: asked.path.startswith("/fhir/NoSuchType"),
        answered=replaced(404, HTML, "text/html"),
    ),
    Fault(
        "token-errors",
        "a word of its own",
        at("/token", "POST"),
        answered=replaced(400, '{"error": "nope"}', "application/json"),
    ),
    Fault("token-errors", "HTML", at("/token", "POST"), answered=replaced(400, HTML, "text/html")),
    Fault("token-no-store", "it may be cached", at("/token", "POST"), answered=without("cache-control")),
    Fault("no-insides", "a stack trace", lambda asked: asked.path.startswith("/fhir/NoSuchType"), answered=_trace),
    Fault("cors-discovery", "not for web apps", at(SMART), answered=without("access-control-allow-origin")),
    Fault(
        "cors-token",
        "not for web apps",
        lambda asked: asked.path == "/token",
        answered=without("access-control-allow-origin"),
    ),
    Fault(
        "cors-fhir",
        "no Authorization",
        at("/fhir/Patient", "OPTIONS"),
        answered=lambda answer: answer.headers.update({"access-control-allow-headers": "accept, content-type"}),
    ),
    Fault("cors-exposed", "no header", at(METADATA), answered=without("access-control-expose-headers")),
    Fault(
        "member-record",
        "two people",
        with_token("/fhir/Patient"),
        answered=lambda answer: answer.json(_two_people),
    ),
    Fault(
        "coverage",
        "another's",
        with_token("/fhir/Coverage", "patient"),
        answered=lambda answer: answer.json(_another_s_coverage),
    ),
    Fault(
        "claims",
        "no searchset",
        with_token(CLAIMS, "patient"),
        answered=lambda answer: answer.json(lambda bundle: bundle.update(type="collection")),
    ),
    Fault("last-updated", "ignored", **forgetting("_lastUpdated")),
    Fault("service-date", "ignored", **forgetting("service-date")),
    Fault("type", "ignored", **forgetting("type")),
    Fault("identifier", "ignored", **forgetting("identifier")),
    Fault("include", "ignored", **forgetting("_include")),
    Fault(
        "announced-searches",
        "one is not there",
        at("/fhir/Device"),
        answered=replaced(404, HTML, "text/html"),
    ),
    Fault(
        "post-search",
        "not there",
        at(f"{CLAIMS}/_search", "POST"),
        answered=replaced(405, "", "text/plain"),
    ),
    Fault(
        "other-members",
        "somebody else's record",
        at(f"/fhir/Patient/{NOBODY}"),
        answered=replaced(200, FOREIGN_PATIENT, "application/fhir+json"),
    ),
    Fault(
        "other-members",
        "the patient is ignored",
        lambda asked: asked.query.get("patient") == NOBODY,
        asked=lambda asked: asked.query.update(patient=MEMBER),
    ),
    Fault(
        "everything",
        "announced, and not there",
        at(f"/fhir/Patient/{MEMBER}/$everything"),
        answered=replaced(404, HTML, "text/html"),
    ),
    Fault(
        "references",
        "one leads to nothing",
        lambda asked: asked.path.startswith("/fhir/Coverage/"),
        answered=replaced(404, HTML, "text/html"),
    ),
    Fault("paging", "next is self", _PAGE, answered=lambda answer: answer.json(_next_to_itself)),
    Fault("paging", "next is elsewhere", _PAGE, answered=lambda answer: answer.json(_next_elsewhere)),
    Fault("paging", "a claim twice", _PAGE, answered=lambda answer: answer.json(_first_page_again)),
    Fault("paging", "the total changes", _PAGE, answered=lambda answer: answer.json(_another_total)),
    Fault("paging", "_count is ignored", _PAGE, asked=lambda asked: asked.query.pop("_count")),
    Fault(
        "conditional-read",
        "sent again",
        lambda asked: "if-none-match" in asked.headers,
        asked=lambda asked: asked.headers.pop("if-none-match"),
    ),
    Fault(
        "compression",
        "none",
        lambda asked: asked.headers.get("accept-encoding") == "gzip",
        asked=lambda asked: asked.headers.pop("accept-encoding"),
    ),
    Fault(
        "caching",
        "public",
        with_token(CLAIMS, "patient"),
        answered=lambda answer: answer.headers.update({"cache-control": "public, max-age=600"}),
    ),
    Fault("response-time", "slow keys", at("/jwks"), seconds=1.1),
)
