"""The frame a job keeps, as Parquet, so that `job.frame()` works after a restart without the user's file.

pandas' own way to Parquet loses index frequencies, mixed objects and labels that are no strings, so it is not used.
Every array becomes plain Arrow columns under names of our own, and a specification in JSON, kept in the file's
metadata, says how to make it again. `_store` and `_restore` mirror each other, as do `_encode` and `_decode` for single
objects; nothing is pickled.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import decimal
import functools
import json
import uuid
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from batchframe.errors import DatabaseError
from batchframe.frame.texts import text_of


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
    """Yield the snapshot as Parquet files, at least one, for `unpack` in the same order.

    It never fails on what a frame holds. Index, labels and every dtype of pandas come back as they were; of objects
    plain Python values (nested ones too), numpy scalars and arrays, Decimal, UUID, dates and pandas scalars. Anything
    else (other classes, third-party dtypes, the few Arrow types Parquet has no place for) is kept as its text, in a
    column of objects; a datetime's zone inside an object column as its offset. `DataFrame.attrs` are not kept.

    Args:
        rows_per_part: the most rows of a file; fewer when rows are large.
    """
    frame, columns = snapshot.frame, _Columns()
    n_samples = snapshot.row_nos.shape[1]
    spec = {
        "n_rows": len(frame),
        "n_samples": n_samples,
        "labels": _inline(frame.columns),
        "index": _store_index(frame.index, "index", columns),
        "columns": [_store(frame.iloc[:, at].array, f"column.{at}", columns) for at in range(frame.shape[1])],
        "skipped": _store_objects(_object_array(snapshot.skipped), "skipped", columns),
    }
    for sample in range(n_samples):
        columns[f"row_no.{sample}"] = pa.array(snapshot.row_nos[:, sample])
    table = pa.table(columns).replace_schema_metadata({_SPEC: json.dumps(spec)})
    affordable = int(_PART_BYTES * len(frame) / (table.nbytes or 1))
    step = max(1, min(rows_per_part, affordable))
    for start in range(0, len(frame) or 1, step):
        yield _parquet(table.slice(start, step))


def unpack(parts: Iterable[bytes]) -> Snapshot:
    """Read what `pack` wrote.

    Raises:
        DatabaseError: a part is missing.
    """
    tables = [_read(part) for part in parts]
    spec = json.loads(tables[0].schema.metadata[_SPEC]) if tables else {}
    if sum(table.num_rows for table in tables) != spec.get("n_rows"):
        raise DatabaseError("The stored frame of this job is incomplete. Give your own: job.fill(df).")
    table = pa.concat_tables(tables)
    index = _restore_index(spec["index"], "index", table)
    # A column is made a series of its own first: left to itself, DataFrame takes objects that are strings for `str`.
    arrays = [_restore(column, f"column.{at}", table) for at, column in enumerate(spec["columns"])]
    series = {at: pd.Series(array, index, array.dtype, copy=False) for at, array in enumerate(arrays)}
    frame = pd.DataFrame(series, index, copy=False)
    frame.columns = _restore_inline(spec["labels"])
    samples = [table[f"row_no.{sample}"].to_numpy() for sample in range(spec["n_samples"])]
    row_nos = np.array(samples, np.int32).reshape(len(samples), len(frame)).T
    return Snapshot(frame, row_nos, _restore(spec["skipped"], "skipped", table).tolist())


_SPEC = b"batchframe"
# A part is one value in the database, and Postgres takes 1 GB; this much, before compression, is easy on memory too.
_PART_BYTES = 128 * 1024 * 1024

_Spec = dict[str, Any]
_Columns = dict[str, Any]  # Arrow arrays, chunked or not


def _parquet(table: pa.Table) -> bytes:
    # LZ4, because 200 MB of text take 0.5 s, with zstd at level 1 0.8 s. Statistics serve queries, and there are none.
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="lz4", write_statistics=False, use_compliant_nested_type=False)
    return sink.getvalue().to_pybytes()


def _read(parquet: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(parquet)).read()


# Indexes, and with them the labels of the columns.


def _store_index(index: pd.Index[Any], name: str, columns: _Columns) -> _Spec:
    names = [_encode(label) for label in index.names]
    if isinstance(index, pd.RangeIndex):
        return {"as": "range", "names": names, "range": [index.start, index.stop, index.step]}
    if isinstance(index, pd.MultiIndex):
        levels = range(index.nlevels)
        stored = [_store(index.get_level_values(at).array, f"{name}.{at}", columns) for at in levels]
        return {"as": "multi", "names": names, "levels": stored}
    freq = index.freqstr if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    return {"as": "plain", "names": names, "values": _store(index.array, name, columns), "freq": freq}


def _restore_index(spec: _Spec, name: str, table: pa.Table) -> pd.Index[Any]:
    names: list[Hashable] = [_decode(label) for label in spec["names"]]
    match spec["as"]:
        case "range":
            start, stop, step = spec["range"]
            return pd.RangeIndex(start, stop, step, name=names[0])
        case "multi":
            levels = [_restore(level, f"{name}.{at}", table) for at, level in enumerate(spec["levels"])]
            return pd.MultiIndex.from_arrays([_flat(level, None) for level in levels], names=names)
    index: pd.Index[Any] = _flat(_restore(spec["values"], name, table), names[0])
    if spec["freq"]:
        with contextlib.suppress(ValueError):  # a custom offset, whose name does not lead back to it
            setattr(index, "freq", spec["freq"])  # noqa: B010 (pandas-stubs take it for read-only)
    return index


def _flat(values: Any, name: Hashable) -> Any:
    return pd.Index(values, dtype=values.dtype, name=name, tupleize_cols=False)


def _inline(index: pd.Index[Any]) -> _Spec:
    """A short index wholly inside the specification: labels of columns, categories."""
    columns = _Columns()
    spec = _store_index(index, "", columns)
    return {**spec, "parquet": base64.b64encode(_parquet(pa.table(columns))).decode()} if columns else spec


def _restore_inline(spec: _Spec) -> pd.Index[Any]:
    table = _read(base64.b64decode(spec["parquet"])) if "parquet" in spec else pa.table({})
    return _restore_index(spec, "", table)


# Arrays.


def _store(array: Any, name: str, columns: _Columns) -> _Spec:
    """Put an array into columns called `name` or `name.…`; the specification says how to make it again."""
    mine = _Columns()
    try:
        spec = _store_exactly(array, name, mine)
    except Exception:  # whatever a third-party array may raise: a frame that cannot be kept must not lose the job
        mine = _Columns()
        texts = [None if gone else _text(value) for value, gone in zip(array, np.asarray(array.isna()), strict=True)]
        spec = _store_objects(_object_array(texts), name, mine)
    columns.update(mine)
    return spec


def _store_exactly(array: Any, name: str, columns: _Columns) -> _Spec:
    match array.dtype:
        case pd.CategoricalDtype() as dtype:
            columns[name] = pa.array(array.codes)
            return {"as": "categories", "labels": _inline(dtype.categories), "ordered": bool(dtype.ordered)}
        case pd.DatetimeTZDtype() as dtype:
            columns[name] = pa.array(array.asi8)
            return {"as": "zoned", "unit": dtype.unit, "zone": _zone(dtype.tz)}
        case pd.PeriodDtype() as dtype:
            columns[name] = pa.array(array.asi8)
            return {"as": "periods", "freq": dtype.freq.freqstr}
        case pd.IntervalDtype() as dtype:
            sides = [_store(side.array, f"{name}.{at}", columns) for at, side in enumerate((array.left, array.right))]
            return {"as": "intervals", "sides": sides, "closed": dtype.closed}
        case pd.SparseDtype() as dtype:
            dense = _store(pd.Series(array.to_dense(), dtype=dtype.subtype).array, name, columns)
            return {"as": "sparse", "dense": dense, "fill": _encode(dtype.fill_value)}
        case pd.StringDtype() as dtype:
            columns[name] = pa.array(array)
            return {"as": "strings", "storage": dtype.storage, "missing": _encode(dtype.na_value)}
        case pd.ArrowDtype() as dtype:
            columns[name] = _for_parquet(pa.array(array))
            schema = pa.schema([("", dtype.pyarrow_dtype)])
            return {"as": "arrow", "schema": base64.b64encode(schema.serialize()).decode()}
    match array:
        case pd.arrays.IntegerArray() | pd.arrays.FloatingArray() | pd.arrays.BooleanArray():
            columns[name] = array.__arrow_array__()
            return {"as": "nullable", "dtype": array.dtype.name}
        case pd.arrays.NumpyExtensionArray() | pd.arrays.DatetimeArray() | pd.arrays.TimedeltaArray():
            return _store_numpy(array.to_numpy(), name, columns)
    raise TypeError(f"{array.dtype} is none of pandas' own dtypes")


def _store_numpy(values: npt.NDArray[Any], name: str, columns: _Columns) -> _Spec:
    native = values.dtype.newbyteorder("=")
    match native.kind, native.itemsize:
        case "O", _:
            return _store_objects(values, name, columns)
        case "M" | "m", _:
            columns[name] = pa.array(values.astype(native).view(np.int64))
        case "b" | "i" | "u" | "f", 1 | 2 | 4 | 8:
            columns[name] = pa.array(values.astype(native, copy=False), from_pandas=False)
        case _:
            raise TypeError(f"Arrow has no {values.dtype}")
    return {"as": "numpy", "dtype": values.dtype.str}


def _restore(spec: _Spec, name: str, table: pa.Table) -> Any:
    kind: Any
    match spec["as"]:
        case "categories":
            kind = pd.CategoricalDtype(_restore_inline(spec["labels"]), spec["ordered"])
            return pd.Categorical.from_codes(table[name].to_numpy(), dtype=kind)
        case "zoned":
            moments = table[name].to_numpy().view(f"M8[{spec['unit']}]")
            return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(spec["zone"]).array
        case "periods":
            periods: Any = pd.PeriodIndex
            return periods.from_ordinals(table[name].to_numpy(), freq=spec["freq"]).array
        case "intervals":
            left, right = [_restore(side, f"{name}.{at}", table) for at, side in enumerate(spec["sides"])]
            return pd.arrays.IntervalArray.from_arrays(left, right, closed=spec["closed"])
        case "sparse":
            dense, fill = _restore(spec["dense"], name, table), _decode(spec["fill"])
            return pd.arrays.SparseArray(dense, fill_value=fill, dtype=pd.SparseDtype(dense.dtype, fill))
        case "strings":
            kind = pd.StringDtype(spec["storage"], _decode(spec["missing"]))
            return kind.__from_arrow__(table[name])
        case "arrow":
            kind = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(spec["schema"]))).field(0).type
            return pd.arrays.ArrowExtensionArray(table[name] if table[name].type == kind else table[name].cast(kind))
        case "nullable":
            kind = pd.api.types.pandas_dtype(spec["dtype"])
            return kind.__from_arrow__(table[name])
        case "numpy":
            kind, values = np.dtype(spec["dtype"]), table[name].to_numpy()
            return (values.view(kind.newbyteorder("=")) if kind.kind in "Mm" else values).astype(kind)
    return _restore_objects(spec, table[name])


def _for_parquet(values: Any) -> Any:
    """Values of an Arrow dtype as Parquet can hold them.

    Raises:
        pa.ArrowException: it cannot.
    """
    kind = values.type
    if pa.types.is_temporal(kind):  # seconds would become milliseconds, which overflow earlier
        return values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if _read(_parquet(pa.table({"": values.slice(0, 0)})))[0].type != kind:
        _read(_parquet(pa.table({"": values})))[0].cast(kind)  # converted on the way: all values must survive it
    return values


@functools.lru_cache
def _zone(zone: dt.tzinfo) -> str:
    """A time zone's name; raises when pandas does not find the zone by it, as those of dateutil."""
    return str(pd.DatetimeTZDtype("ns", str(zone)).tz)


