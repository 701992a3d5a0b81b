"""Exports outlive the worker that writes them, and end with the grant that began them: no line is lost, none comes twice.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from server import clock
from server.fhir import export_writer
from server.fhir.export_runner import LEASE, MOST_ATTEMPTS
from server.storage.schema import METADATA
from tests.asgi import Served, served
from tests.factories import (
    explanation_of_benefit,
    ledger_rows,
    organization,
    patient,
    practitioner,
    reference,
    token,
)
from tests.fhir.exporting import Export, export, kick_off, lines_of, wait
from tests.lasting import World, lasting_world, settings_of

ANNA = patient("anna")
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}
POLICY = """
[[policy]]
slug = "substance-use"
title = "Treatment for substance use"
labels = ["http://terminology.hl7.org/CodeSystem/v3-ActCode|ETH"]
from = ["representative"]
legal_basis = "42 CFR part 2"
"""
DOCTORS = [practitioner(f"doctor-{n:02d}") for n in range(40)]
CLAIMS = [
    explanation_of_benefit(
        f"claim-{n:03d}",
        ANNA,
        careTeam=[{"sequence": 1, "provider": reference(DOCTORS[n % 40])}],
        **({"meta": {"security": [LABEL]}} if n % 10 == 0 else {}),
    )
    for n in range(120)
]
RECORDS = [organization("payer"), organization("hospital"), *DOCTORS, ANNA, *CLAIMS]
JOB, CHUNK = METADATA.tables["export_job"], METADATA.tables["export_chunk"]
AFTER_LEASE = timedelta(microseconds=LEASE, seconds=1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen claims make a piece."""
    monkeypatch.setattr(export_writer, "CHUNK", 10_000)


@pytest.fixture
def text(world: World, request: pytest.FixtureRequest) -> str:
    """A token of Anna's for an app of this test alone."""
    return token(world.database, "anna", client_id=request.node.name).text


def begun(world: World, worker: Served, text: str, pieces: int = 3, query: str = "") -> str:
    """The address of an export of which that many pieces are stored, and no more for now."""
    address = kick_off(worker, text, query=query).header("content-location")
    id = address.rpartition("/")[2]
    for _ in range(1000):
        worker.runner.run(asyncio.sleep(0))
        if stored(world, id) >= pieces:
            return address
    raise AssertionError("nothing is written")


def stored(world: World, id: str) -> int:
    with world.database.reading() as transaction:
        return len(transaction.all(select(CHUNK.c.key).where(CHUNK.c.job == id)))


def kill(worker: Served) -> None:
    """What is left of a worker's jobs when its process dies in the middle of one."""

    async def die() -> None:
        tasks = list(worker.application.fhir.export_runner._tasks.values())
        assert tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.1)  # a step that was being stored is stored, or is not

    worker.runner.run(die())


def taken(worker: Served, address: str, text: str) -> Export:
    """The export when it is done."""
    reply = wait(worker, address, text)
    assert reply.status == 200, reply.body
    files = {one["type"]: lines_of(worker.get(one["url"], text)) for one in reply.json["output"]}
    assert {one["type"]: one["count"] for one in reply.json["output"]} == {t: len(lines) for t, lines in files.items()}
    return Export(address, reply.json, files)


@pytest.mark.parametrize("pieces", [1, 4, 9, 12])
def test_another_worker_goes_on_when_one_has_died(world: World, text: str, pieces: int) -> None:
    whole = export(world.served, text)
    with served(world.settings) as other:
        address = begun(world, world.served, text, pieces)
        kill(world.served)
        assert other.get(address, text).status == 202
        other.runner.run(asyncio.sleep(0.05))
        assert other.get(address, text).status == 202, "the lease of the first is in force"
        with clock.set_to(clock.now() + AFTER_LEASE):
            done = taken(other, address, text)
    assert done.files == whole.files
    assert len(done.names) == len(set(done.names)) == 120 + 40 + 2 + 1


def test_a_worker_that_was_thought_dead_writes_nothing_any_more(world: World, text: str) -> None:
    whole = export(world.served, text)
    address = begun(world, world.served, text)
    with served(world.settings) as other, clock.set_to(clock.now() + AFTER_LEASE):
        done = taken(other, address, text)
        pieces = stored(world, address.rpartition("/")[2])
        world.served.runner.run(asyncio.sleep(0.1))  # the first goes on where it stood
        assert stored(world, address.rpartition("/")[2]) == pieces
        assert taken(other, address, text).files == done.files == whole.files


def test_a_worker_that_stops_hands_its_export_over_at_once(world: World, text: str) -> None:
    with served(world.settings) as first:
        address = begun(world, first, text)
    assert wait(world.served, address, text).status == 200
    assert len(taken(world.served, address, text).files["ExplanationOfBenefit"]) == 120


def test_an_export_whose_app_never_asks_again_is_taken_over_too(world: World, text: str) -> None:
    address = begun(world, world.served, text)
    kill(world.served)
    runner = world.served.application.fhir.export_runner
    with clock.set_to(clock.now() + AFTER_LEASE):
        world.served.runner.run(runner.look())
        world.served.runner.run(asyncio.sleep(1))
        with world.database.reading() as transaction:
            status = transaction.scalar(select(JOB.c.status).where(JOB.c.id == address.rpartition("/")[2]))
    assert status == "completed"


