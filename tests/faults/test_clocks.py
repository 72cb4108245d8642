"""Clocks that disagree: only the database's own time decides anything."""

import pytest

from tests.faults import clocks, jobs
from tests.faults.conftest import World, Worlds
from tests.faults.engines import EngineProcess, finish
from tests.faults.failpoints import Armed
from tests.judging import judge

CLOCKS = [clocks.ahead, clocks.behind]


@pytest.mark.parametrize("clock", CLOCKS, ids=["ahead", "behind"])
def test_an_engine_whose_clock_is_an_hour_off_pays_once(worlds: Worlds, clock: object) -> None:
    """It must neither take over what is held nor give up what was just called."""
    # A busy machine lets a call land late, too: landing and listing lag together must stay under the grace.
    with worlds(patches={"time.time": clock}, grace_seconds=4.0) as world:
        world.simulator.faults.on("batches.create", "reset_after")
        world.simulator.settings.list_lag = 0.5
        world.simulator.faults.row("row number 3", status=500, times=1)
        jobs.submit(world.database, world.site, [f"row number {n}" for n in range(12)])
        with EngineProcess(world.site, Armed("create: after", "exit")) as engine:
            engine.wait()
        finish(world.site)
        # Not the calls: one that dies while it is being sent is seen to come, and takes no effect.
        assert len(world.simulator.batches) == 4
        judge(world.database, world.simulator)


@pytest.mark.parametrize("clock", CLOCKS, ids=["ahead", "behind"])
def test_a_provider_whose_clock_is_an_hour_off_hides_nothing(world: World, clock: object) -> None:
    """A listing is read by time: read too short, it would hide the batch, and buy it again."""
    world.simulator._account.clock = clock  # type: ignore[assignment]
    world.simulator.settings.foreign_batches = 450
    world.simulator.faults.on("batches.create", "reset_after")
    jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
    finish(world.site)
    assert len(world.simulator.batches) == 1
    judge(world.database, world.simulator)
