"""/livez and /readyz: whether this process runs, and whether it can serve apps; for load balancers, monitors and whoever waits.

https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4 - not ready is 503, and so is a server that ends, which still serves. Neither says anything about members, and neither needs a token.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from server import lifecycle
from server.authorization.keys import SigningKeys
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database

LIVE, READY = "/livez", "/readyz"
KEPT_SECONDS = 1.0
_HEADERS = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
_LOG = logging.getLogger(__name__)


def create_router(database: Database, settings: Settings) -> APIRouter:
    """Both addresses, for GET and HEAD."""
    router = APIRouter(include_in_schema=False)
    keys = SigningKeys(settings)
    kept = _Kept()
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

    def found() -> dict[str, str]:
        answers: dict[str, str] = {}
        for name in checks:  # in order: without the one before, the next would only fail too
            answers[name] = "ok" if passes(name) else "failed"
            if answers[name] != "ok":
                break
        return answers

    async def live() -> Response:
        """The event loop goes round."""
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    def ready() -> Response:
        """The database answers, its tables are those of this version or a newer one, and there is a key to sign id_tokens with."""
        if lifecycle.is_ending():
            return JSONResponse({"status": "stopping"}, 503, headers=_HEADERS)
        answers = kept.get(found)
        good = "failed" not in answers.values()
        body = {"status": "ok" if good else "not ready", "checks": answers}
        return JSONResponse(body, 200 if good else 503, headers=_HEADERS if good else _HEADERS | {"Retry-After": "5"})

    for path, answer in ((LIVE, live), (READY, ready)):
        router.add_api_route(path, answer, methods=["GET", "HEAD"])
    return router


class _Kept:
    """What was found is good for KEPT_SECONDS, so that many probes ask the database once; one thread asks, and the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}
        self._until = 0.0

    def get(self, find: Callable[[], dict[str, str]]) -> dict[str, str]:
        with self._lock:
            if not self._found or monotonic() >= self._until:
                self._found = find()
                self._until = monotonic() + KEPT_SECONDS
            return self._found
