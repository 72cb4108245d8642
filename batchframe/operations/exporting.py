"""A job's frame as a file, by its suffix. The file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from batchframe.errors import InputError

SUFFIXES = (".parquet", ".csv", ".jsonl")


def check(file: Path, *, force: bool) -> None:
    """Refuse before anything is read what could not be written.

    Raises:
        InputError: a suffix of no format, a folder that is not there, or a file that is.
    """
    if file.suffix not in SUFFIXES:
        raise InputError(f"{file.name}: the suffix decides the format. Choose one of {', '.join(SUFFIXES)}.")
    if not file.parent.is_dir():
        raise InputError(f"There is no folder {file.parent}.")
    if file.exists() and not force:
        raise InputError(f"{file} is there already. Choose another name, or pass --force.")


def write(frame: pd.DataFrame, file: Path) -> None:
    """Write the frame; in CSV and JSONL its index comes first, unless it only numbers the rows.

    Raises:
        InputError: the frame holds what the format cannot.
    """
    if file.suffix != ".parquet" and not _only_numbers(frame.index):
        frame = frame.reset_index(allow_duplicates=True)
    frame.columns = frame.columns.map(str)
    part = file.with_name(f".{file.name}.part")
    try:
        if file.suffix == ".parquet":
            frame.to_parquet(part)
        elif file.suffix == ".csv":
            frame.to_csv(part, index=False)
        else:
            frame.to_json(part, orient="records", lines=True, date_format="iso", date_unit="us", force_ascii=False)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"The frame cannot be written as {file.suffix}: {error}. Choose another format.") from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(file)


def _only_numbers(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None
