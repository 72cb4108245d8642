"""Connections that are open and dead: nothing comes, nobody says so, and later all of it comes at once."""

import dataclasses
from urllib.parse import urlsplit

import pytest
from sqlalchemy import make_url

from tests.faults import jobs
from tests.faults.child import Site
from tests.faults.conftest import World, Worlds
from tests.faults.door import Door
from tests.faults.engines import EngineProcess, finish
from tests.faults.test_frozen import IMPATIENT
from tests.judging import judge

TIMEOUTS = {"batchframe.providers.openai._TIMEOUT": 0.5, "batchframe.providers.openai._TRANSFER_TIMEOUT": 0.5}
CALLS = {
    "upload": b"POST /v1/files",
    "create": b"POST /v1/batches",
    "look": b"GET /v1/batches/",
    "download": b"/content",
}


def through(world: World, door: Door) -> Site:
    """The site of an engine that reaches its provider through a door."""
    return dataclasses.replace(world.site, base_url=f"http://127.0.0.1:{door.port}/v1")


def database_door(world: World) -> Door:
    """A door to the database's Unix socket."""
    query = make_url(world.site.database_url).query
    return Door(f"{query['host']}/.s.PGSQL.{query['port']}")


def behind(world: World, door: Door) -> Site:
    """The site of an engine that reaches its database through a door, and whose transactions the server ends early."""
    url = make_url(world.site.database_url).set(query={}, host="127.0.0.1", port=door.port)
    return dataclasses.replace(world.site, database_url=url.render_as_string(hide_password=False), patches=IMPATIENT)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_provider_that_falls_silent_in_a_call_is_given_up_and_asked_again(worlds: Worlds, call: bytes) -> None:
    """The create call that arrives when the connection thaws is found, not repeated."""
    with worlds(patches=TIMEOUTS, grace_seconds=4.0) as world:
        address = urlsplit(world.simulator.base_url)
        with Door((address.hostname or "", address.port or 0), freeze_on=call) as door:
            # The mark a job goes by is its provider's address, so the job is written for the door's.
            site = through(world, door)
            jobs.submit(world.database, site, [f"row number {n}" for n in range(4)])
            with EngineProcess(site) as engine:
                assert door.frozen.wait(60)
                world.wait_for(lambda: world.troubles() or "unsure" in world.states())
                door.thaw()
                engine.wait_well()
        assert world.simulator.ledger.calls["batches.create"] == 1
        judge(world.database, world.simulator)


@pytest.mark.parametrize("state", ["planned", "submitted"])
def test_an_engine_whose_database_froze_is_replaced_and_its_late_writes_are_refused(world: World, state: str) -> None:
    """What it had under way arrives long after another engine has finished the job."""
    world.simulator.settings.duration = 3600
    jobs.submit(world.database, world.site, [f"row number {n}" for n in range(12)])
    with database_door(world) as door, EngineProcess(behind(world, door)) as frozen:
        world.wait_for(lambda: state in world.states())
        door.freeze()
        world.simulator.settings.duration = 0
        finish(world.site)
        door.thaw()
        frozen.wait_well()
    judge(world.database, world.simulator)


@pytest.mark.parametrize("end", ["thaw", "cut"])
def test_an_engine_whose_every_thread_hangs_on_the_database_recovers(worlds: Worlds, end: str) -> None:
    """Calls that were given up still hold a thread each; with all of them taken, an engine must not starve for ever."""
    with worlds(lease_seconds=0.3) as world:
        world.simulator.settings.duration = 3600
        jobs.submit(world.database, world.site, [f"row number {n}" for n in range(12)])
        with database_door(world) as door, EngineProcess(behind(world, door)) as engine:
            world.wait_for(lambda: world.states() == ["submitted"] * 3)
            door.freeze()
            world.wait_for(lambda: engine.threads() >= 7)  # the event loop's own, and a pool of six
            world.simulator.settings.duration = 0
            getattr(door, end)()
            engine.wait_well()
        judge(world.database, world.simulator)
