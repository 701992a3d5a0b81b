"""What an app does on a visit: THE JOURNEYS that shapes are made of, over any server, every request a named step.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - from discovery to revocation. Which types are synced is what the server's
CapabilityStatement offers and the granted scopes allow.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loadtests.capability import Capability, Search
from loadtests.population import Manifest
from loadtests.sign_in import SignIn
from loadtests.smart_dance import Client, DanceError, Session, SmartDance

DEAD = frozenset({401, 429})
"""What a dead access token may be answered with."""
DEAD_REFRESH = frozenset({400, 401, 429})
EARLY_SECONDS = 30
"""An app refreshes this long before its access token ends."""


class App:
    """An app that one person lets see one member, on one device: ``browser`` signs in, ``session`` asks."""

    def __init__(
        self,
        session: Session,
        browser: Session,
        client: Client,
        manifest: Manifest,
        capability: Capability,
        sign_in: SignIn,
    ) -> None:
        self._browser = browser
        self._sign_in = sign_in
        self._manifest = manifest
        self._ends = 0.0
        self.capability = capability
        self.dance = SmartDance(session, manifest.fhir_base, client, manifest.configuration_url)
        self.is_dead = False

    def connect(self, login: Mapping[str, Any]) -> None:
        """Discovery, authorize, sign in, consent, token."""
        self.dance.discover()
        redirected = self._sign_in.sign_in(self._browser, self.dance.authorization_url(), login)
        tokens = self.dance.exchange(self.dance.code(redirected), str(login.get("patient", "")))
        if not tokens.patient:
            raise DanceError("token", "no patient in the token response, and none in the manifest")
        self._keep_until(tokens.expires_in)

    def refresh(self) -> None:
        """A new access token, where there is a refresh token."""
        if self.dance.granted.refresh_token:
            self._keep_until(self.dance.refresh().expires_in)

    def stay_signed_in(self) -> None:
        """Refresh when the access token is about to end."""
        if time.monotonic() > self._ends:
            self.refresh()

    def _keep_until(self, seconds: int) -> None:
        self._ends = time.monotonic() + (max(seconds - EARLY_SECONDS, seconds / 2) if seconds else float("inf"))

    def revoke(self) -> None:
        """Stop the app."""
        self.dance.revoke(ends_access=self._manifest.revocation_ends_access)

    def die(self) -> None:
        """Revoke, and keep the dead tokens; tokens nobody ever issued where access does not end with its grant."""
        granted = self.dance.granted
        self.revoke()
        if not (self._manifest.revocation_ends_access and "revocation_endpoint" in self.dance.configuration):
            granted = replace(granted, access_token=secrets.token_urlsafe(32), refresh_token=secrets.token_urlsafe(32))
        self.dance.tokens = granted
        self.is_dead = True

    @property
    def patient(self) -> str:
        """Whose records they are."""
        return self.dance.granted.patient

    @property
    def searches(self) -> tuple[Search, ...]:
        """What may be searched, what an app looks at first in front. Raises DanceError when it is nothing."""
        found = self.capability.granted(self.dance.granted.scope)
        if not found:
            raise DanceError("metadata", "nothing is offered that the granted scopes let an app search for a member")
        return found

    def look_for_news(self) -> None:
        """The first page of what an app looks at first, and one of its records."""
        search = self.searches[0]
        found = self.dance.sync(f"search {search.type} of 10", search.query(self.patient, "_count=10"), most=1)
        if found:
            self.dance.get(f"read {search.type}", f"{self.dance.fhir_base}/{found[0]}")

    def sync(self, searches: tuple[Search, ...]) -> None:
        """Everything of these types, every page, with what it refers to."""
        for search in searches:
            name = f"search {search.type}" + (" with includes" if search.includes else "")
            self.dance.sync(name, search.with_includes(self.patient))


def _whole_dance(app: App) -> None:
    app.dance.read_member()
    app.sync(app.searches[:2])
    app.refresh()
    app.look_for_news()
    app.revoke()


def _daily_sync(app: App) -> None:
    app.stay_signed_in()
    app.dance.read_member()
    app.look_for_news()


def _full_sync(app: App) -> None:
    app.refresh()
    app.dance.read_member()
    app.sync(app.searches)


def _first_launch(app: App) -> None:
    app.dance.read_member()
    app.sync(app.searches)


def _refresh_and_read(app: App) -> None:
    app.refresh()
    app.dance.read_member()
    app.look_for_news()


def _all_claims(app: App) -> None:
    app.stay_signed_in()
    search = app.searches[0]
    app.dance.sync(f"search {search.type} of 50", search.query(app.patient, "_count=50"))


def _everything(app: App) -> None:
    app.stay_signed_in()
    if app.capability.has_everything:
        app.dance.sync("$everything", f"Patient/{app.patient}/$everything")
    else:
        app.sync(app.searches)


def _dead_token(app: App) -> None:
    if not app.is_dead:
        app.die()
    base, search = app.dance.fhir_base, app.searches[0]
    app.dance.get("read with a dead token: 401", f"{base}/Patient/{app.patient}", DEAD)
    app.dance.get("search with a dead token: 401", f"{base}/{search.query(app.patient)}", DEAD)
    app.dance.refresh_refused("refresh with a dead token: 400", DEAD_REFRESH)


@dataclass(frozen=True, slots=True)
class Journey:
    """What is done on a visit; ``stays``: the app stays connected from visit to visit, else each is somebody's first, in a fresh
    browser."""

    name: str
    visit: Callable[[App], None]
    stays: bool = True


JOURNEYS = {
    journey.name: journey
    for journey in (
        Journey("whole dance", _whole_dance, stays=False),
        Journey("daily sync", _daily_sync),
        Journey("full sync", _full_sync),
        Journey("first launch", _first_launch, stays=False),
        Journey("refresh and read", _refresh_and_read),
        Journey("all claims by page", _all_claims),
        Journey("$everything crawl", _everything),
        Journey("dead token", _dead_token),
    )
}
