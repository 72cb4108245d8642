"""Overviews: what the owner of a key is shown of it, its open and its newest jobs, and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from batchframe.core.pricing import rates
from batchframe.model import Job, Mode
from batchframe.store import budgets, jobs, keys, outcomes, spending
from batchframe.store.keys import Spent
from batchframe.store.spending import BatchSpending


@dataclass(frozen=True, slots=True)
class JobOverview:
    """A job and what it has come to.

    Attributes:
        gathering: whether further requests may join it.
        client_batch: the client's batch it is, if it is one.
        cost_usd, to_come_usd: spent, and expected of what is open; None when the price is not known.
        trouble: what keeps it from going on, or why it was ended.
    """

    job: Job
    gathering: bool
    client_batch: UUID | None
    batches: Sequence[BatchSpending]
    cost_usd: Decimal | None
    to_come_usd: Decimal | None
    trouble: str | None

    @property
    def pending(self) -> int:
        """Requests without a final answer."""
        return self.job.n_requests - self.job.n_settled

    @property
    def status(self) -> str:
        """One word for where it stands."""
        if self.job.closed:
            return "failed" if self.job.ended else "cancelled" if self.job.cancelled else "done"
        if self.job.stop:
            return "cancelling"
        return "paused" if self.job.paused else "gathering" if self.gathering else "running"


@dataclass(frozen=True, slots=True)
class Overview:
    """What came with a key.

    Attributes:
        n_open: how many of its jobs are open, of which `open` has the newest.
        at: when this was read, by the database's clock.
    """

    spent: Spent
    n_open: int
    open: Sequence[JobOverview]
    closed: Sequence[JobOverview]
    at: datetime


def of_key(connection: Connection, key_id: int, *, limit: int) -> Overview:
    """What came with a key: the newest of its open jobs and of those that are closed, so many of each.

    Call it first in a transaction: it reads all figures of one moment, and writes nothing.
    """
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    head = connection.execute(
        text("SELECT now() AS at, count(*) AS n FROM job WHERE api_key_id = :key AND closed_at IS NULL"),
        {"key": key_id},
    ).one()
    found = [
        [_of_job(connection, job_id) for job_id in _newest(connection, key_id, closed=closed, limit=limit)]
        for closed in (False, True)
    ]
    return Overview(keys.spent(connection, key_id), head.n, found[0], found[1], head.at)


def _newest(connection: Connection, key_id: int, *, closed: bool, limit: int) -> list[int]:
    rows = connection.execute(
        text("""
            SELECT id FROM job WHERE api_key_id = :key AND (closed_at IS NOT NULL) = :closed
            ORDER BY id DESC LIMIT :limit
        """),
        {"key": key_id, "closed": closed, "limit": limit},
    )
    return list(rows.scalars())


def _of_job(connection: Connection, job_id: int) -> JobOverview:
    job = jobs.find(connection, job_id)
    assert job is not None, "its id was read at the same moment"
    more = connection.execute(
        text("""
            SELECT COALESCE(j.seal_at > now(), false) AND j.next_row = 0 AS gathering, b.id AS client_batch
            FROM job j LEFT JOIN client_batch b ON b.job_id = j.id WHERE j.id = :job
        """),
        {"job": job_id},
    ).one()
    spent = spending.spending(connection, job_id)
    known = rates(job.route.model, job.price)
    pending = job.n_requests - job.n_settled
    to_come: Decimal | None = Decimal(0)
    if pending:
        expects = budgets.expected(connection, job, spent.seen, Mode.REALTIME if job.late else Mode.BATCH)
        to_come = expects.cost(pending, job.tokens * pending // job.n_requests) if expects else None
    return JobOverview(
        job=job,
        gathering=more.gathering,
        client_batch=more.client_batch,
        batches=spending.batches_of(connection, job_id),
        cost_usd=None if known is None else spent.cost(known),
        to_come_usd=to_come,
        trouble=_trouble(connection, job),
    )


def _trouble(connection: Connection, job: Job) -> str | None:
    if job.ended and job.stop:
        return f"{job.stop.code}: {job.stop.message}"
    return None if job.closed else job.paused or outcomes.work(connection, job.id).trouble
