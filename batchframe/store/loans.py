"""Loans: a request that an earlier job has asked already is not paid for again.

If the earlier job has its answer, it is taken over as attempt 0. If the earlier job is still at it, the request waits
for that answer (a row in `loan`); should it not come, the request is asked after all.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from batchframe.core.results import NOT_RUN
from batchframe.model import Route
from batchframe.store import counts

_OPEN = """
    r.job_id = :job
    AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.job_id = r.job_id AND o.row_no = r.row_no AND o.final)
"""
"""Requests of a job that have no final outcome."""

_NEXT_ATTEMPT = """
    (SELECT COALESCE(max(o.attempt_no) + 1, 0) FROM outcome o WHERE o.job_id = :job AND o.row_no = {row_no})
"""
"""An answer taken over counts as an attempt that never ran here: 0 tries."""


def lock_route(connection: Connection, route: Route) -> None:
    """Make jobs of one route be written one after the other, so that of two the later sees the earlier."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:route, 0))"),
        {"route": f"{route.provider}\n{route.endpoint}\n{route.model}"},
    )


_IN_NO_BATCH = """
    AND NOT EXISTS (
        SELECT 1 FROM attempt t WHERE t.job_id = r.job_id AND t.row_no = r.row_no AND NOT EXISTS (
            SELECT 1 FROM outcome o
            WHERE o.job_id = t.job_id AND o.row_no = t.row_no AND o.attempt_no >= t.attempt_no
        )
    )
"""
"""Requests that no batch of their own job is asking: such a batch brings an answer of its own."""


ANSWERED = """
    FROM request p JOIN outcome o ON o.job_id = p.job_id AND o.row_no = p.row_no
    WHERE p.hash = r.hash AND o.final AND o.ok
"""
"""Answers that exist to the request `r`."""

LENDERS = """
    FROM request p
    JOIN job j ON j.id = p.job_id AND j.closed_at IS NULL AND j.cancel_at IS NULL AND j.end_code IS NULL
    WHERE p.hash = r.hash
      AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.job_id = p.job_id AND o.row_no = p.row_no AND o.final)
      AND NOT EXISTS (SELECT 1 FROM loan w WHERE w.job_id = p.job_id AND w.row_no = p.row_no)
"""
"""Open jobs that ask the request `r`. One that waits for another job itself is passed over for that one, so no two jobs
wait for each other."""


def take(connection: Connection, job_id: int, route: Route, *, written_before: bool = False) -> None:
    """Take over the answers that exist and note the loans, under `lock_route`.

    Args:
        written_before: whether some of the job's requests may be in batches, as they are when others are retried.
    """
    free = _OPEN + (_IN_NO_BATCH if written_before else "")
    values = {"job": job_id, "provider": route.provider, "endpoint": route.endpoint, "model": route.model}
    others = connection.execute(
        text("""
            SELECT 1 FROM job
            WHERE provider = :provider AND endpoint = :endpoint AND model = :model AND id <> :job AND n_requests > 0
            LIMIT 1
        """),
        values,
    ).first()
    if others is None:
        return
    taken = connection.execute(
        text(f"""
            INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, status, body)
            SELECT :job, r.row_no, {_NEXT_ATTEMPT.format(row_no="r.row_no")}, true, true, 0, a.status, a.body
            FROM request r
            CROSS JOIN LATERAL (
                SELECT o.status, o.body {ANSWERED} AND p.job_id <> r.job_id LIMIT 1
            ) a
            WHERE {free}
        """),
        values,
    ).rowcount
    connection.execute(
        text(f"""
            INSERT INTO loan (job_id, row_no, lender_job_id, lender_row_no)
            SELECT r.job_id, r.row_no, l.job_id, l.row_no
            FROM request r
            CROSS JOIN LATERAL (
                SELECT p.job_id, p.row_no {LENDERS} AND p.job_id <> r.job_id LIMIT 1
            ) l
            WHERE {free}
        """),
        values,
    )
    counts.add(connection, job_id, ok=taken, reused=taken)


def settle(connection: Connection, job_id: int, *, all_of_them: bool = False) -> None:
    """End the job's loans whose lender has come to an end: take the answer over, or let the request be asked.

    Args:
        all_of_them: do not wait for lenders any longer.
    """
    taken = connection.execute(
        text(f"""
            WITH ended AS (
                DELETE FROM loan l
                WHERE l.job_id = :job AND (
                    EXISTS (
                        SELECT 1 FROM outcome o
                        WHERE o.job_id = l.lender_job_id AND o.row_no = l.lender_row_no AND o.final
                    )
                    OR NOT EXISTS (SELECT 1 FROM job j WHERE j.id = l.lender_job_id AND j.closed_at IS NULL)
                    OR :all
                )
                RETURNING l.row_no, l.lender_job_id, l.lender_row_no
            ),
            answered AS (
                SELECT e.row_no, {_NEXT_ATTEMPT.format(row_no="e.row_no")} AS attempt_no, COALESCE(a.ok, false) AS ok,
                    a.status, a.body
                FROM ended e
                LEFT JOIN outcome a
                    ON a.job_id = e.lender_job_id AND a.row_no = e.lender_row_no AND a.final AND a.ok
            ),
            written AS (
                INSERT INTO outcome
                    (job_id, row_no, attempt_no, final, ok, tries, status, body, code, message, retry_at)
                SELECT :job, row_no, attempt_no, ok, ok, 0, status, body, CASE WHEN NOT ok THEN '{NOT_RUN}' END,
                    CASE WHEN NOT ok THEN 'The job it waited for has no answer.' END, CASE WHEN NOT ok THEN now() END
                FROM answered
                WHERE ok OR attempt_no = 0 -- a request that was open before is due by its own last outcome
                RETURNING ok
            )
            SELECT count(*) FILTER (WHERE ok) FROM written
        """),
        {"job": job_id, "all": all_of_them},
    ).scalar_one()
    if taken:
        counts.add(connection, job_id, ok=taken, reused=taken)
