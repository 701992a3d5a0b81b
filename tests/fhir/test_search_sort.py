"""Sorted searches: the order asked for, over every page, forwards and backwards, with ties and missing values.

https://hl7.org/fhir/R4/search.html#sort and https://hl7.org/fhir/R4/http.html#paging
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from tests.factories import CLAIM_TYPE, Record, concept, explanation_of_benefit, patient
from tests.lasting import World, lasting_world

DORA = patient("dora")
DRAW = Random(5)
TYPES = ("oral", "pharmacy", "professional", "institutional")


def _claim(number: int) -> Record:
    more: dict[str, Any] = {
        "meta": {"lastUpdated": f"2026-0{DRAW.randint(1, 9)}-1{DRAW.randint(0, 9)}T10:00:00Z"},
        "type": concept(CLAIM_TYPE, DRAW.choice(TYPES)),
    }
    period: dict[str, str] | None = None
    if DRAW.random() < 0.8:
        period = {"start": f"2026-{DRAW.randint(1, 12):02d}-{DRAW.randint(1, 5):02d}"}
        if DRAW.random() < 0.5:
            period["end"] = f"2026-{period['start'][5:7]}-{DRAW.randint(6, 28):02d}"
    claim = explanation_of_benefit(f"c{number:02d}", DORA, **more)
    claim.pop("billablePeriod", None)
    claim.pop("item", None)
    return claim if period is None else claim | {"billablePeriod": period}


CLAIMS = [_claim(number) for number in range(37)]
RANK = {f"ExplanationOfBenefit/{claim['id']}": number for number, claim in enumerate(CLAIMS)}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, [DORA, *CLAIMS]) as world:
        yield world


def _date(claim: Record) -> str | None:
    period = claim.get("billablePeriod")
    return None if period is None else str(period["start"])


def _type(claim: Record) -> str:
    return str(claim["type"]["coding"][0]["code"])


KEYS: dict[str, Callable[[Record], str | None]] = {
    "_id": lambda claim: str(claim["id"]),
    "_lastUpdated": lambda claim: str(claim["meta"]["lastUpdated"]),
    "type": _type,
    "billable-period-start": _date,
}


def expected(*sort: str) -> list[str]:
    """Python's stable sort, the last key first; what has no value comes last in either direction."""
    claims = list(CLAIMS)
    for word in reversed(sort):
        value = KEYS[word.removeprefix("-")]
        descending = word.startswith("-")
        with_value = [claim for claim in claims if value(claim) is not None]
        with_value = sorted(with_value, key=lambda claim: str(value(claim)), reverse=False)
        if descending:  # ties stay in load order
            ranked: dict[str, list[Record]] = {}
            for claim in with_value:
                ranked.setdefault(str(value(claim)), []).append(claim)
            with_value = [claim for key in sorted(ranked, reverse=True) for claim in ranked[key]]
        claims = with_value + [claim for claim in claims if value(claim) is None]
    return [f"ExplanationOfBenefit/{claim['id']}" for claim in claims]


def walk(world: World, address: str, relation: str) -> list[list[str]]:
    pages, seen = [], set()
    links = {relation: address}
    while relation in links:
        assert links[relation] not in seen
        seen.add(links[relation])
        reply = world.get("dora", links[relation])
        assert reply.status == 200
        pages.append(reply.ids())
        links = reply.links
    return pages


ORDERS = [
    ("_id",),
    ("-_id",),
    ("_lastUpdated",),
    ("-_lastUpdated",),
    ("type", "-_id"),
    ("-type", "_lastUpdated"),
    ("billable-period-start",),
    ("-billable-period-start", "type"),
    ("type", "billable-period-start", "-_lastUpdated"),
]


@pytest.mark.parametrize("count", [3, 10, 100])
@pytest.mark.parametrize("order", ORDERS, ids=",".join)
def test_pages_are_in_the_order_asked_for(world: World, order: tuple[str, ...], count: int) -> None:
    pages = walk(world, f"ExplanationOfBenefit?_sort={','.join(order)}&_count={count}", "next")
    assert [name for page in pages for name in page] == expected(*order)


@pytest.mark.parametrize("order", [(), *ORDERS], ids=lambda order: ",".join(order) or "load order")
def test_previous_links_lead_back_to_the_first_page(world: World, order: tuple[str, ...]) -> None:
    address = "ExplanationOfBenefit?_count=5" + (f"&_sort={','.join(order)}" if order else "")
    forwards, links = [], {"next": address}
    while "next" in links:
        address = links["next"]
        reply = world.get("dora", address)
        forwards.append(reply.ids())
        links = reply.links
    backwards = [forwards[-1], *walk(world, links["previous"], "previous")]
    assert backwards[::-1] == forwards
    assert "previous" not in world.get("dora", "ExplanationOfBenefit?_count=5").links


def test_from_a_page_reached_backwards_next_leads_on(world: World) -> None:
    first = world.get("dora", "ExplanationOfBenefit?_count=5&_sort=-_id")
    second = world.get("dora", first.links["next"])
    again = world.get("dora", second.links["previous"])
    assert again.ids() == first.ids()
    assert world.get("dora", again.links["next"]).ids() == second.ids()
    assert again.json["total"] == first.json["total"] == len(CLAIMS)


def test_without_an_order_claims_come_as_they_were_loaded(world: World) -> None:
    ids = world.get("dora", "ExplanationOfBenefit").ids()
    assert ids == sorted(ids, key=RANK.__getitem__)


@pytest.mark.parametrize("sort", ["colour", "_score", "--type", "type:missing", "_id,-colour"])
def test_an_order_by_what_is_no_parameter_is_a_bad_request(world: World, sort: str) -> None:
    reply = world.get("dora", f"ExplanationOfBenefit?_sort={sort}")
    assert reply.status == 400
    assert reply.json["issue"][0]["expression"] == ["http._sort"]


def test_an_order_by_too_many_parameters_is_a_bad_request(world: World) -> None:
    assert world.get("dora", "ExplanationOfBenefit?_sort=type,-type,_id,-_id,type").status == 400


@pytest.mark.parametrize(("total", "told"), [("none", False), ("estimate", True), ("accurate", True)])
def test_the_total_is_told_as_asked_for(world: World, total: str, told: bool) -> None:
    reply = world.get("dora", f"ExplanationOfBenefit?_total={total}&_count=7")
    assert reply.json.get("total") == (len(CLAIMS) if told else None)
    assert len(reply.ids()) == 7
    following = world.get("dora", reply.links["next"])
    assert following.json.get("total") == reply.json.get("total")
    assert following.json["meta"] == reply.json["meta"]
    pages = walk(world, f"ExplanationOfBenefit?_total={total}&_count=7", "next")
    assert [name for page in pages for name in page] == list(RANK)


def test_a_total_of_another_kind_is_a_bad_request(world: World) -> None:
    assert world.get("dora", "ExplanationOfBenefit?_total=maybe").status == 400
