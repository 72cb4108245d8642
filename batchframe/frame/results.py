"""Results: what a job has answered so far, as the columns of given rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchframe.core.spec import JobSpec
from batchframe.frame.columns import read_answers, result_columns
from batchframe.frame.requests import Asked
from batchframe.model import Job
from batchframe.store import jobs, outcomes
from batchframe.store.database import Database
from batchframe.store.outcomes import Settled


class Results:
    """Reads the answers of one job; a few rows at a time where there are many."""

    def __init__(self, database: Database, job: Job, spec: JobSpec) -> None:
        """Args:
        spec: the job's, or with another `into` for columns of other names.
        """
        self.spec = spec
        self._database = database
        self._job = job

    def numbers(self, asked: Asked) -> npt.NDArray[np.int32]:
        """The request of each row and sample, shape (n_rows, n_samples); -1 where the job has none."""
        with self._database.transaction() as connection:
            return asked.numbers(jobs.numbers_of(connection, self._job.id, asked.bodies))

    def columns(self, numbers: npt.NDArray[np.int32], skipped: Sequence[str | None]) -> dict[str, pa.Array[Any]]:
        """The result columns of rows.

        Args:
            numbers: the request of each row and sample, shape (n_rows, n_samples), -1 where there is none.
            skipped: of each row the missing column it was skipped for, or None.
        """
        wanted = np.unique(numbers[numbers >= 0])
        whole = len(wanted) * 2 > self._job.n_requests
        with self._database.transaction() as connection:
            if whole:
                settled = outcomes.settled(connection, self._job.id)
            else:
                settled = outcomes.settled_of(connection, self._job.id, wanted.tolist())
            with closing(settled):
                answers = read_answers(
                    settled if whole else _renumbered(settled, wanted),
                    self._job.n_requests if whole else len(wanted),
                    self.spec,
                    self._job.route.endpoint,
                )
        if not whole:
            numbers = np.where(numbers < 0, -1, np.searchsorted(wanted, numbers)).astype(np.int32)
        return result_columns(answers, numbers, skipped, self.spec)


def _renumbered(settled: Iterable[Settled], wanted: npt.NDArray[np.int32]) -> Iterator[Settled]:
    """Each by its place among the wanted ones."""
    places = {row_no: place for place, row_no in enumerate(wanted.tolist())}
    return (msgspec.structs.replace(one, row_no=places[one.row_no]) for one in settled)
