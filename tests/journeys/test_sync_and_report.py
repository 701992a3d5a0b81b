"""What the payer reports to CMS after apps have synchronised: one sync is one transfer, another app or day makes it more than one.

42 CFR 431.60(f) and its parallels, 42 CFR 422.119 and 45 CFR 156.221.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from server import clock
from server.settings import Settings
from server.storage.database import Database
from tests.asgi import Served, served
from tests.authorization.smart_app import challenge_of
from tests.browser import sign_in_and_allow
from tests.factories import ledger_rows, token
from tests.journeys.conftest import CALLBACK, PASSWORD, Running
from tests.serving import patient_access

MEMBER = "member-mbeki-larsen"
UNIT = "medicare-advantage, contract H1234"
CHILDREN = ("member-castellanos-mateo", "member-castellanos-inez")
VERIFIER = "a-code-verifier-that-is-long-enough-for-rfc-7636"


@dataclass(frozen=True, slots=True)
class Report:
    """Both measures: for the organisation, and by reporting unit where they are not zero."""

    organisation: tuple[int, int]
    units: dict[str, tuple[int, int]]
    transfers: int


def report(database_url: str, year: int) -> Report:
    """What ``patient-access report usage`` prints."""
    told = json.loads(patient_access(database_url, "report", "usage", "--year", str(year), "--format", "json"))
    units = {unit["reporting_unit"]: _both(unit["measures"]) for unit in told["reporting_units"]}
    return Report(
        _both(told["organisation"]["measures"]),
        {name: both for name, both in units.items() if any(both)},
        told["transfers"],
    )


def _both(values: dict[str, int]) -> tuple[int, int]:
    return values["unique-patients"], values["unique-patients-more-than-once"]


def connect(running: Running, client_id: str, username: str, **choice: str) -> httpx2.Client:
    """An app whose member signed in and allowed it: a client with the access token."""
    home = running.server.base_url
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "launch/patient patient/*.read",
        "state": "state",
        "aud": running.server.fhir_base,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    address = str(httpx2.URL(f"{home}/authorize", params=parameters))
    callback = sign_in_and_allow(address, home, username, PASSWORD[username], **choice)
    form = {
        "grant_type": "authorization_code",
        "code": httpx2.URL(callback).params["code"],
        "redirect_uri": CALLBACK,
        "client_id": client_id,
        "code_verifier": VERIFIER,
    }
    answer = httpx2.post(f"{home}/token", data=form)
    assert answer.status_code == 200, answer.text
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    return httpx2.Client(base_url=f"{running.server.fhir_base}/", headers=headers, timeout=30)


def sync(app: httpx2.Client) -> int:
    """What an app does to be up to date: everything it may see, the claims two on a page; the number of requests."""
    requests = 0
    for type in ("Patient", "Coverage", "RelatedPerson"):
        assert app.get(type).status_code == 200
        requests += 1
    following = "ExplanationOfBenefit?_count=2"
    while following:
        answer = app.get(following)
        assert answer.status_code == 200
        requests += 1
        following = next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), "")
    assert app.get("Organization/payer-that-is-not-there").status_code == 404
    return requests + 1


def test_a_sync_of_forty_requests_is_one_transfer_and_a_second_app_makes_two(running: Running) -> None:
    year = clock.now().astimezone(running.database.settings.time_zone).year
    url = running.database.settings.database_url
    assert report(url, year) == Report((0, 0), {}, 0)

    with connect(running, "health-notes", "mbeki-larsen") as app:
        assert sync(app) == 40
    once = report(url, year)
    assert (once.organisation, once.units) == ((1, 0), {UNIT: (1, 0)})
    assert once.transfers >= 37

    with connect(running, "budget-book", "mbeki-larsen") as app:
        assert app.get("Patient").status_code == 200
    twice = report(url, year)
    assert (twice.organisation, twice.units) == ((1, 1), {UNIT: (1, 1)})

    answers = ledger_rows(running.database, kind="answer", patient=MEMBER)
    assert len(answers) == 41
    assert len({row.request_id for row in answers}) == 41


@pytest.fixture
def application(payer: Database, settings: Settings) -> Iterator[Served]:
    """The payer's server in this process, whose clock can be set."""
    with served(settings) as application:
        yield application


def pull(application: Served, database: Database, patient: str, app: str, moment: datetime, times: int = 40) -> None:
    """A sync of an app at a moment."""
    with clock.set_to(moment):
        access = token(database, patient, client_id=app).text
        for _ in range(times):
            assert application.get("ExplanationOfBenefit?_count=2", access).status == 200


def test_the_next_day_makes_it_more_than_once(application: Served, payer: Database, settings: Settings) -> None:
    midnight = datetime(2026, 6, 10, tzinfo=settings.time_zone)
    pull(application, payer, MEMBER, "health-notes", midnight - timedelta(hours=9))
    pull(application, payer, MEMBER, "health-notes", midnight - timedelta(minutes=1), times=1)
    assert report(settings.database_url, 2026).units == {UNIT: (1, 0)}
    pull(application, payer, MEMBER, "health-notes", midnight, times=1)
    assert report(settings.database_url, 2026).units == {UNIT: (1, 1)}
    assert report(settings.database_url, 2026).organisation == (1, 1)
    assert report(settings.database_url, 2025).organisation == (0, 0)


def test_a_parent_who_shares_two_children_makes_two_patients(running: Running) -> None:
    year = clock.now().astimezone(running.database.settings.time_zone).year
    url = running.database.settings.database_url
    before = report(url, year)
    for child in CHILDREN:
        with connect(running, "health-notes", "castellanos", patient=child) as app:
            for _ in range(5):
                assert app.get("ExplanationOfBenefit").status_code == 200
    after = report(url, year)
    assert after.organisation == (before.organisation[0] + 2, before.organisation[1])
    (chip,) = [figures for unit, figures in after.units.items() if unit.startswith("chip")]
    assert chip == (2, 0)
    answers: list[Any] = [row for row in ledger_rows(running.database, kind="answer") if row.patient in CHILDREN]
    assert {row.actor for row in answers} == {"representative"}
