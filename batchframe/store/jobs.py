"""Jobs: written once with their requests and frame in one transaction, then found, listed, cancelled, retried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from batchframe.core.results import CANCELLED
from batchframe.model import Job, Kind, Price, Request, Route, Stop
from batchframe.store import batches, counts, loans
from batchframe.store.copying import copy_in
from batchframe.store.notices import notify

_COLUMNS = """
    id, kind, api_key_id, name, provider, endpoint, model, spec, digest, n_rows, n_skipped, n_requests, tokens,
    answer_tokens, price_input, price_output, budget_usd, n_ok, n_failed, n_cancelled, n_reused, created_at, paused,
    deadline_at, at_deadline, late_at IS NOT NULL AS late, cancel_at IS NOT NULL AS cancelled, end_code, end_message,
    closed_at IS NOT NULL AS closed
"""

WAS_CANCELLED = Stop(CANCELLED, "The job was cancelled.")
WAS_LATE = Stop("deadline", "There was no answer by the deadline.")


def _job(row: Row[Any]) -> Job:
    fields = dict(row._mapping)
    route = Route(fields.pop("provider"), fields.pop("endpoint"), fields.pop("model"))
    price_input, price_output = fields.pop("price_input"), fields.pop("price_output")
    price = None if price_input is None else Price(price_input, price_output)
    end_code, end_message = fields.pop("end_code"), fields.pop("end_message")
    gives_up = fields.pop("at_deadline") == "give_up" and fields["late"]
    stop = WAS_CANCELLED if fields["cancelled"] else WAS_LATE if gives_up else None
    if end_code is not None:
        stop = Stop(end_code, end_message)
    kind = Kind(fields.pop("kind"))
    return Job(kind=kind, route=route, price=price, stop=stop, ended=end_code is not None, **fields)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job may cost and how long it may take.

    Attributes:
        answer_tokens: the most output tokens of one answer; None: no cap.
        price: what the user says the model costs; None: by the table.
        deadline: seconds from now; None: none.
        at_deadline: what becomes of what is unanswered then: "realtime" or "give_up".
    """

    answer_tokens: int | None = None
    price: Price | None = None
    budget_usd: Decimal | None = None
    deadline: float | None = None
    at_deadline: str | None = None


def find(connection: Connection, key: int | str | UUID) -> Job | None:
    """The job of this id, name or digest."""
    column = "name" if isinstance(key, str) else "digest" if isinstance(key, UUID) else "id"
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM job WHERE {column} = :key"), {"key": key}).first()
    return _job(row) if row else None


def find_all(connection: Connection, ids: Iterable[int]) -> dict[int, Job]:
    """The jobs of these ids that there are, by id."""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM job WHERE id = ANY(:ids)"), {"ids": list(ids)})
    return {row.id: _job(row) for row in rows}


def next_id(connection: Connection) -> int:
    """The id that a job stored now would have, unless numbers were left out."""
    return int(connection.execute(text("SELECT COALESCE(max(id), 0) + 1 FROM job")).scalar_one())


