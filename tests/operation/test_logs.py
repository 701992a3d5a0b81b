"""Every line the server writes is structured, and none holds a member's data, a token, a code, a secret, a cookie or a query string.

https://www.rfc-editor.org/rfc/rfc9700 and 45 CFR 164.312 - a real server, asked in every way, with a word in all that must not be written.
"""

import base64
import json
import logging
import re
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from loadtests.sign_in import OwnPages, PlainSession
from server import logs
from server.app import create_app
from server.authorization.accounts import add_account
from server.settings import Settings
from server.storage.database import Database, DatabaseUnavailableError
from tests.authorization.smart_app import challenge_of
from tests.factories import client, explanation_of_benefit, patient, store, token
from tests.serving import Server, serving

WORD = "canary"
BASIC = base64.b64encode(b"canary-app:canary-secret").decode()
PASSWORD = "canary bird in a coal mine"
PROXY_ID = "proxy-1234.abc"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FORM = "application/x-www-form-urlencoded"
ANSWER = {"time", "level", "event", "request_id", "method", "status", "bytes", "ms"}
SECRETS_OF_BOTH_FORMATS = (WORD, BASIC, "Basic ", "Bearer ", "?", "session=")


def payer(database: Database, settings: Settings) -> str:
    """A member whose every value has the word, an app, an account; the token of an app for the member."""
    member = patient(
        "canary-member",
        name=[{"family": "Canary", "given": ["Canaria"]}],
        identifier=[{"system": "urn:canary", "value": "canary-number"}],
        address=[{"line": ["1 Canary Wharf"], "city": "Canarytown"}],
    )
    store(database, settings, [member, *(explanation_of_benefit(f"canary-{n}", member) for n in range(3))])
    add_account(database, "canary-user", PASSWORD, "Canary Bird", [("canary-member", "self", "")])
    client(database, "canary-app")
    return token(database, "canary-member").text


