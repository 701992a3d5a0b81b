"""A payer's server for the doctor: two synthetic members, an app, a token of one of them; in this process, over HTTP.

https://hl7.org/fhir/smart-app-launch/STU2.2/
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seed_data.generate import MEMBERS, resources
from server.app import create_app
from server.authorization.clients import register
from server.doctor.checks import SITE_CHECKS
from server.doctor.examination import Diagnosis, examine
from server.doctor.findings import Finding, Outcome
from server.doctor.site import Acquaintance, find
from server.doctor.web import Limits, Web
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.doctor.faulty import Faulty, Listening, over_http
from tests.factories import store, token
from tests.lasting import settings_of

MEMBER = "member-vantongeren"
HOUSEHOLD = [member for member in MEMBERS if member.id in (MEMBER, "member-gallagher-ruiz")]
PATIENCE = Limits(seconds=30.0, total_seconds=600.0, slow_seconds=20.0)
"""With a machine that is busy with other tests too."""
CLIENT_ID, REDIRECT_URI = "doctors-app", "https://app.example/callback"


@dataclass(frozen=True, slots=True)
class Patient:
    """A server to be examined, and what the doctor is told of it."""

    base_url: str
    layer: Faulty
    told: Acquaintance
    authorities: Path | None = None

    def examined(self, told: Acquaintance | None = None, limits: Limits | None = None) -> Diagnosis:
        """What the doctor says."""
        with Web(limits or PATIENCE, self.authorities) as web:
            site = find(web, self.base_url, self.told if told is None else told)
            return examine(site.base, site, SITE_CHECKS)


@contextmanager
def payer(database_url: str, certificate: Path | None = None, host: str = "127.0.0.1") -> Iterator[Patient]:
    """The server, until the end of the block."""
    listening = Listening()
    base_url = f"{'https' if certificate else 'http'}://{host}:{listening.port}"
    settings = settings_of(database_url, base_url=base_url)
    database = Database(settings)
    store(database, settings, resources(members=HOUSEHOLD))
    register(EventLedger(database), settings, "The doctor's app", [REDIRECT_URI], client_id=CLIENT_ID)
    text = token(database, MEMBER).text
    told = Acquaintance(token=text, client_id=CLIENT_ID, redirect_uri=REDIRECT_URI)
    layer = Faulty(create_app(settings))  # type: ignore[arg-type]
    with over_http(layer, listening, certificate):
        yield Patient(base_url, layer, told, certificate)
    database.engine.dispose()


def complaints(diagnosis: Diagnosis) -> dict[str, Finding]:
    """What failed or warns, by check."""
    bad = (Outcome.FAIL, Outcome.WARN)
    return {one.name: one.finding for one in diagnosis.conclusions if one.finding.outcome in bad}


def skips(diagnosis: Diagnosis) -> set[str]:
    """The checks that were skipped."""
    return {one.name for one in diagnosis.conclusions if one.finding.outcome is Outcome.SKIP}
