"""Batches of the proxy's clients: each becomes one job, and is seen through that job's counts.

A batch waits to be loaded, is loaded with its job in one transaction, and ends once: when the job is closed and the
size of its result files is known. What it is at any moment follows from those columns (`ClientBatch.status`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from batchframe.model import Usage
from batchframe.store import client_results, jobs
from batchframe.store.client_files import Result
from batchframe.store.copying import copy_in

_UNREAD = "job_id IS NULL AND failed_at IS NULL AND ended_at IS NULL"

_SEEN = """
    SELECT b.id, b.job_id, b.input_file_id, b.endpoint, j.model, b.metadata, b.problems, b.total,
        b.output_bytes, b.error_bytes, b.created_at, b.in_progress_at, b.failed_at,
        COALESCE(b.cancelling_at, j.cancel_at) AS cancelling_at,
        j.closed_at, b.ended_at, COALESCE(j.n_ok, 0) AS n_ok, COALESCE(j.n_failed, 0) AS n_failed,
        -- An answer we would not call good is one all the same.
        CASE WHEN j.n_failed > 0 THEN (
            SELECT count(*) FROM outcome o
            WHERE o.job_id = j.id AND o.final AND NOT o.ok AND o.status BETWEEN 200 AND 299
        ) ELSE 0 END AS n_poor,
        u.input_tokens, u.cached_tokens, u.output_tokens
    FROM client_batch b LEFT JOIN job j ON j.id = b.job_id
    LEFT JOIN LATERAL (
        SELECT sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens,
            sum(output_tokens) AS output_tokens
        FROM batch WHERE job_id = b.job_id
    ) u ON true
"""


@dataclass(frozen=True, slots=True)
class ClientBatch:
    """A batch as a client sees it.

    Attributes:
        job_id, model: None until its file is read.
        metadata, problems: JSON text.
        total, completed, failed: requests; those that were cancelled are in `total` alone.
        closed_at: when the last request was settled.
        ended_at: the same, once the result files are ready.
    """

    id: UUID
    job_id: int | None
    input_file_id: UUID
    endpoint: str
    model: str | None
    metadata: str | None
    problems: str | None
    total: int
    completed: int
    failed: int
    usage: Usage
    output_bytes: int | None
    error_bytes: int | None
    created_at: datetime
    in_progress_at: datetime | None
    failed_at: datetime | None
    cancelling_at: datetime | None
    closed_at: datetime | None
    ended_at: datetime | None

    @property
    def status(self) -> str:
        """OpenAI's word for what it is at."""
        if self.failed_at is not None:
            return "failed"
        if self.ended_at is not None:
            return "completed" if self.cancelling_at is None else "cancelled"
        if self.cancelling_at is not None:
            return "cancelling"
        if self.in_progress_at is None:
            return "validating"
        return "in_progress" if self.closed_at is None else "finalizing"


def add(
    connection: Connection, batch_id: UUID, key: int, input_file_id: UUID, endpoint: str, metadata: str | None
) -> None:
    """Write a batch that is to be loaded."""
    connection.execute(
        text("""
            INSERT INTO client_batch (id, api_key_id, input_file_id, endpoint, metadata)
            VALUES (:id, :key, :file, :endpoint, :metadata)
        """),
        {"id": batch_id, "key": key, "file": input_file_id, "endpoint": endpoint, "metadata": metadata},
    )


def find(connection: Connection, batch_id: UUID, key: int) -> ClientBatch | None:
    """A batch of a key; None when it has none of this id."""
    row = connection.execute(
        text(f"{_SEEN} WHERE b.id = :id AND b.api_key_id = :key"), {"id": batch_id, "key": key}
    ).first()
    return None if row is None else _batch(row)


def newest_first(connection: Connection, key: int, *, after: ClientBatch | None, limit: int) -> list[ClientBatch]:
    """Batches of a key, those behind `after`."""
    rows = connection.execute(
        text(f"""
            {_SEEN}
            WHERE b.api_key_id = :key
                AND (CAST(:id AS uuid) IS NULL OR (b.created_at, b.id) < (:created_at, :id))
            ORDER BY b.created_at DESC, b.id DESC LIMIT :limit
        """),
        {
            "key": key,
            "id": after.id if after else None,
            "created_at": after.created_at if after else None,
            "limit": limit,
        },
    )
    return [_batch(row) for row in rows]


def cancel(connection: Connection, batch_id: UUID) -> None:
    """Ask for a batch to be cancelled; one that is not loaded yet never will be."""
    job_id = connection.execute(
        text("""
            UPDATE client_batch SET cancelling_at = COALESCE(cancelling_at, now())
            WHERE id = :id AND failed_at IS NULL AND ended_at IS NULL RETURNING job_id
        """),
        {"id": batch_id},
    ).scalar()
    if job_id is not None:
        jobs.cancel(connection, job_id)


@dataclass(frozen=True, slots=True)
class Unread:
    """A batch whose file is to be loaded."""

    id: UUID
    api_key_id: int
    input_file_id: UUID
    endpoint: str


