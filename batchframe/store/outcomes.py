"""Outcomes: a batch's lines out, its outcomes in, and what a job reads of them.

The counts on `job` move in the transaction that writes the outcomes they count, which is also the one that moves the
batch: an outcome is there once, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, text

from batchframe.core.packing import LINE_SUFFIX
from batchframe.core.results import CANCELLED, MISSING, PASSING_CODES, PASSING_STATUSES
from batchframe.model import Attempt, Batch, Mode, Outcome
from batchframe.store import counts
from batchframe.store.batches import LeaseLostError
from batchframe.store.copying import DELIMITER, copy_in, copy_out

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def input_lines(connection: Connection, batch: Batch) -> Generator[bytes, None, None]:
    """The lines of the batch's input file, in the order of their row numbers; close it when not read to its end."""
    return copy_out(
        connection,
        # The numbers are sorted before the bodies are fetched: sorting whole rows would go through the disk.
        """
        SELECT concat('{"custom_id":"bf-', a.job_id, '-', a.row_no, '-', a.attempt_no,
                      '","method":"POST","url":"', %s::text, '","body":', r.body, %s::text)
        FROM (SELECT * FROM attempt WHERE batch_id = %s ORDER BY row_no) a
        CROSS JOIN LATERAL (SELECT body FROM request WHERE job_id = a.job_id AND row_no = a.row_no LIMIT 1) r
        ORDER BY a.row_no
        """,
        (batch.route.endpoint, LINE_SUFFIX.decode().rstrip("\n"), batch.id),
    )


class Expected(msgspec.Struct, frozen=True, gc=False):
    """An attempt whose result a batch owes, and how many tries its row had used up before."""

    attempt: Attempt
    tries: int


def expected(connection: Connection, batch: Batch) -> dict[str, Expected]:
    """What the batch owes, by custom id, in the order of its input file."""
    # Rows asked in real time are settled one by one; those of a file all at once.
    settled = """
        AND NOT EXISTS (
            SELECT 1 FROM outcome o
            WHERE o.job_id = a.job_id AND o.row_no = a.row_no AND o.attempt_no = a.attempt_no
        )
    """
    rows = connection.execute(
        text(f"""
            SELECT row_no, attempt_no FROM attempt a
            WHERE batch_id = :batch {settled if batch.mode is Mode.REALTIME else ""} ORDER BY row_no
        """),
        {"batch": batch.id},
    )
    attempts = [Attempt(batch.job_id, row_no, attempt_no) for row_no, attempt_no in rows]
    tries: dict[int, int] = {}
    if any(attempt.attempt_no > 1 for attempt in attempts):
        before = connection.execute(
            text("""
                SELECT o.row_no, o.tries FROM attempt a
                JOIN outcome o ON o.job_id = a.job_id AND o.row_no = a.row_no AND o.attempt_no = a.attempt_no - 1
                WHERE a.batch_id = :batch
            """),
            {"batch": batch.id},
        )
        tries = {row.row_no: row.tries for row in before}
    return {attempt.custom_id: Expected(attempt, tries.get(attempt.row_no, 0)) for attempt in attempts}


def bodies(connection: Connection, batch: Batch) -> dict[int, bytes]:
    """The body of each request of a batch, by row number; for the few rows of a batch asked in real time."""
    rows = connection.execute(
        text("""
            SELECT r.row_no, r.body FROM attempt a JOIN request r ON r.job_id = a.job_id AND r.row_no = a.row_no
            WHERE a.batch_id = :batch
        """),
        {"batch": batch.id},
    )
    return {row.row_no: row.body.encode() for row in rows}


