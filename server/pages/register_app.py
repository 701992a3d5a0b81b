"""/register/app: the form by which an app's makers register it, at once, without an account; what they get is shown this once.

42 CFR 422.119(d), https://www.rfc-editor.org/rfc/rfc7591#section-1.2 (open registration) - programs use POST /register instead.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server.authorization import client_metadata, protocol
from server.authorization.attempts import TooManyAttemptsError, address_of
from server.authorization.authorization_server import Parameters
from server.authorization.browser import Browser
from server.authorization.discovery import REGISTER
from server.authorization.languages import ENGLISH
from server.authorization.registration import Registrations
from server.authorization.web_page import WebPages
from server.pages import TEMPLATES
from server.settings import Settings

REGISTER_APP = REGISTER + "/app"


@dataclass(frozen=True, slots=True)
class PrivacyPractice:
    """One thing that an app's makers can say of it; ``field`` is its name in the form."""

    field: str
    text: str


PRACTICES = (
    PrivacyPractice(
        "asks_first", "It shares or sells nobody's information unless that person has said yes to exactly that."
    ),
    PrivacyPractice(
        "policy_is_public",
        "Its privacy policy is public, in plain words, and says what happens to information it was given.",
    ),
    PrivacyPractice(
        "uses_what_is_needed", "It asks only for information that its users need for what they do with it."
    ),
    PrivacyPractice("can_be_deleted", "Whoever stops using it can have everything about them deleted."),
    PrivacyPractice(
        "tells_of_breaches", "If information gets into wrong hands, it tells the people concerned without delay."
    ),
)
"""The questions of the privacy attestation. An app whose makers do not say all of them is registered all the same."""

KINDS_OF_APP = (
    (client_metadata.PUBLIC, "Cannot keep a secret", "A phone app, or one that runs in the browser."),
    (client_metadata.SECRET_BASIC, "Has a server that keeps a secret", "You get one; it is shown once."),
    (
        client_metadata.PRIVATE_KEY_JWT,
        "Has a server that signs with its own key",
        "Give the address of its public keys (JWKS).",
    ),
)


def create_router(registrations: Registrations, settings: Settings) -> APIRouter:
    """The form, and what it answers."""
    pages = WebPages(settings, TEMPLATES)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    def form(browser: Browser, filled: Parameters | None = None, failure: str = "", status: int = 200) -> Response:
        return pages.render(
            replace(browser, language=ENGLISH),
            "register_app.html",
            status=status,
            action=pages.path(REGISTER_APP),
            kinds=KINDS_OF_APP,
            practices=PRACTICES,
            filled={} if filled is None else filled.data,
            failure=failure,
        )

    @router.get(REGISTER_APP)
    def show(request: Request) -> Response:
        """The form."""
        return form(pages.browsers.of(request))

    @router.post(REGISTER_APP)
    def register(request: Request, filled: Annotated[Parameters, Depends(protocol.form_parameters)]) -> Response:
        """Register the app; show its client id and its secrets, once."""
        browser = pages.browsers.of(request)
        if not browser.is_genuine(filled.data.get("csrf", "")):
            return pages.form_expired(request)
        try:
            registered = registrations.register(metadata(filled.data), address_of(request))
        except TooManyAttemptsError as error:
            response = form(browser, filled, str(error.description), 429)
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        except OAuth2Error as error:
            return form(browser, filled, str(error.get_error_description() or error.error), 400)
        return pages.render(
            replace(browser, language=ENGLISH),
            "registered_app.html",
            information=registrations.information(registered),
            documents=(settings.fhir_base, f"{settings.fhir_base}/.well-known/smart-configuration"),
        )

    return router


def metadata(filled: dict[str, str]) -> dict[str, Any]:
    """The client metadata (RFC 7591 section 2) of a filled-in form."""
    sent: dict[str, Any] = {
        "client_name": filled.get("client_name", "").strip(),
        "redirect_uris": filled.get("redirect_uris", "").split(),
        "token_endpoint_auth_method": filled.get("kind", client_metadata.PUBLIC),
        "contacts": filled.get("contact", "").split(),
        "privacy_attestation": all(filled.get(practice.field) == "yes" for practice in PRACTICES),
    }
    for name in ("client_uri", "policy_uri", "jwks_uri"):
        value = filled.get(name, "").strip()
        if value:
            sent[name] = value
    return sent
