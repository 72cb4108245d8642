"""Parquet out: rows with their results, a chunk at a time. The file is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchframe.errors import InputError
from batchframe.frame.results import Results
from batchframe.frame.sources import Chunk


def write(path: str | os.PathLike[str], chunks: Iterable[Chunk], results: Results) -> int:
    """Write rows with the result columns as they are now; an earlier file of that name is replaced.

    Returns:
        How many rows were written.

    Raises:
        InputError: there is no such folder, or a later row has values of another type than the first ones.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise InputError(f"There is no folder {str(file.parent)!r}.")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        n_rows = _write(part, _filled(chunks, results))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return n_rows


def _write(file: Path, tables: Iterator[pa.Table]) -> int:
    first = next(tables)
    n_rows = 0
    with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        for table in _all(first, tables):
            try:
                writer.write_table(table.cast(first.schema))
            except (pa.ArrowException, ValueError) as error:
                raise InputError(
                    f"From row {n_rows:,} on the rows do not have the types of the first ones: {error}"
                ) from None
            n_rows += table.num_rows
    return n_rows


def _all(first: pa.Table, others: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from others


def _filled(chunks: Iterable[Chunk], results: Results) -> Iterator[pa.Table]:
    for chunk in chunks:
        table = chunk.table
        for name, values in results.columns(chunk.numbers, chunk.skipped).items():
            column = _of_one_type(values)
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        yield table


def _of_one_type(values: pa.Array[Any]) -> pa.Array[Any]:
    """Vectors are as wide as the first answer, and a chunk may have none."""
    return values.cast(pa.list_(pa.float32())) if pa.types.is_fixed_size_list(values.type) else values
