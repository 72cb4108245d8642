"""What a template sees of a column."""

import copy
import datetime as dt
import enum
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from batchframe.errors import TemplateError
from batchframe.frame.texts import texts

NAN = float("nan")


class Color(str, enum.Enum):  # noqa: UP042 (StrEnum's str is its value; this one's is its name)
    RED = "red"


class Level(enum.Enum):
    HIGH = 3


def arrow(values: list[Any], kind: pa.DataType | None = None) -> "pd.Series[Any]":
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)])))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, -(2**63)]), ["1", str(-(2**63))]),
        (pd.Series([2**64 - 1], dtype="uint64"), [str(2**64 - 1)]),
        (pd.Series([1, None], dtype="Int64"), ["1", None]),
        (pd.Series([2**62 + 1, None], dtype="Int64"), [str(2**62 + 1), None]),
        (pd.Series([True, False]), ["True", "False"]),
        (pd.Series([True, None], dtype="boolean"), ["True", None]),
        (pd.Series([0.1, 3.0, math.inf, -0.0, 1e22, NAN]), ["0.1", "3.0", "inf", "-0.0", "1e+22", None]),
        (pd.Series([0.1, 3.0, NAN], dtype="float32"), ["0.1", "3.0", None]),
        (pd.Series([0.1, NAN], dtype="float16"), ["0.1", None]),
        (pd.Series([0.1, None], dtype="Float32"), ["0.1", None]),
        (pd.Series([1 + 2j, complex(NAN)]), ["(1+2j)", None]),
        (pd.Series(["a", "", None, NAN]), ["a", "", None, None]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series(["a", "\ud800", None], dtype=pd.StringDtype("python")), ["a", "\ud800", None]),
        (pd.Series(["b", None, "a"], dtype="category"), ["b", None, "a"]),
        (pd.Series([1, None, 2]).astype("Int64").astype("category"), ["1", None, "2"]),
        (pd.Series(pd.Categorical([], categories=["x"])), []),
        (pd.Series([0, 5, 0], dtype="Sparse[int64]"), ["0", "5", "0"]),
        (pd.Series([1.5, NAN], dtype="Sparse"), ["1.5", None]),
        (pd.Series(pd.to_datetime(["2024-01-31", None])), ["2024-01-31 00:00:00", None]),
        (pd.Series(pd.to_timedelta(["1h", None])), ["0 days 01:00:00", None]),
        (pd.Series(pd.PeriodIndex(["2024-01", None], freq="M")), ["2024-01", None]),
        (pd.Series(pd.arrays.IntervalArray.from_tuples([(0, 1), None])), ["(0.0, 1.0]", None]),
        (arrow([1, None], pa.int8()), ["1", None]),
        (arrow([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (arrow([True, None]), ["True", None]),
        (arrow([0.1, NAN, None]), ["0.1", None, None]),
        (arrow([0.1, None], pa.float32()), ["0.1", None]),
        (arrow([np.float16(0.1), None], pa.float16()), ["0.1", None]),
        (arrow(["a", "", None]), ["a", "", None]),
        (arrow(["a", None], pa.string_view()), ["a", None]),
        (arrow([Decimal("1.10"), None]), ["1.10", None]),
        (arrow([0, None], pa.timestamp("ns", "Europe/Berlin")), ["1970-01-01 01:00:00+01:00", None]),
        (arrow([0, None], pa.date32()), ["1970-01-01", None]),
        (arrow([61, None], pa.time32("s")), ["00:01:01", None]),
        (arrow([61, None], pa.duration("s")), ["0 days 00:01:01", None]),
        (arrow([None, None]), [None, None]),
        (arrow([{"a": [1, None]}, None]), ['{"a": [1, null]}', None]),
        (arrow([["é", None], None]), ['["é", null]', None]),
        (pd.Series(pd.arrays.ArrowExtensionArray(pa.array([1.0, None]).dictionary_encode())), ["1.0", None]),
        (pd.Series(pd.arrays.ArrowExtensionArray(pc.run_end_encode(pa.array(["a", "a", None])))), ["a", "a", None]),
        (pd.Series([], dtype=object), []),
        (pd.Series([], dtype="float64"), []),
        (pd.Series([], dtype="datetime64[ns, UTC]"), []),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pd.Series) else "",
)
def test_every_dtype_reads_as_in_python(column: "pd.Series[Any]", expected: list[str | None]) -> None:
    """What the model reads is what the user sees in the frame: 1 is not 1.0, and nan is never sent."""
    assert texts(column) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (NAN, None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.float32("nan"), None),
        (np.datetime64("NaT", "ns"), None),
        (Decimal("NaN"), None),
        ("", ""),
        ("nan", "nan"),
        ("\ud800\0\u2028\u0085\x0b", "\ud800\0\u2028\u0085\x0b"),
        (np.str_("x"), "x"),
        (Color.RED, "red"),
        (Level.HIGH, "Level.HIGH"),
        (7, "7"),
        (10**30, str(10**30)),
        (3.0, "3.0"),
        (True, "True"),
        (np.int64(7), "7"),
        (np.float32(0.1), "0.1"),
        (np.bool_(False), "False"),
        (Decimal("1.10"), "1.10"),
        (dt.date(2024, 1, 31), "2024-01-31"),
        (pd.Timestamp("2024-01-31", tz="UTC"), "2024-01-31 00:00:00+00:00"),
        ([1, "é", None, NAN, pd.NA, math.inf], '[1, "é", null, null, null, "inf"]'),
        ((True, 2.5), "[true, 2.5]"),
        ({"a": {"b": []}, 2: None, None: 1}, '{"a": {"b": []}, "2": null, "null": 1}'),
        ({"a": NAN, 2: 1, None: True}, '{"a": null, "2": 1, "null": true}'),
        ({"b", "a"}, '["a", "b"]'),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.array([0.1, NAN], dtype="float32"), "[0.1, null]"),
        ([np.int64(1), np.bool_(True), Decimal("1.10"), dt.date(2024, 1, 31)], '[1, true, "1.10", "2024-01-31"]'),
        ([np.datetime64("NaT", "ns"), Level.HIGH], '[null, "Level.HIGH"]'),
    ],
    ids=repr,
)
def test_every_object_has_its_text(value: Any, expected: str | None) -> None:
    """Object columns hold anything; a missing value among strings must not be sent as "nan"."""
    column = pd.Series([value, "other"], dtype=object)
    assert texts(column) == [expected, "other"]


