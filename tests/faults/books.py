"""What a store holds, as plain records, and the rules of the promise that hold at every moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tests.faults.remote import Remote, Row


class Count(NamedTuple):
    """A job and its counts."""

    n_requests: int
    ok: int
    failed: int
    cancelled: int
    closed: bool


class Result(NamedTuple):
    """An outcome."""

    row: Row
    attempt_no: int
    final: bool
    ok: bool
    code: str | None


class Placed(NamedTuple):
    """An attempt and its batch."""

    row: Row
    attempt_no: int
    batch: int


@dataclass(frozen=True)
class Books:
    """Everything a store holds; of each batch its state and its id at the provider."""

    jobs: dict[int, Count]
    results: list[Result]
    attempts: list[Placed]
    batches: dict[int, tuple[str, str | None]]

    def broken(self) -> Iterator[str]:
        """The rules that do not hold."""
        final = Counter(result.row for result in self.results if result.final)
        live = Counter(placed.row for placed in self.attempts if not self._ended(placed.batch))
        yield from (f"row {row} has {n} final outcomes" for row, n in final.items() if n > 1)
        yield from (f"row {row} is in {n} live batches" for row, n in live.items() if n > 1)
        numbers: dict[Row, list[int]] = {}
        for placed in self.attempts:
            numbers.setdefault(placed.row, []).append(placed.attempt_no)
        for row, found in numbers.items():
            if sorted(found) != list(range(1, len(found) + 1)):
                yield f"row {row} has the attempts {sorted(found)}"
        written = {(result.row, result.attempt_no) for result in self.results}
        for placed in self.attempts:
            if self._ended(placed.batch) and placed[:2] not in written:
                yield f"row {placed.row} has no outcome from batch {placed.batch}, which has ended"
        for job, count in self.jobs.items():
            there = Counter(
                "ok" if result.ok else "cancelled" if result.code == "cancelled" else "failed"
                for result in self.results
                if result.final and result.row[0] == job
            )
            if count[1:4] != (there["ok"], there["failed"], there["cancelled"]):
                yield f"job {job} counts {count}, and there are {dict(there)}"
            if count.closed != (there.total() == count.n_requests):
                yield f"job {job} is {'closed' if count.closed else 'open'} with {there.total()} of {count.n_requests}"

    def _ended(self, batch: int) -> bool:
        return self.batches[batch][0] in ("done", "failed")


class Frozen(Protocol):
    """A create call that waits to be sent, and the batch it is for."""

    batch_id: int


class World(Protocol):
    """A store and the engines' code over it. What is claimed is opaque but for its `id`."""

    remote: Remote

    def submit(self, n_rows: int, at_deadline: str | None) -> int:
        """Store a job."""

    def plan(self, job: int) -> None:
        """Take one step of planning; every row that waits is due."""

    def claim(self, engine: int) -> list[Any]:
        """Claim what nobody holds; every batch is due."""

    def expire(self, batch_id: int) -> None:
        """A lease runs out."""

    def grace_passes(self) -> None:
        """The grace period is over for every call under way."""

    def step(self, claimed: Any) -> Any:
        """Take one step: the batch to go on with, a `Frozen`, or None when it was given back.

        Raises:
            LeaseLostError: another engine holds it.
        """

    def wake(self, frozen: Any) -> Any:
        """Send the call at last; as `step`."""

    def cancel(self, job: int) -> None:
        """The user cancels."""

    def deadline_passes(self, job: int) -> None:
        """The job is late."""

    def retry(self, job: int) -> None:
        """The user asks failed rows again."""

    def books(self) -> Books:
        """What is stored."""

    def call_again_blindly(self) -> None:
        """What the states forbid: a create call without an answer is made once more."""

    def close(self) -> None:
        """Let go of everything."""
