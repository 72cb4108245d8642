"""Frames of other libraries come back as what they were."""

import polars as pl
import pyarrow as pa
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once


def test_a_polars_frame_comes_back_as_one(session: bf.Session, simulator: Simulator) -> None:
    """With its own columns as they were, and the results as polars has them."""
    frame = pl.DataFrame(
        {"n": [1, 2, 3], "text": ["one", None, "three"], "kind": pl.Series(["a", "b", "a"]).cast(pl.Categorical)}
    )
    job = bf.batch(frame, "{kind}: {text} {n}", model="m", into="out")
    filled = job.wait(30, progress=False)
    assert isinstance(filled, pl.DataFrame)
    assert filled.select(frame.columns).equals(frame)
    assert filled.schema["kind"] == frame.schema["kind"]
    assert filled["out"].to_list() == ["a: one 1", None, "a: three 3"]
    assert filled["out__status"].to_list() == ["ok", "skipped", "ok"]
    assert paid_once(simulator, 2)
    assert job.fill(frame).equals(filled)
    again = bf.batch(filled, "{kind}: {text} {n}", model="m", into="out")
    assert again.id == job.id
    assert again.wait(30, progress=False).equals(filled)


def test_whatever_exports_arrow_comes_back_as_a_table(session: bf.Session) -> None:
    """Libraries nobody has heard of speak Arrow."""

    class Exporting:
        def __init__(self, table: pa.Table) -> None:
            self.table = table

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.table.__arrow_c_stream__(requested_schema)

    table = pa.table({"text": ["one", "two"]})
    for frame in (table, Exporting(table)):
        filled = bf.batch(frame, "{text}", model="m").wait(30, progress=False)
        assert isinstance(filled, pa.Table)
        assert filled["response"].to_pylist() == ["one", "two"]


def test_what_is_no_frame_is_refused(session: bf.Session) -> None:
    """Before anything is stored, and with what to do."""
    with pytest.raises(bf.InputError, match=r"is lazy: pass frame\.collect"):
        bf.batch(pl.LazyFrame({"text": ["one"]}), "{text}", model="m")
    with pytest.raises(bf.InputError, match="A list is no frame"):
        bf.batch(["one"], "{text}", model="m")
    assert bf.jobs().empty
