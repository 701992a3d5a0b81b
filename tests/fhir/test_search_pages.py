"""Pages: complete, without duplicates, with an end; a cursor opens for its own member and query only.

https://hl7.org/fhir/R4/http.html#paging
"""

import pytest

from tests.lasting import FHIR_BASE, World

ALL = [f"ExplanationOfBenefit/claim-{number:02d}" for number in range(1, 24)]
CURSOR = "_cursor="


def pages(world: World, target: str) -> list[list[str]]:
    """The ids of every page, following ``next``."""
    found = []
    links = {"next": target}
    seen = set()
    while "next" in links:
        assert links["next"] not in seen
        seen.add(links["next"])
        reply = world.get("carla", links["next"])
        assert reply.status == 200
        links = reply.links
        assert links.get("next") != links["self"]
        assert reply.json["total"] == len(ALL)
        found.append(reply.ids())
    return found


@pytest.mark.parametrize("count", [1, 5, 7, 22, 23, 24, 500])
def test_pages_together_are_everything_once_and_end(world: World, count: int) -> None:
    found = pages(world, f"ExplanationOfBenefit?_count={count}")
    assert [id for page in found for id in page] == ALL
    assert all(len(page) == count for page in found[:-1])
    assert 0 < len(found[-1]) <= count


def test_the_default_page_holds_fifty_claims_and_needs_no_next(world: World) -> None:
    assert world.settings.page_size == 50
    assert pages(world, "ExplanationOfBenefit") == [ALL]


def test_pages_of_a_narrowed_search_keep_its_parameters(world: World) -> None:
    reply = world.get("carla", "ExplanationOfBenefit?patient=carla&type=professional&_count=20&colour=red")
    assert reply.links["self"] == f"{FHIR_BASE}/ExplanationOfBenefit?patient=carla&type=professional&_count=20"
    assert reply.links["first"] == reply.links["self"]
    second = world.get("carla", reply.links["next"])
    assert second.links["self"] == reply.links["next"]
    assert second.links["first"] == reply.links["self"]
    assert "next" not in second.links
    assert second.ids() == ALL[20:]


def test_every_page_says_how_far_the_load_had_come_at_the_first(world: World) -> None:
    first = world.get("carla", "ExplanationOfBenefit?_count=20")
    second = world.get("carla", first.links["next"])
    assert first.json["meta"] == second.json["meta"]
    assert first.json["meta"]["lastUpdated"].endswith("Z")
    assert world.get("ben", "Coverage").json["meta"] == first.json["meta"]


def test_a_count_of_zero_is_the_total_alone(world: World) -> None:
    reply = world.get("carla", "ExplanationOfBenefit?_count=0")
    assert reply.json["total"] == len(ALL)
    assert "entry" not in reply.json
    assert set(reply.links) == {"self", "first"}


def test_a_count_beyond_the_limit_is_the_limit(world: World) -> None:
    assert world.get("carla", "ExplanationOfBenefit?_count=99999999999999999999").ids() == ALL


def test_an_empty_page_has_no_entry_and_is_still_a_searchset(world: World) -> None:
    reply = world.get("ben", "Coverage")
    assert reply.status == 200
    assert (reply.json["resourceType"], reply.json["type"], reply.json["total"]) == ("Bundle", "searchset", 0)
    assert "entry" not in reply.json


def test_entries_have_full_urls_below_the_base(world: World) -> None:
    reply = world.get("carla", "ExplanationOfBenefit?_count=2&_include=ExplanationOfBenefit:patient")
    urls = [entry["fullUrl"] for entry in reply.json["entry"]]
    assert urls == [f"{FHIR_BASE}/{name}" for name in (*ALL[:2], "Patient/carla")]
    for url in urls:
        assert world.get("carla", url).status == 200


def cursor(world: World) -> str:
    """The address of Carla's second page."""
    return world.get("carla", "ExplanationOfBenefit?_count=5").links["next"]


def test_a_changed_cursor_is_a_bad_request(world: World) -> None:
    address = cursor(world)
    start = address.index(CURSOR) + len(CURSOR)
    for place in range(start, len(address) - 1, 5):
        changed = address[:place] + ("A" if address[place] != "A" else "B") + address[place + 1 :]
        reply = world.get("carla", changed)
        assert reply.status == 400
        assert reply.json["issue"][0]["expression"] == ["http._cursor"]


@pytest.mark.parametrize("value", ["x", "0", "AAAA", "%00", "é", "A" * 5000, "===", "-_-_"])
def test_what_is_no_cursor_is_a_bad_request(world: World, value: str) -> None:
    assert world.get("carla", f"ExplanationOfBenefit?_cursor={value}").status == 400


def test_a_cursor_does_not_open_for_another_member(world: World) -> None:
    assert world.get("anna", cursor(world)).status == 400


@pytest.mark.parametrize(
    "changed",
    [
        "_count=6",
        "_count=5&patient=carla",
        "_count=5&type=professional",
        "_count=5&_include=ExplanationOfBenefit:*",
        "",
    ],
)
def test_a_cursor_does_not_open_for_another_query(world: World, changed: str) -> None:
    assert world.get("carla", cursor(world).replace("_count=5", changed)).status == 400


def test_a_cursor_does_not_open_for_another_type(world: World) -> None:
    assert world.get("carla", cursor(world).replace("ExplanationOfBenefit", "Coverage")).status == 400


def test_a_cursor_says_nothing_and_is_never_the_same(world: World) -> None:
    values = {cursor(world).partition(CURSOR)[2] for _ in range(5)}
    assert len(values) == 5


def test_links_are_uris_whatever_was_asked(world: World) -> None:
    """RFC 3986 section 2.2: a bar, a brace or a letter beyond ASCII stands in a URI as its percent-encoding."""
    links = world.get("anna", "ExplanationOfBenefit?identifier=a%7Cb%7D%C3%A4&_count=1").links
    assert links["self"] == f"{FHIR_BASE}/ExplanationOfBenefit?identifier=a%7Cb%7D%C3%A4&_count=1"
