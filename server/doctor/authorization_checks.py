"""Checks of the authorization endpoint, as far as they are seen without signing in: who is refused, and where nobody may be sent.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1, RFC 7636 and https://www.rfc-editor.org/rfc/rfc9700#section-4.11
"""

from urllib.parse import parse_qs, urlencode, urlsplit

from server.doctor.findings import Finding, MissingError, failed, passed, warned
from server.doctor.site import NOBODY, Site
from server.doctor.web import Answer, origin

ELSEWHERE = "https://doctor.invalid/callback"
"""A redirect URI that nobody has registered."""
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The code challenge of RFC 7636, appendix B."""


def _authorize(site: Site, **changes: str) -> Answer:
    """GET the authorization endpoint, with a good request but for the changes ('': left out)."""
    parameters = {
        "response_type": "code",
        "client_id": NOBODY,
        "redirect_uri": ELSEWHERE,
        "scope": "launch/patient patient/*.read",
        "state": NOBODY,
        "aud": site.base,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    endpoint = site.endpoint("authorization_endpoint")
    sent = urlencode({name: value for name, value in parameters.items() if value})
    return site.get(f"{endpoint}{'&' if '?' in endpoint else '?'}{sent}", accept="text/html,*/*;q=0.5")


def _app(site: Site) -> dict[str, str]:
    if not site.told.client_id or not site.told.redirect_uri:
        raise MissingError("needs --client-id and --redirect-uri of an app that is registered")
    return {"client_id": site.told.client_id, "redirect_uri": site.told.redirect_uri}


def _goes_to(answer: Answer, address: str) -> bool:
    return 300 <= answer.status < 400 and origin(answer.header("location")) == origin(address)


def unknown_client(site: Site) -> Finding:
    """An app that nobody registered is refused, and nobody is sent to its address."""
    answer = _authorize(site)
    if _goes_to(answer, ELSEWHERE):
        return failed(
            "an unknown app's redirect URI is redirected to", "an open redirector: show an error page instead"
        )
    if answer.status < 400:
        return warned(f"it goes on to sign-in ({answer.status})", "refuse before the member types a password")
    if answer.status >= 500:
        return failed(f"status {answer.status}", "answer 400")
    return passed(f"refused with {answer.status}")


def unregistered_redirect(site: Site) -> Finding:
    """A known app cannot have its members sent to an address that is not registered."""
    answer = _authorize(site, client_id=_app(site)["client_id"])
    if _goes_to(answer, ELSEWHERE):
        return failed("an unregistered redirect URI is redirected to", "codes leak this way: compare it exactly")
    if answer.status < 400:
        return failed(f"it goes on to sign-in ({answer.status})", "refuse with a page; redirect nowhere")
    return passed(f"refused with {answer.status}")


def pkce_required(site: Site) -> Finding:
    """A request without a code challenge is refused."""
    return _refused(
        site, _authorize(site, **_app(site), code_challenge="", code_challenge_method=""), "no code_challenge"
    )


def pkce_plain(site: Site) -> Finding:
    """A request with the plain method is refused."""
    return _refused(site, _authorize(site, **_app(site), code_challenge_method="plain"), "code_challenge_method=plain")


def _refused(site: Site, answer: Answer, what: str) -> Finding:
    if _goes_to(answer, site.told.redirect_uri):
        told = parse_qs(urlsplit(answer.header("location")).query)
        if "error" in told:
            return passed(f"{told['error'][0][:40]}, sent to the app")
    elif 400 <= answer.status < 500:
        return passed(f"refused with {answer.status}")
    return failed(
        f"{what} is accepted ({answer.status})", "SMART requires PKCE with S256 of every app: answer invalid_request"
    )


def good_request(site: Site) -> Finding:
    """A good request of a registered app leads to sign-in: it is not refused."""
    app = _app(site)
    answer = _authorize(site, **app)
    told = parse_qs(urlsplit(answer.header("location")).query) if _goes_to(answer, app["redirect_uri"]) else {}
    if answer.status >= 400 or "error" in told:
        code = told.get("error", [f"status {answer.status}"])[0][:60]
        words = told.get("error_description", [""])[0][:120]
        return failed(
            f"refused: {code} {words}".strip(), "see whether the app, its redirect URI and scopes are registered"
        )
    return passed(f"leads on ({answer.status})")
