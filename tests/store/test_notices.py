"""Notices, said in one session and heard in another."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from batchframe.store import embedded, notices
from batchframe.store.database import Database


class Ear:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def notice(self) -> None:
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
        assert listeners(database) == 0, "a connection was left behind"

    asyncio.run(listen())


def test_a_listener_outlives_a_restart_of_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Upgrades restart servers; a worker that then only polled would be slow until somebody noticed."""
    database = Database(embedded.start(tmp_path))

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
    finally:
        database.close()
        embedded.stop(tmp_path)


def test_a_loop_that_cannot_listen_leaves_it_to_polling(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Windows' default event loop cannot wait for Postgres: an engine there is slower, not broken."""
    caplog.set_level(logging.INFO)

    async def listen(on_notice: Callable[[], None]) -> None:
        monkeypatch.setattr(asyncio, "ProactorEventLoop", type(asyncio.get_running_loop()), raising=False)
        await notices.listen(database, on_notice)

    asyncio.run(listen(lambda: pytest.fail("nothing can be heard")))
    assert [(record.levelname, "polling" in record.message) for record in caplog.records] == [("INFO", True)]
