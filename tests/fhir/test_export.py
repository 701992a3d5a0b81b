"""``$export``: kick-off, status, files and cancellation, as the Bulk Data guide has them, for one member's own app.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from server import clock
from server.fhir import export_writer
from server.ingest.load import retract
from server.specification.operations import EXPORT
from server.storage.export_store import MOST_KEPT
from server.storage.schema import METADATA
from tests.asgi import Reply
from tests.factories import (
    EVERYTHING,
    client,
    concept,
    coverage,
    explanation_of_benefit,
    ledger_rows,
    organization,
    patient,
    practitioner,
    provenance,
    record,
    reference,
    store,
    token,
)
from tests.fhir.exporting import export, kick_off, lines_of, wait
from tests.lasting import FHIR_BASE, World, lasting_world

ANNA, BEN = patient("anna"), patient("ben")
PILL, SCAN = (
    record("Medication", "pill", code=concept("https://codes.example", "pill")),
    record("Binary", "scan", contentType="text/plain", data="aGVsbG8="),
)
DOCTOR = practitioner("doctor")
ROLE = record(
    "PractitionerRole", "role", practitioner=reference(DOCTOR), organization=reference("Organization/hospital")
)
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ORDER = record(
    "MedicationRequest",
    "order",
    status="active",
    intent="order",
    subject=reference(ANNA),
    medicationReference=reference(PILL),
)
NOTE = record(
    "DocumentReference",
    "note",
    status="current",
    subject=reference(ANNA),
    type=concept("http://loinc.org", "11506-3"),
    content=[{"attachment": {"contentType": "text/plain", "url": "Binary/scan"}}],
)
OBSERVATIONS = [
    record(
        "Observation",
        f"{category}-{n}",
        status="final",
        category=[concept(CATEGORY, category)],
        code=concept("http://loinc.org", "8867-4"),
        subject=reference(ANNA),
    )
    for category in ("laboratory", "vital-signs")
    for n in range(2)
]
CLAIMS = [
    explanation_of_benefit(
        f"anna-{n:02d}", ANNA, careTeam=[{"sequence": 1, "provider": reference(ROLE)}], payee={"party": reference(ANNA)}
    )
    for n in range(20)
]
RECORDS = [
    *(organization("payer"), organization("hospital"), organization("elsewhere"), DOCTOR, ROLE, PILL, SCAN),
    *(ANNA, BEN, coverage("gold", ANNA), coverage("bens", BEN), *CLAIMS, explanation_of_benefit("bens", BEN)),
    *(provenance("of-anna", CLAIMS[0]), ORDER, NOTE, *OBSERVATIONS),
]
JOB = METADATA.tables["export_job"]
CHUNK = METADATA.tables["export_chunk"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


@pytest.fixture
def anna(world: World, request: pytest.FixtureRequest) -> str:
    """A token of Anna's for an app of this test alone."""
    return token(world.database, "anna", client_id=app_of(request)).text


def app_of(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W+", "-", request.node.name)[:200]


def code(reply: Reply) -> str:
    return str(reply.json["issue"][0]["details"]["coding"][0]["code"])


def everything(world: World, text: str, query: str = "") -> set[str]:
    """What $everything has, shared resources included."""
    found, links = set(), {"next": f"Patient/anna/$everything?_count=7{query}"}
    while "next" in links:
        reply = world.served.get(links["next"], text)
        assert reply.status == 200, reply.body
        found |= {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in reply.json.get("entry", [])}
        links = reply.links
    return found


# -- what is in it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [EVERYTHING, f"patient/Patient.r patient/Observation.rs?category={CATEGORY}|laboratory", "patient/Coverage.rs"],
    ids=["whole", "laboratory", "coverage"],
)
def test_it_has_each_resource_of_everything_once(world: World, request: pytest.FixtureRequest, scope: str) -> None:
    text = token(world.database, "anna", scope, client_id=app_of(request)).text
    done = export(world.served, text)
    assert len(done.names) == len(set(done.names))
    assert set(done.names) == everything(world, text)
    assert {"Patient/ben", "Coverage/bens", "Organization/elsewhere"}.isdisjoint(done.names)