def claim_unread(connection: Connection) -> Unread | None:
    """The oldest batch that waits to be loaded and that nobody loads; it is this transaction's until its end."""
    waiting = connection.execute(text(f"SELECT id FROM client_batch WHERE {_UNREAD} ORDER BY created_at LIMIT 1000"))
    for batch_id in waiting.scalars().all():
        if not _claim(connection, batch_id):
            continue
        row = connection.execute(  # again: it may have been loaded since it was seen
            text(f"SELECT id, api_key_id, input_file_id, endpoint FROM client_batch WHERE id = :id AND {_UNREAD}"),
            {"id": batch_id},
        ).first()
        if row is not None:
            return Unread(**row._mapping)
    return None


def _claim(connection: Connection, batch_id: UUID) -> bool:
    """Take a batch for this transaction, unless another has it.

    An advisory lock dies with its transaction as a lock on the row would; but that one would keep a client's
    cancellation waiting until a large file is read.
    """
    key = int.from_bytes(batch_id.bytes[:8], signed=True)
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar())


def is_cancelled(connection: Connection, batch_id: UUID) -> bool:
    """Whether its cancellation has been asked for."""
    query = text("SELECT cancelling_at IS NOT NULL FROM client_batch WHERE id = :id")
    return bool(connection.execute(query, {"id": batch_id}).scalar())


def add_lines(connection: Connection, job_id: int, custom_ids: Iterable[tuple[int, bytes]]) -> None:
    """Write the custom ids of rows, as JSON strings."""
    lines = (b"%d\x01%d\x01%s\n" % (job_id, row_no, custom_id) for row_no, custom_id in custom_ids)
    copy_in(connection, "client_line", "job_id, row_no, custom_id", lines)


def repeated_lines(connection: Connection, job_id: int, most: int) -> list[tuple[int, str]]:
    """Rows whose custom id stands in an earlier row, too, with the id as JSON."""
    # Sorted by Postgres, on disk if need be: a set of millions of ids would be most of our memory.
    rows = connection.execute(
        text("""
            SELECT row_no, custom_id FROM (
                SELECT row_no, custom_id, row_number() OVER (PARTITION BY custom_id ORDER BY row_no) AS nth
                FROM client_line WHERE job_id = :job
            ) numbered
            WHERE nth > 1 ORDER BY row_no LIMIT :most
        """),
        {"job": job_id, "most": most},
    )
    return [(row.row_no, row.custom_id) for row in rows]


def loaded(connection: Connection, batch_id: UUID, job_id: int, total: int) -> bool:
    """Give a batch its job; False when its cancellation was asked for, and it is to have none."""
    found = connection.execute(
        text("""
            UPDATE client_batch SET job_id = :job, total = :total, in_progress_at = clock_timestamp()
            WHERE id = :id AND cancelling_at IS NULL
        """),
        {"id": batch_id, "job": job_id, "total": total},
    )
    return found.rowcount == 1


def fail(connection: Connection, batch_id: UUID, problems: str) -> None:
    """End a batch that cannot be loaded, with the reasons as JSON."""
    connection.execute(
        text("UPDATE client_batch SET failed_at = clock_timestamp(), problems = :problems WHERE id = :id"),
        {"id": batch_id, "problems": problems},
    )


def end_unread(connection: Connection, batch_id: UUID) -> None:
    """End a batch that was cancelled before it was loaded."""
    connection.execute(text("UPDATE client_batch SET ended_at = clock_timestamp() WHERE id = :id"), {"id": batch_id})


def end_closed(connection: Connection) -> bool:
    """End one batch whose job is closed, now that the size of its result files can be known; False: there is none."""
    closed = connection.execute(
        text("""
            SELECT b.id, b.job_id FROM client_batch b JOIN job j ON j.id = b.job_id
            WHERE b.ended_at IS NULL AND j.closed_at IS NOT NULL ORDER BY j.closed_at LIMIT 1000
        """)
    ).all()
    row = next((row for row in closed if _claim(connection, row.id)), None)
    if row is None:
        return False
    sizes = client_results.sizes(connection, row.id, row.job_id)
    connection.execute(
        text("""
            UPDATE client_batch b SET output_bytes = :output, error_bytes = :error, ended_at = j.closed_at
            FROM job j WHERE b.id = :id AND b.ended_at IS NULL AND j.id = b.job_id AND j.closed_at IS NOT NULL
        """),
        {"id": row.id, "output": sizes[Result.OUTPUT], "error": sizes[Result.ERROR]},
    )
    return True


def _batch(row: Row[Any]) -> ClientBatch:
    fields = dict(row._mapping)
    n_ok, n_failed, n_poor = fields.pop("n_ok"), fields.pop("n_failed"), fields.pop("n_poor")
    tokens = [int(fields.pop(name) or 0) for name in ("input_tokens", "cached_tokens", "output_tokens")]
    return ClientBatch(completed=n_ok + n_poor, failed=n_failed - n_poor, usage=Usage(*tokens), **fields)
