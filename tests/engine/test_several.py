"""Several engines on one database: nobody waits for a poll, as long as Postgres carries notices."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.frame import job as job_module
from batchframe.simulator import Simulator
from batchframe.store import notices
from batchframe.store.database import Database
from tests.judging import paid_once

HOUR = 3600.0


@contextmanager
def worker(database: Database, url: str, simulator: Simulator, home: Path) -> Iterator[None]:
    """`batchframe worker` in a process of its own, once it listens; it would look by itself only every hour."""
    settings = {
        "BATCHFRAME_DATABASE_URL": url,
        "BATCHFRAME_HOME": str(home),
        "BATCHFRAME_POLL_SECONDS": "0.05",
        "BATCHFRAME_POLL_MAX_SECONDS": str(HOUR),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.base_url,
    }
    command = [sys.executable, "-m", "batchframe", "worker"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with database.transaction() as connection:
                # Postgres tells when; asking it is the only way to know.
                connection.execute(text("SELECT pg_sleep(0.05)"))
                connection.execute(text("SELECT pg_stat_clear_snapshot()"))
                listening = connection.execute(
                    text(
                        "SELECT count(*) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND query = 'LISTEN batchframe'"
                    )
                ).scalar()
            if listening:
                break
        else:
            pytest.fail("the worker does not listen")
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0


def submit_only(session: bf.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the work to others."""
    for name in ("start", "ensure", "check_providers"):
        monkeypatch.setattr(session.background, name, lambda: None)


def test_a_job_submitted_here_is_picked_up_there_at_once(
    connect: Callable[..., bf.Session],
    database: Database,
    database_url: str,
    simulator: Simulator,
    tmp_path: Path,
    twenty: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A notebook that is closed right after submitting must not wait for the worker's next look."""
    with worker(database, database_url, simulator, tmp_path / "worker"):
        submit_only(connect(), monkeypatch)
        job = twenty.llm.batch("{text}", model="m")
        assert set(job.wait(60, progress=False)["response__status"]) == {"ok"}
        assert paid_once(simulator, 20)


def test_a_cancellation_here_is_acted_on_there_at_once(
    connect: Callable[..., bf.Session],
    database: Database,
    database_url: str,
    simulator: Simulator,
    tmp_path: Path,
    twenty: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every minute a batch runs on is paid for."""
    simulator.settings.duration = HOUR
    with worker(database, database_url, simulator, tmp_path / "worker"):
        submit_only(connect(), monkeypatch)
        job = twenty.llm.batch("{text}", model="m")
        simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress", 30)
        with database.transaction() as connection:
            connection.execute(text("UPDATE batch SET step_at = now() + interval '1 h' WHERE owner IS NULL"))
        job.cancel()
        simulator.wait_for(lambda seen: seen.ledger.calls["batches.cancel"] == 1, 30)


def test_a_handle_here_sees_at_once_what_was_done_there(
    connect: Callable[..., bf.Session],
    database: Database,
    database_url: str,
    simulator: Simulator,
    tmp_path: Path,
    twenty: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`job.wait()` beside a worker returned up to a second late, and asked the database every second for a day."""
    monkeypatch.setattr(job_module, "_LOOK_SECONDS", HOUR)
    simulator.settings.duration = HOUR
    with worker(database, database_url, simulator, tmp_path / "worker"):
        with monkeypatch.context() as patched:
            submit_only(connect(), patched)
            twenty.llm.batch("{text}", model="m", name="elsewhere")
        # An engine that runs, listens and has nothing to do with this provider.
        here = connect(openai_base_url="http://127.0.0.1:9/v1")
        here.background.start()
        waits = threading.Semaphore(0)
        wait_for_change = here.background.wait_for_change

        def wait(seen: int, timeout: float) -> int:
            waits.release()
            return wait_for_change(seen, timeout)

        monkeypatch.setattr(here.background, "wait_for_change", wait)

        def finish() -> None:
            for _ in range(2):
                waits.acquire()
            simulator.settings.duration = 0.0
            with database.transaction() as connection:
                job_id = connection.execute(text("SELECT id FROM job")).scalar_one()
                connection.execute(text("UPDATE batch SET step_at = now()"))
                notices.notify(connection, job_id)

        finishing = threading.Thread(target=finish)
        finishing.start()
        with pytest.warns(UserWarning, match="this session has"):
            filled = bf.job("elsewhere").wait(60, progress=False)
        finishing.join()
        assert set(filled["response__status"]) == {"ok"}
