"""Data sets larger than memory: Parquet in, a chunk of rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from batchframe.core.spec import JobSpec
from batchframe.errors import InputError
from batchframe.frame.functions import RowFunction
from batchframe.frame.requests import Asked, ask
from batchframe.model import Route

if TYPE_CHECKING:
    from batchframe.frame.accessor import DatasetAccessor

ROWS_PER_CHUNK = 20_000
"""Rows in memory at once, on the way in and on the way out."""

_BUFFER = 1024 * 1024


class Dataset:
    """A Parquet file, a folder of them, or any pyarrow data set, which is read a chunk at a time.

    `dataset.llm.batch(…)` takes the arguments of `df.llm.batch(…)`.
    """

    def __init__(self, source: ds.Dataset) -> None:
        self._source = source

    @property
    def llm(self) -> DatasetAccessor:
        """What the rows can ask a model."""
        from batchframe.frame.accessor import DatasetAccessor  # which itself knows data sets

        return DatasetAccessor(self)

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self._source.schema

    def count_rows(self) -> int:
        """How many rows it has; for Parquet the footers of the files say so."""
        return self._source.count_rows()

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, at most `ROWS_PER_CHUNK` at a time; at least one chunk, which may be empty.

        Args:
            columns: the columns to read; None reads all.
        """
        wanted = list(self.schema.names if columns is None else columns)
        table = None
        for batch in self._batches(wanted):
            if batch.num_rows:
                table = pa.Table.from_batches([batch])
                yield table
        if table is None:
            yield pa.schema([self.schema.field(name) for name in wanted]).empty_table()

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for fragment in self._source.get_fragments():
            if isinstance(fragment, ds.ParquetFileFragment) and fragment.physical_schema.equals(self.schema):
                # The scanner holds whole row groups, often a million rows; this a few pages of each column.
                with fragment.filesystem.open_input_file(fragment.path) as file:
                    parquet = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
                    yield from parquet.iter_batches(ROWS_PER_CHUNK, columns=columns, use_threads=False)
            else:
                scanner = fragment.scanner(schema=self.schema, columns=columns, batch_size=ROWS_PER_CHUNK)
                yield from scanner.to_batches()

    def __repr__(self) -> str:
        fields = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"Dataset of {self.count_rows():,} rows ({fields})"


def read_parquet(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | ds.Dataset) -> Dataset:
    """Open Parquet files for `dataset.llm.batch(…)`, without reading their rows.

    Args:
        source: a file, a folder, a list of files, or a pyarrow data set of any format.

    Raises:
        InputError: there is no such file, or it is not Parquet.
    """
    if isinstance(source, ds.Dataset):
        return Dataset(source)
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    for path in paths:
        if not Path(path).exists():
            raise InputError(f"There is no file or folder {os.fspath(path)!r}.")
    try:
        files = [os.fspath(path) for path in paths]
        return Dataset(ds.dataset(files[0] if len(files) == 1 else files, format="parquet"))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{', '.join(map(str, paths))} cannot be read as Parquet: {error}") from None


def asked_of(
    dataset: Dataset,
    spec: JobSpec,
    route: Route,
    max_bytes: int,
    function: RowFunction | None,
    *,
    whole: bool,
    unreadable_ok: bool = False,
) -> Iterator[tuple[pa.Table, Asked]]:
    """Render a data set, a chunk at a time: its rows, and what they ask.

    Args:
        function, unreadable_ok: as `ask`.
        whole: whether all columns are in the chunks, or only those the templates use.

    Raises:
        TemplateError, RequestTooLargeError: as `ask`; a row's label is its number.
    """
    nothing = in_pandas(dataset.schema.empty_table(), 0)
    used = [str(label) for label in ask(nothing, spec, route, max_bytes, function).columns]
    if function is not None or not used:
        used = dataset.schema.names  # what a function reads is only known from its rows
    start = 0
    for table in dataset.chunks(None if whole else used):
        rows = in_pandas(table.select(used), start)
        yield table, ask(rows, spec, route, max_bytes, function, unreadable_ok=unreadable_ok)
        start += table.num_rows


def in_pandas(table: pa.Table, start: int) -> pd.DataFrame:
    """The rows as a frame of Arrow dtypes, numbered from `start`."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    frame.index = pd.RangeIndex(start, start + len(frame))
    return frame
