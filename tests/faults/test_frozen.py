"""Engines that are stopped without knowing it (a laptop's lid, SIGSTOP, a paused container) and go on later."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from batchframe.store.database import _SESSION
from tests.faults import jobs
from tests.faults.cases import under_way
from tests.faults.child import Site
from tests.faults.conftest import World, Worlds
from tests.faults.engines import EngineProcess, finish
from tests.faults.failpoints import Armed
from tests.faults.scenarios import SCENARIOS
from tests.faults.workers import REPORT
from tests.judging import judge

IMPATIENT = {
    "batchframe.store.database._SESSION": {**_SESSION, "idle_in_transaction_session_timeout": "2s"},
    "batchframe.store.database._TRANSACTION_SECONDS": 4,
}
"""The server's patience with a frozen process: a test does not wait for minutes."""

WINDOW = Armed("create: before", "freeze")
"""The one window no client can close: the intent is committed, the call not yet sent."""


@dataclass(frozen=True)
class Frozen:
    """Where an engine freezes for longer than its lease."""

    scenario: str
    failpoint: str

    def __str__(self) -> str:
        return f"{self.scenario}-{self.failpoint}"


# Scenarios of one batch: of several, another might be in the window when the process freezes.
PLACES = [
    Frozen("refused at first", "engine._claim_due: before commit"),
    Frozen("refused at first", "engine._claim_due: after commit"),
    Frozen("refused at first", "engine._plan_step: after commit"),
    Frozen("refused at first", "upload: before"),
    Frozen("refused at first", "upload: after"),
    Frozen("refused at first", "steps._advance (uploaded): after commit"),
    Frozen("refused at first", "steps._intend (intent): after commit"),
    Frozen("refused at first", "create: after"),
    Frozen("refused at first", "steps._advance (accepted): after commit"),
    Frozen("refused at first", "poll: after"),
    Frozen("refused at first", "fetch: after"),
    Frozen("refused at first", "settling.job (ended): before commit"),
    Frozen("refused at first", "settling.results (ended): after commit"),
    Frozen("answer lost", "find: after"),
    Frozen("call lost", "steps._advance (absent): after commit"),
    Frozen("late", "steps._intend (asked): after commit"),
]


def impatient(world: World) -> Site:
    """The site of an engine that will be frozen, perhaps inside a transaction of another of its threads."""
    return dataclasses.replace(world.site, patches=IMPATIENT)


@pytest.fixture(scope="module")
def played(worlds: Worlds, request: pytest.FixtureRequest) -> Iterator[dict[Frozen, Future[None]]]:
    """The selected cases, under way."""

    def play(case: Frozen) -> None:
        with worlds() as world:
            SCENARIOS[case.scenario].submit(world.database, world.site, world.simulator)
            with EngineProcess(impatient(world), Armed(case.failpoint, "freeze")) as frozen:
                frozen.wait_until_hit()
                finish(world.site)
                frozen.thaw()
                frozen.wait_well()
            judge(world.database, world.simulator)

    with under_way(request, Frozen, play) as cases:
        yield cases


@pytest.mark.parametrize("case", PLACES, ids=str)
def test_a_frozen_engine_wakes_and_changes_nothing(case: Frozen, played: dict[Frozen, Future[None]]) -> None:
    """Another has finished its work meanwhile; what it still writes or sends must not count."""
    played[case].result()


def test_a_call_from_the_window_is_cancelled_and_reported(world: World) -> None:
    """The duplicate is stopped before it answers anything, and somebody is told."""
    jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
    with EngineProcess(impatient(world), WINDOW) as frozen:
        frozen.wait_until_hit()
        finish(world.site)
        world.simulator.settings.duration = 3600
        frozen.thaw()
        ended = frozen.wait()
    assert ended.report is not None
    assert REPORT in "\n".join(ended.report.log)
    world.simulator.wait_for(lambda seen: [batch.status for batch in seen.batches] == ["completed", "cancelled"])
    judge(world.database, world.simulator)


def test_what_a_call_from_the_window_answered_is_paid_twice_and_no_more(world: World) -> None:
    """A provider that is faster than the cancellation: the named exception, as large as the batch and no larger."""
    jobs.submit(world.database, world.site, [f"row number {n}" for n in range(5)])
    with EngineProcess(impatient(world), WINDOW) as frozen:
        frozen.wait_until_hit()
        finish(world.site)
        jobs.submit(world.database, world.site, [f"row number {n}" for n in range(5, 9)])
        frozen.thaw()
        ended = frozen.wait()
    assert ended.report is not None
    assert REPORT in "\n".join(ended.report.log)
    world.simulator.wait_for(lambda seen: all(batch.ended for batch in seen.batches))
    assert judge(world.database, world.simulator, twice=5).twice == 5


def test_a_call_from_the_window_that_lands_within_the_grace_is_adopted(worlds: Worlds) -> None:
    """Frozen past its lease but not past the grace: the other engine waits, finds the batch, and all is paid once."""
    with worlds(grace_seconds=600.0) as world:
        jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
        with EngineProcess(impatient(world), WINDOW) as frozen:
            frozen.wait_until_hit()
            with EngineProcess(world.site) as other:
                world.simulator.wait_for(lambda seen: seen.ledger.calls["batches.list"] > 2, timeout=60)
                frozen.thaw()
                assert (frozen.wait().status, other.wait().status) == (0, 0)
        assert world.simulator.ledger.calls["batches.create"] == 1
        judge(world.database, world.simulator)


def test_a_transaction_frozen_halfway_does_not_hold_up_the_others(worlds: Worlds) -> None:
    """It holds the job's row: without a limit on idle transactions nobody could plan for as long as it sleeps."""
    with worlds() as world:
        jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
        with EngineProcess(impatient(world), Armed("engine._plan_step: before commit", "freeze")) as frozen:
            frozen.wait_until_hit()
            finish(world.site)
            with world.database.transaction() as connection:
                assert connection.execute(text("SELECT closed_at IS NOT NULL FROM job")).scalar()
            frozen.thaw()
            frozen.wait_well()
        judge(world.database, world.simulator)
