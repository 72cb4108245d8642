"""Connections that break in the middle of things: at every statement an engine sends, within its COPYs, at its commits.

Unlike the failpoints' "lost", these are real: the server ends the connection before the statement is sent, or carries
the statement out and its answer finds no connection. The engine lives on and finishes its job by itself. At the commits
this is "lost after commit" once more, but as the driver and its pool see it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest
from sqlalchemy import text

from tests.faults import jobs
from tests.faults.cases import under_way
from tests.faults.conftest import World, Worlds
from tests.faults.cuts import SIDES, lose_the_answer
from tests.faults.engines import EngineProcess
from tests.faults.failpoints import Armed
from tests.faults.scenarios import SCENARIOS
from tests.faults.test_failpoints import COMMITTED, LOOKS
from tests.judging import judge

SMALL_WRITES = {"batchframe.store.copying._ROWS_PER_WRITE": 2}
"""So that a COPY of a few rows takes several writes."""

RENEWS = "AS held(id, token)"
"""What tells the statement that renews leases."""

_AT_ONCE = 8
"""With more, an engine may be starved for longer than its lease, and take another way than the one to be cut."""

RICH = ("rows that fail", "late", "refused at first")
"""Scenarios whose engines send, between them, nearly every statement; those that are played sooner come later."""


@dataclass(frozen=True)
class Commit:
    """A transaction whose commit is carried out, and nobody hears of it."""

    scenario: str
    step: str

    def __str__(self) -> str:
        return f"{self.scenario}-{self.step}"


COMMITS = [
    Commit(scenario, step)
    for scenario, its_steps in COMMITTED.items()
    for step in its_steps
    if "." in step and step.partition(" ")[0] not in LOOKS
]


def play(worlds: Worlds, scenario: str, armed: Armed | None) -> set[str]:
    """One engine works through a scenario and survives what happens to it; the statements it sent."""
    # What is asked in real time and loses its lease to a busy machine is given up before it comes to all it should.
    lease = 3.0 if SCENARIOS[scenario].late else 1.0
    with worlds(patches=SMALL_WRITES, lease_seconds=lease) as world:
        if armed and RENEWS in armed.name:
            world.simulator.faults.on("files.create", "late", seconds=2 * lease)  # a renewal comes only with time
        job_id = SCENARIOS[scenario].submit(world.database, world.site, world.simulator)
        sent = survive(world, armed, lambda: SCENARIOS[scenario].cancel(world.database, job_id, world.simulator))
        judge(world.database, world.simulator, lost=SCENARIOS[scenario].lost if armed else 0)
    return sent


def survive(world: World, armed: Armed | None, meanwhile: Callable[[], None] = lambda: None) -> set[str]:
    """Let one engine work until no job is open, whatever happens to it; the statements it sent."""
    with EngineProcess(world.site, armed) as engine:
        meanwhile()
        ended = engine.wait()
    assert ended.status == 0
    assert ended.report is not None
    assert ended.hit == (armed is not None), f"the engine never came to {armed}"
    log = "\n".join(ended.report.log)
    assert "unexpected;" not in log, log
    assert "Traceback" not in log, log
    return set(ended.report.sent)


@pytest.fixture(scope="module")
def statements(worlds: Worlds) -> dict[str, str]:
    """The statements that engines send, each with a scenario in which they do."""
    with ThreadPoolExecutor(len(RICH)) as pool:
        sent = zip(RICH, pool.map(lambda name: play(worlds, name, None), RICH), strict=True)
        return {name: scenario for scenario, names in sent for name in names}


@pytest.mark.parametrize("side", SIDES)
def test_a_connection_that_breaks_at_a_statement_costs_nothing(
    worlds: Worlds, statements: dict[str, str], side: str
) -> None:
    """An engine that dies of it, or forgets a batch over it, would need a person for what a network does every day."""
    armed = {Armed(name, side): scenario for name, scenario in statements.items()}
    assert len(armed) > 40
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        played = {each: pool.submit(play, worlds, scenario, each) for each, scenario in armed.items()}
    broken = {each.name: error for each, future in played.items() if (error := future.exception())}
    assert not broken, "\n\n".join(f"{name}\n{error}" for name, error in broken.items())


def test_a_copy_that_breaks_off_while_it_is_read_is_read_again(world: World, statements: dict[str, str]) -> None:
    """Half of the input file is written when the connection goes: that half must not be what is sent."""
    a_line_read = next(name for name in statements if "custom_id" in name and name.endswith(": read"))
    # Too long for what is buffered on the way, so that Postgres is still sending.
    jobs.submit(world.database, world.site, [f"row number {n} " + "word " * 100_000 for n in range(4)])
    survive(world, Armed(a_line_read, "cut"))
    assert world.simulator.ledger.calls["files.create"] == 1
    judge(world.database, world.simulator)


def test_the_harness_lets_the_commit_arrive_whose_answer_it_loses(world: World) -> None:
    """If it lost the commit instead, the cases below would show nothing."""
    with psycopg.connect(**world.database.connect_arguments()) as connection:
        connection.execute("INSERT INTO quota (provider, model) VALUES ('p', 'm')")
        lose_the_answer(connection)
        with pytest.raises(psycopg.OperationalError):
            connection.commit()

    def there() -> bool:
        with world.database.transaction() as looking:
            return looking.execute(text("SELECT count(*) FROM quota")).scalar_one() == 1

    world.wait_for(there)


@pytest.fixture(scope="module")
def committed(worlds: Worlds, request: pytest.FixtureRequest) -> Iterator[dict[Commit, Future[set[str]]]]:
    """The selected cases, under way."""

    def lose(case: Commit) -> set[str]:
        return play(worlds, case.scenario, Armed(f"{case.step}: before commit", "answer lost"))

    with under_way(request, Commit, lose) as cases:
        yield cases


@pytest.mark.parametrize("case", COMMITS, ids=str)
def test_a_commit_nobody_hears_of_is_not_made_twice(case: Commit, committed: dict[Commit, Future[set[str]]]) -> None:
    """It reached Postgres, and the engine takes it for lost: what it does next must not pay or write anew."""
    committed[case].result()
