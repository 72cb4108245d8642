"""What a template sees of a column: one text a row, None where the value is missing.

A value reads as in Python: integers without a point, floats by the shortest digits of their own width, strings
character by character as they are. Plain dtypes are rendered in bulk; whatever else a column may hold goes through
`text_of`, one value at a time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from batchframe.errors import TemplateError


def texts(column: pd.Series[Any]) -> list[str | None]:
    """Render a column of any dtype.

    None, NaN, NaT and NA are missing, an empty string is not. Lists, dicts, structs and arrays become JSON text.

    Raises:
        TemplateError: a value is bytes, or nested without end; the message names the column and for bytes the row.
    """
    try:
        rendered = _array(column.array)
    except RecursionError:
        raise TemplateError(f"Column {column.name!r} holds values nested too deeply to be written as JSON.") from None
    # Bytes come through as they are, so that here, where rows are counted, the first of them can be named.
    if bytes in set(map(type, rendered)):
        first = next(position for position, text in enumerate(rendered) if isinstance(text, bytes))
        row = column.index[first : first + 1].tolist()[0]  # as Python has it: 5, not np.int64(5)
        raise TemplateError(
            f"Column {column.name!r} holds bytes, first in row {row!r}, and a template needs text. Decode the column "
            'first, for example with .map(lambda value: value.decode("utf-8")).'
        )
    return rendered


def _array(array: Any) -> list[Any]:
    """The texts of any pandas array; bytes stay bytes."""
    match array.dtype:
        case pd.CategoricalDtype():
            labels = [*_array(array.categories.array), None]  # the code of a missing value is -1, the last of them
            return [labels[code] for code in array.codes.tolist()]
        case pd.SparseDtype():
            return _array(pd.Series(array.to_dense(), dtype=array.dtype.subtype).array)
        case pd.StringDtype():
            strings: list[Any] = array.to_numpy(object, na_value=None).tolist()
            return strings
        case pd.ArrowDtype():
            return _arrow(pa.chunked_array(pa.array(array)))
        case pd.DatetimeTZDtype():
            return _zoned_datetimes(array)
    match getattr(array.dtype, "numpy_dtype", array.dtype):
        case np.dtype(kind="b" | "i" | "u" | "f") as kind:  # numpy's, or the nullable numbers: values and a mask
            rendered = _numbers(array.to_numpy(kind, na_value=0))
            for position in np.flatnonzero(array.isna()):
                rendered[position] = None
            return rendered
        case np.dtype(kind="M"):
            return _datetimes(array.to_numpy())
        case np.dtype(kind="m"):
            return _timedeltas(array.to_numpy())
    return _objects(array, array.isna())


def _arrow(values: pa.ChunkedArray[Any]) -> list[Any]:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _arrow(values.cast(kind.value_type))
    if pa.types.is_integer(kind):
        return values.cast(pa.string()).to_pylist()
    if pa.types.is_floating(kind):
        return _numbers(values.to_numpy())
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return _array(values.to_pandas().array)
    return [value if type(value) is str else text_of(value) for value in values.to_pylist()]


def _numbers(values: npt.NDArray[Any]) -> list[Any]:
    match values.dtype.kind, values.dtype.itemsize:
        case "b", _:
            return [str(value) for value in values.tolist()]
        case "f", 8:
            return _doubles(values)
        case "f", _:
            # numpy's str of a scalar has the digits of that width; Python's float would show 0.10000000149011612.
            return [None if math.isnan(value) else str(value) for value in values]
        case _:
            return list(map(str, values.tolist()))


def _doubles(values: npt.NDArray[np.float64]) -> list[Any]:
    """Python's repr of every float, None for NaN.

    Arrow finds the same shortest digits in a third of the time, but writes whole, tiny and huge numbers in another way.
    """
    size = np.abs(values)
    alike = (size >= 1e-4) & (size < 1e10) & (values != np.trunc(values))
    if np.count_nonzero(alike) < len(values) / 2:
        return [None if math.isnan(value) else repr(value) for value in values.tolist()]
    rendered: list[Any] = pa.array(values).cast(pa.string()).to_pylist()
    for position in np.flatnonzero(~alike):
        value = float(values[position])
        rendered[position] = None if math.isnan(value) else repr(value)
    return rendered


def _datetimes(values: npt.NDArray[np.datetime64]) -> list[Any]:
    """`str` of the Timestamps: a fraction of six digits, or nine, only where there is one."""
    moments: Any = pa.array(values)
    nanoseconds = moments.type.unit == "ns"
    written = moments.cast(pa.timestamp("ns" if nanoseconds else "us")).cast(pa.string()).to_pylist()
    if nanoseconds:
        written = [text and text.removesuffix("000") for text in written]
    return [text and text.removesuffix(".000000") for text in written]


def _zoned_datetimes(array: Any) -> list[Any]:
    local = array.tz_localize(None).to_numpy()
    rendered = _datetimes(local)
    offsets = local - array.tz_convert(None).to_numpy()
    distinct, first, which = np.unique(offsets, return_index=True, return_inverse=True)
    written = [
        "" if np.isnat(offset) else str(array[at])[len(rendered[at]) :]
        for offset, at in zip(distinct, first.tolist(), strict=True)
    ]
    return [text and text + written[number] for text, number in zip(rendered, which.tolist(), strict=True)]


def _timedeltas(values: npt.NDArray[np.timedelta64]) -> list[Any]:
    """`str` of the Timedeltas: days, and the time of day that remains."""
    days = values.astype("m8[D]")  # rounds down, as Timedelta does: -1 s is "-1 days +23:59:59"
    times = _datetimes((values - days).view(values.dtype.str.replace("m8", "M8")))
    return [
        text and f"{day} days {'+' if day < 0 else ''}{text[11:]}"
        for day, text in zip(days.astype(np.int64).tolist(), times, strict=True)
    ]


def _objects(values: Iterable[Any], missing: npt.NDArray[np.bool_]) -> list[Any]:
    return [
        value if type(value) is str else None if gone else text_of(value)
        for value, gone in zip(values, missing.tolist(), strict=True)
    ]


def text_of(value: Any) -> Any:
    """The text of one value; bytes come back as bytes."""
    match value:
        case str():
            return str.__str__(value)  # the characters also of an enum member, whose own str is its name
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case dict() | list() | tuple() | set() | frozenset() | np.ndarray():
            return _json(value)
    return None if value is None else str(value)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _json(value: Any) -> Any:
    try:
        return _encode(value)  # plain Python already, as most nested values are
    except (TypeError, ValueError):
        pass
    try:
        return _encode(_plain(value))
    except _BytesInsideError as error:
        return error.args[0]


class _BytesInsideError(Exception):
    """A nested value holds bytes, its argument."""


def _plain(value: Any) -> Any:
    """A nested value as JSON has it: missing becomes null, a number a number, everything else its text."""
    match value:
        case None | bool() | str():
            return value
        case dict():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case set() | frozenset():
            # Sorted, because the order of a set changes from one process to the next, and with it the request.
            return sorted(map(_plain, value), key=_encode)
        case np.ndarray():
            return [_plain(item) for item in value] if value.ndim else _plain(value.item())
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    match value:
        case int() | np.integer():
            return int(value)
        case np.bool_():
            return bool(value)
        case float() | np.floating() if np.isfinite(value):
            return float(str(value))
    return _plain_text(value)


def _key(key: Any) -> str:
    return _encode(key) if key is None or key is True or key is False else _plain_text(key)  # as `json` has them


def _plain_text(value: Any) -> str:
    text = text_of(value)
    if isinstance(text, bytes):
        raise _BytesInsideError(text)
    return str(text)
