"""Records are read at replicas, and nobody can tell: what was loaded is seen at once, what was revoked is refused at once.

https://www.postgresql.org/docs/current/hot-standby.html - a primary and two streaming replicas, which are held back, ended and frozen.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import update

from server import clock
from server.ingest.load import retract
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database
from server.storage.replicas import Replica
from server.storage.schema import METADATA
from tests.asgi import Reply, Served, served
from tests.factories import Record, explanation_of_benefit, ledger_rows, organization, patient, store, token
from tests.fhir.exporting import kick_off, wait
from tests.fhir.sync_world import Payer, served_now
from tests.fhir.test_sync_simulation import APPS, differences, expected
from tests.lasting import World, settings_of
from tests.replication import Replication, replication

ANNA, BEN = patient("anna"), patient("ben")
CLAIMS = [explanation_of_benefit(f"claim-{number}", ANNA) for number in range(1, 8)]
RECORDS: list[Record] = [organization("payer"), organization("hospital"), ANNA, BEN, *CLAIMS]
EVERY_KIND = (
    *("Patient/anna", "ExplanationOfBenefit/claim-1", "ExplanationOfBenefit/claim-1/_history/1"),
    *(
        "ExplanationOfBenefit",
        "ExplanationOfBenefit?_count=2&_sort=-billable-period-start",
        "ExplanationOfBenefit?_total=none",
    ),
    *("ExplanationOfBenefit?_summary=count", "ExplanationOfBenefit?_include=*", "Organization?name=The"),
    *("ExplanationOfBenefit/claim-1/_history", "ExplanationOfBenefit/_history", "_history", "Patient/$everything"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A served database with its replicas."""

    world: World
    replication: Replication
    name: str

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """The application's."""
        return self.world.served.application.database.replicas

    @property
    def answered(self) -> int:
        """Questions that replicas have answered."""
        return sum(replica.answered for replica in self.replicas)

    def in_use(self) -> None:
        """Everything is up to date and is read."""
        self.replication.catch_up()
        until = time.monotonic() + 20
        while any(replica.is_resting for replica in self.replicas):
            assert time.monotonic() < until
            self.world.served.runner.run(asyncio.sleep(0.05))


def migrated(url: str) -> None:
    """Make the tables."""
    database = Database(Settings(database_url=url))
    migrate.upgrade(database)
    database.engine.dispose()


@pytest.fixture(scope="module")
def servers() -> Iterator[Replication]:
    with replication(2, migrated) as servers:
        yield servers


@contextmanager
def new_place(servers: Replication) -> Iterator[Place]:
    """A served database of its own."""
    name = f"test_{secrets.token_hex(6)}"
    servers.new_database(name)
    settings = settings_of(servers.primary.named(name), database_replica_url=servers.urls(name))
    database = Database(settings)
    store(database, settings, RECORDS)
    with served(settings) as application:
        place = Place(World(settings, database, application, {}), servers, name)
        place.in_use()
        yield place
    database.engine.dispose()
    for standby in servers.standbys:
        if standby.process is None:
            standby.start()


@pytest.fixture(scope="module")
def quiet_place(servers: Replication) -> Iterator[Place]:
    """Nothing is loaded there, and nothing fails."""
    with new_place(servers) as place:
        yield place


@pytest.fixture
def place(servers: Replication) -> Iterator[Place]:
    with new_place(servers) as place:
        yield place


@pytest.mark.parametrize("target", EVERY_KIND)
def test_records_are_read_at_a_replica(quiet_place: Place, target: str) -> None:
    before = quiet_place.answered
    assert quiet_place.world.get("anna", target).status == 200
    assert quiet_place.answered > before
    assert sum(replica.behind + replica.failed for replica in quiet_place.replicas) == 0


def test_every_member_has_a_replica_of_their_own_as_a_rule(place: Place) -> None:
    for _ in range(3):
        place.world.get("anna", "Patient/anna")
    assert sorted(replica.answered for replica in place.replicas) == [0, 3]
    for number in range(12):
        place.world.get(f"somebody-{number}", "Patient")
    assert all(replica.answered for replica in place.replicas)


def test_what_was_loaded_is_seen_at_once_although_the_replicas_do_not_have_it(place: Place) -> None:
    new = explanation_of_benefit("new", ANNA)
    with place.replication.standbys[0].paused(), place.replication.standbys[1].paused():
        store(place.world.database, place.world.settings, [new])
        for standby in place.replication.standbys:
            assert standby.ask(place.name, "SELECT count(*) FROM resource WHERE id = 'new'") == 0
        before = place.answered
        assert place.world.get("anna", "ExplanationOfBenefit/new").status == 200
        assert place.world.get("anna", "ExplanationOfBenefit").json["total"] == len(CLAIMS) + 1
        assert place.answered == before
        assert sum(replica.behind for replica in place.replicas) > 0
    place.in_use()
    time.sleep(0.1)
    assert place.world.get("anna", "ExplanationOfBenefit/new").status == 200
    assert place.answered > before


def test_what_was_retracted_is_gone_at_once(place: Place) -> None:
    with place.replication.standbys[0].paused(), place.replication.standbys[1].paused():
        retract(place.world.database, place.world.settings, ["ExplanationOfBenefit/claim-3"])
        assert place.world.get("anna", "ExplanationOfBenefit/claim-3").status == 410
        assert "ExplanationOfBenefit/claim-3" not in place.world.get("anna", "ExplanationOfBenefit").ids()


