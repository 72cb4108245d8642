"""The frame a job keeps, as Parquet, so that `job.frame()` works after a restart without the user's file.

pandas' own way to Parquet loses index frequencies, mixed objects and labels that are no strings, so it is not used.
Every array becomes plain Arrow columns under names of our own, and a specification in JSON, the first part, says how
to make it again. `_store` and `_restore` mirror each other; nothing is pickled.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from batchframe.errors import DatabaseError
from batchframe.frame.objects import as_text, decode, encode, json_bytes, object_array, to_json, zone_name


@dataclass(frozen=True)
class Snapshot:
    """What a job keeps of the frame it was made of.

    Attributes:
        frame: the kept columns with their index, order and dtypes.
        row_nos: int32, shape (n_rows, n_samples): the request of each row and sample, -1 where skipped.
        skipped: per row the name of the missing column it was skipped for, else None.
    """

    frame: pd.DataFrame
    row_nos: npt.NDArray[np.int32]
    skipped: list[str | None]


def pack(snapshot: Snapshot, rows_per_part: int = 100_000) -> Iterator[bytes]:
    """Yield the snapshot as Parquet files for `unpack`, in order: a description, then at least one with rows.

    It never fails on what a frame holds. Index, labels and dtypes come back as they were; of objects plain Python
    values (nested ones too), Decimal, UUID, dates and times, numpy's and pandas' scalars, and arrays. Anything else
    (other classes, complex and third-party dtypes, zones without a name, the few Arrow types Parquet has no place
    for) is kept as its text, in a column of objects. Not kept are a custom frequency of an index, zone name and fold
    of a plain datetime object (its offset is), and `DataFrame.attrs`.

    Args:
        rows_per_part: the most rows of a file; fewer when rows are large.
    """
    frame, columns = snapshot.frame, _Columns([])
    spec = {
        "n_rows": len(frame),
        "n_samples": snapshot.row_nos.shape[1],
        "labels": _inline(frame.columns, columns),
        "index": _store_index(frame.index, "index", columns),
        "columns": [_store(frame.iloc[:, at].array, f"column.{at}", columns) for at in range(frame.shape[1])],
        "skipped": _store_objects(object_array(snapshot.skipped), "skipped", columns),
    }
    for sample, numbers in enumerate(snapshot.row_nos.T):
        columns[f"row_no.{sample}"] = pa.array(numbers)
    head: dict[str, Any] = {"spec": [json_bytes(spec)], "sides": pa.array([columns.sides], pa.list_(pa.large_binary()))}
    yield _write(pa.table(head))
    table = pa.table(columns)
    step = max(1, min(rows_per_part, int(_PART_BYTES * len(frame) / (table.nbytes or 1))))
    for start in range(0, len(frame) or 1, step):
        yield _write(table.slice(start, step))


def unpack(parts: Iterable[bytes]) -> Snapshot:
    """Read what `pack` wrote, once or several times in a row.

    Raises:
        DatabaseError: a part is missing.
    """
    found = [_restored(head, pa.concat_tables(tables), 0) for head, tables in _packed(parts)]
    if not found:
        raise DatabaseError(_INCOMPLETE)
    if len(found) == 1:
        return found[0]
    return Snapshot(
        pd.concat([one.frame for one in found]),
        np.concatenate([one.row_nos for one in found]),
        [column for one in found for column in one.skipped],
    )


def unpack_each(parts: Iterable[bytes]) -> Iterator[Snapshot]:
    """As `unpack`, a part at a time, so that only one is in memory.

    Raises:
        DatabaseError: a part is missing; what came before is right.
    """
    for head, tables in _packed(parts):
        start = 0
        for table in tables:
            yield _restored(head, table, start)
            start += table.num_rows


def _packed(parts: Iterable[bytes]) -> Iterator[tuple[_Head, Iterable[pa.Table]]]:
    """The descriptions, each with the tables that follow it; these are to be read before the next description."""
    tables = map(_read, parts)
    following: pa.Table | None = next(tables, None)
    while following is not None:
        if "spec" not in following.column_names:
            raise DatabaseError(_INCOMPLETE)
        head = _Head(json.loads(following["spec"][0].as_py()), following["sides"][0].as_py())
        left = head.spec["n_rows"]
        following = None

        def rows(left: int = left) -> Iterator[pa.Table]:
            nonlocal following
            for table in tables:
                if "spec" in table.column_names:
                    following = table
                    break
                left -= table.num_rows
                yield table
            if left:
                raise DatabaseError(_INCOMPLETE)

        mine = rows()
        yield head, mine
        for _ in mine:
            pass


def _restored(head: _Head, table: pa.Table, start: int) -> Snapshot:
    """The rows of a table that come `start` rows after the first."""
    spec, columns = head.spec, _Columns(head.sides, table)
    index = _restore_index(spec["index"], "index", columns, start=start, n_rows=table.num_rows)
    series = {}
    for at, column in enumerate(spec["columns"]):
        array = _restore(column, f"column.{at}", columns)
        dtype = array.dtype if isinstance(array, np.ndarray) else None  # else pandas takes objects for strings
        series[at] = pd.Series(array, index, dtype, copy=False)
    frame = pd.DataFrame(series, index, copy=False)
    frame.columns = _restore_inline(spec["labels"], columns)
    samples = [columns[f"row_no.{sample}"].to_numpy() for sample in range(spec["n_samples"])]
    row_nos = np.array(samples, np.int32).reshape(len(samples), len(frame)).T
    return Snapshot(frame, row_nos, _restore(spec["skipped"], "skipped", columns).tolist())


_INCOMPLETE = "The stored frame of this job is incomplete. Give your own: job.fill(df)."

# A part is one value in the database, and Postgres takes 1 GB; this much, before compression, is easy on memory too.
_PART_BYTES = 128 * 1024 * 1024

_Spec = dict[str, Any]


@dataclass(frozen=True)
class _Head:
    """The description in the first part."""

    spec: _Spec
    sides: list[bytes]


class _Columns(dict[str, Any]):
    """Arrow columns of the frame's length by name, and as Parquet the sides, of other lengths: categories, labels."""

    def __init__(self, sides: list[bytes], table: pa.Table | None = None) -> None:
        super().__init__({} if table is None else zip(table.column_names, table.columns, strict=True))
        self.sides = sides


