"""Failpoints: the moments of an engine at which something can go wrong, found from outside the production code.

A `Database` subclass passes one before and one after each commit, named after the function that opened the
transaction; a provider in front of the real one passes one before and one after each verb. At the failpoint that is
armed the process dies, loses its connection, is cancelled or interrupted.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import sqlalchemy.event
import sqlalchemy.exc
from sqlalchemy import Connection

from batchframe.core.packing import Limits
from batchframe.errors import DatabaseError, DoubtfulError
from batchframe.model import Batch
from batchframe.providers.base import Provider, RemoteBatch, Reply
from batchframe.store.database import Database
from tests.faults.cuts import STATEMENT, cursor_factory, set_off

ACTIONS = ("exit", "lost", "cancel", "interrupt")
"""exit: the process is gone, as by kill -9 · lost: the connection breaks, on this side or the other of what was being
done · cancel: the engine's task is cancelled there · interrupt: Ctrl-C in an engine that has no handler for it. One
more, "freeze", stops the process (SIGSTOP) without its knowing, until it is let go on; and a connection breaks in
earnest as `cuts.SIDES` says."""

EXIT_STATUS = 137


@dataclass(frozen=True)
class Armed:
    """What goes wrong, and where: at the `nth` passing of the failpoint of this name."""

    name: str
    action: str
    nth: int = 1


class Failpoints:
    """Counts the failpoints passed, the statements sent apart from the others, and sets off the armed one."""

    def __init__(self, armed: Armed | None, on_hit: Callable[[], None]) -> None:
        self.passed: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.cancel: Callable[[], None] = lambda: None
        self._armed = armed
        self._on_hit = on_hit
        self._lock = threading.Lock()

    def hit(self, name: str) -> str | None:
        """Pass a failpoint; the action to set off there, if it is the armed one."""
        passed = self.sent if name.startswith(STATEMENT) else self.passed
        with self._lock:
            passed[name] += 1
            if self._armed is None or (name, passed[name]) != (self._armed.name, self._armed.nth):
                return None
        self._on_hit()
        if self._armed.action == "exit":
            os._exit(EXIT_STATUS)
        if self._armed.action == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
            return None
        if self._armed.action == "interrupt":
            raise KeyboardInterrupt
        return self._armed.action


class FaultyDatabase(Database):
    """A database whose transactions pass two failpoints each."""

    _failpoints: Failpoints | None = None

    def __init__(self, url: str, failpoints: Failpoints) -> None:
        super().__init__(url)
        self._failpoints = failpoints
        self._engine.dispose()  # what is opened from here on has failpoints at its statements, too

    def _open(self, session: dict[str, str]) -> sqlalchemy.Engine:
        engine = super()._open(session)
        sqlalchemy.event.listen(engine, "connect", self._watch)
        return engine

    def _watch(self, connection: psycopg.Connection[Any], _: object) -> None:
        if self._failpoints is not None:
            connection.cursor_factory = cursor_factory(self._failpoints.hit)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """As `Database.transaction`, named after its caller."""
        name = _name(sys._getframe(2))  # the caller of `with`: past this generator and contextlib
        with super().transaction() as connection:
            yield connection
            if self._loses(f"{name}: before commit", connection):
                raise sqlalchemy.exc.OperationalError("COMMIT", None, Exception("lost before the commit"))
        if self._loses(f"{name}: after commit"):
            raise DatabaseError("Lost after the commit.")  # as it is sent, and its answer never comes

    def _loses(self, name: str, connection: Connection | None = None) -> bool:
        assert self._failpoints is not None
        action = self._failpoints.hit(name)
        if action == "cancel":
            self._failpoints.cancel()
        if connection is not None:
            set_off(action, connection.connection.driver_connection)  # type: ignore[arg-type]
        return action == "lost"


class FaultyProvider:
    """A provider whose verbs pass two failpoints each."""

    def __init__(self, provider: Provider, failpoints: Failpoints) -> None:
        self.id = provider.id
        self.limits: Limits = provider.limits
        self._provider = provider
        self._failpoints = failpoints

    async def upload(self, path: Path, name: str) -> str:
        await self._pass("upload: before")
        sent = await self._provider.upload(path, name)
        await self._pass("upload: after")
        return sent

    async def create(self, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        await self._pass("create: before")
        remote = await self._provider.create(input_file_id, endpoint, mark)
        await self._pass("create: after")
        return remote

    async def find(self, mark: str, input_file_id: str, since: datetime) -> list[RemoteBatch]:
        await self._pass("find: before")
        found = await self._provider.find(mark, input_file_id, since)
        await self._pass("find: after")
        return found

    async def poll(self, batch_id: str) -> RemoteBatch:
        await self._pass("poll: before")
        remote = await self._provider.poll(batch_id)
        await self._pass("poll: after")
        return remote

    async def fetch(self, file_id: str, to: Path) -> None:
        await self._pass("fetch: before")
        await self._provider.fetch(file_id, to)
        await self._pass("fetch: after")

    async def cancel(self, batch_id: str) -> RemoteBatch:
        await self._pass("cancel: before")
        remote = await self._provider.cancel(batch_id)
        await self._pass("cancel: after")
        return remote

    async def ask(self, endpoint: str, body: bytes) -> Reply:
        await self._pass("ask: before")
        reply = await self._provider.ask(endpoint, body)
        await self._pass("ask: after")
        return reply

    async def marked(self, since: datetime) -> list[RemoteBatch]:
        return await self._provider.marked(since)

    async def delete(self, file_id: str) -> None:
        await self._provider.delete(file_id)

    async def check(self) -> datetime | None:
        return await self._provider.check()

    async def close(self) -> None:
        await self._provider.close()

    async def _pass(self, name: str) -> None:
        action = self._failpoints.hit(name)
        if action == "lost":
            raise DoubtfulError(f"Lost at {name}.")
        if action == "cancel":
            self._failpoints.cancel()
            await asyncio.Event().wait()  # the cancellation arrives here


def _name(frame: FrameType) -> str:
    """The function that opens a transaction, with the event or the state of the batch it is about."""
    module = frame.f_globals["__name__"].rpartition(".")[2]
    function = frame.f_code.co_qualname.partition(".<locals>")[0].rpartition(".")[2]
    known = frame.f_locals
    subject = known.get("event")
    if subject is None and isinstance(known.get("batch"), Batch):
        subject = known["batch"].state
    about = f" ({subject.value})" if subject is not None else ""
    return f"{module}.{function}{about}"