def test_a_line_is_what_a_read_answers(world: World, anna: str) -> None:
    done = export(world.served, anna)
    for one in done.manifest["output"]:
        raw = world.served.get(one["url"], anna).body
        assert len(raw.splitlines()) == one["count"]
        first = raw.splitlines()[0]
        name = lines_of(world.served.get(one["url"], anna))[0]["id"]
        assert world.served.get(f"{one['type']}/{name}", anna).body == first


def test_shared_resources_come_with_what_names_them_and_nothing_else_of_them_does(world: World, anna: str) -> None:
    files = export(world.served, anna).files
    assert sorted(one["id"] for one in files["Organization"]) == ["hospital", "payer"]
    assert [[one["id"] for one in files[type]] for type in ("Medication", "Binary", "PractitionerRole")] == [
        ["pill"],
        ["scan"],
        ["role"],
    ]


def test_only_the_types_asked_for_come(world: World, anna: str) -> None:
    done = export(world.served, anna, query="?_type=Coverage,Patient&_type=Organization")
    assert sorted(done.files) == ["Coverage", "Organization", "Patient"]
    assert set(done.names) == everything(world, anna, "&_type=Coverage,Patient,Organization")


def test_shared_types_alone_are_those_that_anything_names(world: World, anna: str) -> None:
    done = export(world.served, anna, query="?_type=PractitionerRole,Practitioner")
    assert set(done.names) == everything(world, anna, "&_type=PractitionerRole,Practitioner")
    assert set(done.names) == {"PractitionerRole/role", "Practitioner/doctor"}


def test_the_manifest_says_what_the_guide_asks(world: World, anna: str) -> None:
    done = export(world.served, anna, query="?_type=Coverage&_outputFormat=application/fhir%2Bndjson")
    with world.database.reading() as transaction:
        watermark = transaction.scalar(select(METADATA.tables["load_clock"].c.loaded_at))
    url = f"{done.address}/Coverage.ndjson"
    assert done.manifest == {
        "transactionTime": clock.instant(watermark),
        "request": f"{FHIR_BASE}/Patient/anna/$export?_type=Coverage&_outputFormat=application/fhir%2Bndjson",
        "requiresAccessToken": True,
        "output": [{"type": "Coverage", "url": url, "count": 1}],
        "deleted": [],
        "error": [],
    }
    reply = world.served.get(done.address, anna)
    assert reply.header("content-type").startswith("application/json")
    assert re.fullmatch(r"\w{3}, .* GMT", reply.header("expires"))
    file = world.served.get(url, anna, accept="application/fhir+ndjson")
    assert (file.status, file.header("content-type")) == (200, "application/fhir+ndjson")


# -- kick-off --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefer", ["respond-async", "Respond-Async", "handling=lenient, respond-async", " respond-async ; wait=10"]
)
def test_respond_async_is_understood_however_it_is_written(world: World, anna: str, prefer: str) -> None:
    reply = kick_off(world.served, anna, prefer=prefer)
    assert reply.status == 202
    assert re.fullmatch(rf"{FHIR_BASE}/_export/[0-9a-f]{{40}}", reply.header("content-location"))
    wait(world.served, reply.header("content-location"), anna)


@pytest.mark.parametrize("headers", [{}, {"prefer": "handling=strict"}, {"prefer": "respond-asynchronously"}])
def test_without_respond_async_it_is_refused_and_says_how(world: World, anna: str, headers: dict[str, str]) -> None:
    reply = world.served.get("Patient/anna/$export", anna, **headers)
    assert (reply.status, code(reply)) == (400, "export-is-asynchronous")
    assert "Prefer: respond-async" in reply.json["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "format", ["application/fhir%2Bndjson", "application/fhir+ndjson", "application/ndjson", "ndjson", "NDJSON"]
)
def test_the_names_of_ndjson_are_known(world: World, anna: str, format: str) -> None:
    reply = kick_off(world.served, anna, query=f"?_outputFormat={format}")
    assert reply.status == 202
    wait(world.served, reply.header("content-location"), anna)


