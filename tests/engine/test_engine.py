"""One engine's loop: when it looks, how much it takes on, how it ends."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID, uuid4

import pandas as pd
import pytest
from sqlalchemy import Connection, text

import batchframe as bf
from batchframe.engine.engine import Engine
from batchframe.engine.settling import Settling
from batchframe.errors import ConfigurationError
from batchframe.model import Batch
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator
from batchframe.store import batches, notices, outcomes, planning
from tests.judging import paid_once


class Watched(Engine):
    """Remembers what came of each look, and lets looks be held up."""

    def watch(self) -> None:
        self.waits: list[float | None] = []
        self.go = asyncio.Event()
        self.go.set()
        self._seen = asyncio.Condition()

    async def _look(self) -> float | None:
        await self.go.wait()
        wait = await super()._look()
        async with self._seen:
            self.waits.append(wait)
            self._seen.notify_all()
        return wait

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self._seen:
            await self._seen.wait_for(condition)


@pytest.fixture
def idle(session: bf.Session, monkeypatch: pytest.MonkeyPatch) -> bf.Session:
    """A session that submits and leaves the work to others."""
    for name in ("start", "ensure", "check_providers"):
        monkeypatch.setattr(session.background, name, lambda: None)
    return session


def run(
    session: bf.Session, story: Callable[[Watched, "asyncio.Task[None]"], "asyncio.Future[None]"], concurrency: int = 8
) -> None:
    """Run an engine of its own beside a story."""

    async def main() -> None:
        provider = OpenAIProvider(session.settings)
        engine = Watched(session.database, {provider.id: provider}, session.settings, concurrency=concurrency)
        engine.watch()
        running = asyncio.create_task(engine.run())
        try:
            await story(engine, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await provider.close()

    asyncio.run(main())


def test_many_notices_are_one_look(connect: Callable[..., bf.Session]) -> None:
    """A thousand batches that end at once must not make every engine ask the database a thousand times."""
    session = connect(poll_max_seconds=3600)

    async def story(engine: Watched, _: object) -> None:
        heard = asyncio.Semaphore(0)
        engine._on_change = heard.release
        async with asyncio.timeout(20):
            await heard.acquire()  # it listens
        await engine.until(lambda: len(engine.waits) >= 2)
        engine.go.clear()
        for job in range(200):
            with session.database.transaction() as connection:
                notices.notify(connection, job)
        async with asyncio.timeout(20):
            for _ in range(200):
                await heard.acquire()
        before = len(engine.waits)
        engine.go.set()
        await engine.until(lambda: len(engine.waits) > before)
        with session.database.transaction() as connection:
            notices.notify(connection, 0)
        async with asyncio.timeout(20):
            await heard.acquire()
        await engine.until(lambda: len(engine.waits) > before + 1)
        assert len(engine.waits) <= before + 3

    run(session, story)


@pytest.mark.parametrize("concurrency", [0, -1])
def test_an_engine_without_a_place_is_refused(session: bf.Session, concurrency: int) -> None:
    """It would wait for ever."""
    with pytest.raises(ConfigurationError, match="at least 1"):
        Engine(session.database, {}, session.settings, concurrency=concurrency)


def test_no_more_batches_are_in_hand_than_allowed_and_the_rest_is_waited_for_in_peace(
    connect: Callable[..., bf.Session], monkeypatch: pytest.MonkeyPatch, twenty: pd.DataFrame
) -> None:
    """Memory goes with the batches in hand; and looking twenty times a second finds no place sooner."""
    session = connect(batch_max_requests=4)
    for name in ("start", "ensure", "check_providers"):
        monkeypatch.setattr(session.background, name, lambda: None)
    job = twenty.llm.batch("{text}", model="m")
    blocked = asyncio.Event()
    upload = OpenAIProvider.upload

    async def wait_and_upload(self: OpenAIProvider, path: object, name: str) -> str:
        await blocked.wait()
        return await upload(self, path, name)  # type: ignore[arg-type]

    monkeypatch.setattr(OpenAIProvider, "upload", wait_and_upload)

    async def story(engine: Watched, _: object) -> None:
        most = 0

        def look() -> None:
            nonlocal most
            most = max(most, len(engine._held))

        engine._on_change = look
        await engine.until(lambda: len(engine._held) == 2 and engine._planning is None and engine.waits[-1] is None)
        blocked.set()
        done = asyncio.to_thread(job.wait, 30, progress=False)
        assert set((await done)["response__status"]) == {"ok"}
        assert most == 2

    run(session, story, concurrency=2)


def test_what_is_due_and_in_other_hands_is_looked_at_ever_more_rarely(idle: bf.Session, twenty: pd.DataFrame) -> None:
    """A planner in another process that takes its time made every engine ask twenty times a second."""
    twenty.llm.batch("{text}", model="m")

    async def story(engine: Watched, _: object) -> None:
        await engine.until(lambda: len(engine.waits) >= 8)
        late = [wait for wait in engine.waits[-3:] if wait is not None]
        longest = min(idle.settings.poll_seconds, idle.settings.poll_max_seconds)
        assert late == [longest] * 3

    idle.settings = idle.settings.model_copy(update={"poll_seconds": 0.4, "poll_max_seconds": 0.4})
    with idle.database.transaction() as connection:
        connection.execute(text("SELECT 1 FROM job FOR UPDATE"))
        run(idle, story)


def test_a_claim_under_way_when_the_engine_stops_holds_nothing_afterwards(
    idle: bf.Session, twenty: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed after the leases were given back, it kept the next engine waiting for a whole lease."""
    twenty.llm.batch("{text}", model="m")
    with idle.database.transaction() as connection:
        ((job_id, _),) = planning.due_jobs(connection, [idle.provider_id], 1)
        planning.plan(connection, job_id, OpenAIProvider(idle.settings).limits, 60.0)
    claimed, go, gone = threading.Event(), threading.Event(), threading.Event()
    claim = batches.claim

    def slow(connection: Connection, owner: UUID, *rest: object) -> list[Batch]:
        found = claim(connection, owner, *rest)  # type: ignore[arg-type]
        claimed.set()
        assert go.wait(20)
        gone.set()
        return found

    monkeypatch.setattr(batches, "claim", slow)

    async def story(_: Watched, running: "asyncio.Task[None]") -> None:
        assert await asyncio.to_thread(claimed.wait, 20)
        running.cancel()
        await asyncio.wait([running], timeout=0.3)
        go.set()
        await asyncio.wait([running])
        assert gone.is_set()

    run(idle, story)
    with idle.database.transaction() as connection:
        held = connection.execute(text("SELECT owner FROM batch")).scalars().all()
    assert held == [None]


