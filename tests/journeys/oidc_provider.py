"""The npm package oidc-provider as a process of its own on a free port: a certified OpenID provider in front of this server.

https://github.com/panva/node-oidc-provider - it is stopped by its process id.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from tests.npm import package

VERSION = "9.13.3"
CLIENT_ID, SECRET = "patient-access", "a secret of this server at the provider"
SCRIPT = Path(__file__).parent / "node" / "oidc_provider.mjs"


def new_key(kid: str) -> dict[str, Any]:
    """A private signing key as the provider keeps it."""
    return dict(RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}).as_dict(private=True))


@contextmanager
def oidc_provider(
    directory: Path,
    port: int,
    base_url: str,
    people: dict[str, dict[str, Any]],
    keys: list[dict[str, Any]],
    *,
    only_userinfo: bool = True,
) -> Iterator[str]:
    """The issuer of a provider that answers until the end of the block. ``people``: their claims by the name they sign in with."""
    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    installed = package("oidc-provider", VERSION)
    directory.mkdir(exist_ok=True)
    shutil.copy(SCRIPT, directory)
    link = directory / "node_modules"
    if not link.exists():
        link.symlink_to(installed.parent)
    issuer = f"http://127.0.0.1:{port}"
    told = {
        "issuer": issuer,
        "port": port,
        "baseUrl": base_url,
        "clientId": CLIENT_ID,
        "clientSecret": SECRET,
        "people": people,
        "keys": keys,
        "onlyUserinfo": only_userinfo,
    }
    log = directory / "provider.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            ["node", SCRIPT.name, json.dumps(told)],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line == "listening", log.read_text()
        yield issuer
    finally:
        process.kill()
        process.wait()
