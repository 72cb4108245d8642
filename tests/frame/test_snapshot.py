"""The frame a job keeps."""

import datetime as dt
import enum
import pickle
import uuid
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from batchframe.errors import DatabaseError
from batchframe.frame import snapshot
from batchframe.frame.snapshot import Snapshot, pack, unpack

NAN = float("nan")
BERLIN = "Europe/Berlin"


def kept(frame: pd.DataFrame, n_samples: int = 1, rows_per_part: int = 3) -> pd.DataFrame:
    """The frame after a round trip, in parts small enough that there are several."""
    return round_trip(frame, n_samples, rows_per_part).frame


def round_trip(frame: pd.DataFrame, n_samples: int = 1, rows_per_part: int = 3) -> Snapshot:
    row_nos = np.arange(len(frame) * n_samples, dtype=np.int32).reshape(len(frame), n_samples) - 1
    skipped = [None if row % 2 else "body" for row in range(len(frame))]
    found = unpack(list(pack(Snapshot(frame, row_nos, skipped), rows_per_part)))
    assert found.row_nos.dtype == np.int32
    assert found.row_nos.shape == row_nos.shape
    assert (found.row_nos == row_nos).all()
    assert found.skipped == skipped
    return found


def same(left: Any, right: Any) -> bool:
    """Whether two objects are of one type and equal all the way down, NaN counted as equal to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and same(left.tolist(), right.tolist())
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    return bool(repr(left) == repr(right))


def arrow(values: Any, kind: pa.DataType | None = None) -> "pd.Series[Any]":
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)])))


def moments(**options: Any) -> "pd.Series[Any]":
    return pd.Series(pd.date_range("2024-03-30 22:00", periods=5, freq="h", **options))


ENUM = pd.CategoricalDtype(["c", "b", "a", "unused"], ordered=True)

COLUMNS: dict[str, "pd.Series[Any]"] = {
    **{kind: pd.Series([1, 0, 1, 1, 0], dtype=kind) for kind in ("bool", "int8", "uint16", "int64", "float32")},
    "uint64": pd.Series([2**64 - 1] * 5, dtype="uint64"),
    "float16": pd.Series([0.1, NAN, 1, 2, 3], dtype="float16"),
    "float64": pd.Series([np.inf, -0.0, NAN, 5e-324, 0.1]),
    "Int64": pd.Series([2**62 + 1, None, 2, 3, None], dtype="Int64"),
    "UInt8": pd.Series([255, None, 2, 3, None], dtype="UInt8"),
    "Float32": pd.Series([0.1, None, 2, 3, None], dtype="Float32"),
    "boolean": pd.Series([True, None, False, True, None], dtype="boolean"),
    "str": pd.Series(["a", None, "é\0\u2028", "", "z"], dtype="str"),
    "string": pd.Series(["a", pd.NA, "é\0\u2028", "", "z"], dtype="string"),
    "string[python]": pd.Series(["a", pd.NA, "", "y", "z"], dtype=pd.StringDtype("python")),
    "str[python]": pd.Series(["a", NAN, "", "y", "z"], dtype=pd.StringDtype("python", na_value=NAN)),
    "category ordered": pd.Series(["a", "b", None, "c", "a"], dtype=ENUM),
    "category of int": pd.Series([3, 1, None, 2, 3], dtype="Int64").astype("category"),
    "category of float": pd.Series([0.5, 0.1, NAN, 0.1, 0.5]).astype("category"),
    "category of moment": moments(tz=BERLIN).astype("category"),
    "category of interval": pd.Series(pd.cut([1, 2, 3, 4, 5], 3)),
    "category of anything": pd.Series(pd.Categorical([1, "1", None, (1,), "1"], categories=pd.Index(["1", 1, (1,)]))),
    **{f"datetime64[{unit}]": moments(unit=unit).where(lambda s: s.index != 1) for unit in ("s", "ms", "us", "ns")},
    **{f"datetime64[{unit}, tz]": moments(unit=unit, tz=BERLIN) for unit in ("s", "ms", "us", "ns")},
    "datetime64[utc]": moments(tz="UTC").where(lambda s: s.index != 1),
    "datetime64[offset]": moments(tz=dt.timezone(dt.timedelta(hours=-2, minutes=-30))),
    "datetime64[far]": pd.Series(np.array([-(2**62), 2**62, 0, 1, 2]).view("M8[s]")),
    **{f"timedelta64[{unit}]": pd.Series(np.arange(5).astype(f"m8[{unit}]")) for unit in ("s", "ms", "us", "ns")},
    "period": pd.Series(pd.period_range("2024", periods=5, freq="W-WED")).where(lambda s: s.index != 1),
    "period of quarters": pd.Series(pd.period_range("2024", periods=5, freq="2Q")),
    "interval": pd.Series(pd.interval_range(0, 5)),
    "interval with gap": pd.Series(pd.arrays.IntervalArray.from_tuples([(0, 1), NAN] + [(2, 3)] * 3, closed="both")),
    "interval of moments": pd.Series(pd.interval_range(pd.Timestamp("2024", tz="UTC"), periods=5)),
    "sparse": pd.Series([0, 0, 7, 0, 0], dtype=pd.SparseDtype("int32", 0)),
    "sparse float": pd.Series([NAN, NAN, 7, NAN, NAN], dtype="Sparse"),
    "arrow int8": arrow([1, None, 3, 4, 5], pa.int8()),
    "arrow float": arrow([0.1, None, NAN, 4, 5], pa.float32()),
    "arrow string": arrow(["a", None, "", "é\0", "z"]),
    "arrow binary": arrow([b"a", None, b"", b"\xff", b"z"]),
    "arrow null": arrow([None] * 5),
    "arrow decimal": arrow([Decimal("1.10"), None, Decimal(3), Decimal(4), Decimal(5)], pa.decimal256(50, 2)),
    "arrow list": arrow([[1, None], None, [], [2], [3]]),
    "arrow fixed list": arrow([[0.5, 1.5], None, [2, 3], [4, 5], [6, 7]], pa.list_(pa.float32(), 2)),
    "arrow struct": arrow([{"a": 1}, None, {"a": None}, {"a": 2}, {"a": 3}]),
    "arrow map": arrow([[("a", 1)], None, [], [], []], pa.map_(pa.string(), pa.int64())),
    "arrow dictionary": pd.Series(
        pd.arrays.ArrowExtensionArray(pa.array(["a", "b", None, "a", "c"]).dictionary_encode())
    ),
    "arrow timestamp": arrow([2**62, None, 0, 1, 2], pa.timestamp("s", "UTC")),
    "arrow list of timestamps": arrow([[1], None, [], [2], [3]], pa.list_(pa.timestamp("s"))),
    "arrow date32": arrow([1, None, 3, 4, 5], pa.date32()),
    "arrow date64": arrow([86400000, None, 0, 0, 0], pa.date64()),
    "arrow time32": arrow([1, None, 3, 4, 5], pa.time32("s")),
    "arrow duration": arrow([1, None, 3, 4, 5], pa.duration("ms")),
}

OBJECTS: dict[str, list[Any]] = {
    "strings and None": ["a", None, "", "b", None],
    "strings and NaN": ["a", NAN, "", "b", NAN],
    "strings and NA": ["a", pd.NA, "", "b", pd.NA],
    "all None": [None] * 5,
    "all NaN": [NAN] * 5,
    "missing of every kind": [None, NAN, pd.NA, pd.NaT, "a"],
    "surrogates": ["\ud800a", "\udfff", None, "\ud83d\ude00", "😀"],
    "numbers": [1, True, 1.0, 10**30, np.inf],
    "lists": [[1, 2], [3, 4], [], None, [[None, {"a": NAN}]]],
    "alike lists": [[1, 2]] * 5,
    "dicts": [{"a": 1}, {1: "one", (1, 2): None}, {}, {"text": [1]}, {"dict": {"tuple": ()}}],
    "containers": [(1, "a"), {1, 2}, frozenset([1]), b"\xff\0", ()],
    "times": [
        dt.date(2024, 1, 31),
        dt.datetime(2024, 1, 31, 1, 2, 3, 4),  # noqa: DTZ001
        dt.time(1, 2),
        dt.timedelta(1, 2, 3),
        None,
    ],
    "pandas": [pd.Timestamp("2024", tz=BERLIN), pd.Timestamp("2024").as_unit("s"), pd.Timedelta("1s"), pd.NaT, pd.NA],
    "more of pandas": [
        pd.Period("2024-01", "M"),
        pd.Interval(pd.Timestamp("2024"), pd.Timestamp("2025"), "both"),
        None,
        1,
        "1",
    ],
    "others": [Decimal("1.10"), uuid.UUID(int=5), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), Decimal("NaN"), None],
    "numpy": [np.int64(3), np.float32(0.1), np.bool_(True), np.datetime64("2024-01-31"), np.timedelta64(3, "h")],
    "alike arrays": [np.array([1.5, 2.5])] * 5,
    "arrays": [np.zeros((2, 0)), np.array(["a", None], dtype=object), np.array([True]), np.array(["2024"], "M8[D]"), 1],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_dtype_comes_back_exactly(name: str) -> None:
    """`job.frame()` must be the user's frame; an integer that is a float now breaks the next join."""
    frame = COLUMNS[name].to_frame(name)
    for part in (frame, frame.iloc[::-1], frame.iloc[:0]):
        found = kept(part)
        assert found.dtypes.tolist() == part.dtypes.tolist()
        assert str(found.dtypes.iloc[0]) == str(part.dtypes.iloc[0]) or "map" in name  # Parquet names a map's fields
        pd.testing.assert_frame_equal(found, part)


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_comes_back_as_it_was(name: str) -> None:
    """None and NaN, 1 and True, a tuple and a list are different things to the user's code."""
    frame = pd.DataFrame({name: pd.Series(OBJECTS[name], dtype=object)})
    found = kept(frame)
    assert found.dtypes.tolist() == [object]
    for before, after in zip(frame[name], found[name], strict=True):
        assert same(before, after), (before, after)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(alphabet=st.characters()), st.binary()),
        *(st.decimals(), st.uuids(), st.dates(), st.timedeltas()),
        *(st.datetimes().map(lambda value: value.replace(fold=0)), st.times().map(lambda value: value.replace(fold=0))),
        st.sampled_from([pd.NA, pd.NaT, pd.Timestamp("2024", tz="Asia/Kolkata"), np.float32(0.1), np.int8(-1)]),
        arrays.arrays(st.sampled_from(["i4", "f8", "?", "M8[ms]"]), arrays.array_shapes(min_dims=1, max_dims=2)),
    ),
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.lists(values, max_size=3).map(tuple),
        st.dictionaries(st.text(alphabet=st.characters(), max_size=5) | st.integers(), values, max_size=3),
    ),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=6))
