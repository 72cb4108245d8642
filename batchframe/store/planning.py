"""Planning: the requests of a job into batches, one transaction a step, under the job's row lock.

First attempts follow the job's cursor `next_row`, so the cost of a step does not grow with the job. Rows to be asked
again are found by their open outcomes. Two planners cannot meet: the lock is skipped if taken, and the key of
`attempt` would refuse a row placed twice.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from batchframe.core.packing import Limits, line_overhead, pack
from batchframe.core.results import CANCELLED
from batchframe.model import Route, Sized
from batchframe.store import counts, loans
from batchframe.store.notices import notify

_FREE = """
    r.job_id = :job AND r.row_no >= :first AND r.row_no <= :last
    AND NOT EXISTS (SELECT 1 FROM loan l WHERE l.job_id = r.job_id AND l.row_no = r.row_no)
    AND NOT EXISTS (
        SELECT 1 FROM outcome o WHERE o.job_id = r.job_id AND o.row_no = r.row_no AND o.attempt_no = 0
    )
"""
"""First attempts: requests in a range of the cursor that neither wait for another job nor have its answer."""

_OPEN_ROWS = """
    FROM outcome o
    WHERE o.job_id = :job AND NOT o.final
      AND NOT EXISTS (
          SELECT 1 FROM attempt a
          WHERE a.job_id = o.job_id AND a.row_no = o.row_no AND a.attempt_no > o.attempt_no
      )
      AND NOT EXISTS (
          SELECT 1 FROM outcome n
          WHERE n.job_id = o.job_id AND n.row_no = o.row_no AND n.attempt_no > o.attempt_no
      )
      AND NOT EXISTS (SELECT 1 FROM loan l WHERE l.job_id = o.job_id AND l.row_no = o.row_no)
