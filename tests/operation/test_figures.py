"""What workers count is added up over all of them, survives their death, and names nobody.

https://prometheus.io/docs/concepts/metric_types/
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.testclient import TestClient

from server.app import create_app
from server.figures import (
    BOUNDS,
    FHIR_REQUESTS,
    FHIR_SECONDS,
    LEDGER_ROWS,
    METRICS,
    RESIDENT,
    SUM,
    Figures,
    Metric,
)
from server.pages.prometheus import ASKED
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.storage.database import Database
from tests.factories import patient, store, token
from tests.serving import ROOT, Server, serving

TOKEN = "a token for figures of the tests"
HEADERS = {"authorization": f"Bearer {TOKEN}"}
COUNT = "patient_access_fhir_requests_total"


def test_workers_are_added_up(tmp_path: Path) -> None:
    first, second = Figures(tmp_path), Figures(tmp_path)
    for one in (first, second, second):
        one.answered("read", "Patient", 200, 0.003)
    found = second.everything()
    assert first.everything() == found
    assert found[FHIR_REQUESTS.name, "read", "Patient", "200"][0] == 3
    histogram = found[FHIR_SECONDS.name, "read"]
    assert histogram[BOUNDS.index(0.005)] == 3
    assert histogram[SUM] == pytest.approx(0.009)


def test_a_worker_that_follows_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    other, former = Figures(tmp_path), Figures(tmp_path)
    former.answered("read", "Patient", 200, 0.003)
    former.set(RESIDENT, 7.0)
    former.close()
    assert (RESIDENT.name, "1") not in other.everything(), "a gauge of nobody"
    assert other.everything()[FHIR_REQUESTS.name, "read", "Patient", "200"][0] == 1
    follower = Figures(tmp_path)
    follower.answered("read", "Patient", 200, 0.003)
    assert follower.everything()[FHIR_REQUESTS.name, "read", "Patient", "200"][0] == 2
    assert follower.everything()[RESIDENT.name, "1"] == [0.0]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_worker_that_is_killed_loses_no_count(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from server.figures import Figures\n"
        "figures = Figures(Path(sys.argv[1]))\n"
        "for _ in range(1000): figures.answered('read', 'Patient', 200, 0.003)\n"
        "print('counted', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, env=os.environ
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"counted\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    figures = Figures(tmp_path)
    assert figures.everything()[FHIR_REQUESTS.name, "read", "Patient", "200"][0] == 1000
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_that_was_never_finished_is_no_series(tmp_path: Path) -> None:
    figures = Figures(tmp_path)
    known = len(figures.everything())
    begins = known * (128 + (SUM + 1) * 8)
    figures._map[begins + 1 : begins + 9] = b'"patient'  # as a worker that was killed there leaves it
    assert len(figures.everything()) == known
    figures.answered("read", "Patient", 200, 0.003)
    assert figures.everything()[FHIR_REQUESTS.name, "read", "Patient", "200"][0] == 1


def test_more_series_than_there_is_room_for_cost_no_memory_and_no_request(tmp_path: Path) -> None:
    figures = Figures(tmp_path)
    for number in range(5000):
        figures.add(Metric(LEDGER_ROWS.name, "counter", ("n",), ""), str(number))
    figures.answered("read", "Patient", 200, 0.003)
    assert (tmp_path / "worker-0.figures").stat().st_size < 1_100_000


def test_every_resource_type_has_room_in_every_status() -> None:
    # read, vread, history of one and of a type, search and four operations; what is answered in practice is far less.
    assert len(RESOURCES) * 9 * 8 < 4096


def scrape(base_url: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample, by name and label values."""
    reply = httpx2.get(f"{base_url}/metrics", headers=HEADERS, timeout=10)
    assert reply.status_code == 200, reply.text
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def reads(found: dict[tuple[str, tuple[str, ...]], float]) -> float:
    """How many reads of a patient were counted."""
    return sum(value for (name, labels), value in found.items() if name == COUNT and "read" in labels)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers")
def test_any_worker_answers_for_all_and_a_killed_one_takes_nothing_along(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store(database, settings, [patient("p1")])
    headers = {"authorization": f"Bearer {token(database, 'p1').text}"}
    with serving(settings.database_url, tmp_path / "log", settings={"METRICS_TOKEN": TOKEN}) as server:

        def read(times: int) -> None:
            for _ in range(times):  # each on a connection of its own: both workers get some
                assert httpx2.get(f"{server.fhir_base}/Patient/p1", headers=headers).status_code == 200

        read(20)
        assert [reads(scrape(server.base_url)) for _ in range(6)] == [20.0] * 6
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        _until_another(server, before)
        read(10)
        found = scrape(server.base_url)
        assert reads(found) == 30
        assert found["patient_access_ledger_rows_total", ()] == 30
        assert found["patient_access_ledger_commit_seconds_count", ()] == 30
        assert found["patient_access_worker_starts_total", ()] == 3
        assert sum(name == "patient_access_process_resident_bytes" for name, _ in found) == 2
        connections = [value for (name, _), value in found.items() if name == "patient_access_database_connections"]
        assert bool(connections) == (not database.is_sqlite)


def _until_another(server: Server, before: list[int]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.3)
        try:
            if set(server.workers()) != set(before) and len(server.workers()) == 2:
                found = scrape(server.base_url)
                if found["patient_access_worker_starts_total", ()] == 3:
                    return
        except httpx2.TransportError:
            continue
    raise AssertionError("the worker that was killed is not followed by another")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_page_of_the_metrics_names_what_is_there_and_no_more(database: Database, settings: Settings) -> None:
    told = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    with TestClient(create_app(told), base_url=settings.base_url) as web:
        assert web.get("/fhir/metadata").status_code == 200
        assert web.get("/jwks").status_code == 200
        text = web.get("/metrics", headers=HEADERS).text
    page = (ROOT / "docs" / "observability.md").read_text("utf-8")
    rows = {metric.name: metric for metric in (*METRICS, *ASKED)}
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" * (family.type == "counter")
        assert f"| `{name}` | {family.type} |" in page
        labels = {label for sample in family.samples for label in sample.labels} - {"le", "worker"}
        assert labels <= set(rows.pop(name).labels), name
    assert set(rows) == {"patient_access_ledger_seconds_since_anchor"}, "there is no anchor yet"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_a_figure_and_hides_no_other(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "soon-broken.db"
    told = settings.model_copy(update={"metrics_token": SecretStr(TOKEN), "database_url": f"sqlite:///{path}"})
    with TestClient(create_app(told), base_url=settings.base_url) as web:
        web.get("/livez")
        path.write_bytes(b"not a database at all" * 999)
        reply = web.get("/metrics", headers=HEADERS)
    assert reply.status_code == 200
    assert "patient_access_database_up 0.0" in reply.text
    assert 'patient_access_http_requests_total{endpoint="/livez"' in reply.text
    assert "patient_access_ledger_rows_today " not in reply.text
