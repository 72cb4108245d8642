"""Planning: the requests of a job into batches, one transaction a step, under the job's row lock.

First attempts follow the job's cursor `next_row`, so the cost of a step does not grow with the job. Rows to be asked
again are found by their open outcomes. Two planners cannot meet: the lock is skipped if taken, and the key of
`attempt` would refuse a row placed twice.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, text

from batchframe.core.budget import LARGEST_PART
from batchframe.core.packing import Limits, line_overhead, pack
from batchframe.core.results import CANCELLED
from batchframe.model import Attempt, Job, Mode, Sized, Stop
from batchframe.store import batches, budgets, counts, jobs, loans, quotas
from batchframe.store.spending import spending

_REALTIME_GROUP = 16
"""Rows asked in real time together: as many answers at most are lost with a process that dies."""
_STRETCH = 5_000
"""Rows a planning step takes into groups for real time."""

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
        limits: what a batch may hold, before what is known of the model's enqueued-token limit and the job's budget.
        loan_wait: seconds until a job that waits for another one is looked at again.
    """
    locked = connection.execute(
        text("""
            SELECT next_row, deadline_at <= now() AND late_at IS NULL AS overdue FROM job
            WHERE id = :job AND closed_at IS NULL FOR UPDATE SKIP LOCKED
        """),
        {"job": job_id},
    ).first()
    if locked is None:
        return Step.NOTHING
    if locked.overdue:
        _enforce_deadline(connection, job_id)
    job = jobs.find(connection, job_id)
    assert job is not None, "it was just locked"
    if job.stop:
        _settle_rest(connection, job, job.stop)
        return Step.NOTHING
    loans.settle(connection, job_id, all_of_them=job.late)
    limits = _narrowed(connection, job, limits)
    if _plan_first(connection, job, locked.next_row, limits) or _plan_again(connection, job, limits):
        return Step.PLANNED
    _rest(connection, job_id, loan_wait)
    return Step.NOTHING


def _enforce_deadline(connection: Connection, job_id: int) -> None:
    """The job's time is over: its batches are stopped, and what they leave unanswered is no longer asked in one."""
    connection.execute(text("UPDATE job SET late_at = now() WHERE id = :job"), {"job": job_id})
    batches.wake(connection, job_id)


def _narrowed(connection: Connection, job: Job, limits: Limits) -> Limits:
    """The limits of one batch of this job."""
    if job.late:
        limits = dataclasses.replace(limits, requests=_REALTIME_GROUP)
    else:
        limits = dataclasses.replace(limits, tokens=quotas.allowed_tokens(connection, job.route))
    if job.budget_usd is not None:
        expects = budgets.expected(connection, job, spending(connection, job.id).seen, _mode(job))
        if expects is not None:
            limits = dataclasses.replace(limits, usd=(job.budget_usd / LARGEST_PART, expects))
    return limits


def _mode(job: Job) -> Mode:
    return Mode.REALTIME if job.late else Mode.BATCH


def _plan_first(connection: Connection, job: Job, next_row: int, limits: Limits) -> bool:
    """Plan the next stretch of rows never asked before; whether the cursor moved."""
    if next_row >= job.n_requests:
        return False
    last = min(next_row + (_STRETCH if job.late else limits.requests), job.n_requests) - 1
    stretch = {"job": job.id, "first": next_row, "last": last}
    whole = connection.execute(
        text(f"""
            SELECT count(*) AS n, COALESCE(sum(octet_length(r.body)), 0) AS n_bytes,
                COALESCE(sum(r.tokens), 0) AS tokens
            FROM request r WHERE {_FREE}
        """),
        stretch,
    ).one()
    overhead = line_overhead(job.id, job.route.endpoint)
    if limits.admit(whole.n, whole.n_bytes + whole.n * overhead, whole.tokens):
        ends = [(last, whole.n, whole.tokens)] if whole.n else []
    else:
        packed = list(pack(_sized(connection, stretch), limits, overhead))
        if len(packed) > 1:
            # The stretch was cut: its last batch may not be full, so it is left to the next step.
            last = packed.pop()[0].row_no - 1
        ends = [(batch[-1].row_no, len(batch), sum(request.tokens for request in batch)) for batch in packed]
    first = next_row
    for end, n, tokens in ends:
        batch_id = batches.insert_empty(connection, job.id, job.route, n, tokens, mode=_mode(job))
        connection.execute(
            text(
                "INSERT INTO attempt (job_id, row_no, attempt_no, batch_id) "
                f"SELECT r.job_id, r.row_no, 1, :batch FROM request r WHERE {_FREE}"
            ),
            {"job": job.id, "first": first, "last": end, "batch": batch_id},
        )
        first = end + 1
    connection.execute(text("UPDATE job SET next_row = :next WHERE id = :job"), {"job": job.id, "next": last + 1})
    return True