"""
"""Rows whose last attempt left them open, that no newer attempt has taken up and that wait for no other job."""


class Step(enum.Enum):
    """What one step of planning came to."""

    PLANNED = "batches were planned; there may be more to do"
    NOTHING = "nothing to plan now, or the job is closed or in another planner's hands"


@dataclass(frozen=True, slots=True)
class _Cursor:
    route: Route
    n_requests: int
    next_row: int
    cancelled: bool


def due_jobs(connection: Connection, providers: Sequence[str], limit: int) -> list[tuple[int, str]]:
    """Open jobs of these providers that planning should look at: id and provider."""
    rows = connection.execute(
        text("""
            SELECT id, provider FROM job
            WHERE closed_at IS NULL AND provider = ANY(:providers) AND step_at <= now()
            ORDER BY step_at LIMIT :limit
        """),
        {"providers": list(providers), "limit": limit},
    )
    return [(row.id, row.provider) for row in rows]


def plan(connection: Connection, job_id: int, limits: Limits, loan_wait: float) -> Step:
    """Take one step with a job.

    Args:
        limits: what a batch may hold, before what is known of the model's enqueued-token limit.
        loan_wait: seconds until a job that waits for another one is looked at again.
    """
    job = _lock(connection, job_id)
    if job is None:
        return Step.NOTHING
    if job.cancelled:
        _cancel_rest(connection, job_id, job)
        return Step.NOTHING
    loans.settle(connection, job_id)
    limits = _with_quota(connection, job.route, limits)
    if _plan_first(connection, job_id, job, limits) or _plan_again(connection, job_id, job, limits):
        return Step.PLANNED
    _rest(connection, job_id, loan_wait)
    return Step.NOTHING


def _lock(connection: Connection, job_id: int) -> _Cursor | None:
    row = connection.execute(
        text("""
            SELECT provider, endpoint, model, n_requests, next_row, cancel_at IS NOT NULL AS cancelled
            FROM job WHERE id = :job AND closed_at IS NULL FOR UPDATE SKIP LOCKED
        """),
        {"job": job_id},
    ).first()
    if row is None:
        return None
    return _Cursor(Route(row.provider, row.endpoint, row.model), row.n_requests, row.next_row, row.cancelled)


def _with_quota(connection: Connection, route: Route, limits: Limits) -> Limits:
    tokens = connection.execute(
        text("SELECT tokens FROM quota WHERE provider = :provider AND model = :model"),
        {"provider": route.provider, "model": route.model},
    ).scalar()
    return Limits(limits.requests, limits.n_bytes, tokens)


def _plan_first(connection: Connection, job_id: int, job: _Cursor, limits: Limits) -> bool:
    """Plan the next stretch of rows never asked before; whether the cursor moved."""
    if job.next_row >= job.n_requests:
        return False
    last = min(job.next_row + limits.requests, job.n_requests) - 1
    stretch = {"job": job_id, "first": job.next_row, "last": last}
    whole = connection.execute(
        text(f"""
            SELECT count(*) AS n, COALESCE(sum(octet_length(r.body)), 0) AS n_bytes,
                COALESCE(sum(r.tokens), 0) AS tokens
            FROM request r WHERE {_FREE}
        """),
        stretch,
    ).one()
    overhead = line_overhead(job_id, job.route.endpoint)
    if limits.admit(whole.n, whole.n_bytes + whole.n * overhead, whole.tokens):
        ends = [(last, whole.n, whole.tokens)] if whole.n else []
    else:
        batches = list(pack(_sized(connection, stretch), limits, overhead))
        if len(batches) > 1:
            # The stretch was cut: its last batch may not be full, so it is left to the next step.
            last = batches.pop()[0].row_no - 1
        ends = [(batch[-1].row_no, len(batch), sum(request.tokens for request in batch)) for batch in batches]
    first = job.next_row
    for end, n, tokens in ends:
        batch_id = _insert_batch(connection, job_id, job.route, n, tokens)
        connection.execute(
            text(
                "INSERT INTO attempt (job_id, row_no, attempt_no, batch_id) "
                f"SELECT r.job_id, r.row_no, 1, :batch FROM request r WHERE {_FREE}"
            ),
            {"job": job_id, "first": first, "last": end, "batch": batch_id},
        )
        first = end + 1
    connection.execute(text("UPDATE job SET next_row = :next WHERE id = :job"), {"job": job_id, "next": last + 1})
    return True


def _sized(connection: Connection, stretch: Mapping[str, int]) -> Iterator[Sized]:
    rows = connection.execute(
        text(
            f"SELECT r.row_no, octet_length(r.body) AS n_bytes, r.tokens FROM request r WHERE {_FREE} ORDER BY r.row_no"
        ),
        stretch,
    )
    return (Sized(row.row_no, 1, row.n_bytes, row.tokens) for row in rows)


def _plan_again(connection: Connection, job_id: int, job: _Cursor, limits: Limits) -> bool:
    """Plan the rows that are due to be asked again; whether there were any."""
    rows = connection.execute(
        text(f"""
            SELECT due.row_no, due.attempt_no, octet_length(r.body) AS n_bytes, r.tokens
            FROM (SELECT o.row_no, o.attempt_no + 1 AS attempt_no {_OPEN_ROWS} AND o.retry_at <= now()) due
            JOIN request r ON r.job_id = :job AND r.row_no = due.row_no
            ORDER BY due.row_no
        """),
        {"job": job_id},
    )
    sized = (Sized(row.row_no, row.attempt_no, row.n_bytes, row.tokens) for row in rows)
    batches = list(pack(sized, limits, line_overhead(job_id, job.route.endpoint)))
    for batch in batches:
        connection.execute(
            text("""
                INSERT INTO attempt (job_id, row_no, attempt_no, batch_id)
                SELECT :job, row_no, attempt_no, :batch
                FROM unnest(CAST(:rows AS integer[]), CAST(:attempts AS smallint[])) AS due(row_no, attempt_no)
            """),
            {
                "job": job_id,
                "batch": _insert_batch(
                    connection, job_id, job.route, len(batch), sum(request.tokens for request in batch)
                ),
                "rows": [request.row_no for request in batch],
                "attempts": [request.attempt_no for request in batch],
            },
        )
    return bool(batches)


def _insert_batch(connection: Connection, job_id: int, route: Route, n_requests: int, tokens: int) -> int:
    batch_id: int = connection.execute(
        text("""
            INSERT INTO batch (job_id, provider, endpoint, model, n_requests, tokens)
            VALUES (:job, :provider, :endpoint, :model, :n, :tokens)
            RETURNING id
        """),
        {
            "job": job_id,
            "provider": route.provider,
            "endpoint": route.endpoint,
            "model": route.model,
            "n": n_requests,
            "tokens": tokens,
        },
    ).scalar_one()
    notify(connection, job_id)
    return batch_id


def _cancel_rest(connection: Connection, job_id: int, job: _Cursor) -> None:
    """Settle what no batch holds; what a batch holds is settled when that batch ends."""
    connection.execute(text("DELETE FROM loan WHERE job_id = :job"), {"job": job_id})
    never_planned = connection.execute(
        text(f"""
            INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, code, message)
            SELECT r.job_id, r.row_no, 0, true, false, 0, '{CANCELLED}', 'The job was cancelled.'
            FROM request r
            WHERE {_FREE} AND NOT EXISTS (
                SELECT 1 FROM attempt a WHERE a.job_id = r.job_id AND a.row_no = r.row_no
            )
        """),
        {"job": job_id, "first": 0, "last": job.n_requests},
    ).rowcount
    given_back = connection.execute(
        text(f"""
            UPDATE outcome SET final = true, retry_at = NULL, code = '{CANCELLED}', message = 'The job was cancelled.'
            WHERE (job_id, row_no, attempt_no) IN (SELECT o.job_id, o.row_no, o.attempt_no {_OPEN_ROWS})
        """),
        {"job": job_id},
    ).rowcount
    connection.execute(text("UPDATE job SET next_row = n_requests WHERE id = :job"), {"job": job_id})
    counts.add(connection, job_id, cancelled=never_planned + given_back)
    connection.execute(text("UPDATE job SET step_at = 'infinity' WHERE id = :job"), {"job": job_id})


def _rest(connection: Connection, job_id: int, loan_wait: float) -> None:
    """Set when to look at the job again: when a row is due, when a lender may be done, or when something happens."""
    connection.execute(
        text(f"""
            UPDATE job SET step_at = LEAST(
                (SELECT min(o.retry_at) {_OPEN_ROWS}),
                (SELECT now() + make_interval(secs => :wait) FROM loan WHERE job_id = :job LIMIT 1),
                'infinity'
            )
            WHERE id = :job
        """),
        {"job": job_id, "wait": loan_wait},
    )