def _write(table: pa.Table) -> bytes:
    # LZ4 is a third faster by itself, but makes half as much again, on which Postgres then tries its own compression:
    # 200 MB of text are in the database after 2.4 s with zstd and 4.7 s with LZ4. Statistics would serve no query.
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, compression="zstd", compression_level=1, write_statistics=False, use_compliant_nested_type=False
    )
    return sink.getvalue().to_pybytes()


def _read(parquet: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(parquet)).read()


# Indexes and arrays.


def _store_index(index: pd.Index[Any], name: str, columns: _Columns) -> _Spec:
    names = [json.loads(to_json(label)) for label in index.names]
    if isinstance(index, pd.RangeIndex):
        return {"as": "range", "names": names, "range": [index.start, index.stop, index.step]}
    if isinstance(index, pd.MultiIndex):
        columns.update({f"{name}.{at}": pa.array(codes) for at, codes in enumerate(index.codes)})
        return {"as": "multi", "names": names, "levels": [_inline(level, columns) for level in index.levels]}
    return {"as": "plain", "names": names, "values": _store(index.array, name, columns), "freq": _freq(index)}


def _restore_index(spec: _Spec, name: str, columns: _Columns, *, start: int = 0, n_rows: int | None = None) -> Any:
    """The index, or `n_rows` of it from `start` on when the columns hold just these."""
    names = [decode(label) for label in spec["names"]]
    if spec["as"] == "range":
        first, stop, step = spec["range"]
        whole = pd.RangeIndex(first, stop, step, name=names[0])
        return whole if n_rows is None else whole[start : start + n_rows]
    if spec["as"] == "multi":
        levels = [_restore_inline(level, columns) for level in spec["levels"]]
        codes = [columns[f"{name}.{at}"].to_numpy() for at in range(len(levels))]
        return pd.MultiIndex(levels, codes, names=names)
    values = _restore(spec["values"], name, columns)
    index: Any = pd.Index(values, dtype=values.dtype, name=names[0])
    if spec["freq"]:
        index.freq = spec["freq"]
    return index


