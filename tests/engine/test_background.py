"""The engine's thread."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable

import pandas as pd
import pytest

import batchframe as bf
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator


def test_a_session_that_is_closed_leaves_no_thread_and_no_lease(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """The next engine goes on at once instead of waiting for a lease to run out."""
    simulator.settings.duration = 3600
    session = connect(lease_seconds=3600)
    twenty.llm.batch("{text}", model="m", name="left")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    session.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "batchframe-engine"]
    simulator.settings.duration = 0
    connect(lease_seconds=3600)
    assert set(bf.job("left").wait(30, progress=False)["response__status"]) == {"ok"}


def test_an_engine_that_was_stopped_starts_again(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """With a client of its own: the old one is closed."""
    twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    session.background.stop()
    assert set(twenty.llm.batch("{text}!", model="m").wait(30, progress=False)["response__status"]) == {"ok"}


def test_an_engine_that_is_just_ending_is_not_taken_for_a_running_one(
    session: bf.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken instead of started anew, it would leave the job to nobody."""
    close = OpenAIProvider.close
    ending, go = threading.Event(), threading.Event()

    async def slow(self: OpenAIProvider) -> None:
        ending.set()
        await asyncio.to_thread(go.wait, 20)
        await close(self)

    monkeypatch.setattr(OpenAIProvider, "close", slow)
    background = session.background
    background.start()
    before = background._thread
    assert background._loop is not None
    assert background._main is not None
    background._loop.call_soon_threadsafe(background._main.cancel)
    assert ending.wait(20)
    starting = threading.Thread(target=background.start)
    starting.start()
    go.set()
    starting.join(20)
    assert background._thread is not before
    assert background._thread is not None
    assert background._thread.is_alive()


def test_a_process_that_ends_with_an_open_job_says_nothing(
    database_url: str, simulator: Simulator, tmp_path: object
) -> None:
    """No noise at kernel shutdown, whatever the engine is doing."""
    simulator.settings.duration = 3600
    script = f"""
import pandas as pd, batchframe as bf
bf.connect(database_url={database_url!r}, home={str(tmp_path)!r}, openai_api_key="k",
           openai_base_url={simulator.base_url!r}, poll_seconds=0.01, poll_max_seconds=0.01)
pd.DataFrame({{"text": map(str, range(1000))}}).llm.batch("{{text}}", model="m")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout + ended.stderr == ""
