"""Counts: how many requests of a job have come to which end, kept on its row; with the last one the job is closed."""

from __future__ import annotations

from sqlalchemy import Connection, text

from batchframe.store.notices import notify


def add(
    connection: Connection, job_id: int, *, ok: int = 0, failed: int = 0, cancelled: int = 0, reused: int = 0
) -> None:
    """Count final outcomes, in the transaction that writes them, and make planning look at the job.

    Args:
        reused: those of `ok` that another job had paid for.
    """
    connection.execute(
        text("""
            UPDATE job SET
                n_ok = n_ok + :ok, n_failed = n_failed + :failed, n_cancelled = n_cancelled + :cancelled,
                n_reused = n_reused + :reused,
                step_at = CASE WHEN seal_at > now() THEN step_at ELSE now() END, -- one that may be joined still waits
                closed_at = CASE
                    WHEN n_ok + n_failed + n_cancelled + :ok + :failed + :cancelled = n_requests THEN now()
                END
            WHERE id = :job
        """),
        {"job": job_id, "ok": ok, "failed": failed, "cancelled": cancelled, "reused": reused},
    )
    notify(connection, job_id)
