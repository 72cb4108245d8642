"""Loans: a request that an earlier job has asked already is not paid for again.

If the earlier job has its answer, it is taken over as attempt 0. If the earlier job is still at it, the request waits
for that answer (a row in `loan`); should it not come, the request is asked after all.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from batchframe.model import Route
from batchframe.store import counts

_TAKE_OVER = """
    INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, status, body)
    SELECT :job, {row_no}, 0, true, true, 0, o.status, o.body
"""


def lock_route(connection: Connection, route: Route) -> None:
    """Make jobs of one route be written one after the other, so that of two the later sees the earlier."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:route, 0))"),
        {"route": f"{route.provider}\n{route.endpoint}\n{route.model}"},
    )


def take(connection: Connection, job_id: int, route: Route) -> None:
    """Take over the answers that exist and note the loans, for a job just written under `lock_route`."""
    values = {"job": job_id, "provider": route.provider, "endpoint": route.endpoint, "model": route.model}
    others = connection.execute(
        text("""
            SELECT 1 FROM job
            WHERE provider = :provider AND endpoint = :endpoint AND model = :model AND id < :job AND n_requests > 0
            LIMIT 1
        """),
        values,
    ).first()
    if others is None:
        return
    taken = connection.execute(
        text(
            _TAKE_OVER.format(row_no="r.row_no")
            + """
            FROM request r
            CROSS JOIN LATERAL (
                SELECT o.status, o.body
                FROM request p JOIN outcome o ON o.job_id = p.job_id AND o.row_no = p.row_no
                WHERE p.hash = r.hash AND p.job_id < r.job_id AND o.final AND o.ok
                LIMIT 1
            ) o
            WHERE r.job_id = :job
            """
        ),
        values,
    ).rowcount
    connection.execute(
        text("""
            INSERT INTO loan (job_id, row_no, lender_job_id, lender_row_no)
            SELECT r.job_id, r.row_no, l.job_id, l.row_no
            FROM request r
            CROSS JOIN LATERAL (
                SELECT p.job_id, p.row_no
                FROM request p JOIN job j ON j.id = p.job_id AND j.closed_at IS NULL AND j.cancel_at IS NULL
                WHERE p.hash = r.hash AND p.job_id < r.job_id
                  AND NOT EXISTS (
                      SELECT 1 FROM outcome o WHERE o.job_id = p.job_id AND o.row_no = p.row_no AND o.final
                  )
                LIMIT 1
            ) l
            WHERE r.job_id = :job
              AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.job_id = r.job_id AND o.row_no = r.row_no)
        """),
        values,
    )
    counts.add(connection, job_id, ok=taken, reused=taken)


def settle(connection: Connection, job_id: int) -> None:
    """End the job's loans whose lender has come to an end: take the answer over, or let the request be asked."""
    values = {"job": job_id}
    taken = connection.execute(
        text(
            _TAKE_OVER.format(row_no="l.row_no")
            + """
            FROM loan l JOIN outcome o ON o.job_id = l.lender_job_id AND o.row_no = l.lender_row_no AND o.final
            WHERE l.job_id = :job AND o.ok
            """
        ),
        values,
    ).rowcount
    connection.execute(
        text("""
            INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, code, message, retry_at)
            SELECT l.job_id, l.row_no, 0, false, false, 0, 'not_run', 'The job it waited for has no answer.', now()
            FROM loan l
            LEFT JOIN outcome o ON o.job_id = l.lender_job_id AND o.row_no = l.lender_row_no AND o.final
            LEFT JOIN job j ON j.id = l.lender_job_id
            WHERE l.job_id = :job
              AND (o.job_id IS NOT NULL AND NOT o.ok
                   OR o.job_id IS NULL AND (j.id IS NULL OR j.closed_at IS NOT NULL))
        """),
        values,
    )
    connection.execute(
        text("""
            DELETE FROM loan l USING outcome o
            WHERE l.job_id = :job AND o.job_id = l.job_id AND o.row_no = l.row_no
        """),
        values,
    )
    counts.add(connection, job_id, ok=taken, reused=taken)
