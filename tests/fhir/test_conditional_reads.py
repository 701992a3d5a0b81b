"""If-None-Match, and without it If-Modified-Since: 304 only where the client surely has the resource as it is now.

https://hl7.org/fhir/R4/http.html#cread and https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3
"""

from collections.abc import Iterator

import pytest

from server.ingest.load import retract
from tests.factories import Record, explanation_of_benefit, ledger_rows, patient, store
from tests.lasting import World, lasting_world

ANNA = patient("anna")
STEADY = "ExplanationOfBenefit/steady"
DATE = "Tue, 20 Jan 2026 10:00:00 GMT"


def claim(id: str, last_updated: str, **elements: str) -> Record:
    """A claim of Anna's with a date of the payer's own."""
    return explanation_of_benefit(id, ANNA, meta={"lastUpdated": last_updated}, **elements)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def changing(request: pytest.FixtureRequest) -> Iterator[World]:
    """Anna's claims: one never changed, the others corrected, with dates that do not always go forward; one retracted."""
    first = [claim(id, "2026-01-20T10:00:00.123Z") for id in ("steady", "forward", "backward", "same", "away", "again")]
    with lasting_world(request.param, request, [ANNA, *first]) as world:
        corrected = [
            claim("forward", "2026-02-01T09:00:00Z", disposition="corrected"),
            claim("backward", "2026-01-03T09:00:00Z", disposition="corrected"),
            claim("same", "2026-01-20T10:00:00.999Z", disposition="corrected"),
            claim("again", "2026-02-01T09:00:00Z", disposition="corrected"),
        ]
        store(world.database, world.settings, corrected)
        store(world.database, world.settings, [claim("again", "2026-01-20T10:00:00Z", disposition="once more")])
        assert retract(world.database, world.settings, ["ExplanationOfBenefit/away"]).exit_code == 0
        yield world


@pytest.mark.parametrize(
    "date", [DATE, "Tuesday, 20-Jan-26 10:00:00 GMT", "Tue Jan 20 10:00:00 2026", f" {DATE} "], ids=str
)
def test_the_date_of_the_answer_before_needs_no_body(changing: World, date: str) -> None:
    assert changing.get("anna", STEADY).header("last-modified") == DATE
    reply = changing.get("anna", STEADY, if_modified_since=date)
    assert (reply.status, reply.raw) == (304, b"")
    assert (reply.header("etag"), reply.header("last-modified")) == ('W/"1"', DATE)
    assert reply.header("content-length") == reply.header("content-type") == ""
    (row,) = ledger_rows(changing.database, request_id=reply.request_id)
    assert (row.status, row.resources, row.interaction) == (304, 0, "read")


@pytest.mark.parametrize(
    "date",
    [
        "Tue, 20 Jan 2026 09:59:59 GMT",
        "Tue, 20 Jan 2026 10:00:01 GMT",
        "Sun, 22 Nov 2026 10:00:00 GMT",
        "2026-01-20T10:00:00Z",
        "Tue, 20 Jan 2026 10:00:00 -0500",
        "Tue, 99 Jan 2026 10:00:00 GMT",
        "GMT",
        "0",
        "nonsense",
        "é GMT",
    ],
)
def test_any_other_date_is_answered_in_full(changing: World, date: str) -> None:
    assert changing.get("anna", STEADY, if_modified_since=date).status == 200


def test_an_etag_beside_the_date_decides_alone(changing: World) -> None:
    assert changing.get("anna", STEADY, if_modified_since=DATE, if_none_match='W/"7"').status == 200
    assert changing.get("anna", STEADY, if_modified_since="nonsense", if_none_match='W/"1"').status == 304
    assert changing.get("anna", STEADY, if_modified_since=DATE, if_none_match='W/"1"').status == 304


@pytest.mark.parametrize("id", ["forward", "backward", "same", "again"])
def test_a_correction_is_seen_whatever_its_date_is(changing: World, id: str) -> None:
    reply = changing.get("anna", f"ExplanationOfBenefit/{id}", if_modified_since=DATE)
    assert reply.status == 200
    assert "disposition" in reply.json


@pytest.mark.parametrize("id", ["forward", "backward"])
def test_the_date_of_a_correction_is_known_too(changing: World, id: str) -> None:
    date = changing.get("anna", f"ExplanationOfBenefit/{id}").header("last-modified")
    assert changing.get("anna", f"ExplanationOfBenefit/{id}", if_modified_since=date).status == 304


def test_what_was_retracted_is_gone_whatever_is_known_of_it(changing: World) -> None:
    for headers in ({"if_modified_since": DATE}, {"if_none_match": 'W/"1"'}, {"if_none_match": "*"}):
        assert changing.get("anna", "ExplanationOfBenefit/away", **headers).status == 410
        assert changing.get("ben", STEADY, **headers).status == 404


def test_a_version_is_known_by_its_etag(changing: World) -> None:
    target = "ExplanationOfBenefit/forward/_history/1"
    assert changing.get("anna", target, if_none_match='W/"1"').status == 304
    assert changing.get("anna", target, if_none_match='W/"2"').status == 200


def test_a_search_has_no_conditions(changing: World) -> None:
    reply = changing.get("anna", "ExplanationOfBenefit", if_modified_since=DATE, if_none_match="*")
    assert reply.status == 200
    assert reply.header("etag") == ""


def test_a_head_is_conditional_too(changing: World) -> None:
    token = changing.token("anna")
    assert changing.served.send("HEAD", STEADY, token, if_modified_since=DATE).status == 304
