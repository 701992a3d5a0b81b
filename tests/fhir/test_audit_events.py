"""The ledger as an auditor reads it: FHIR search for AuditEvent by a client's own token, and by nobody else's.

https://hl7.org/fhir/R4/auditevent.html and https://profiles.ihe.net/ITI/BALP/
"""

from collections.abc import Iterator

import orjson
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from server.authorization.clients import register
from server.authorization.scopes import SYSTEM_CONTEXTS, narrow, supported_scopes
from server.storage.ledger import EventLedger
from tests.asgi import Reply
from tests.factories import client, coverage, ledger_rows, organization, patient, token
from tests.lasting import World, lasting_world
from tests.storage.ledgers import HOUR, chain, write

ANNA, BEN = patient("anna"), patient("ben")
RECORDS = [organization("payer"), ANNA, BEN, coverage("gold", ANNA)]
AUDIT = "system/AuditEvent.rs"
START = 1_788_000_000_000_000
"""2026-08-29, in microseconds."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        client(world.database, "auditor", kind="payer", authentication="private_key_jwt")
        columns = {"patient": "ben", "client_id": "app", "interaction": "search-type", "resource_type": "Coverage"}
        moments = [START + number // 3 * HOUR for number in range(23)]  # several at the same moment
        write(world.database, chain(moments[0::2], **columns), chain(moments[1::2], **columns))
        denied = chain([START + 40 * HOUR], **columns | {"status": 403, "resources": 0})
        other = chain([START + 41 * HOUR], **columns | {"patient": "anna"}, detail='{"withheld":{"minors":2}}')
        grant = chain([START + 42 * HOUR], **columns)
        grant[0]["kind"] = "grant"
        write(world.database, denied, other, grant)
        yield world


def system_token(world: World, scope: str = AUDIT) -> str:
    name = f"auditor {scope}"
    if name not in world.tokens:
        own = {"grant_actor": "system", "grant_fhir_user": "", "grant_account": ""}
        world.tokens[name] = token(world.database, "", scope, "auditor", **own).text
    return world.tokens[name]


def get(world: World, target: str, scope: str = AUDIT) -> Reply:
    return world.served.get(target, system_token(world, scope))


def all_pages(world: World, target: str) -> list[str]:
    found: list[str] = []
    for _ in range(50):
        reply = get(world, target)
        assert reply.status == 200, reply.body
        found += reply.ids()
        if "next" not in reply.links:
            return found
        target = reply.links["next"]
    raise AssertionError("the pages do not end")


# -- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope", ["patient/*.rs", "user/*.rs", AUDIT, "patient/AuditEvent.rs", f"patient/*.rs {AUDIT} system/*.rs"]
)
@pytest.mark.parametrize("target", ["AuditEvent?patient=anna", "AuditEvent?date=ge2020", "AuditEvent/x"])
def test_a_members_token_never_reads_it(world: World, scope: str, target: str) -> None:
    reply = world.served.get(target, world.token("anna", scope))
    assert reply.status == 403
    assert b'resourceType":"AuditEvent' not in reply.body


@pytest.mark.parametrize("scope", ["system/*.rs", "system/Patient.rs system/Coverage.rs", "system/AuditEvent.r"])
def test_a_search_needs_a_scope_that_names_the_type(world: World, scope: str) -> None:
    assert get(world, "AuditEvent?patient=anna", scope).status == 403


def test_without_a_token_there_is_nothing(world: World) -> None:
    assert world.served.get("AuditEvent?patient=anna").status == 401


def test_the_scope_is_granted_to_jobs_registered_for_it_alone() -> None:
    assert narrow(AUDIT, AUDIT, SYSTEM_CONTEXTS).scope == AUDIT
    assert narrow(AUDIT, "system/*.rs", SYSTEM_CONTEXTS).scope == ""
    assert narrow("system/*.rs", AUDIT, SYSTEM_CONTEXTS).scope == ""
    for registered in ("", "patient/*.rs", "patient/AuditEvent.rs"):
        assert narrow("patient/AuditEvent.rs user/AuditEvent.rs system/AuditEvent.rs", registered).scope == ""
    assert [scope for scope in supported_scopes() if "AuditEvent" in scope] == []


def test_an_operator_registers_an_auditor_and_its_token_reads(world: World) -> None:
    how = {"scope": AUDIT, "kind": "payer", "authentication": "client_secret_post"}
    made, secret = register(EventLedger(world.database), world.settings, "Auditor", (), **how)
    form = f"grant_type=client_credentials&client_id={made}&client_secret={secret}".encode()
    reply = world.served.send("POST", "/token", body=form, content_type="application/x-www-form-urlencoded")
    assert reply.status == 200, reply.body
    assert reply.json["scope"] == AUDIT
    assert world.served.get("AuditEvent?patient=ben", reply.json["access_token"]).status == 200


# -- what is found ---------------------------------------------------------------------------------------------------


def test_a_search_by_member_finds_their_answers_alone_the_newest_first(world: World) -> None:
    reply = get(world, "AuditEvent?patient=Patient/ben&date=lt2026-09-15&_count=100")
    events = reply.entries()
    assert len(events) == 24
    assert {event["entity"][1]["what"]["reference"] for event in events} == {"Patient/ben"}
    recorded = [event["recorded"] for event in events]
    assert recorded == sorted(recorded, reverse=True)
    assert events[0]["outcome"] == "4"


def test_paging_ends_and_tells_each_event_once_while_its_own_reads_are_recorded(world: World) -> None:
    for target in ("AuditEvent?patient=ben&_count=5", "AuditEvent?date=ge2026-08-01&_count=7"):
        found = all_pages(world, target)
        assert len(found) == len(set(found)) >= 24


@pytest.mark.parametrize(
    ("dates", "count"),
    [
        ("date=ge2026-08-30T15:00:00Z&date=lt2026-08-30T16:00:00Z", 0),
        ("date=lt2026-08-01", 0),
        ("date=gt2026-09-30&date=lt2026-10-01", 0),
        ("date=ge2026-08-01&date=le2026-09-30", 24),
        ("date=2026", 24),
    ],
)
def test_dates_bound_the_moment_of_the_answer(world: World, dates: str, count: int) -> None:
    events = get(world, f"AuditEvent?patient=ben&{dates}&_count=100").entries()
    assert len([event for event in events if event["recorded"] < "2026-09-15"]) == count


def test_a_date_alone_finds_answers_about_all_members(world: World) -> None:
    events = get(world, "AuditEvent?date=ge2026-08-01&date=lt2026-09-15&_count=100").entries()
    assert {event["entity"][1]["what"]["reference"] for event in events} == {"Patient/ben", "Patient/anna"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "member-not-named"),
        ("?_count=5", "member-not-named"),
        ("?date=le2026-12-31", "member-not-named"),
        ("?patient=anna,ben", "parameter-invalid"),
        ("?patient=anna&patient=ben", "parameter-invalid"),
        ("?patient=Coverage/gold", "parameter-invalid"),
        ("?patient=anna&date=yesterday", "parameter-invalid"),
        ("?patient=anna&_cursor=nonsense", "cursor-invalid"),
    ],
)
def test_a_search_that_cannot_be_answered_says_why(world: World, query: str, code: str) -> None:
    reply = get(world, f"AuditEvent{query}")
    assert reply.status == 400
    assert reply.json["issue"][0]["details"]["coding"][0]["code"] == code


def test_a_search_by_post_keeps_the_member_out_of_the_address(world: World) -> None:
    form = [("patient", "ben"), ("date", "lt2026-09-15"), ("_count", "100")]
    assert len(world.served.post("AuditEvent/_search", system_token(world), form).entries()) == 24


def test_a_cursor_is_bound_to_its_search(world: World) -> None:
    link = get(world, "AuditEvent?patient=ben&_count=5").links["next"]
    assert get(world, link.replace("patient=ben", "patient=anna")).status == 400


def test_a_read_by_id_finds_the_same_event(world: World) -> None:
    event = get(world, "AuditEvent?patient=ben&_count=1").entries()[0]
    assert get(world, f"AuditEvent/{event['id']}").json == event


@pytest.mark.parametrize("id", ["x", "0" * 16 + "-1", "0" * 16 + "-0", "0" * 16 + "-" + "9" * 18, "g" * 16 + "-1"])
def test_an_unknown_id_is_not_found(world: World, id: str) -> None:
    assert get(world, f"AuditEvent/{id}").status == 404


def test_what_is_no_answer_is_no_event(world: World) -> None:
    (row,) = ledger_rows(world.database, kind="grant")[:1]
    assert get(world, f"AuditEvent/{row.writer}-{row.sequence}").status == 404


@pytest.mark.parametrize("target", ["AuditEvent/x/_history", "AuditEvent/x/_history/1", "AuditEvent/_history"])
def test_there_is_no_history_of_it(world: World, target: str) -> None:
    assert get(world, target).status in (404, 405)


# -- what an event says ----------------------------------------------------------------------------------------------


def test_an_event_of_a_members_app_names_app_user_member_request_and_type(world: World) -> None:
    reply = world.get("anna", "Coverage?status=active")
    events = get(world, "AuditEvent?patient=anna&_count=100").entries()
    (event,) = [one for one in events if one["entity"][0]["what"]["identifier"]["value"] == reply.request_id]
    AuditEvent.model_validate_json(orjson.dumps(event))
    app, server, user = event["agent"]
    assert app["who"]["identifier"]["value"] == "app"
    assert server["who"]["display"] == world.settings.fhir_base
    assert user["who"]["reference"] == "Patient/anna"
    assert user["requestor"]
    assert (event["action"], event["outcome"], event["subtype"][0]["code"]) == ("E", "0", "search-type")
    details = {one["type"]: one["valueString"] for one in event["entity"][2]["detail"]}
    assert details == {"resources": "1"}
    assert "Müller" not in orjson.dumps(event).decode()
    assert "active" not in orjson.dumps(event["entity"]).decode()


def test_every_event_is_a_valid_resource(world: World) -> None:
    world.get("anna", "Coverage/gold")
    world.get("anna", "Patient/anna/$everything")
    world.get("anna", "Nonsense")
    events = get(world, "AuditEvent?date=ge2026-08-01&_count=100").entries()
    assert {event["action"] for event in events} == {"R", "E"}
    for event in events:
        AuditEvent.model_validate_json(orjson.dumps(event))


def test_withheld_resources_are_counted_by_policy(world: World) -> None:
    events = get(world, "AuditEvent?patient=anna&date=lt2026-09-15").entries()
    details = {one["type"]: one["valueString"] for one in events[0]["entity"][2]["detail"]}
    assert details["withheld:minors"] == "2"


def test_an_auditors_reads_are_events_too(world: World) -> None:
    reply = get(world, "AuditEvent?patient=anna&_count=3")
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.patient, row.actor, row.resource_type, row.status, row.resources) == (
        "anna",
        "system",
        "AuditEvent",
        200,
        3,
    )
    event = get(world, "AuditEvent?patient=anna&_count=1").entries()[0]
    assert event["entity"][0]["what"]["identifier"]["value"] == reply.request_id
    assert [agent["requestor"] for agent in event["agent"]] == [True, False]


def test_elements_reduce_an_event(world: World) -> None:
    (event,) = get(world, "AuditEvent?patient=ben&_count=1&_elements=recorded").entries()
    assert "recorded" in event
    assert "source" not in event or "SUBSETTED" in orjson.dumps(event).decode()


def test_the_type_is_declared_and_said_to_be_for_auditors(world: World) -> None:
    rest = orjson.loads(world.served.get("metadata").body)["rest"][0]
    (declared,) = [one for one in rest["resource"] if one["type"] == "AuditEvent"]
    assert "never a member's" in declared["documentation"]
