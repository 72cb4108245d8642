"""Progress: where a job stands, as numbers and as a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tqdm.auto
from sqlalchemy import Connection

from batchframe.frame.usage import JobUsage, read_usage
from batchframe.model import Job
from batchframe.store import outcomes


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands.

    Attributes:
        status: running, paused, cancelling, done, cancelled, or failed when a reason ended the job as a whole.
        rows, skipped: rows of the frame, and those not asked because a value is missing.
        requests: distinct requests; ok + failed + cancelled + pending of them.
        reused: those of `ok` that another job had paid for.
        at_provider: those of `pending` that are with the provider; the others wait here.
        answered_at_provider: those of `at_provider` that the provider says it has worked off.
        batches: how many batches are in each state.
        trouble: what keeps it from going on, or why it was ended; None when there is nothing.
        usage: what it has cost, and what the rest is expected to cost.
    """

    status: str
    rows: int
    skipped: int
    requests: int
    ok: int
    failed: int
    cancelled: int
    pending: int
    reused: int
    at_provider: int
    answered_at_provider: int
    batches: Mapping[str, int]
    trouble: str | None
    usage: JobUsage

    def __str__(self) -> str:
        parts = [f"{self.ok:,} ok", *(f"{n:,} {word}" for word, n in self._rest().items() if n)]
        text = f"{self.status}: {self.requests:,} requests for {self.rows:,} rows: " + ", ".join(parts)
        return "\n".join([text, str(self.usage), *([self.trouble] if self.trouble else [])])

    def _rest(self) -> dict[str, int]:
        return {
            "failed": self.failed,
            "cancelled": self.cancelled,
            "pending": self.pending,
            "reused": self.reused,
            "rows skipped": self.skipped,
        }


def read(connection: Connection, job: Job) -> Progress:
    """Where the job stands now."""
    work = outcomes.work(connection, job.id)
    pending = job.n_requests - job.n_settled
    return Progress(
        status=_status(job, stuck=work.stuck),
        rows=job.n_rows,
        skipped=job.n_skipped,
        requests=job.n_requests,
        ok=job.n_ok,
        failed=job.n_failed,
        cancelled=job.n_cancelled,
        pending=pending,
        reused=job.n_reused,
        at_provider=min(max(work.at_provider, work.answered), pending),
        answered_at_provider=min(work.answered, pending),
        batches=work.states,
        trouble=_trouble(job, work.trouble),
        usage=read_usage(connection, job),
    )


def _status(job: Job, *, stuck: bool) -> str:
    if job.closed:
        return "failed" if job.ended else "cancelled" if job.cancelled else "done"
    return "cancelling" if job.stop else "paused" if job.paused or stuck else "running"


def _trouble(job: Job, of_a_batch: str | None) -> str | None:
    if job.ended and job.stop:
        return f"{job.stop.code}: {job.stop.message}"
    return None if job.closed else job.paused or of_a_batch


class Bar:
    """tqdm's bar of a job, in a notebook or a terminal; a context manager.

    Args:
        handle: what the user calls the handle that waits.
    """

    def __init__(self, title: str, progress: Progress, *, shown: bool, handle: str = "job") -> None:
        self._title = title
        self._handle = handle
        self._bar: Any = tqdm.auto.tqdm(
            total=progress.requests, desc=title, unit="req", disable=not shown, dynamic_ncols=True, mininterval=0.5
        )

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.refresh()
        self._bar.close()
        if kind is KeyboardInterrupt:
            tqdm.auto.tqdm.write(
                f"{self._title} goes on in the background, while this process lives or a batchframe worker runs. "
                f"{self._handle}.wait() waits again, {self._handle}.cancel() stops it."
            )

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        done = max(self._bar.n, progress.requests - progress.pending + progress.answered_at_provider)
        postfix = {"ok": progress.ok}
        postfix |= {word: n for word, n in {"failed": progress.failed, "cancelled": progress.cancelled}.items() if n}
        self._bar.total = progress.requests  # an evaluation's grows when its judges are asked
        self._bar.set_postfix(postfix, refresh=False)
        self._bar.update(done - self._bar.n)
