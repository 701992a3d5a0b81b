"""The whole server, composed: authorization and pages on FastAPI, and beside them the FHIR API, an ASGI application of its own.

https://asgi.readthedocs.io/ - requests below /fhir never enter the framework's stack.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from server import __version__
from server.authorization import routes as authorization
from server.authorization.discovery import oauth_uris
from server.authorization.keys import secret_key
from server.authorization.registration import Registrations
from server.authorization.registration_routes import create_registration_router
from server.fhir.application import FHIRApplication
from server.fhir.routing import Receive, Scope, Send
from server.pages import account, developer_pages, front_door, openapi, register_app, try_page
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger

FHIR = "/fhir"
WELL_KNOWN = "/fhir/.well-known/"


class Application:
    """The ASGI application that uvicorn serves."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.ledger = EventLedger(self.database)
        self.fhir = FHIRApplication(self.database, settings, secret_key(settings), oauth_uris(settings))
        self.web = FastAPI(
            title=f"{settings.payer_name} Patient Access API",
            version=__version__,
            lifespan=self._lifespan,
            openapi_url=None,
            redirect_slashes=False,
        )
        self.web.include_router(authorization.create_router(self.database, settings, self.ledger))
        registrations = Registrations(self.ledger, settings)
        self.web.include_router(register_app.create_router(registrations, settings))
        self.web.include_router(create_registration_router(registrations))
        self.web.include_router(front_door.create_router(settings))
        self.web.include_router(account.create_router(self.database, settings, self.ledger))
        self.web.include_router(try_page.create_router(self.database, settings))
        self.web.include_router(developer_pages.create_router(settings))
        self.web.include_router(openapi.create_router(self.web.routes, settings))

    @asynccontextmanager
    async def _lifespan(self, _web: FastAPI) -> AsyncIterator[None]:
        await self.database.open()
        # What is loaded now stays: the garbage collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            await self.database.close()
            self.database.engine.dispose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FHIR paths to the FHIR API, everything else to FastAPI."""
        path: Any = scope.get("path", "")
        if scope["type"] == "http" and (path == FHIR or path.startswith("/fhir/")) and not path.startswith(WELL_KNOWN):
            await self.fhir(scope, receive, send)
        else:
            await self.web(scope, receive, send)


def create_app(settings: Settings | None = None) -> Application:
    """The application for these settings, by default those of the environment."""
    return Application(settings if settings is not None else Settings())