# Objects.


def _store_objects(values: npt.NDArray[np.object_], name: str, columns: _Columns) -> _Spec:
    """Strings with one kind of missing value as they are, anything else as JSON."""
    gaps = set(map(type, values.tolist())) - {str}
    if len(gaps) <= 1 and gaps <= _GAPS.keys():
        # A float that is not NaN, or a lone surrogate, which UTF-8 cannot hold, makes it JSON after all.
        with contextlib.suppress(pa.ArrowException, UnicodeEncodeError):
            columns[name] = pa.array(values, pa.large_string(), from_pandas=True)
            return {"as": "objects", "gap": _encode(_GAPS[gaps.pop()] if gaps else None)}
    columns[name] = pa.array(list(map(_json, values)), pa.large_string())
    return {"as": "objects"}


def _restore_objects(spec: _Spec, column: pa.ChunkedArray[Any]) -> npt.NDArray[np.object_]:
    texts: list[Any] = column.to_pylist()
    if "gap" not in spec:
        return _object_array(_decode(json.loads(text)) for text in texts)
    gap = _decode(spec["gap"])
    return _object_array(gap if text is None else text for text in texts)


_GAPS: dict[type, Any] = {type(None): None, float: float("nan"), type(pd.NA): pd.NA, type(pd.NaT): pd.NaT}


