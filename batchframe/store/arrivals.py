"""Arrivals: proxied requests are kept before anything else happens to them, and joined by calls that come again.

Requests of one key, route and terms that come within a window make one job. Until it is sealed they join it under its
row's lock, so their numbers have no gaps and planning, which passes an unsealed job by, needs to know nothing of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Connection, text

from batchframe.core.spec import JobSpec
from batchframe.model import Kind, Request, Route
from batchframe.store import jobs
from batchframe.store.copying import copy_in
from batchframe.store.notices import notify

SPEC = JobSpec(prompt="", into="answer", reuse=False).to_json().decode()
"""Of a job whose requests came as they are."""

_JUST_DELIVERED = 15.0
"""Seconds in which a repeated call may be one whose answer was sent and got lost: twice the SDKs' longest pause."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What requests may share a job.

    Attributes:
        deadline: seconds from its window's beginning; 0 asks in real time, None: none.
    """

    api_key_id: int
    route: Route
    deadline: float | None = None

    @property
    def id(self) -> UUID:
        """One identity for equal streams, in every process."""
        route = self.route
        said = f"{self.api_key_id}\n{route.provider}\n{route.endpoint}\n{route.model}\n{self.deadline}"
        return UUID(bytes=hashlib.blake2b(said.encode(), digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Window:
    """How long a job may be joined, and the size that seals it early."""

    seconds: float
    requests: int
    bytes: int


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A request as it comes in.

    Attributes:
        id: what the caller will know it by.
        hash: its request's, of which the engine knows what is asked.
        call_hash: the same call gives the same: of endpoint, body and terms.
        answer_tokens: the most output tokens of its answer; None: no cap.
        background: whether the caller comes back for the answer by its id.
        repeated: whether the caller says that it has been sent before.
    """

    id: UUID
    stream: Stream
    body: bytes
    hash: bytes
    tokens: int
    call_hash: bytes
    answer_tokens: int | None = None
    idempotency_key: str | None = None
    background: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call's request is kept.

    Attributes:
        id: that of the request, which is an earlier one's when the call has joined it.
        same: whether it asks the same; False when its idempotency key stands for something else.
    """

    id: UUID
    job_id: int
    row_no: int
    joined: bool = False
    same: bool = True


def accept(
    connection: Connection, arrivals: Sequence[Arrival], waiter: UUID, window: Window, *, silence: float
) -> dict[UUID, Place]:
    """Keep requests, or find those that are kept already: by idempotency key, or left without a waiter.

    Args:
        arrivals: in the order they came; their ids are new.
        waiter: this proxy, which waits for all of them from now on.
        silence: seconds after which a proxy that has not been seen waits for nothing any more.

    Returns:
        The place of each, by the id it came with.
    """
    places = _joined(connection, arrivals, waiter, silence)
    new = [arrival for arrival in arrivals if arrival.id not in places]
    keyed = sorted(
        (arrival for arrival in new if arrival.idempotency_key is not None),
        key=lambda arrival: (arrival.stream.api_key_id, arrival.idempotency_key),
    )
    # In one order everywhere, and before any job is locked: two proxies at once must not wait for each other.
    taken = {arrival.id for arrival in keyed if not _claim_key(connection, arrival, waiter)}
    streams: dict[UUID, list[Arrival]] = {}
    for arrival in new:
        if arrival.id not in taken:
            streams.setdefault(arrival.stream.id, []).append(arrival)
    for stream_id in sorted(streams):
        places |= _append(connection, streams[stream_id], waiter, window)
    for arrival in keyed:
        if arrival.id in taken:
            places[arrival.id] = _by_key(connection, arrival, waiter)
    return places


def rejoin(connection: Connection, arrival: Arrival, waiter: UUID, *, silence: float) -> Place | None:
    """As `accept`, but a call that has not been made before is not kept: None."""
    if arrival.idempotency_key is None:
        return _join(connection, arrival, waiter, silence)
    known = connection.execute(
        text("SELECT 1 FROM proxied WHERE api_key_id = :key AND idempotency_key = :idempotency_key"),
        {"key": arrival.stream.api_key_id, "idempotency_key": arrival.idempotency_key},
    ).first()
    return _by_key(connection, arrival, waiter) if known else None


def _joined(connection: Connection, arrivals: Sequence[Arrival], waiter: UUID, silence: float) -> dict[UUID, Place]:
    """The calls without an idempotency key that are known again."""
    candidates = connection.execute(
        text("""
            SELECT at FROM unnest(CAST(:keys AS bigint[]), CAST(:hashes AS uuid[])) WITH ORDINALITY AS c(key, hash, at)
            WHERE EXISTS (SELECT 1 FROM proxied p WHERE p.api_key_id = c.key AND p.body_hash = c.hash)
        """),
        {
            "keys": [arrival.stream.api_key_id for arrival in arrivals],
            "hashes": [arrival.call_hash.hex() for arrival in arrivals],
        },
    ).scalars()
    places = {}
    for at in candidates:
        arrival = arrivals[at - 1]
        if arrival.idempotency_key is None and (place := _join(connection, arrival, waiter, silence)):
            places[arrival.id] = place
    return places


def _join(connection: Connection, arrival: Arrival, waiter: UUID, silence: float) -> Place | None:
    """Take up an earlier request of the same call: nobody waits for it, or the caller says this is the same call.

    A call that is repeated may find its own first connection not yet known to be lost, or its answer just sent. Of
    several it takes one that nobody waits for, then the one that was taken up the longest ago.
    """
    row = connection.execute(
        text("""
            UPDATE proxied SET waiter = :waiter, attached_at = clock_timestamp(), delivered_at = NULL WHERE id = (
                SELECT p.id FROM proxied p
                LEFT JOIN instance i ON i.id = p.waiter AND i.seen_at > now() - make_interval(secs => :silence)
                WHERE p.api_key_id = :key AND p.body_hash = :hash AND p.cancelled_at IS NULL
                  AND (
                      p.delivered_at IS NULL AND i.id IS NULL
                      OR :repeated AND p.delivered_at IS NULL
                      OR :repeated AND p.delivered_at > now() - make_interval(secs => :just)
                  )
                ORDER BY p.delivered_at IS NOT NULL, i.id IS NOT NULL, p.attached_at LIMIT 1
                FOR UPDATE OF p SKIP LOCKED
            )
            RETURNING id, job_id, row_no
        """),
        {
            "waiter": waiter,
            "key": arrival.stream.api_key_id,
            "hash": arrival.call_hash.hex(),
            "repeated": arrival.repeated,
            "silence": silence,
            "just": _JUST_DELIVERED,
        },
    ).first()
    return Place(row.id, row.job_id, row.row_no, joined=True) if row else None


def _claim_key(connection: Connection, arrival: Arrival, waiter: UUID) -> bool:
    """Whether the idempotency key was not used before; its row is then there, without a place yet."""
    inserted = connection.execute(
        text("""
            INSERT INTO proxied (id, job_id, row_no, api_key_id, body_hash, idempotency_key, background, waiter)
            VALUES (:id, 0, 0, :key, :hash, :idempotency_key, :background, :waiter)
            ON CONFLICT (api_key_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        """),
        {
            "id": arrival.id,
            "key": arrival.stream.api_key_id,
            "hash": arrival.call_hash.hex(),
            "idempotency_key": arrival.idempotency_key,
            "background": arrival.background,
            "waiter": waiter,
        },
    ).rowcount
    return inserted == 1


def _by_key(connection: Connection, arrival: Arrival, waiter: UUID) -> Place:
    row = connection.execute(
        text("""
            UPDATE proxied SET waiter = :waiter, attached_at = clock_timestamp()
            WHERE api_key_id = :key AND idempotency_key = :idempotency_key
            RETURNING id, job_id, row_no, body_hash
        """),
        {"waiter": waiter, "key": arrival.stream.api_key_id, "idempotency_key": arrival.idempotency_key},
    ).one()
    return Place(row.id, row.job_id, row.row_no, joined=True, same=row.body_hash.bytes == arrival.call_hash)


def _append(connection: Connection, arrivals: Sequence[Arrival], waiter: UUID, window: Window) -> dict[UUID, Place]:
    """Put requests of one stream into its open job, or a new one."""
    stream = arrivals[0].stream
    job_id, first = _open_job(connection, stream, window)
    n_bytes = sum(len(arrival.body) for arrival in arrivals)
    tokens = sum(arrival.tokens for arrival in arrivals)
    caps = [arrival.answer_tokens for arrival in arrivals]
    cap = None if None in caps else max(cap for cap in caps if cap is not None)
    requests = [Request(first + at, arrival.hash, arrival.body, arrival.tokens) for at, arrival in enumerate(arrivals)]
    jobs.write_requests(connection, job_id, requests)
    places = {
        arrival.id: Place(arrival.id, job_id, request.row_no)
        for arrival, request in zip(arrivals, requests, strict=True)
    }
    copy_in(
        connection,
        "proxied",
        "id, job_id, row_no, api_key_id, body_hash, background, waiter",
        (
            b"%s\x01%d\x01%d\x01%d\x01%s\x01%s\x01%s\n"
            % (
                arrival.id.hex.encode(),
                job_id,
                places[arrival.id].row_no,
                stream.api_key_id,
                arrival.call_hash.hex().encode(),
                b"t" if arrival.background else b"f",
                waiter.hex.encode(),
            )
            for arrival in arrivals
            if arrival.idempotency_key is None
        ),
    )
    for arrival in arrivals:
        if arrival.idempotency_key is not None:
            connection.execute(
                text("UPDATE proxied SET job_id = :job, row_no = :row WHERE id = :id"),
                {"job": job_id, "row": places[arrival.id].row_no, "id": arrival.id},
            )
    connection.execute(
        # The cap holds for every answer of the job, so one without has none.
        text("""
            UPDATE job SET
                n_rows = n_rows + :n, n_requests = n_requests + :n, tokens = tokens + :tokens,
                n_bytes = n_bytes + :n_bytes,
                answer_tokens = CASE
                    WHEN n_requests = 0 THEN CAST(:cap AS integer)
                    WHEN answer_tokens IS NOT NULL AND CAST(:cap AS integer) IS NOT NULL
                        THEN GREATEST(answer_tokens, CAST(:cap AS integer))
                END
            WHERE id = :job
        """),
        {"job": job_id, "n": len(arrivals), "tokens": tokens, "n_bytes": n_bytes, "cap": cap},
    )
    connection.execute(
        text("""
            UPDATE job SET seal_at = now(), step_at = now()
            WHERE id = :job AND (n_requests >= :requests OR n_bytes >= :bytes)
        """),
        {"job": job_id, "requests": window.requests, "bytes": window.bytes},
    )
    return places


def _open_job(connection: Connection, stream: Stream, window: Window) -> tuple[int, int]:
    """The job the stream's requests join now, locked, and the number of its next request."""
    row = connection.execute(
        # `next_row` is looked at once more when the lock was waited for: planning may have gone first.
        text("""
            SELECT id, n_requests FROM job
            WHERE stream = :stream AND seal_at > clock_timestamp() AND next_row = 0 AND closed_at IS NULL
              AND cancel_at IS NULL AND end_code IS NULL
            ORDER BY seal_at DESC LIMIT 1 FOR UPDATE
        """),
        {"stream": stream.id},
    ).first()
    if row is not None:
        return row.id, row.n_requests
    draft = jobs.begin(
        connection,
        name=None,
        route=stream.route,
        spec=SPEC,
        digest=uuid4(),
        n_rows=0,
        n_skipped=0,
        reuse=False,
        kind=Kind.PROXY,
        api_key_id=stream.api_key_id,
        terms=None if stream.deadline is None else jobs.Terms(deadline=stream.deadline, at_deadline="realtime"),
    )
    assert draft is not None, "its digest is random and it has no name"
    seconds = window.seconds if stream.deadline is None else min(window.seconds, stream.deadline / 4)
    connection.execute(
        text("""
            UPDATE job SET stream = :stream, seal_at = now() + make_interval(secs => :seconds),
                step_at = now() + make_interval(secs => :seconds)
            WHERE id = :job
        """),
        {"stream": stream.id, "seconds": seconds, "job": draft.job_id},
    )
    notify(connection, draft.job_id)
    return draft.job_id, 0


def places(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Place]:
    """Where those of the requests are kept that are."""
    rows = connection.execute(text("SELECT id, job_id, row_no FROM proxied WHERE id = ANY(:ids)"), {"ids": list(ids)})
    return {row.id: Place(row.id, row.job_id, row.row_no) for row in rows}