@pytest.mark.parametrize(
    "query", ["_outputFormat=text/csv", "_type=Unicorn", "_since=yesterday", "_since=2026-13-01", "_outputFormat=xml"]
)
def test_what_cannot_be_used_is_refused(world: World, anna: str, query: str) -> None:
    reply = kick_off(world.served, anna, query=f"?{query}")
    assert (reply.status, code(reply)) == (400, "parameter-invalid")
    assert reply.json["issue"][0]["expression"] == [f"http.{query.partition('=')[0]}"]


@pytest.mark.parametrize("parameter", ["_typeFilter", "_elements", "includeAssociatedData", "shoe-size", "_count"])
def test_what_is_not_supported_is_ignored_with_a_warning_or_refused_when_strict(
    world: World, anna: str, parameter: str
) -> None:
    strict = kick_off(world.served, anna, query=f"?{parameter}=x", prefer="respond-async, handling=strict")
    assert (strict.status, code(strict)) == (400, "parameter-unknown")
    lenient = kick_off(world.served, anna, query=f"?{parameter}=x")
    assert (lenient.status, code(lenient)) == (202, "parameter-ignored")
    manifest = wait(world.served, lenient.header("content-location"), anna).json
    assert manifest["request"] == f"{FHIR_BASE}/Patient/anna/$export"


def test_it_is_asked_by_post_with_parameters_too(world: World, anna: str) -> None:
    body = b'{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Coverage"}]}'
    headers = {"prefer": "respond-async", "content_type": "application/fhir+json"}
    reply = world.served.send("POST", "Patient/anna/$export", anna, body, **headers)
    assert reply.status == 202
    manifest = wait(world.served, reply.header("content-location"), anna).json
    assert [one["type"] for one in manifest["output"]] == ["Coverage"]


def test_a_head_begins_no_export(world: World, anna: str) -> None:
    reply = world.served.send("HEAD", "Patient/anna/$export", anna, prefer="respond-async")
    assert (reply.status, reply.header("allow"), reply.header("content-location")) == (405, "GET, POST", "")


@pytest.mark.parametrize("member", ["ben", "nobody", "not%20an%20id"])
def test_another_member_is_not_found(world: World, anna: str, member: str) -> None:
    reply = kick_off(world.served, anna, member)
    assert (reply.status, code(reply)) == (404, "resource-not-found")


def test_a_token_that_sees_nothing_of_it_is_refused(world: World, request: pytest.FixtureRequest) -> None:
    text = token(world.database, "anna", "patient/Coverage.rs", client_id=app_of(request)).text
    reply = kick_off(world.served, text, query="?_type=Patient")
    assert (reply.status, code(reply)) == (403, "scope-missing")


@pytest.mark.parametrize(
    ("method", "target"), [("PUT", "Patient/anna/$export"), ("POST", "_export/x"), ("DELETE", "_export/x/y")]
)
def test_other_methods_are_refused_with_those_allowed(world: World, anna: str, method: str, target: str) -> None:
    reply = world.served.send(method, target, anna)
    assert reply.status == 405
    assert reply.header("allow")


def test_the_same_request_while_it_is_written_is_the_same_job_and_another_waits(world: World, anna: str) -> None:
    async def at_once() -> list[Reply]:
        address = "/fhir/Patient/anna/$export"
        headers = {"prefer": "respond-async"}
        first = await world.served.ask("GET", address, token=anna, headers=headers)
        second = await world.served.ask("GET", address, token=anna, headers=headers)
        third = await world.served.ask("GET", f"{address}?_type=Coverage", token=anna, headers=headers)
        return [first, second, third]

    with Paused(world):
        first, second, third = world.served.runner.run(at_once())
    assert first.status == second.status == 202
    assert first.header("content-location") == second.header("content-location")
    assert (third.status, code(third)) == (429, "export-running")
    assert int(third.header("retry-after")) > 0
    wait(world.served, first.header("content-location"), anna)
    after = kick_off(world.served, anna, query="?_type=Coverage")
    assert after.status == 202
    wait(world.served, after.header("content-location"), anna)


