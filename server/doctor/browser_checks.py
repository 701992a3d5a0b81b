"""Checks of CORS: whether an app that runs in a browser can use discovery, the token endpoint and the FHIR API.

https://fetch.spec.whatwg.org/#http-cors-protocol and https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#considerations-for-cross-origin-resource-sharing-cors-support
"""

from urllib.parse import urlsplit

from server.doctor.findings import Finding, failed, listed, passed, skipped, warned
from server.doctor.site import FHIR_JSON, METADATA, NOBODY, SMART, Site
from server.doctor.web import Answer

STRANGER = "https://doctor.invalid"
"""The origin of an app that nobody has registered."""
USEFUL_HEADERS = ("etag", "last-modified", "www-authenticate", "location", "content-location", "retry-after")


def allows(answer: Answer, origin: str) -> bool:
    """Whether a browser lets an app of that origin read the answer."""
    return answer.header("access-control-allow-origin") in ("*", origin)


def origin_of_app(site: Site) -> str:
    """The origin told, or that of the redirect URI told, or ''."""
    parts = urlsplit(site.told.redirect_uri)
    own = f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("https", "http") and parts.netloc else ""
    return site.told.origin.rstrip("/") or own


def discovery(site: Site) -> Finding:
    """A web app of any origin can read the discovery documents."""
    refused = []
    for path, accept in ((SMART, "application/json"), (METADATA, FHIR_JSON)):
        answer = site.get(path, accept=accept, Origin=STRANGER)
        if answer.status == 200 and not allows(answer, STRANGER):
            refused.append(path)
    if refused:
        return failed(f"without Access-Control-Allow-Origin: {listed(refused)}", "send Access-Control-Allow-Origin: *")
    return passed("for every origin")


def fhir(site: Site) -> Finding:
    """A web app can ask the FHIR API: the preflight allows Authorization, and errors can be read too."""
    origin = origin_of_app(site) or STRANGER
    url = f"{site.base}/Patient"
    answer = site.preflight(url, origin, "GET", "authorization,accept")
    headers = _words(answer, "access-control-allow-headers")
    methods = _words(answer, "access-control-allow-methods")
    if answer.status not in range(200, 300) or not allows(answer, origin):
        return failed(
            f"the preflight gave {answer.status} and does not allow the origin", "answer OPTIONS, without a token"
        )
    if "authorization" not in headers:  # the * does not stand for Authorization
        return failed(
            "the preflight does not allow the Authorization header", "name it in Access-Control-Allow-Headers"
        )
    if methods and not {"get", "*"} & methods:
        return failed("the preflight does not allow GET", "name it in Access-Control-Allow-Methods")
    error = site.get(url, accept=FHIR_JSON, Origin=origin)
    if not allows(error, origin):
        return failed(
            "an error answer cannot be read by a web app", "send Access-Control-Allow-Origin with every answer"
        )
    return passed("preflight and answers")


def exposed_headers(site: Site) -> Finding:
    """A web app can read the headers that FHIR clients use."""
    answer = site.get(METADATA, accept=FHIR_JSON, Origin=STRANGER)
    if not allows(answer, STRANGER):
        return skipped("see cors-discovery")
    told = _words(answer, "access-control-expose-headers")
    missing = [name for name in USEFUL_HEADERS[:3] if name not in told and "*" not in told]
    if missing:
        return warned(f"not exposed: {listed(missing)}", "name them in Access-Control-Expose-Headers")
    return passed(f"{len(told)} headers")


def token_endpoint(site: Site) -> Finding:
    """A web app can exchange its code, and read why it could not."""
    registered = origin_of_app(site)
    origin, url = registered or STRANGER, site.endpoint("token_endpoint")
    preflight = site.preflight(url, origin, "POST", "content-type")
    form = {"grant_type": "authorization_code", "code": NOBODY, "client_id": site.told.client_id or NOBODY}
    refused = [
        name
        for name, answer in (("the preflight", preflight), ("the answer", site.post(url, form, Origin=origin)))
        if not allows(answer, origin)
    ]
    if not refused:
        return passed(f"for {'the origin ' + registered if registered else 'every origin'}")
    mend = "send Access-Control-Allow-Origin to the origins of registered apps, or to all"
    if not registered:
        return warned(f"not for every origin ({listed(refused)})", f"{mend}; name one with --origin or --redirect-uri")
    return failed(f"not for {registered}: {listed(refused)}", mend)


def _words(answer: Answer, header: str) -> set[str]:
    return {word.strip().lower() for word in answer.header(header).split(",") if word.strip()}