def _freq(index: Any) -> str | None:
    """The frequency's name, if it leads back to it: that of a custom calendar does not."""
    freq = None if isinstance(index, pd.PeriodIndex) else getattr(index, "freq", None)
    with contextlib.suppress(ValueError):
        if freq is not None and pd.tseries.frequencies.to_offset(freq.freqstr) == freq:
            return str(freq.freqstr)
    return None


def _inline(index: pd.Index[Any], columns: _Columns) -> _Spec:
    """Store an index that has a length of its own: labels of columns, categories, levels."""
    mine = _Columns(columns.sides)
    spec = _store_index(index, "", mine)
    columns.sides.append(_write(pa.table(mine)))
    return {**spec, "side": len(columns.sides) - 1}


def _restore_inline(spec: _Spec, columns: _Columns) -> Any:
    return _restore_index(spec, "", _Columns(columns.sides, _read(columns.sides[spec["side"]])))


def _store(array: Any, name: str, columns: _Columns) -> _Spec:
    """Put an array into columns called `name` or `name.…`; the specification says how to make it again."""
    mine = _Columns(columns.sides)
    try:
        spec = _store_exactly(array, name, mine)
    except Exception:  # whatever a third-party array may raise: a frame that cannot be kept must not lose the job
        mine.clear()
        gone = np.asarray(array.isna())
        texts = [None if gone[at] or value is pd.NA else as_text(value) for at, value in enumerate(array)]
        spec = _store_objects(object_array(texts), name, mine)
    columns.update(mine)
    return spec


def _store_exactly(array: Any, name: str, columns: _Columns) -> _Spec:
    match array.dtype:
        case pd.CategoricalDtype() as dtype:
            columns[name] = pa.array(array.codes)
            return {"as": "categories", "labels": _inline(dtype.categories, columns), "ordered": bool(dtype.ordered)}
        case pd.DatetimeTZDtype() as dtype:
            columns[name] = pa.array(array.asi8)
            return {"as": "zoned", "unit": dtype.unit, "zone": zone_name(dtype.tz)}
        case pd.PeriodDtype():
            columns[name] = pa.array(array.asi8)
            return {"as": "periods", "freq": array.freqstr}
        case pd.IntervalDtype() as dtype:
            sides = [_store(side.array, f"{name}.{at}", columns) for at, side in enumerate((array.left, array.right))]
            return {"as": "intervals", "sides": sides, "closed": dtype.closed}
        case pd.SparseDtype() as dtype:
            dense = _store(pd.Series(array.to_dense(), dtype=dtype.subtype).array, name, columns)
            return {"as": "sparse", "dense": dense, "fill": encode(dtype.fill_value)}
        case pd.StringDtype() as dtype:
            columns[name] = pa.array(array)
            return {"as": "strings", "storage": dtype.storage, "missing": encode(dtype.na_value)}
        case pd.ArrowDtype() as dtype:
            columns[name] = _for_parquet(pa.array(array))
            schema = pa.schema([("", dtype.pyarrow_dtype)])
            return {"as": "arrow", "schema": base64.b64encode(schema.serialize()).decode()}
    match array:
        case pd.arrays.IntegerArray() | pd.arrays.FloatingArray() | pd.arrays.BooleanArray():
            columns[name] = array.__arrow_array__()
            return {"as": "nullable", "dtype": array.dtype.name}
        case pd.arrays.NumpyExtensionArray() | pd.arrays.DatetimeArray() | pd.arrays.TimedeltaArray():
            values = array.to_numpy()
            if values.dtype.kind == "O":
                return _store_objects(values, name, columns)
            if values.dtype.kind in "biufmM":
                columns[name] = pa.array(values.view(np.int64) if values.dtype.kind in "mM" else values)
                return {"as": "numpy", "dtype": values.dtype.str}
    raise TypeError(f"there is no exact way to keep {array.dtype}")