class Paused:
    """Jobs begin no writing while the block lasts: every slot is taken."""

    def __init__(self, world: World) -> None:
        self.runner = world.served.application.fhir.export_runner
        self.loop = world.served.runner

    def __enter__(self) -> None:
        for _ in range(2):
            self.loop.run(self.runner._slots.acquire())

    def __exit__(self, *_: object) -> None:
        for _ in range(2):
            self.runner._slots.release()


# -- status, files, cancellation -------------------------------------------------------------------------------------


def test_while_it_is_written_the_status_says_how_far_and_when_to_ask_again(world: World, anna: str) -> None:
    with Paused(world):
        address = kick_off(world.served, anna).header("content-location")
        reply = world.served.get(address, anna)
        assert (reply.status, reply.body) == (202, b"")
        assert reply.header("x-progress") == "0 resources written"
        assert int(reply.header("retry-after")) > 0
        assert world.served.get(f"{address}/Patient.ndjson", anna).status == 404
    assert wait(world.served, address, anna).status == 200


def test_a_file_is_sent_compressed_or_not_as_the_client_likes(world: World, anna: str) -> None:
    url = f"{export(world.served, anna).address}/ExplanationOfBenefit.ndjson"
    plain = world.served.get(url, anna)
    packed = world.served.get(url, anna, accept_encoding="gzip, br")
    refused = world.served.get(url, anna, accept_encoding="gzip;q=0, br")
    assert plain.header("content-encoding") == refused.header("content-encoding") == ""
    assert packed.header("content-encoding") == "gzip"
    assert gzip.decompress(packed.raw) == plain.raw == refused.raw
    assert len(packed.raw) < len(plain.raw)
    for reply in (plain, packed):
        assert int(reply.header("content-length")) == len(reply.raw)


def test_a_file_is_in_pieces_that_end_with_whole_lines(
    world: World, anna: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_writer, "CHUNK", 1500)
    done = export(world.served, anna)
    with world.database.reading() as transaction:
        job = done.address.rpartition("/")[2]
        asked = select(CHUNK.c.body, CHUNK.c.number).where(CHUNK.c.job == job, CHUNK.c.file == "ExplanationOfBenefit")
        pieces = transaction.all(asked.order_by(CHUNK.c.number))
    assert len(pieces) > 5
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert all(gzip.decompress(piece.body).endswith(b"}\n") for piece in pieces)
    whole = b"".join(gzip.decompress(piece.body) for piece in pieces)
    url = f"{done.address}/ExplanationOfBenefit.ndjson"
    assert (
        world.served.get(url, anna).raw
        == whole
        == gzip.decompress(world.served.get(url, anna, accept_encoding="gzip").raw)
    )
    assert len(whole.splitlines()) == 20


def test_head_tells_the_length_and_sends_nothing(world: World, anna: str) -> None:
    url = f"{export(world.served, anna).address}/Coverage.ndjson"
    head, get = world.served.send("HEAD", url, anna), world.served.get(url, anna)
    assert (head.status, head.raw, head.header("content-length")) == (200, b"", str(len(get.raw)))


@pytest.mark.parametrize("name", ["Unicorn.ndjson", "Coverage", "deleted.ndjson", "../x"])
def test_a_file_that_is_not_there_is_not_found(world: World, anna: str, name: str) -> None:
    address = export(world.served, anna, query="?_type=Coverage").address
    reply = world.served.get(f"{address}/{name}", anna)
    assert reply.status == 404


def test_a_cancelled_export_is_gone_with_its_files(world: World, anna: str) -> None:
    done = export(world.served, anna, query="?_type=Coverage")
    assert world.served.send("DELETE", done.address, anna).status == 202
    unknown = world.served.get("_export/unknown", anna)
    for address in (done.address, f"{done.address}/Coverage.ndjson"):
        reply = world.served.get(address, anna)
        assert (reply.status, code(reply)) == (404, "export-unknown")
    assert world.served.get(done.address, anna).body == unknown.body.replace(
        b" unknown.", f" {done.address[-40:]}.".encode()
    )
    assert world.served.send("DELETE", done.address, anna).status == 404
    world.served.runner.run(world.served.application.fhir.export_runner.look())
    assert stored(world, done.address) == (0, 0)