def test_an_export_that_kills_every_worker_fails_in_the_end(world: World, text: str) -> None:
    address = begun(world, world.served, text)
    kill(world.served)
    id = address.rpartition("/")[2]
    with world.database.transaction() as transaction:
        transaction.execute(JOB.update().where(JOB.c.id == id).values(attempts=MOST_ATTEMPTS, lease_until=0))
    reply = wait(world.served, address, text)
    assert reply.status == 500
    assert reply.json["issue"][0]["details"]["coding"][0]["code"] == "export-failed"
    assert world.served.get(f"{address}/Patient.ndjson", text).status == 404
    assert kick_off(world.served, text).status == 202


def ended(world: World, grant_id: str) -> None:
    grant = METADATA.tables["grant"]
    with world.database.transaction() as transaction:
        transaction.execute(grant.update().where(grant.c.id == grant_id).values(ended_at=clock.now_microseconds()))


def suspended(world: World, client_id: str) -> None:
    client = METADATA.tables["client"]
    with world.database.transaction() as transaction:
        transaction.execute(client.update().where(client.c.id == client_id).values(status="suspended"))


def disenrolled(world: World, _id: str) -> None:
    member = METADATA.tables["member"]
    with world.database.transaction() as transaction:
        row = {"patient": "anna", "environment": "production", "enrolled": "medicare-advantage|2020-12-31"}
        transaction.execute(member.delete().where(member.c.patient == "anna"))
        transaction.execute(member.insert().values(row))


@pytest.mark.parametrize("end", [ended, suspended, disenrolled])
def test_an_export_stops_in_the_middle_when_access_ends(
    world: World, request: pytest.FixtureRequest, end: Callable[[World, str], None]
) -> None:
    phone = token(world.database, "anna", client_id=request.node.name)
    address = begun(world, world.served, phone.text)
    id = address.rpartition("/")[2]
    end(world, phone.grant_id if end is ended else phone.client_id)
    try:
        for _ in range(100):
            world.served.runner.run(asyncio.sleep(0.005))
        with world.database.reading() as transaction:
            assert transaction.scalar(select(JOB.c.status).where(JOB.c.id == id)) == "deleted"
            assert stored(world, id) < 10
        world.served.runner.run(world.served.application.fhir.export_runner.look())
        assert stored(world, id) == 0
    finally:
        with world.database.transaction() as transaction:
            member = METADATA.tables["member"]
            transaction.execute(member.delete().where(member.c.patient == "anna"))


def test_what_a_policy_withholds_is_left_out_and_counted_with_the_file(
    world: World, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (tmp_path / "policies.toml").write_text(POLICY)
    settings = settings_of(world.settings.database_url, sensitivity_policies_file=tmp_path / "policies.toml")
    app = request.node.name
    member = token(world.database, "anna", client_id=app)
    deputy = token(world.database, "anna", client_id=app, grant_actor="representative")
    with served(settings) as strict:
        done = export(strict, deputy.text)
        assert len(done.files["ExplanationOfBenefit"]) == 108
        whole = export(strict, member.text)
        assert len(whole.files["ExplanationOfBenefit"]) == 120
        assert strict.get(whole.address, deputy.text).status == 403
        assert strict.get(done.address, member.text).status == 200
    details = {
        (row.interaction, row.resource_type): row.detail
        for row in ledger_rows(world.database, client_id=app, grant_id=deputy.grant_id, status=200)
    }
    assert details["export-file", "ExplanationOfBenefit"] == '{"withheld":{"substance-use":12}}'
    assert details["export-file", "Practitioner"] == details["export-status", ""] == ""


def test_an_export_fails_when_what_is_withheld_changes_while_it_is_written(
    world: World, request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "policies.toml").write_text(POLICY)
    settings = settings_of(world.settings.database_url, sensitivity_policies_file=tmp_path / "policies.toml")
    deputy = token(world.database, "anna", client_id=request.node.name, grant_actor="representative").text
    address = begun(world, world.served, deputy)
    kill(world.served)
    with served(settings) as strict, clock.set_to(clock.now() + AFTER_LEASE):
        other = export_of_member(strict, world, request)
        assert len(other.files["ExplanationOfBenefit"]) == 120
        strict.runner.run(strict.application.fhir.export_runner.look())
        for _ in range(50):
            strict.runner.run(asyncio.sleep(0.01))
        with world.database.reading() as transaction:
            status = transaction.scalar(select(JOB.c.status).where(JOB.c.id == address.rpartition("/")[2]))
    assert status == "failed"
    assert deputy not in caplog.text


def export_of_member(worker: Served, world: World, request: pytest.FixtureRequest) -> Export:
    """The member's own export, from whom nothing is withheld."""
    return export(worker, token(world.database, "anna", client_id=f"{request.node.name}-own").text)


def test_other_requests_are_answered_while_exports_are_written(world: World, text: str) -> None:
    """As many pages of a search as there are turns, while one job writes its pieces."""
    address = begun(world, world.served, text, 1)
    found = []

    async def ask() -> None:
        while len(found) < 20:
            reply = await world.served.ask("GET", "/fhir/ExplanationOfBenefit?_count=1", token=text)
            found.append(reply.status)

    world.served.runner.run(ask())
    assert found == [200] * 20
    assert wait(world.served, address, text).status == 200


def test_the_worker_looks_for_exports_by_itself(world: World, text: str) -> None:
    with served(world.settings) as first:
        address = begun(world, first, text)
        kill(first)
        with world.database.transaction() as transaction:
            id = address.rpartition("/")[2]
            transaction.execute(JOB.update().where(JOB.c.id == id).values(lease_until=0))
        with served(world.settings) as second:
            second.runner.run(asyncio.sleep(0.7))
            assert second.get(address, text).status == 200
