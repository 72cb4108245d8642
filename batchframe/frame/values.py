"""What a Jinja template or a function sees of a column: one plain Python value a row, None where it is missing.

Numbers, booleans and strings are Python's own, whatever holds them; dates and times are datetime's, to the microsecond;
tuples, sets and arrays are lists. Anything else is its text. A template may call public methods of a value, and so must
never be handed an object that can write to a disk, as arrays and frames can.
"""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd

from batchframe.errors import TemplateError
from batchframe.frame.texts import text_of

_PLAIN = frozenset({str, int, bool, type(None), dt.date, dt.time, dt.timedelta, decimal.Decimal, bytes})


def values(column: pd.Series[Any]) -> list[Any]:
    """The values of a column of any dtype.

    Raises:
        TemplateError: a value is nested without end; the message names the column.
    """
    kind = getattr(column.dtype, "numpy_dtype", column.dtype)
    if isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize < 8:
        # By their own digits: as a double, 0.1 would be 0.10000000149011612.
        return [None if number is None else float(str(kind.type(number))) for number in _listed(column)]
    found = _listed(column)
    if set(map(type, found)) <= _PLAIN | {float}:
        return found
    try:
        return list(map(plain, found))
    except RecursionError:
        raise TemplateError(f"Column {column.name!r} holds values nested too deeply.") from None


def _listed(column: pd.Series[Any]) -> list[Any]:
    gone = column.isna()
    found: list[Any] = column.tolist()
    if gone.any():
        return [None if missing else value for value, missing in zip(found, gone.tolist(), strict=True)]
    return found


def plain(value: Any) -> Any:
    """One value as plain Python has it."""
    if type(value) in _PLAIN:
        return value
    match value:
        case str():
            return str.__str__(value)
        case dict():
            return {key if type(key) in _PLAIN else str(text_of(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted(map(plain, value), key=repr)  # their own order changes from one process to the next
        case np.ndarray():
            return [plain(item) for item in value] if value.ndim else plain(value.item())
        case bytearray() | memoryview():
            return bytes(value)
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    match value:
        case np.bool_():
            return bool(value)
        case int() | np.integer():
            return int(value)
        case float() | np.floating():
            return float(str(value)) if isinstance(value, np.floating) else float(value)
        case pd.Timestamp():
            return value.to_pydatetime(warn=False)
        case pd.Timedelta() | np.timedelta64():
            return pd.Timedelta(value).to_pytimedelta()
        case np.datetime64():
            return pd.Timestamp(value).to_pydatetime(warn=False)
        case dt.datetime():
            return value
    return text_of(value)
