"""Small jobs that, between them, make an engine take every step it can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.faults import jobs
from tests.faults.child import Site


@dataclass(frozen=True)
class Scenario:
    """A job and what its provider does to it.

    Attributes:
        spoil: orders the provider's faults.
        lost: answers that may get lost, and are reported: in real time nobody can look for one.
        late: whether the job's deadline is over from the start.
        cancel_when: the job is cancelled when this is true of the provider; None: never.
    """

    rows: int
    spoil: Callable[[Simulator], object] = lambda simulator: None
    cancel_when: Callable[[Simulator], object] | None = None
    lost: int = 0
    late: bool = False

    def submit(self, database: Database, site: Site, simulator: Simulator) -> int:
        """Order the faults and store the job; its id."""
        self.spoil(simulator)
        job_id = jobs.submit(database, site, [f"row number {n}" for n in range(self.rows)])
        if self.late:
            jobs.let_run_late(database, job_id)
        return job_id

    def cancel(self, database: Database, job_id: int, simulator: Simulator) -> None:
        """Cancel the job when it is time, if it is to be cancelled."""
        if self.cancel_when is not None:
            simulator.wait_for(self.cancel_when, timeout=60)
            jobs.cancel(database, job_id)


def _refused_at_first(simulator: Simulator) -> None:
    simulator.faults.row("row number 2", status=500, times=1)
    simulator.faults.on("batches.create", "status", status=429)


def _rows_that_fail(simulator: Simulator) -> None:
    simulator.faults.row("row number 3", status=400, code="bad", message="Not this.")
    simulator.faults.row("row number 7", status=500, times=1)
    simulator.faults.batch(skip=1, expire_after=0.4)


def _queue_full(simulator: Simulator) -> None:
    simulator.settings.enqueued_tokens = 45
    simulator.settings.duration = 0.1
    simulator.faults.batch(times=None, status="warming_up", polls=2)  # running, at the create call and one look


def _queue_refuses(simulator: Simulator) -> None:
    _queue_full(simulator)
    simulator.settings.quota_refusal = 400


def _invalid_line(simulator: Simulator) -> None:
    simulator.faults.batch(
        validation_errors=[{"code": "invalid_request", "line": 2, "message": "Not this.", "param": "body"}]
    )


def _nameless_row(simulator: Simulator) -> None:
    error = {"code": "invalid_request", "line": None, "message": "Something is wrong.", "param": None}
    simulator.faults.batch(times=None, validation_errors=[error], if_contains="row number 2")


def _runs_for_an_hour(simulator: Simulator) -> None:
    simulator.settings.duration = 3600


SCENARIOS: dict[str, Scenario] = {
    "refused at first": Scenario(3, _refused_at_first),
    "rows that fail": Scenario(12, _rows_that_fail),
    "answer lost": Scenario(4, lambda simulator: simulator.faults.on("batches.create", "reset_after")),
    "call lost": Scenario(4, lambda simulator: simulator.faults.on("batches.create", "reset")),
    "upload refused": Scenario(4, lambda simulator: simulator.faults.on("files.create", "status", status=400)),
    "create refused": Scenario(4, lambda simulator: simulator.faults.on("batches.create", "status", status=400)),
    "queue full": Scenario(10, _queue_full),
    "queue refuses": Scenario(10, _queue_refuses),
    "invalid line": Scenario(4, _invalid_line),
    "row to be found": Scenario(4, _nameless_row),
    "late": Scenario(3, lost=3, late=True),
    "cut download": Scenario(
        4, lambda simulator: simulator.faults.on("files.content", "truncate_clean", after_bytes=300)
    ),
    "cancelled at work": Scenario(
        8, _runs_for_an_hour, lambda seen: any(batch.status == "in_progress" for batch in seen.batches)
    ),
    "cancelled while refused": Scenario(
        4,
        lambda simulator: simulator.faults.on("batches.create", "status", status=429, times=None),
        lambda seen: seen.ledger.calls["batches.create"],
    ),
    "cancelled in doubt": Scenario(
        4,
        lambda simulator: simulator.faults.on("batches.create", "reset"),
        lambda seen: seen.ledger.calls["batches.list"],
    ),
}