def stored(world: World, address: str) -> tuple[int, int]:
    """How many rows there are of a job, and pieces of its files."""
    id = address.rpartition("/")[2]
    with world.database.reading() as transaction:
        return (
            transaction.scalar(select(func.count()).where(JOB.c.id == id)),
            transaction.scalar(select(func.count()).where(CHUNK.c.job == id)),
        )


def test_a_running_export_that_is_cancelled_stops(world: World, anna: str) -> None:
    with Paused(world):
        address = kick_off(world.served, anna).header("content-location")
        assert world.served.send("DELETE", address, anna).status == 202
        again = kick_off(world.served, anna, query="?_type=Coverage")
        assert again.status == 202
    assert wait(world.served, again.header("content-location"), anna).status == 200
    assert world.served.get(address, anna).status == 404
    world.served.runner.run(world.served.application.fhir.export_runner.look())
    assert stored(world, address) == (0, 0)


def test_files_expire_and_their_bodies_are_deleted(world: World, anna: str) -> None:
    done = export(world.served, anna, query="?_type=Coverage")
    hours = world.settings.export_hours
    now = clock.now()
    with clock.set_to(now + timedelta(hours=hours, minutes=-1)):
        assert world.served.get(f"{done.address}/Coverage.ndjson", anna).status == 200
    assert stored(world, done.address) == (1, 1)
    with clock.set_to(now + timedelta(hours=hours, minutes=1)):
        for address in (done.address, f"{done.address}/Coverage.ndjson"):
            assert code(world.served.get(address, anna)) == "export-unknown"
        world.served.runner.run(world.served.application.fhir.export_runner.look())
    assert stored(world, done.address) == (0, 0)


def test_of_many_exports_the_oldest_makes_room(world: World, anna: str) -> None:
    addresses = [export(world.served, anna, query="?_type=Coverage").address for _ in range(MOST_KEPT + 1)]
    assert world.served.get(addresses[0], anna).status == 404
    assert [world.served.get(address, anna).status for address in addresses[1:]] == [200] * MOST_KEPT


# -- who may have it -------------------------------------------------------------------------------------------------


def test_any_live_token_of_the_app_for_the_member_that_sees_as_much_may_fetch_it(
    world: World, anna: str, request: pytest.FixtureRequest
) -> None:
    done = export(world.served, anna)
    tablet = token(world.database, "anna", client_id=app_of(request)).text
    assert world.served.get(done.address, tablet).status == 200
    assert world.served.get(f"{done.address}/Patient.ndjson", tablet).status == 200


@pytest.mark.parametrize(
    "scope",
    ["patient/Coverage.rs", f"patient/*.s patient/Observation.rs?category={CATEGORY}|laboratory", "patient/*.s"],
)
def test_a_narrower_token_of_the_app_is_told_that_it_may_not(
    world: World, anna: str, request: pytest.FixtureRequest, scope: str
) -> None:
    done = export(world.served, anna)
    narrow = token(world.database, "anna", scope, client_id=app_of(request)).text
    for address in (done.address, f"{done.address}/Patient.ndjson"):
        reply = world.served.get(address, narrow)
        assert (reply.status, code(reply)) == (403, "export-not-covered")


def test_a_finer_scope_covers_its_own_export_and_not_another_finer_one(
    world: World, request: pytest.FixtureRequest
) -> None:
    texts = [
        token(
            world.database, "anna", f"patient/Observation.rs?category={CATEGORY}|{one}", client_id=app_of(request)
        ).text
        for one in ("laboratory", "laboratory", "vital-signs")
    ]
    done = export(world.served, texts[0])
    assert done.names == ["Observation/laboratory-0", "Observation/laboratory-1"]
    assert [world.served.get(done.address, text).status for text in texts] == [200, 200, 403]


