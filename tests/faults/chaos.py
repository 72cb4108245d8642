"""One run of chaos: a job, a provider that misbehaves, workers that are killed and frozen; all of it from one seed."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.faults import jobs
from tests.faults.child import Site
from tests.faults.workers import REPORT, Workers
from tests.judging import Verdict, examine

GRACE_SECONDS = 4.0
_LONGEST_FREEZE = 1.5
_LONGEST_LAG = 0.5
"""Landing lag, listing lag and freeze together stay under the grace, so not one answer may be paid for twice."""

SETTINGS: dict[str, Any] = {
    "poll_seconds": 0.05,
    "poll_max_seconds": 0.3,
    "grace_seconds": GRACE_SECONDS,
    "lease_seconds": 1.0,
    "row_attempts": 10,
}


@dataclass(frozen=True)
class Result:
    """What a run came to; `reported` counts batches the workers found twice and cancelled."""

    seconds: float
    kills: int
    freezes: int
    batches: int
    reported: int
    verdict: Verdict


def misbehave(simulator: Simulator, moments: random.Random) -> None:
    """Order faults of every kind, by chance."""
    faults, settings = simulator.faults, simulator.settings
    settings.duration = moments.uniform(0.1, 1.0)
    settings.list_lag = moments.choice([0.0, _LONGEST_LAG])
    settings.strip_metadata = moments.random() < 0.3
    settings.foreign_batches = moments.choice([0, 50, 300])
    for _ in range(moments.randint(1, 4)):
        kind, status = moments.choice(
            [("reset_after", 0), ("late", 0), ("late_effect", 0), ("reset", 0), ("status", 429)]
            + [("status_after", status) for status in (500, 502, 408, 409)]
        )
        seconds = moments.uniform(0, _LONGEST_LAG)
        faults.on("batches.create", kind, status=status, seconds=seconds, skip=moments.randint(0, 5))
    for operation in ("files.create", "batches.retrieve", "batches.list", "files.content"):
        kind = moments.choice(["reset", "reset_after", "status", "status_after"])
        faults.on(operation, kind, status=503, skip=moments.randint(0, 5), times=moments.randint(0, 3))
    faults.on("files.content", "truncate", after_bytes=moments.randint(0, 100_000), skip=moments.randint(0, 5))
    faults.row(re.compile(r"row number \d*37\b"), status=400, code="bad", message="Not this.")
    faults.row(re.compile(r"row number \d*5\d\b"), status=moments.choice([500, 429, 408]), times=moments.randint(1, 2))
    for _ in range(moments.randint(0, 3)):
        faults.batch(skip=moments.randint(0, 3), expire_after=moments.uniform(0, 1))
    faults.batch(skip=moments.randint(0, 3), duplicate_lines=3, foreign_lines=3)


def run(
    database: Database,
    simulator: Simulator,
    site: Site,
    *,
    seed: int,
    workers: int,
    rows: int,
    kills: int,
    forked: bool,
    patience: float = 120.0,
) -> Result:
    """Submit, let workers work, kill them at random moments, and judge.

    Raises:
        TimeoutError: the job did not come to its end.
    """
    moments = random.Random(seed)
    misbehave(simulator, moments)
    started = time.monotonic()
    job_id = jobs.submit(database, site, [f"row number {n}" for n in range(rows)])
    killed = frozen = 0
    with Workers(site, workers, forked=forked) as running:
        while not _is_closed(database, job_id):
            if time.monotonic() - started > patience:
                raise TimeoutError(f"seed {seed}: the job is open after {patience:.0f} s\n{running.logged()[-3000:]}")
            if killed == kills:
                time.sleep(0.05)
                continue
            time.sleep(moments.uniform(0.02, 0.5) if forked else moments.uniform(0.5, 2.0))
            victim = moments.randrange(workers)
            if moments.random() < 0.2:
                running.freeze(victim)
                time.sleep(moments.uniform(0, _LONGEST_FREEZE))
                running.thaw(victim)
                frozen += 1
            else:
                running.replace(victim)
                killed += 1
        reported = running.logged().count(REPORT)
    verdict = examine(database, simulator)
    return Result(time.monotonic() - started, killed, frozen, len(simulator.batches), reported, verdict)


def _is_closed(database: Database, job_id: int) -> bool:
    with database.transaction() as connection:
        closed: bool = connection.execute(
            text("SELECT closed_at IS NOT NULL FROM job WHERE id = :job"), {"job": job_id}
        ).scalar_one()
    return closed