@given(st.lists(st.text(alphabet=st.characters())))
def test_strings_are_unchanged(values: list[str]) -> None:
    """A text changed on its way is another question than the one asked."""
    assert texts(pd.Series(values, dtype=object)) == values
    whole = [value.encode("utf-8", "replace").decode() for value in values]
    assert texts(pd.Series(whole, dtype="str")) == whole


@given(arrays.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64)))
def test_floats_read_as_pythons_repr(values: Any) -> None:
    """The digits come from Arrow for speed; one that differs changes the request and is paid for again."""
    expected = [None if math.isnan(value) else repr(value) for value in values.tolist()]
    assert texts(pd.Series(values)) == expected
    padded = np.concatenate([values, np.full(100, 0.5)])  # so that most are written by Arrow
    assert texts(pd.Series(padded))[: len(values)] == expected


def test_floats_of_every_size_read_as_pythons_repr() -> None:
    """Arrow's and Python's notations part at certain sizes, which random floats seldom meet."""
    digits = [1.0, 1.5, -2.25, 9.999999999, 1.2345678901234567]
    values = [digit * 10.0**exponent for exponent in range(-9, 24) for digit in digits]
    padded = [*values, *[0.5] * len(values)]  # so that most are written by Arrow
    assert texts(pd.Series(padded)) == list(map(repr, padded))