@pytest.mark.parametrize(
    ("member", "client_id"), [("anna", "somebody-elses-app"), ("ben", ""), ("ben", "somebody-elses-app")]
)
def test_others_get_the_answer_of_an_export_that_never_was(
    world: World, anna: str, request: pytest.FixtureRequest, member: str, client_id: str
) -> None:
    done = export(world.served, anna)
    other = token(world.database, member, client_id=client_id or app_of(request)).text
    id = done.address.rpartition("/")[2]
    never = "0" * len(id)
    for method, rest in (("GET", ""), ("GET", "/Patient.ndjson"), ("DELETE", ""), ("HEAD", "")):
        reply = world.served.send(method, f"/fhir/_export/{id}{rest}", other)
        unknown = world.served.send(method, f"/fhir/_export/{never}{rest}", other)
        assert reply.status == unknown.status == 404
        assert reply.body == unknown.body.replace(never.encode(), id.encode())
        varying = ("x-request-id",)
        told = [[pair for pair in one.headers if pair[0].decode() not in varying] for one in (reply, unknown)]
        assert told[0] == told[1]
    assert world.served.get(done.address, anna).status == 200


def test_a_revoked_grant_reaches_nothing(world: World, request: pytest.FixtureRequest) -> None:
    allowed = token(world.database, "anna", client_id=app_of(request))
    done = export(world.served, allowed.text)
    end_grant(world, allowed.grant_id)
    assert world.served.get(f"{done.address}/Patient.ndjson", allowed.text).status == 401


def end_grant(world: World, grant_id: str) -> None:
    grant = METADATA.tables["grant"]
    with world.database.transaction() as transaction:
        transaction.execute(grant.update().where(grant.c.id == grant_id).values(ended_at=clock.now_microseconds()))


def test_a_grant_that_ends_stops_the_export_that_it_began(world: World, request: pytest.FixtureRequest) -> None:
    phone = token(world.database, "anna", client_id=app_of(request))
    tablet = token(world.database, "anna", client_id=app_of(request))
    with Paused(world):
        address = kick_off(world.served, phone.text).header("content-location")
        end_grant(world, phone.grant_id)
    reply = wait(world.served, address, tablet.text)
    assert (reply.status, code(reply)) == (404, "export-unknown")
    world.served.runner.run(world.served.application.fhir.export_runner.look())
    assert stored(world, address) == (0, 0)


@pytest.mark.parametrize("withheld", ["Coverage", "Observation"])
def test_a_withheld_consent_category_is_left_out(world: World, request: pytest.FixtureRequest, withheld: str) -> None:
    from server.authorization.scopes import withhold
    from server.specification.registry import RESOURCES

    category = RESOURCES[withheld].categories[0].category
    scope = withhold(EVERYTHING, [category])
    text = token(world.database, "anna", scope, client_id=app_of(request), grant_withheld=category).text
    done = export(world.served, text)
    assert set(done.names) == everything(world, text)
    whole = everything(world, world.token("anna"))
    assert set(done.names) < whole
    assert {name.partition("/")[0] for name in whole - set(done.names)} >= {withheld}


def test_a_clients_own_token_exports_one_member_at_a_time(world: World, request: pytest.FixtureRequest) -> None:
    app = app_of(request)
    client(world.database, app, kind="payer", authentication="private_key_jwt")
    own = {"grant_actor": "system", "grant_fhir_user": "", "grant_account": ""}
    job, again = (token(world.database, "", "system/*.rs", app, **own).text for _ in range(2))
    done = export(world.served, job, "ben")
    assert {"Patient/ben", "ExplanationOfBenefit/bens"} <= set(done.names)
    assert not {name for name in done.names if "anna" in name}
    assert world.served.get(done.address, again).status == 200
    members = token(world.database, "ben", client_id=app).text
    assert world.served.get(done.address, members).status == 404
    begun = export(world.served, members, "ben")
    assert world.served.get(begun.address, job).status == 404
    assert kick_off(world.served, job, "nobody").status == 404


