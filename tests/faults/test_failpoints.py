"""Every step of the engine, failing in every way at every point where it can: another engine finishes, nothing is lost,
nothing is paid twice.

The failpoints were found by letting engines run through the scenarios; `COMMITTED` is that list. The cases run a few at
a time; each test waits for its own. Leases are long, and ended by the test once the fault has happened: a short one
runs out too early when the machine is busy, and the engine never comes to the step in question.
"""

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from batchframe.core.states import Event
from batchframe.engine import asking, engine, leases, settling, steps
from tests.faults.cases import under_way
from tests.faults.conftest import World, Worlds
from tests.faults.engines import EngineProcess, finish
from tests.faults.failpoints import ACTIONS, EXIT_STATUS, Armed
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.judging import judge

COMMITTED: dict[str, tuple[str, ...]] = {
    "refused at first": (
        "engine._claim_due",
        "engine._due_jobs",
        "leases.give_back",
        "engine._next_due",
        "engine._plan_step",
        "settling.results (ended)",
        "settling.job (ended)",
        "steps._advance (accepted)",
        "steps._advance (ended)",
        "steps._affords (planned)",
        "steps._advance (refused)",
        "steps._advance (uploaded)",
        "steps._intend (intent)",
        "steps._later (uploaded)",
        "steps._write_input (planned)",
        "create",
        "fetch",
        "poll",
        "upload",
    ),
    "answer lost": ("steps._advance (doubt)", "steps._advance (found)", "find"),
    "call lost": ("steps._advance (absent)", "steps._later (unsure)"),
    "upload refused": ("settling._give_up (planned)", "settling.job (planned)"),
    "create refused": ("settling._give_up (creating)", "settling.job (creating)"),
    "queue full": ("settling._give_up (submitted)", "steps._later (submitted)", "steps._queue_full (submitted)"),
    "queue refuses": ("steps._queue_full (creating)",),
    "invalid line": ("settling.invalid (submitted)", "settling.job (submitted)"),
    "late": (
        "ask",
        "asking._end (asking)",
        "asking.read (planned)",
        "asking._record (asking)",
        "steps._intend (asked)",
    ),
    "cut download": ("steps._later (ended)",),
    "cancelled at work": ("cancel",),
    "cancelled while refused": ("settling._give_up (uploaded)", "settling.job (uploaded)"),
    "cancelled in doubt": ("settling._give_up (unsure)", "settling.job (unsure)"),
}
"""The steps an engine takes, each under a scenario that leads to it."""

LOOKS = frozenset({"asking.read", "engine._due_jobs", "engine._next_due", "settling.job"})
"""Transactions that write nothing: there is no difference between the two sides of their commit."""

AGAIN = {"create", "upload", "fetch", "settling.results (ended)", "steps._advance (accepted)", "engine._claim_due"}
"""Steps that also fail at their third time, in a job of several batches that are all on their way."""

ELSEWHERE = frozenset({"steps._cancel_if_orphaned", "asking.not_asked", "asking.lost"})
"""What only follows on a failure: `test_frozen.py` has two of them, the last test of this file the third."""

BY_TIME = frozenset({"leases._renew"})
"""Steps that only come with time; `test_frozen.py` is about leases."""

PATIENT = {"lease_seconds": 30.0, "grace_seconds": 2.0}


@dataclass(frozen=True)
class Case:
    """A scenario and the fault in it."""

    scenario: str
    armed: Armed

    def __str__(self) -> str:
        return f"{self.scenario}-{self.armed.name}-{self.armed.nth}-{self.armed.action}".replace(": ", " ")


def _cases() -> Iterator[Case]:
    for scenario, its_steps in COMMITTED.items():
        for step in its_steps:
            for failpoint in _sides(step):
                yield from (Case(scenario, Armed(failpoint, action)) for action in ACTIONS)
    for step in AGAIN:
        for failpoint in _sides(step):
            yield from (Case("rows that fail", Armed(failpoint, action, nth=3)) for action in ("exit", "lost"))


def _sides(step: str) -> list[str]:
    if "." not in step:
        return [f"{step}: before", f"{step}: after"]
    looks = step.partition(" ")[0] in LOOKS
    return [f"{step}: before commit", *([] if looks else [f"{step}: after commit"])]


