"""Progress: where a job stands, as numbers and as a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tqdm.auto
from sqlalchemy import Connection

from batchframe.model import Job
from batchframe.store import outcomes


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands.

    Attributes:
        status: running, cancelling, done or cancelled.
        rows, skipped: rows of the frame, and those not asked because a value is missing.
        requests: distinct requests; ok + failed + cancelled + pending of them.
        reused: those of `ok` that another job had paid for.
        answered_at_provider: those of `pending` that the provider says it has worked off, their results not yet here.
        batches: how many batches are in each state.
        trouble: what keeps a batch from going on, or None.
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
    answered_at_provider: int
    batches: Mapping[str, int]
    trouble: str | None

    def __str__(self) -> str:
        parts = [f"{self.ok:,} ok", *(f"{n:,} {word}" for word, n in self._rest().items() if n)]
        text = f"{self.status}: {self.requests:,} requests for {self.rows:,} rows: " + ", ".join(parts)
        return f"{text}\n{self.trouble}" if self.trouble else text

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
    ended = "cancelled" if job.cancelled else "done"
    running = "cancelling" if job.cancelled else "running"
    return Progress(
        status=ended if job.closed else running,
        rows=job.n_rows,
        skipped=job.n_skipped,
        requests=job.n_requests,
        ok=job.n_ok,
        failed=job.n_failed,
        cancelled=job.n_cancelled,
        pending=job.n_requests - job.n_settled,
        reused=job.n_reused,
        answered_at_provider=min(work.answered, job.n_requests - job.n_settled),
        batches=work.states,
        trouble=None if job.closed else work.trouble,
    )


class Bar:
    """tqdm's bar of a job, in a notebook or a terminal; a context manager."""

    def __init__(self, title: str, progress: Progress, *, shown: bool) -> None:
        self._title = title
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
                f"{self._title} goes on in the background. job.wait() waits again, job.cancel() stops it."
            )

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        done = max(self._bar.n, progress.requests - progress.pending + progress.answered_at_provider)
        postfix = {"ok": progress.ok}
        postfix |= {word: n for word, n in {"failed": progress.failed, "cancelled": progress.cancelled}.items() if n}
        self._bar.set_postfix(postfix, refresh=False)
        self._bar.update(done - self._bar.n)
