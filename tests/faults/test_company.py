"""Two and three engines at work on one job while one of them fails: they neither lose rows nor do anything twice."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.faults import jobs
from tests.faults.cases import under_way
from tests.faults.conftest import Worlds
from tests.faults.engines import EngineProcess, finish
from tests.faults.failpoints import Armed
from tests.judging import judge

POINTS = [
    "engine._claim_due: after commit",
    "engine._plan_step: before commit",
    "upload: after",
    "steps._intend (intent): after commit",
    "create: before",
    "create: after",
    "steps._advance (accepted): before commit",
    "poll: after",
    "fetch: after",
    "settling.results (ended): before commit",
    "settling.results (ended): after commit",
]


@dataclass(frozen=True)
class Company:
    """How many engines there are, and what happens to the first."""

    engines: int
    armed: Armed

    def __str__(self) -> str:
        return f"{self.engines}-{self.armed.name}-{self.armed.action}".replace(": ", " ")


COMPANIES = [Company(n, Armed(point, action)) for n in (2, 3) for point in POINTS for action in ("exit", "cancel")]


@pytest.fixture(scope="module")
def played(worlds: Worlds, request: pytest.FixtureRequest) -> Iterator[dict[Company, Future[None]]]:
    """The selected cases, under way."""

    def play(case: Company) -> None:
        # Others take over at once what a busy machine merely delays: the grace is what must not run out then.
        with worlds(batch_max_requests=2, grace_seconds=3.0) as world, ExitStack() as stack:
            world.simulator.faults.row("row number 3", status=500, times=1)
            world.simulator.faults.batch(skip=2, expire_after=0.5)
            jobs.submit(world.database, world.site, [f"row number {n}" for n in range(20)])
            first = stack.enter_context(EngineProcess(world.site, case.armed))
            # With a batch in its hands it will come to its failpoint, whatever the others take.
            world.wait_for(lambda: world.simulator.ledger.calls["files.create"] or not first.is_alive())
            others = [stack.enter_context(EngineProcess(world.site)) for _ in range(case.engines - 1)]
            ended = first.wait()
            for other in others:
                other.wait_well()
            finish(world.site)
            judge(world.database, world.simulator)
            assert ended.hit, "the engine never came to its failpoint"

    with under_way(request, Company, play) as cases:
        yield cases


@pytest.mark.parametrize("case", COMPANIES, ids=str)
def test_the_others_go_on_when_one_fails(case: Company, played: dict[Company, Future[None]]) -> None:
    """A notebook and its workers share one database; the death of one is nothing to the rest."""
    played[case].result()
