"""The engine's own steps over Postgres, against the model of a provider."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from batchframe.config import Settings
from batchframe.core.packing import Limits
from batchframe.core.spec import JobSpec
from batchframe.engine.steps import Steps
from batchframe.model import CHAT, Batch, Request, Route
from batchframe.providers.base import RemoteBatch, Reply
from batchframe.store import batches, jobs, planning
from batchframe.store.database import Database
from batchframe.store.tables import metadata
from tests.faults.books import Books, Count, Placed, Result
from tests.faults.remote import Mood, Remote
from tests.storing import write_job

ROUTE = Route("p", CHAT, "m")
LIMITS = Limits(3, 10**9)
_TABLES = ", ".join(table.name for table in metadata.sorted_tables)


class _Provider:
    """The seam the steps speak through."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.frozen: asyncio.Future[None] | None = None
        self.reached = asyncio.Event()

    async def upload(self, path: Path, _: str) -> str:
        return self._remote.upload([json.loads(line)["custom_id"] for line in _read(path)])

    async def create(self, file: str, _: str, mark: str) -> RemoteBatch:
        if self._remote.mood is Mood.FREEZES:
            self.frozen = asyncio.get_running_loop().create_future()
            self.reached.set()
            await self.frozen
        return self._remote.create(file, mark)

    async def find(self, mark: str, _: str, since: datetime) -> list[RemoteBatch]:
        return self._remote.find(mark)

    async def poll(self, id_: str) -> RemoteBatch:
        return self._remote.poll(id_)

    async def cancel(self, id_: str) -> RemoteBatch:
        return self._remote.cancel(id_)

    async def fetch(self, file: str, to: Path) -> None:
        _write(to, self._remote.fetch(file))

    async def ask(self, _: str, body: bytes) -> Reply:
        asked = json.loads(body)
        return self._remote.ask((asked["job"], asked["row"]))


def _read(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def _write(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))


@dataclass
class FrozenTask:
    """A step that waits in front of its create call."""

    batch_id: int
    task: asyncio.Task[Batch | None]
    sent: asyncio.Future[None]


class Postgres:
    """A `World` in an emptied database."""

    def __init__(self, database: Database, home: Path, runner: asyncio.Runner) -> None:
        self.remote = Remote()
        self._database = database
        self._sql(f"TRUNCATE {_TABLES} RESTART IDENTITY")
        self._loop = runner.get_loop()
        self._provider = _Provider(self.remote)
        settings = Settings(home=home, poll_seconds=0.01, grace_seconds=900, lease_seconds=600, row_attempts=3)
        self._steps = Steps(database, {"p": self._provider}, settings)  # type: ignore[dict-item]
        self._owners = [uuid.uuid4() for _ in range(3)]
        self._n_jobs = 0

    def submit(self, n_rows: int, at_deadline: str | None) -> int:
        self._n_jobs += 1
        bodies = [json.dumps({"job": self._n_jobs, "row": row}).encode() for row in range(n_rows)]
        with self._database.transaction() as connection:
            made = write_job(
                connection, name=None, route=ROUTE, spec=JobSpec(prompt="x", into="x").to_json().decode(),
                digest=uuid.uuid4(), n_rows=n_rows, n_skipped=0, frame=[], reuse=False,
                requests=(Request(row, uuid.uuid4().bytes, body, 1) for row, body in enumerate(bodies)),
                terms=jobs.Terms(deadline=10**6 if at_deadline else None, at_deadline=at_deadline),
            )  # fmt: skip
        assert made == self._n_jobs
        return made

    def plan(self, job: int) -> None:
        self._sql("UPDATE outcome SET retry_at = now() WHERE NOT final")
        with self._database.transaction() as connection:
            planning.plan(connection, job, LIMITS, 60.0)

    def claim(self, engine: int) -> list[Batch]:
        self._sql("UPDATE batch SET step_at = now() WHERE state NOT IN ('done', 'failed')")
        with self._database.transaction() as connection:
            return batches.claim(connection, self._owners[engine], ["p"], 600.0, 100)

    def expire(self, batch_id: int) -> None:
        self._sql(
            "UPDATE batch SET lease_until = now() - interval '1 s' WHERE id = :id AND owner IS NOT NULL", batch_id
        )

    def grace_passes(self) -> None:
        self._sql("UPDATE batch SET intent_at = intent_at - interval '1 h', ended_at = ended_at - interval '1 h'")

    def step(self, claimed: Batch) -> Batch | FrozenTask | None:
        return self._loop.run_until_complete(self._step(claimed))

    async def _step(self, claimed: Batch) -> Batch | FrozenTask | None:
        task = asyncio.create_task(self._steps.take(claimed))
        self._provider.reached.clear()
        reached = asyncio.create_task(self._provider.reached.wait())
        await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        if task.done():
            return task.result()
        assert self._provider.frozen is not None
        return FrozenTask(claimed.id, task, self._provider.frozen)

    def wake(self, frozen: FrozenTask) -> Batch | None:
        frozen.sent.set_result(None)
        return self._loop.run_until_complete(frozen.task)

    def cancel(self, job: int) -> None:
        with self._database.transaction() as connection:
            jobs.cancel(connection, job)

    def deadline_passes(self, job: int) -> None:
        self._sql("UPDATE job SET deadline_at = now() WHERE id = :id AND deadline_at IS NOT NULL", job)

    def retry(self, job: int) -> None:
        with self._database.transaction() as connection:
            found = jobs.find(connection, job)
            assert found is not None
            jobs.retry(connection, found, reuse=False)

    def books(self) -> Books:
        with self._database.transaction() as connection:

            def read(columns: str, table: str, make: Callable[..., Any]) -> list[Any]:
                return [make(*row) for row in connection.execute(text(f"SELECT {columns} FROM {table}"))]

            counted = read(
                "id, n_requests, n_ok, n_failed, n_cancelled, closed_at IS NOT NULL",
                "job",
                lambda id_, *count: (id_, Count(*count)),
            )
            results = read(
                "job_id, row_no, attempt_no, final, ok, code",
                "outcome",
                lambda job, row, *rest: Result((job, row), *rest),
            )
            placed = read(
                "job_id, row_no, attempt_no, batch_id", "attempt", lambda job, row, *rest: Placed((job, row), *rest)
            )
            states = read("id, state, provider_id", "batch", lambda id_, *rest: (id_, tuple(rest)))
        return Books(dict(counted), results, placed, dict(states))

    def call_again_blindly(self) -> None:
        """What the states forbid: a create call without an answer is made once more."""
        self._sql("UPDATE batch SET state = 'uploaded' WHERE state IN ('creating', 'unsure')")

    def close(self) -> None:
        waiting = asyncio.all_tasks(self._loop)
        for task in waiting:
            task.cancel()
        if waiting:
            self._loop.run_until_complete(asyncio.wait(waiting))

    def _sql(self, statement: str, id_: int | None = None) -> None:
        with self._database.transaction() as connection:
            connection.execute(text(statement), {"id": id_})