def _play(world: World, scenario: Scenario, armed: Armed | None) -> Counter[str]:
    """One case; the failpoints passed by an engine that came to its end."""
    job_id = scenario.submit(world.database, world.site, world.simulator)
    with EngineProcess(world.site, armed) as engine:
        scenario.cancel(world.database, job_id, world.simulator)
        ended = engine.wait(time_passes=world.end_leases)
    assert ended.status == (EXIT_STATUS if armed and armed.action == "exit" else 0)
    log = "\n".join(ended.report.log if ended.report else [])
    if armed is not None:
        assert ended.hit, f"the engine never came to {armed.name}"
        world.end_leases()
        finish(world.site)
    judge(world.database, world.simulator, lost=scenario.lost if armed else 0)
    assert "unexpected" not in log, log
    return ended.report.passed if ended.report else Counter()


@pytest.fixture(scope="module")
def played(worlds: Worlds, request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[None]]]:
    """The selected cases, under way."""

    def play(case: Case) -> None:
        with worlds(**PATIENT) as world:
            _play(world, SCENARIOS[case.scenario], case.armed)

    with under_way(request, Case, play) as cases:
        yield cases


@pytest.mark.parametrize("case", list(_cases()), ids=str)
def test_an_engine_that_fails_there_is_finished_by_the_next(case: Case, played: dict[Case, Future[None]]) -> None:
    """Whatever an engine was doing when it died or lost its connection, its rows come home and are paid for once."""
    played[case].result()


def test_the_failpoints_are_the_committed_ones(worlds: Worlds) -> None:
    """A step that was added without its tests would be the one that loses rows."""

    def record(name: str) -> set[str]:
        with worlds(**PATIENT) as world:
            return {failpoint.rpartition(":")[0] for failpoint in _play(world, SCENARIOS[name], None)} - BY_TIME

    with ThreadPoolExecutor(4) as pool:
        passed = dict(zip(SCENARIOS, pool.map(record, SCENARIOS), strict=True))
    assert set().union(*passed.values()) == {step for each in COMMITTED.values() for step in each}
    for scenario, its_steps in COMMITTED.items():
        assert set(its_steps) <= passed[scenario], f"{scenario} no longer comes to {set(its_steps) - passed[scenario]}"


@pytest.mark.parametrize("module", [asking, engine, leases, settling, steps], ids=lambda module: module.__name__)
def test_every_transaction_of_the_engine_is_a_failpoint(module: object) -> None:
    """The scenarios must not miss a transaction that exists in the code."""
    known = {step.partition(" ")[0] for each in COMMITTED.values() for step in each} | BY_TIME
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    opened = {
        f"{module.__name__.rpartition('.')[2]}.{function.name}"  # type: ignore[attr-defined]
        for owner in ast.walk(tree) if isinstance(owner, ast.ClassDef)
        for function in owner.body if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        if any(isinstance(node, ast.Attribute) and node.attr == "transaction" for node in ast.walk(function))
    }  # fmt: skip
    assert opened - known <= ELSEWHERE


def test_every_event_happens_in_a_scenario() -> None:
    """An event that no scenario leads to is a move nobody has seen fail."""
    words = " ".join(step for each in COMMITTED.values() for step in each)
    others = {
        Event.INTENT: "_intend",
        Event.QUEUE_FULL: "_queue_full",
        Event.FETCHED: "results",
        Event.GIVEN_UP: "_give_up",
        Event.ANSWERED: "asking._end",
    }
    for event in Event:
        assert others.get(event, f"({event})") in words


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("side", ["before commit", "after commit"])
def test_lost_answers_are_reported_though_the_reporter_fails_too(world: World, action: str, side: str) -> None:
    """Rows that were asked in real time by an engine that died must not be forgotten, nor asked again."""
    SCENARIOS["late"].submit(world.database, world.site, world.simulator)
    for armed in (Armed("ask: after", "exit"), Armed(f"asking.lost (asking): {side}", action)):
        with EngineProcess(world.site, armed) as engine:
            assert engine.wait(time_passes=world.end_leases).hit
        world.end_leases()
    finish(world.site)
    judge(world.database, world.simulator, lost=3)