@settings(max_examples=200)
def test_whatever_python_values_a_column_mixes_come_back(values: list[Any]) -> None:
    """One combination that is lost or raises loses the user's rows, or the job."""
    series = pd.Series(index=range(len(values)), dtype=object)
    for at, value in enumerate(values):
        series.array[at] = value
    found = kept(series.to_frame("x"))["x"]
    assert [same(before, after) for before, after in zip(values, found, strict=True)] == [True] * len(values)


INDEXES: dict[str, "pd.Index[Any]"] = {
    "range": pd.RangeIndex(5, 17, 2, name="r"),
    "duplicates": pd.Index([1, 1, 3, 2, 2, 0]),
    "named by a tuple": pd.Index(list("fbcdea"), name=("t", 1)),
    "mixed": pd.Index(["a", 1, None, 2.5, ("x", 1), b"q"], dtype=object),
    "tuples": pd.Index([("a", 1)] * 6, dtype=object, tupleize_cols=False),
    "objects that are strings": pd.Index(["a", "b"] * 3, dtype=object),
    "objects that are dates": pd.Index([dt.date(2024, 1, 1)] * 6),
    "multi": pd.MultiIndex.from_product([["x", "y"], [1, 2, 3]], names=["n", None]),
    "multi, named 1 and 0": pd.MultiIndex.from_product([["x", "y"], [1, 2, 3]], names=[1, 0]),
    "multi of everything": pd.MultiIndex.from_arrays(
        [
            [None, "a", NAN, "b", "c", "d"],
            pd.date_range("2024", periods=6, tz="UTC"),
            pd.Categorical(list("aabbcc"), categories=list("cbax"), ordered=True),
        ],
        names=[None, 0, ("a", "b")],
    ),
    "business days": pd.date_range("2024", periods=6, freq="B", tz=BERLIN, name="d"),
    "hours": pd.date_range("2024", periods=6, freq="2h", unit="s"),
    "moments with a gap": pd.DatetimeIndex(["2024", "2023", None, "2024", "2025", "2026"]),
    "timedeltas": pd.timedelta_range("1h", periods=6, freq="h"),
    "periods": pd.period_range("2024", periods=6, freq="Q"),
    "categories": pd.CategoricalIndex(list("aabbcc"), categories=list("cbax"), ordered=True),
    "intervals": pd.interval_range(0, 6),
    "booleans": pd.Index([True, False] * 3),
    "floats": pd.Index([1.5, NAN] * 3),
    "uint8": pd.Index(np.arange(6, dtype="u1")),
    "Int64": pd.Index([1, None] * 3, dtype="Int64"),
    "string": pd.Index(["a", "b"] * 3, dtype="string"),
    "arrow": pd.Index([1, 2] * 3, dtype="int64[pyarrow]"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_every_index_comes_back_exactly(name: str) -> None:
    """The index is how the user finds the rows again, as rows and as columns."""
    index = INDEXES[name]
    frame = pd.DataFrame({"a": range(6)}, index=index)
    wide = pd.DataFrame([range(6)], columns=index)
    for part in (frame, frame.iloc[[4, 0, 2, 2]], frame.iloc[:0], wide):
        pd.testing.assert_frame_equal(kept(part), part, check_freq=True)


def test_a_custom_frequency_is_dropped_not_replaced() -> None:
    """Under its name pandas has another calendar, with other holidays."""
    calendar = pd.offsets.CustomBusinessDay(holidays=["2024-01-02"])
    index = pd.date_range("2024", periods=4, freq=calendar)
    for part in (index, index[:0], pd.date_range("2024", periods=4, freq=pd.DateOffset(months=1))):
        found = kept(pd.DataFrame(index=part)).index
        assert isinstance(found, pd.DatetimeIndex)
        assert found.freq is None
        assert found.equals(part)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame(index=range(4)),
        pd.DataFrame(index=list("abcd")),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame(
            {"__index_level_0__": [1, 2], "index": [3, 4], "skipped": [5, 6], "column.0": [7, 8]},
            index=pd.Index([7, 8], name="__index_level_0__"),
        ),
        pd.DataFrame([[1, "a"]], columns=["x", "x"]),
        pd.DataFrame([[1, "a", 2.5]], columns=pd.Index([None, ("a", 1), 3], tupleize_cols=False)),
        pd.DataFrame([[1, "a"]], columns=pd.Index(["\ud800", "\0"], dtype=object)),
    ],
    ids=["empty", "range only", "index only", "columns only", "pyarrow's names", "twice", "odd labels", "surrogates"],
)
@pytest.mark.parametrize("n_samples", [0, 1, 3])
def test_every_shape_and_label_comes_back(frame: pd.DataFrame, n_samples: int) -> None:
    """Labels of any kind are legal in pandas, and a frame may have no rows."""
    pd.testing.assert_frame_equal(kept(frame, n_samples), frame)


