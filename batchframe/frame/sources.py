"""Sources: where the rows of a handle are, what a fill of them gives back, and how they are streamed into a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from typing_extensions import TypeVar

from batchframe.core.spec import JobSpec
from batchframe.errors import InputError
from batchframe.frame import columns, snapshot
from batchframe.frame.dataset import ROWS_PER_CHUNK, Dataset, asked_of
from batchframe.frame.functions import RowFunction
from batchframe.frame.results import Results
from batchframe.model import Route
from batchframe.store import jobs
from batchframe.store.database import Database

Filled = TypeVar("Filled", default=pd.DataFrame)
Filled_co = TypeVar("Filled_co", covariant=True, default=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows, and what each of them asks, as `Results.columns` takes it."""

    table: pa.Table
    numbers: npt.NDArray[np.int32]
    skipped: Sequence[str | None]


class Source(Protocol[Filled_co]):
    """Rows with what they ask."""

    def filled(self, results: Results) -> Filled_co:
        """The rows with the result columns."""

    def chunks(self, results: Results) -> Iterator[Chunk]:
        """The rows in order, a chunk at a time."""


class FrameSource:
    """A pandas frame of the user's; a shallow copy, which copy-on-write keeps as it is now."""

    def __init__(self, frame: pd.DataFrame, numbers: npt.NDArray[np.int32], skipped: Sequence[str | None]) -> None:
        self._frame = frame.copy(deep=False)
        self._numbers = numbers
        self._skipped = skipped

    def filled(self, results: Results) -> pd.DataFrame:
        return columns.fill(self._frame, results.columns(self._numbers, self._skipped))

    def chunks(self, results: Results) -> Iterator[Chunk]:
        yield from slices(self._frame, self._numbers, self._skipped)


class KeptSource:
    """The columns the template used, as the job keeps them."""

    def __init__(self, database: Database, job_id: int) -> None:
        self._database = database
        self._job_id = job_id

    def snapshot(self) -> snapshot.Snapshot:
        """The rows, and what each of them asks."""
        return snapshot.unpack(self._parts())

    def filled(self, results: Results) -> pd.DataFrame:
        kept = self.snapshot()
        return columns.fill(kept.frame, results.columns(kept.row_nos, kept.skipped))

    def chunks(self, results: Results) -> Iterator[Chunk]:
        for kept in snapshot.unpack_each(self._parts()):
            yield from slices(kept.frame, kept.row_nos, kept.skipped)

    def _parts(self) -> Iterator[bytes]:
        for part_no in count():
            with self._database.transaction() as connection:
                part = jobs.frame_part(connection, self._job_id, part_no)
            if part is None:
                return
            yield part


class DatasetSource:
    """A data set, read and rendered again a chunk at a time. As it is never in memory as a whole, a fill gives None."""

    def __init__(
        self, dataset: Dataset, spec: JobSpec, route: Route, max_bytes: int, function: RowFunction | None
    ) -> None:
        self._dataset = dataset
        self._function = function
        self._spec = spec
        self._route = route
        self._max_bytes = max_bytes

    def filled(self, results: Results) -> None:
        return None

    def chunks(self, results: Results) -> Iterator[Chunk]:
        chunks = asked_of(
            self._dataset, self._spec, self._route, self._max_bytes, self._function, whole=True, unreadable_ok=True
        )
        for table, asked in chunks:
            yield Chunk(table, results.numbers(asked), asked.skipped)


def slices(frame: pd.DataFrame, numbers: npt.NDArray[np.int32], skipped: Sequence[str | None]) -> Iterator[Chunk]:
    """A frame in chunks; at least one, so that a file of no rows has its columns."""
    index = frame.index
    numbered = isinstance(index, pd.RangeIndex) and index.step == 1 and index.name is None
    renamed = frame.set_axis(frame.columns.map(str), axis="columns")
    for start in range(0, len(frame) or 1, ROWS_PER_CHUNK):
        part = slice(start, start + ROWS_PER_CHUNK)
        try:
            table = pa.Table.from_pandas(renamed.iloc[part], preserve_index=not numbered)
        except (pa.ArrowException, ValueError) as error:
            raise InputError(f"The frame cannot be written as Parquet: {error}") from None
        yield Chunk(table, numbers[part], skipped[part])
