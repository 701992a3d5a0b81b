"""The whole server, composed: authorization and pages on FastAPI, and beside them the FHIR API, an ASGI application of its own.

https://asgi.readthedocs.io/ - requests below /fhir never enter the framework's stack.
"""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI

from server import __version__, lifecycle
from server.authorization import routes as authorization
from server.authorization.discovery import (
    AUTHORIZATION_SERVER_METADATA,
    OPENID_CONFIGURATION,
    SMART_CONFIGURATION,
    oauth_uris,
)
from server.authorization.keys import secret_key
from server.authorization.registration import Registrations
from server.authorization.registration_routes import create_registration_router
from server.fhir.application import FHIRApplication
from server.fhir.observed import ObservedFHIRApplication
from server.fhir.routing import Receive, Scope, Send
from server.figures import Figures
from server.metrics.compliance import LatestCompliance
from server.pages import (
    access_history_page,
    account,
    compliance,
    developer_pages,
    front_door,
    health,
    openapi,
    prior_authorization_pages,
    prometheus,
    register_app,
    try_page,
)
from server.pages.nothing_here import answer_for_nothing
from server.pages.web_requests import WebRequests
from server.pages.worker_figures import WorkerFigures
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from server.storage.ledger_partitions import keep_ahead
from server.storage.timed_database import TimedDatabase
from server.tracing import Tracer

FHIR = "/fhir"
BELOW_FHIR = FHIR + "/"
DOCUMENTS = frozenset((SMART_CONFIGURATION, OPENID_CONFIGURATION))
"""Below the FHIR base, and yet the authorization server's."""
METADATA_OF_ISSUER = AUTHORIZATION_SERVER_METADATA.removesuffix(FHIR)
"""In front of the issuer's whole path: https://www.rfc-editor.org/rfc/rfc8414#section-3.1"""
EXPORTS_SECONDS, FLUSH_SECONDS, SPANS_SECONDS = 0.5, 0.5, 3.0
"""What exports get at least to come to the end of their step, and spans at least, and at most, to be sent."""
_LOG = logging.getLogger(__name__)


class Application:
    """The ASGI application that uvicorn serves.

    A BASE_URL may have a path: it is answered with that path in front, as a proxy passes it that changes nothing, and without it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        endpoint = settings.otel_exporter_otlp_endpoint
        is_timed = settings.server_timing or endpoint is not None
        self.figures = Figures(settings.metrics_directory) if settings.metrics_token is not None else None
        self.tracer = Tracer(endpoint, __version__) if endpoint is not None else None
        self.database = TimedDatabase(settings) if is_timed else Database(settings)
        self.ledger = EventLedger(self.database)
        fhir_class = ObservedFHIRApplication if is_timed else FHIRApplication
        self.fhir = fhir_class(
            self.database, settings, secret_key(settings), oauth_uris(settings), figures=self.figures
        )
        if isinstance(self.fhir, ObservedFHIRApplication):
            self.fhir.tracer = self.tracer
        self.web = FastAPI(
            title=f"{settings.payer_name} Patient Access API",
            version=__version__,
            lifespan=self._lifespan,
            openapi_url=None,
            redirect_slashes=False,
        )
        answer_for_nothing(self.web, settings)
        self.web.include_router(authorization.create_router(self.database, settings, self.ledger))
        registrations = Registrations(self.ledger, settings)
        self.web.include_router(register_app.create_router(registrations, settings))
        self.web.include_router(create_registration_router(registrations))
        self.web.include_router(front_door.create_router(settings))
        self.web.include_router(account.create_router(self.database, settings, self.ledger))
        self.web.include_router(access_history_page.create_router(self.database, settings))
        self.web.include_router(try_page.create_router(self.database, settings))
        self.web.include_router(developer_pages.create_router(settings))
        self.web.include_router(prior_authorization_pages.create_router(self.database, settings))
        latest = LatestCompliance(self.database, settings)
        self.web.include_router(compliance.create_router(self.database, settings, latest))
        if self.figures is not None:
            self.web.include_router(prometheus.create_router(self.database, settings, latest, self.figures))
        self.web.include_router(health.create_router(self.database, settings))
        self.web.include_router(openapi.create_router(self.web.routes, settings))
        self._web = WebRequests(self.web, settings, self.figures, self.tracer)
        self._prefix = urlsplit(settings.base_url).path

    @asynccontextmanager
    async def _lifespan(self, _web: FastAPI) -> AsyncIterator[None]:
        try:
            await self.database.open()
        except Exception:
            _LOG.critical("the database cannot be opened", exc_info=True)
            raise
        # What is loaded now stays: the garbage collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        tasks = [] if self.database.is_sqlite else [asyncio.create_task(keep_ahead(self.database))]
        exports = self.fhir.export_runner
        if self.figures is not None:
            own = WorkerFigures(self.figures, self.database, lambda: exports.running)
            tasks.append(asyncio.create_task(own.keep()))
        exports.start()
        _LOG.info("serving %s as process %d", self.settings.base_url, os.getpid(), extra={"event": "started"})
        try:
            yield
        finally:
            await exports.stop(lifecycle.seconds_left(EXPORTS_SECONDS))
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self.fhir.ledger.flushed()
            await self.database.close()
            self.database.engine.dispose()
            if self.tracer is not None:
                self.tracer.close(min(SPANS_SECONDS, lifecycle.seconds_left(FLUSH_SECONDS)))
            if self.figures is not None:
                self.figures.close()
            _LOG.info("process %d has ended", os.getpid(), extra={"event": "stopped"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FHIR paths to the FHIR API, everything else, and the documents below /fhir/.well-known, to FastAPI."""
        path: Any = scope.get("path", "")
        if self._prefix and scope["type"] == "http":
            scope, path = self._below_prefix(scope, path)
        if (path.startswith(BELOW_FHIR) or path == FHIR) and path not in DOCUMENTS and scope["type"] == "http":
            await self.fhir(scope, receive, send)
        else:
            await self._web(scope, receive, send)

    def _below_prefix(self, scope: Scope, path: str) -> tuple[Scope, str]:
        """The request as if BASE_URL had no path."""
        if path.startswith(self._prefix + "/"):
            path = path[len(self._prefix) :]
        elif path == self._prefix:
            path = "/"
        elif path.startswith(METADATA_OF_ISSUER + self._prefix + "/"):
            path = METADATA_OF_ISSUER + path.removeprefix(METADATA_OF_ISSUER + self._prefix)
        return {**scope, "path": path, "raw_path": quote(path).encode()}, path


def create_app(settings: Settings | None = None) -> Application:
    """The application for these settings, by default those of the environment."""
    return Application(settings if settings is not None else Settings())
