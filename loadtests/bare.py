"""A bare ASGI application: constants of given sizes and nothing else, the most a worker could possibly serve.

https://asgi.readthedocs.io/en/latest/specs/www.html - ``BARE_ANSWERS`` is a JSON object from path to body size, ``BARE_CONTENT_TYPE``
the content type.
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
_CONTENT_TYPE = os.environ.get("BARE_CONTENT_TYPE", "application/fhir+json").encode()


def _answer(size: int) -> tuple[Message, Message]:
    headers = [(b"content-type", _CONTENT_TYPE), (b"content-length", b"%d" % size)]
    start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
    return start, {"type": "http.response.body", "body": b"x" * size}


_ANSWERS = {path: _answer(size) for path, size in json.loads(os.environ.get("BARE_ANSWERS", "{}")).items()}


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer a known path with its constant."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    start, body = _ANSWERS[scope["path"]]
    await send(start)
    await send(body)
