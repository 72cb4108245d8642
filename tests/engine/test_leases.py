"""Leases: what an engine does that cannot renew them, or has lost one."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from sqlalchemy import Connection, text

import batchframe as bf
from batchframe.engine.engine import Engine
from batchframe.engine.settling import Settling
from batchframe.model import Batch
from batchframe.providers.base import RemoteBatch
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator
from batchframe.store import batches
from tests.judging import paid_once

STEAL = """
    UPDATE batch SET token = token + 1, owner = gen_random_uuid(), lease_until = now() + interval '1 hour'
"""


@pytest.fixture
def dropped() -> Iterator[threading.Event]:
    """Set when an engine says that another one has its batch."""
    said = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().endswith(("this one drops it", "was settled by another engine")):
                said.set()

    handler = Handler()
    logging.getLogger("batchframe").addHandler(handler)
    yield said
    logging.getLogger("batchframe").removeHandler(handler)


def engine_of(session: bf.Session) -> tuple[Engine, asyncio.AbstractEventLoop]:
    assert session.background._engine is not None
    assert session.background._loop is not None
    return session.background._engine, session.background._loop


def work_of(session: bf.Session) -> "asyncio.Task[None]":
    """The task of the one batch in hand."""
    engine, _ = engine_of(session)
    (work,) = engine._held.values()
    assert work.task is not None
    return work.task


def wait_for_end(session: bf.Session, task: "asyncio.Task[None]", timeout: float = 10.0) -> None:
    async def end() -> None:
        async with asyncio.timeout(timeout):
            await asyncio.wait([task])

    asyncio.run_coroutine_threadsafe(end(), engine_of(session)[1]).result()


def execute(session: bf.Session, statement: str) -> None:
    with session.database.transaction() as connection:
        connection.execute(text(statement))


def test_a_batch_that_another_engine_took_is_dropped_at_once(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame, dropped: threading.Event
) -> None:
    """Two engines would fetch and judge the same files; the second learnt it only when all was done."""
    session = connect(lease_seconds=1)
    simulator.faults.on("files.content", "late", seconds=60)
    job = twenty.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.ledger.calls["files.content"] == 1)
    task = work_of(session)
    execute(session, STEAL)
    wait_for_end(session, task)
    assert task.cancelled()
    assert dropped.is_set()
    execute(session, "UPDATE batch SET lease_until = now()")
    assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}
    assert paid_once(simulator, 20)


def test_a_create_call_whose_lease_is_lost_is_still_heard_to_its_end(
    connect: Callable[..., bf.Session],
    simulator: Simulator,
    twenty: pd.DataFrame,
    dropped: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dropped in the middle, the batch it made would run, and cost, without anybody knowing of it."""
    session = connect(lease_seconds=1)
    original = OpenAIProvider.create
    first = asyncio.Event()

    async def slow(self: OpenAIProvider, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        if first.is_set():
            return await original(self, input_file_id, endpoint, mark)
        first.set()
        # What another engine does meanwhile: takes over, finds nothing for the whole grace, gives the call up.
        execute(session, STEAL)
        execute(session, "UPDATE batch SET uid = gen_random_uuid(), state = 'planned', input_file_id = NULL")
        assert await asyncio.to_thread(dropped.wait, 10)
        simulator.settings.duration = 3600
        try:
            return await original(self, input_file_id, endpoint, mark)
        finally:
            simulator.settings.duration = 0
            execute(session, "UPDATE batch SET lease_until = now()")

    monkeypatch.setattr(OpenAIProvider, "create", slow)
    assert set(twenty.llm.batch("{text}", model="m").wait(30, progress=False)["response__status"]) == {"ok"}
    simulator.wait_for(lambda seen: seen.ledger.calls["batches.cancel"] == 1)


def test_an_engine_drops_its_work_before_its_leases_end_and_goes_on_when_the_database_is_back(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Another engine may take over the moment a lease ends; and nobody should have to restart a worker."""
    session = connect(lease_seconds=2)
    simulator.faults.on("files.create", "late", seconds=60)
    job = twenty.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.ledger.calls["files.create"] == 1)
    task = work_of(session)
    with session.database.transaction() as connection:
        connection.execute(text("LOCK TABLE batch IN ACCESS EXCLUSIVE MODE"))
        wait_for_end(session, task)
        assert task.cancelled()
        assert connection.execute(text("SELECT lease_until > clock_timestamp() FROM batch")).scalar() is True
        # Longer than the lease, as another engine would see it.
        connection.execute(
            text("SELECT pg_sleep(extract(epoch FROM lease_until - clock_timestamp()) + 0.5) FROM batch")
        )
    assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}
    assert paid_once(simulator, 20)


def test_work_that_hangs_cannot_keep_leases_from_being_renewed(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool for blocking calls has a handful of threads; renewing there waited for the slowest of them."""
    session = connect(lease_seconds=1)
    renewed = threading.Semaphore(0)
    original = batches.renew

    def renew(connection: Connection, *arguments: Any) -> set[int]:
        lost = original(connection, *arguments)
        renewed.release()
        return lost

    simulator.faults.on("files.create", "late", seconds=60)
    twenty.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.ledger.calls["files.create"] == 1)
    task = work_of(session)
    _, loop = engine_of(session)
    end = threading.Event()
    hanging: Future[None] = Future()

    def hang() -> None:
        for _ in range(64):
            loop.run_in_executor(None, end.wait)
        hanging.set_result(None)

    try:
        loop.call_soon_threadsafe(hang)
        hanging.result(10)
        monkeypatch.setattr(batches, "renew", renew)
        for _ in range(8):  # more than a lease
            assert renewed.acquire(timeout=10)
        assert not task.done()
    finally:
        end.set()


def test_an_engine_that_takes_over_its_own_batch_works_on_it_once(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that slept finds its own leases over, and claims before it renews; the old work then took the new
    one's place with it when it ended."""
    session = connect(lease_seconds=3600)
    simulator.faults.on("files.create", "late", seconds=60)
    job = twenty.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.ledger.calls["files.create"] == 1)
    task = work_of(session)
    execute(session, "UPDATE batch SET lease_until = now()")
    session.background.start()
    wait_for_end(session, task)
    assert task.cancelled()
    assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_engine_that_settles_a_settled_batch_drops_it(
    connect: Callable[..., bf.Session],
    simulator: Simulator,
    twenty: pd.DataFrame,
    dropped: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two engines may have the same results in hand; the one that comes second must not take it for a fault."""
    connect(lease_seconds=3600)
    original = Settling.results
    others: list[str] = []

    def settled_by_another(self: Settling, batch: Batch, files: Sequence[Path], **how: bool) -> None:
        if not others:
            others.append("settled")
            settled_by_another(self, batch, files, **how)
        original(self, batch, files, **how)

    monkeypatch.setattr(Settling, "results", settled_by_another)
    assert set(twenty.llm.batch("{text}", model="m").wait(30, progress=False)["response__status"]) == {"ok"}
    assert dropped.wait(10)
    assert "unexpected" not in caplog.text
    assert paid_once(simulator, 20)


def test_a_batch_nobody_will_adopt_is_cancelled_though_the_database_is_away_for_a_moment(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failed look used to be enough to leave it running, and paid."""
    session = connect(lease_seconds=3600)
    create, look = OpenAIProvider.create, batches.current_mark
    failures: list[str] = []
    first = asyncio.Event()

    async def given_up(self: OpenAIProvider, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        if not first.is_set():
            first.set()
            execute(session, STEAL)
            execute(session, "UPDATE batch SET uid = gen_random_uuid(), state = 'planned', input_file_id = NULL")
            simulator.settings.duration = 3600
        return await create(self, input_file_id, endpoint, mark)

    def away(*arguments: Any) -> Any:
        if len(failures) < 2:
            failures.append("away")
            raise psycopg.OperationalError("the connection is lost")
        return look(*arguments)

    monkeypatch.setattr(OpenAIProvider, "create", given_up)
    monkeypatch.setattr(batches, "current_mark", away)
    twenty.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.ledger.calls["batches.cancel"] == 1)
    assert len(failures) == 2