def _restore(spec: _Spec, name: str, columns: _Columns) -> Any:
    kind: Any
    values: Any = columns.get(name)
    match spec["as"]:  # what Arrow and indexes hand out is read-only, hence the copies
        case "categories":
            kind = pd.CategoricalDtype(_restore_inline(spec["labels"], columns), spec["ordered"])
            return pd.Categorical.from_codes(values.to_numpy().copy(), dtype=kind)
        case "zoned":
            moments = values.to_numpy().view(f"M8[{spec['unit']}]")
            return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(spec["zone"]).array.copy()
        case "periods":
            kind = pd.PeriodIndex
            return kind.from_ordinals(values.to_numpy(), freq=spec["freq"]).array.copy()
        case "intervals":
            left, right = [_restore(side, f"{name}.{at}", columns) for at, side in enumerate(spec["sides"])]
            return pd.arrays.IntervalArray.from_arrays(left, right, closed=spec["closed"])
        case "sparse":
            dense, fill = _restore(spec["dense"], name, columns), decode(spec["fill"])
            return pd.arrays.SparseArray(dense, fill_value=fill, dtype=pd.SparseDtype(dense.dtype, fill))
        case "strings":
            kind = pd.StringDtype(spec["storage"], decode(spec["missing"]))
            return kind.__from_arrow__(values)
        case "arrow":
            kind = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(spec["schema"]))).field(0).type
            return pd.arrays.ArrowExtensionArray(values if values.type == kind else values.cast(kind))
        case "nullable":
            kind = pd.api.types.pandas_dtype(spec["dtype"])
            return kind.__from_arrow__(values)
        case "numpy":
            return values.to_numpy().copy().view(spec["dtype"])
    texts = values.to_pylist()
    if "gap" not in spec:
        return object_array([decode(json.loads(text)) for text in texts])
    gap = decode(spec["gap"])
    return object_array([gap if text is None else text for text in texts])


def _for_parquet(values: Any) -> Any:
    """Values of an Arrow dtype as Parquet can hold them; raises when it cannot."""
    kind = values.type
    if pa.types.is_temporal(kind):  # seconds would become milliseconds, which overflow earlier
        return values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if _read(_write(pa.table({"": values.slice(0, 0)})))[0].type != kind:
        _read(_write(pa.table({"": values})))[0].cast(kind)  # converted on the way: all values must survive it
    return values


def _store_objects(values: npt.NDArray[np.object_], name: str, columns: _Columns) -> _Spec:
    """Strings with one kind of missing value as they are, anything else as JSON."""
    gaps = set(map(type, values.tolist())) - {str}
    if len(gaps) <= 1 and gaps <= _GAPS.keys():
        # A float that is not NaN, or a lone surrogate, which UTF-8 cannot hold, makes it JSON after all.
        with contextlib.suppress(pa.ArrowException, UnicodeEncodeError):
            columns[name] = pa.array(values, pa.large_string(), from_pandas=True)
            return {"as": "objects", "gap": encode(_GAPS[gaps.pop()] if gaps else None)}
    columns[name] = pa.array(list(map(to_json, values)), pa.large_binary())
    return {"as": "objects"}


_GAPS: dict[type, Any] = {type(None): None, float: float("nan"), type(pd.NA): pd.NA, type(pd.NaT): pd.NaT}
