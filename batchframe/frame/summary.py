"""What is shown of a job, read from the database once: text, HTML and the live view all show these figures.

How a figure is worded is not known here; how it follows from what was read is.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from batchframe.core.results import CANCELLED
from batchframe.frame import progress
from batchframe.frame.progress import Progress
from batchframe.model import Job
from batchframe.store import jobs, outcomes
from batchframe.store.database import Database

_PACE_SECONDS = 60.0
_PACE_LEAST_SECONDS = 3.0
"""A pace over less than this says more about the moment of looking than about the job."""
_ERRORS_SECONDS = 5.0
"""How often failures are grouped anew while a job runs: that reads all its outcomes."""


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Requests that failed for one reason, and what was said of one of them."""

    code: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A job as it is shown.

    Attributes:
        errors: why requests failed, the most frequent first.
        at: when this was read, by the database's clock.
        elapsed: seconds since the job was asked, until its end when it has ended.
        pace: requests a second over the last minute; None when nobody has looked for long enough to tell.
    """

    id: int
    name: str | None
    model: str
    endpoint: str
    provider: str
    progress: Progress
    errors: tuple[ErrorKind, ...]
    at: datetime
    elapsed: float
    pace: float | None

    @property
    def title(self) -> str:
        """Which job it is."""
        return f"job {self.id}" + (f" {self.name!r}" if self.name else "")

    @property
    def closed(self) -> bool:
        """Whether nothing of it will change by itself any more."""
        return self.progress.status in ("done", "cancelled", "failed")

    @property
    def done(self) -> int:
        """Requests nobody has to work on any more."""
        return self.progress.requests - self.progress.pending + self.progress.answered_at_provider

    @property
    def share(self) -> float:
        """`done` as a part of all requests, from 0 to 1."""
        return self.done / self.progress.requests if self.progress.requests else 1.0

    @property
    def parts(self) -> dict[str, int]:
        """The requests by where they are, in the order they go through; together they are all requests."""
        now = self.progress
        return {
            "answered": now.ok,
            "failed": now.failed,
            "cancelled": now.cancelled,
            "answered, not fetched yet": now.answered_at_provider,
            "at the provider": now.at_provider - now.answered_at_provider,
            "waiting": now.pending - now.at_provider,
        }

    @property
    def to_come(self) -> tuple[float, float] | None:
        """Seconds the rest takes if it goes on at the faster and at the slower of two paces, the last minute's and the
        whole job's; None when it is not known, or when nothing is sent at the moment."""
        now = self.progress
        asked = self.done - now.reused
        if now.status != "running" or not self.pace or asked <= 0 or self.elapsed <= 0:
            return None
        paces = self.pace, asked / self.elapsed
        left = now.requests - self.done
        return left / max(paces), left / min(paces)


class Pace:
    """How fast a count has grown over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, moment: float, count: int) -> float | None:
        """Note a count, and say how much it has grown a second; None when too little time is known of.

        Args:
            moment: in seconds; a count below the last one starts anew, as when failed requests are asked again.
        """
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((moment, count))
        while len(self._seen) > 2 and self._seen[1][0] <= moment - _PACE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        if moment - since < _PACE_LEAST_SECONDS:
            return None
        return (count - before) / (moment - since)


class Reader:
    """Reads the summary of one job, and remembers what a single look cannot tell."""

    def __init__(self, database: Database, job: Job) -> None:
        self._database = database
        self._job = job
        self._pace = Pace()
        self._errors: tuple[ErrorKind, ...] = ()
        self._grouped = (-1, float("-inf"))
        self._reading = threading.Lock()

    def read(self) -> Summary:
        """The job as it is now.

        Raises:
            DatabaseError: the server cannot be reached.
        """
        with self._reading, self._database.transaction() as connection:
            self._job = job = jobs.find(connection, self._job.id) or self._job
            now = progress.read(connection, job)
            times = jobs.times(connection, job.id)
            moment = times.now.timestamp()
            return Summary(
                id=job.id,
                name=job.name,
                model=job.route.model,
                endpoint=job.route.endpoint,
                provider=job.route.provider,
                progress=now,
                errors=self._read_errors(connection, now.failed, moment, closed=job.closed),
                at=times.now,
                elapsed=((times.closed or times.now) - times.asked).total_seconds(),
                pace=self._pace.add(moment, now.requests - now.pending + now.answered_at_provider),
            )

    def _read_errors(
        self, connection: Connection, failed: int, moment: float, *, closed: bool
    ) -> tuple[ErrorKind, ...]:
        if not failed:
            return ()
        known, when = self._grouped
        if closed or (known != failed and moment - when >= _ERRORS_SECONDS):
            groups = outcomes.error_groups(connection, self._job.id)
            self._errors = tuple(ErrorKind(one.code, one.count, one.example) for one in groups if one.code != CANCELLED)
            self._grouped = (failed, moment)
        return self._errors
