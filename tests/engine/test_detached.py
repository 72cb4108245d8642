"""The worker that a notebook leaves behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.config import load_settings
from batchframe.engine.detached import Detached
from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.judging import paid_once

LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"

NOTEBOOK = """
import os, sys
import pandas as pd
import batchframe as bf
bf.connect(worker="process")
pd.DataFrame({"text": [f"row {n}" for n in range(20)]}).llm.batch("{text}", model="m", name="left")
print("submitted", flush=True)
os.kill(os.getpid(), 9)
"""


def workers_of(database: Database) -> int:
    """How many workers hold the lock."""
    with database.transaction() as connection:
        return int(connection.execute(text(LOCKS)).scalar_one())


@pytest.fixture
def waited_for(simulator: Simulator, database: Database) -> Iterator[None]:
    """No worker outlives its test."""
    yield
    simulator.wait_for(lambda _: workers_of(database) == 0)


@pytest.mark.usefixtures("waited_for")
def test_a_job_goes_on_when_its_notebook_is_killed_and_the_worker_stops_after_it(
    connect: Callable[..., bf.Session], environment: dict[str, str], simulator: Simulator, database: Database
) -> None:
    """Nobody has to keep a kernel open overnight, and nothing is left running in the morning."""
    notebook = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert (notebook.returncode, notebook.stdout) == (-signal.SIGKILL, "submitted\n"), notebook.stderr
    simulator.wait_for(lambda _: _closed(database), 30)
    simulator.wait_for(lambda _: workers_of(database) == 0, 30)
    connect(openai_api_key=None)  # nobody here could go on with it
    assert set(bf.job("left").frame()["response__status"]) == {"ok"}
    assert paid_once(simulator, 20)


@pytest.mark.usefixtures("waited_for")
def test_two_notebooks_share_one_worker(
    connect: Callable[..., bf.Session], simulator: Simulator, database: Database, twenty: pd.DataFrame
) -> None:
    """A worker for each cell that was run would fill the machine."""
    simulator.settings.duration = 2.0
    for session in (connect(worker="process"), connect(worker="process")):
        job = twenty.llm.batch("{text}", model="m")
        assert isinstance(session.background, Detached)
        job.progress()
        simulator.wait_for(lambda _: workers_of(database) == 1, 30)
    assert job.wait(30, progress=False)["response"].tolist() == twenty["text"].tolist()
    assert paid_once(simulator, 20)


@pytest.mark.usefixtures("waited_for")
def test_a_worker_that_was_killed_is_replaced_while_somebody_waits(
    connect: Callable[..., bf.Session], simulator: Simulator, database: Database, twenty: pd.DataFrame
) -> None:
    """It is started like the thread: by whoever wants the answers."""
    simulator.settings.duration = 3600
    session = connect(worker="process", lease_seconds=1)
    job = twenty.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    assert isinstance(session.background, Detached)
    process = session.background._process
    assert process is not None
    process.kill()
    process.wait(10)
    simulator.settings.duration = 0
    assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}
    assert paid_once(simulator, 20)


def test_a_key_that_is_refused_is_said_in_the_notebook(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """In the worker's log nobody would read it."""
    simulator.faults.on("batches.list", "status", status=401)
    connect(worker="process")
    with pytest.raises(bf.ProviderError):
        twenty.llm.batch("{text}", model="m")
    assert bf.jobs().empty


def test_the_environment_of_a_worker_gives_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said in `bf.connect` must not be lost on the way; also the secrets."""
    given = load_settings(
        openai_api_key="sk-1", database_url="postgresql://u:p@h/d", poll_seconds=0.5, worker="process", home="~/x",
        openai_organization="org", openai_base_url="http://h/v1",
    )  # fmt: skip
    for name, value in given.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == given


def _closed(database: Database) -> bool:
    with database.transaction() as connection:
        return bool(connection.execute(text("SELECT closed_at IS NOT NULL FROM job")).scalar())