@given(arrays.arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32)))
def test_narrow_floats_read_by_the_digits_of_their_own_width(values: Any) -> None:
    """0.1 in 32 bits is 0.10000000149011612 in 64, and no one typed that."""
    found = texts(pd.Series(values))
    assert [text is None for text in found] == np.isnan(values).tolist()
    for text, value in zip(found, values, strict=True):
        assert text is None or (text == str(value) and np.float32(text) == value)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@given(values=st.lists(st.integers(-(10**9), 4 * 10**9), max_size=10), fraction=st.integers(0, 10**9))
def test_moments_and_spans_read_as_pandas_writes_them(unit: str, values: list[int], fraction: int) -> None:
    """They are rendered in bulk; a text that changed with a version of batchframe would be paid for again."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    numbers = [value * per_second + (fraction % per_second if at % 2 else 0) for at, value in enumerate(values)]
    raw = np.array([*numbers, np.iinfo(np.int64).min], dtype=np.int64)
    moments = pd.Series(raw.view(f"M8[{unit}]"))
    columns = [moments, pd.Series(raw.view(f"m8[{unit}]"))]
    columns += [moments.dt.tz_localize("UTC").dt.tz_convert(zone) for zone in ("UTC", "Europe/Berlin", "-02:30")]
    for column in columns:
        assert texts(column) == [None if value is pd.NaT else str(value) for value in column]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", b"x"], index=["r1", "r2"], name="body"),
        pd.Series(["a", bytearray(b"x")], index=["r1", "r2"], name="body"),
        pd.Series(["a", ["x", {"y": b"z"}]], index=["r1", "r2"], name="body"),
        pd.Series(["a", b"x"], index=["r1", "r2"], name="body", dtype="category"),
        pd.Series(arrow([None, b"x"]).array, index=["r1", "r2"], name="body"),
    ],
    ids=["bytes", "bytearray", "nested", "category", "arrow"],
)
def test_bytes_are_an_error_that_says_where(column: "pd.Series[Any]") -> None:
    """Sent as "b'…'" they would be paid for and worthless."""
    with pytest.raises(TemplateError, match=r"'body' holds bytes, first in row 'r2'.*decode"):
        texts(column)


def test_the_row_in_an_error_reads_as_in_python() -> None:
    """`np.int64(7)` is not what the user wrote into `.loc`."""
    with pytest.raises(TemplateError, match=r"row 7,"):
        texts(pd.Series([b"x"], index=[7], name="body"))


def test_bytes_in_a_category_no_row_has_are_no_error() -> None:
    """They are not sent."""
    assert texts(pd.Series(pd.Categorical(["a"], categories=["a", b"x"]))) == ["a"]


def test_a_value_that_holds_itself_is_an_error() -> None:
    """It must not take the kernel down."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    with pytest.raises(TemplateError, match=r"'body'.*nested too deeply"):
        texts(pd.Series([cyclic], name="body"))


def test_a_category_is_rendered_once() -> None:
    """200,000 rows of 13 categories are 13 texts; rendered by row they cost seconds."""
    calls = []

    class Label:
        def __str__(self) -> str:
            calls.append(self)
            return "label"

    label = Label()
    assert texts(pd.Series(pd.Categorical.from_codes([0] * 50, categories=pd.Index([label])))) == ["label"] * 50
    assert len(calls) == 1


def test_a_set_reads_the_same_in_every_process() -> None:
    """Strings hash differently in each; another order is another request, which is paid for again."""
    words = [f"word {number}" for number in range(50)]
    assert texts(pd.Series([set(words)])) == [json.dumps(sorted(words))]
    assert texts(pd.Series([frozenset([1, "a", (2,)])])) == ['["a", 1, [2]]']


def test_the_users_column_is_not_changed() -> None:
    """Nothing mutates the user's frame."""
    values: list[Any] = ["a", None, [1, NAN], {"x": {1}}, np.array([1.5]), NAN]
    column = pd.Series(values, dtype=object)
    before = copy.deepcopy(values)
    texts(column)
    assert repr(column.tolist()) == repr(before)
    assert column.dtype == object
