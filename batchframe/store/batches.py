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
from batchframe.model import Batch, BatchState, Route
from batchframe.store.notices import notify

_RETURNING = """
    RETURNING b.id, b.uid, b.job_id, b.provider, b.endpoint, b.model, b.state, b.n_requests, b.tokens, b.token,
        b.polls, b.input_file_id, b.provider_id, b.output_file_id, b.error_file_id, b.intent_at,
        b.provider_completed + b.provider_failed AS n_answered,
        CAST(extract(epoch FROM clock_timestamp() - b.intent_at) AS float8) AS intent_age,
        CAST(extract(epoch FROM clock_timestamp() - b.ended_at) AS float8) AS ended_age,
        (SELECT j.cancel_at IS NOT NULL FROM job j WHERE j.id = b.job_id) AS cancelled
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
        "error",
    }
)
"""What a move may write beside the state."""

_STEP_AT = """
    step_at = CASE WHEN NOT :seen AND (SELECT j.cancel_at IS NOT NULL FROM job j WHERE j.id = b.job_id)
        THEN now() ELSE now() + make_interval(secs => :wait) END
"""


class LeaseLostError(Exception):
    """Another engine holds the batch now; this one must not touch it any more."""


def _batch(row: Row[Any]) -> Batch:
    fields = dict(row._mapping)
    route = Route(fields.pop("provider"), fields.pop("endpoint"), fields.pop("model"))
    return Batch(route=route, state=BatchState(fields.pop("state")), **fields)


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
    if event is Event.INTENT:
        changes += ["intent_at = clock_timestamp()"]
    if event in (Event.QUEUE_FULL, Event.REFUSED):
        changes += ["provider_id = NULL"]
    if state is BatchState.UPLOADED and event is not Event.UPLOADED:
        # A new mark: the next create call must not be answered by the listing of this one.
        changes += ["uid = gen_random_uuid()", "intent_at = NULL"]
    if state is BatchState.PLANNED:
        # A new file as well: an old one may be known to the provider from a batch that must not be taken for this.
        changes += ["uid = gen_random_uuid()", "input_file_id = NULL", "intent_at = NULL"]
    if event is Event.ENDED:
        changes += ["ended_at = now()"]
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
        # A cancellation that came meanwhile is not slept over.
        _STEP_AT,
        *_assignments(columns),
    ]
    return _write(connection, batch, changes, {"wait": wait, "seen": batch.cancelled, **columns})


def give_back(connection: Connection, owner: UUID) -> None:
    """End all leases of an engine that stops, so that the next one need not wait for them to run out.

    The token is raised too: a write this engine may still have under way is refused.
    """
    rows = connection.execute(
        text("""
            UPDATE batch SET owner = NULL, lease_until = NULL, token = token + 1 WHERE owner = :owner RETURNING job_id
        """),
        {"owner": owner},
    )
    for job_id in {row.job_id for row in rows}:
        notify(connection, job_id)


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
