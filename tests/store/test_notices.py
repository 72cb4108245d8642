"""Notices, said in one session and heard in another."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, text

from batchframe.core.packing import Limits
from batchframe.core.states import Event
from batchframe.model import Batch, Job, Request, Route
from batchframe.store import batches, embedded, jobs, notices, outcomes, planning
from batchframe.store.database import Database
from tests.storing import write_job


class Ear:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def notice(self, job_id: int | None) -> None:
        self.heard += 1
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: self.heard >= count)


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Ear]:
    """A listener that listens; the connection being new is the first thing it hears."""
    ear = Ear()
    task = asyncio.create_task(notices.listen(database, ear.notice))
    try:
        await ear.until(1)
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def say(database: Database, *jobs: int) -> None:
    with database.transaction() as connection:
        for job in jobs:
            notices.notify(connection, job)


LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN batchframe'"


def listeners(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text(f"SELECT count(*) {LISTENERS}")).scalar_one())


def test_a_notice_is_heard_when_its_transaction_commits(database: Database) -> None:
    """Earlier, whoever looks finds nothing and sleeps again; and a rollback made no work."""

    async def listen() -> None:
        async with listening(database) as ear:
            with pytest.raises(ZeroDivisionError), database.transaction() as connection:
                notices.notify(connection, 1)
                raise ZeroDivisionError
            with database.transaction() as connection:
                notices.notify(connection, 2)
                notices.notify(connection, 2)
                say(database, 3)
                await ear.until(2)
                assert ear.heard == 2, "only the transaction that has committed is heard"
            await ear.until(3)
            assert ear.heard == 3, "equal notices of one transaction are one"

    asyncio.run(listen())


def test_a_listener_whose_connection_is_ended_listens_again(database: Database) -> None:
    """A pooler or an administrator ends connections; what was said meanwhile must not be slept over."""

    async def listen() -> None:
        async with listening(database) as ear:
            with database.transaction() as connection:
                ended = connection.execute(text(f"SELECT pg_terminate_backend(pid) {LISTENERS}")).rowcount
            assert ended == 1
            await ear.until(2)
            say(database, 1)
            await ear.until(3)
        until = time.monotonic() + 30
        while listeners(database):  # a backend needs a moment to see that its client is gone
            assert time.monotonic() < until, "a connection was left behind"

    asyncio.run(listen())


def test_a_listener_outlives_a_restart_of_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Upgrades restart servers; a worker that then only polled would be slow until somebody noticed."""
    database = Database(f"{embedded.start(tmp_path)}&password=canary")

    async def listen() -> None:
        async with listening(database) as ear:
            await asyncio.to_thread(embedded.stop, tmp_path)
            await asyncio.to_thread(embedded.start, tmp_path)
            await ear.until(2)
            say(database, 1)
            await ear.until(3)

    try:
        asyncio.run(listen())
        assert [record.exc_info for record in caplog.records] == [None], "said once, and without a traceback"
        assert "canary" not in caplog.text
    finally:
        database.close()
        embedded.stop(tmp_path)


def test_a_loop_that_cannot_listen_leaves_it_to_polling(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Windows' default event loop cannot wait for Postgres: an engine there is slower, not broken."""
    caplog.set_level(logging.INFO)

    async def listen(on_notice: Callable[[int | None], None]) -> None:
        monkeypatch.setattr(asyncio, "ProactorEventLoop", type(asyncio.get_running_loop()), raising=False)
        await notices.listen(database, on_notice)

    asyncio.run(listen(lambda: pytest.fail("nothing can be heard")))
    assert [(record.levelname, "polling" in record.message) for record in caplog.records] == [("INFO", True)]


ROUTE = Route("p", "/v1/chat/completions", "m")
OWNER = uuid4()


def create(connection: Connection) -> Job:
    made = write_job(
        connection, name=None, route=ROUTE, spec="{}", digest=uuid4(), n_rows=1, n_skipped=0,
        requests=[Request(0, bytes(16), b"{}", 1)], frame=[b"x"], reuse=False,
    )  # fmt: skip
    job = jobs.find(connection, made or 0)
    assert job is not None
    return job


def plan(connection: Connection, job: Job) -> None:
    planning.plan(connection, job.id, Limits(40, 10**9), 60.0)


def claim(connection: Connection) -> Batch:
    (batch,) = batches.claim(connection, OWNER, ["p"], 60.0, 1)
    return batch


def settle(connection: Connection, batch: Batch) -> None:
    outcomes.record(connection, batch, [])
    batches.advance(connection, batch, Event.GIVEN_UP)


def test_whatever_makes_something_due_for_others_is_said(database: Database) -> None:
    """What is not said waits for the next poll, an hour if so set."""
    with psycopg.connect(**database.connect_arguments(), autocommit=True) as ear:
        ear.execute("LISTEN batchframe")

        def said() -> list[str]:
            with database.transaction() as connection:  # notices come in the order of their commits: this is the last
                connection.execute(text("SELECT pg_notify('batchframe', 'all')"))
            heard = ear.notifies(timeout=30)
            return list(iter(lambda: next(heard).payload, "all"))

        with database.transaction() as connection:
            job = create(connection)
        assert said() == [str(job.id)], "a job is new"
        with database.transaction() as connection:
            plan(connection, job)
        assert said() == [str(job.id)], "a batch is planned"
        with database.transaction() as connection:
            plan(connection, job)
            batch = claim(connection)
        assert said() == [], "nothing has become due"
        with database.transaction() as connection:
            batches.give_back(connection, OWNER)
        assert said() == [str(job.id)], "leases are given back"
        with database.transaction() as connection:
            batches.give_back(connection, OWNER)
        assert said() == []
        with database.transaction() as connection:
            jobs.cancel(connection, job.id)
        assert said() == [str(job.id)], "a job is cancelled"
        with database.transaction() as connection:
            batch = claim(connection)
            settle(connection, batch)
        assert said() == [str(job.id)], "a batch has come to its end"
        with database.transaction() as connection:
            connection.execute(
                text(
                    "INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, code) "
                    "VALUES (:job, 0, 1, true, false, 1, 'c')"
                ),
                {"job": job.id},
            )
            assert jobs.retry(connection, job, reuse=False) == 1
        assert said() == [str(job.id)], "a job is retried"
