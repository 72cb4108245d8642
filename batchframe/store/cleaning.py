"""Cleaning: the files at the provider that nothing needs any more, and closed jobs with everything that is theirs.

An open job is never touched, nor one that an open job waits for an answer of, nor one of an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from batchframe.model import Route
from batchframe.store import loans

_FILES = ("input_file_id", "output_file_id", "error_file_id")

_REMOVABLE = """
    j.closed_at < now() - make_interval(secs => :age)
    AND NOT EXISTS (SELECT 1 FROM loan l WHERE l.lender_job_id = j.id)
    AND NOT EXISTS (SELECT 1 FROM evaluation_job e WHERE e.job_id = j.id)
    AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.job_id = j.id AND b.state NOT IN ('done', 'failed'))
"""

_TABLES = (
    *("outcome", "attempt", "request", "loan", "job_frame", "batch"),
    *("proxied", "client_line", "client_batch"),
)


@dataclass(frozen=True, slots=True)
class SpentFiles:
    """The files of a batch that has come to its end."""

    batch_id: int
    file_ids: tuple[str, ...]


def spent_files(connection: Connection, provider: str) -> list[SpentFiles]:
    """Files at this provider whose batch is done or failed: what they held is in the database."""
    rows = connection.execute(
        text(f"""
            SELECT id, {", ".join(_FILES)} FROM batch
            WHERE provider = :provider AND state IN ('done', 'failed') AND COALESCE({", ".join(_FILES)}) IS NOT NULL
            ORDER BY id
        """),
        {"provider": provider},
    )
    return [SpentFiles(row[0], tuple(file_id for file_id in row[1:] if file_id)) for row in rows]


def forget_files(connection: Connection, batch_ids: Iterable[int]) -> None:
    """Note that the files of these batches are gone."""
    connection.execute(
        text(f"""
            UPDATE batch SET {", ".join(f"{column} = NULL" for column in _FILES)}
            WHERE id = ANY(:ids) AND state IN ('done', 'failed')
        """),
        {"ids": list(batch_ids)},
    )


@dataclass(frozen=True, slots=True)
class Removable:
    """A closed job that may go.

    Attributes:
        answers: those that later jobs could have taken over.
        n_files: batches of it that have files at the provider.
    """

    id: int
    name: str | None
    route: Route
    n_requests: int
    answers: int
    n_files: int


def removable_jobs(connection: Connection, age: float) -> list[Removable]:
    """Jobs that were closed more than `age` seconds ago and that no other job needs."""
    rows = connection.execute(
        text(f"""
            SELECT j.id, j.name, j.provider, j.endpoint, j.model, j.n_requests, j.n_ok,
                (SELECT count(*) FROM batch b WHERE b.job_id = j.id AND COALESCE({", ".join(_FILES)}) IS NOT NULL) AS f
            FROM job j WHERE {_REMOVABLE} ORDER BY j.id
        """),
        {"age": age},
    )
    return [
        Removable(row.id, row.name, Route(row.provider, row.endpoint, row.model), row.n_requests, row.n_ok, row.f)
        for row in rows
    ]


def size(connection: Connection, job_id: int) -> int:
    """Bytes the wide rows of a job take up, without indexes."""
    total = connection.execute(
        text(
            "SELECT "
            + " + ".join(
                f"(SELECT COALESCE(sum(pg_column_size(t.*)), 0) FROM {table} t WHERE t.job_id = :job)"
                for table in ("request", "outcome", "attempt", "job_frame")
            )
        ),
        {"job": job_id},
    ).scalar_one()
    return int(total)


def remove_job(connection: Connection, job: Removable, age: float) -> bool:
    """Remove a job and all that is its own; False when it has been opened again or is needed by now."""
    loans.lock_route(connection, job.route)
    values = {"job": job.id, "age": age}
    locked = connection.execute(text("SELECT 1 FROM job WHERE id = :job FOR UPDATE"), values).first()
    still = (
        locked and connection.execute(text(f"SELECT 1 FROM job j WHERE j.id = :job AND {_REMOVABLE}"), values).first()
    )
    if not still:
        return False
    for table in _TABLES:
        connection.execute(text(f"DELETE FROM {table} WHERE job_id = :job"), values)
    connection.execute(text("DELETE FROM job WHERE id = :job"), values)
    return True
