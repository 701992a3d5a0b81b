"""An app that only ever uses the watermark ends with exactly the server's state, whatever was loaded, moved, backdated or retracted.

https://hl7.org/fhir/R4/http.html#history and https://hl7.org/fhir/R4/patient-operation-everything.html: ``_since``
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.factories import organization
from tests.fhir.sync_world import (
    DIRECTORY,
    SHARED,
    App,
    EverythingApp,
    ExportApp,
    Held,
    HistoryApp,
    Payer,
    SearchAndHistoryApp,
    dropped,
    named_by,
    served_now,
)
from tests.lasting import World, lasting_world

WORLDS, ROUNDS = 5, 14
APPS: list[type[App]] = [EverythingApp, HistoryApp, SearchAndHistoryApp, ExportApp]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, [organization("payer")]) as world:
        yield world


def expected(app: App, served: Held) -> Held:
    """What an app by its recipe holds of what is served: all of it, or what is reached from the member's own records."""
    if isinstance(app, HistoryApp):
        return served
    own = {
        identity: one
        for identity, one in served.items()
        if one["resourceType"] != "Provenance" or not all(name.startswith(DIRECTORY) for name in named_targets(one))
    }
    return dropped(own, SHARED)


def named_targets(one: Any) -> list[str]:
    return list(named_by(one["target"]))


def differences(app: App, wanted: Held) -> list[str]:
    return [
        f"{type(app).__name__} of {app.patient}: {identity} held {version(app.held, identity)} served {version(wanted, identity)}"
        for identity in sorted(app.held.keys() | wanted.keys())
        if app.held.get(identity) != wanted.get(identity)
    ]


def version(held: Held, identity: str) -> str:
    return str(held[identity]["meta"]) if identity in held else "nothing"


@pytest.mark.parametrize("seed", range(WORLDS))
def test_an_app_that_uses_the_watermark_alone_ends_with_the_servers_state(world: World, seed: int) -> None:
    chance = random.Random(seed)
    payer = Payer(world, f"w{seed}", chance)
    payer.begin()
    is_quiet = False

    def between() -> None:
        if not is_quiet and chance.random() < 0.3:
            payer.step()

    apps = [kind(world, member, chance.choice([4, 15, 50]), between) for kind in APPS for member in payer.members]
    for _ in range(ROUNDS):
        payer.step()
        chance.choice(apps).sync()
    is_quiet = True
    for app in apps:
        app.sync()
    served = {member: served_now(world, member) for member in payer.members}
    assert [told for app in apps for told in differences(app, expected(app, served[app.patient]))] == []
    assert payer.loads > ROUNDS


def test_loads_that_commit_while_an_app_asks_are_not_missed(world: World) -> None:
    payer = Payer(world, "busy", random.Random(1), is_clock_steady=True)
    payer.begin()
    apps = [kind(world, payer.members[0], 5, lambda: None) for kind in APPS]
    syncs = 0

    def loading() -> None:
        for _ in range(40):
            payer.step()

    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(loading)
        while not busy.done():
            apps[syncs % len(apps)].sync()
            syncs += 1
        busy.result()
    for app in apps:
        app.sync()
    assert syncs >= len(apps)
    served = served_now(world, payer.members[0])
    assert [told for app in apps for told in differences(app, expected(app, served))] == []
