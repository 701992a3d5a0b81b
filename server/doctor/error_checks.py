"""Checks of error answers: a program must be able to read them, and they must not tell how the server is made.

https://hl7.org/fhir/R4/http.html#Status-Codes, https://www.rfc-editor.org/rfc/rfc6750#section-3 and https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

import re

from server.doctor.findings import Finding, failed, listed, passed, warned
from server.doctor.site import FHIR_JSON, NOBODY, Site, is_outcome
from server.doctor.web import Answer

ERROR_CODES = frozenset(
    (
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
        *("invalid_scope", "temporarily_unavailable", "invalid_target"),
    )
)
"""Of RFC 6749 section 5.2 and RFC 8707, and one that servers send when they are busy."""
INSIDES = re.compile(
    rb"Traceback \(most recent call last\)|\n\s+at [\w.$<>]+\([\w.]+:\d+\)|\n\s+at .+\.[jt]s:\d+:\d+|SQLSTATE|ORA-\d{5}|System\.\w+Exception|psycopg|sqlite3\."
)
"""What stands in stack traces and database errors."""


def _is_outcome(answer: Answer) -> bool:
    return is_outcome(answer) and answer.media_type in (FHIR_JSON, "application/json")


def without_token(site: Site) -> Finding:
    """A request without a token gets 401, a challenge, and an OperationOutcome."""
    return _unauthorized(site.get("Patient", accept=FHIR_JSON))


def with_wrong_token(site: Site) -> Finding:
    """A request with a token that is none gets the same, and is told that the token is the matter."""
    answer = site.get("Patient", accept=FHIR_JSON, Authorization=f"Bearer {NOBODY}")
    finding = _unauthorized(answer)
    if finding.mend or "invalid_token" in answer.header("www-authenticate"):
        return finding
    return warned('the challenge has no error="invalid_token"', "say it, so that apps know when to refresh (RFC 6750)")


def _unauthorized(answer: Answer) -> Finding:
    if answer.status == 200:
        return failed("it is ANSWERED", "take the server off the network, and see how tokens are checked")
    if answer.status != 401:
        return failed(f"status {answer.status}", "answer 401 (RFC 6750)")
    if not answer.header("www-authenticate").lower().startswith("bearer"):
        return failed("401 without WWW-Authenticate: Bearer", "send the challenge (RFC 9110 section 11.6.1)")
    if not _is_outcome(answer):
        return failed(f"401 without an OperationOutcome ({answer.media_type or 'no type'})", "send one, as FHIR JSON")
    return passed("401, a challenge, an OperationOutcome")


def unknown_type(site: Site) -> Finding:
    """An unknown resource type gets a FHIR error, from every layer."""
    answer = site.get(f"NoSuchType/{NOBODY}", accept=FHIR_JSON, with_token=bool(site.told.token))
    if answer.status not in (400, 401, 403, 404):
        return failed(f"status {answer.status}", "answer 404 with an OperationOutcome")
    if not _is_outcome(answer):
        return failed(
            f"{answer.status} without an OperationOutcome ({answer.media_type or 'no type'})", "send one, as FHIR JSON"
        )
    return passed(f"{answer.status} with an OperationOutcome")


def token_endpoint(site: Site) -> Finding:
    """The token endpoint refuses in the words of RFC 6749."""
    wrong = []
    for what, answer in _refusals(site).items():
        code = (answer.json or {}).get("error")
        if answer.status not in (400, 401, 429):
            wrong.append(f"{what}: status {answer.status}")
        elif answer.media_type != "application/json" or code not in ERROR_CODES:
            wrong.append(f"{what}: {answer.media_type or 'no type'} with error {str(code)[:30]}")
    if wrong:
        return failed("; ".join(wrong), "answer 400 or 401 with JSON and an error code of RFC 6749 section 5.2")
    return passed(listed([str((answer.json or {}).get("error")) for answer in _refusals(site).values()]))


def no_store(site: Site) -> Finding:
    """What the token endpoint answers is stored nowhere."""
    told = [answer.header("cache-control").lower() for answer in _refusals(site).values()]
    if any("no-store" not in value for value in told):
        return failed("without Cache-Control: no-store", "send it with every answer of the token endpoint")
    return passed("Cache-Control: no-store")


def _refusals(site: Site) -> dict[str, Answer]:
    """What the token endpoint says to an unknown grant type, and to an unknown app with an unknown code."""
    url = site.endpoint("token_endpoint")
    asked = {
        "an unknown grant type": {"grant_type": f"urn:example:{NOBODY}", "client_id": NOBODY},
        "an unknown app and code": {
            "grant_type": "authorization_code",
            "code": NOBODY,
            "client_id": NOBODY,
            "redirect_uri": "https://doctor.invalid/callback",
            "code_verifier": NOBODY * 3,
        },
    }
    return {what: site.post(url, form) for what, form in asked.items()}


def insides(site: Site) -> Finding:
    """No error answer shows a stack trace or a database's words, and none was a 500."""
    errors = [answer for answer in site.web.answers if answer.status >= 400]
    telling = [f"{answer.method} gave {answer.status}" for answer in errors if INSIDES.search(answer.body)]
    if telling:
        return failed(f"stack traces or the like: {listed(telling)}", "log them, and answer without")
    broken = sum(answer.status == 500 for answer in errors)
    if broken:
        return warned(f"{broken} of {len(errors)} errors were a 500", "a request that is wrong is a 4xx")
    return passed(f"{len(errors)} error answers tell nothing of the inside")
