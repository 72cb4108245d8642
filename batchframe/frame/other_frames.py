"""Frames of other libraries, by narwhals and Arrow: polars, pyarrow, and whatever exports Arrow data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchframe.errors import InputError
from batchframe.frame.dataset import ROWS_PER_CHUNK
from batchframe.frame.results import Results
from batchframe.frame.sources import Chunk

Frame = nw.DataFrame[Any]


def opened(frame: object) -> Frame:
    """A frame of any library.

    Raises:
        InputError: it is no frame, or a lazy one.
    """
    known: Any
    try:
        known = nw.from_native(frame)
    except TypeError:
        if not hasattr(frame, "__arrow_c_stream__"):
            raise InputError(
                f"A {type(frame).__name__} is no frame: pass one of pandas, polars, pyarrow, or one that exports Arrow "
                "data (__arrow_c_stream__)."
            ) from None
        known = nw.from_native(pa.table(frame))
    if isinstance(known, nw.LazyFrame):
        raise InputError("The frame is lazy: pass frame.collect(), or its files by bf.read_parquet(path).")
    frame_: Frame = known
    return frame_


class OtherSource:
    """A frame of another library."""

    def __init__(
        self, frame: Frame, table: pa.Table, numbers: npt.NDArray[np.int32], skipped: Sequence[str | None]
    ) -> None:
        self._frame = frame
        self._table = table
        self._numbers = numbers
        self._skipped = skipped

    def filled(self, results: Results) -> Any:
        found = pa.table(results.columns(self._numbers, self._skipped))
        mine = nw.from_arrow(found, backend=self._frame.implementation)
        kept = self._frame.drop(found.column_names, strict=False)
        return nw.concat([kept, mine], how="horizontal").to_native()

    def chunks(self, results: Results) -> Iterator[Chunk]:
        for start in range(0, self._table.num_rows or 1, ROWS_PER_CHUNK):
            part = slice(start, start + ROWS_PER_CHUNK)
            yield Chunk(self._table.slice(start, ROWS_PER_CHUNK), self._numbers[part], self._skipped[part])
