"""What the server writes: one line for each answer and each event, a JSON object or text, without PHI, tokens, codes or query strings.

https://docs.python.org/3/library/logging.html - answers go to standard output, events to standard error.
What an exception says may hold what somebody sent: of exceptions only their types and places are written.
"""

import json
import logging
import os
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

JSON, TEXT = "json", "text"
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
_FEWEST_DIGITS = 12
_SQLITE = "sqlite3.OperationalError"
_DEEPEST = 40
"""Frames of a traceback that are written, the innermost."""
current_request: ContextVar[str] = ContextVar("current_request", default="")
"""The id of the request in whose work a line is written, where that is known."""


def answered(
    how: str,
    request_id: str,
    method: str,
    status: int,
    what: str,
    type: str | None,
    length: int,
    seconds: float,
    proxy_request_id: str = "",
    trace_id: str = "",
) -> None:
    """Write the line of an answer. ``what`` and ``type``: an interaction and a resource type; where ``type`` is None, ``what`` is an
    endpoint, the pattern of its path. ``length``: bytes of the body."""
    moment = _moment(int(request_id[:_FEWEST_DIGITS], 16))
    milliseconds = seconds * 1000
    if how == JSON:
        named = f'"endpoint":"{what}"' if type is None else f'"interaction":"{what}","type":"{type}"'
        line = (
            f'{{"time":"{moment}","level":"info","event":"answer","request_id":"{request_id}","method":"{method}",'
            f'"status":{status},{named},"bytes":{length},"ms":{milliseconds:.2f}'
        )
        if proxy_request_id:
            line += f',"proxy_request_id":"{proxy_request_id}"'
        if trace_id:
            line += f',"trace_id":"{trace_id}"'
        line += "}\n"
    else:
        line = f"{moment} info answer {status} {method} {what or '-'} {type or '-'} {length} bytes {milliseconds:.2f} ms {request_id}"
        if proxy_request_id or trace_id:
            line += f" {proxy_request_id or '-'} {trace_id or '-'}"
        line += "\n"
    os.write(_STANDARD_OUTPUT, line.encode())


_second, _second_words = -1, ""


def _moment(milliseconds: int) -> str:
    """RFC 3339 in UTC. The words of the second that is running are kept."""
    global _second, _second_words  # noqa: PLW0603
    second, rest = divmod(milliseconds, 1000)
    if second != _second:
        _second_words = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = second
    return f"{_second_words}.{rest:03d}Z"


class Formatter(logging.Formatter):
    """Writes a record of the standard library's logging as a line. ``how``: JSON or TEXT."""

    def __init__(self, how: str = JSON) -> None:
        super().__init__()
        self.how = how

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told: dict[str, Any] = {
            "time": _moment(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "message"),
            "logger": record.name,
            "message": _message(record),
        }
        request_id = getattr(record, "request_id", "") or current_request.get()
        if request_id:
            told["request_id"] = request_id
        told["process"] = record.process
        if record.exc_info and record.exc_info[1] is not None:
            told["exception"] = exception_types(record.exc_info[1])
            told["frames"] = frames(record.exc_info[2])
        if self.how == JSON:
            return json.dumps(told, ensure_ascii=True, separators=(",", ":"))
        more = f" request {request_id}" if request_id else ""
        line = f"{told['time']} {told['level']} {record.name}: {told['message']}{more}"
        if "exception" in told:
            line += f" [{' < '.join(told['exception'])} at {' < '.join(reversed(told['frames']))}]"
        return line


def _message(record: logging.LogRecord) -> str:
    """The message on one line; in the place of an exception its type, and of a traceback nothing."""
    arguments = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(_safe(one) for one in arguments)
    try:
        text = str(_safe(record.msg)) % arguments if arguments else str(_safe(record.msg))
    except (TypeError, ValueError):
        text = "a message that cannot be written"
    return " ".join(text.partition("Traceback (most recent call last)")[0].split()) or "a traceback, not written"


def _safe(value: object) -> object:
    if isinstance(value, BaseException):
        return " < ".join(exception_types(value))
    return value


def exception_types(error: BaseException) -> list[str]:
    """The type of an exception, and of those it came from, with what is known to hold nothing of a request's: PostgreSQL's code, the
    words of SQLite and of the operating system, and of those of our own that say so (``fit_for_the_log``)."""
    found: list[str] = []
    one: BaseException | None = error
    while one is not None and len(found) < 10:
        name = f"{type(one).__module__}.{type(one).__qualname__}".removeprefix("builtins.")
        words = getattr(one, "sqlstate", None) or ""
        if name == _SQLITE or getattr(one, "fit_for_the_log", False):
            words = str(one)
        elif isinstance(one, OSError):
            words = one.strerror or ""
        found.append(f"{name}: {' '.join(str(words).split())}" if words else name)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found


def frames(trace: TracebackType | None) -> list[str]:
    """Where an exception was raised: ``file:line function``, the innermost last."""
    found = traceback.extract_tb(trace)[-_DEEPEST:] if trace is not None else []
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in found]


class _Lines(logging.Handler):
    """Each record one write, so that lines of several processes do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(_STANDARD_ERROR, (self.format(record) + "\n").encode())
        except OSError:
            return  # nobody reads it any more


def line(how: str, level: str, message: str, event: str = "message") -> str:
    """A line for those who have no logging yet: what a command says before it serves."""
    record = logging.LogRecord("server", logging.getLevelNamesMapping()[level.upper()], "", 0, message, None, None)
    record.event = event
    return Formatter(how).format(record)


def configure(how: str) -> None:
    """Have everything that this process logs, warns of and fails with written so."""
    handler = _Lines()
    handler.setFormatter(Formatter(how))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name, level in _LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _failed
    threading.excepthook = lambda told: _failed(told.exc_type, told.exc_value, told.exc_traceback)
    sys.unraisablehook = lambda told: _failed(told.exc_type, told.exc_value, told.exc_traceback)


_LEVELS = {
    "uvicorn": logging.WARNING,
    "uvicorn.error": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
    "alembic": logging.WARNING,
    "opentelemetry": logging.WARNING,
}
"""What others log and nobody needs, or what would name whom a request was for, is left out."""


def _failed(type: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not isinstance(error, KeyboardInterrupt):
        logging.getLogger("server").critical("failed", exc_info=(type, error, trace))
