"""Several at one job: planners, notebooks that run the same cell, and people who interrupt them."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.core.packing import Limits
from batchframe.simulator import Simulator
from batchframe.store import planning
from batchframe.store.database import Database
from tests.faults import jobs
from tests.faults.conftest import World
from tests.faults.engines import finish
from tests.judging import judge

PROGRAM = "tests.faults.together"


def test_many_planners_place_every_row_once(world: World) -> None:
    """A row in two batches is paid twice; a row in none is lost."""
    job_id = jobs.submit(world.database, world.site, [f"row number {n}" for n in range(200)])

    def plan(_: int) -> None:
        for _ in range(60):
            with world.database.transaction() as connection:
                planning.plan(connection, job_id, Limits(5, 10**9), 60.0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(plan, range(4)))
    with world.database.transaction() as connection:
        placed, distinct = connection.execute(text("SELECT count(*), count(DISTINCT row_no) FROM attempt")).one()
    assert 20 < placed == distinct
    finish(world.site)
    judge(world.database, world.simulator)


def test_kernels_that_run_the_same_cell_at_once_share_one_job(
    database: Database, database_url: str, simulator: Simulator, tmp_path: Path
) -> None:
    """Two browser tabs, one notebook: one job, one payment, and both get every answer."""
    settings = {
        "BATCHFRAME_DATABASE_URL": database_url,
        "BATCHFRAME_HOME": str(tmp_path),
        "BATCHFRAME_POLL_SECONDS": "0.05",
        "BATCHFRAME_BATCH_MAX_REQUESTS": "40",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.base_url,
    }
    kernels = [
        subprocess.Popen(
            [sys.executable, "-m", PROGRAM, "300"],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for kernel in kernels:
            assert kernel.stdout is not None
            assert kernel.stdout.readline() == "ready\n"
        said = [kernel.communicate("\n", timeout=120)[0].split() for kernel in kernels]
    finally:
        for kernel in kernels:
            kernel.kill()
    assert {tuple(words[1:]) for words in said} == {("1", "300", "300")}
    assert judge(database, simulator).requests == 300


@pytest.fixture
def slow(connect: Callable[..., bf.Session], simulator: Simulator) -> bf.JobHandle:
    """A job that takes about two seconds, in many batches."""
    connect(batch_max_requests=10)
    simulator.settings.duration = 2.0
    return pd.DataFrame({"text": [f"row number {n}" for n in range(60)]}).llm.batch("{text}", model="m")


@pytest.fixture
def _heard() -> Iterator[None]:
    """Interrupts are heard, also in a process that a script has put into the background, where a shell mutes them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard")
def test_an_interrupt_at_any_moment_of_waiting_ends_the_waiting_alone(
    slow: bf.JobHandle, database: Database, simulator: Simulator
) -> None:
    """The stop button of a notebook must neither cancel the job, nor hang, nor leave a transaction behind."""
    moments = random.Random(1)
    # To this thread itself, as a terminal does: what another thread raises is seen at some later time.
    press = partial(signal.pthread_kill, threading.get_ident(), signal.SIGINT)
    interrupted = 0
    while slow.status == "running":
        stopper = threading.Timer(moments.uniform(0.0, 0.15), press)
        try:
            stopper.start()  # it may strike at once
            slow.wait(progress=False)
            stopper.join()  # done before it struck: it strikes here
        except KeyboardInterrupt:
            interrupted += 1
        stopper.join()
    assert interrupted > 5
    assert set(slow.wait(30, progress=False)["response__status"]) == {"ok"}
    judge(database, simulator)
    with database.transaction() as connection:
        left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        assert connection.execute(text(left)).scalar() == 0


def test_a_cancellation_at_any_moment_of_awaiting_ends_the_awaiting_alone(
    slow: bf.JobHandle, database: Database, simulator: Simulator
) -> None:
    """As with the stop button, for cells that await."""
    moments = random.Random(2)

    async def cell() -> int:
        cancelled = 0
        while slow.status == "running":
            try:
                async with asyncio.timeout(moments.uniform(0.0, 0.15)):
                    await slow
            except TimeoutError:
                cancelled += 1
        return cancelled

    assert asyncio.run(cell()) > 5
    assert set(slow.wait(30, progress=False)["response__status"]) == {"ok"}
    judge(database, simulator)