# -- the ledger ------------------------------------------------------------------------------------------------------


def test_every_request_is_a_row_and_only_files_count_resources(
    world: World, anna: str, request: pytest.FixtureRequest
) -> None:
    done = export(world.served, anna, query="?_type=Coverage,Organization,ExplanationOfBenefit")
    world.served.send("HEAD", f"{done.address}/Coverage.ndjson", anna)
    world.served.send("DELETE", done.address, anna)
    rows = [
        row
        for row in ledger_rows(world.database, client_id=app_of(request))
        if row.status == 200 or row.interaction != "export-status"
    ]
    told = sorted((row.interaction, row.resource_type, row.status, row.resources, row.patient) for row in rows)
    assert told == [
        ("$export", "Patient", 202, 0, "anna"),
        ("export-cancel", "", 202, 0, "anna"),
        ("export-file", "Coverage", 200, 0, "anna"),
        ("export-file", "Coverage", 200, 1, "anna"),
        ("export-file", "ExplanationOfBenefit", 200, 20, "anna"),
        ("export-file", "Organization", 200, 0, "anna"),
        ("export-status", "", 200, 0, "anna"),
    ]


def test_the_row_of_a_file_is_there_before_its_first_byte(
    world: World, anna: str, request: pytest.FixtureRequest
) -> None:
    done = export(world.served, anna, query="?_type=Coverage")
    rows: list[int] = []

    async def ask() -> None:
        async def send(message: object) -> None:
            rows.append(len(ledger_rows(world.database, client_id=app_of(request), interaction="export-file")))

        path = f"/fhir/_export/{done.address.rpartition('/')[2]}/Coverage.ndjson"
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {anna}".encode())],
        }
        await world.served.application(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]

    world.served.runner.run(ask())
    assert rows[0] == 2
    assert set(rows) == {2}


# -- what the operation says of itself -------------------------------------------------------------------------------


def test_the_capability_statement_and_openapi_have_it(world: World) -> None:
    rest = world.get("anna", "metadata").json["rest"][0]["resource"]
    told = {operation["name"]: operation["definition"] for one in rest for operation in one.get("operation", [])}
    assert told["export"] == EXPORT.canonical
    paths = world.served.get("/openapi.json").json["paths"]
    begin = paths["/fhir/Patient/{id}/$export"]["get"]
    assert "202" in begin["responses"]
    assert "200" not in begin["responses"]
    assert {"get", "delete"} <= paths["/fhir/_export/{job}"].keys()
    assert "get" in paths["/fhir/_export/{job}/{file}"]


def test_web_apps_may_read_the_headers_and_cancel(world: World, anna: str) -> None:
    reply = kick_off(world.served, anna, query="?_type=Coverage", origin="https://app.example")
    exposed = reply.header("access-control-expose-headers")
    for name in ("content-location", "x-progress", "retry-after", "expires"):
        assert name in exposed
    asked = world.served.send("OPTIONS", "/fhir/_export/x", origin="https://app.example")
    assert "DELETE" in asked.header("access-control-allow-methods")
    wait(world.served, reply.header("content-location"), anna)


# -- loading in between ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of this test alone."""
    with lasting_world(request.param, request, RECORDS) as world:
        yield world


