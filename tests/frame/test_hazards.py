"""Round trips through the whole machine: every index, every dtype, every text that breaks things (DESIGN §7)."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once

TEXTS = {
    "nul": "a\x00b",
    "lone high surrogate": "a\ud83db",
    "lone low surrogate": "a\udc00b",
    "surrogates in the wrong order": "\udc00\ud83d",
    "emoji": "a😀b",
    "line separators": "a\u2028b\u2029c\u0085d\x1ce\x0bf\x0cg",
    "newlines": "a\nb\r\nc\rd",
    "copy's own delimiters": "a\x01b\x02c",
    "end of copy": "\\.",
    "backslashes": "\\\\ \\n \\u0041 \\",
    "quotes": '"\'`""',
    "json": '{"custom_id":"bf-1-2-3"}',
    "template": "{text} {{x}} %s %(a)s {0}",
    "a custom id of ours": "bf-1-0-1",
    "spaces": "  a\t\t",
    "not normalised": "e\u0301 \u00e9",
    "right to left": "\u202eabc",
    "tags": "<b>&amp;</b>",
    "very last code point": "\U0010ffff",
    "byte order mark": "\ufeffa",
    "nan": "nan",
    "long": "x" * 100_000,
}


def cleaned(text: str) -> str:
    """What Arrow can hold of a text: a lone surrogate names no character, so it becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_texts_that_break_things_come_back_as_they_went(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """Through JSON, COPY, the file, the echo, the result file, COPY and Arrow: no row lost, shifted or changed."""
    connect()
    frame = pd.DataFrame({"text": pd.Series(list(TEXTS.values()), index=list(TEXTS), dtype=object)})
    job = frame.llm.batch("{text}", model="m", name="hazards")
    filled = job.wait(60, progress=False)
    assert filled["response__status"].eq("ok").all(), filled["response__error"].dropna().to_dict()
    assert dict(zip(filled.index, filled["response"], strict=True)) == {
        name: cleaned(text) for name, text in TEXTS.items()
    }
    assert paid_once(simulator, len(TEXTS))
    connect()
    kept = bf.job("hazards").frame()
    assert kept["response"].tolist() == filled["response"].tolist()
    assert kept["text"].tolist() == frame["text"].tolist()


def test_a_ten_megabyte_text_is_one_row_like_any_other(session: bf.Session, simulator: Simulator) -> None:
    """Its size may cost time, not its neighbours."""
    frame = pd.DataFrame({"text": ["small", "ä" * 5_000_000, "end"]})
    filled = frame.llm.batch("{text}", model="m").wait(120, progress=False)
    assert filled["response"].tolist() == frame["text"].tolist()


N = 6
INDEXES = {
    "range": pd.RangeIndex(N),
    "range with a step": pd.RangeIndex(10, 10 + 2 * N, 2, name="i"),
    "duplicates": pd.Index([1, 1, 2, 2, 1, 1]),
    "unsorted": pd.Index([5, 3, 4, 0, 1, 2], name="n"),
    "strings": pd.Index(list("fedcba")),
    "all the same": pd.Index(["x"] * N),
    "with missing": pd.Index([1.0, None, 2.0, None, 3.0, 4.0]),
    "multi": pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]], names=["k", None]),
    "multi with duplicates": pd.MultiIndex.from_tuples([("a", 1)] * N),
    "dates": pd.date_range("2024-03-30", periods=N, freq="h", tz="Europe/Berlin", name="when"),
    "categories": pd.CategoricalIndex(list("abcabc"), ordered=True, categories=list("cba")),
    "periods": pd.period_range("2024-01", periods=N, freq="M"),
    "intervals": pd.interval_range(0, N),
    "tuples and numbers": pd.Index(["a", 1, 2.5, None, True, "b"], dtype=object),
}


@pytest.fixture(scope="module")
def values() -> list[str]:
    return [f"value {n}" for n in range(N)]


def test_every_index_and_order_survives(connect: Callable[..., bf.Session], values: list[str]) -> None:
    """Rows are joined by what they ask: whatever the index is, it stays, and each row keeps its answer."""
    connect()
    for name, index in INDEXES.items():
        frame = pd.DataFrame({"text": values[::-1]}, index=index)
        job = frame.llm.batch("{text}", model="m", name=name)
        filled = job.wait(60, progress=False)
        pd.testing.assert_index_equal(filled.index, index, exact=True, obj=name)
        assert filled["response"].tolist() == values[::-1], name
    connect()
    for name, index in INDEXES.items():
        kept = bf.job(name).frame()
        pd.testing.assert_index_equal(kept.index, index, exact="equiv", obj=name)
        assert kept["response"].tolist() == values[::-1], name


