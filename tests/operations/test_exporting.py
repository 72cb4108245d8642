"""Exports: what is in the frame is in the file, or nothing is and the reason is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batchframe.errors import InputError
from batchframe.operations.exporting import SUFFIXES, write

ODD = ["plain", 'with "quotes", commas', "two\nlines", "\u2028 and \u0085", "é日本🎉", "", "NA", "\t\\"]


def read(file: Path) -> pd.DataFrame:
    match file.suffix:
        case ".parquet":
            return pd.read_parquet(file)
        case ".csv":
            return pd.read_csv(file, keep_default_na=False)
        case _:
            return pd.read_json(file, lines=True, dtype=False)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_text_comes_back(tmp_path: Path, suffix: str) -> None:
    """An answer of two lines must not become two rows."""
    file = tmp_path / f"out{suffix}"
    write(pd.DataFrame({"answer": pd.array(ODD, "string")}), file)
    assert read(file)["answer"].tolist() == ODD


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize(
    "index",
    [
        pd.Index(["a", "a", "b"]),
        pd.RangeIndex(5, 8),
        pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)], names=["group", None]),
        pd.RangeIndex(3, name="ticket"),
    ],
)
def test_an_index_that_says_something_is_kept(tmp_path: Path, suffix: str, index: pd.Index) -> None:
    """It is what ties the answers to the rows they were asked for."""
    file = tmp_path / f"out{suffix}"
    write(pd.DataFrame({"answer": ["1", "2", "3"]}, index=index), file)
    table = read(file)
    assert table.shape == (3, 1 + index.nlevels)
    assert table.iloc[:, :-1].astype(str).to_numpy().tolist() == [
        [str(part) for part in (key if isinstance(key, tuple) else (key,))] for key in index
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_numbers_and_vectors_are_written(tmp_path: Path, suffix: str) -> None:
    """What a schema and the embeddings endpoint give."""
    frame = pd.DataFrame({7: pd.array([1, None], "Int64"), "ok": pd.array([True, None], "boolean")})
    frame["vector"] = [np.array([0.5, 1.5], np.float32), None]
    file = tmp_path / f"out{suffix}"
    write(frame, file)
    table = read(file)
    assert list(table.columns) == ["7", "ok", "vector"]
    assert len(table) == 2


def test_what_a_format_cannot_hold_leaves_no_half_file(tmp_path: Path) -> None:
    """A file that is cut passes for a whole one."""
    file = tmp_path / "out.parquet"
    file.write_text("the earlier one")
    with pytest.raises(InputError, match="another format"):
        write(pd.DataFrame({"mixed": pd.Series([1, "a", b"b"], dtype=object)}), file)
    assert file.read_text() == "the earlier one"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
