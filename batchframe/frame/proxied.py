"""Requests that came over HTTP, as the rows of a frame: what was asked, ready to be set beside what came back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from batchframe.core.prompts import readable
from batchframe.frame import columns
from batchframe.frame.dataset import ROWS_PER_CHUNK
from batchframe.frame.results import Results
from batchframe.frame.sources import Chunk, slices
from batchframe.model import Job, Kind
from batchframe.store import proxied
from batchframe.store.database import Database


class ProxiedSource:
    """The requests of a job of the proxy, in the order they came.

    The columns are `id`, by which the caller knows the request (of an upload its custom id), `prompt`, its text as a
    person reads it, and `request`, the body as JSON.
    """

    def __init__(self, database: Database, job: Job) -> None:
        self._database = database
        self._job = job

    def filled(self, results: Results) -> pd.DataFrame:
        frame = self._frame(0, self._job.n_requests)
        numbers = np.arange(len(frame), dtype=np.int32).reshape(-1, 1)
        return columns.fill(frame, results.columns(numbers, [None] * len(frame)))

    def chunks(self, results: Results) -> Iterator[Chunk]:
        for first in range(0, self._job.n_requests or 1, ROWS_PER_CHUNK):
            frame = self._frame(first, first + ROWS_PER_CHUNK)
            numbers = np.arange(first, first + len(frame), dtype=np.int32).reshape(-1, 1)
            yield from slices(frame, numbers, [None] * len(frame))

    def _frame(self, first: int, end: int) -> pd.DataFrame:
        with self._database.transaction() as connection:
            asked = proxied.asked(connection, self._job.id, first, end)
        uploaded = self._job.kind is Kind.UPLOAD
        names = [json.loads(one.name) if uploaded else f"req_{one.name}" for one in asked]
        return pd.DataFrame(
            {
                "id": pd.array(names, dtype="string"),
                "prompt": pd.array([readable(one.body) for one in asked], dtype="string"),
                "request": pd.array([one.body.decode() for one in asked], dtype="string"),
            }
        )