def test_an_engine_that_stops_inside_a_copy_leaves_the_batch_whole(
    idle: bf.Session, twenty: pd.DataFrame, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM comes while a thread writes outcomes: the thread cannot be stopped, only its transaction be refused."""
    job = twenty.llm.batch("{text}", model="m")
    inside, go, ended = threading.Event(), threading.Event(), threading.Event()
    copy_in = outcomes.copy_in

    def slow(connection: Connection, table: str, columns: str, rows: Iterable[bytes]) -> None:
        copy_in(connection, table, columns, rows)
        inside.set()
        assert go.wait(20)

    results = Settling.results

    def watched(*arguments: Any, **keywords: Any) -> None:
        try:
            results(*arguments, **keywords)
        finally:
            ended.set()

    async def story(_: Watched, running: "asyncio.Task[None]") -> None:
        assert await asyncio.to_thread(inside.wait, 20)
        running.cancel()
        await asyncio.wait([running])
        go.set()
        assert await asyncio.to_thread(ended.wait, 20)

    with monkeypatch.context() as patched:
        patched.setattr(outcomes, "copy_in", slow)
        patched.setattr(Settling, "results", watched)
        run(idle, story)
    with idle.database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM outcome")).scalar() == 0
        assert connection.execute(text("SELECT state, owner FROM batch")).all() == [("ended", None)]

    async def finish(_: Watched, __: object) -> None:
        assert set((await asyncio.to_thread(job.wait, 30, progress=False))["response__status"]) == {"ok"}

    run(idle, finish)
    assert paid_once(simulator, 20)


def test_a_planning_that_is_dropped_does_not_end_an_engine_that_waits_for_it(session: bf.Session) -> None:
    """Leases that could not be renewed made `worker --until-idle` stop as if it had been told to."""

    asked = asyncio.Event()
    stuck = asyncio.Event()

    class Stuck(Engine):
        async def _plan(self) -> None:
            if not stuck.is_set():
                stuck.set()
                await asyncio.Event().wait()
            await super()._plan()

        async def _is_idle(self) -> bool:
            asked.set()
            return await super()._is_idle()

    async def story() -> None:
        engine = Stuck(session.database, {}, session.settings)
        running = asyncio.create_task(engine.run(until_idle=True))
        async with asyncio.timeout(20):
            await asked.wait()
            await engine.drop_all()
            await running

    asyncio.run(story())


def test_a_batch_in_another_engines_hands_keeps_an_engine_from_being_idle(
    idle: bf.Session, twenty: pd.DataFrame
) -> None:
    """That engine may die; whoever was told to stay until all is done has to see it through."""
    job = twenty.llm.batch("{text}", model="m")
    provider = OpenAIProvider(idle.settings)
    with idle.database.transaction() as connection:
        planning.plan(connection, job.id, provider.limits, 60.0)
        batches.claim(connection, uuid4(), [provider.id], 1.0, 10)

    async def story() -> None:
        engine = Engine(idle.database, {provider.id: provider}, idle.settings)
        async with asyncio.timeout(30):
            await engine.run(until_idle=True)
        await provider.close()

    asyncio.run(story())
    assert job.progress().status == "done"
