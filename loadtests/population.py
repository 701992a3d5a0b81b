"""Who is there to be loaded: the manifest's app and people, and how often each of them is met.

https://docs.locust.io/en/stable/writing-a-locustfile.html - ``make run`` writes var/sandbox.json; the format, for servers that are not
ours, is in docs/load-testing.md.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from loadtests.smart_dance import SCOPE, Client


class ManifestError(ValueError):
    """A manifest that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a load test must know of a server. ``revocation_ends_access``: whether an access token is dead with its grant."""

    fhir_base: str
    clients: tuple[Client, ...]
    logins: tuple[Mapping[str, Any], ...] = field(repr=False)
    configuration_url: str = ""
    revocation_ends_access: bool = True


def read_manifest(path: Path) -> Manifest:
    """The manifest of a file. Raises ManifestError."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ManifestError(
            f"{path}: {error.strerror}; 'make run' writes one, or name another with --manifest"
        ) from error
    except ValueError as error:
        raise ManifestError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path} is not the manifest of a server: it is not a JSON object")
    try:
        clients = content["clients"] if "clients" in content else [content["client"]]
        base = str(content.get("fhir_base") or "").rstrip("/")
        manifest = Manifest(
            base,
            tuple(_client(client) for client in clients),
            tuple(login for one in content["logins"] if (login := _login(one)) is not None),
            str(content.get("configuration_url") or ""),
            bool(content.get("revocation_ends_access", True)),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ManifestError(f"{path} is not the manifest of a server: {what}; see docs/load-testing.md") from error
    if not manifest.logins or not manifest.clients:
        raise ManifestError(f"{path} names no {'logins' if manifest.clients else 'client'}; see docs/load-testing.md")
    return manifest


def _client(content: Mapping[str, Any]) -> Client:
    return Client(
        str(content["client_id"]),
        str(content["redirect_uris"][0]),
        str(content.get("scope") or SCOPE),
        str(content.get("client_secret") or ""),
        str(content.get("token_endpoint_auth_method") or "client_secret_basic"),
    )


def _login(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A person, with the members whom apps may see; None when there is no such member."""
    if not isinstance(content, dict) or not isinstance(content.get("patients", []), list):
        raise TypeError("a login is an object, and its patients are a list")
    patients = [patient for patient in content.get("patients", ()) if patient not in content.get("refused", ())]
    return {**content, "patients": patients} if patients or not content.get("patients") else None


class Population:
    """The logins, met by Zipf's law: the k-th of the manifest 1/k**skew times as often as the first; 0 meets all alike."""

    def __init__(self, logins: Sequence[Mapping[str, Any]], skew: float) -> None:
        self._logins = list(logins)
        self._weights = list(accumulate(1 / rank**skew for rank in range(1, len(logins) + 1)))

    def meet(self) -> Mapping[str, Any]:
        """A person, with the ``patient`` of this visit ('' where the manifest names none)."""
        login = random.choices(self._logins, cum_weights=self._weights)[0]
        return {**login, "patient": random.choice(login.get("patients") or [""])}


def heavy(logins: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The logins that are marked heavy, of which one has thousands of claims."""
    return [login for login in logins if login.get("heavy")]