COLUMNS: dict[str, tuple[Any, list[str | None]]] = {
    "int64": (pd.Series([1, -2, 2**62]), ["1", "-2", str(2**62)]),
    "Int64": (pd.Series([1, None, 2**62], dtype="Int64"), ["1", None, str(2**62)]),
    "uint64": (pd.Series([0, 1, 2**64 - 1], dtype="uint64"), ["0", "1", str(2**64 - 1)]),
    "float64": (pd.Series([1.5, np.nan, 0.1]), ["1.5", None, "0.1"]),
    "float32": (pd.Series([1.5, np.nan, 0.1], dtype="float32"), ["1.5", None, "0.1"]),
    "Float64": (pd.Series([1.5, None, 0.1], dtype="Float64"), ["1.5", None, "0.1"]),
    "bool": (pd.Series([True, False, True]), ["True", "False", "True"]),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), ["True", None, "False"]),
    "str": (pd.Series(["a", None, ""], dtype="str"), ["a", None, ""]),
    "string": (pd.Series(["a", None, ""], dtype="string"), ["a", None, ""]),
    "object": (pd.Series(["a", None, 3], dtype=object), ["a", None, "3"]),
    "object with NaN": (pd.Series(["a", np.nan, pd.NA], dtype=object), ["a", None, None]),
    "category": (pd.Series(["x", None, "x"], dtype="category"), ["x", None, "x"]),
    "category of ints": (pd.Series([7, None, 7], dtype=pd.CategoricalDtype([7, 8])), ["7", None, "7"]),
    "datetime": (pd.Series(pd.to_datetime(["2024-01-02 00:00:00", None, "2024-01-02 03:04:05"])), None),
    "datetime with zone": (pd.Series(pd.to_datetime(["2024-01-02", None, "2024-07-02"]).tz_localize("UTC")), None),
    "timedelta": (pd.Series(pd.to_timedelta(["1 day", None, "3 s"])), None),
    "period": (pd.Series(pd.PeriodIndex(["2024-01", None, "2024-02"], freq="M")), ["2024-01", None, "2024-02"]),
    "interval": (pd.Series(pd.arrays.IntervalArray.from_tuples([(0, 1), None, (1, 2)])), None),
    "arrow string": (pd.Series(["a", None, "b"], dtype=pd.ArrowDtype(pa.string())), ["a", None, "b"]),
    "arrow int": (pd.Series([1, None, 3], dtype=pd.ArrowDtype(pa.int32())), ["1", None, "3"]),
    "arrow decimal": (
        pd.Series([Decimal("1.10"), None, Decimal("2.20")], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
        ["1.10", None, "2.20"],
    ),
    "arrow date": (
        pd.Series([dt.date(2024, 1, 2), None, dt.date(2024, 1, 3)], dtype=pd.ArrowDtype(pa.date32())),
        ["2024-01-02", None, "2024-01-03"],
    ),
    "arrow list": (pd.Series([[1, 2], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), ["[1, 2]", None, "[]"]),
    "decimal": (pd.Series([Decimal("1.10"), None, Decimal("2.20")]), ["1.10", None, "2.20"]),
    "lists": (pd.Series([[1], None, ["é"]]), None),
    "sparse": (pd.Series(pd.arrays.SparseArray([1.0, np.nan, 2.0])), ["1.0", None, "2.0"]),
    "complex": (pd.Series([1 + 2j, 3j, 0j]), None),
}  # type: ignore[assignment]


def test_every_dtype_with_missing_values_goes_through(connect: Callable[..., bf.Session]) -> None:
    """Integers stay integers, a missing value is skipped and never sent as "nan", and the column keeps its dtype."""
    connect()
    for name, (column, expected) in COLUMNS.items():
        frame = pd.DataFrame({"v": column, "n": range(3)})
        filled = frame.llm.batch("{v}", model=f"m {name}", name=name).wait(60, progress=False)
        pd.testing.assert_frame_equal(filled[["v", "n"]], frame, obj=name)
        missing = column.isna().tolist()
        statuses = ["skipped" if gone else "ok" for gone in missing]
        statuses = [
            "failed" if text == "" else status for text, status in zip(expected or statuses, statuses, strict=True)
        ]
        assert filled["response__status"].tolist() == statuses, name
        answers = [None if pd.isna(answer) else answer for answer in filled["response"]]
        if expected is not None:
            assert [answer or None for answer in answers] == [text or None for text in expected], name
        assert not any(answer and answer.lower() in ("nan", "nat", "none", "<na>") for answer in answers), name
    connect()
    for name in COLUMNS:
        assert len(bf.job(name).frame()) == 3, name


def test_column_labels_may_be_numbers_or_hold_spaces(session: bf.Session) -> None:
    """A template names a column by how it is written."""
    frame = pd.DataFrame({0: ["a"], "my col": ["b"], ("t", 1): ["c"], "ümläut": ["d"]})
    filled = frame.llm.batch("{0}{my col}{ümläut}", model="m").wait(30, progress=False)
    assert filled["response"].tolist() == ["abd"]


def test_a_column_name_that_is_there_twice_is_an_error_only_if_used(session: bf.Session) -> None:
    """Which of the two would be a guess."""
    frame = pd.DataFrame([["a", "b", "c"]], columns=["x", "x", "y"])
    assert frame.llm.batch("{y}", model="m").wait(30, progress=False)["response"].tolist() == ["c"]
    with pytest.raises(bf.TemplateError, match="2 columns"):
        frame.llm.batch("{x}", model="m")
