"""Batches: claimed under a lease, moved by guarded writes.

A claim raises the row's fencing token. Every later write names the token and the state it starts from, so an engine
that was thought dead, and wakes, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from batchframe.core.states import Event, after
from batchframe.model import Attempt, Batch, BatchState, Mode, Paid, Route
from batchframe.store.notices import notify

_STOPPED = """
    (
        SELECT j.cancel_at IS NOT NULL OR j.end_code IS NOT NULL
            OR CASE WHEN j.late_at IS NULL THEN b.mode = 'realtime'
                ELSE b.mode = 'batch' OR j.at_deadline = 'give_up' END
        FROM job j WHERE j.id = b.job_id
    )
"""
"""Whether a batch is to stop."""

_RETURNING = f"""
    RETURNING b.id, b.uid, b.job_id, b.provider, b.endpoint, b.model, b.mode, b.root_id, b.state, b.n_requests,
        b.tokens, b.reserved_usd, b.token, b.polls, b.input_file_id, b.provider_id, b.output_file_id, b.error_file_id,
        b.intent_at,
        b.provider_completed + b.provider_failed AS n_answered,
        CAST(extract(epoch FROM clock_timestamp() - b.intent_at) AS float8) AS intent_age,
        CAST(extract(epoch FROM clock_timestamp() - b.ended_at) AS float8) AS ended_age,
        {_STOPPED} AS stopped
"""

_COLUMNS = frozenset(
    {
        "input_file_id",
        "provider_id",
        "output_file_id",
        "error_file_id",
        "provider_status",
        "provider_completed",
        "provider_failed",
        "reserved_usd",
        "n_paid",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "cost_usd",
        "error",
    }
)
"""What a move may write beside the state."""

_STEP_AT = f"""
    step_at = CASE WHEN NOT :seen AND {_STOPPED} THEN now() ELSE now() + make_interval(secs => :wait) END