def _object_array(values: Iterable[Any]) -> npt.NDArray[np.object_]:
    """One object an element, also where the elements are lists or arrays."""
    items = list(values)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _text(value: Any) -> str:
    try:
        text = text_of(value)
        return text if isinstance(text, str) else str(value)
    except Exception:  # an object's own __str__ may raise anything
        return f"<{type(value).__name__}>"


def _json(value: Any) -> str:
    try:
        return json.dumps(_encode(value))
    except Exception:  # a list that holds itself, a number of 5,000 digits, a zone without a name
        return json.dumps({"text": [_text(value)]})


def _encode(value: Any) -> Any:
    """A value as JSON; an object of one entry is a value of the type its key names."""
    kind = type(value)
    if value is None or kind in (str, bool, int, float):
        return value
    if kind is list:
        return [_encode(item) for item in value]
    if kind in _CODECS:
        tag, parts, _ = _CODECS[kind]
        return {tag: [_encode(part) for part in parts(value)]}
    if isinstance(value, np.generic) and _portable(value.dtype):
        return {"scalar": [_encode(np.asarray(value))]}
    return {"text": [_text(value)]}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, parts),) = value.items()
    return _MAKERS[tag](*map(_decode, parts))


def _portable(dtype: np.dtype[Any]) -> bool:
    """Whether its bytes mean the same on every machine; those of long doubles do not."""
    return dtype.kind in "biumM" or (dtype.kind in "fc" and dtype.itemsize <= 8)


