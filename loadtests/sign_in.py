"""How a member signs in and allows the app: the only part of the dance that every server has its own way of, so it is an adapter.

https://datatracker.ietf.org/doc/html/rfc6749#section-3.1 - an adapter is any class that can be made without arguments and has

    sign_in(session, authorization_url, login) -> str

``session`` is a browser of its own (``loadtests.smart_dance.Session``): ``session.request(method, url, name=..., data=...,
headers=...)`` makes one request, keeps cookies, follows no redirect, and measures it under ``name``; an answer of 400 or
more ends the journey (``expected={401}`` says which status is wanted instead). The answer is read like one of requests: ``status_code``,
``headers``, ``text``, ``content``, ``json()``.
``authorization_url`` is the whole address that the app sends the browser to. ``login`` is that person's object of the manifest, with
``patient``, the member this journey is about, added. What is returned is the redirect URL with the code: an address that begins with
the app's redirect URI, which is not to be opened. ``DanceError(step, message)`` says what went wrong; it is reported, so it must
name no person and hold no secret.

``--sign-in own`` takes this project's own pages, ``forms`` whatever HTML forms come, ``package.module:Class`` a class of yours.
docs/load-testing.md has an example.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests

from loadtests.forms import Button, Form, forms
from loadtests.smart_dance import DanceError, Response, Session

Login = Mapping[str, Any]
"""A person of the manifest: username, password, patients; for ``forms`` also fields and buttons; and what an adapter of yours reads."""
MAXIMUM_STEPS = 20
"""Requests that a sign-in may take before it counts as running in a circle."""
USERNAME_FIELDS = ("username", "user", "login", "email", "identifier", "j_username", "user_id", "userid")
APPROVING = ("allow", "approve", "authorize", "authorise", "accept", "agree", "continue", "confirm", "consent", "yes")
REFUSING = (
    *("cancel", "deny", "decline", "reject", "refuse", "abort", "disagree", "back", "sign out", "log out", "no", "not"),
    *("don't", "don\u2019t"),
)


class SignIn(Protocol):
    """What an adapter is."""

    def sign_in(self, session: Session, authorization_url: str, login: Login) -> str:
        """From the authorization URL to the redirect URL with the code. Raises DanceError."""
        ...


class AdapterError(ValueError):
    """``--sign-in`` names no adapter; the message says why."""


def adapter(name: str) -> SignIn:
    """The adapter of ``--sign-in``: own, forms, or package.module:Class, found on the path or in the current folder. Raises AdapterError."""
    if name in ADAPTERS:
        return ADAPTERS[name]()
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise AdapterError(f"--sign-in is own, forms or package.module:Class, not {name!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        made: SignIn = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, SyntaxError) as error:
        raise AdapterError(f"--sign-in {name}: {type(error).__name__}: {error}") from error
    if not callable(getattr(made, "sign_in", None)):
        raise AdapterError(f"--sign-in {name}: it has no sign_in(session, authorization_url, login)")
    return made


class PlainSession:
    """A browser that is not measured: requests' session without redirects, where an unwanted status is a DanceError."""

    def __init__(self) -> None:
        self._http = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expected: frozenset[int] | None = None,
    ) -> Response:
        """One request."""
        answer = self._http.request(method, url, data=data, headers=headers, allow_redirects=False, timeout=30)
        if answer.status_code >= 400 if expected is None else answer.status_code not in expected:
            raise DanceError(name, f"status {answer.status_code}: {' '.join(answer.text.split())[:200]}")
        return answer


class OwnPages:
    """This project's sign-in and consent pages. A browser that is signed in already goes straight to the consent page."""

    def sign_in(self, session: Session, authorization_url: str, login: Login) -> str:
        """authorize, sign-in page, sign in, consent page, allow: each is a step of its own."""
        url = _onwards("authorize", authorization_url, session.request("GET", authorization_url, name="authorize"))
        if not urlsplit(url).path.endswith("/consent"):
            page = session.request("GET", url, name="sign-in page")
            answers = {"username": str(login["username"]), "password": str(login["password"])}
            url = self._submit(session, "sign in", url, page, answers)
        page = session.request("GET", url, name="consent page")
        offered = any("patient" in form.choices for form in forms(page.text))
        patient = {"patient": str(login.get("patient", ""))} if offered and login.get("patient") else {}
        return self._submit(session, "allow", url, page, patient, ("decision", "allow"))

    @staticmethod
    def _submit(
        session: Session,
        step: str,
        url: str,
        page: Response,
        answers: Mapping[str, str],
        button: tuple[str, str] | None = None,
    ) -> str:
        """Fill in and send the form that has the answers' fields and the button, with its hidden fields: where it leads."""
        for form in forms(page.text):
            pressable = {(one.name, one.value) for one in form.buttons}
            if set(answers) <= form.names and (button in pressable if button else bool(answers)):
                break
        else:
            raise DanceError(step, f"no form that takes {sorted(answers)} on the page")
        for name, value in answers.items():
            if value not in form.choices.get(name, [value]):
                raise DanceError(step, f"the page does not offer what was chosen for {name}")
        return _send(session, step, url, form, dict(answers) | (dict([button]) if button else {}))


