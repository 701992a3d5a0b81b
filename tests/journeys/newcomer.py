"""A newcomer who does what the README says: its commands in a shell, the sign-in and the consent in a browser."""

import html
import re
import subprocess
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

README = Path(__file__).parents[2] / "README.md"
CALLBACK = "http://127.0.0.1:8765/callback"


class _UntilCallback(HTTPRedirectHandler):
    """Follows redirects as a browser does, up to the app's own address, which nothing answers."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if newurl.startswith(CALLBACK):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def code_from_browser(address: str, username: str, password: str) -> str:
    """Open the address, sign in, allow; the code that the app's address is called with."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()), _UntilCallback())

    def submit(at: str, page: str, **answers: str) -> Request:
        """The form that holds the first of the answers' names, filled in."""
        forms = re.findall(r"<form[^>]*action=\"([^\"]*)\"[^>]*>(.*?)</form>", page, re.DOTALL)
        action, inside = next(form for form in forms if f'name="{next(iter(answers))}"' in form[1])
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', inside)
        ticked = re.findall(r'<input type="(?:checkbox|radio)" name="([^"]*)" value="([^"]*)"[^>]* checked>', inside)
        fields = {name: html.unescape(value) for name, value in hidden + ticked} | answers
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(at))
        return Request(urljoin(at, html.unescape(action)), urlencode(fields).encode(), {"Origin": origin})

    with browser.open(address) as sign_in:
        request = submit(sign_in.url, sign_in.read().decode(), username=username, password=password)
    with browser.open(request) as consent:
        request = submit(consent.url, consent.read().decode(), decision="allow")
    try:
        browser.open(request)
    except HTTPError as redirect:
        location = redirect.headers["location"]
        assert location.startswith(CALLBACK), location
        return parse_qs(urlsplit(location).query)["code"][0]
    raise AssertionError("the consent did not lead back to the app")


def first_request(port: int) -> str:
    """Follow the README's section on the first request against the sandbox on this port; what the shell printed at the end."""
    section = README.read_text("utf-8").split("## Your first request")[1].split("\n## ")[0]
    ask, use = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    username, password = re.search(r"as `(\S+)` with the password `(\S+)`", section).groups()  # type: ignore[union-attr]
    with subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(ask.replace(":8000/", f":{port}/"))
        shell.stdin.flush()
        code = code_from_browser(shell.stdout.readline().strip(), username, password)
        shell.stdin.write(use.replace("CODE=...", f"CODE={code}"))
        shell.stdin.close()
        return shell.stdout.read()
