"""The front door: what this is, where the API begins, and where members and developers go from here.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html - the discovery documents it links to.
"""

from fastapi import APIRouter
from starlette.responses import Response

from server.authorization import discovery
from server.authorization.web_page import WebPages
from server.pages import TEMPLATES
from server.pages.sandbox_logins import sandbox_logins
from server.pages.sandbox_members import MEMBERS_PAGE, answer_key
from server.settings import Settings


def create_router(settings: Settings) -> APIRouter:
    """``/``."""
    pages = WebPages(settings, TEMPLATES)
    logins = sandbox_logins(settings)
    members = MEMBERS_PAGE if answer_key(settings).raw else ""
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    @router.get("/")
    def front_door() -> Response:
        """Where to go from here, for members and for developers."""
        return pages.public(
            "home.html",
            fhir_base=settings.fhir_base,
            documents=(
                ("CapabilityStatement", f"{settings.fhir_base}/metadata"),
                ("SMART", settings.base_url + discovery.SMART_CONFIGURATION),
                ("OpenID Connect", settings.base_url + discovery.OPENID_CONFIGURATION),
                ("OpenAPI", f"{settings.base_url}/openapi.json"),
            ),
            logins=logins,
            members=members,
        )

    return router