"""


class LeaseLostError(Exception):
    """Another engine holds the batch now; this one must not touch it any more."""


def _batch(row: Row[Any]) -> Batch:
    fields = dict(row._mapping)
    route = Route(fields.pop("provider"), fields.pop("endpoint"), fields.pop("model"))
    mode, state = Mode(fields.pop("mode")), BatchState(fields.pop("state"))
    return Batch(route=route, mode=mode, state=state, **fields)


def claim(connection: Connection, owner: UUID, providers: Sequence[str], lease: float, limit: int) -> list[Batch]:
    """Take due batches that nobody holds, the longest due first.

    Args:
        owner: this engine's id.
        lease: seconds for which nobody else takes them.
    """
    rows = connection.execute(
        text(f"""
            WITH due AS (
                SELECT id FROM batch
                WHERE provider = ANY(:providers) AND state NOT IN ('done', 'failed') AND step_at <= now()
                  AND (lease_until IS NULL OR lease_until < now())
                ORDER BY step_at LIMIT :limit
                FOR UPDATE SKIP LOCKED
            )
            UPDATE batch b
            SET owner = :owner, token = b.token + 1, lease_until = clock_timestamp() + make_interval(secs => :lease)
            FROM due WHERE b.id = due.id
            {_RETURNING}
        """),
        {"providers": list(providers), "owner": owner, "lease": lease, "limit": limit},
    )
    return [_batch(row) for row in rows]


def insert(
    connection: Connection,
    job_id: int,
    route: Route,
    attempts: Sequence[Attempt],
    tokens: int,
    *,
    mode: Mode = Mode.BATCH,
    root_id: int | None = None,
) -> int:
    """Make a batch of these attempts of one job; its id.

    Args:
        tokens: estimated input tokens of its requests.
        root_id: the batch it is a part of.
    """
    batch_id = insert_empty(connection, job_id, route, len(attempts), tokens, mode=mode, root_id=root_id)
    connection.execute(
        text("""
            INSERT INTO attempt (job_id, row_no, attempt_no, batch_id)
            SELECT :job, row_no, attempt_no, :batch
            FROM unnest(CAST(:rows AS integer[]), CAST(:attempts AS smallint[])) AS due(row_no, attempt_no)
        """),
        {
            "job": job_id,
            "batch": batch_id,
            "rows": [attempt.row_no for attempt in attempts],
            "attempts": [attempt.attempt_no for attempt in attempts],
        },
    )
    return batch_id


def insert_empty(
    connection: Connection,
    job_id: int,
    route: Route,
    n_requests: int,
    tokens: int,
    *,
    mode: Mode = Mode.BATCH,
    root_id: int | None = None,
) -> int:
    """Make a batch whose attempts the caller writes; its id."""
    batch_id: int = connection.execute(
        text("""
            INSERT INTO batch (job_id, provider, endpoint, model, mode, root_id, n_requests, tokens)
            VALUES (:job, :provider, :endpoint, :model, :mode, :root, :n, :tokens)
            RETURNING id
        """),
        {
            "job": job_id,
            "provider": route.provider,
            "endpoint": route.endpoint,
            "model": route.model,
            "mode": mode,
            "root": root_id,
            "n": n_requests,
            "tokens": tokens,
        },
    ).scalar_one()
    notify(connection, job_id)
    return batch_id


def parts(connection: Connection, batch: Batch) -> int:
    """How many batches the one it is a part of has been split into; 0 for one that is whole.

    That one stays locked until the transaction ends, so that its parts, judged at once, keep the bound together.
    """
    if batch.root_id is None:
        return 0
    connection.execute(text("SELECT 1 FROM batch WHERE id = :root FOR UPDATE"), {"root": batch.root_id})
    query = text("SELECT count(*) FROM batch WHERE root_id = :root")
    return int(connection.execute(query, {"root": batch.root_id}).scalar_one())


def wake(connection: Connection, job_id: int) -> None:
    """Make every open batch of a job due now: something has happened to the job."""
    connection.execute(
        text("""
            UPDATE batch SET step_at = now() WHERE id IN (
                SELECT id FROM batch WHERE job_id = :job AND state NOT IN ('done', 'failed')
                ORDER BY id FOR NO KEY UPDATE
            )
        """),
        {"job": job_id},
    )
    notify(connection, job_id)


def renew(connection: Connection, owner: UUID, held: Mapping[int, int], lease: float) -> set[int]:
    """Renew the leases of the batches this engine works on.

    Args:
        held: id and token of each.

    Returns:
        The ids of those that have been claimed by another engine since.
    """
    # A row that is being written at this moment is left to the next renewal: one lock must not end the other leases.
    rows = connection.execute(
        text("""
            WITH held AS (
                SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:tokens AS bigint[])) AS held(id, token)
            ),
            ours AS (
                SELECT b.id FROM batch b JOIN held USING (id, token)
                WHERE b.owner = :owner ORDER BY b.id FOR NO KEY UPDATE OF b SKIP LOCKED
            ),
            renewed AS (
                UPDATE batch SET lease_until = clock_timestamp() + make_interval(secs => :lease)
                FROM ours WHERE batch.id = ours.id
            )
            SELECT b.id FROM batch b JOIN held USING (id) WHERE b.token <> held.token
        """),
        {"owner": owner, "ids": list(held), "tokens": list(held.values()), "lease": lease},
    )
    return {row.id for row in rows}


def advance(connection: Connection, batch: Batch, event: Event, **columns: Any) -> Batch:
    """Move a batch by an event; the lease is kept.

    Args:
        columns: what to write beside the state, from `_COLUMNS`.

    Raises:
        LeaseLostError: the guard did not hold.
    """
    state = after(batch.state, event)
    columns = {"error": None, **columns}
    # A refusal is no progress: the next wait goes on growing from where it was.
    polls = "polls" if event in (Event.REFUSED, Event.QUEUE_FULL, Event.INTENT, Event.UPLOADED) else "0"
    changes = ["state = :to", f"polls = {polls}", *_assignments(columns)]
    if event in (Event.INTENT, Event.ASKED):
        changes += ["intent_at = clock_timestamp()"]
    if event in (Event.QUEUE_FULL, Event.REFUSED):
        changes += ["provider_id = NULL"]
    if state is BatchState.UPLOADED and event is not Event.UPLOADED:
        # A new mark: the next create call must not be answered by the listing of this one.
        changes += ["uid = gen_random_uuid()", "intent_at = NULL"]
    if state is BatchState.PLANNED:
        # A new file as well: an old one may be known to the provider from a batch that must not be taken for this.
        changes += ["uid = gen_random_uuid()", "input_file_id = NULL", "intent_at = NULL"]
    if batch.state is BatchState.UNSURE and state is BatchState.FAILED:
        # Should the call land after all, whoever sent it must see that nobody will adopt what it made.
        changes += ["uid = gen_random_uuid()"]
    if state in (BatchState.ENDED, BatchState.DONE, BatchState.FAILED):
        changes += ["ended_at = COALESCE(ended_at, now())"]
    if state in (BatchState.DONE, BatchState.FAILED):
        changes += ["owner = NULL", "lease_until = NULL"]
        notify(connection, batch.job_id)
    return _write(connection, batch, changes, {"to": state, **columns})


def release(connection: Connection, batch: Batch, wait: float, **columns: Any) -> Batch:
    """Give a batch back, to be looked at again after `wait` seconds.

    Raises:
        LeaseLostError: the guard did not hold.
    """
    changes = [
        "owner = NULL",
        "lease_until = NULL",
        "polls = polls + 1",
        # An order to stop that came meanwhile is not slept over.
        _STEP_AT,
        *_assignments(columns),
    ]
    return _write(connection, batch, changes, {"wait": wait, "seen": batch.stopped, **columns})


def give_back(connection: Connection, owner: UUID) -> None:
    """End all leases of an engine that stops, so that the next one need not wait for them to run out.

    The token is raised too: a write this engine may still have under way is refused.
    """
    rows = connection.execute(
        text("""
            UPDATE batch SET owner = NULL, lease_until = NULL, token = token + 1 WHERE id IN (
                SELECT id FROM batch WHERE owner = :owner ORDER BY id FOR NO KEY UPDATE
            )
            RETURNING job_id
        """),
        {"owner": owner},
    )
    for job_id in {row.job_id for row in rows}:
        notify(connection, job_id)


def add_paid(connection: Connection, batch: Batch, paid: Paid) -> None:
    """Count one more outcome of a batch whose rows are asked one by one; the guard of the transaction that writes it.

    Comes after the outcome in that transaction, as elsewhere: the job's row is locked before its batches'.

    Raises:
        LeaseLostError: the guard did not hold.
    """
    _write(
        connection,
        batch,
        [
            "n_paid = n_paid + :n",
            "input_tokens = input_tokens + :input",
            "cached_tokens = cached_tokens + :cached",
            "output_tokens = output_tokens + :output",
            # An unknown price makes the sum unknown; an outcome that was not paid for leaves it as it is.
            """cost_usd = CASE WHEN :n = 0 AND CAST(:cost AS numeric) IS NULL THEN cost_usd
                ELSE COALESCE(cost_usd, CASE WHEN n_paid = 0 THEN 0 END) + :cost END""",
        ],
        {
            "n": paid.answers,
            "input": paid.usage.input,
            "cached": paid.usage.cached,
            "output": paid.usage.output,
            "cost": paid.cost_usd,
        },
    )


def current_mark(connection: Connection, batch_id: int) -> tuple[UUID, str | None]:
    """The batch's uid and provider id as they are now, whoever holds it."""
    row = connection.execute(text("SELECT uid, provider_id FROM batch WHERE id = :id"), {"id": batch_id}).one()
    return row.uid, row.provider_id