def _ndarray_parts(array: npt.NDArray[Any]) -> list[Any]:
    shape, dtype = list(array.shape), array.dtype
    return [shape, dtype.str, array.tobytes()] if _portable(dtype) else [shape, None, array.ravel().tolist()]


def _ndarray(shape: list[int], dtype: str | None, values: Any) -> npt.NDArray[Any]:
    if dtype is None:
        return _object_array(values).reshape(shape)
    return np.ndarray(shape, dtype, values).copy()


def _timestamp(moment: np.datetime64, zone: str | None) -> pd.Timestamp:
    timestamp = pd.Timestamp(moment)
    return timestamp if zone is None else timestamp.tz_localize("UTC").tz_convert(zone)


def _period(ordinal: int, freq: str) -> pd.Period:
    return pd.Period(ordinal=ordinal, freq=freq)


# Of each type its tag, the parts it is made of, and how it is made of them.
_CODECS: dict[type, tuple[str, Callable[[Any], list[Any]], Callable[..., Any]]] = {
    dict: ("dict", lambda value: [list(value), list(value.values())], lambda *pairs: dict(zip(*pairs, strict=True))),
    tuple: ("tuple", list, lambda *items: items),
    set: ("set", list, lambda *items: set(items)),
    frozenset: ("frozenset", list, lambda *items: frozenset(items)),
    bytes: ("bytes", lambda value: [base64.b64encode(value).decode()], base64.b64decode),
    complex: ("complex", lambda value: [value.real, value.imag], complex),
    decimal.Decimal: ("Decimal", lambda value: [str(value)], decimal.Decimal),
    uuid.UUID: ("UUID", lambda value: [str(value)], uuid.UUID),
    dt.date: ("date", lambda value: [value.isoformat()], dt.date.fromisoformat),
    dt.time: ("time", lambda value: [value.isoformat()], dt.time.fromisoformat),
    dt.datetime: ("datetime", lambda value: [value.isoformat()], dt.datetime.fromisoformat),
    dt.timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds], dt.timedelta),
    type(pd.NA): ("NA", lambda _: [], lambda: pd.NA),
    type(pd.NaT): ("NaT", lambda _: [], lambda: pd.NaT),
    pd.Timestamp: ("Timestamp", lambda value: [value.asm8, value.tz and _zone(value.tz)], _timestamp),
    pd.Timedelta: ("Timedelta", lambda value: [value.asm8], pd.Timedelta),
    pd.Period: ("Period", lambda value: [value.ordinal, value.freqstr], _period),
    pd.Interval: ("Interval", lambda value: [value.left, value.right, value.closed], pd.Interval),
    np.ndarray: ("ndarray", _ndarray_parts, _ndarray),
}

_MAKERS: dict[str, Callable[..., Any]] = {
    "text": str,
    "scalar": lambda array: array[()],
    **{tag: make for tag, _, make in _CODECS.values()},
}
