"""Evaluations: what is compared, of which rows, and which jobs answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from batchframe.model import Job
from batchframe.store import jobs

_COLUMNS = "id, name, spec, n_rows, created_at"


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """An evaluation as the database has it.

    Attributes:
        spec: what is compared and by which metrics, as JSON text.
    """

    id: int
    name: str | None
    spec: str
    n_rows: int
    created_at: datetime


class Place(NamedTuple):
    """Which of an evaluation's jobs: a cell's own, or that of a judge of it; `judge` is empty for the cell's own."""

    prompt: str
    model: str
    judge: str = ""


def find(connection: Connection, key: int | str) -> StoredEvaluation | None:
    """The evaluation of this id or name."""
    column = "name" if isinstance(key, str) else "id"
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM evaluation WHERE {column} = :key"), {"key": key}).first()
    return _evaluation(row) if row else None


def newest_first(connection: Connection) -> list[StoredEvaluation]:
    """All evaluations, the newest first."""
    return [_evaluation(row) for row in connection.execute(text(f"SELECT {_COLUMNS} FROM evaluation ORDER BY id DESC"))]


def write(
    connection: Connection, *, name: str | None, digest: UUID, spec: str, n_rows: int, parts: Iterable[bytes]
) -> StoredEvaluation:
    """Write an evaluation with its frame, or put both in the place of those it had: of its name, or without one of its
    digest, its identity: the same call of the same rows has the same."""
    known = "name" if name is not None else "digest"
    row = connection.execute(
        text(f"""
            INSERT INTO evaluation (name, digest, spec, n_rows) VALUES (:name, :digest, :spec, :n_rows)
            ON CONFLICT ({known}) DO UPDATE
            SET digest = EXCLUDED.digest, spec = EXCLUDED.spec, n_rows = EXCLUDED.n_rows
            RETURNING {_COLUMNS}
        """),
        {"name": name, "digest": digest, "spec": spec, "n_rows": n_rows},
    ).one()
    connection.execute(text("DELETE FROM evaluation_frame WHERE evaluation_id = :id"), {"id": row.id})
    for part_no, data in enumerate(parts):
        connection.execute(
            text("INSERT INTO evaluation_frame (evaluation_id, part_no, data) VALUES (:id, :part, :data)"),
            {"id": row.id, "part": part_no, "data": data},
        )
    return _evaluation(row)


def frame_parts(connection: Connection, evaluation_id: int) -> list[bytes]:
    """The Parquet parts of the frame."""
    rows = connection.execute(
        text("SELECT data FROM evaluation_frame WHERE evaluation_id = :id ORDER BY part_no"), {"id": evaluation_id}
    )
    return [bytes(row.data) for row in rows]


def put_job(connection: Connection, evaluation_id: int, place: Place, job_id: int) -> None:
    """Note which job is at a place; another that was there is no longer part of the evaluation."""
    connection.execute(
        text("""
            INSERT INTO evaluation_job (evaluation_id, prompt, model, judge, job_id)
            VALUES (:evaluation, :prompt, :model, :judge, :job)
            ON CONFLICT (evaluation_id, prompt, model, judge) DO UPDATE SET job_id = EXCLUDED.job_id
        """),
        {"evaluation": evaluation_id, **place._asdict(), "job": job_id},
    )


def drop_jobs(connection: Connection, evaluation_id: int, current: Mapping[Place, UUID]) -> None:
    """Take out the jobs of cells that ask something else by now; answers they have are still found by what they ask.

    Args:
        current: of each cell the digest of its job.
    """
    for place, job in jobs_of(connection, evaluation_id).items():
        if not place.judge and current.get(place) != job.digest:
            connection.execute(
                text("""
                    DELETE FROM evaluation_job
                    WHERE evaluation_id = :id AND prompt = :prompt AND model = :model AND judge = ''
                """),
                {"id": evaluation_id, "prompt": place.prompt, "model": place.model},
            )


def jobs_of(connection: Connection, evaluation_id: int) -> dict[Place, Job]:
    """The jobs of an evaluation as they are now; without those that were removed."""
    rows = connection.execute(
        text("SELECT prompt, model, judge, job_id FROM evaluation_job WHERE evaluation_id = :id ORDER BY job_id"),
        {"id": evaluation_id},
    ).all()
    found = jobs.find_all(connection, {row.job_id for row in rows})
    return {Place(row.prompt, row.model, row.judge): found[row.job_id] for row in rows if row.job_id in found}


def remove(connection: Connection, evaluation_id: int) -> None:
    """Remove an evaluation; its jobs and their answers stay."""
    for table, column in (
        ("evaluation_job", "evaluation_id"),
        ("evaluation_frame", "evaluation_id"),
        ("evaluation", "id"),
    ):
        connection.execute(text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": evaluation_id})


def hashes_of(connection: Connection, job_id: int) -> list[bytes]:
    """The hashes of a job's requests, in order."""
    rows = connection.execute(text("SELECT hash FROM request WHERE job_id = :job ORDER BY row_no"), {"job": job_id})
    return [row.hash.bytes for row in rows]


def bodies_of(connection: Connection, job_id: int) -> list[bytes]:
    """The bodies of a job's requests, in order."""
    rows = connection.execute(text("SELECT body FROM request WHERE job_id = :job ORDER BY row_no"), {"job": job_id})
    return [row.body.encode() for row in rows]


def _evaluation(row: Row[Any]) -> StoredEvaluation:
    return StoredEvaluation(**row._mapping)