def newest_first(connection: Connection) -> list[Job]:
    """All jobs, open ones before closed ones, the newest first."""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM job ORDER BY closed_at IS NOT NULL, id DESC"))
    return [_job(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Times:
    """When a job was asked and closed, and the time now, all by the database's clock; `closed` is None while open."""

    asked: datetime
    closed: datetime | None
    now: datetime


def times(connection: Connection, job_id: int) -> Times:
    """The times of a job."""
    row = connection.execute(
        text("SELECT created_at AS asked, closed_at AS closed, now() AS now FROM job WHERE id = :job"), {"job": job_id}
    ).one()
    return Times(row.asked, row.closed, row.now)


def begin(
    connection: Connection,
    *,
    name: str | None,
    route: Route,
    spec: str,
    digest: UUID,
    n_rows: int,
    n_skipped: int,
    reuse: bool,
    terms: Terms | None = None,
    kind: Kind = Kind.FRAME,
    api_key_id: int | None = None,
) -> Draft | None:
    """Begin a job; its requests and its frame are written through the draft, a piece at a time.

    Everything is in the caller's transaction: after a crash there is the whole job or none of it.

    Args:
        reuse: whether answers to the same requests in other jobs count.
        terms: what it may cost and how long it may take.
        api_key_id: the key its requests came with over HTTP; None for a frame's.

    Returns:
        None when another process has written the same call, or the same name, in the meantime.
    """
    terms = terms or Terms()
    if reuse:
        loans.lock_route(connection, route)
    job_id: int | None = connection.execute(
        text("""
            INSERT INTO job (
                name, kind, provider, endpoint, model, spec, digest, n_rows, n_skipped, answer_tokens, price_input,
                price_output, budget_usd, deadline_at, at_deadline, api_key_id
            )
            VALUES (
                :name, :kind, :provider, :endpoint, :model, :spec, :digest, :n_rows, :n_skipped, :answer_tokens,
                :price_input, :price_output, :budget, now() + make_interval(secs => :deadline), :at_deadline,
                :api_key
            )
            ON CONFLICT DO NOTHING
            RETURNING id
        """),
        {
            "name": name,
            "kind": kind,
            "api_key": api_key_id,
            "provider": route.provider,
            "endpoint": route.endpoint,
            "model": route.model,
            "spec": spec,
            "digest": digest,
            "n_rows": n_rows,
            "n_skipped": n_skipped,
            "answer_tokens": terms.answer_tokens,
            "price_input": terms.price.input if terms.price else None,
            "price_output": terms.price.output if terms.price else None,
            "budget": terms.budget_usd,
            "deadline": terms.deadline,
            "at_deadline": terms.at_deadline,
        },
    ).scalar()
    if job_id is None:
        return None
    return Draft(connection, job_id, route, reuse=reuse)


class Draft:
    """A job that is being written; nobody else sees it before the transaction is committed."""

    def __init__(self, connection: Connection, job_id: int, route: Route, *, reuse: bool) -> None:
        self.job_id = job_id
        self.n_rows = 0
        self.n_requests = 0
        self._connection = connection
        self._route = route
        self._reuse = reuse
        self._tokens = 0
        self._n_parts = 0

    def add_requests(self, requests: Iterable[Request]) -> None:
        """Write further requests, whose numbers go on from `n_requests`."""

        def counted() -> Iterator[Request]:
            for request in requests:
                self.n_requests += 1
                self._tokens += request.tokens
                yield request

        write_requests(self._connection, self.job_id, counted())

    def numbers_of(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        """As the function, for what was written so far."""
        return numbers_of(self._connection, self.job_id, hashes)

    def add_part(self, data: bytes) -> None:
        """Write the next Parquet part of the frame."""
        self._connection.execute(
            text("INSERT INTO job_frame (job_id, part_no, data) VALUES (:job, :part, :data)"),
            {"job": self.job_id, "part": self._n_parts, "data": data},
        )
        self._n_parts += 1

    def finish(self) -> None:
        """Take over the answers that exist already; engines see the job once the transaction is committed."""
        self._connection.execute(
            text("UPDATE job SET n_requests = :n, tokens = :tokens WHERE id = :job"),
            {"n": self.n_requests, "tokens": self._tokens, "job": self.job_id},
        )
        if self._reuse:
            loans.take(self._connection, self.job_id, self._route)
        counts.add(self._connection, self.job_id)


def write_requests(connection: Connection, job_id: int, requests: Iterable[Request]) -> None:
    """Write requests of a job; its row counts them."""
    lines = (
        b"%d\x01%d\x01%s\x01%s\x01%d\n"
        % (job_id, request.row_no, request.hash.hex().encode(), request.body, request.tokens)
        for request in requests
    )
    copy_in(connection, "request", "job_id, row_no, hash, body, tokens", lines)


def frame_part(connection: Connection, job_id: int, part_no: int) -> bytes | None:
    """A Parquet part of the job's frame; None after the last one."""
    query = text("SELECT data FROM job_frame WHERE job_id = :job AND part_no = :part")
    data = connection.execute(query, {"job": job_id, "part": part_no}).scalar()
    return None if data is None else bytes(data)


def numbers_of(connection: Connection, job_id: int, hashes: Iterable[bytes]) -> dict[bytes, int]:
    """The numbers of requests by their hashes, which join a frame to its answers; those the job lacks are left out."""
    # One look into the index of hashes each. Of a table that is being filled at this moment the planner knows nothing,
    # and would read all rows of the job each time, by its other index; hence the + 0.
    rows = connection.execute(
        text("""
            SELECT wanted.hash, r.row_no FROM unnest(CAST(:hashes AS uuid[])) AS wanted(hash)
            CROSS JOIN LATERAL (SELECT row_no FROM request WHERE hash = wanted.hash AND job_id + 0 = :job LIMIT 1) r
        """),
        {"job": job_id, "hashes": [hash_.hex() for hash_ in hashes]},
    )
    return {row.hash.bytes: row.row_no for row in rows}


def cancel(connection: Connection, job_id: int) -> None:
    """Ask for the job to be cancelled; engines act on it at once, answers that exist are kept."""
    connection.execute(
        text("UPDATE job SET cancel_at = now(), step_at = now() WHERE id = :job AND closed_at IS NULL"),
        {"job": job_id},
    )
    batches.wake(connection, job_id)


def end(connection: Connection, job_id: int, reason: Stop) -> None:
    """End a job as a whole: none of its requests can be answered. What has an answer keeps it."""
    connection.execute(
        text("""
            UPDATE job SET end_code = :code, end_message = :message, step_at = now()
            WHERE id = :job AND end_code IS NULL
        """),
        {"job": job_id, "code": reason.code, "message": reason.message},
    )
    batches.wake(connection, job_id)


def resume(connection: Connection, job_id: int, budget_usd: Decimal | None) -> None:
    """Let a job go on with this budget; None: without one."""
    connection.execute(
        text("UPDATE job SET budget_usd = :budget, paused = NULL, step_at = now() WHERE id = :job"),
        {"job": job_id, "budget": budget_usd},
    )
    batches.wake(connection, job_id)


def retry(connection: Connection, job: Job, *, reuse: bool, codes: Iterable[str] | None = None) -> int:
    """Ask failed and cancelled requests again: their final outcomes become steps on the way.

    A deadline that is over no longer counts: what failed by it is asked in a batch again.

    Args:
        reuse: whether answers to the same requests in other jobs count; they may have come since.
        codes: only those whose outcome has one of these codes; None: all.

    Returns:
        How many requests are asked again.
    """
    if reuse:
        loans.lock_route(connection, job.route)
    # One that was answered all the same before it could be cancelled is done.
    connection.execute(
        text("""
            UPDATE job SET cancel_at = CASE WHEN closed_at IS NULL OR n_cancelled > 0 THEN cancel_at END
            WHERE id = :job
        """),
        {"job": job.id},
    )
    opened = connection.execute(
        text("""
            WITH again AS (
                UPDATE outcome SET final = false, retry_at = now(), tries = 0
                WHERE job_id = :job AND final AND NOT ok AND (:all OR code = ANY(:codes))
                RETURNING code
            )
            SELECT count(*) AS n, count(*) FILTER (WHERE code = 'cancelled') AS cancelled FROM again
        """),
        {"job": job.id, "all": codes is None, "codes": list(codes or ())},
    ).one()
    if opened.n:
        connection.execute(
            text("""
                UPDATE job
                SET n_failed = n_failed - :failed, n_cancelled = n_cancelled - :cancelled,
                    step_at = now(), closed_at = NULL, cancel_at = NULL, end_code = NULL, end_message = NULL,
                    deadline_at = CASE WHEN late_at IS NULL THEN deadline_at END, late_at = NULL, paused = NULL
                WHERE id = :job
            """),
            {"job": job.id, "failed": opened.n - opened.cancelled, "cancelled": opened.cancelled},
        )
        if reuse:
            loans.take(connection, job.id, job.route, written_before=True)
        notify(connection, job.id)
    return int(opened.n)