def test_a_revocation_takes_effect_at_once_while_records_come_from_a_replica_that_is_behind(place: Place) -> None:
    first = token(place.world.database, "anna", client_id="first")
    place.replication.catch_up()
    grants = METADATA.tables["grant"]
    with place.replication.standbys[0].paused(), place.replication.standbys[1].paused():
        # A grant that no replica knows of is good, and one that every replica has for good is not: nothing was loaded since.
        second = token(place.world.database, "anna", client_id="second")
        with place.world.database.transaction() as transaction:
            values = {"ended_at": clock.now_microseconds(), "ended_reason": "revoked"}
            transaction.execute(update(grants).where(grants.c.id == first.grant_id).values(**values))
        for standby in place.replication.standbys:
            live = f"SELECT count(*) FROM \"grant\" WHERE id = '{first.grant_id}' AND ended_at IS NULL"
            assert standby.ask(place.name, live) == 1
        before = place.answered
        assert place.world.served.get("Patient/anna", first.text).status == 401
        assert place.world.served.get("Patient/anna", second.text).status == 200
        assert place.answered == before + 1


def test_the_ledger_has_every_answer_and_the_replicas_none_of_their_own(place: Place) -> None:
    replies = [place.world.get("anna", target) for target in EVERY_KIND]
    rows = ledger_rows(place.world.database, kind="answer")
    assert {row.request_id for row in rows} == {reply.request_id for reply in replies}


def test_a_replica_cannot_be_written(place: Place) -> None:
    async def attempt() -> str:
        connection = await place.replicas[0].connections.take()
        try:
            with pytest.raises(Exception, match="read-only transaction"):
                await connection.execute("UPDATE load_clock SET loaded_at = 0")
            return str(await connection.fetchval("SHOW default_transaction_read_only"))
        finally:
            place.replicas[0].connections.give_back(connection)

    assert place.world.served.runner.run(attempt()) == "on"


def test_replicas_that_end_under_reads_are_not_noticed_and_come_back(place: Place) -> None:
    anna = place.world.token("anna")
    application = place.world.served

    async def reads(until: float) -> set[int]:
        found: set[int] = set()
        while time.monotonic() < until:
            asked = (application.ask("GET", f"/fhir/ExplanationOfBenefit/{one['id']}", token=anna) for one in CLAIMS)
            found |= {reply.status for reply in await asyncio.gather(*asked)}
        return found

    async def ended() -> set[int]:
        reading = asyncio.create_task(reads(time.monotonic() + 1.5))
        await asyncio.sleep(0.3)
        for standby in place.replication.standbys:
            await asyncio.to_thread(standby.stop)
        return await reading

    assert application.runner.run(ended()) == {200}
    assert any(replica.is_resting and replica.failed for replica in place.replicas)
    for standby in place.replication.standbys:
        standby.start()
    place.in_use()
    before = place.answered
    assert place.world.get("anna", "Patient/anna").status == 200
    assert place.answered == before + 1


def test_a_replica_that_says_nothing_holds_up_a_read_for_a_moment_and_the_next_not_at_all(place: Place) -> None:
    place.world.get("anna", "Patient/anna")
    (asked,) = (n for n, replica in enumerate(place.replicas) if replica.answered)
    with place.replication.standbys[asked].frozen():
        begun = time.monotonic()
        assert place.world.get("anna", "Patient/anna").status == 200
        between = time.monotonic()
        assert place.world.get("anna", "Patient/anna").status == 200
        assert place.replicas[asked].is_resting
    assert between - begun < 8
    assert time.monotonic() - between < 2


def test_an_export_is_read_at_a_replica_and_is_whole(place: Place) -> None:
    store(place.world.database, place.world.settings, [explanation_of_benefit("last", ANNA)])
    before = place.answered
    anna = place.world.token("anna")
    address = kick_off(place.world.served, anna).header("content-location")
    manifest = wait(place.world.served, address, anna).json
    files = {one["type"]: one["count"] for one in manifest["output"]}
    assert files["ExplanationOfBenefit"] == len(CLAIMS) + 1
    assert place.answered > before


def test_a_server_starts_without_its_replicas(place: Place) -> None:
    nowhere = place.world.settings.model_copy(update={"database_replica_url": ("postgresql://nobody@127.0.0.1:1/x",)})
    with served(nowhere) as application:
        assert application.get("Patient/anna", place.world.token("anna")).status == 200
        assert application.application.database.replicas[0].is_resting


def test_an_app_that_uses_the_watermark_alone_misses_nothing_whichever_replica_answers(place: Place) -> None:
    chance = random.Random(7)
    # A second application, as another worker has it: with connections, and an opinion of the replicas, of its own.
    with served(place.world.settings) as other:
        workers = [place.world.served, other]
        world = Wandering(place.world.settings, place.world.database, place.world.served, {}, workers, chance)
        payer = Payer(world, "w", chance)
        payer.begin()
        is_quiet = False

        def between() -> None:
            if is_quiet:
                return
            standby = chance.choice(place.replication.standbys)
            chance.choice([standby.pause, standby.resume, standby.resume])()
            if chance.random() < 0.4:
                payer.step()

        apps = [kind(world, member, chance.choice([4, 15]), between) for kind in APPS for member in payer.members]
        before = place.answered
        for _ in range(10):
            payer.step()
            chance.choice(apps).sync()
        is_quiet = True
        for app in apps:
            app.sync()
        shown = {member: served_now(world, member) for member in payer.members}
        assert [told for app in apps for told in differences(app, expected(app, shown[app.patient]))] == []
        assert place.answered > before
        assert sum(replica.behind for replica in place.replicas) > 0
        for standby in place.replication.standbys:
            standby.resume()


@dataclass(frozen=True, slots=True)
class Wandering(World):
    """Each request goes to any of several workers."""

    workers: list[Served]
    chance: random.Random

    def get(self, patient: str, target: str, **headers: str) -> Reply:
        """A GET as a member."""
        return self.chance.choice(self.workers).get(target, self.token(patient), **headers)