def record(connection: Connection, batch: Batch, outcomes: Iterable[Outcome]) -> None:
    """Write the outcomes of a batch's attempts, each once, and count them on its job.

    Raises:
        LeaseLostError: one of them is there already: another engine has settled the batch.
    """
    n_ok = n_failed = n_cancelled = 0

    def lines() -> Iterator[bytes]:
        nonlocal n_ok, n_failed, n_cancelled
        # In the order of the indexes, which saves a quarter of Postgres' work; a provider shuffles its results.
        for outcome in sorted(outcomes, key=lambda outcome: outcome.attempt.row_no):
            if outcome.final:
                n_ok += outcome.ok
                n_cancelled += outcome.code == CANCELLED
                n_failed += not outcome.ok and outcome.code != CANCELLED
            yield _line(outcome, now)

    # `retry_at` is the database's time, as text that COPY can read, plus the seconds of each row.
    now = float(connection.execute(text("SELECT extract(epoch FROM now())")).scalar_one())
    try:
        copy_in(
            connection,
            "outcome",
            "job_id, row_no, attempt_no, final, ok, tries, status, code, message, body, "
            "input_tokens, cached_tokens, output_tokens, retry_at",
            lines(),
        )
    except UniqueViolation:
        raise LeaseLostError(f"batch {batch.id} was settled by another engine") from None
    counts.add(connection, batch.job_id, ok=n_ok, failed=n_failed, cancelled=n_cancelled)
    connection.execute(
        # A borrower that is locked is being planned or written at this moment; it looks again by itself.
        text("""
            UPDATE job SET step_at = now() WHERE id IN (
                SELECT id FROM job WHERE id IN (SELECT job_id FROM loan WHERE lender_job_id = :job)
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
            )
        """),
        {"job": batch.job_id},
    )


def _line(outcome: Outcome, now: float) -> bytes:
    attempt, usage = outcome.attempt, outcome.usage
    return b"%d\x01%d\x01%d\x01%s\x01%s\x01%d\x01%s\x01%s\x01%s\x01%s\x01%d\x01%d\x01%d\x01%s\n" % (
        attempt.job_id,
        attempt.row_no,
        attempt.attempt_no,
        b"t" if outcome.final else b"f",
        b"t" if outcome.ok else b"f",
        outcome.tries,
        b"" if outcome.status is None else b"%d" % outcome.status,
        _field(outcome.code),
        _field(outcome.message),
        outcome.body or b"",
        usage.input,
        usage.cached,
        usage.output,
        b"" if outcome.retry_after is None else _moment(now + outcome.retry_after),
    )


def _field(value: str | None) -> bytes:
    """Words from a provider as one line, without what COPY or UTF-8 cannot hold."""
    return _CONTROL.sub(" ", value).strip().encode() if value else b""


def _moment(epoch: float) -> bytes:
    return datetime.fromtimestamp(epoch, UTC).isoformat().encode()


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The final outcome of a request, as a frame reads it; `answered` when the model did, well or not."""

    row_no: int
    ok: bool
    answered: bool
    code: str | None
    message: str | None
    body: bytes | None


_SETTLED = "o.row_no, o.ok, o.ok OR COALESCE(o.status BETWEEN 200 AND 299, false), o.code, o.message, o.body"


def settled(connection: Connection, job_id: int) -> Generator[Settled, None, None]:
    """The final outcomes of a job, streamed in no particular order; close it when it is not read to its end."""
    return _settled(connection, f"SELECT {_SETTLED} FROM outcome o WHERE o.job_id = %s AND o.final", (job_id,))


def settled_of(connection: Connection, job_id: int, row_nos: Sequence[int]) -> Generator[Settled, None, None]:
    """The final outcomes of some requests of a job; as `settled`."""
    query = f"""
        SELECT {_SETTLED} FROM unnest(%s::integer[]) AS wanted(row_no)
        CROSS JOIN LATERAL (
            SELECT * FROM outcome WHERE job_id = %s AND row_no = wanted.row_no AND final LIMIT 1
        ) o
    """
    return _settled(connection, query, (list(row_nos), job_id))


def _settled(connection: Connection, query: str, values: tuple[object, ...]) -> Generator[Settled, None, None]:
    with closing(copy_out(connection, query, values)) as lines:
        for line in lines:
            row_no, ok, answered, code, message, body = line[:-1].split(DELIMITER, 5)
            yield Settled(
                int(row_no), ok == b"t", answered == b"t", code.decode() or None, message.decode() or None, body or None
            )


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Requests of a job that failed for one reason."""

    code: str
    count: int
    retryable: bool
    example: str
    body: str


