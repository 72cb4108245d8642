"""The promise under anything in any order: over the pure core alone, and over the engine's own steps and Postgres."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from batchframe.store.database import Database
from tests.faults.books import World
from tests.faults.in_memory import Memory
from tests.faults.in_postgres import Postgres
from tests.faults.promise import Promise
from tests.faults.remote import Mood

PROFILE = settings(
    derandomize=True, database=None, deadline=None, stateful_step_count=40, suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False, phases=[Phase.generate],
)  # fmt: skip


@pytest.fixture
def over_postgres(database: Database, tmp_path: Path) -> Iterator[type[Promise]]:
    """The machine over this test's database."""
    with database.transaction() as connection:  # durability is not what is asked here, and costs most of the time
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    database.close()  # its next connections have the setting
    with asyncio.Runner() as runner:

        class OverPostgres(Promise):
            def make(self) -> World:
                return Postgres(database, tmp_path, runner)

        yield OverPostgres


class InMemory(Promise):
    """The machine over the pure core."""

    def make(self) -> World:
        return Memory()


def test_by_the_core_alone_every_row_is_paid_once_and_every_job_ends() -> None:
    """A rule that loses a row in some order of faults is wrong whatever the store does; here many orders are tried."""
    run_state_machine_as_test(InMemory, settings=settings(PROFILE, max_examples=300))


def test_over_postgres_every_row_is_paid_once_and_every_job_ends(over_postgres: type[Promise]) -> None:
    """Some order of faults nobody thought of would lose a row, pay for it twice, or leave its job open for ever."""
    run_state_machine_as_test(over_postgres, settings=settings(PROFILE, max_examples=15))


def test_an_engine_that_calls_again_blindly_is_found_out() -> None:
    """A machine that finds nothing wrong with this would find nothing wrong with anything."""

    class Blind(InMemory):
        @precondition(lambda self: self.remote.batches and not self.frozen)
        @rule()
        def call_again(self) -> None:
            _call_again_blindly(self)

    # A batch that is made again is billed again, or its first answers are never fetched.
    with pytest.raises(AssertionError, match=r"rows (billed twice, or about to be|that were paid for)"):
        run_state_machine_as_test(Blind, settings=settings(PROFILE, max_examples=1000))


@pytest.mark.parametrize("world", ["memory", "postgres"])
def test_the_order_of_events_that_pays_twice_is_convicted(world: str, over_postgres: type[Promise]) -> None:
    """The shortest one, so that both worlds show it: an answer that is lost, and a call that is made again."""
    machine = InMemory() if world == "memory" else over_postgres()
    machine.submit(n_rows=2, at_deadline=None)
    machine.claim(engine=0)
    machine.step(pick=0, mood=Mood.WELL, hides=False)
    machine.step(pick=0, mood=Mood.LOST, hides=False)
    machine.nothing_is_paid_twice()
    _call_again_blindly(machine)
    machine.claim(engine=0)
    machine.step(pick=0, mood=Mood.WELL, hides=False)
    with pytest.raises(AssertionError, match="rows billed twice, or about to be"):
        machine.nothing_is_paid_twice()
    machine.world.close()


def _call_again_blindly(machine: Promise) -> None:
    machine.world.call_again_blindly()
    for id_ in machine.held:
        machine.world.expire(id_)
    machine.held.clear()


@pytest.mark.parametrize("world", ["memory", "postgres"])
@pytest.mark.parametrize("stop", ["cancel", "deadline_passes"])
def test_a_call_sent_after_its_job_was_stopped_is_cancelled(
    world: str, over_postgres: type[Promise], stop: str
) -> None:
    """The batch is given up for good, and nobody looks for it again: what the frozen engine makes would run on."""
    machine = InMemory() if world == "memory" else over_postgres()
    machine.submit(n_rows=2, at_deadline="realtime")
    machine.claim(engine=0)
    machine.step(pick=0, mood=Mood.WELL, hides=False)
    machine.step(pick=0, mood=Mood.FREEZES, hides=False)
    getattr(machine, stop)(pick=0)
    machine.plan(pick=0)
    machine.grace_passes(pick=0, engine=1)
    for _ in ("creating", "unsure"):
        machine.step(pick=0, mood=Mood.WELL, hides=False)
    machine.frozen_engine_wakes(pick=0, mood=Mood.WELL, hides=False)
    assert [made.status for made in machine.remote.batches.values()] == ["cancelling"]
    machine.teardown()
