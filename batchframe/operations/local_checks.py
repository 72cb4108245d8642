"""Checks of what is ours: the database, the disk, and the work that lies in it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from batchframe.config import Settings
from batchframe.operations.finding import Finding, Level
from batchframe.store import figures
from batchframe.store.database import HEAD, Database

_OLDEST_POSTGRES = 13
"""The first one with gen_random_uuid built in."""

_LITTLE, _TOO_LITTLE = 5e9, 5e8
"""Bytes: a job of 1M rows with its answers, its indexes and Postgres' log takes some 3 GB."""

_SKEW_SECONDS = 60.0


def check_database(database: Database, settings: Settings) -> Iterator[Finding]:
    """Where it is, what it is, how it answers."""
    begun = time.perf_counter()
    with database.transaction() as connection:
        asked = time.perf_counter()
        server = figures.server(connection)
        answered = time.perf_counter()
        here = datetime.now(UTC)
    where = database.place if settings.database_url else f"embedded, in {settings.home}"
    trip = f"answers in {(answered - asked) * 1e3:,.1f} ms, connected in {(asked - begun) * 1e3:,.1f} ms"
    yield Finding("database", Level.OK, f"{where}; {server.n_bytes / 1e6:,.1f} MB; {trip}")
    at_head = server.migration == HEAD
    yield Finding(
        "migrations",
        Level.OK if at_head else Level.FAIL,
        f"at {server.migration}" + (", the newest" if at_head else f", this batchframe needs {HEAD}"),
        None if at_head else "Use one version of batchframe everywhere: pip install --upgrade batchframe.",
    )
    old = server.number // 10_000 < _OLDEST_POSTGRES
    yield Finding(
        "postgres",
        Level.FAIL if old else Level.OK,
        f"version {server.version}",
        f"Upgrade Postgres to {_OLDEST_POSTGRES} or newer." if old else None,
    )
    yield clock("clock", "the database's", (server.now - here).total_seconds(), _SKEW_SECONDS)


def clock(check: str, whose: str, skew: float, most: float) -> Finding:
    """How far another clock is from this machine's."""
    if abs(skew) <= most:
        return Finding(check, Level.OK, f"{whose} clock is this machine's, to {max(0.1, abs(skew)):.1f} s")
    side = "ahead of" if skew > 0 else "behind"
    return Finding(
        check,
        Level.WARN,
        f"{whose} clock is {abs(skew):,.0f} s {side} this machine's",
        "Set the clocks by NTP: a lost create call is looked for by the time it was made.",
    )


def check_disk(settings: Settings) -> Finding:
    """Room for the embedded database and for files in transit."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    level = Level.FAIL if free < _TOO_LITTLE else Level.WARN if free < _LITTLE else Level.OK
    return Finding(
        "disk",
        level,
        f"{free / 1e9:,.1f} GB free at {settings.home}",
        None if level is Level.OK else "Free some space, or move BATCHFRAME_HOME to a larger disk.",
    )


def check_work(database: Database, settings: Settings) -> Iterator[Finding]:
    """Whether somebody does what is due, and what does not go on."""
    with database.transaction() as connection:
        now = figures.read(connection)
        stuck = figures.stuck(connection, settings.grace_seconds + settings.poll_max_seconds)
    held = f"{now.jobs['open']:,} open jobs; {now.leases:,} batches held by {now.engines:,} engines"
    idle = now.overdue > 2 * max(settings.lease_seconds, settings.poll_max_seconds)
    yield Finding(
        "engines",
        Level.WARN if idle else Level.OK,
        held + (f"; work has been due for {now.overdue:,.0f} s" if idle else ""),
        "Start one: batchframe worker, with the key and address of the provider the jobs are for." if idle else None,
    )
    doubtful = [batch for batch in stuck if batch.doubt is not None]
    troubled = [batch for batch in stuck if batch.trouble is not None]
    details = [f"batch {one.id} of job {one.job_id}: in doubt for {one.doubt:,.0f} s" for one in doubtful]
    details += [f"batch {one.id} of job {one.job_id}, {one.state}: {one.trouble}" for one in troubled]
    yield Finding(
        "batches",
        Level.WARN if stuck else Level.OK,
        f"{len(doubtful):,} in doubt beyond the grace period, {len(troubled):,} in trouble",
        "What is said below has to be mended; they then go on by themselves." if stuck else None,
        tuple(details),
    )