def wake_waiting(connection: Connection, route: Route) -> None:
    """A batch of the model has ended: those that wait for its tokens are due."""
    # One that is locked is being woken, claimed or written at this moment. Waiting for it here, while holding others,
    # could make two settlings wait for each other.
    connection.execute(
        text("""
            UPDATE batch SET step_at = now() WHERE id IN (
                SELECT id FROM batch
                WHERE provider = :provider AND model = :model AND state IN ('planned', 'uploaded') AND step_at > now()
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
            )
        """),
        {"provider": route.provider, "model": route.model},
    )


def next_due(connection: Connection, providers: Sequence[str], *, jobs_only: bool = False) -> float | None:
    """Seconds until the next batch or job of these providers is due, 0 when one is; None when none will be."""
    seconds = connection.execute(
        text("""
            SELECT CAST(extract(epoch FROM min(at) - clock_timestamp()) AS float8) FROM (
                SELECT min(GREATEST(step_at, COALESCE(lease_until, step_at))) AS at FROM batch
                WHERE provider = ANY(:providers) AND state NOT IN ('done', 'failed') AND NOT :jobs_only
                UNION ALL
                SELECT min(step_at) FROM job
                WHERE provider = ANY(:providers) AND closed_at IS NULL AND step_at < 'infinity'
            ) due
        """),
        {"providers": list(providers), "jobs_only": jobs_only},
    ).scalar()
    return None if seconds is None else max(0.0, float(seconds))


def _assignments(columns: dict[str, Any]) -> list[str]:
    unknown = columns.keys() - _COLUMNS
    assert not unknown, f"not columns of a move: {unknown}"
    return [f"{column} = :{column}" for column in columns]


def _write(connection: Connection, batch: Batch, changes: Sequence[str], values: dict[str, Any]) -> Batch:
    row = connection.execute(
        text(f"""
            UPDATE batch b SET {", ".join(changes)}
            WHERE b.id = :id AND b.token = :token AND b.state = :state
            {_RETURNING}
        """),
        {"id": batch.id, "token": batch.token, "state": batch.state, **values},
    ).first()
    if row is None:
        raise LeaseLostError(f"batch {batch.id} is held by another engine")
    return _batch(row)