def of_apps(server: Server, bearer: str) -> list[httpx2.Response]:
    """Requests to the FHIR API, good and bad."""
    good = {
        "authorization": f"Bearer {bearer}",
        "cookie": "session=canary-cookie",
        "user-agent": "canary-agent",
        "referer": "https://canary.example/?canary",
        "x-request-id": PROXY_ID,
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    found = []
    with httpx2.Client(base_url=server.fhir_base + "/", timeout=20) as http:
        for path in (
            *("Patient/canary-member", "Patient?name=Canary&birthdate=1980-05-17", "Patient?identifier=urn:canary|x"),
            *("ExplanationOfBenefit?patient=canary-member&_count=1", "Patient/canary-unknown", "Canary/canary"),
            *("Patient?canary=canary", "Patient?birthdate=canary", "Patient/canary-member/$everything?_since=canary"),
            *("Patient?_id=canary\u00e9%00", "ExplanationOfBenefit?service-date=geCANARY", "%ff%fecanary"),
            *("Patient/canary-member?_format=canary", "Patient/canary-member/_history?_since=canary"),
        ):
            found.append(http.get(path, headers=good))
        body = "name=Canary&identifier=canary-number"
        found.append(http.post("Patient/_search", content=body, headers={**good, "content-type": FORM}))
        found.append(http.post("Patient/_search", content=b'{"canary"', headers={**good, "content-type": "canary/x"}))
        for wrong in ("Bearer canary-token", f"Basic {BASIC}", "Bearer", "canary"):
            found.append(http.get("Patient?name=Canary", headers={**good, "authorization": wrong}))
        unsafe = {**good, "x-request-id": "canary canary", "traceparent": "00-canary-canary-01"}
        found.append(http.get("Patient/canary-member", headers=unsafe))
    return found


def of_people(server: Server) -> list[httpx2.Response]:
    """Requests to the authorization server, good and bad."""
    found = []
    with httpx2.Client(base_url=server.base_url, timeout=20, headers={"cookie": "session=canary-cookie"}) as http:
        for path in (
            *("/authorize?client_id=canary-app&state=canary&scope=canary", "/authorize?request_uri=canary"),
            *("/sign-in?request=canary", "/account?language=canary", "/canary/canary?canary", "/docs?canary"),
            *("/userinfo", "/jwks?canary", "/metrics?canary"),
        ):
            found.append(http.get(path, headers={"authorization": "Bearer canary-token"}))
        for path, form in (
            ("/token", {"grant_type": "authorization_code", "code": "canary-code", "code_verifier": "canary" * 9}),
            ("/token", {"grant_type": "refresh_token", "refresh_token": "canary", "client_id": "canary-app"}),
            ("/token", {"grant_type": "password", "username": "canary-user", "password": PASSWORD}),
            ("/revoke", {"token": "canary-token"}),
            ("/introspect", {"token": "canary-token"}),
            ("/par", {"client_id": "canary-app", "request": "canary.canary.canary"}),
            ("/token", {"client_assertion": "canary.canary.canary", "grant_type": "client_credentials"}),
            ("/sign-in", {"username": "canary-user", "password": PASSWORD, "csrf": "canary"}),
        ):
            found.append(http.post(path, data=form, headers={"authorization": f"Basic {BASIC}"}))
        found.append(http.post("/register", json={"client_name": "Canary", "redirect_uris": ["canary:/canary"]}))
        found.append(http.post("/register", content=b'{"canary', headers={"content-type": "application/json"}))
    return found


def sign_in(server: Server) -> tuple[str, str]:
    """A member signs in and allows an app: the code, and the access token that it gets for it."""
    verifier = "canary-verifier-that-is-long-enough-for-the-specification"
    redirect_uri = "http://127.0.0.1:9/callback"
    query = httpx2.QueryParams(
        {
            "response_type": "code",
            "client_id": "canary-app",
            "redirect_uri": redirect_uri,
            "scope": "launch/patient patient/*.rs",
            "state": "canary-state-of-the-app",
            "aud": server.fhir_base,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
    )
    login = {"username": "canary-user", "password": PASSWORD}
    back = OwnPages().sign_in(PlainSession(), f"{server.base_url}/authorize?{query}", login)
    code = httpx2.QueryParams(urlsplit(back).query)["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "canary-app",
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    answer = httpx2.post(f"{server.base_url}/token", data=form)
    assert answer.status_code == 200, answer.text
    return code, str(answer.json()["access_token"])


def no_http(server: Server) -> None:
    """What is no HTTP, and a head that is too large."""
    host, port = server.base_url.removeprefix("http://").split(":")
    for content in (b"canary canary canary\r\n\r\n", b"GET /canary HTTP/1.1\r\nCanary: " + b"canary" * 20_000):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(100)


def break_things(database: Database) -> None:
    """A stored body that is no JSON any more, and a table that is gone: mistakes of ours, which raise."""
    gone = "DROP TABLE refresh_token" if database.is_sqlite else "DROP TABLE refresh_token CASCADE"
    broken = b'{"resourceType": "Patient", "canary": "canary'
    with database.engine.begin() as connection:
        mark = "?" if database.is_sqlite else "%s"
        connection.exec_driver_sql(f"UPDATE resource SET body = {mark} WHERE id = 'canary-member'", (broken,))
        connection.exec_driver_sql(gone)


@pytest.mark.parametrize("how", ["json", "text"])
def test_no_line_holds_what_is_a_member_s_or_a_secret(
    database: Database, settings: Settings, tmp_path: Path, how: str
) -> None:
    if how == "text" and not database.is_sqlite:
        return  # the lines are the same but for how they are written
    bearer, log = payer(database, settings), tmp_path / "log"
    more = {"LOG_REQUESTS": "true", "LOG_FORMAT": how, "TRUSTED_PROXIES": "127.0.0.1", "METRICS_TOKEN": WORD * 9}
    with serving(settings.database_url, log, workers=1, settings=more) as server:
        answers = [*of_apps(server, bearer), *of_people(server)]
        code, granted = sign_in(server)
        no_http(server)
        break_things(database)
        headers = {"authorization": f"Bearer {bearer}"}
        failed = httpx2.get(f"{server.fhir_base}/Patient/canary-member?_summary=true", headers=headers)
        form = {"client_id": "canary-app", "grant_type": "refresh_token", "refresh_token": "canary" * 9}
        failed_too = httpx2.post(f"{server.base_url}/token", data=form)
    assert server.process.returncode == 0
    assert failed.status_code == 500, failed.text
    assert failed_too.status_code in (500, 503), failed_too.text
    text = log.read_text("utf-8")
    for secret in (*SECRETS_OF_BOTH_FORMATS, code, granted, bearer):
        assert secret.lower() not in text.lower(), f"{secret}: " + "\n".join(
            line for line in text.splitlines() if secret.lower() in line.lower()
        )
    assert "Traceback" not in text
    for answer in (*answers, failed, failed_too):
        assert answer.headers["x-request-id"] in text or answer.request.url.path == "/metrics"
    if how == "text":
        assert all(
            re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning|error) ", one) for one in text.splitlines()
        )
        return
    check([json.loads(line) for line in text.splitlines()], failed.headers["x-request-id"])


def check(lines: list[dict[str, Any]], failed: str) -> None:
    """The fields, as docs/observability.md has them."""
    answers = [line for line in lines if line["event"] == "answer"]
    others = [line for line in lines if line["event"] != "answer"]
    for line in answers:
        assert line.keys() - {"proxy_request_id", "trace_id"} in (
            ANSWER | {"interaction", "type"},
            ANSWER | {"endpoint"},
        )
    for line in others:
        assert line.keys() - {"request_id", "exception", "frames"} == {
            *("time", "level", "event", "logger", "message", "process"),
        }
    assert {"starting", "started", "stopping", "stopped", "message"} <= {line["event"] for line in others}
    (raised,) = [line for line in others if line.get("request_id") == failed]
    assert raised["level"] == "error"
    assert any("server/fhir/" in frame for frame in raised["frames"])
    assert raised["exception"][0]
    assert {line.get("proxy_request_id") for line in answers} == {PROXY_ID, None}
    assert {line.get("trace_id") for line in answers} == {TRACE, None}
    assert {"/token", "/authorize", "/sign-in", "read", "search-type"} <= {
        line.get("endpoint", line.get("interaction")) for line in answers
    }


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_a_stranger_says_of_a_request_is_not_believed(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    told = {"x-request-id": PROXY_ID, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with serving(settings.database_url, log, workers=1, settings={"LOG_REQUESTS": "true"}) as server:
        answers = [httpx2.get(server.base_url + path, headers=told) for path in ("/fhir/metadata", "/jwks")]
    # A page's line is written behind its answer: the server's end has all of them.
    for answer in answers:
        assert answer.headers["x-request-id"] != PROXY_ID
        assert answer.headers["x-request-id"] in log.read_text()
    assert PROXY_ID not in log.read_text()
    assert TRACE not in log.read_text()


# -- lines -----------------------------------------------------------------------------------------------------------


def formatted(how: str, message: object, *arguments: object, error: BaseException | None = None) -> str:
    """A record's line."""
    trace = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("server.test", logging.ERROR, "", 0, message, arguments, trace)  # type: ignore[arg-type]
    return logs.Formatter(how).format(record)


def test_an_exception_is_written_as_its_types_and_places() -> None:
    try:
        try:
            raise KeyError("canary")
        except KeyError as error:
            raise ValueError("canary") from error
    except ValueError as error:
        line = json.loads(formatted("json", "it failed: %s", error, error=error))
        text = formatted("text", "it failed: %s", error, error=error)
    assert line["message"] == "it failed: ValueError < KeyError"
    assert line["exception"] == ["ValueError", "KeyError"]
    assert line["frames"][0].endswith("test_an_exception_is_written_as_its_types_and_places")
    assert "canary" not in text
    assert "\n" not in text


def test_what_databases_and_systems_say_of_themselves_is_written() -> None:
    def chain(cause: BaseException) -> str:
        error = DatabaseUnavailableError("canary")
        error.__cause__ = cause
        return str(json.loads(formatted("json", "%s", error))["message"])

    assert chain(sqlite3.OperationalError("database is locked")).endswith("OperationalError: database is locked")
    assert chain(ConnectionRefusedError(111, "Connection refused")).endswith("Error: Connection refused")
    postgresql = type("CannotConnectNowError", (Exception,), {"sqlstate": "57P03"})("canary")
    assert chain(postgresql).endswith("CannotConnectNowError: 57P03")


def test_a_message_of_several_lines_is_one_line_without_its_traceback() -> None:
    told = "it failed\nhere\nTraceback (most recent call last):\n  File x\nValueError: canary"
    assert json.loads(formatted("json", told))["message"] == "it failed here"
    assert "\n" not in formatted("text", told)


def test_a_message_whose_arguments_do_not_fit_is_still_a_line() -> None:
    assert json.loads(formatted("json", "%d of %d", "canary"))["message"] == "a message that cannot be written"


def test_what_nobody_catches_is_a_line_too() -> None:
    code = (
        "import threading, warnings; from server import logs; logs.configure('json')\n"
        "thread = threading.Thread(target=lambda: {}['canary']); thread.start(); thread.join()\n"
        "warnings.warn('a warning')\n"
        "raise ValueError('canary')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line.get("exception") for line in lines] == [["KeyError"], None, ["ValueError"]]
    assert "canary" not in done.stderr


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_worker_that_cannot_open_its_database_says_so(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"not a database at all" * 999)
    broken = settings.model_copy(update={"database_url": f"sqlite:///{path}"})
    with pytest.raises(sqlite3.DatabaseError), TestClient(create_app(broken), base_url=settings.base_url):
        raise AssertionError("it started")
    assert "the database cannot be opened" in caplog.text
