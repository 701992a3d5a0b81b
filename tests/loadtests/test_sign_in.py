"""Sign-in adapters: forms of any server are filled in and sent until the app is reached, and what is no adapter is refused.

https://datatracker.ietf.org/doc/html/rfc6749#section-3.1
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from loadtests.sign_in import AdapterError, FormPages, OwnPages, PlainSession, adapter, is_callback
from loadtests.smart_dance import DanceError

CALLBACK = "http://127.0.0.1:9/callback"
SIGN_IN = """<form action="/search"><input name="q"><button>Search</button></form>
<form method="post" action="/login?step=1"><input type="hidden" name="prompt" value="login"><input name="login">
<input type="password" name="pass"><select name="language"><option value="en">English<option value="es" selected>Spanish</select>
<input type="checkbox" name="remember" checked><input type="submit" name="go" value="Sign in"></form>"""
CONSENT = """<form method="post" action="/cancel"><button name="decision" value="no">Cancel</button></form>
<form method="post" action="/consent"><input type="radio" name="patient" value="one"><input type="radio" name="patient" value="two">
<button name="decision" value="deny">Don't allow</button><button name="decision" value="ok">Continue</button></form>"""


class Elsewhere(BaseHTTPRequestHandler):
    """A server of somebody else's: signs in with a cookie, then asks for consent, then sends to the app."""

    def do_GET(self) -> None:
        """The authorization endpoint, and the pages it leads to."""
        path = urlsplit(self.path).path
        if path == "/authorize" and "signed=in" in self.headers.get("Cookie", ""):
            self._send(302, "", ("Location", "/decide"))
        elif path == "/authorize":
            self._send(302, "", ("Location", "sign-in"))
        else:
            pages = {"/sign-in": SIGN_IN, "/decide": CONSENT, "/empty": "<p>Nothing here</p>", "/scripted": SIGN_IN}
            self._send(200, pages[path])

    def do_POST(self) -> None:
        """What the forms are sent to."""
        sent = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        path = urlsplit(self.path).path
        wanted = {
            "prompt": "login",
            "login": "ada",
            "pass": "secret",
            "language": "es",
            "remember": "on",
            "go": "Sign in",
        }
        if path == "/login" and sent == wanted:
            self._send(303, "", ("Location", "/authorize"), ("Set-Cookie", "signed=in"))
        elif path == "/consent" and sent.get("decision") == "ok":
            self._send(303, "", ("Location", f"{CALLBACK}?{urlencode({'code': sent['patient'], 'state': 's'})}"))
        else:
            self._send(400, f"unexpected {sorted(sent)}")

    def _send(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(text)))):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def authorization_url(base: str, path: str = "/authorize") -> str:
    return f"{base}{path}?{urlencode({'redirect_uri': CALLBACK, 'state': 's'})}"


def test_forms_are_filled_in_and_sent_until_the_app_is_reached(elsewhere: str) -> None:
    login = {"username": "ada", "password": "secret", "patient": "two"}
    with PlainSession() as session:
        redirected = FormPages().sign_in(session, authorization_url(elsewhere), login)
    assert redirected == f"{CALLBACK}?code=two&state=s"


def test_fields_and_buttons_of_the_login_come_before_what_is_usual(elsewhere: str) -> None:
    fields = {"login": "ada", "pass": "secret"}
    login = {"username": "nobody", "password": "wrong", "fields": fields, "buttons": ["continue"]}
    with PlainSession() as session:
        redirected = FormPages().sign_in(session, authorization_url(elsewhere), login)
    assert redirected.endswith("code=one&state=s")
    with PlainSession() as session, pytest.raises(DanceError, match="sign-in form 2: status 400"):
        FormPages().sign_in(session, authorization_url(elsewhere), login | {"buttons": ["deny"]})


def test_a_wrong_password_ends_at_the_form_that_was_refused(elsewhere: str) -> None:
    login = {"username": "ada", "password": "wrong"}
    with PlainSession() as session, pytest.raises(DanceError, match="sign-in form 1: status 400"):
        FormPages().sign_in(session, authorization_url(elsewhere), login)


def test_a_page_without_a_form_is_told(elsewhere: str) -> None:
    with PlainSession() as session, pytest.raises(DanceError, match="none of 0 forms"):
        FormPages().sign_in(session, authorization_url(elsewhere, "/empty"), {"username": "ada", "password": "secret"})


def test_our_own_pages_are_not_taken_for_those_of_others(elsewhere: str) -> None:
    with PlainSession() as session, pytest.raises(DanceError, match="sign in: no form that takes"):
        OwnPages().sign_in(session, authorization_url(elsewhere), {"username": "ada", "password": "secret"})


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (f"{CALLBACK}?code=1", True),
        (f"{CALLBACK}#code=1", True),
        (CALLBACK, True),
        (f"{CALLBACK}/more?code=1", False),
        ("http://127.0.0.1:9/", False),
        (f"http://evil.example/?next={CALLBACK}", False),
    ],
)
def test_the_app_is_reached_at_its_own_address_only(url: str, wanted: bool) -> None:
    assert is_callback(url, CALLBACK) is wanted


def test_an_adapter_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "class Ours:\n    def sign_in(self, session, authorization_url, login):\n        return login['there']\n"
    (tmp_path / "payers_pages.py").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [])
    with PlainSession() as session:
        assert adapter("payers_pages:Ours").sign_in(session, "", {"there": "x"}) == "x"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ours", "package.module:Class, not 'ours'"),
        (":Class", "package.module:Class"),
        ("no_such_package.pages:Class", "ModuleNotFoundError"),
        ("loadtests.sign_in:Nobody", "AttributeError"),
        ("collections:Counter", "has no sign_in"),
    ],
)
def test_what_is_no_adapter_is_refused(name: str, why: str) -> None:
    with pytest.raises(AdapterError, match=why):
        adapter(name)