def _sized(connection: Connection, stretch: Mapping[str, int]) -> Iterator[Sized]:
    rows = connection.execute(
        text(
            f"SELECT r.row_no, octet_length(r.body) AS n_bytes, r.tokens FROM request r WHERE {_FREE} ORDER BY r.row_no"
        ),
        stretch,
    )
    return (Sized(row.row_no, 1, row.n_bytes, row.tokens) for row in rows)


def _plan_again(connection: Connection, job: Job, limits: Limits) -> bool:
    """Plan the rows that are due to be asked again; whether there were any."""
    rows = connection.execute(
        text(f"""
            SELECT due.row_no, due.attempt_no, octet_length(r.body) AS n_bytes, r.tokens
            FROM (SELECT o.row_no, o.attempt_no + 1 AS attempt_no {_OPEN_ROWS} AND o.retry_at <= now()) due
            JOIN request r ON r.job_id = :job AND r.row_no = due.row_no
            ORDER BY due.row_no LIMIT :most
        """),
        {"job": job.id, "most": _STRETCH if job.late else None},
    )
    sized = (Sized(row.row_no, row.attempt_no, row.n_bytes, row.tokens) for row in rows)
    packed = list(pack(sized, limits, line_overhead(job.id, job.route.endpoint)))
    for batch in packed:
        attempts = [Attempt(job.id, request.row_no, request.attempt_no) for request in batch]
        tokens = sum(request.tokens for request in batch)
        batches.insert(connection, job.id, job.route, attempts, tokens, mode=_mode(job))
    return bool(packed)


def _settle_rest(connection: Connection, job: Job, stop: Stop) -> None:
    """Settle what no batch holds; what a batch holds is settled when that batch ends."""
    connection.execute(text("DELETE FROM loan WHERE job_id = :job"), {"job": job.id})
    reason = {"job": job.id, "code": stop.code, "message": stop.message}
    never_planned = connection.execute(
        text(f"""
            INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, code, message)
            SELECT r.job_id, r.row_no, 0, true, false, 0, :code, :message
            FROM request r
            WHERE {_FREE} AND NOT EXISTS (
                SELECT 1 FROM attempt a WHERE a.job_id = r.job_id AND a.row_no = r.row_no
            )
        """),
        {**reason, "first": 0, "last": job.n_requests},
    ).rowcount
    given_back = connection.execute(
        text(f"""
            UPDATE outcome SET final = true, retry_at = NULL, code = :code, message = :message
            WHERE (job_id, row_no, attempt_no) IN (SELECT o.job_id, o.row_no, o.attempt_no {_OPEN_ROWS})
        """),
        reason,
    ).rowcount
    connection.execute(text("UPDATE job SET next_row = n_requests WHERE id = :job"), {"job": job.id})
    settled = never_planned + given_back
    if stop.code == CANCELLED:
        counts.add(connection, job.id, cancelled=settled)
    else:
        counts.add(connection, job.id, failed=settled)
    connection.execute(text("UPDATE job SET step_at = 'infinity' WHERE id = :job"), {"job": job.id})


def _rest(connection: Connection, job_id: int, loan_wait: float) -> None:
    """Set when to look at the job again: when a row is due, when a lender may be done, or when something happens."""
    connection.execute(
        text(f"""
            UPDATE job SET step_at = LEAST(
                (SELECT min(o.retry_at) {_OPEN_ROWS}),
                (SELECT now() + make_interval(secs => :wait) FROM loan WHERE job_id = :job LIMIT 1),
                (SELECT deadline_at FROM job WHERE id = :job AND late_at IS NULL),
                'infinity'
            )
            WHERE id = :job
        """),
        {"job": job_id, "wait": loan_wait},
    )
