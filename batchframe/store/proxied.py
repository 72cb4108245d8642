"""Proxied requests after they have arrived: who waits for them, what came of them, and calling them off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from batchframe.core.results import CANCELLED
from batchframe.store import counts


def release(connection: Connection, ids: Sequence[UUID], waiter: UUID) -> None:
    """Nobody waits at this proxy any more; a call that comes again may take these up."""
    connection.execute(
        text("UPDATE proxied SET waiter = NULL WHERE id = ANY(:ids) AND waiter = :waiter"),
        {"ids": list(ids), "waiter": waiter},
    )


def delivered(connection: Connection, ids: Sequence[UUID]) -> None:
    """Their answers, or the receipts of those in the background, were sent."""
    connection.execute(
        text("UPDATE proxied SET delivered_at = now(), waiter = NULL WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )


def seen(connection: Connection, instance: UUID) -> None:
    """This proxy is alive; those that have long been silent are forgotten."""
    connection.execute(
        text("INSERT INTO instance (id) VALUES (:id) ON CONFLICT (id) DO UPDATE SET seen_at = now()"),
        {"id": instance},
    )
    connection.execute(text("DELETE FROM instance WHERE seen_at < now() - interval '1 day'"))


def gone(connection: Connection, instance: UUID) -> None:
    """This proxy ends: what it waited for may be taken up at once."""
    connection.execute(text("DELETE FROM instance WHERE id = :id"), {"id": instance})


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The final outcome of a request; as `model.Outcome` has it."""

    row_no: int
    status: int | None
    code: str | None
    message: str | None
    body: bytes | None


def settled(connection: Connection, job_id: int, row_nos: Sequence[int]) -> list[Settled]:
    """The final outcomes there are of some requests of a job."""
    rows = connection.execute(
        text("""
            SELECT o.row_no, o.status, o.code, o.message, o.body
            FROM unnest(CAST(:rows AS integer[])) AS wanted(row_no)
            CROSS JOIN LATERAL (
                SELECT * FROM outcome WHERE job_id = :job AND row_no = wanted.row_no AND final LIMIT 1
            ) o
        """),
        {"job": job_id, "rows": list(row_nos)},
    )
    return [
        Settled(row.row_no, row.status, row.code, row.message, None if row.body is None else row.body.encode())
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that is looked at by its id.

    Attributes:
        received: seconds since the epoch.
        taken_up: whether it is in a batch, or was.
    """

    id: UUID
    job_id: int
    row_no: int
    endpoint: str
    background: bool
    body: bytes
    received: float
    cancelled: bool
    taken_up: bool


def find(connection: Connection, request_id: UUID, api_key_id: int) -> Kept | None:
    """A key's own request."""
    row = connection.execute(
        text("""
            SELECT p.id, p.job_id, p.row_no, j.endpoint, p.background, r.body,
                CAST(extract(epoch FROM p.received_at) AS float8) AS received,
                p.cancelled_at IS NOT NULL AS cancelled, j.next_row > p.row_no AS taken_up
            FROM proxied p
            JOIN job j ON j.id = p.job_id
            JOIN request r ON r.job_id = p.job_id AND r.row_no = p.row_no
            WHERE p.id = :id AND p.api_key_id = :key
        """),
        {"id": request_id, "key": api_key_id},
    ).first()
    return None if row is None else Kept(**{**row._mapping, "body": row.body.encode()})


def cancel(connection: Connection, kept: Kept) -> None:
    """The caller wants no answer any more. What is in no batch yet will not be asked; a batch cannot lose a row."""
    job = connection.execute(
        text("SELECT next_row, closed_at IS NULL AS open FROM job WHERE id = :job FOR UPDATE"), {"job": kept.job_id}
    ).one()
    fresh = connection.execute(
        text("UPDATE proxied SET cancelled_at = now() WHERE id = :id AND cancelled_at IS NULL"), {"id": kept.id}
    ).rowcount
    if not fresh or not job.open or job.next_row > kept.row_no:
        return
    connection.execute(
        text("""
            INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, code, message)
            VALUES (:job, :row, 0, true, false, 0, :code, 'The request was cancelled.')
        """),
        {"job": kept.job_id, "row": kept.row_no, "code": CANCELLED},
    )
    counts.add(connection, kept.job_id, cancelled=1)


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request as it came: its name is the digits of its id, or its custom id as JSON."""

    name: str
    body: bytes


def asked(connection: Connection, job_id: int, first: int, end: int) -> list[Asked]:
    """Some requests of a job, by number."""
    rows = connection.execute(
        text("""
            SELECT COALESCE(l.custom_id, replace(CAST(p.id AS text), '-', ''), '') AS name, r.body
            FROM request r
            LEFT JOIN client_line l ON l.job_id = r.job_id AND l.row_no = r.row_no
            LEFT JOIN proxied p ON p.job_id = r.job_id AND p.row_no = r.row_no
            WHERE r.job_id = :job AND r.row_no >= :first AND r.row_no < :end ORDER BY r.row_no
        """),
        {"job": job_id, "first": first, "end": end},
    )
    return [Asked(row.name, row.body.encode()) for row in rows]
