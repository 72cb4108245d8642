"""Figures over the whole database, for metrics and checks: sums of `job` and `batch`, never of the wide tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Figures:
    """How all jobs and batches stand.

    Attributes:
        jobs: by whether they are open or closed.
        batches: by state.
        ok, failed, cancelled, reused, pending: requests; reused are part of ok.
        leases, engines: batches held under a lease that has not run out, and by how many engines.
        overdue: seconds for which a batch or job has been due and nobody has taken it up; 0 when none is.
    """

    jobs: Mapping[str, int]
    batches: Mapping[str, int]
    ok: int
    failed: int
    cancelled: int
    reused: int
    pending: int
    leases: int
    engines: int
    overdue: float


def read(connection: Connection) -> Figures:
    """The figures now."""
    sums = connection.execute(
        text("""
            SELECT count(*) FILTER (WHERE closed_at IS NULL) AS open,
                count(*) FILTER (WHERE closed_at IS NOT NULL) AS closed,
                COALESCE(sum(n_ok), 0) AS ok, COALESCE(sum(n_failed), 0) AS failed,
                COALESCE(sum(n_cancelled), 0) AS cancelled, COALESCE(sum(n_reused), 0) AS reused,
                COALESCE(sum(n_requests - n_ok - n_failed - n_cancelled), 0) AS pending
            FROM job
        """)
    ).one()
    states = connection.execute(text("SELECT state, count(*) AS n FROM batch GROUP BY state"))
    held = connection.execute(
        text("SELECT count(*) AS leases, count(DISTINCT owner) AS engines FROM batch WHERE lease_until > now()")
    ).one()
    overdue = connection.execute(
        text("""
            SELECT CAST(extract(epoch FROM now() - min(at)) AS float8) FROM (
                SELECT min(GREATEST(step_at, COALESCE(lease_until, step_at))) AS at FROM batch
                WHERE state NOT IN ('done', 'failed')
                UNION ALL
                SELECT min(step_at) FROM job WHERE closed_at IS NULL
            ) due
        """)
    ).scalar()
    return Figures(
        jobs={"open": sums.open, "closed": sums.closed},
        batches={row.state: row.n for row in states},
        ok=int(sums.ok),
        failed=int(sums.failed),
        cancelled=int(sums.cancelled),
        reused=int(sums.reused),
        pending=int(sums.pending),
        leases=held.leases,
        engines=held.engines,
        overdue=0.0 if overdue is None else max(0.0, float(overdue)),
    )


@dataclass(frozen=True, slots=True)
class Stuck:
    """A batch that does not go on by itself as it should.

    Attributes:
        doubt: seconds since the create call nobody knows the outcome of; None when it is not `unsure`.
        trouble: what keeps it from going on, in the words it was told in.
    """

    id: int
    job_id: int
    state: str
    doubt: float | None
    trouble: str | None


def stuck(connection: Connection, grace: float) -> list[Stuck]:
    """Batches in doubt for longer than the grace period, and those in trouble."""
    rows = connection.execute(
        text("""
            SELECT id, job_id, state, error,
                CASE WHEN state = 'unsure' THEN CAST(extract(epoch FROM now() - intent_at) AS float8) END AS doubt
            FROM batch
            WHERE state NOT IN ('done', 'failed')
              AND (error IS NOT NULL OR (state = 'unsure' AND intent_at < now() - make_interval(secs => :grace)))
            ORDER BY id
        """),
        {"grace": grace},
    )
    return [Stuck(row.id, row.job_id, row.state, row.doubt, row.error) for row in rows]


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself.

    Attributes:
        version: such as "18.4"; number: such as 180004.
        now: its clock.
        migration: where the tables stand.
        n_bytes: the size of the whole database.
    """

    version: str
    number: int
    now: datetime
    migration: str
    n_bytes: int


def server(connection: Connection) -> Server:
    """What the server says of itself now."""
    row = connection.execute(
        text("""
            SELECT current_setting('server_version') AS version,
                CAST(current_setting('server_version_num') AS integer) AS number, clock_timestamp() AS now,
                (SELECT version_num FROM alembic_version) AS migration,
                pg_database_size(current_database()) AS n_bytes
        """)
    ).one()
    return Server(row.version.split()[0], row.number, row.now, row.migration, row.n_bytes)
