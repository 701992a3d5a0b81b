"""/livez and /readyz: whether this process runs, and whether it can serve apps; for load balancers, monitors and whoever waits.

https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4 - not ready is 503. Neither says anything about members, and neither needs a token.
"""

import logging
from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from server.authorization.keys import SigningKeys
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database

LIVE, READY = "/livez", "/readyz"
_HEADERS = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
_LOG = logging.getLogger(__name__)


def create_router(database: Database, settings: Settings) -> APIRouter:
    """Both addresses, for GET and HEAD."""
    router = APIRouter(include_in_schema=False)
    keys = SigningKeys(settings)
    checks: dict[str, Callable[[], bool]] = {
        "database": lambda: bool(migrate.current(database)),
        "migrations": lambda: migrate.is_served(database),
        "signing key": lambda: bool(keys.jwks(database)["keys"]),
    }

    def passes(name: str) -> bool:
        try:
            return checks[name]()
        except Exception:
            _LOG.exception("not ready: %s", name)
            return False

    def live() -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    def ready() -> Response:
        """The database answers, its tables are those of this version or a newer one, and there is a key to sign id_tokens with."""
        found: dict[str, str] = {}
        for name in checks:  # in order: without the one before, the next would only fail too
            found[name] = "ok" if passes(name) else "failed"
            if found[name] != "ok":
                break
        good = "failed" not in found.values()
        body = {"status": "ok" if good else "not ready", "checks": found}
        return JSONResponse(body, 200 if good else 503, headers=_HEADERS if good else _HEADERS | {"Retry-After": "5"})

    for path, answer in ((LIVE, live), (READY, ready)):
        router.add_api_route(path, answer, methods=["GET", "HEAD"])
    return router
