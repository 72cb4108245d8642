"""A store without a database: jobs, batches, attempts and outcomes in dictionaries, guarded writes, planning."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from batchframe.core.packing import Limits, pack
from batchframe.core.results import CANCELLED
from batchframe.core.states import Event, after
from batchframe.model import Attempt, BatchState, Mode, Outcome, Sized, Stop
from batchframe.store.batches import LeaseLostError
from tests.faults.books import Books, Count, Placed, Result
from tests.faults.remote import Row

_GROUP = 16

Owed = tuple[Attempt, int]
"""An attempt with the tries its row had used before."""


@dataclass
class Kept:
    """A batch as it is stored; what an engine claims is a copy."""

    id: int
    job: int
    mode: Mode
    rows: list[Attempt]
    root: int | None = None
    state: BatchState = BatchState.PLANNED
    uid: uuid.UUID = field(default_factory=uuid.uuid4)
    token: int = 0
    leased: bool = False
    polls: int = 0
    n_answered: int = 0
    file: str | None = None
    provider_id: str | None = None
    output: str | None = None
    grace_over: bool = False

    @property
    def open(self) -> bool:
        """Whether it still owes something."""
        return self.state not in (BatchState.DONE, BatchState.FAILED)


@dataclass
class _Job:
    n_rows: int
    at_deadline: str | None
    next_row: int = 0
    reason: Stop | None = None
    overdue: bool = False
    late: bool = False
    ok: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def stop(self) -> Stop | None:
        """Why nothing of it is asked any more."""
        gives_up = self.late and self.at_deadline == "give_up"
        return self.reason or (Stop("deadline", "Its time is over.") if gives_up else None)

    @property
    def closed(self) -> bool:
        """Whether every row has its final outcome."""
        return self.ok + self.failed + self.cancelled == self.n_rows

    def count(self, outcome: Outcome, by: int = 1) -> None:
        """Count a final outcome, or take it back."""
        name = "ok" if outcome.ok else "cancelled" if outcome.code == CANCELLED else "failed"
        setattr(self, name, getattr(self, name) + by)


class Store:
    """What the `World` in memory keeps, and what users and planners do with it."""

    def __init__(self) -> None:
        self._jobs: dict[int, _Job] = {}
        self._batches: dict[int, Kept] = {}
        self._outcomes: dict[Row, list[Outcome]] = {}
        self._attempts: dict[Row, list[Attempt]] = {}
        self._allowed: int | None = None

    # What users do

    def submit(self, n_rows: int, at_deadline: str | None) -> int:
        self._jobs[len(self._jobs) + 1] = _Job(n_rows, at_deadline)
        return len(self._jobs)

    def cancel(self, job: int) -> None:
        if not self._jobs[job].closed:
            self._jobs[job].reason = Stop(CANCELLED, "The job was cancelled.")

    def deadline_passes(self, job: int) -> None:
        self._jobs[job].overdue = self._jobs[job].at_deadline is not None

    def retry(self, job: int) -> None:
        kept = self._jobs[job]
        failed = [found for row, found in self._outcomes.items() if row[0] == job and found[-1].final]
        failed = [found for found in failed if not found[-1].ok]
        for found in failed:
            kept.count(found[-1], -1)
            found[-1] = msgspec.structs.replace(found[-1], final=False, tries=0)
        if failed:
            kept.reason = None
            if kept.late:
                kept.overdue, kept.at_deadline, kept.late = False, None, False

    # Planning

    def plan(self, job: int) -> None:
        kept = self._jobs[job]
        if kept.closed:
            return
        kept.late = kept.late or kept.overdue
        if kept.stop:
            self._settle_rest(job, kept.stop)
            return
        limits = Limits(_GROUP, 10**9) if kept.late else Limits(3, 10**9, self._allowed)
        mode = Mode.REALTIME if kept.late else Mode.BATCH
        if kept.next_row < kept.n_rows:
            last = min(kept.next_row + limits.requests, kept.n_rows)
            rows = [row for row in range(kept.next_row, last) if (job, row) not in self._outcomes]
            kept.next_row = last
        else:
            rows = [row for row in range(kept.n_rows) if self._is_open((job, row))]
        due = [Sized(row, len(self._attempts.get((job, row), ())) + 1, 1, 1) for row in rows]
        for packed in pack(due, limits, 0):
            self._place(job, mode, [Attempt(job, request.row_no, request.attempt_no) for request in packed])

    def _settle_rest(self, job: int, stop: Stop) -> None:
        kept = self._jobs[job]
        for number in range(kept.n_rows):
            row = (job, number)
            last = Attempt(job, number, 0)
            if self._is_open(row):
                last = self._outcomes[row].pop().attempt
            elif row in self._attempts or row in self._outcomes:
                continue
            self._write(Outcome(last, True, False, 0, code=stop.code, message=stop.message))
        kept.next_row = kept.n_rows

    def _is_open(self, row: Row) -> bool:
        """Whether its last attempt left it open and no newer one has taken it up."""
        found = self._outcomes.get(row)
        return bool(found) and not found[-1].final and len(self._attempts.get(row, ())) <= found[-1].attempt.attempt_no

    def _place(self, job: int, mode: Mode, rows: list[Attempt], root: int | None = None) -> None:
        id_ = len(self._batches) + 1
        self._batches[id_] = Kept(id_, job, mode, rows, root)
        for attempt in rows:
            placed = self._attempts.setdefault((job, attempt.row_no), [])
            assert attempt.attempt_no == len(placed) + 1, f"{attempt} was placed twice, or one was left out"
            placed.append(attempt)

    # Leases

    def claim(self, engine: int) -> list[Kept]:
        free = [batch for batch in self._batches.values() if batch.open and not batch.leased]
        for batch in free:
            batch.token += 1
            batch.leased = True
        return [copy.copy(batch) for batch in free]

    def expire(self, batch_id: int) -> None:
        self._batches[batch_id].leased = False

    def grace_passes(self) -> None:
        for batch in self._batches.values():
            batch.grace_over = True

    def _guarded(self, batch: Kept) -> Kept:
        kept = self._batches[batch.id]
        if (kept.token, kept.state) != (batch.token, batch.state):
            raise LeaseLostError(f"batch {batch.id} is held by another engine")
        return kept

    def _advance(self, batch: Kept, event: Event, **columns: Any) -> Kept:
        kept = self._guarded(batch)
        state = after(kept.state, event)
        if event not in (Event.REFUSED, Event.QUEUE_FULL, Event.INTENT, Event.UPLOADED):
            kept.polls = 0
        fresh_mark = state is BatchState.UPLOADED and event is not Event.UPLOADED
        if fresh_mark or state is BatchState.PLANNED or (kept.state, state) == (BatchState.UNSURE, BatchState.FAILED):
            kept.uid = uuid.uuid4()
        if state is BatchState.PLANNED:
            kept.file = None
        if event in (Event.QUEUE_FULL, Event.REFUSED):
            kept.provider_id = None
        if event in (Event.INTENT, Event.ENDED):
            kept.grace_over = False
        kept.state = state
        kept.leased = kept.leased and kept.open
        for name, value in columns.items():
            setattr(kept, name, value)
        return copy.copy(kept)

    def _later(self, batch: Kept, **columns: Any) -> None:
        kept = self._guarded(batch)
        kept.leased = False
        kept.polls += 1
        for name, value in columns.items():
            setattr(kept, name, value)

    # Outcomes

    def _owed(self, batch: Kept) -> list[Owed]:
        return [(attempt, self._tries_before(attempt)) for attempt in batch.rows]

    def _tries_before(self, attempt: Attempt) -> int:
        before = self._outcomes.get((attempt.job_id, attempt.row_no), [])
        return next((found.tries for found in before if found.attempt.attempt_no == attempt.attempt_no - 1), 0)

    def _has_outcome(self, attempt: Attempt) -> bool:
        return any(found.attempt == attempt for found in self._outcomes.get((attempt.job_id, attempt.row_no), ()))

    def _write(self, outcome: Outcome) -> None:
        attempt = outcome.attempt
        assert not self._has_outcome(attempt), f"{attempt} has an outcome"
        self._outcomes.setdefault((attempt.job_id, attempt.row_no), []).append(outcome)
        if outcome.final:
            self._jobs[attempt.job_id].count(outcome)

    # What is seen from outside

    def books(self) -> Books:
        def all_of(kept: dict[Row, list[Any]]) -> Sequence[tuple[Row, Any]]:
            return [(row, one) for row, found in kept.items() for one in found]

        in_batch = {attempt: batch.id for batch in self._batches.values() for attempt in batch.rows}
        return Books(
            {id_: Count(j.n_rows, j.ok, j.failed, j.cancelled, j.closed) for id_, j in self._jobs.items()},
            [Result(row, o.attempt.attempt_no, o.final, o.ok, o.code) for row, o in all_of(self._outcomes)],
            [Placed(row, attempt.attempt_no, in_batch[attempt]) for row, attempt in all_of(self._attempts)],
            {batch.id: (batch.state.value, batch.provider_id) for batch in self._batches.values()},
        )

    def call_again_blindly(self) -> None:
        """What the states forbid: a create call without an answer is made once more."""
        for batch in self._batches.values():
            if batch.state in (BatchState.CREATING, BatchState.UNSURE):
                batch.state = BatchState.UPLOADED

    def close(self) -> None:
        """There is nothing to let go of."""