def error_groups(connection: Connection, job_id: int) -> list[ErrorGroup]:
    """The final failures of a job by code, the most frequent first."""
    rows = connection.execute(
        text("""
            SELECT g.code, g.n, g.retryable, o.message, r.body
            FROM (
                SELECT code, count(*) AS n, min(row_no) AS row_no,
                    bool_and(status = ANY(:statuses) OR status >= 500 OR code = ANY(:codes)) AS retryable
                FROM outcome WHERE job_id = :job AND final AND NOT ok
                GROUP BY code
            ) g
            JOIN outcome o ON o.job_id = :job AND o.row_no = g.row_no AND o.final
            JOIN request r ON r.job_id = :job AND r.row_no = g.row_no
            ORDER BY g.n DESC, g.code
        """),
        {"job": job_id, "statuses": list(PASSING_STATUSES), "codes": [*PASSING_CODES, MISSING, CANCELLED]},
    )
    return [ErrorGroup(row.code, row.n, bool(row.retryable), row.message or "", row.body) for row in rows]


@dataclass(frozen=True, slots=True)
class Work:
    """How the batches of a job stand.

    Attributes:
        states: how many are in each state.
        at_provider: requests of batches that are sent, or may be, and whose results are not here yet.
        answered: those of them the provider says it has worked off.
        trouble: what keeps one of them from going on, or None.
        stuck: whether all that is left waits for another job, which is paused.
    """

    states: Mapping[str, int]
    at_provider: int
    answered: int
    trouble: str | None
    stuck: bool


def work(connection: Connection, job_id: int) -> Work:
    """How the batches of a job stand."""
    rows = connection.execute(
        text("""
            SELECT state, count(*) AS n, max(error) AS error,
                -- Of rows asked in real time those that were answered are settled already.
                CAST(COALESCE(sum(n_requests - CASE WHEN state = 'asking' THEN LEAST(n_paid, n_requests) ELSE 0 END)
                    FILTER (WHERE state IN ('creating', 'unsure', 'submitted', 'ended', 'asking')), 0) AS bigint)
                    AS at_provider,
                COALESCE(sum(provider_completed + provider_failed)
                    FILTER (WHERE state IN ('submitted', 'ended')), 0) AS answered
            FROM batch WHERE job_id = :job GROUP BY state
        """),
        {"job": job_id},
    ).all()
    errors = [row.error for row in rows if row.error and row.state not in ("done", "failed")]
    lender = None if errors else _paused_lender(connection, job_id)
    trouble = errors[0] if errors else lender or _refusal_of_rows(connection, job_id)
    stuck = lender is not None and all(row.state in ("done", "failed") for row in rows)
    return Work(
        states={row.state: row.n for row in rows},
        at_provider=sum(row.at_provider for row in rows),
        answered=sum(row.answered for row in rows),
        trouble=trouble,
        stuck=stuck,
    )


def _refusal_of_rows(connection: Connection, job_id: int) -> str | None:
    """Why rows asked in real time wait, when they do."""
    said: str | None = connection.execute(
        text("""
            SELECT o.message FROM outcome o
            JOIN attempt a ON a.job_id = o.job_id AND a.row_no = o.row_no AND a.attempt_no = o.attempt_no
            JOIN batch b ON b.id = a.batch_id AND b.mode = 'realtime'
            WHERE o.job_id = :job AND NOT o.final AND o.retry_at > now() LIMIT 1
        """),
        {"job": job_id},
    ).scalar()
    return said


def _paused_lender(connection: Connection, job_id: int) -> str | None:
    said: str | None = connection.execute(
        text("""
            SELECT format('Waiting for the answers of job %s, which is paused: %s', j.id, j.paused)
            FROM loan l JOIN job j ON j.id = l.lender_job_id
            WHERE l.job_id = :job AND j.paused IS NOT NULL LIMIT 1
        """),
        {"job": job_id},
    ).scalar()
    return said