def test_since_follows_loading_and_tells_what_was_deleted(fresh: World) -> None:
    text = token(fresh.database, "anna").text
    first = export(fresh.served, text)
    backdated = explanation_of_benefit("late", ANNA, meta={"lastUpdated": "2020-01-01T00:00:00Z"})
    role = ROLE | {"organization": reference("Organization/elsewhere")}
    store(fresh.database, fresh.settings, [backdated, role])
    gone = ["ExplanationOfBenefit/anna-03", "Coverage/gold", "ExplanationOfBenefit/bens"]
    assert retract(fresh.database, fresh.settings, gone).exit_code == 0
    since = first.manifest["transactionTime"]
    second = export(fresh.served, text, query=f"?_since={since}")
    # the instant is cut to milliseconds, so that the end of the first load may come again
    new = set(second.names) - {name for name in first.names if name not in everything(fresh, text, f"&_since={since}")}
    assert set(second.names) == everything(fresh, text, f"&_since={since}") == new
    assert {"ExplanationOfBenefit/late", "PractitionerRole/role", "Organization/elsewhere"} <= set(second.names)
    (listed,) = second.manifest["deleted"]
    assert (listed["type"], listed["count"]) == ("Bundle", 1)
    (bundle,) = lines_of(fresh.served.get(listed["url"], text))
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["DELETE"] * 2
    assert {entry["request"]["url"] for entry in bundle["entry"]} == {gone[0], gone[1]}
    (row,) = ledger_rows(fresh.database, interaction="export-file", resource_type="")
    assert row.resources == 0
    narrow = token(fresh.database, "anna", "patient/Coverage.rs", client_id="other").text
    third = export(fresh.served, narrow, query=f"?_since={since}")
    (listed,) = third.manifest["deleted"]
    (bundle,) = lines_of(fresh.served.get(listed["url"], narrow))
    assert [entry["request"]["url"] for entry in bundle["entry"]] == ["Coverage/gold"]


def test_what_is_loaded_while_it_is_written_comes_with_the_next(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = token(fresh.database, "anna").text
    with Paused(fresh):
        address = kick_off(fresh.served, text).header("content-location")
        store(fresh.database, fresh.settings, [explanation_of_benefit("late", ANNA)])
    manifest = wait(fresh.served, address, text).json
    claims = lines_of(fresh.served.get(f"{address}/ExplanationOfBenefit.ndjson", text))
    assert {one["id"] for one in claims} == {claim["id"] for claim in CLAIMS}
    later = export(fresh.served, text, query=f"?_since={manifest['transactionTime']}")
    assert "ExplanationOfBenefit/late" in later.names


def test_the_documentation_tells_developers_how(world: World) -> None:
    page = world.served.get("/docs/export").body.decode()
    for word in ("Prefer: respond-async", "$export", "_since", "24 hours", "export-not-covered"):
        assert word in page


def download(world: World, text: str, url: str, meanwhile: Callable[[int], Awaitable[str | None]]) -> list[bytes]:
    """The pieces of a file as they are sent; ``meanwhile`` is told their number, and what it answers the client does next."""
    pieces: list[bytes] = []
    coming: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            pieces.append(message["body"] + (b"" if message.get("more_body") else b"\0"))
            event = await meanwhile(len(pieces))
            if event:
                coming.put_nowait({"type": event})
                await asyncio.sleep(0.01)

    scope = {
        "type": "http",
        "method": "GET",
        "path": url.removeprefix(FHIR_BASE.removesuffix("/fhir")),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {text}".encode())],
    }
    world.served.runner.run(world.served.application(scope, coming.get, send))
    return pieces


def test_nothing_more_is_read_for_a_client_that_has_gone(
    world: World, anna: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_writer, "CHUNK", 1500)
    url = f"{export(world.served, anna).address}/ExplanationOfBenefit.ndjson"

    async def leaves(number: int) -> str | None:
        return "http.disconnect" if number == 2 else None

    async def stays(_: int) -> None:
        return None

    assert len(download(world, anna, url, leaves)) == 2
    whole = download(world, anna, url, stays)
    assert len(whole) > 5
    assert whole[-1] == b"\0"


def test_a_download_breaks_off_when_the_export_is_deleted_meanwhile(
    world: World, anna: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export_writer, "CHUNK", 1500)
    done = export(world.served, anna)

    async def deletes(number: int) -> None:
        if number == 2:
            await world.served.ask("DELETE", done.address, token=anna)
            await world.served.application.fhir.export_runner.look()

    pieces = download(world, anna, f"{done.address}/ExplanationOfBenefit.ndjson", deletes)
    assert len(pieces) == 2
    assert not any(piece.endswith(b"\0") for piece in pieces), "the client must notice that something is missing"
    assert "broke off" in caplog.text
