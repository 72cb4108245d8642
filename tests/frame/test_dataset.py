"""Parquet in, Parquet out, a chunk at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import batchframe as bf
from batchframe.frame import dataset
from batchframe.simulator import Simulator
from tests.judging import paid_once


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows make several chunks."""
    for module in ("dataset", "sources", "other_frames"):
        monkeypatch.setattr(f"batchframe.frame.{module}.ROWS_PER_CHUNK", 7)


@pytest.fixture
def table() -> pa.Table:
    """30 rows, ten of which ask what another asks, one of which misses its text."""
    texts: list[str | None] = [f"row {n % 20}" for n in range(30)]
    texts[3] = None
    return pa.table({"id": np.arange(30, dtype=np.int16), "text": texts, "tags": [["a", "b"]] * 30})


@pytest.fixture
def path(table: pa.Table, tmp_path: Path) -> Path:
    """The rows in two files of a folder, in several row groups each."""
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(table.slice(0, 18), folder / "0.parquet", row_group_size=5)
    pq.write_table(table.slice(18), folder / "1.parquet", row_group_size=100)
    return folder


def expected(table: pa.Table) -> pd.DataFrame:
    """What the echoing simulator makes of the rows."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    frame["out"] = frame["text"]
    return frame


def test_parquet_goes_in_and_comes_out_with_all_its_columns(
    session: bf.Session, simulator: Simulator, table: pa.Table, path: Path, tmp_path: Path
) -> None:
    """Every row has its own answer, duplicates across chunks are asked once, types and order stay."""
    job = bf.read_parquet(path).llm.batch("{text}", model="m", into="out")
    assert job.wait(30, progress=False) is None
    out = tmp_path / "out.parquet"
    assert job.to_parquet(out) == 30
    found = pq.read_table(out)
    assert found.schema.field("id").type == pa.int16()
    assert found.select(["id", "text", "tags"]).equals(table)
    assert found["out"].to_pylist() == table["text"].to_pylist()
    assert found["out__status"].to_pylist() == ["skipped" if n == 3 else "ok" for n in range(30)]
    assert paid_once(simulator, 20)
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_the_same_rows_in_a_frame_are_the_same_job(session: bf.Session, table: pa.Table, path: Path) -> None:
    """Whoever first tried it on a frame in memory must not pay for the files."""
    of_files = bf.read_parquet(path).llm.batch("{text}", model="m", into="out")
    of_frame = table.to_pandas().llm.batch("{text}", model="m", into="out")
    again = bf.read_parquet([path / "0.parquet", path / "1.parquet"]).llm.batch("{text}", model="m", into="out")
    assert of_files.id == of_frame.id == again.id


def test_after_a_restart_the_columns_of_the_template_are_there_without_the_files(
    connect: Callable[..., bf.Session], table: pa.Table, path: Path, tmp_path: Path
) -> None:
    """The files may be gone; and with them in hand all columns are written."""
    connect()
    bf.read_parquet(path).llm.batch("{text}", model="m", into="out", name="big").wait(30, progress=False)
    connect()
    job = bf.job("big")
    assert job.frame()["out"].tolist() == job.frame()["text"].tolist()
    assert job.frame().index.equals(pd.RangeIndex(30))
    job.to_parquet(tmp_path / "kept.parquet")
    kept = pq.read_table(tmp_path / "kept.parquet")
    assert kept.column_names == ["text", "out", "out__status", "out__error"]
    assert kept["out"].to_pylist() == table["text"].to_pylist()
    job.to_parquet(tmp_path / "all.parquet", bf.read_parquet(ds.dataset(path)))
    assert pq.read_table(tmp_path / "all.parquet").column_names[:3] == ["id", "text", "tags"]


def test_a_frame_is_written_a_chunk_at_a_time_too(session: bf.Session, tmp_path: Path) -> None:
    """Its index is kept unless it only numbers the rows."""
    frame = pd.DataFrame({"text": [f"row {n}" for n in range(20)]}, index=[f"label {n}" for n in range(20)])
    job = frame.llm.batch("{text}", model="m")
    job.wait(30, progress=False)
    job.to_parquet(tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found.index.tolist() == frame.index.tolist()
    assert found["response"].tolist() == frame["text"].tolist()
    bf.job(job.id).to_parquet(tmp_path / "kept.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "kept.parquet"), found)


def test_vectors_are_written_though_a_chunk_has_none(session: bf.Session, tmp_path: Path) -> None:
    """Their width is only known from an answer."""
    texts = [None] * 7 + [f"row {n}" for n in range(8)]
    job = pd.DataFrame({"text": texts}).llm.batch("{text}", model="m", into="v", endpoint="embeddings")
    job.wait(30, progress=False)
    job.to_parquet(tmp_path / "out.parquet")
    vectors = pq.read_table(tmp_path / "out.parquet")["v"].to_pylist()
    assert vectors[:7] == [None] * 7
    assert len({len(vector) for vector in vectors[7:]}) == 1


def test_errors_name_the_row_of_the_whole_data_set(session: bf.Session, path: Path) -> None:
    """A row number within a chunk would send the user to another row; and nothing is stored."""
    with pytest.raises(bf.TemplateError, match="row 3"):
        bf.read_parquet(path).llm.batch("{text}", model="m", missing="raise")
    with pytest.raises(bf.TemplateError, match=r"Did you mean \{text\}"):
        bf.read_parquet(path).llm.batch("{txt}", model="m")
    with pytest.raises(bf.ColumnExistsError, match="'tags'"):
        bf.read_parquet(path).llm.batch("{text}", model="m", into="tags")
    assert bf.jobs().empty


def test_a_data_set_that_changes_between_the_passes_is_refused(
    session: bf.Session, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of one state and half of another would be stored as one job."""
    read = dataset.Dataset.chunks
    passes: list[int] = []

    def changing(self: bf.Dataset, columns: Any = None) -> Any:
        passes.append(1)
        chunks = read(self, columns)
        return list(chunks)[1:] if len(passes) > 1 else chunks

    monkeypatch.setattr(dataset.Dataset, "chunks", changing)
    with pytest.raises(bf.InputError, match="has changed while it was read"):
        bf.read_parquet(path).llm.batch("{text}", model="m")
    assert bf.jobs().empty