@pytest.mark.parametrize(("n_rows", "rows_per_part", "n_parts"), [(0, 10, 1), (10, 10, 1), (11, 10, 2), (3, 1, 3)])
def test_rows_are_cut_into_parts(n_rows: int, rows_per_part: int, n_parts: int) -> None:
    """A value in Postgres has a limit of 1 GB, so a large frame must be several; the first part is the description."""
    frame = pd.DataFrame({"a": np.arange(n_rows)})
    parts = list(pack(Snapshot(frame, np.zeros((n_rows, 1), np.int32), [None] * n_rows), rows_per_part))
    assert len(parts) == 1 + n_parts
    pd.testing.assert_frame_equal(unpack(iter(parts)).frame, frame)


def test_large_rows_make_smaller_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 rows of 20 kB are 2 GB, which no value in Postgres holds."""
    monkeypatch.setattr(snapshot, "_PART_BYTES", 10_000)
    frame = pd.DataFrame({"a": ["x" * 1_000] * 100})
    parts = list(pack(Snapshot(frame, np.zeros((100, 1), np.int32), [None] * 100)))
    assert 10 < len(parts) < 20
    pd.testing.assert_frame_equal(unpack(parts).frame, frame)


@pytest.mark.parametrize("missing", [slice(1, None), slice(0, -1), slice(0, 1), slice(0, 0)])
def test_a_missing_part_is_an_error_not_a_shorter_frame(missing: slice) -> None:
    """Rows that are silently gone are the worst thing a store can do."""
    frame = pd.DataFrame({"a": range(10)})
    parts = list(pack(Snapshot(frame, np.zeros((10, 1), np.int32), [None] * 10), 3))
    with pytest.raises(DatabaseError, match="incomplete"):
        unpack(parts[missing])


class Color(str, enum.Enum):  # noqa: UP042 (its str is its name)
    RED = "red"


class Level(enum.Enum):
    HIGH = 3


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def cyclic() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Color.RED, "red"),
        (Level.HIGH, "Level.HIGH"),
        (OrderedDict(a=1), '{"a": 1}'),
        (bytearray(b"a"), "bytearray(b'a')"),
        (1 + 2j, "(1+2j)"),
        (np.longdouble("1.5"), "1.5"),
        (np.str_("a"), "a"),
        (Mute(), "<Mute>"),
        (cyclic(), "<list>"),
        (10**5_000, "<int>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_no_file_can_hold_is_kept_as_its_text(value: Any, text: str) -> None:
    """A job must not fail because a cell holds an object of the user's own."""
    series = pd.Series([None, "other", None], dtype=object)
    series.array[0] = value
    assert kept(series.to_frame("x"))["x"].tolist() == [text, "other", None]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1 + 2j, 0]), ["(1+2j)", "0j"]),
        (np.array([1.5, NAN], dtype=np.longdouble), ["1.5", None]),
        (pd.array(["\ud800", None], dtype=pd.StringDtype("python")), ["\ud800", None]),
        (pd.arrays.ArrowExtensionArray(pc.run_end_encode(pa.array(["a", None]))), ["a", None]),
        (pd.arrays.ArrowExtensionArray(pa.array([1, None]).dictionary_encode()), ["1", None]),
        (pd.arrays.ArrowExtensionArray(pa.array([(1, 2, 3), None], pa.month_day_nano_interval())), ["[1, 2, 3]", None]),
    ],
    ids=["complex", "longdouble", "surrogates", "run-end", "dictionary of numbers", "month interval"],
)
def test_an_array_no_file_can_hold_is_kept_as_its_texts(array: Any, expected: list[str | None]) -> None:
    """A job must not fail because of a dtype, and the texts are what the model was asked."""
    assert kept(pd.DataFrame({"x": array}))["x"].tolist() == expected


