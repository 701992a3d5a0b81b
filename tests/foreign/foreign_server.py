"""A Patient Access API that nobody here wrote: npm oidc-provider for sign-in in front of PyPI fhirstarter, as processes on free ports.

https://github.com/panva/node-oidc-provider and https://github.com/canvas-medical/fhirstarter - they are stopped by their process ids.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from loadtests.sign_in import FormPages, PlainSession
from tests.foreign.python_packages import python_with
from tests.foreign.records import MEMBERS, records
from tests.journeys.oidc_provider import VERSION
from tests.npm import package
from tests.serving import free_port

HERE = Path(__file__).parent
PYTHON_PACKAGES = ("fhirstarter==4.2.0", "fastapi==0.136.3", "uvicorn>=0.54,<0.60")
CLIENT: dict[str, Any] = {"client_id": "an-app", "redirect_uris": ["http://127.0.0.1:9/callback"]}
RESOURCE_SERVER = {"client_id": "the-fhir-server", "client_secret": "a secret between the two servers"}
SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
VERIFIER = "a-verifier-of-the-app-that-is-long-enough-for-rfc-7636"
CHALLENGE = "mGZnLKEMY5AdtrpdXzcI9_FZK4gvAvIzSWbUwD3amos"
READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """A running foreign server."""

    fhir_base: str
    issuer: str

    def manifest(self) -> dict[str, Any]:
        """What a load test is told: the app, and who can sign in."""
        logins = [{"username": name, "password": "any", "patients": [id]} for name, id in MEMBERS.items()]
        return {"base_url": self.fhir_base, "fhir_base": self.fhir_base, "client": CLIENT, "logins": logins}

    def token(self, name: str) -> str:
        """A member's access token, by the whole dance."""
        login = {"username": name, "password": "any"}
        with PlainSession() as browser:
            back = FormPages().sign_in(browser, f"{self.issuer}/auth?{urlencode(self._request())}", login)
        return self._exchange(parse_qs(urlsplit(back).query)["code"][0])

    def _request(self) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": CLIENT["client_id"],
            "redirect_uri": CLIENT["redirect_uris"][0],
            "scope": SCOPE,
            "state": "the app's state",
            "aud": self.fhir_base,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }

    def _exchange(self, code: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": CLIENT["client_id"],
            "redirect_uri": CLIENT["redirect_uris"][0],
            "code_verifier": VERIFIER,
        }
        answer = httpx2.post(f"{self.issuer}/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def foreign_server(directory: Path) -> Iterator[ForeignServer]:
    """A foreign server that answers until the end of the block. ``directory``: an empty one for its files."""
    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    installed, python = package("oidc-provider", VERSION), python_with(*PYTHON_PACKAGES)
    shutil.copy(HERE / "authorization_server.mjs", directory)
    (directory / "node_modules").symlink_to(installed.parent)
    kept = directory / "records.json"
    kept.write_text(json.dumps(records()), "utf-8")
    fhir_port, port = free_port(), free_port()
    server = ForeignServer(f"http://127.0.0.1:{fhir_port}", f"http://127.0.0.1:{port}")
    told = {"fhirBase": server.fhir_base, "resourceServer": RESOURCE_SERVER}
    sign_in = {**told, "port": port, "client": CLIENT, "members": MEMBERS}
    fhir = {**told, "port": fhir_port, "issuer": server.issuer, "records": str(kept)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    commands = (
        ["node", "authorization_server.mjs", json.dumps(sign_in)],
        [str(python), "-I", str(HERE / "fhir_server.py"), json.dumps(fhir)],
    )
    log = directory / "foreign.log"
    with log.open("wb") as output:
        processes = [
            subprocess.Popen(
                command, cwd=directory, env=clean | {"FHIR_SEQUENCE": "R4B"}, stdout=output, stderr=subprocess.STDOUT
            )
            for command in commands
        ]
        try:
            for address in (
                f"{server.issuer}/.well-known/openid-configuration",
                f"{server.fhir_base}/.well-known/smart-configuration",
            ):
                _wait_for(address, processes, log)
            yield server
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


def _wait_for(address: str, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        assert all(process.poll() is None for process in processes), log.read_text()
        try:
            if httpx2.get(address, timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer in {READY_SECONDS} s: {log.read_text()}")
