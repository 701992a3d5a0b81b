"""/try: a sample app that runs in the browser, a SMART client like any other, with nothing but the public API to work with.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - its scripts are files of their own, as the page's policy demands.
"""

from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from server.authorization.clients import find_client
from server.authorization.web_page import HEADERS, WebPages
from server.pages import TEMPLATES
from server.pages.sandbox_logins import sandbox_logins
from server.settings import Settings
from server.storage.database import Database

TRY, CALLBACK = "/try", "/try/callback"
CLIENT_ID = "sandbox-app"
"""The client that the sample app is; ``patient-access sandbox`` registers it."""
STATIC = "/static/try"
SCRIPTS = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "static" / "try").glob("*.js"))}
VERSION = sha256(b"\0".join(SCRIPTS.values())).hexdigest()[:12]
"""Part of the scripts' address: the modules import each other by relative address, so they always belong together."""


def create_router(database: Database, settings: Settings) -> APIRouter:
    """``/try``, its callback, and its scripts."""
    pages = WebPages(settings, TEMPLATES)
    logins = sandbox_logins(settings)
    router = APIRouter(route_class=pages.route_class(), include_in_schema=False)
    redirect_uri = settings.base_url + CALLBACK

    def is_registered() -> bool:
        with database.reading() as transaction:
            client = find_client(transaction, CLIENT_ID)
        return client is not None and client.is_active and redirect_uri in client.redirect_uris

    @router.get(TRY)
    @router.get(CALLBACK)
    def sample_app() -> Response:
        """The app; its address as callback holds the code, which only the app reads."""
        return pages.public(
            "try.html",
            scripts=True,
            registered=is_registered(),
            fhir_base=settings.fhir_base,
            client_id=CLIENT_ID,
            redirect_uri=redirect_uri,
            script=pages.path(f"{STATIC}/{VERSION}/main.js"),
            logins=logins[:3],
        )

    @router.get(STATIC + "/{version}/{name}")
    def script(version: str, name: str) -> Response:
        """One module of the app; kept for ever under its version."""
        if name not in SCRIPTS:
            return Response("Not found\n", 404, media_type="text/plain", headers=HEADERS)
        caching = "public, max-age=31536000, immutable" if version == VERSION else "no-cache"
        headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
        return Response(SCRIPTS[name], media_type="text/javascript", headers=headers)

    return router
