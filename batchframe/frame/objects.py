"""Single Python objects as JSON and back: what an object column, a label or an index name may hold.

An object of one entry is a value of the type its key names. What no codec knows is kept as its text, so nothing a frame
holds can make it fail; nothing is pickled.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import functools
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.frame.texts import text_of


def object_array(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """One object an element, also where the elements are lists or arrays."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def as_text(value: Any) -> str:
    try:
        text = text_of(value)
        return text if isinstance(text, str) else str(value)
    except Exception:  # an object's own __str__ may raise anything
        return f"<{type(value).__name__}>"


def to_json(value: Any) -> bytes:
    try:
        return json_bytes(encode(value))
    except Exception:  # a list that holds itself, a number of 5,000 digits, a zone without a name
        return json_bytes({"text": [as_text(value)]})


def json_bytes(value: Any) -> bytes:
    # Not with \u escapes: two surrogates that happen to follow each other would come back as one character.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def encode(value: Any) -> Any:
    """A value as JSON; an object of one entry is a value of the type its key names."""
    kind = type(value)
    if value is None or kind in (str, bool, int, float):
        return value
    if kind is list:
        return [encode(item) for item in value]
    if kind in _CODECS:
        tag, parts, _ = _CODECS[kind]
        return {tag: [encode(part) for part in parts(value)]}
    if isinstance(value, np.generic) and _portable(value.dtype):
        return {"scalar": [encode(np.asarray(value))]}
    return {"text": [as_text(value)]}


def decode(value: Any) -> Any:
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, parts),) = value.items()
    return _MAKERS[tag](*map(decode, parts))


def _portable(dtype: np.dtype[Any]) -> bool:
    """Whether its bytes mean the same on every machine; those of long doubles do not."""
    return dtype.kind in "biumM" or (dtype.kind in "fc" and dtype.itemsize <= 8)


def _ndarray_parts(array: npt.NDArray[Any]) -> list[Any]:
    shape, dtype = list(array.shape), array.dtype
    return [shape, dtype.str, array.tobytes()] if _portable(dtype) else [shape, None, array.ravel().tolist()]


def _ndarray(shape: list[int], dtype: str | None, values: Any) -> npt.NDArray[Any]:
    if dtype is None:
        return object_array(values).reshape(shape)
    return np.ndarray(shape, dtype, values).copy()


def _timestamp(moment: np.datetime64, zone: str | None) -> pd.Timestamp:
    return pd.Timestamp(moment, tz="UTC").tz_convert(zone)


@functools.lru_cache
def zone_name(zone: dt.tzinfo) -> str:
    """A time zone's name; raises when pandas does not find the zone by it, as those of dateutil."""
    return str(pd.DatetimeTZDtype("ns", str(zone)).tz)


# Of each type its tag, the parts it is made of, and how it is made of them.
_CODECS: dict[type, tuple[str, Callable[[Any], list[Any]], Callable[..., Any]]] = {
    dict: ("dict", lambda value: [list(value), list(value.values())], lambda *pairs: dict(zip(*pairs, strict=True))),
    tuple: ("tuple", list, lambda *items: items),
    set: ("set", list, lambda *items: set(items)),
    frozenset: ("frozenset", list, lambda *items: frozenset(items)),
    bytes: ("bytes", lambda value: [base64.b64encode(value).decode()], base64.b64decode),
    decimal.Decimal: ("Decimal", lambda value: [str(value)], decimal.Decimal),
    uuid.UUID: ("UUID", lambda value: [str(value)], uuid.UUID),
    dt.date: ("date", lambda value: [value.isoformat()], dt.date.fromisoformat),
    dt.time: ("time", lambda value: [value.isoformat()], dt.time.fromisoformat),
    dt.datetime: ("datetime", lambda value: [value.isoformat()], dt.datetime.fromisoformat),
    dt.timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds], dt.timedelta),
    type(pd.NA): ("NA", lambda _: [], lambda: pd.NA),
    type(pd.NaT): ("NaT", lambda _: [], lambda: pd.NaT),
    pd.Timestamp: ("Timestamp", lambda value: [value.asm8, value.tz and zone_name(value.tz)], _timestamp),
    pd.Timedelta: ("Timedelta", lambda value: [value.asm8], pd.Timedelta),
    pd.Period: ("Period", lambda value: [None, value.freqstr, value.ordinal], pd.Period),
    pd.Interval: ("Interval", lambda value: [value.left, value.right, value.closed], pd.Interval),
    np.ndarray: ("ndarray", _ndarray_parts, _ndarray),
}

_MAKERS: dict[str, Callable[..., Any]] = {
    "text": str,
    "scalar": lambda array: array[()],
    **{tag: make for tag, _, make in _CODECS.values()},
}