def test_a_zone_pandas_cannot_find_again_is_kept_as_text() -> None:
    """Its name leads nowhere on another machine; the offset stays readable."""

    class Private(dt.tzinfo):
        def utcoffset(self, _: object) -> dt.timedelta:
            return dt.timedelta(hours=1)

        def dst(self, _: object) -> dt.timedelta:
            return dt.timedelta(0)

    column = pd.Series(pd.date_range("2024", periods=2, tz="UTC")).dt.tz_convert(Private())
    expected = ["2024-01-01 01:00:00+01:00", "2024-01-02 01:00:00+01:00"]
    assert kept(column.to_frame("x"))["x"].tolist() == expected
    objects = column.astype(object)
    assert kept(objects.to_frame("x"))["x"].tolist() == expected


def test_nothing_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that holds pickles runs whatever somebody writes into it."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickled")

    for name in ("dumps", "loads", "dump", "load"):
        monkeypatch.setattr(pickle, name, refuse)
    kept(pd.DataFrame({"x": pd.Series([Level.HIGH, {1}, Mute()], dtype=object)}, index=moments().iloc[:3]))


@pytest.mark.parametrize("name", [name for name in COLUMNS if not name.startswith(("sparse", "arrow"))])
def test_a_frame_that_came_back_can_be_changed(name: str) -> None:
    """What Arrow hands out is read-only; the user goes on working with `job.frame()`."""
    found = kept(COLUMNS[name].to_frame("x"), rows_per_part=100)
    found.loc[0, "x"] = found.loc[3, "x"]
    assert same(found["x"].iloc[0], found["x"].iloc[3])


def test_the_users_frame_is_not_changed() -> None:
    """Nothing mutates it, not even to store it."""
    frame = pd.DataFrame({name: column for name, column in COLUMNS.items() if "arrow" not in name})
    before = frame.copy(deep=True)
    kept(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_the_numbers_of_requests_keep_their_shape() -> None:
    """A request number in the wrong sample or row gives a row another row's answer."""
    row_nos = np.array([[3, 1], [-1, -1], [0, 2]], dtype=np.int32)
    found = unpack(pack(Snapshot(pd.DataFrame({"a": [1, 2, 3]}), row_nos, [None, "a", None]), 2))
    assert found.row_nos.tolist() == row_nos.tolist()
    assert found.skipped == [None, "a", None]