class FormPages:
    """Whatever HTML forms a server shows, filled in and sent until the browser is sent to the app; scripts are not run.

    Fields are filled in by name: those of the login's ``fields`` ({"otp": "123456"}), else the password fields and those with a usual
    name for a username. A button is pressed whose name, value or words are in the login's ``buttons``, else one that says allow,
    continue or the like, else the first that does not say cancel or the like. A choice that offers the login's ``patient`` takes it.
    """

    def sign_in(self, session: Session, authorization_url: str, login: Login) -> str:
        """Steps are authorize, then sign-in page 1, sign-in form 1, sign-in page 2 and so on; sign-in redirect between them."""
        callback = parse_qs(urlsplit(authorization_url).query)["redirect_uri"][0]
        url, pages = authorization_url, 0
        answer = session.request("GET", url, name="authorize")
        for _ in range(MAXIMUM_STEPS):
            if location := answer.headers.get("location"):
                url = urljoin(url, location)
                if is_callback(url, callback):
                    return url
                answer = session.request("GET", url, name="sign-in redirect" if pages else "sign-in page 1")
                continue
            pages += 1
            form = self._form(pages, answer.text, login)
            fields = self._answers(form, login)
            address = urljoin(url, form.action)
            name = f"sign-in form {pages}"
            if form.method == "POST":
                answer = session.request("POST", address, name=name, data=fields, headers=_origin(address))
            else:
                address = f"{address.partition('?')[0]}?{urlencode(fields)}"
                answer = session.request("GET", address, name=name)
            url = address
        raise DanceError("authorize", f"the app was not reached in {MAXIMUM_STEPS} requests")

    def _form(self, pages: int, text: str, login: Login) -> Form:
        """The form to send: one that takes a field of the login or a password, else one that approves, else the first that can be posted."""
        found = forms(text)
        configured = set(login.get("fields", ()))
        rules = (
            lambda form: bool(form.passwords or configured & form.names),
            lambda form: any(_approves(button) for button in form.buttons),
            lambda form: form.method == "POST",
        )
        for rule in rules:
            for form in found:
                if rule(form):
                    return form
        raise DanceError(f"sign-in form {pages}", f"none of {len(found)} forms of the page can be sent")

    def _answers(self, form: Form, login: Login) -> dict[str, str]:
        given = {str(name): str(value) for name, value in login.get("fields", {}).items()}
        answers = dict(form.fields)
        for name in form.fields:
            if name in form.passwords:
                answers[name] = str(login.get("password", ""))
            elif name.lower() in USERNAME_FIELDS and not form.fields[name]:
                answers[name] = str(login.get("username", ""))
        for name, values in form.choices.items():
            if login.get("patient") in values:
                answers[name] = str(login["patient"])
            elif name not in answers:
                answers[name] = values[0]
        answers |= {name: value for name, value in given.items() if name in form.names}
        button = self._button(form, tuple(str(words).lower() for words in login.get("buttons", ())))
        return answers | button

    @staticmethod
    def _button(form: Form, wanted: tuple[str, ...]) -> dict[str, str]:
        """What the pressed button adds to the fields; nothing when it has no name."""
        rules = (
            lambda button: {button.name.lower(), button.value.lower(), button.words.lower()} & set(wanted),
            _approves,
            lambda button: not _refuses(button),
        )
        for rule in rules:
            for button in form.buttons:
                if rule(button):
                    return {button.name: button.value} if button.name else {}
        return {}


ADAPTERS: dict[str, type[SignIn]] = {"own": OwnPages, "forms": FormPages}


def is_callback(url: str, redirect_uri: str) -> bool:
    """Whether an address is the app's redirect URI, with an answer in its query or fragment."""
    return url == redirect_uri or url.startswith((redirect_uri + "?", redirect_uri + "&", redirect_uri + "#"))


def _refuses(button: Button) -> bool:
    return _says(button.words, REFUSING) or _says(button.value, REFUSING)


def _approves(button: Button) -> bool:
    """It says allow or the like; "Don't allow" does not."""
    return not _refuses(button) and (_says(button.words, APPROVING) or _says(button.value, APPROVING))


def _says(text: str, words: tuple[str, ...]) -> bool:
    found = f" {' '.join(text.lower().replace('-', ' ').replace('_', ' ').split())} "
    return any(f" {word} " in found for word in words)


def _send(session: Session, step: str, url: str, form: Form, answers: Mapping[str, str]) -> str:
    """Send a form as it stands with some answers: where it leads."""
    address = urljoin(url, form.action)
    data = form.fields | dict(answers)
    return _onwards(step, address, session.request("POST", address, name=step, data=data, headers=_origin(address)))


def _origin(url: str) -> dict[str, str]:
    return {"Origin": "{0.scheme}://{0.netloc}".format(urlsplit(url))}


def _onwards(step: str, url: str, answer: Response) -> str:
    location = answer.headers.get("location")
    if not location:
        raise DanceError(step, f"status {answer.status_code} leads nowhere")
    return urljoin(url, location)