def test_an_empty_data_set_is_a_job_that_is_done(session: bf.Session, table: pa.Table, tmp_path: Path) -> None:
    """A filter that leaves nothing must not break a pipeline."""
    pq.write_table(table.slice(0, 0), tmp_path / "in.parquet")
    job = bf.read_parquet(tmp_path / "in.parquet").llm.batch("{text}", model="m", into="out")
    job.wait(30, progress=False)
    assert job.to_parquet(tmp_path / "out.parquet") == 0
    assert "out__status" in pq.read_table(tmp_path / "out.parquet").column_names


def test_what_cannot_be_read_or_written_is_said(session: bf.Session, path: Path, tmp_path: Path) -> None:
    """A path with a typing error is the commonest mistake; a file that was there stays."""
    with pytest.raises(bf.InputError, match="no file or folder"):
        bf.read_parquet(tmp_path / "nowhere.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(bf.InputError, match="cannot be read as Parquet"):
        bf.read_parquet(tmp_path / "text.parquet")
    job = bf.read_parquet(path).llm.batch("{text}", model="m")
    with pytest.raises(bf.InputError, match="no folder"):
        job.to_parquet(tmp_path / "nowhere" / "out.parquet")
    mixed = pd.DataFrame({"text": ["a"] * 10, "mixed": [1] * 9 + ["x"]})
    (tmp_path / "out.parquet").write_text("what was there")
    with pytest.raises(bf.InputError, match=r"types of the first|cannot be written"):
        mixed.llm.batch("{text}{mixed}", model="m").to_parquet(tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_text() == "what was there"
