"""/docs: what a developer needs, public and without any account; tables are computed from the registry and the settings.

42 CFR 422.119(d): publicly accessible documentation, without a fee, an account, or a copy by e-mail.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from server import __version__
from server.authorization import app_criteria, brand_bundle, client_assertion, discovery
from server.authorization.languages import Message
from server.authorization.scopes import supported_scopes
from server.authorization.sensitivity import policies_in_force
from server.authorization.software_statements import SoftwareStatements
from server.authorization.web_page import WebPages
from server.fhir.error_codes import ERROR_CODES
from server.fhir.everything import SHARED
from server.fhir.routing import MAXIMUM_BODY
from server.fhir.search_parameters import MAXIMUM_PARAMETERS, MAXIMUM_VALUES
from server.pages import TEMPLATES, changelog, search_reference
from server.pages.authorization_errors import AUTHORIZATION_ERRORS, GRANT_ERROR_CODES
from server.pages.sandbox_logins import sandbox_logins
from server.pages.sandbox_members import EXPECTED, MEMBERS_PAGE, answer_key
from server.pages.try_page import CLIENT_ID
from server.settings import Settings
from server.specification.definitional import DEFINITION_TYPES
from server.specification.operations import EXPORT
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES, FHIR_VERSION, GUIDES, LAUNCH_SCOPES
from server.storage.export_store import MOST_KEPT

DOCS, MEMBERS = "/docs", "/docs/members"
CHANGELOG_JSON = DOCS + "/changelog.json"


@dataclass(frozen=True, slots=True)
class DeveloperPage:
    """One page of the documentation: its address, its name in the menu, and what it says, in a line."""

    path: str
    title: str
    summary: str
    template: str


PAGES = (
    DeveloperPage(DOCS, "Start here", "From nothing to a member's first claim.", "docs_start.html"),
    DeveloperPage(
        DOCS + "/registration",
        "Registration",
        "How an app gets its client id, and what is asked.",
        "docs_registration.html",
    ),
    DeveloperPage(
        app_criteria.PATH, "Criteria for apps", "For what an app can be refused or suspended.", "docs_app_criteria.html"
    ),
    DeveloperPage(DOCS + "/scopes", "Scopes", "What to ask a member for, and what is granted.", "docs_scopes.html"),
    DeveloperPage(
        DOCS + "/searches",
        "Resources and searches",
        "Every resource type, parameter and include.",
        "docs_searches.html",
    ),
    DeveloperPage(
        DOCS + "/sensitivity",
        "Sensitive records",
        "Security labels, and what is withheld from whom.",
        "docs_sensitivity.html",
    ),
    DeveloperPage(DOCS + "/sync", "Keep in sync", "Fetch everything once, then only what changed.", "docs_sync.html"),
    DeveloperPage(DOCS + "/export", "Export", "Download all of a member as files.", "docs_export.html"),
    DeveloperPage(DOCS + "/errors", "Error codes", "What each one means and how to mend it.", "docs_errors.html"),
    DeveloperPage(DOCS + "/limits", "Limits", "Page sizes, lifetimes and rates.", "docs_limits.html"),
    DeveloperPage(DOCS + "/sandbox", "Sandbox", "Made-up members to try your app with.", "docs_sandbox.html"),
    DeveloperPage(DOCS + "/changelog", "Changelog", "What changed, version by version.", "docs_changelog.html"),
)


def contents(settings: Settings) -> dict[str, Callable[[], Mapping[str, Any]]]:
    """What the template of each page is rendered with."""
    history = changelog.as_html()
    logins = sandbox_logins(settings)
    policies = policies_in_force(settings)
    issuers = [row.name for row in SoftwareStatements(settings).issuers.values()]
    documents = {
        "authorize": settings.base_url + discovery.AUTHORIZE,
        "token": settings.base_url + discovery.TOKEN,
        "revoke": settings.base_url + discovery.REVOKE,
        "introspect": settings.base_url + discovery.INTROSPECT,
        "par": settings.base_url + discovery.PUSH,
        "userinfo": settings.base_url + discovery.USERINFO,
        "smart": settings.base_url + discovery.SMART_CONFIGURATION,
        "openid": settings.base_url + discovery.OPENID_CONFIGURATION,
        "metadata": settings.fhir_base + "/metadata",
        "openapi": settings.base_url + "/openapi.json",
        "brands": settings.base_url + brand_bundle.PATH,
        "definitions": [f"{settings.fhir_base}/{type}" for type in DEFINITION_TYPES],
    }
    return {
        DOCS: lambda: {"documents": documents, "guides": GUIDES, "fhir_version": FHIR_VERSION, "client_id": CLIENT_ID},
        DOCS + "/registration": lambda: {
            "authentications": discovery.CLIENT_AUTHENTICATIONS,
            "assertion": {
                "type": client_assertion.ASSERTION_TYPE,
                "algorithms": discovery.ASSERTION_ALGORITHMS,
                "seconds": client_assertion.LONGEST_LIFE,
            },
            "register": settings.base_url + discovery.REGISTER,
            "issuers": issuers,
        },
        app_criteria.PATH: lambda: {
            "criteria": app_criteria.CRITERIA.values(),
            "never": app_criteria.NOT_CRITERIA,
            "citation": app_criteria.CITATION,
            "appeal": settings.appeal_contact or settings.support_contact,
        },
        DOCS + "/scopes": lambda: {
            "launch_scopes": LAUNCH_SCOPES,
            "supported": supported_scopes(),
            "categories": CONSENT_CATEGORIES,
        },
        DOCS + "/searches": lambda: {"rules": search_reference.RULES, "modifiers": search_reference.modifiers()},
        DOCS + "/sensitivity": lambda: {"policies": policies},
        DOCS + "/export": lambda: {"parameters": EXPORT.parameters, "shared": sorted(SHARED), "kept": MOST_KEPT},
        DOCS + "/sync": lambda: {
            "shared": sorted(SHARED),
            "directory": [row.type for row in RESOURCES.values() if row.is_directory],
            "named": sorted(type for type in SHARED if not RESOURCES[type].is_directory),
        },
        DOCS + "/errors": lambda: {
            "errors": ERROR_CODES.values(),
            "authorization_errors": AUTHORIZATION_ERRORS,
            "grant_error_codes": GRANT_ERROR_CODES,
        },
        DOCS + "/limits": lambda: {
            "maximum_values": MAXIMUM_VALUES,
            "maximum_parameters": MAXIMUM_PARAMETERS,
            "maximum_body": MAXIMUM_BODY // 1024,
            "failures": settings.guesses_per_account,
        },
        DOCS + "/sandbox": lambda: {
            "logins": logins,
            "client_id": CLIENT_ID,
            "members": MEMBERS_PAGE if answer_key(settings).raw else "",
        },
        DOCS + "/changelog": lambda: {"changelog": history, "version": __version__, "json": CHANGELOG_JSON},
    }


def create_router(settings: Settings) -> APIRouter:
    """``/docs`` and everything below it."""
    pages = WebPages(settings, TEMPLATES)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)

    def render(template: str, here: str, **context: Any) -> Response:
        return pages.public(
            template,
            here=here,
            menu=PAGES,
            settings=settings,
            fhir_base=settings.fhir_base,
            resources=RESOURCES,
            contact=settings.support_contact,
            **context,
        )

    def page_route(page: DeveloperPage, content: Callable[[], Mapping[str, Any]]) -> Callable[[], Response]:
        return lambda: render(page.template, page.path, page=page, **content())

    content = contents(settings)
    history = changelog.as_json()
    for page in PAGES:
        router.add_api_route(page.path, page_route(page, content[page.path]), methods=["GET"])

    @router.get(app_criteria.PATH + ".json")
    def criteria() -> Response:
        """The criteria for apps, for programs."""
        rows = [asdict(row) for row in app_criteria.CRITERIA.values()]
        body = {"citation": app_criteria.CITATION, "criteria": rows, "never": list(app_criteria.NOT_CRITERIA)}
        return JSONResponse(body, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"})

    @router.get(CHANGELOG_JSON)
    def changes() -> Response:
        """The changelog, for programs."""
        return JSONResponse(history, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"})

    @router.get(DOCS + "/searches/{type}")
    def resource_type(request: Request, type: str) -> Response:
        """One resource type: its parameters with examples."""
        row = RESOURCES.get(type)
        if row is None:
            return pages.problem(request, 404, Message("Not found"), Message("There is no such resource type here."))
        return render(
            "docs_resource_type.html", DOCS + "/searches", row=row, parameters=search_reference.parameters(row)
        )

    @router.get(DOCS + "/errors/{code}")
    def error_code(request: Request, code: str) -> Response:
        """One error code: what it means, how to mend it. The address never changes."""
        error = ERROR_CODES.get(code)
        if error is None:
            return pages.problem(request, 404, Message("Not found"), Message("There is no such error code here."))
        return render("docs_error_code.html", DOCS + "/errors", error=error)

    key = answer_key(settings)

    def _no_members(request: Request) -> Response:
        return pages.problem(request, 404, Message("Not found"), Message("There is no such page here."))

    @router.get(MEMBERS_PAGE)
    def sandbox_members(request: Request) -> Response:
        """A sandbox's members, one by one: how to sign in as each, and what a correct app shows."""
        if not key.raw:
            return _no_members(request)
        return render("docs_sandbox_members.html", DOCS + "/sandbox", page_path=MEMBERS_PAGE, key=key)

    @router.get(EXPECTED)
    def expected(request: Request) -> Response:
        """The same for programs."""
        if not key.raw:
            return _no_members(request)
        return Response(key.raw, media_type="application/json", headers={"Cache-Control": "no-cache"})

    @router.get(MEMBERS)
    def members(request: Request) -> Response:
        """For members: choosing an app, who protects what, how to complain (42 CFR 422.119(g))."""
        return render("members.html", MEMBERS, request=request)

    return router
